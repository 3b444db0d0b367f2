"""HL7 v2 messages, whole or in a line of a log: fields that hold somebody's data (HL7 2.5.1 from chapter 3 on)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from wardlight.classification.found import Confidence, Hit
from wardlight.classification.model import DataClass

_P, _H = DataClass.PERSONAL, DataClass.HEALTH
#: Segment → field → (detector, class). OBX-5 is looked at by its type.
_FIELDS: Final[dict[str, dict[int, tuple[str, DataClass]]]] = {
    "PID": {
        **dict.fromkeys((2, 3, 4, 18), ("mrn", _P)),
        **dict.fromkeys((5, 6, 9), ("name", _P)),
        7: ("birth-date", _P),
        11: ("address", _P),
        **dict.fromkeys((13, 14), ("phone", _P)),
        **dict.fromkeys((19, 20), ("national-number", _P)),
        21: ("mrn", _P),
    },
    "NK1": {
        2: ("name", _P),
        4: ("address", _P),
        **dict.fromkeys((5, 6), ("phone", _P)),
        16: ("birth-date", _P),
    },
    "GT1": {
        3: ("name", _P),
        5: ("address", _P),
        **dict.fromkeys((6, 7), ("phone", _P)),
        8: ("birth-date", _P),
    },
    "PV1": {**dict.fromkeys((7, 8, 9, 17), ("name", _P)), 19: ("mrn", _P)},
    "IN1": {2: ("insurance-number", _P), 16: ("name", _P), 18: ("birth-date", _P), 19: ("address", _P)}
    | dict.fromkeys((36, 49), ("insurance-number", _P)),
    "DG1": dict.fromkeys((3, 4), ("health", _H)),
    "AL1": dict.fromkeys((3, 5), ("health", _H)),
    "OBX": {5: ("health", _H)},
    "ORC": {**dict.fromkeys((2, 3), ("accession", _P)), 12: ("name", _P)},
    "OBR": {
        **dict.fromkeys((2, 3, 18), ("accession", _P)),
        **dict.fromkeys((16, 32), ("name", _P)),
        31: ("health", _H),
    },
    "MRG": {1: ("mrn", _P), 7: ("name", _P)},
}
_SEGMENT: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FIELDS)})\|")
#: Ends of a segment: in a message, and where a line of a log has one with its ends spelt out.
_END: Final = re.compile(r"\\r|\\n|[\r\n\x0b\x1c]")
_EMPTY: Final = frozenset(('""', "^", "^^", "", "~"))
#: Fields of a segment that are looked at.
_MOST: Final = 60


def find(text: str) -> Iterator[Hit]:
    """The fields of all segments in a text."""
    starts = [match.span() for match in _SEGMENT.finditer(text)]
    for place, (begin, start) in enumerate(starts):
        stop = starts[place + 1][0] if place + 1 < len(starts) else len(text)
        ended = _END.search(text, start, stop)
        yield from _fields(text, text[begin : begin + 3], start, ended.start() if ended else stop)


def _fields(text: str, name: str, start: int, stop: int) -> Iterator[Hit]:
    values = text[start:stop].split("|", _MOST)
    if len(values) < 2:
        return
    for number, value in enumerate(values, 1):
        known = _FIELDS[name].get(number)
        if known and value.strip("^~& \"'") not in _EMPTY and any(c.isalnum() for c in value):
            yield Hit(start, start + len(value), *known, Confidence.HIGH, f"HL7 v2 field {name}-{number}")
        start += len(value) + 1
