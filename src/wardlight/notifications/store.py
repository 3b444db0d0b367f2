"""All SQL about definitions, preferences, addresses and the bell."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from wardlight.access.model import Role
from wardlight.access.store import live
from wardlight.access.tables import grant
from wardlight.agreements.model import IMAGES
from wardlight.agreements.tables import subscription
from wardlight.archive.model import ReleaseState
from wardlight.archive.tables import release
from wardlight.db.insert import upsert
from wardlight.identity.store import ACTIVE
from wardlight.identity.tables import person, receiver, token
from wardlight.notifications.model import (
    PLATFORM,
    Item,
    Mail,
    Permission,
    Preference,
)
from wardlight.notifications.tables import address, item, mail, preference, pulse, silence

_READABLE: Final = (ReleaseState.RECEIVING.value, ReleaseState.COMPLETE.value)
#: Person "" in `pulse`: the institution's studies.
STUDIES: Final = ""


def shown(table: Table, role: Role) -> tuple[ColumnElement[bool], ...]:
    """Whether a row of `item` or `mail` may be shown to its person now, in this role; at `:now` for researchers.

    Decided at each reading: the role may have changed, the study or the subscription may be gone.
    """
    study: ColumnElement[bool] = exists().where(
        release.c.id == table.c.release, release.c.state.in_(_READABLE)
    )
    if role is Role.RESEARCHER:
        shared = exists().where(grant.c.release == table.c.release, grant.c.person == table.c.person, live())
        study = study & shared
    subscribed = exists().where(
        subscription.c.institution == table.c.institution,
        subscription.c.application == table.c.application,
        subscription.c.ended_ms.is_(None),
    )
    return (
        table.c.permission.in_([one.value for one in Permission.of(role)]),
        or_(table.c.application == PLATFORM, subscribed),
        or_(table.c.release.is_(None), study),
    )


# ---- people ----


def audience(
    tx: Connection, institution: UUID, permission: Permission, people: Collection[str] | None = None
) -> list[str]:
    """Active people of an institution who have a permission, of these where some are named."""
    query = select(person.c.id).where(
        person.c.institution == institution,
        person.c.state == ACTIVE,
        person.c.role.in_([role.value for role in permission.roles]),
    )
    if people is not None:
        query = query.where(person.c.id.in_(list(people)))
    return list(tx.execute(query.order_by(person.c.id)).scalars())


def of_role(tx: Connection, institution: UUID, role: Role) -> list[str]:
    """Active people of a role."""
    mine = (person.c.institution == institution, person.c.role == role.value, person.c.state == ACTIVE)
    return list(tx.execute(select(person.c.id).where(*mine)).scalars())


def role_of(tx: Connection, institution: UUID, id_: str) -> Role | None:
    """The role of somebody active."""
    one = (person.c.institution == institution, person.c.id == id_, person.c.state == ACTIVE)
    found = tx.execute(select(person.c.role).where(*one)).scalar()
    return Role(found) if found else None


def preferences(tx: Connection, institution: UUID, application: str, name: str) -> dict[str, Preference]:
    """What people of an institution chose of one definition, by person."""
    mine = (
        preference.c.institution == institution,
        preference.c.application == application,
        preference.c.name == name,
    )
    return {
        row.person: Preference(row.bell, Mail(row.mail))
        for row in tx.execute(select(preference).where(*mine))
    }


def preferences_of(tx: Connection, institution: UUID, id_: str) -> dict[tuple[str, str], Preference]:
    """What one person chose, by application and name."""
    mine = (preference.c.institution == institution, preference.c.person == id_)
    return {
        (row.application, row.name): Preference(row.bell, Mail(row.mail))
        for row in tx.execute(select(preference).where(*mine))
    }


def prefer(tx: Connection, institution: UUID, id_: str, key: tuple[str, str], wanted: Preference) -> None:
    """Note what a person chose."""
    values = {"bell": wanted.bell, "mail": wanted.mail.value}
    row = upsert(tx, preference).values(
        institution=institution, person=id_, application=key[0], name=key[1], **values
    )
    tx.execute(
        row.on_conflict_do_update(
            index_elements=[preference.c.person, preference.c.application, preference.c.name], set_=values
        )
    )


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person wants mail. code: hash of what was sent there; tries: that are left for it."""

    address: str
    code: bytes | None
    code_ms: int
    tries: int
    confirmed_ms: int | None


