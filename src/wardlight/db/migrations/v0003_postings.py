"""Sealed postings, a number for every release, and indexes in the order of search pages."""

from __future__ import annotations

import os

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    bindparam,
    text,
)

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """What is there is searched through the tail until the worker has merged it."""
    op.add_column("archive_release", Column("number", BigInteger, nullable=False, server_default="0"))
    _number(op)
    op.create_index(
        "archive_release_page",
        "archive_release",
        ["institution", "application", "study_date", "number", "modalities"],
    )
    op.create_index("archive_release_number", "archive_release", ["institution", "number"])
    op.drop_index("archive_release_order", "archive_release")
    op.create_index("archive_series_page", "archive_series", ["release", "number", "id"], unique=True)
    op.create_index("archive_instance_page", "archive_instance", ["series", "number", "id"], unique=True)
    op.drop_index("ix_archive_instance_series", "archive_instance")
    _tables(op)
    op.execute(
        text(
            "INSERT INTO archive_tail (release, institution, series_only)"
            " SELECT id, institution, 0 FROM archive_release WHERE instance_count > 0"
        )
    )


def _number(op: Operations) -> None:
    """Numbers as intake gives them: 41 bits of the time of arrival in ms, 22 random bits."""
    connection = op.get_bind()
    rows = connection.execute(text("SELECT id, arrived_ms FROM archive_release")).all()
    update = text("UPDATE archive_release SET number = :number WHERE id = :id").bindparams(bindparam("id"))
    used: set[int] = set()
    values = []
    for id_, arrived in rows:
        number = arrived << 22 | int.from_bytes(os.urandom(3), "big") & 0x3FFFFF
        while number in used:
            number += 1
        used.add(number)
        values.append({"id": id_, "number": number})
    if values:
        connection.execute(update, values)


def _tables(op: Operations) -> None:
    op.create_table(
        "archive_posting",
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("generation", SmallInteger, nullable=False),
        Column("label", LargeBinary(16), nullable=False),
        Column("body", LargeBinary, nullable=False),
        PrimaryKeyConstraint("institution", "generation", "label"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "archive_tail",
        Column("release", Id, ForeignKey("archive_release.id"), primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("series_only", SmallInteger, nullable=False),
    )
    op.create_index("ix_archive_tail_institution", "archive_tail", ["institution"])
    op.create_table(
        "archive_search",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("generation", SmallInteger, nullable=False),
        Column("building", SmallInteger, nullable=False),
        Column("built_to", BigInteger, nullable=False),
    )
