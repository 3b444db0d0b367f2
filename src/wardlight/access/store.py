"""All SQL about grants, and the one expression that tells whether a grant is live."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from wardlight.access.model import Grant, Rights
from wardlight.access.tables import grant
from wardlight.agreements.model import IMAGES
from wardlight.agreements.tables import agreement, subscription
from wardlight.db.prepared import Prepared
from wardlight.identity.store import ACTIVE
from wardlight.identity.tables import application, person
from wardlight.identity.tables import institution as institution_row

#: Grants that one call of a job ends.
BATCH: Final = 200


def live() -> ColumnElement[bool]:
    """Whether a row of `grant` gives access at `:now`: the one rule, joined by every read and cached by none (R6.4).

    It stands on its time, its agreement's version, the subscription, its application and its person. The
    release's state is for whoever joins it.
    """
    now = bindparam("now", type_=BigInteger)
    return and_(
        grant.c.ended_ms.is_(None),
        grant.c.not_before_ms <= now,
        # An expression, so that no index of times is walked: what is looked up is a release or a holder.
        grant.c.expires_ms + 0 > now,
        exists().where(
            agreement.c.id == grant.c.agreement,
            agreement.c.version == grant.c.agreement_version,
            agreement.c.withdrawn_ms.is_(None),
            or_(agreement.c.ends_ms.is_(None), agreement.c.ends_ms > now),
        ),
        exists().where(
            subscription.c.institution == grant.c.institution,
            subscription.c.application == func.coalesce(grant.c.application, IMAGES),
            subscription.c.ended_ms.is_(None),
            # One that ended and began again brings nothing back.
            subscription.c.created_ms <= grant.c.created_ms,
        ),
        or_(
            grant.c.application.is_(None),
            exists().where(application.c.id == grant.c.application, application.c.state == ACTIVE),
        ),
        or_(
            grant.c.person.is_(None),
            exists().where(
                person.c.id == grant.c.person,
                person.c.institution == grant.c.institution,
                person.c.state == ACTIVE,
            ),
        ),
    )


def held(kind: str) -> tuple[ColumnElement[bool], ...]:
    """Live grants of `:institution` that `:holder`, an `application` or a `person`, has for `:purpose`."""
    return (grant.c.institution == bindparam("institution"), *_held(kind, found=False))


def held_on(kind: str) -> tuple[ColumnElement[bool], ...]:
    """The same for grants that were found by their release, which is the institution's."""
    return _held(kind, found=True)


def _held(kind: str, *, found: bool) -> tuple[ColumnElement[bool], ...]:
    holder: ColumnElement[str] = grant.c.application if kind == "application" else grant.c.person
    return (
        # An expression keeps the planner from walking all that the holder has.
        (func.coalesce(holder, "") if found else holder) == bindparam("holder"),
        grant.c.purposes.like(bindparam("purpose"), escape="/"),
        live(),
    )


def spaced(purpose: str) -> str:
    """A purpose as `held` looks for it, "" for any: between spaces, so that no code is found inside another."""
    plain = re.sub(r"([%_/])", r"/\1", purpose)
    return f"% {plain} %" if purpose else "%"


_COLUMNS: Final = (
    grant.c.id,
    grant.c.institution,
    grant.c.application,
    grant.c.person,
    grant.c.release,
    grant.c.study_group,
    grant.c.subject_ref,
    grant.c.study_ref,
    grant.c.agreement,
    grant.c.agreement_version,
    grant.c.purposes,
    grant.c.rights,
    grant.c.not_before_ms,
    grant.c.expires_ms,
    grant.c.created_ms,
    grant.c.created_by,
    grant.c.ended_ms,
    grant.c.ended_reason,
)
_GRANTS: Final = select(*_COLUMNS)
_ADD: Final = Prepared(insert(grant))


def add(tx: Connection, row: Grant) -> None:
    """Insert a grant."""
    values = {
        "id": row.id,
        "institution": row.institution,
        "application": row.application,
        "person": row.person,
        "release": row.release,
        "study_group": row.study_group,
        "subject_ref": row.patient_ref,
        "study_ref": row.study_ref,
        "agreement": row.agreement[0],
        "agreement_version": row.agreement[1],
        "purposes": f" {' '.join(sorted(row.purposes))} ",
        "rights": " ".join(sorted(row.rights)),
        "not_before_ms": row.not_before_ms,
        "expires_ms": row.expires_ms,
        "created_ms": row.created_ms,
        "created_by": row.created_by,
        "ended_ms": row.ended_ms,
        "ended_reason": row.ended_reason,
    }
    _ADD.run(tx, [values])


def _grant(row: Sequence[Any]) -> Grant:
    values = list(row)
    values[8:10] = [(values[8], values[9])]
    values[9] = tuple(values[9].split())
    values[10] = frozenset(Rights(right) for right in values[10].split())
    values[5] = bytes(values[5])
    return Grant(*values)


_BY_ID: Final = Prepared(
    _GRANTS.where(grant.c.id == bindparam("grant"), grant.c.institution == bindparam("institution"))
)
_LIVE_BY_ID: Final = Prepared(
    _GRANTS.where(grant.c.id == bindparam("grant"), grant.c.institution == bindparam("institution"), live())
)
# Who brings a token of a suspended institution is nobody; who brings none is asked for it here.
_OPEN_INSTITUTION: Final = exists().where(
    institution_row.c.id == grant.c.institution, institution_row.c.state == ACTIVE
)
_ANYWHERE: Final = Prepared(_GRANTS.where(grant.c.id == bindparam("grant"), live(), _OPEN_INSTITUTION))


