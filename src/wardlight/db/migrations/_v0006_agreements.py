"""Agreements, entitlements, subscriptions, sources."""

from __future__ import annotations

import time
from typing import Any, Final

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Integer, SmallInteger, String, Text, text

from wardlight.db.columns import Id

#: What data at a level is, by whether it may be identified.
_PSEUDONYMISED: Final = "health data;image data, pseudonymised"
_IDENTIFIED: Final = "personal data;health data;image data, identified;image data, pseudonymised"
_STRICTEST_LAST: Final = ("identified", "low", "medium", "high")
_BY: Final = "system:migration"


def upgrade(op: Operations) -> None:
    """Only adds. What was agreed before goes on: with a subscription, and an entitlement that nobody declared."""
    for name, type_, default in (
        ("classes", _long(), ""),
        ("region", _text(16), ""),
        ("access_s", BigInteger(), "2592000"),
        ("retention_days", Integer(), None),
        ("document", _text(500), ""),
        ("attested_ms", BigInteger(), "0"),
        ("source", Id(), None),
        ("results_of", _long(), ""),
        ("ends_ms", BigInteger(), None),
        ("withdrawn_ms", BigInteger(), None),
        ("withdrawn_by", _text(80), ""),
    ):
        op.add_column("agreement", Column(name, type_, nullable=default is None, server_default=default))
    _tables(op)
    _carry_over(op)


def _tables(op: Operations) -> None:
    op.create_table(
        "entitlement",
        Column("application", _text(64), ForeignKey("application.id"), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("purposes", _long(), nullable=False),
        Column("classes", _long(), nullable=False),
        Column("level", _text(16), nullable=False),
        Column("regions", _long(), nullable=False),
        Column("declared_by", _text(200), nullable=False),
        Column("document", _text(500), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("created_by", _text(80), nullable=False),
    )
    op.create_table(
        "subscription",
        Column("institution", Id, ForeignKey("institution.id"), primary_key=True),
        Column("application", _text(64), primary_key=True),
        Column("created_ms", BigInteger, nullable=False),
        Column("created_by", _text(80), nullable=False),
        Column("ended_ms", BigInteger),
        Column("ended_by", _text(80), nullable=False),
    )
    op.create_table(
        "data_source",
        Column("id", Id, primary_key=True),
        Column("institution", Id, ForeignKey("institution.id"), nullable=False),
        Column("kind", _text(32), nullable=False),
        Column("name", _text(200), nullable=False),
        Column("legal_basis", _text(100), nullable=False),
        Column("attested_by", _text(200), nullable=False),
        Column("document", _text(500), nullable=False),
        Column("anonymised", SmallInteger, nullable=False),
        Column("evidence", _text(500), nullable=False),
        Column("created_ms", BigInteger, nullable=False),
        Column("created_by", _text(80), nullable=False),
    )
    op.create_index("ix_data_source_institution", "data_source", ["institution"])


def _carry_over(op: Operations) -> None:
    """Old agreements get what they did not say, and what is needed beside them from now on."""
    connection = op.get_bind()
    connection.execute(
        text(
            "UPDATE agreement SET attested_ms = created_ms,"
            " region = (SELECT region FROM institution WHERE institution.id = agreement.institution),"
            " classes = CASE WHEN levels LIKE '%identified%' THEN :identified ELSE :pseudonymised END"
        ),
        {"identified": _IDENTIFIED, "pseudonymised": _PSEUDONYMISED},
    )
    now = {"now": int(time.time() * 1000), "by": _BY}
    connection.execute(
        text(
            "INSERT INTO subscription (institution, application, created_ms, created_by, ended_by)"
            " SELECT DISTINCT institution, application, :now, :by, '' FROM agreement"
        ),
        now,
    )
    for application, rows in _by_application(connection).items():
        purposes, levels, classes, regions = ({*row} for row in zip(*rows, strict=True))
        named = {level for row in levels for level in row.split()}
        values = {
            "application": application,
            "purposes": " ".join(sorted({one for row in purposes for one in row.split()})),
            "classes": _IDENTIFIED if _IDENTIFIED in classes else _PSEUDONYMISED,
            "level": next(level for level in _STRICTEST_LAST if level in named),
            "regions": " ".join(sorted(regions)),
        }
        connection.execute(
            text(
                "INSERT INTO entitlement (application, version, purposes, classes, level, regions, declared_by,"
                " document, created_ms, created_by)"
                " VALUES (:application, 1, :purposes, :classes, :level, :regions, '', '', :now, :by)"
            ),
            values | now,
        )


def _by_application(connection: Connection) -> dict[str, list[tuple[str, str, str, str]]]:
    """Registered applications with an agreement: what the newest ones say."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for application, *terms in connection.execute(
        text(
            "SELECT application, purposes, levels, classes, region FROM agreement WHERE version ="
            " (SELECT max(version) FROM agreement other WHERE other.id = agreement.id)"
            " AND application IN (SELECT id FROM application)"
        )
    ):
        found.setdefault(application, []).append((terms[0], terms[1], terms[2], terms[3]))
    return found


def _long() -> Any:
    return Text().with_variant(Text(collation="C"), "postgresql")


def _text(length: int) -> Any:
    """A text that PostgreSQL, too, orders by its bytes."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
