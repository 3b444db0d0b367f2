"""All SQL about institutions, people, receivers, applications and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from wardlight.db.prepared import Prepared
from wardlight.db.schema import metadata
from wardlight.identity.model import Institution, Person, Receiver, Role
from wardlight.identity.tables import application, institution, person, receiver, token

ACTIVE: Final = "active"

# One look-up tells whether token, holder and institution stand.
_AUTHENTICATE: Final = Prepared(
    select(
        token.c.id,
        token.c.kind,
        token.c.institution,
        token.c.holder,
        token.c.scopes,
        token.c.expires_ms,
        token.c.revoked_ms,
        institution.c.state.label("institution_state"),
        institution.c.networks,
        person.c.state.label("person_state"),
        person.c.role,
        receiver.c.state.label("receiver_state"),
        token.c.application,
        application.c.state.label("application_state"),
        token.c.purpose,
        token.c.jkt,
        token.c.study,
    )
    .select_from(
        token.join(institution, institution.c.id == token.c.institution)
        .outerjoin(person, and_(person.c.id == token.c.holder, person.c.institution == token.c.institution))
        .outerjoin(
            receiver, and_(receiver.c.id == token.c.holder, receiver.c.institution == token.c.institution)
        )
        .outerjoin(application, application.c.id == token.c.application)
    )
    .where(token.c.hash == bindparam("hash"))
    .limit(1)
)


def add_institution(tx: Connection, row: Institution) -> None:
    """Insert an institution; raises IntegrityError where its slug is taken."""
    tx.execute(
        insert(institution),
        {
            "id": row.id,
            "slug": row.slug,
            "name": row.name,
            "region": row.region,
            "state": row.state,
            "created_ms": row.created_ms,
            "networks": row.networks,
        },
    )


def change_institution(tx: Connection, before: Institution, row: Institution, closed: str) -> bool:
    """Store name, networks and state; False where it is closed, or another was stored meanwhile."""
    same = (
        institution.c.id == row.id,
        institution.c.state == before.state,
        institution.c.name == before.name,
        institution.c.networks == before.networks,
        institution.c.state != closed,
    )
    values = {"name": row.name, "networks": row.networks, "state": row.state}
    return tx.execute(update(institution).where(*same).values(values)).rowcount == 1


def institutions(tx: Connection, slug: str | None = None, id_: UUID | None = None) -> list[Institution]:
    """All institutions by slug, or the one of this slug or id."""
    query = select(institution).order_by(institution.c.slug)
    if slug is not None:
        query = query.where(institution.c.slug == slug)
    if id_ is not None:
        query = query.where(institution.c.id == id_)
    return [
        Institution(row.id, row.slug, row.name, row.region, row.state, row.created_ms, row.networks)
        for row in tx.execute(query)
    ]


def add_person(tx: Connection, row: Person, name_salt: bytes) -> None:
    """Insert a person; raises IntegrityError where the institution has that login."""
    tx.execute(
        insert(person),
        {
            "id": row.id,
            "institution": row.institution,
            "login": row.login,
            "name": row.name,
            "name_salt": name_salt,
            "role": row.role.value,
            "state": row.state,
            "created_ms": row.created_ms,
        },
    )


def people(
    tx: Connection,
    institution_id: UUID,
    login: str | None = None,
    *,
    id_: str | None = None,
    lock: bool = False,
) -> list[Person]:
    """People of an institution by login, or the one of this login or id.

    lock: nobody else changes people of the institution so until the transaction ends.
    """
    if lock:
        tx.execute(select(institution.c.id).where(institution.c.id == institution_id).with_for_update())
    query = select(person).where(person.c.institution == institution_id).order_by(person.c.login)
    if login is not None:
        query = query.where(person.c.login == login)
    if id_ is not None:
        query = query.where(person.c.id == id_)
    return [
        Person(row.id, row.institution, row.login, row.name, Role(row.role), row.state, row.created_ms)
        for row in tx.execute(query)
    ]


def rename_person(tx: Connection, row: Person, name_salt: bytes) -> None:
    """Store another name, with the salt of the trail's commitment to it."""
    tx.execute(update(person).where(person.c.id == row.id).values(name=row.name, name_salt=name_salt))


def set_role(tx: Connection, person_id: str, role: Role) -> None:
    """Store another role."""
    tx.execute(update(person).where(person.c.id == person_id).values(role=role.value))


def set_person_state(tx: Connection, person_id: str, state: str) -> None:
    """Store another state."""
    tx.execute(update(person).where(person.c.id == person_id).values(state=state))


def administrators(tx: Connection, institution_id: UUID) -> list[str]:
    """Ids of the institution's active administrators."""
    query = select(person.c.id).where(
        person.c.institution == institution_id,
        person.c.role == Role.ADMINISTRATOR.value,
        person.c.state == ACTIVE,
    )
    return list(tx.execute(query).scalars())


def delete_person(tx: Connection, institution_id: UUID, person_id: str) -> None:
    """Delete a person's row, and all rows that are theirs, whichever part of the platform has them."""
    for table in reversed(metadata.sorted_tables):
        for column in table.c:
            if any(key.column is person.c.id for key in column.foreign_keys):
                tx.execute(delete(table).where(column == person_id))
    tx.execute(delete(person).where(person.c.institution == institution_id, person.c.id == person_id))


def add_receiver(tx: Connection, row: Receiver) -> None:
    """Insert a receiver; raises IntegrityError where the institution has that name."""
    tx.execute(
        insert(receiver),
        {
            "id": row.id,
            "institution": row.institution,
            "name": row.name,
            "state": row.state,
            "created_ms": row.created_ms,
        },
    )


def receivers(tx: Connection, institution_id: UUID) -> list[Receiver]:
    """Receivers of an institution by name."""
    query = select(receiver).where(receiver.c.institution == institution_id).order_by(receiver.c.name)
    return [
        Receiver(row.id, row.institution, row.name, row.state, row.created_ms) for row in tx.execute(query)
    ]


def add_token(tx: Connection, values: dict[str, Any]) -> None:
    """Insert a token row."""
    tx.execute(insert(token), values)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token with the states of holder, application and institution; what there is no row of is None.

    jkt: thumbprint of the key by which each request with it must be signed.
    """

    id: UUID
    kind: str
    institution: UUID
    holder: str
    scopes: str
    expires_ms: int
    revoked_ms: int | None
    institution_state: str
    networks: str
    person_state: str | None
    role: str | None
    receiver_state: str | None
    application: str | None
    application_state: str | None
    purpose: str
    jkt: bytes | None
    study: bytes | None = field(repr=False)


def find_token(tx: Connection, digest: bytes) -> TokenRow | None:
    """The token of this digest."""
    row = _AUTHENTICATE.first(tx, {"hash": digest})
    return TokenRow(*row) if row else None


def revoke_study_tokens(tx: Connection, institution_id: UUID, holder: str, study: bytes, now_ms: int) -> int:
    """End all of one holder's tokens that show this study alone; returns how many lived."""
    return tx.execute(
        update(token)
        .where(
            token.c.institution == institution_id,
            token.c.holder == holder,
            token.c.study == study,
            token.c.expires_ms > now_ms,
            token.c.revoked_ms.is_(None),
        )
        .values(revoked_ms=now_ms)
    ).rowcount


def revoke_tokens(tx: Connection, institution_id: UUID, holder: str, now_ms: int) -> int:
    """End all tokens of one holder; returns how many lived."""
    return tx.execute(
        update(token)
        .where(token.c.institution == institution_id, token.c.holder == holder, token.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    ).rowcount
