"""The Store Instances Response Module (PS3.18 Annex I) and the status that goes with it (PS3.18 Table 10.5.3-1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from wardlight.dicom.native_model import to_native
from wardlight.dicomweb.media import DICOM_JSON, DICOM_XML
from wardlight.dicomweb.negotiation import ranges
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
    """The module's bytes in one of the types that `answer_type` gives; its items are used up."""
    if content_type == DICOM_XML:
        return to_native(module)
    pieces = []
    for tag, attribute in module.items():
        values = ", ".join(map(json.dumps, attribute["Value"]))
        pieces.append(f'"{tag}": {{"vr": "{attribute["vr"]}", "Value": [{values}]}}')
    return f"{{{', '.join(pieces)}}}".encode("ascii")


def response(outcomes: Sequence[PartOutcome], base_url: str, study: str | None) -> dict[str, Any]:
    """The module in the DICOM JSON model (PS3.18 Table I.1-1). Items are made one at a time: there may be 100,000.

    What cannot be named by its UIDs goes to the Other Failures Sequence.
    """
    stored = [outcome for outcome in outcomes if outcome.error is None]
    failed = [outcome for outcome in outcomes if outcome.error is not None and _is_named(outcome)]
    other = [outcome for outcome in outcomes if outcome.error is not None and not _is_named(outcome)]
    answer: dict[str, Any] = {}
    if study is None:
        studies = {outcome.uids.study for outcome in stored}
        study = studies.pop() if len(studies) == 1 else None
    if study is not None and stored:
        answer["00081190"] = _value("UR", f"{base_url}/studies/{study}")
    for tag, items, make in (
        ("00081198", failed, _failed_item),
        ("00081199", stored, partial(_stored_item, base_url)),
        ("0008119A", other, _reason),
    ):
        if items:
            answer[tag] = {"vr": "SQ", "Value": map(make, items)}
    return answer


def _is_named(outcome: PartOutcome) -> bool:
    return bool(outcome.uids.sop_class and outcome.uids.instance)


def _reference(outcome: PartOutcome) -> dict[str, Any]:
    return {
        "00081150": _value("UI", outcome.uids.sop_class),
        "00081155": _value("UI", outcome.uids.instance),
    }


def _stored_item(base_url: str, outcome: PartOutcome) -> dict[str, Any]:
    study, series, instance, _ = outcome.uids
    url = f"{base_url}/studies/{study}/series/{series}/instances/{instance}"
    item = {**_reference(outcome), "00081190": _value("UR", url)}
    if outcome.discarded:
        item["00081196"] = _value("US", ELEMENTS_DISCARDED)
    return item


def _failed_item(outcome: PartOutcome) -> dict[str, Any]:
    return {**_reference(outcome), **_reason(outcome)}


def _reason(outcome: PartOutcome) -> dict[str, Any]:
    assert outcome.error is not None
    return {"00081197": _value("US", outcome.error.kind.dicom)}


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
