"""Looks for personal data in records on their way in: nothing that is found is written down (R6.8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from wardlight.classification.fields import spaced
from wardlight.classification.mask import Masker
from wardlight.classification.prefilter import candidates
from wardlight.machinedata.model import Record
from wardlight.machinedata.records import source_name

#: Ends of lines as any reader may see them: a record is one line for the first look.
_ONE_LINE: Final = {ord(one): " " for one in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
#: Characters of a text that is the name of a number.
_NAME: Final = 200


class Screen:
    """One for an upload: masks, and counts what it masked. masked: records in which something was."""

    def __init__(self, usual_source: str) -> None:
        self._masker: Final = Masker()
        self._usual: Final = usual_source
        self.found: Final[Counter[str]] = Counter()
        self.masked = 0

    def look(self, records: Sequence[Record]) -> list[tuple[Record, bool]]:
        """The records without what identifies or tells of health, and whether something was taken out.

        The first look is at all records at once, each a line with the names of its values as context, in C; only those
        that may hold something are looked at one by one, with all detectors.
        """
        lines = [_line(record).encode("utf-8", "replace") for record in records]
        begins: list[int] = []
        place = 0
        for line in lines:
            begins.append(place)
            place += len(line) + 1
        suspects = {start for start, _, _ in candidates(b"\n".join(lines))}
        return [
            self._masked(record) if begin in suspects else (record, False)
            for record, begin in zip(records, begins, strict=True)
        ]

    def _masked(self, record: Record) -> tuple[Record, bool]:
        value: dict[str, Any] = {
            "text": record.text,
            "attributes": record.attributes,
            "source": record.source,
        }
        held, findings = self._masker.mask_json(value)
        number: Any = _plain(record.value)
        if number is not None:
            # A metric's text is its name, and so what its number is.
            told, more = self._masker.mask_json({record.text[:_NAME] or "value": number})
            (number,), findings = told.values(), findings + more
        if not findings:
            return record, False
        self.found.update(one.detector for one in findings)
        self.masked += 1
        clean = Record(
            record.time_ms,
            record.severity,
            source_name(held["source"], self._usual),
            held["text"],
            held["attributes"],
            number if isinstance(number, int | float) else None,
        )
        return clean, True


def _line(record: Record) -> str:
    """All of a record that somebody wrote, as one line: `label: value` as the detectors see it."""
    if not record.attributes and record.value is None:
        return _one_line(f"{record.text}  source: {record.source}")
    parts = [record.text, f"source: {record.source}"]
    if record.value is not None:
        parts.append(f"{spaced(record.text[:_NAME]) or 'value'}: {_plain(record.value)}")
    for key, value in record.attributes.items():
        label = spaced(key)
        for one in value if isinstance(value, list) else (value,):
            parts.append(f"{key}  {label}: {one}")
    return _one_line("  ".join(parts))


def _plain(number: float | None) -> float | None:
    """As somebody wrote it: 47118821, not 47118821.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _one_line(text: str) -> str:
    # Most lines are printable: that is told many times as fast.
    return text if text.isprintable() else text.translate(_ONE_LINE)