def by_id(tx: Connection, institution: UUID, id_: UUID) -> Grant | None:
    """The grant of this id, live or not."""
    row = _BY_ID.first(tx, {"grant": id_, "institution": institution})
    return _grant(row) if row else None


def live_by_id(tx: Connection, institution: UUID, id_: UUID, now_ms: int) -> Grant | None:
    """The grant of this id, if it gives access now."""
    row = _LIVE_BY_ID.first(tx, {"grant": id_, "institution": institution, "now": now_ms})
    return _grant(row) if row else None


def live_anywhere(tx: Connection, id_: UUID, now_ms: int) -> Grant | None:
    """The same for whoever brings only the id, as a signed link does; in a transaction over all institutions."""
    row = _ANYWHERE.first(tx, {"grant": id_, "now": now_ms})
    return _grant(row) if row else None


_OPEN_OF_RELEASE: Final = Prepared(
    _GRANTS.where(grant.c.release == bindparam("release"), grant.c.ended_ms.is_(None))
)


def open_of_release(tx: Connection, release: UUID) -> list[Grant]:
    """Grants on a release that have not ended, whether they are live or not."""
    return [_grant(row) for row in _OPEN_OF_RELEASE.all(tx, {"release": release})]


def had_grant(tx: Connection, release: UUID, application: str) -> bool:
    """Whether the application has, or ever had, a grant on this release."""
    query = select(grant.c.id).where(grant.c.release == release, grant.c.application == application)
    return tx.execute(query.limit(1)).first() is not None


def listed(
    tx: Connection,
    institution: UUID,
    *,
    application: str | None = None,
    person: str | None = None,
    purpose: str = "",
    group: bytes | None = None,
    ended: bool = False,
    now_ms: int,
    after: UUID | None = None,
    limit: int = 100,
) -> list[Grant]:
    """Grants of an institution, newest first, of one holder or one study group; `ended`: those that are over, too."""
    query = _GRANTS.where(grant.c.institution == bindparam("institution"))
    values: dict[str, Any] = {"institution": institution}
    if not ended:
        query, values["now"] = query.where(live()), now_ms
    for column, value in (
        (grant.c.application, application),
        (grant.c.person, person),
        (grant.c.study_group, group),
    ):
        if value is not None:
            query = query.where(column == value)
    if purpose:
        query = query.where(grant.c.purposes.like(spaced(purpose), escape="/"))
    if after is not None:
        query = query.where(grant.c.id < after)
    # Ids are of version 7: their order is that of time.
    return [_grant(tuple(row)) for row in tx.execute(query.order_by(grant.c.id.desc()).limit(limit), values)]


def live_ids(tx: Connection, ids: Collection[UUID], now_ms: int) -> set[UUID]:
    """Those of these grants that give access now, of institutions that are not suspended."""
    query = select(grant.c.id).where(
        grant.c.id.in_(bindparam("ids", expanding=True)), live(), _OPEN_INSTITUTION
    )
    return set(tx.execute(query, {"ids": list(ids), "now": now_ms}).scalars())


def unagreed(tx: Connection, ids: Collection[str], now_ms: int) -> dict[tuple[str, int], str]:
    """Versions of these agreements that carry no access of the institution's own people any more, with the reason."""
    held = and_(
        agreement.c.withdrawn_ms.is_(None), or_(agreement.c.ends_ms.is_(None), agreement.c.ends_ms > now_ms)
    )
    subscribed = exists().where(
        subscription.c.institution == agreement.c.institution,
        subscription.c.application == agreement.c.application,
        subscription.c.ended_ms.is_(None),
    )
    query = select(agreement.c.id, agreement.c.version, held)
    rows = tx.execute(query.where(agreement.c.id.in_(ids), not_(and_(held, subscribed))))
    return {
        (id_, version): "not-subscribed" if in_force else "agreement-withdrawn"
        for id_, version, in_force in rows
    }


# ---- ending ----


def end(tx: Connection, id_: UUID, reason: str, now_ms: int) -> bool:
    """End a grant; False where it had ended before."""
    statement = update(grant).where(grant.c.id == id_, grant.c.ended_ms.is_(None))
    return tx.execute(statement.values(ended_ms=now_ms, ended_reason=reason)).rowcount == 1


def lost(tx: Connection, now_ms: int) -> list[tuple[Grant, str]]:
    """Open grants that have lost what they stood on, with the reason; at most `BATCH` of each."""
    opened = grant.c.ended_ms.is_(None)
    bases: tuple[tuple[str, ColumnElement[bool]], ...] = (
        ("grant-expired", grant.c.expires_ms <= now_ms),
        (
            "agreement-withdrawn",
            exists().where(
                agreement.c.id == grant.c.agreement,
                agreement.c.version == grant.c.agreement_version,
                or_(agreement.c.withdrawn_ms.is_not(None), agreement.c.ends_ms <= now_ms),
            ),
        ),
        (
            "not-subscribed",
            exists().where(
                subscription.c.institution == grant.c.institution,
                subscription.c.application == func.coalesce(grant.c.application, IMAGES),
                or_(subscription.c.ended_ms.is_not(None), subscription.c.created_ms > grant.c.created_ms),
            ),
        ),
        (
            "application-suspended",
            exists().where(application.c.id == grant.c.application, application.c.state != ACTIVE),
        ),
        (
            "person-suspended",
            exists().where(person.c.id == grant.c.person, person.c.state != ACTIVE),
        ),
    )
    found: dict[UUID, tuple[Grant, str]] = {}
    for reason, condition in bases:
        for row in tx.execute(_GRANTS.where(opened, condition).limit(BATCH)):
            one = _grant(tuple(row))
            found.setdefault(one.id, (one, reason))
    return list(found.values())
