"""Counts for the data map: rows of one institution, never what stands in them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, func, select

from wardlight.access.store import live
from wardlight.access.tables import grant
from wardlight.agreements.model import IMAGES
from wardlight.archive.model import ReleaseState
from wardlight.archive.tables import release
from wardlight.audit.tables import log
from wardlight.datamap.model import Holding
from wardlight.identity.tables import person, receiver

_HOLDINGS: Final = (
    select(
        release.c.application,
        release.c.level,
        release.c.identifiability,
        func.count().label("studies"),
        func.sum(release.c.series_count).label("series"),
        func.sum(release.c.instance_count).label("instances"),
        func.sum(release.c.bytes).label("bytes"),
        func.sum(release.c.metadata_size).label("metadata_bytes"),
        func.min(release.c.arrived_ms).label("first_ms"),
        func.max(release.c.last_arrival_ms).label("last_ms"),
    )
    .group_by(release.c.application, release.c.level, release.c.identifiability)
    .order_by(release.c.application, release.c.level)
)


def holdings(tx: Connection, institution: UUID) -> list[Holding]:
    """Images by application, level and identifiability; what is on its way out is not held any more."""
    query = _HOLDINGS.where(
        release.c.institution == institution,
        release.c.state != ReleaseState.DELETING.value,
        release.c.instance_count > 0,
    )
    return [
        Holding(
            application=row.application,
            level=row.level,
            identifiability=row.identifiability or "",
            **{
                name: int(row._mapping[name] or 0)
                for name in (
                    "studies",
                    "series",
                    "instances",
                    "bytes",
                    "metadata_bytes",
                    "first_ms",
                    "last_ms",
                )
            },
        )
        for row in tx.execute(query)
    ]


def live_grants(tx: Connection, institution: UUID, now_ms: int) -> dict[str, tuple[int, int, int]]:
    """Application → live grants, the studies they are on, and when the first of them ends. People's are Images'."""
    query = (
        select(
            grant.c.application,
            func.count().label("grants"),
            func.count(grant.c.release.distinct()).label("studies"),
            func.min(grant.c.expires_ms).label("next_ms"),
        )
        .where(grant.c.institution == institution, live())
        .group_by(grant.c.application)
    )
    return {
        row.application or IMAGES: (row.grants, row.studies, int(row.next_ms))
        for row in tx.execute(query, {"now": now_ms})
    }


def people(tx: Connection, institution: UUID) -> int:
    """Accounts of the institution's people."""
    return int(tx.execute(select(func.count()).where(person.c.institution == institution)).scalar_one())


def receivers(tx: Connection, institution: UUID) -> int:
    """Receivers of the institution."""
    return int(tx.execute(select(func.count()).where(receiver.c.institution == institution)).scalar_one())


def audit_entries(tx: Connection, institution: UUID) -> int:
    """Sealed entries of the institution's logs."""
    total = select(func.coalesce(func.sum(log.c.size), 0)).where(log.c.institution == institution)
    return int(tx.execute(total).scalar_one())
