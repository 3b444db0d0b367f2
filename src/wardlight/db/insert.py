"""Inserts that meet rows which are there already, in the words of either database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def upsert(tx: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that takes `on_conflict_do_nothing` and `on_conflict_do_update`, spelt alike on both."""
    if tx.dialect.name != "postgresql":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # It takes a tenth of a second to load.

    return postgresql.insert(table)


def add_missing(tx: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert those rows whose keys are not there. Another transaction with the same rows waits, and adds none."""
    tx.execute(upsert(tx, table).on_conflict_do_nothing(), rows)