def address_of(tx: Connection, institution: UUID, id_: str) -> Address | None:
    """The address of a person, confirmed or not."""
    mine = (address.c.institution == institution, address.c.person == id_)
    columns = (address.c.address, address.c.code, address.c.code_ms, address.c.tries, address.c.confirmed_ms)
    row = tx.execute(select(*columns).where(*mine)).first()
    return Address(*row) if row else None


def set_address(tx: Connection, institution: UUID, id_: str, **values: Any) -> None:
    """Change somebody's address, or what was sent there."""
    row = upsert(tx, address).values(institution=institution, person=id_, **values)
    tx.execute(row.on_conflict_do_update(index_elements=[address.c.person], set_=values))


def change_address(tx: Connection, institution: UUID, id_: str, **values: Any) -> None:
    """Change some of it, where there is one."""
    mine = (address.c.institution == institution, address.c.person == id_)
    tx.execute(update(address).where(*mine).values(values))


def drop_address(tx: Connection, institution: UUID, id_: str) -> None:
    """No mail any more."""
    tx.execute(delete(address).where(address.c.institution == institution, address.c.person == id_))


def with_address(tx: Connection, institution: UUID, people: Collection[str]) -> set[str]:
    """Those of these people whom mail reaches."""
    mine = (
        address.c.institution == institution,
        address.c.person.in_(list(people)),
        address.c.confirmed_ms.is_not(None),
    )
    return set(tx.execute(select(address.c.person).where(*mine)).scalars())


# ---- the bell ----


