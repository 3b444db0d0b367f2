"""All SQL of searches: the clear columns and tokens choose rows, in a stable order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, select

from wardlight.archive.model import QueryLevel
from wardlight.archive.store import RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import instance, release, series


@dataclass(slots=True)
class Conditions:
    """What the clear columns and tokens must fulfil; None or empty: nothing is asked of that column.

    releases and series, where there are any, were looked up within the institution and application.
    """

    institution: UUID
    application: str
    releases: list[UUID] | None = None
    series: list[UUID] | None = None
    instance_tokens: list[bytes] | None = None
    dates: list[tuple[int, int]] = field(default_factory=list)
    modalities_in_study: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    sop_classes: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that the clear columns allow."""

    release: ReleaseRow
    series: UUID | None
    series_sealed: bytes
    series_instances: int
    instance: UUID | None
    instance_sealed: bytes


_WIDTH: Final = len(RELEASE_COLUMNS)


def candidates(
    tx: Connection, level: QueryLevel, conditions: Conditions, limit: int, offset: int
) -> list[Candidate]:
    """Rows by StudyDate and arrival, newest first, then by series and instance number."""
    columns: list[Any] = list(RELEASE_COLUMNS)
    source: Any = release
    order: list[Any] = [release.c.study_date.desc(), release.c.arrived_ms.desc(), release.c.id.desc()]
    if level is not QueryLevel.STUDY:
        columns += [series.c.id, series.c.sealed, series.c.instance_count]
        source = source.join(series, series.c.release == release.c.id)
        order += [series.c.number, series.c.id]
    if level is QueryLevel.INSTANCE:
        columns += [instance.c.id, instance.c.sealed]
        source = source.join(instance, instance.c.series == series.c.id)
        order += [instance.c.number, instance.c.id]
    query = select(*columns).select_from(source).where(*_where(level, conditions))
    found = tx.execute(query.order_by(*order).limit(limit).offset(offset)).all()
    return [_candidate(row) for row in found]


def releases_by_tokens(
    tx: Connection, institution: UUID, application: str, tokens: Sequence[bytes]
) -> list[UUID]:
    """Releases of an application that answer to Study UIDs."""
    query = select(release.c.id).where(
        release.c.institution == institution,
        release.c.application == application,
        release.c.token.in_(tokens),
    )
    return list(tx.execute(query).scalars())


def series_by_tokens(
    tx: Connection, institution: UUID, application: str, tokens: Sequence[bytes]
) -> list[tuple[UUID, UUID]]:
    """(release, series) of an application's series that answer to Series UIDs."""
    query = (
        select(release.c.id, series.c.id)
        .select_from(series.join(release, release.c.id == series.c.release))
        .where(
            series.c.token.in_(tokens),
            release.c.institution == institution,
            release.c.application == application,
        )
    )
    return [(row[0], row[1]) for row in tx.execute(query)]


def _where(level: QueryLevel, conditions: Conditions) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [release.c.instance_count > 0]
    if conditions.releases is not None:
        # Nothing else about the release: a planner that sees more walks the index of the order instead.
        where.append(release.c.id.in_(conditions.releases))
    else:
        where.append(release.c.institution == conditions.institution)
        where.append(release.c.application == conditions.application)
    for first, last in conditions.dates:
        where.append(release.c.study_date.between(first, last))
    for modality in conditions.modalities_in_study:
        where.append(release.c.modalities.contains(f" {modality} ", autoescape=True))
    if level is not QueryLevel.STUDY:
        if conditions.series is not None:
            where.append(series.c.id.in_(conditions.series))
        for modality in conditions.modalities:
            where.append(series.c.modality == modality)
    if level is QueryLevel.INSTANCE:
        if conditions.instance_tokens is not None:
            # The unique index begins with the release, which is bounded by the join only.
            where += [instance.c.release == release.c.id, instance.c.token.in_(conditions.instance_tokens)]
        if conditions.sop_classes is not None:
            where.append(instance.c.sop_class.in_(conditions.sop_classes))
    return where


def _candidate(row: Sequence[Any]) -> Candidate:
    rest = list(row[_WIDTH:])
    if len(rest) < 3:
        rest = [None, b"", 0]
    if len(rest) < 5:
        rest += [None, b""]
    return Candidate(release_row(row[:_WIDTH]), *rest)
