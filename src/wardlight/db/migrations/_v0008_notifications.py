"""What people are told, and which events were acted upon."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds. What happened before is told to nobody."""
    op.add_column("event_outbox", Column("taken_ms", BigInteger, nullable=True))
    op.execute("UPDATE event_outbox SET taken_ms = created_ms")
    op.create_index("ix_event_outbox_taken", "event_outbox", ["taken_ms", "seq"])
    _of_people(op)
    _of_what_is_told(op)


def _of_people(op: Operations) -> None:
    op.create_table(
        "notify_definition",
        _institution(primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("name", _text(40), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("title", _text(80), nullable=False),
        Column("text", _text(400), nullable=False),
        Column("permission", _text(16), nullable=False),
        Column("licence", _text(16), nullable=False),
        Column("channels", _text(20), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("retired_ms", BigInteger, nullable=True),
    )
    op.create_table(
        "notify_preference",
        _institution(),
        Column("person", _text(32), primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("name", _text(40), primary_key=True),
        Column("bell", Boolean, nullable=False),
        Column("mail", _text(8), nullable=False),
    )
    op.create_table(
        "notify_address",
        Column("person", _text(32), primary_key=True),
        _institution(),
        Column("address", _text(200), nullable=False),
        Column("code", LargeBinary(32), nullable=True),
        Column("code_ms", BigInteger, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("confirmed_ms", BigInteger, nullable=True),
    )
    op.create_table(
        "notify_pulse",
        _institution(primary_key=True),
        Column("person", _text(32), primary_key=True),
        Column("seq", BigInteger, nullable=False),
    )
    op.create_table(
        "notify_silence",
        Column("receiver", _text(32), primary_key=True),
        _institution(),
        Column("seen_ms", BigInteger, nullable=False),
    )


def _of_what_is_told(op: Operations) -> None:
    op.create_table(
        "notify_item",
        *_told(),
        Column("about", _text(64), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("read_ms", BigInteger, nullable=True),
    )
    op.create_index("ix_notify_item_person", "notify_item", ["person", "id"])
    op.create_index("ix_notify_item_unread", "notify_item", ["person", "read_ms"])
    op.create_index("ix_notify_item_release", "notify_item", ["release"])
    op.create_index("ix_notify_item_created", "notify_item", ["created_ms"])
    op.create_table(
        "notify_mail",
        *_told(),
        Column("digest", Boolean, nullable=False),
        Column("state", _text(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("next_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger, nullable=True),
        Column("reason", _text(32), nullable=False),
    )
    op.create_index("ix_notify_mail_due", "notify_mail", ["state", "next_ms"])
    op.create_index("ix_notify_mail_release", "notify_mail", ["release"])
    op.create_index("ix_notify_mail_person", "notify_mail", ["person", "state"])


def _told() -> tuple[Column[Any], ...]:
    return (
        Column("id", Id, primary_key=True),
        _institution(),
        Column("person", _text(32), nullable=False),
        Column("application", _text(64), nullable=False),
        Column("name", _text(40), nullable=False),
        Column("version", Integer, nullable=False),
        Column("permission", _text(16), nullable=False),
        Column("data", _long(), nullable=False),
        Column("release", Id, nullable=True),
    )


def _institution(*, primary_key: bool = False) -> Column[Any]:
    return Column("institution", Id, ForeignKey("institution.id"), primary_key=primary_key, nullable=False)


def _text(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
