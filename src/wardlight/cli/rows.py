"""How commands show rows: as words for people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any
from uuid import UUID

import typer

from wardlight import clock
from wardlight.agreements.model import Level


def show(rows: Sequence[Any], as_json: bool, *, one: bool = False) -> None:
    """Print dataclasses, each on a line. one: JSON of the first alone, not a list."""
    plain_rows = [plain(row) for row in rows]
    if as_json:
        typer.echo(json.dumps(plain_rows[0] if one else plain_rows, indent=2, ensure_ascii=False))
        return
    for row in plain_rows:
        typer.echo("  ".join(f"{name}={_word(value)}" for name, value in row.items()))


def plain(row: Any) -> dict[str, Any]:
    """A dataclass as JSON has it: enums, sets and ids as text, times (`…_ms`) in UTC."""
    values: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name.endswith("_ms"):
            values[field.name.removesuffix("_ms")] = clock.timestamp_ms(value) if value is not None else None
        elif isinstance(value, frozenset):
            known = [level.value for level in Level if level in value]
            values[field.name] = known or sorted(value)
        elif isinstance(value, UUID | StrEnum):
            values[field.name] = str(value)
        else:
            values[field.name] = value
    return values


def _word(value: Any) -> str:
    text = ",".join(value) if isinstance(value, list) else "-" if value is None else str(value)
    return f'"{text}"' if " " in text or not text else text
