"""SQL of browser sessions and of links by which people join or come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from wardlight.db.prepared import Prepared
from wardlight.identity.model import Person, Role
from wardlight.identity.people_tables import link, session
from wardlight.identity.tables import institution, person

_AUTHENTICATE: Final = Prepared(
    select(
        session.c.id,
        session.c.institution,
        session.c.person,
        session.c.method,
        session.c.seen_ms,
        session.c.expires_ms,
        session.c.stepped_ms,
        person.c.role,
        person.c.state,
        institution.c.state.label("institution_state"),
        institution.c.networks,
    )
    .select_from(
        session.join(person, person.c.id == session.c.person).join(
            institution, institution.c.id == session.c.institution
        )
    )
    .where(session.c.hash == bindparam("hash"))
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session with the states of its person and institution."""

    id: UUID
    institution: UUID
    person: str
    method: str
    seen_ms: int
    expires_ms: int
    stepped_ms: int
    role: str
    person_state: str
    institution_state: str
    networks: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its person is shown it."""

    id: UUID
    person: str
    method: str
    address: str
    created_ms: int
    seen_ms: int
    expires_ms: int


_SHOWN: Final = (
    session.c.id,
    session.c.person,
    session.c.method,
    session.c.address,
    session.c.created_ms,
    session.c.seen_ms,
    session.c.expires_ms,
)


def add(tx: Connection, values: dict[str, Any]) -> None:
    """Insert a session."""
    tx.execute(insert(session), values)


def find(tx: Connection, digest: bytes) -> SessionRow | None:
    """The session of this cookie's digest."""
    row = _AUTHENTICATE.first(tx, {"hash": digest})
    return SessionRow(*row) if row else None


def see(tx: Connection, id_: UUID, now_ms: int) -> None:
    """The session was used now."""
    tx.execute(update(session).where(session.c.id == id_, session.c.seen_ms < now_ms).values(seen_ms=now_ms))


def renew(tx: Connection, id_: UUID, digest: bytes, method: str, now_ms: int) -> bool:
    """Give the session a new cookie, which alone is good from now on."""
    values = {"hash": digest, "method": method, "stepped_ms": now_ms, "seen_ms": now_ms}
    return tx.execute(update(session).where(session.c.id == id_).values(values)).rowcount == 1


def sessions(tx: Connection, person_id: str) -> list[Session]:
    """Sessions of a person, newest first."""
    query = select(*_SHOWN).where(session.c.person == person_id).order_by(session.c.created_ms.desc())
    return [Session(*row) for row in tx.execute(query)]


def end(tx: Connection, person_id: str, id_: UUID | None = None, *, but: UUID | None = None) -> int:
    """End one session of a person, or all (but one); returns how many there were."""
    ended = delete(session).where(session.c.person == person_id)
    if id_ is not None:
        ended = ended.where(session.c.id == id_)
    if but is not None:
        ended = ended.where(session.c.id != but)
    return tx.execute(ended).rowcount


def end_old(tx: Connection, seen_before_ms: int, now_ms: int, most: int) -> list[tuple[UUID, str]]:
    """End sessions that are over, at most so many; returns whose they were."""
    over = or_(session.c.seen_ms <= seen_before_ms, session.c.expires_ms <= now_ms)
    found = (
        tx.execute(select(session.c.id).where(over).order_by(session.c.seen_ms).limit(most)).scalars().all()
    )
    if not found:
        return []
    ended = delete(session).where(session.c.id.in_(found)).returning(session.c.institution, session.c.person)
    return [(row.institution, row.person) for row in tx.execute(ended)]


def add_link(tx: Connection, values: dict[str, Any]) -> None:
    """A new link; what the person was sent before is good no more."""
    tx.execute(delete(link).where(link.c.person == values["person"]))
    tx.execute(insert(link), values)


def link_person(tx: Connection, digest: bytes, now_ms: int) -> Person | None:
    """Whose link it is, while it is good."""
    row = tx.execute(
        select(person)
        .select_from(link.join(person, person.c.id == link.c.person))
        .where(link.c.hash == digest, link.c.expires_ms > now_ms)
    ).first()
    if row is None:
        return None
    return Person(row.id, row.institution, row.login, row.name, Role(row.role), row.state, row.created_ms)


def take_link(tx: Connection, digest: bytes, now_ms: int) -> tuple[UUID, str, str] | None:
    """Use a link, which is then no more: institution, person and kind; None where it is not good (any more)."""
    columns = (link.c.institution, link.c.person, link.c.kind, link.c.expires_ms)
    row = tx.execute(delete(link).where(link.c.hash == digest).returning(*columns)).first()
    return (row.institution, row.person, row.kind) if row and row.expires_ms > now_ms else None


def drop_links(tx: Connection, person_id: str) -> None:
    """What the person was sent is good no more."""
    tx.execute(delete(link).where(link.c.person == person_id))


def sweep_links(tx: Connection, now_ms: int) -> int:
    """Drop links that nobody followed in time."""
    return tx.execute(delete(link).where(link.c.expires_ms <= now_ms)).rowcount
