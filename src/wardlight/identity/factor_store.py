"""SQL of second factors: authenticators, passkeys and recovery codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from wardlight.identity.people_tables import factor, recovery_code
from wardlight.identity.tables import institution, person


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of a person; which fields it has depends on its kind (`people_tables`)."""

    id: UUID
    institution: UUID
    person: str
    kind: str
    name: str
    secret: bytes | None = field(repr=False)
    credential: bytes | None
    public_key: bytes | None
    counter: int
    created_ms: int
    confirmed_ms: int | None
    used_ms: int | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose passkey it is, and whether they may sign in."""

    state: str
    institution_state: str
    networks: str


def add(tx: Connection, values: dict[str, Any]) -> None:
    """Insert a factor; raises IntegrityError where the passkey is known already."""
    tx.execute(insert(factor), values)


def factors(tx: Connection, person_id: str, *, confirmed: bool = True) -> list[Factor]:
    """Factors of a person, oldest first. confirmed: only those that count."""
    query = select(factor).where(factor.c.person == person_id).order_by(factor.c.created_ms, factor.c.id)
    if confirmed:
        query = query.where(factor.c.confirmed_ms.is_not(None))
    return [Factor(*row) for row in tx.execute(query)]


def passkey(tx: Connection, credential: bytes) -> tuple[Factor, Holder] | None:
    """The passkey of this credential id, and whose it is."""
    query = (
        select(factor, person.c.state, institution.c.state, institution.c.networks)
        .select_from(
            factor.join(person, person.c.id == factor.c.person).join(
                institution, institution.c.id == factor.c.institution
            )
        )
        .where(factor.c.credential == credential, factor.c.confirmed_ms.is_not(None))
    )
    row = tx.execute(query).first()
    return (Factor(*row[:-3]), Holder(*row[-3:])) if row else None


def confirm(tx: Connection, id_: UUID, counter: int, now_ms: int) -> None:
    """From now on the factor counts."""
    tx.execute(
        update(factor).where(factor.c.id == id_).values(confirmed_ms=now_ms, used_ms=now_ms, counter=counter)
    )


def use(tx: Connection, id_: UUID, counter: int, now_ms: int) -> bool:
    """Move a factor's counter forward; False where it stands there already: each step serves once.

    A passkey whose authenticator keeps no counter stays at 0.
    """
    forward = factor.c.counter < counter if counter else factor.c.counter == 0
    statement = update(factor).where(factor.c.id == id_, forward).values(counter=counter, used_ms=now_ms)
    return tx.execute(statement).rowcount == 1


def remove(tx: Connection, person_id: str, id_: UUID) -> int:
    """Remove one factor of a person."""
    return tx.execute(delete(factor).where(factor.c.person == person_id, factor.c.id == id_)).rowcount


def remove_unconfirmed(tx: Connection, person_id: str) -> None:
    """Remove what a person began and did not finish."""
    tx.execute(delete(factor).where(factor.c.person == person_id, factor.c.confirmed_ms.is_(None)))


def remove_all(tx: Connection, person_id: str) -> int:
    """Remove all factors and recovery codes of a person; returns how many factors there were."""
    tx.execute(delete(recovery_code).where(recovery_code.c.person == person_id))
    return tx.execute(delete(factor).where(factor.c.person == person_id)).rowcount


def set_recovery_codes(tx: Connection, institution_id: UUID, person_id: str, hashes: list[bytes]) -> None:
    """These codes in place of those of before."""
    tx.execute(delete(recovery_code).where(recovery_code.c.person == person_id))
    rows = [{"hash": one, "institution": institution_id, "person": person_id} for one in hashes]
    tx.execute(insert(recovery_code), rows)


def take_recovery_code(tx: Connection, person_id: str, digest: bytes) -> bool:
    """Use a code, which is then no more."""
    found = delete(recovery_code).where(recovery_code.c.hash == digest, recovery_code.c.person == person_id)
    return tx.execute(found).rowcount == 1


def recovery_codes_left(tx: Connection, person_id: str) -> int:
    """How many codes a person has left."""
    return len(tx.execute(select(recovery_code.c.hash).where(recovery_code.c.person == person_id)).all())
