"""People: factors, sessions, invitations, networks."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds. People of before have no password until they are given one; institutions are open to all networks."""
    networks = Text().with_variant(Text(collation="C"), "postgresql")
    op.add_column(
        "institution", Column("networks", networks, nullable=False, server_default="0.0.0.0/0 ::/0")
    )
    _shared(op)
    op.create_table(
        "person_password",
        Column("person", _text(32), ForeignKey("person.id"), primary_key=True),
        _institution(),
        Column("name", _text(200), nullable=False),
        Column("verifier", LargeBinary(32), nullable=False),
        Column("changed_ms", BigInteger, nullable=False),
    )
    op.create_index("ix_person_password_name", "person_password", ["name"])
    op.create_table(
        "person_factor",
        Column("id", Id, primary_key=True),
        _institution(),
        _person(),
        Column("kind", _text(16), nullable=False),
        Column("name", _text(100), nullable=False),
        Column("secret", LargeBinary(128)),
        Column("credential", LargeBinary(1023), unique=True),
        Column("public_key", LargeBinary(2048)),
        Column("counter", BigInteger, nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("confirmed_ms", BigInteger),
        Column("used_ms", BigInteger),
    )
    op.create_table(
        "person_recovery_code",
        Column("hash", LargeBinary(32), primary_key=True),
        _institution(),
        _person(),
    )
    op.create_table(
        "person_session",
        Column("id", Id, primary_key=True),
        Column("hash", LargeBinary(32), unique=True, nullable=False),
        _institution(),
        _person(),
        Column("method", _text(16), nullable=False),
        Column("address", _text(64), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("seen_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        Column("stepped_ms", BigInteger, nullable=False),
    )
    op.create_index("ix_person_session_seen_ms", "person_session", ["seen_ms"])
    op.create_table(
        "person_link",
        Column("hash", LargeBinary(32), primary_key=True),
        _institution(),
        _person(),
        Column("kind", _text(16), nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
    )
    for table in ("person_factor", "person_recovery_code", "person_session", "person_link"):
        op.create_index(f"ix_{table}_person", table, ["person"])


def _shared(op: Operations) -> None:
    """What belongs to no institution, since it is asked before anybody knows to whom it belongs."""
    op.create_table(
        "rate",
        Column("key", _text(200), primary_key=True),
        Column("free_us", BigInteger, nullable=False),
    )
    op.create_index("ix_rate_free_us", "rate", ["free_us"])
    op.create_table(
        "sign_in_name",
        Column("name", _text(200), primary_key=True),
        Column("salt", LargeBinary(16), nullable=False),
    )
    op.create_table(
        "sign_in_challenge",
        Column("hash", LargeBinary(32), primary_key=True),
        Column("person", _text(32)),
        Column("expires_ms", BigInteger, nullable=False),
    )
    op.create_index("ix_sign_in_challenge_expires_ms", "sign_in_challenge", ["expires_ms"])
    op.create_table(
        "sign_in_delay",
        Column("key", _text(64), primary_key=True),
        Column("failures", Integer, nullable=False),
        Column("until_ms", BigInteger, nullable=False),
        Column("failed_ms", BigInteger, nullable=False),
    )
    op.create_index("ix_sign_in_delay_failed_ms", "sign_in_delay", ["failed_ms"])


def _institution() -> Column[Any]:
    return Column("institution", Id, ForeignKey("institution.id"), nullable=False)


def _person() -> Column[Any]:
    return Column("person", _text(32), ForeignKey("person.id"), nullable=False)


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
