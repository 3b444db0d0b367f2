"""What was agreed before schema 6 goes on as it was: with terms, a subscription, and a request of its application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

import postgres
from wardlight import bootstrap  # noqa: F401 - brings every slice's tables
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.model import ACCESS_S, IMAGES, Agreement, Level
from wardlight.agreements.service import Agreements
from wardlight.db.engine import EVERYWHERE, Database, open_database
from wardlight.db.schema import ensure

DATA = Path(__file__).parent / "data"
#: A partner application of two institutions in different regions, whose agreement with one was amended.
MORE = """
INSERT INTO institution (id, slug, name, region, state, created_ms) VALUES ({other}, 'other', 'O', 'us', 'active', 1);
INSERT INTO application (id, name, vendor, state, created_ms) VALUES ('lens', 'A', 'V', 'active', 1);
INSERT INTO application (id, name, vendor, state, created_ms) VALUES ('idle', 'I', 'V', 'active', 1);
"""

AGREED = """
INSERT INTO agreement (id, version, institution, application, levels, legal_basis, purposes, attested_by, created_ms)
  SELECT {row}, 'K', 7 FROM institution WHERE slug {which} 'other';
"""
FIRST = "'agr-a', 1, id, 'lens', 'high identified', 'gdpr:6.1.e+9.2.h', 'TREAT'"
SECOND = "'agr-a', 2, id, 'lens', 'high low', 'gdpr:6.1.e+9.2.h', 'TREAT'"
OTHER = "'agr-b', 1, id, 'lens', 'medium', 'hipaa:research', 'CLINTRCH HRESCH'"


def rows(other: str) -> str:
    """The statements. other: an id as the database writes bytes."""
    agreed = ((FIRST, "<>"), (SECOND, "<>"), (OTHER, "="))
    return MORE.format(other=other) + "".join(AGREED.format(row=row, which=which) for row, which in agreed)


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of schema 1 with these rows, brought to the present one."""
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path}/old.db")
        with database._writer.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF")
            driver.executescript((DATA / "schema_1.sqlite.sql").read_text() + rows(f"X'{'ab' * 16}'"))
            driver.execute("PRAGMA foreign_keys=ON")
        ensure(database, migrate=True)
        yield database
        database.close()
        return
    addresses = postgres.shared().database()
    with psycopg.connect(addresses.owner, autocommit=True) as connection:
        connection.execute((DATA / "schema_1.postgresql.sql").read_text().encode())
    with psycopg.connect(addresses.owner, autocommit=True) as connection:
        connection.execute(b"SELECT set_config('wardlight.institution', '*', false)")
        connection.execute(rows(f"decode('{'ab' * 16}', 'hex')").encode())
    database = open_database(addresses.owner)
    ensure(database, migrate=True)
    yield database
    database.close()
    postgres.shared().drop(addresses)


class Unused:
    """A recorder that must not be asked."""


def test_what_was_agreed_goes_on(migrated: Database) -> None:
    agreements, entitlements = Agreements(migrated, Unused(), "eu"), Entitlements(migrated, Unused())  # type: ignore[arg-type]
    with migrated.read(EVERYWHERE) as tx:
        found = tx.execute(text("SELECT id, slug, region FROM institution ORDER BY slug")).all()
    ids = {slug: UUID(bytes=bytes(id_)) for id_, slug, _ in found}
    (first,) = [slug for slug in ids if slug not in ("other", "operator")]
    region = {slug: region for _, slug, region in found}[first]
    newest: dict[str, Agreement] = {row.application: row for row in reversed(agreements.list(ids[first]))}
    images, acme = newest[IMAGES], newest["lens"]
    assert agreements.require(ids[first], IMAGES, Level.HIGH) == images
    assert (images.region, images.access_s, images.attested_ms) == (region, ACCESS_S, images.created_ms)
    assert json.dumps(sorted(images.classes)) == '["health data", "image data, pseudonymised"]'
    assert (acme.version, acme.in_force(10**13), acme.withdrawn_by) == (2, True, "")
    (old,) = [row for row in agreements.list(ids[first], "lens") if row.version == 1]
    assert "image data, identified" in old.classes
    abroad = Agreements(migrated, Unused(), "us")  # type: ignore[arg-type]
    assert abroad.require(ids["other"], "lens", Level.MEDIUM).purposes == {"CLINTRCH", "HRESCH"}
    # What applications were allowed they are taken to have asked for; nobody declared anything for them.
    (asked,) = entitlements.list()
    assert (asked.application, asked.version, asked.declared_by) == ("lens", 1, "")
    assert asked.purposes == {"TREAT", "CLINTRCH", "HRESCH"} and asked.level is Level.LOW
    assert asked.regions == {"us", region}
    for slug, purpose, level in ((first, "TREAT", Level.LOW), ("other", "HRESCH", Level.MEDIUM)):
        with migrated.read(ids[slug]) as tx:
            assert entitlements.why_not(tx, ids[slug], "lens", purpose, level) == ""
            assert entitlements.why_not(tx, ids[slug], "idle", purpose, level) == "not-subscribed"
