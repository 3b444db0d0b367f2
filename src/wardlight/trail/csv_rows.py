"""Entries as a table in CSV (RFC 4180), safe to open in a spreadsheet (audit.md section 5)."""

from __future__ import annotations

import csv
import io
from base64 import b64encode
from collections.abc import Iterable
from typing import BinaryIO, Final

from wardlight.trail.entry import Sealed

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"

COLUMNS: Final = (
    "index", "recorded", "time", "action", "phase", "outcome", "reason", "actor_kind", "actor_id", "actor_role",
    "behalf_kind", "behalf_id", "object_kind", "object_ref", "object_version", "patients", "studies", "purpose",
    "basis", "agreement", "agreement_version", "grant", "classes", "address", "request", "requests", "instances",
    "frames", "bytes", "results", "source", "id", "leaf",
)  # fmt: skip

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write(entries: Iterable[Sealed], out: BinaryIO) -> None:
    """A line of names, then a line for every entry; lines end in CRLF."""
    out.write(_line(COLUMNS))
    for entry in entries:
        out.write(line(entry))


def line(entry: Sealed) -> bytes:
    """One entry, its cells in the order of `COLUMNS`."""
    return _line(_guarded(str(cell)) for cell in _cells(entry))


def _cells(entry: Sealed) -> Iterable[object]:
    actor, behalf, target, counts = entry.actor, entry.behalf, entry.target, entry.counts
    yield from (entry.index, entry.recorded, entry.text("time"))
    yield from (entry.action, entry.phase, entry.outcome, entry.text("reason"))
    yield from (actor.get(name, "") for name in ("kind", "id", "role"))
    yield from (behalf.get(name, "") for name in ("kind", "id"))
    yield from (target.get("kind", ""), target.get("ref") or target.get("id", ""), target.get("version", ""))
    yield from (";".join(entry.patients), ";".join(entry.studies), entry.text("purpose"), entry.text("basis"))
    yield from (entry.agreement.get("id", ""), entry.agreement.get("version", ""), entry.text("grant"))
    yield from (";".join(entry.classes), entry.address, entry.text("request"))
    yield from (counts.get(name, "") for name in ("requests", "instances", "frames", "bytes", "results"))
    yield from (entry.source, entry.id, b64encode(entry.leaf).decode())


def _guarded(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
