"""What tells one device or one image from all others: serial numbers, and UIDs that are not the standard's."""

from __future__ import annotations

import re
from typing import Final

from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import LOOSE, Detector, Judged, before, labelled, phrase_regex
from wardlight.classification.prefilter import Flag

#: Roots under which nothing is of one patient: DICOM's own UIDs, OIDs of HL7, of registries of keys and algorithms, of
#: X.500, of SNMP and the internet's security protocols.
PUBLIC_ROOTS: Final = (
    *(
        "1.2.840.10008.",
        "2.16.840.1.113883.",
        "1.2.840.113549.",
        "1.2.840.10045.",
        "1.2.840.10040.",
        "2.5.",
        "1.3.14.",
    ),
    *(
        "1.3.6.1.2.",
        "1.3.6.1.5.",
        "2.16.840.1.101.",
        "1.3.132.",
        "2.16.756.5.30.",
        "1.3.6.1.4.1.19376.",
        "2.23.",
    ),
)
_IMAGE: Final = phrase_regex(
    "uid|study|series|sop|instance|studyinstanceuid|seriesinstanceuid|sopinstanceuid|frame of reference|image|object|"
    "oid"
)


def _uid(match: re.Match[str]) -> Judged:
    value = match[0]
    if value.startswith(PUBLIC_ROOTS) or len(value) > 64 or value.count(".") < 4:
        return None
    named = _IMAGE.search(before(match)) is not None
    parts = value.split(".")
    if value.startswith("2.25.") and len(parts) == 3:
        return Confidence.HIGH if named else Confidence.MEDIUM, "UID made of a UUID (PS3.5 annex B.2)"
    # OIDs of organisations are short; what was made for one image has long components.
    long = len(value) >= 28 or max(len(part) for part in parts[4:] or [""]) >= 8
    if not named and not long:
        return None
    sure = Confidence.HIGH if named and long else Confidence.MEDIUM
    return sure, "UID under the root of an organisation or device"


def _uuid_uid(match: re.Match[str]) -> Judged:
    named = _IMAGE.search(before(match)) is not None
    return Confidence.HIGH if named else Confidence.MEDIUM, "UID made of a UUID (PS3.5 annex B.2)"


def _serial(match: re.Match[str]) -> Judged:
    value = match["v"]
    if len(value) < 4 or sum(c.isdigit() for c in value) < 2 or re.fullmatch(r"\d+(?:\.\d+){1,3}", value):
        return None
    return Confidence.HIGH if len(value) > 5 else Confidence.MEDIUM, "number after a word for a serial number"


DETECTORS: Final = (
    Detector(
        *("uid", DataClass.PERSONAL, int(Flag.DOTTED)),
        re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9][0-9]{0,39}+)){4,30}+(?![\w]|\.\d)"),
        _uid,
    ),
    Detector(
        *("uid", DataClass.PERSONAL, int(Flag.DOTTED | Flag.DIGITS)),
        re.compile(r"(?<![\w.])2\.25\.[1-9][0-9]{20,38}+(?![\w.])"),
        _uuid_uid,
    ),
    labelled(
        *("device-serial", DataClass.PERSONAL, Flag.DEVICE, r"[A-Za-z0-9](?:[A-Za-z0-9]|[-/.](?=\w)){3,39}+"),
        _serial,
        between=LOOSE,
    ),
)
