"""SQL of signing in: names, passwords, challenges and delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from wardlight.db.insert import add_missing, upsert
from wardlight.identity.people_tables import challenge, delay, password, sign_in_name
from wardlight.identity.tables import institution, person


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who signs in with a name: what is needed to tell whether it is they, and whether they may."""

    person: str
    institution: UUID
    slug: str
    verifier: bytes = field(repr=False)
    state: str
    institution_state: str
    networks: str


def ensure_name(tx: Connection, name: str, salt: bytes) -> bytes:
    """The salt of a sign-in name, which gets this one where it has none."""
    add_missing(tx, sign_in_name, [{"name": name, "salt": salt}])
    return name_salt(tx, name) or salt


def name_salt(tx: Connection, name: str) -> bytes | None:
    """The salt of a sign-in name that somebody has a password under."""
    return tx.execute(select(sign_in_name.c.salt).where(sign_in_name.c.name == name)).scalar()


def candidates(tx: Connection, name: str) -> list[Candidate]:
    """All who have a password under this name, over all institutions."""
    query = (
        select(
            password.c.person,
            password.c.institution,
            institution.c.slug,
            password.c.verifier,
            person.c.state,
            institution.c.state,
            institution.c.networks,
        )
        .select_from(
            password.join(person, person.c.id == password.c.person).join(
                institution, institution.c.id == password.c.institution
            )
        )
        .where(password.c.name == name)
        .order_by(password.c.person)
    )
    return [Candidate(*row) for row in tx.execute(query)]


def set_password(tx: Connection, values: dict[str, Any]) -> None:
    """Keep what proves a person's password, in place of what was kept before."""
    statement = upsert(tx, password).values(values)
    kept = {name: values[name] for name in ("name", "verifier", "changed_ms")}
    tx.execute(statement.on_conflict_do_update(index_elements=[password.c.person], set_=kept))


def add_challenge(tx: Connection, digest: bytes, person_id: str | None, expires_ms: int) -> None:
    """Remember a challenge until it is used or expires."""
    tx.execute(insert(challenge), {"hash": digest, "person": person_id, "expires_ms": expires_ms})


def take_challenge(tx: Connection, digest: bytes, person_id: str | None, now_ms: int) -> bool:
    """Use a challenge, which is then no more; whether it was there, in time, and this person's (None: anybody's)."""
    row = tx.execute(
        delete(challenge)
        .where(challenge.c.hash == digest)
        .returning(challenge.c.person, challenge.c.expires_ms)
    ).first()
    return row is not None and row.person == person_id and row.expires_ms > now_ms


def sweep_challenges(tx: Connection, now_ms: int) -> int:
    """Drop the challenges that nobody answered."""
    return tx.execute(delete(challenge).where(challenge.c.expires_ms <= now_ms)).rowcount


@dataclass(frozen=True, slots=True)
class Delay:
    """Failures under one key, and until when its next attempt is not looked at."""

    key: str
    failures: int
    until_ms: int
    failed_ms: int


def delays(tx: Connection, keys: Sequence[str], *, lock: bool = False) -> list[Delay]:
    """The delays of these keys. lock: nobody else changes them until the transaction ends."""
    query = select(delay).where(delay.c.key.in_(keys)).order_by(delay.c.key)
    if lock:
        query = query.with_for_update()
    return [Delay(*row) for row in tx.execute(query)]


def add_delays(tx: Connection, keys: Sequence[str]) -> None:
    """Rows without a failure for the keys that have none, so that they can be locked."""
    rows = [{"key": key, "failures": 0, "until_ms": 0, "failed_ms": 0} for key in sorted(keys)]
    add_missing(tx, delay, rows)


def set_delay(tx: Connection, key: str, failures: int, until_ms: int, now_ms: int) -> None:
    """One more failure."""
    values = {"failures": failures, "until_ms": until_ms, "failed_ms": now_ms}
    tx.execute(update(delay).where(delay.c.key == key).values(values))


def forget_delays(tx: Connection, keys: Sequence[str]) -> None:
    """Forget the failures of these keys."""
    tx.execute(delete(delay).where(delay.c.key.in_(keys)))


def lower_delays(tx: Connection, keys: Sequence[str]) -> None:
    """One failure less, and no wait."""
    fewer = update(delay).where(delay.c.key.in_(keys), delay.c.failures > 0)
    tx.execute(fewer.values(failures=delay.c.failures - 1, until_ms=0))


def sweep_delays(tx: Connection, before_ms: int) -> int:
    """Drop what has not failed since."""
    return tx.execute(delete(delay).where(delay.c.failed_ms < before_ms)).rowcount
