"""Does an object that is sent for a privacy level carry what de-identification at that level leaves in it?

This is no second de-identification: it keeps what was not de-identified at all, or at a weaker level, from being
filed under the level that a sender merely names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, Final

from wardlight.agreements.model import Level
from wardlight.archive.results import ResultPlace
from wardlight.deid.profile import load_profile
from wardlight.deid.verify_result import verify_result
from wardlight.dicom.elements import Element
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import attributes
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.errors import WardlightError

IDENTITY_REMOVED: Final = 0x0012_0062
METHOD_CODES: Final = 0x0012_0064

#: UIDs made from a UUID or a digest (PS3.5 section B.2): every replaced UID is one, and devices make few such.
_REPLACED: Final = "2.25."
#: Options that keep something (CID 7050): one that the level does not name means weaker protection. The others of
#: the table only take away more.
_RETAINING: Final = frozenset(str(code) for code in range(113106, 113113))
#: The sequence as we write it takes less than 1 KiB.
_LARGEST: Final = 8192


def require_protection(
    level: Level,
    uids: tuple[str, ...],
    header: bytes,
    syntax: TransferSyntax,
    elements: Mapping[int, Element],
) -> None:
    """Raise `not-deidentified` unless the header is marked as de-identified at this level (PS3.15 E.1.1).

    uids: of study, series and instance. elements: of the header, with the two markers where it has them.
    """
    if level is Level.IDENTIFIED:
        return
    removed = elements.get(IDENTITY_REMOVED)
    if removed is None or header[removed.value : removed.end].strip(b"\0 ") != b"YES":
        raise WardlightError("not-deidentified", reason="identity-removed")
    methods = elements.get(METHOD_CODES)
    if methods is None or methods.end - methods.start > _LARGEST:
        raise WardlightError("not-deidentified", reason="method")
    applied = _codes(header[methods.start : methods.end], syntax)
    required = _required(level, _holds_content(header))
    if not required <= applied or applied & _RETAINING - required:
        raise WardlightError("not-deidentified", reason="method")
    if not all(uid.startswith(_REPLACED) for uid in uids):
        raise WardlightError("not-deidentified", reason="uid")


def require_result(place: ResultPlace, header: bytes, syntax: TransferSyntax) -> None:
    """Raise unless a result is of the release's patient, and says no more of who that is than the release does.

    Raises `instance-mismatch` for another patient, `not-deidentified` where something identifies.
    """
    level = place.level.value
    if place.level is Level.IDENTIFIED:
        # Who it is is known; whether it is the same is all that matters.
        level = Level.LOW.value
    findings = verify_result(header, syntax.uid, level=level, shown=place.shown, patient_id=place.patient_id)
    codes = {one.code for one in findings}
    if "unreadable" in codes:
        raise WardlightError("bad-data-set", reason="unreadable")
    if "other-patient" in codes:
        raise WardlightError("instance-mismatch", reason="patient")
    if codes and place.level is not Level.IDENTIFIED:
        raise WardlightError("not-deidentified", str(findings[0]), reason="identifier")


def _holds_content(header: bytes) -> bool:
    # The worker has this module for its shares, and seldom needs the engine, which takes a while to load.
    from wardlight.deid.structured import holds_content

    return holds_content(header)


@cache
def _required(level: Level, structured: bool) -> frozenset[str]:
    """Codes that an object of the level has; structured: it holds content items, which must have been cleaned."""
    from wardlight.deid.engine import METHODS

    options = {"basic", *load_profile(level.value).options}
    return frozenset(METHODS[option][0] for option in options if structured or option != "structured")


# Every object of a level holds the same bytes here.
@lru_cache(maxsize=64)
def _codes(sequence: bytes, syntax: TransferSyntax) -> frozenset[str]:
    """DCM codes in an encoded De-identification Method Code Sequence; none where it cannot be read."""
    try:
        found = attributes(sequence, syntax, (METHOD_CODES,))
    except DicomError:
        return frozenset()
    items: list[dict[str, Any]] = found.get(f"{METHOD_CODES:08X}", {}).get("Value") or []
    return frozenset(_text(item, "00080100") for item in items if _text(item, "00080102") == "DCM")


def _text(item: dict[str, Any], name: str) -> str:
    values = item.get(name, {}).get("Value") or [""]
    return values[0] if isinstance(values[0], str) else ""
