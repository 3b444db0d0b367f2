"""JSON, NDJSON and tables: values with their names. Each yields (line, field, hits)."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from wardlight.classification import fhir, json_text
from wardlight.classification.fields import labelled_hits, spaced
from wardlight.classification.found import Confidence, Hit
from wardlight.classification.packed import Refused
from wardlight.classification.prefilter import flags_of

Placed = tuple[int, str, list[Hit]]
#: Longest value that is looked at as one: beyond it, its begin.
LONGEST_VALUE: Final = 1 << 20
#: Characters in which two pieces of a longer value overlap.
_OVERLAP: Final = 512
csv.field_size_limit(LONGEST_VALUE)
_DELIMITERS: Final = ",;\t|"
#: What no name of a column or member has.
_DIGITS: Final = re.compile(r"\d{4}")
_MEMBER: Final = re.compile(r"[A-Za-z_$@][\w$:@/-]{0,60}(?:\[\])*|[0-9A-Fa-f]{8}|\d{0,3}(?:\[\])*")
_HEADING: Final = re.compile(r"[\w .()/#:°-]{1,80}")


def json_values(text: str, first_line: int = 1) -> Iterator[Placed]:
    """What is found in JSON text. Raises `json_text.BadJson`."""
    line, counted = first_line, 0
    for value in json_text.values(text):
        hits = _of_value(value)
        if hits:
            line += text.count("\n", counted, value.start)
            counted = value.start
            yield line, _said(value.path), hits


@lru_cache(maxsize=4096)
def _said(path: str) -> str:
    """A path without the names that are none: members of an object may be called by what they hold."""
    return ".".join(one if _MEMBER.fullmatch(one) else "…" for one in path.split("."))


def _of_value(value: json_text.Value) -> list[Hit]:
    if value.inside and (kind := fhir.kind_of(value.inside)) and value.text.strip():
        resource = value.inside.partition("|")[0]
        return [Hit(0, len(value.text), *kind, Confidence.HIGH, f"field of the FHIR resource {resource}")]
    label = spaced(value.key)
    if "\n" not in value.text and len(value.text) <= LONGEST_VALUE:
        return labelled_hits(label, value.text)
    found: list[Hit] = []
    for number, part in enumerate(value.text.split("\n")):
        for start in range(0, max(len(part), 1), LONGEST_VALUE - _OVERLAP):
            piece = part[start : start + LONGEST_VALUE]
            found += labelled_hits("" if number or start else label, piece)
    return found


def delimiter_of(head: str, named: bool) -> str:
    """What separates the columns of a table, "" where the text is none. named: its name says that it is one.

    A table has the same number of columns in its first lines, and words above them.
    """
    lines = [line for line in head.split("\n")[:20] if line.strip()]
    for delimiter in _DELIMITERS:
        if not lines or delimiter not in lines[0]:
            continue
        try:
            rows = list(csv.reader(lines[:-1] or lines, delimiter=delimiter))
        except csv.Error:
            continue
        width = len(rows[0])
        same = sum(len(row) == width for row in rows)
        heads = all(_HEADING.fullmatch(cell.strip()) and not cell.strip().isdigit() for cell in rows[0])
        if width > 1 and heads and (named or (same == len(rows) > 1)):
            return delimiter
    return ""


def rows(lines: Iterator[str], delimiter: str) -> Iterator[Placed]:
    """What is found in a table whose first line has the names of its columns."""
    reader = csv.reader(lines, delimiter=delimiter)
    labels: list[str] = []
    names: list[str] = []
    telling: list[bool] = []
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Refused("table-damaged") from None
        if not names:
            labels = [spaced(cell.strip()[:80]) for cell in row]
            telling = [bool(flags_of(f"{label}: ")) for label in labels]
            # Only names that the detectors know are said: a table without any begins with somebody's values.
            names = [
                cell.strip()[:80] if tells and not _DIGITS.search(cell) else f"column {number}"
                for number, (cell, tells) in enumerate(zip(row, telling, strict=True), 1)
            ]
            for number, cell in enumerate(row, 1):
                if hits := labelled_hits("", cell.replace("\n", " ")):
                    yield reader.line_num, f"column {number}", hits
            continue
        suspect = flags_of(" | ".join(row)) != 0
        for place, cell in enumerate(row):
            if not cell or not (suspect or (place < len(telling) and telling[place])):
                continue
            label = labels[place] if place < len(labels) else ""
            hits = labelled_hits(label, cell.replace("\n", " "))
            if hits:
                yield reader.line_num, names[place] if place < len(names) else f"column {place + 1}", hits


def as_text(data: bytes) -> str:
    """Bytes of a line or document: UTF-8, else as Windows-1252 has it, which nothing is not."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def csv_lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Lines of a table as the reader of the standard library wants them, cut to a bound."""
    for piece in pieces:
        yield as_text(piece[:LONGEST_VALUE]).replace("\0", "") + "\n"


def is_text(head: bytes) -> bool:
    """Whether bytes read as text rather than as something else."""
    if not head:
        return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    control = sum(head.count(bytes((byte,))) for byte in (*range(7), 14, 15, 16, 17, 18, 19, 20))
    return control == 0


def utf16(pieces: Iterator[bytes], head: bytes) -> Iterator[bytes]:
    """UTF-16 with a byte order mark, as UTF-8."""
    incremental = codecs.getincrementaldecoder("utf-16")("replace")

    yield incremental.decode(head).encode("utf-8", "replace")
    for piece in pieces:
        yield incremental.decode(piece).encode("utf-8", "replace")
