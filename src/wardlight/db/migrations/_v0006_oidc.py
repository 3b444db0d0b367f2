"""Sign-ins of people to applications, and by institutions' own providers."""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, SmallInteger, String, Text

from wardlight.db.columns import Id


def upgrade(op: Operations) -> None:
    """Only adds."""
    op.add_column("application", Column("logout_uri", _long(), nullable=False, server_default=""))
    op.add_column("token", Column("login", Id))
    op.create_index("ix_token_login", "token", ["login"])
    op.create_table(
        "oidc_consent",
        Column("person", _text(32), ForeignKey("person.id"), primary_key=True),
        Column("application", _text(64), ForeignKey("application.id"), primary_key=True),
        _institution(),
        Column("subject", _text(32), nullable=False, unique=True),
        Column("scopes", _long(), nullable=False),
        Column("given_ms", BigInteger, nullable=False),
        Column("withdrawn_ms", BigInteger),
    )
    op.create_table(
        "oidc_login",
        Column("id", Id, primary_key=True),
        _institution(),
        Column("person", _text(32), ForeignKey("person.id"), nullable=False),
        Column("application", _text(64), ForeignKey("application.id"), nullable=False),
        Column("session", Id, nullable=False),
        Column("scopes", _long(), nullable=False),
        Column("purpose", _text(16), nullable=False),
        Column("nonce", _long(), nullable=False),
        Column("auth_ms", BigInteger, nullable=False),
        Column("code", LargeBinary(32), nullable=False, unique=True),
        Column("code_expires_ms", BigInteger, nullable=False),
        Column("code_used_ms", BigInteger),
        Column("redirect_uri", _long(), nullable=False),
        Column("challenge", _text(43), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
        Column("ended_ms", BigInteger),
        Column("tell_ms", BigInteger),
        Column("tried", SmallInteger, nullable=False, server_default="0"),
    )
    for name in ("person", "session", "expires_ms", "tell_ms"):
        op.create_index(f"ix_oidc_login_{name}", "oidc_login", [name])
    _federation(op)


def _federation(op: Operations) -> None:
    op.create_table(
        "federation",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("issuer", _long(), nullable=False),
        Column("client_id", _text(200), nullable=False),
        Column("secret", LargeBinary),
        Column("login_claim", _text(64), nullable=False),
        Column("required_claim", _text(64), nullable=False),
        Column("required_value", _text(200), nullable=False),
        Column("default_role", _text(32), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
    )
    op.create_table(
        "federation_attempt",
        Column("state", LargeBinary(32), primary_key=True),
        _institution(),
        Column("browser", LargeBinary(32), nullable=False),
        Column("issuer", _long(), nullable=False),
        Column("return_to", _long(), nullable=False),
        Column("expires_ms", BigInteger, nullable=False),
    )
    op.create_index("ix_federation_attempt_expires_ms", "federation_attempt", ["expires_ms"])
    op.create_table(
        "federation_person",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("subject", _text(255), primary_key=True),
        Column("person", _text(32), ForeignKey("person.id"), nullable=False, unique=True),
        Column("created_ms", BigInteger, nullable=False),
    )


def _institution() -> Column[Any]:
    return Column("institution", Id, ForeignKey("institution.id"), nullable=False)


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")
