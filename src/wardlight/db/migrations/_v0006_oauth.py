"""Applications, their keys, tokens and receivers' enrolment."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, PrimaryKeyConstraint, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds. Applications registered before have no key, and so get no token until they are given one."""
    for name, length, default in (
        ("environment", 20, ""),
        ("kind", 16, "cloud"),
        ("owner", 200, ""),
        ("auth_method", 24, "private_key_jwt"),
    ):
        op.add_column("application", Column(name, _text(length), nullable=False, server_default=default))
    for name in ("scopes", "redirect_uris", "post_logout_uris"):
        op.add_column("application", Column(name, _long(), nullable=False, server_default=""))
    op.add_column("token", Column("application", _text(64)))
    op.add_column("token", Column("purpose", _text(16), nullable=False, server_default=""))
    op.add_column("token", Column("jkt", LargeBinary(32)))
    op.create_index("ix_token_application", "token", ["application"])
    op.create_table(
        "application_key",
        Column("id", Id, primary_key=True),
        Column("application", _text(64), ForeignKey("application.id"), nullable=False),
        Column("kid", _text(128), nullable=False),
        Column("alg", _text(8), nullable=False),
        Column("jwk", _long(), nullable=False),
        Column("hash", LargeBinary(32), unique=True),
        Column("created_ms", BigInteger, nullable=False),
        Column("ends_ms", BigInteger),
    )
    op.create_index("ix_application_key_application", "application_key", ["application"])
    op.create_table(
        "client_assertion",
        Column("client", _text(64), nullable=False),
        Column("jti", LargeBinary(32), nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        PrimaryKeyConstraint("client", "jti"),
    )
    op.create_index("ix_client_assertion_expires_ms", "client_assertion", ["expires_ms"])
    op.create_table(
        "receiver_key",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("receiver", _text(32), ForeignKey("receiver.id"), nullable=False),
        Column("code_hash", LargeBinary(32), nullable=False, unique=True),
        Column("code_expires_ms", BigInteger, nullable=False),
        Column("jwk", _long(), nullable=False),
        Column("digits", _text(6), nullable=False),
        Column("used_ms", BigInteger),
        Column("confirmed_ms", BigInteger),
        Column("ended_ms", BigInteger),
    )
    op.create_index("ix_receiver_key_receiver", "receiver_key", ["receiver"])


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
