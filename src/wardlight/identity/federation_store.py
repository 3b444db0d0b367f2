"""All SQL of sign-in by institutions' own providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from wardlight.db.insert import upsert
from wardlight.identity.federation_tables import federation, federation_attempt, federation_person


@dataclass(frozen=True, slots=True)
class Federation:
    """An institution's provider. secret: sealed; None where the platform proves itself by a signature.

    login_claim: which claim is the person's login here. required_claim, required_value: what a person's token must say,
    "" for nothing. default_role: of people who come without an invitation, "" where none may.
    """

    institution: UUID
    issuer: str
    client_id: str
    secret: bytes | None = field(repr=False)
    login_claim: str
    required_claim: str
    required_value: str
    default_role: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that left for a provider, of one browser."""

    institution: UUID
    browser: bytes = field(repr=False)
    issuer: str
    return_to: str
    expires_ms: int


_NAMES = (
    "institution",
    "issuer",
    "client_id",
    "secret",
    "login_claim",
    "required_claim",
    "required_value",
    "default_role",
    "created_ms",
)


def find(tx: Connection, institution: UUID) -> Federation | None:
    """The institution's provider."""
    row = tx.execute(select(federation).where(federation.c.institution == institution)).first()
    return Federation(*(getattr(row, name) for name in _NAMES)) if row else None


def put(tx: Connection, row: Federation) -> None:
    """Keep it in the place of the one before; with another issuer, nobody is known by it any more."""
    before = find(tx, row.institution)
    if before is not None and before.issuer != row.issuer:
        _forget(tx, row.institution)
    values = {name: getattr(row, name) for name in _NAMES}
    statement = upsert(tx, federation).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=[federation.c.institution], set_=values))


def remove(tx: Connection, institution: UUID) -> bool:
    """Forget it, and who is known by it; False where there is none."""
    _forget(tx, institution)
    return tx.execute(delete(federation).where(federation.c.institution == institution)).rowcount == 1


def add_attempt(tx: Connection, state: bytes, row: Attempt) -> None:
    """Remember a sign-in that leaves."""
    values = {
        "state": state,
        "institution": row.institution,
        "browser": row.browser,
        "issuer": row.issuer,
        "return_to": row.return_to,
        "expires_ms": row.expires_ms,
    }
    tx.execute(insert(federation_attempt), values)


def take_attempt(tx: Connection, institution: UUID, state: bytes) -> Attempt | None:
    """The sign-in of this state to this institution, which comes back only once."""
    columns = federation_attempt.c
    query = (
        delete(federation_attempt)
        .where(columns.state == state, columns.institution == institution)
        .returning(
            columns.institution, columns.browser, columns.issuer, columns.return_to, columns.expires_ms
        )
    )
    row = tx.execute(query).first()
    return Attempt(*row) if row else None


def sweep(tx: Connection, now_ms: int) -> int:
    """Forget sign-ins that never came back; returns how many."""
    over = federation_attempt.c.expires_ms <= now_ms
    return tx.execute(delete(federation_attempt).where(over)).rowcount


def person_of(tx: Connection, institution: UUID, subject: str) -> str | None:
    """Whom the provider's subject is here."""
    query = select(federation_person.c.person).where(
        federation_person.c.institution == institution, federation_person.c.subject == subject
    )
    return tx.execute(query).scalar()


def is_known(tx: Connection, person: str) -> bool:
    """Whether some subject is this person already."""
    query = select(federation_person.c.person).where(federation_person.c.person == person)
    return tx.execute(query).first() is not None


def bind(tx: Connection, institution: UUID, subject: str, person: str, now_ms: int) -> None:
    """The subject is this person from now on; raises IntegrityError where either is bound."""
    values = {"institution": institution, "subject": subject, "person": person, "created_ms": now_ms}
    tx.execute(insert(federation_person), values)


def forget(tx: Connection, person: str) -> None:
    """Nobody is this person any more."""
    tx.execute(delete(federation_person).where(federation_person.c.person == person))


def _forget(tx: Connection, institution: UUID) -> None:
    tx.execute(delete(federation_person).where(federation_person.c.institution == institution))
    tx.execute(delete(federation_attempt).where(federation_attempt.c.institution == institution))
