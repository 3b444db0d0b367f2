"""Feeds, webhooks and deliveries."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
)

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.create_table(
        "event_counter",
        _institution(),
        Column("application", _text(64), nullable=False),
        Column("seq", BigInteger, nullable=False),
        PrimaryKeyConstraint("institution", "application"),
    )
    op.create_table(
        "event_feed",
        _institution(),
        Column("application", _text(64), nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("id", Id, nullable=False, unique=True),
        Column("kind", _text(32), nullable=False),
        Column("grant_id", Id),
        Column("stream", Id, nullable=False),
        Column("data", _long(), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("acknowledged_ms", BigInteger),
        PrimaryKeyConstraint("institution", "application", "seq"),
    )
    op.create_index("ix_event_feed_created_ms", "event_feed", ["created_ms"])
    op.create_table(
        "webhook",
        Column("id", Id, primary_key=True),
        _institution(),
        Column("application", _text(64), nullable=False),
        Column("url", _long(), nullable=False),
        Column("kinds", _text(200), nullable=False),
        Column("secret", LargeBinary, nullable=False),
        Column("old_secret", LargeBinary),
        _zero("old_until_ms"),
        Column("created_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger),
        Column("failures", Integer, nullable=False, server_default="0"),
        _zero("next_ms"),
        Column("holder", _text(32), nullable=False, server_default=""),
        _zero("held_ms"),
    )
    op.create_index("ix_webhook_application", "webhook", ["institution", "application", "ended_ms"])
    op.create_table(
        "webhook_delivery",
        Column("id", Id, primary_key=True),
        _institution(),
        Column("webhook", Id, ForeignKey("webhook.id"), nullable=False),
        Column("event", Id, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("stream", Id, nullable=False),
        Column("state", _text(16), nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("created_ms", BigInteger, nullable=False),
        Column("next_ms", BigInteger, nullable=False),
        Column("tried_ms", BigInteger),
        Column("ended_ms", BigInteger),
        Column("status", Integer),
        Column("reason", _text(32), nullable=False, server_default=""),
        UniqueConstraint("webhook", "event"),
    )
    op.create_index("ix_webhook_delivery_pending", "webhook_delivery", ["webhook", "state", "stream", "seq"])
    op.create_index("ix_webhook_delivery_state", "webhook_delivery", ["state", "next_ms"])


def _institution() -> Column[Any]:
    return Column("institution", Id, ForeignKey("institution.id"), nullable=False)


def _zero(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