def add_items(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """More rows; `data` as an object."""
    if rows:
        tx.execute(insert(item), [{**row, "data": text_of(row["data"])} for row in rows])


def text_of(data: Mapping[str, Any]) -> str:
    """As it is stored."""
    return json.dumps(dict(data), sort_keys=True, separators=(",", ":"))


def gathered(
    tx: Connection, institution: UUID, people: Collection[str], key: tuple[str, str], about: str
) -> dict[str, int]:
    """Take out what these people have not read of this; person → how many that stood for."""
    mine = (
        item.c.institution == institution,
        item.c.person.in_(list(people)),
        item.c.application == key[0],
        item.c.name == key[1],
        item.c.about == about,
        item.c.read_ms.is_(None),
    )
    rows = tx.execute(select(item.c.id, item.c.person, item.c.data).where(*mine)).all()
    if rows:
        tx.execute(delete(item).where(item.c.id.in_([row.id for row in rows])))
    found: dict[str, int] = {}
    for row in rows:
        found[row.person] = found.get(row.person, 0) + int(json.loads(row.data).get("count", 1))
    return found


def items(
    tx: Connection,
    institution: UUID,
    id_: str,
    role: Role,
    now_ms: int,
    *,
    before: UUID | None,
    unread: bool,
    limit: int,
) -> list[Item]:
    """What a person may be shown now, newest first, before a row."""
    query = select(item).where(item.c.institution == institution, item.c.person == id_, *shown(item, role))
    if before is not None:
        query = query.where(item.c.id < before)
    if unread:
        query = query.where(item.c.read_ms.is_(None))
    rows = tx.execute(query.order_by(item.c.id.desc()).limit(limit), {"now": now_ms})
    return [
        Item(
            row.id, row.application, row.name, row.version, json.loads(row.data), row.release, row.created_ms,
            row.read_ms,
        )
        for row in rows
    ]  # fmt: skip


def unread(tx: Connection, institution: UUID, id_: str, role: Role, now_ms: int) -> int:
    """How many of them the person has not read."""
    mine = (item.c.institution == institution, item.c.person == id_, item.c.read_ms.is_(None))
    query = select(func.count()).select_from(item).where(*mine, *shown(item, role))
    return int(tx.execute(query, {"now": now_ms}).scalar_one())


def mark(tx: Connection, institution: UUID, id_: str, ids: Collection[UUID] | None, now_ms: int) -> int:
    """Note that a person has read these, or all; returns how many."""
    query = update(item).where(
        item.c.institution == institution, item.c.person == id_, item.c.read_ms.is_(None)
    )
    if ids is not None:
        query = query.where(item.c.id.in_(list(ids)))
    return tx.execute(query.values(read_ms=now_ms)).rowcount


def groups(tx: Connection, institution: UUID, releases: Collection[UUID]) -> dict[UUID, bytes]:
    """The study group of each of these releases."""
    mine = (release.c.institution == institution, release.c.id.in_(list(releases)))
    return {
        row.id: row.study_group
        for row in tx.execute(select(release.c.id, release.c.study_group).where(*mine))
    }


def is_new_study(tx: Connection, institution: UUID, id_: UUID) -> bool:
    """Whether a release that can be read is the institution's own, and not made here of another."""
    mine = (
        release.c.institution == institution,
        release.c.id == id_,
        release.c.application == IMAGES,
        release.c.derived_from.is_(None),
        release.c.state.in_(_READABLE),
    )
    return tx.execute(select(release.c.id).where(*mine)).first() is not None


def drop_releases(tx: Connection, institution: UUID, releases: Collection[UUID]) -> list[str]:
    """Take out all that is about these studies, also what is to be mailed; returns whose bells changed."""
    ids = list(releases)
    mine = (item.c.institution == institution, item.c.release.in_(ids))
    people = list(tx.execute(select(item.c.person).where(*mine).distinct()).scalars())
    tx.execute(delete(item).where(*mine))
    tx.execute(delete(mail).where(mail.c.institution == institution, mail.c.release.in_(ids)))
    return people


def prune(tx: Connection, before_ms: int) -> int:
    """Drop rows that are older, and mails that ended before."""
    gone = tx.execute(delete(item).where(item.c.created_ms < before_ms)).rowcount
    return gone + tx.execute(delete(mail).where(mail.c.ended_ms < before_ms)).rowcount


# ---- receivers ----


def silent(tx: Connection, before_ms: int) -> list[tuple[UUID, str, int]]:
    """Receivers that got their newest token before then, if nobody was told: institution, id, when that was.

    They ask for one every few minutes; long-lived ones, as the demo has them, say nothing of who is there.
    """
    newest = func.max(token.c.created_ms)
    query = (
        select(receiver.c.institution, receiver.c.id, newest)
        .join(token, token.c.holder == receiver.c.id)
        .outerjoin(silence, silence.c.receiver == receiver.c.id)
        .where(receiver.c.state == ACTIVE, token.c.expires_ms - token.c.created_ms < 86_400_000)
        .group_by(receiver.c.institution, receiver.c.id, silence.c.seen_ms)
        .having((newest < before_ms) & (func.coalesce(silence.c.seen_ms, 0) < newest))
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def note_silence(tx: Connection, institution: UUID, id_: str, seen_ms: int) -> None:
    """People are told of this silence."""
    row = upsert(tx, silence).values(receiver=id_, institution=institution, seen_ms=seen_ms)
    tx.execute(row.on_conflict_do_update(index_elements=[silence.c.receiver], set_={"seen_ms": seen_ms}))


# ---- pulses ----


def beat(tx: Connection, institution: UUID, people: Collection[str]) -> None:
    """Something changed for these people, or (`STUDIES`) of the institution's studies."""
    for one in sorted(set(people)):
        row = upsert(tx, pulse).values(institution=institution, person=one, seq=1)
        tx.execute(
            row.on_conflict_do_update(
                index_elements=[pulse.c.institution, pulse.c.person], set_={"seq": pulse.c.seq + 1}
            )
        )


def pulses(tx: Connection, people: Collection[str]) -> dict[tuple[UUID, str], tuple[int, int]]:
    """By institution and person, how often their bell changed, and the institution's studies."""
    own, studies = pulse.alias("own"), pulse.alias("studies")
    query = (
        select(
            person.c.institution, person.c.id, func.coalesce(own.c.seq, 0), func.coalesce(studies.c.seq, 0)
        )
        .outerjoin(own, (own.c.person == person.c.id) & (own.c.institution == person.c.institution))
        .outerjoin(studies, (studies.c.person == STUDIES) & (studies.c.institution == person.c.institution))
        .where(person.c.id.in_(list(people)))
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in tx.execute(query)}
