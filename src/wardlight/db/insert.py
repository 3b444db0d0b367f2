"""Inserts that leave rows alone which are there already, in the words of either database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite


def add_missing(tx: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert those rows whose keys are not there. Another transaction with the same rows waits, and adds none."""
    if tx.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # It takes a tenth of a second to load.

        tx.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
    else:
        tx.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
