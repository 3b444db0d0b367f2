"""Machine data: segments, their keys, hours, and who is told."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "machine_segment",
        Column("id", Id, primary_key=True),
        _institution(),
        Column("key_id", Id, nullable=False),
        Column("application", _text(64), nullable=False),
        Column("agreement", _text(32), nullable=False),
        Column("version", Integer, nullable=False),
        Column("sender", _text(100), nullable=False),
        Column("data_class", _text(40), nullable=False),
        Column("sources", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("length", BigInteger, nullable=False),
        Column("records", Integer, nullable=False),
        Column("masked", Integer, nullable=False),
        Column("first_ms", BigInteger, nullable=False),
        Column("last_ms", BigInteger, nullable=False),
        Column("severity", Integer, nullable=False),
        Column("directory", LargeBinary, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger, nullable=True),
    )
    op.create_index("ix_machine_segment_key_id", "machine_segment", ["key_id"])
    op.create_index("machine_segment_time", "machine_segment", ["institution", "last_ms"])
    op.create_index("machine_segment_created", "machine_segment", ["created_ms"])
    op.create_index("machine_segment_ended", "machine_segment", ["ended_ms"])
    op.create_table(
        "machine_key",
        _institution(primary_key=True),
        *_of_class(),
        Column("month", _text(7), primary_key=True),
        Column("key_id", Id, nullable=False, unique=True),
    )
    op.create_table(
        "machine_hour",
        _institution(primary_key=True),
        *_of_class(),
        Column("source", _text(64), primary_key=True),
        Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
        *(Column(name, BigInteger, nullable=False) for name in ("records", "errors", "masked")),
    )
    op.create_table(
        "machine_subscription",
        _institution(primary_key=True),
        *_of_class(),
        *(Column(name, BigInteger, nullable=False) for name in ("created_ms", "told_to_ms", "told_ms")),
    )


def _of_class() -> tuple[Column[Any], ...]:
    return (
        Column("application", _text(64), primary_key=True),
        Column("data_class", _text(40), primary_key=True),
    )


def _institution(*, primary_key: bool = False) -> Column[Any]:
    return Column("institution", Id, ForeignKey("institution.id"), primary_key=primary_key, nullable=False)


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")
