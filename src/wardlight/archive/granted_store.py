"""All SQL that joins releases with grants: what somebody who was granted something may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, and_, bindparam, func, select

from wardlight import clock
from wardlight.access import store as access
from wardlight.access.tables import grant
from wardlight.agreements.tables import agreement
from wardlight.archive.model import IMAGES, ReleaseState
from wardlight.archive.store import IN_VALUES, RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import release
from wardlight.db.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose grants count: `kind` is application or person. purpose: "" where any will do."""

    kind: str
    institution: UUID
    id: str
    purpose: str

    def values(self) -> dict[str, Any]:
        """Values for statements with `access.store.held`."""
        return {
            "institution": self.institution,
            "holder": self.id,
            "purpose": access.spaced(self.purpose),
            "now": clock.unix_ms(),
        }


def granted_releases(kind: str) -> Select[Any]:
    """Ids of the releases that a holder of this kind has live grants on."""
    return select(grant.c.release).where(*access.held(kind))


@dataclass(frozen=True, slots=True)
class GrantRow:
    """The grant that a read rests on. basis: the legal basis of its agreement."""

    id: UUID
    purposes: str
    agreement: str
    agreement_version: int
    basis: str


_BASIS: Final = (
    select(agreement.c.legal_basis)
    .where(agreement.c.id == grant.c.agreement, agreement.c.version == grant.c.agreement_version)
    .scalar_subquery()
)
# A release may have been granted twice: the longer one counts.
_FIND_GRANTED: Final = {
    kind: Prepared(
        select(
            *RELEASE_COLUMNS,
            grant.c.id,
            grant.c.purposes,
            grant.c.agreement,
            grant.c.agreement_version,
            _BASIS,
        )
        .select_from(release.join(grant, grant.c.release == release.c.id))
        .where(
            release.c.institution == bindparam("institution"),
            release.c.token == bindparam("token"),
            release.c.instance_count > 0,
            release.c.state != ReleaseState.DELETING.value,
            *access.held_on(kind),
        )
        .order_by(grant.c.expires_ms.desc())
        .limit(1)
    )
    for kind in ("application", "person")
}


def find_granted(tx: Connection, holder: Holder, token: bytes) -> tuple[ReleaseRow, GrantRow] | None:
    """The release that a holder's live grant is on and that answers to a Study UID: one statement decides it all."""
    row = _FIND_GRANTED[holder.kind].first(tx, {"token": token, **holder.values()})
    if row is None:
        return None
    cut = len(RELEASE_COLUMNS)
    return release_row(row[:cut]), GrantRow(*row[cut:])


_STAYS: Final = release.c.state != ReleaseState.DELETING.value
_OF_IDS: Final = select(*RELEASE_COLUMNS).where(
    release.c.institution == bindparam("institution"),
    release.c.id.in_(bindparam("values", expanding=True)),
    _STAYS,
)
_OF_GROUPS: Final = (
    select(*RELEASE_COLUMNS)
    .where(
        release.c.institution == bindparam("institution"),
        release.c.study_group.in_(bindparam("values", expanding=True)),
        release.c.application == IMAGES,
        _STAYS,
    )
    .order_by(release.c.preference.desc())
)


def releases_by_ids(tx: Connection, institution: UUID, ids: Iterable[UUID]) -> list[ReleaseRow]:
    """Releases of these ids that are not on their way out."""
    return _releases(tx, _OF_IDS, institution, set(ids))


def images_of_groups(tx: Connection, institution: UUID, groups: Iterable[bytes]) -> list[ReleaseRow]:
    """Images' releases of these study groups, the preferred one of each last."""
    return _releases(tx, _OF_GROUPS, institution, set(groups))


# Whatever was granted, in whatever state: the newest first.
_ANY_GRANT: Final = {
    kind: Prepared(
        select(
            grant.c.ended_reason,
            grant.c.expires_ms,
            grant.c.purposes,
            release.c.state,
            agreement.c.withdrawn_ms,
            agreement.c.ends_ms,
        )
        .select_from(
            release.join(grant, grant.c.release == release.c.id).join(
                agreement,
                and_(agreement.c.id == grant.c.agreement, agreement.c.version == grant.c.agreement_version),
            )
        )
        .where(
            release.c.institution == bindparam("institution"),
            release.c.token == bindparam("token"),
            func.coalesce(grant.c.application if kind == "application" else grant.c.person, "")
            == bindparam("holder"),
        )
        .order_by(grant.c.created_ms.desc())
        .limit(1)
    )
    for kind in ("application", "person")
}


def why_not(tx: Connection, holder: Holder, token: bytes) -> str:
    """Why nothing is shown to a holder under this Study UID: the reason that the audit trail is told."""
    values = {"institution": holder.institution, "holder": holder.id, "token": token}
    row = _ANY_GRANT[holder.kind].first(tx, values)
    if row is None:
        return "no-grant"
    ended, expires_ms, purposes, state, withdrawn_ms, ends_ms = row
    now = clock.unix_ms()
    if state == ReleaseState.DELETING.value:
        return "study-deleted"
    if ended:
        return str(ended)
    if expires_ms <= now:
        return "grant-expired"
    if withdrawn_ms is not None or (ends_ms is not None and ends_ms <= now):
        return "agreement-withdrawn"
    if holder.purpose and holder.purpose not in purposes.split():
        return "purpose-not-agreed"
    # Who is suspended has no token that holds: what is left is the subscription.
    return "not-subscribed"


_GRANTS_ON: Final = {
    kind: select(grant.c.release, grant.c.id).where(
        *access.held_on(kind), grant.c.release.in_(bindparam("releases", expanding=True))
    )
    for kind in ("application", "person")
}


def grants_on(tx: Connection, holder: Holder, releases: Iterable[UUID]) -> list[tuple[UUID, UUID]]:
    """(release, grant) of the live grants that a holder has on these releases."""
    wanted = list(releases)
    found: list[tuple[UUID, UUID]] = []
    for start in range(0, len(wanted), IN_VALUES):
        part = {"releases": wanted[start : start + IN_VALUES], **holder.values()}
        found += [(row[0], row[1]) for row in tx.execute(_GRANTS_ON[holder.kind], part)]
    return found


def staying(tx: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these releases, of any institution, that are there and not on their way out."""
    statement = select(release.c.id).where(release.c.id.in_(bindparam("values", expanding=True)), _STAYS)
    return set(tx.execute(statement, {"values": list(ids)}).scalars())


def _releases(
    tx: Connection, statement: Select[Any], institution: UUID, values: set[Any]
) -> list[ReleaseRow]:
    wanted = list(values)
    found: list[ReleaseRow] = []
    for start in range(0, len(wanted), IN_VALUES):
        part = {"institution": institution, "values": wanted[start : start + IN_VALUES]}
        found += [release_row(row) for row in tx.execute(statement, part)]
    return found
