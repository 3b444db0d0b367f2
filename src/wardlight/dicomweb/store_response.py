"""The Store Instances Response Module (PS3.18 Annex I) and the status that goes with it (PS3.18 Table 10.5.3-1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wardlight.dicom.native_model import to_native
from wardlight.dicomweb.negotiation import DICOM_JSON, ranges
from wardlight.dicomweb.store_parts import DICOM_XML
from wardlight.errors import WardlightError
from wardlight.ingest.service import PartOutcome

#: Warning Reason: elements discarded (PS3.18 Table I.2-1).
ELEMENTS_DISCARDED: Final = 0xB006


def answer_type(accept: str, query: str) -> str:
    """The media type of the answer. Raises `not-acceptable`."""
    for media_range in ranges(accept, query):
        if media_range.multipart:
            continue
        for media in (DICOM_JSON, DICOM_XML, "application/json"):
            if media_range.covers(media):
                return media
    raise WardlightError("not-acceptable", f"this is given as {DICOM_JSON}, application/json or {DICOM_XML}")


def status_of(outcomes: Sequence[PartOutcome]) -> int:
    """200 where all is well, 409 where nothing was stored, 202 where there are failures or warnings."""
    failed = sum(outcome.error is not None for outcome in outcomes)
    if failed == len(outcomes):
        return 409
    return 202 if failed or any(outcome.discarded for outcome in outcomes) else 200


def written(module: Mapping[str, Any], content_type: str) -> bytes:
    """The module's bytes in one of the types that `answer_type` gives."""
    return to_native(module) if content_type == DICOM_XML else json.dumps(module).encode("utf-8")


def response(outcomes: Sequence[PartOutcome], base_url: str, study: str | None) -> dict[str, Any]:
    """The module in the DICOM JSON model (PS3.18 Table I.1-1).

    What cannot be named by its UIDs goes to the Other Failures Sequence.
    """
    stored, failed, other = [], [], []
    studies = {outcome.uids.study for outcome in outcomes if outcome.error is None}
    for outcome in outcomes:
        named = {
            "00081150": _value("UI", outcome.uids.sop_class),
            "00081155": _value("UI", outcome.uids.instance),
        }
        if outcome.error is None:
            url = (
                f"{base_url}/studies/{outcome.uids.study}/series/{outcome.uids.series}"
                f"/instances/{outcome.uids.instance}"
            )
            item = {**named, "00081190": _value("UR", url)}
            if outcome.discarded:
                item["00081196"] = _value("US", ELEMENTS_DISCARDED)
            stored.append(item)
        else:
            reason = {"00081197": _value("US", outcome.error.kind.dicom)}
            if outcome.uids.sop_class and outcome.uids.instance:
                failed.append({**named, **reason})
            else:
                other.append(reason)
    answer: dict[str, Any] = {}
    if study is None and len(studies) == 1:
        (study,) = studies
    if study is not None and stored:
        answer["00081190"] = _value("UR", f"{base_url}/studies/{study}")
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", other)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
