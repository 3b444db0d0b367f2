"""What the elements of a DICOM data set are by PS3.15 Table E.1-1: which identify, of whom or what, and how surely."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.deid.standard import attributes
from wardlight.deid.standard.actions import ACTIONS

_COLUMN: Final = {name: place for place, name in enumerate(attributes.COLUMNS)}
#: Codes of CID 7050 by which an object says what was kept of it → column of the table.
OPTIONS: Final = {
    "113106": "full_dates",
    "113107": "modified_dates",
    "113108": "patient",
    "113109": "device",
    "113110": "uids",
    "113111": "safe_private",
    "113112": "institution",
    "113105": "descriptors",
    "113104": "structured",
    "113103": "graphics",
}
#: Identify by themselves, whatever else is there: names, numbers, birth and addresses of the patient; the request.
_DIRECT: Final = frozenset(
    (
        *(
            0x00100010,
            0x00100020,
            0x00100030,
            0x00101000,
            0x00101001,
            0x00101005,
            0x00101040,
            0x00101060,
            0x00102154,
        ),
        *(
            0x00102155,
            0x00104000,
            0x00080050,
            0x00101002,
            0x00100050,
            0x00102297,
            0x00380010,
            0x00400244,
            0x00100032,
        ),
        *(0x00101090, 0x00100033, 0x00100034, 0x00102299, 0x00380400, 0x00080090, 0x00080092, 0x00080094),
    )
)
_DATES: Final = frozenset((b"DA", b"DT", b"TM"))


class Row(NamedTuple):
    """One attribute. action: of the Basic Profile. kept: columns that keep or clean it. direct: as `_DIRECT`."""

    name: str
    action: str
    kept: frozenset[str]
    direct: bool
    detector: str
    data_class: DataClass
    confidence: Confidence


@cache
def _rows() -> tuple[dict[int, Row], tuple[tuple[int, int, Row], ...]]:
    rows: dict[int, Row] = {}
    masked: list[tuple[int, int, Row]] = []
    for spelt, name, _retired, _standard, cells in attributes.ROWS:
        if spelt == "private":
            continue
        kept = frozenset(column for column, place in _COLUMN.items() if column != "basic" and cells[place])
        digits = int(spelt.replace("x", "0"), 16)
        direct = digits in _DIRECT
        row = Row(name, cells[0], kept, direct, *_kind(digits, cells[0], kept, direct))
        if "x" in spelt:
            masked.append((int("".join("0" if c == "x" else "F" for c in spelt), 16), digits, row))
        else:
            rows[digits] = row
    return rows, tuple(masked)


def _kind(tag: int, action: str, kept: frozenset[str], direct: bool) -> tuple[str, DataClass, Confidence]:
    personal = DataClass.PERSONAL
    if direct or (tag >> 16 == 0x0010 and "descriptors" not in kept):
        return "dicom-patient", personal, Confidence.HIGH if direct else Confidence.MEDIUM
    if action == "U" or "uids" in kept:
        return "dicom-uid", personal, Confidence.MEDIUM
    if "device" in kept:
        return "dicom-device", personal, Confidence.MEDIUM
    if "institution" in kept:
        return "dicom-institution", personal, Confidence.MEDIUM
    if kept & {"full_dates", "modified_dates"}:
        return "dicom-date", personal, Confidence.MEDIUM
    if kept & {"descriptors", "structured"}:
        return "dicom-descriptor", DataClass.HEALTH, Confidence.MEDIUM
    if "graphics" in kept:
        return "dicom-graphics", personal, Confidence.LOW
    return "dicom-element", personal, Confidence.MEDIUM


def row_of(tag: int, vr: bytes) -> Row | None:
    """What the table says of an attribute, None where it has no row."""
    rows, masked = _rows()
    row = rows.get(tag)
    if row is None and tag >> 24 in (0x50, 0x60) and not tag & 0x10000:
        row = next((row for mask, digits, row in masked if tag & mask == digits), None)
    if row is not None and vr == b"PN":
        return row._replace(
            detector="dicom-person-name" if tag != 0x00100010 else "dicom-patient", direct=True
        )
    return row


def reason_of(row: Row, marked: bool) -> str:
    """Why an element of this row is a finding."""
    said = ACTIONS.get(row.action, "").partition(" ")[0]
    why = f"{row.name}: {row.action} in PS3.15 Table E.1-1 ({attributes.EDITION})"
    return f"{why}, although marked as de-identified" if marked and said else why
