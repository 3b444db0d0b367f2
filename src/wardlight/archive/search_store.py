"""All SQL of searches: the clear columns and tokens choose rows, in a stable order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Connection, Integer, Select, bindparam, select

from wardlight.archive.model import QueryLevel
from wardlight.archive.store import RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import instance, release, series


@dataclass(slots=True)
class Conditions:
    """What the clear columns and tokens must fulfil; None or empty: nothing is asked of that column.

    releases, series and instances, where there are any, were looked up within the institution and application.
    """

    institution: UUID
    application: str
    releases: list[UUID] | None = None
    series: list[UUID] | None = None
    instances: list[UUID] | None = None
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
    values: dict[str, Any] = {"limit": limit, "offset": offset}
    if conditions.releases is None:
        values |= {"institution": conditions.institution, "application": conditions.application}
    for name in ("releases", "series", "instances", "sop_classes"):
        if (bound := getattr(conditions, name)) is not None:
            values[name] = bound
    for number, (first, last) in enumerate(conditions.dates):
        values |= {f"first{number}": first, f"last{number}": last}
    for number, modality in enumerate(conditions.modalities_in_study):
        escaped = re.sub(r"([%_/])", r"/\1", modality)
        values[f"in_study{number}"] = f"% {escaped} %"
    for number, modality in enumerate(conditions.modalities):
        values[f"modality{number}"] = modality
    shape = _Shape(
        level,
        conditions.releases is not None,
        conditions.series is not None,
        conditions.instances is not None,
        conditions.sop_classes is not None,
        len(conditions.dates),
        len(conditions.modalities_in_study),
        len(conditions.modalities),
    )
    return [_candidate(row) for row in tx.execute(_statement(shape), values)]


class _Shape(NamedTuple):
    """What a statement looks like, apart from its values."""

    level: QueryLevel
    releases: bool
    series: bool
    instances: bool
    sop_classes: bool
    dates: int
    modalities_in_study: int
    modalities: int


# Building a statement costs more than running it; clients ask in few shapes.
@lru_cache(maxsize=256)
def _statement(shape: _Shape) -> Select[Any]:
    columns: list[Any] = list(RELEASE_COLUMNS)
    source: Any = release
    order: list[Any] = [release.c.study_date.desc(), release.c.arrived_ms.desc(), release.c.id.desc()]
    if shape.level is not QueryLevel.STUDY:
        columns += [series.c.id, series.c.sealed, series.c.instance_count]
        source = source.join(series, series.c.release == release.c.id)
        order += [series.c.number, series.c.id]
    if shape.level is QueryLevel.INSTANCE:
        columns += [instance.c.id, instance.c.sealed]
        source = source.join(instance, instance.c.series == series.c.id)
        order += [instance.c.number, instance.c.id]
    query = select(*columns).select_from(source).where(*_where(shape)).order_by(*order)
    return query.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))


def _many(name: str) -> BindParameter[Any]:
    return bindparam(name, expanding=True)


def _where(shape: _Shape) -> Iterator[ColumnElement[bool]]:
    yield release.c.instance_count > 0
    if shape.releases:
        # Nothing else about the release: a planner that sees more walks the index of the order instead.
        yield release.c.id.in_(_many("releases"))
    else:
        yield release.c.institution == bindparam("institution")
        yield release.c.application == bindparam("application")
    for number in range(shape.dates):
        yield release.c.study_date.between(bindparam(f"first{number}"), bindparam(f"last{number}"))
    for number in range(shape.modalities_in_study):
        yield release.c.modalities.like(bindparam(f"in_study{number}"), escape="/")
    if shape.level is not QueryLevel.STUDY:
        if shape.series:
            yield series.c.id.in_(_many("series"))
        for number in range(shape.modalities):
            yield series.c.modality == bindparam(f"modality{number}")
    if shape.level is QueryLevel.INSTANCE:
        if shape.instances:
            yield instance.c.id.in_(_many("instances"))
        if shape.sop_classes:
            yield instance.c.sop_class.in_(_many("sop_classes"))


_RELEASES_BY_TOKENS: Final = select(release.c.id).where(
    release.c.institution == bindparam("institution"),
    release.c.application == bindparam("application"),
    release.c.token.in_(_many("tokens")),
)
# Nothing about the release: a planner that sees more begins at the releases and walks them all. Tokens are made under
# the institution's key, so that others have no such rows; their releases are compared all the same.
_SERIES_BY_TOKENS: Final = (
    select(release.c.institution, release.c.application, release.c.id, series.c.id)
    .select_from(series.join(release, release.c.id == series.c.release))
    .where(series.c.token.in_(_many("tokens")))
)
_INSTANCES_BY_TOKENS: Final = (
    select(release.c.institution, release.c.application, release.c.id, instance.c.id)
    .select_from(instance.join(release, release.c.id == instance.c.release))
    .where(instance.c.token.in_(_many("tokens")))
)


def releases_by_tokens(
    tx: Connection, institution: UUID, application: str, tokens: Sequence[bytes]
) -> list[UUID]:
    """Releases of an application that answer to Study UIDs."""
    values = {"institution": institution, "application": application, "tokens": tokens}
    return list(tx.execute(_RELEASES_BY_TOKENS, values).scalars())


def series_by_tokens(
    tx: Connection, institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    """(application, release, series) of series that answer to Series UIDs."""
    return _below(tx, _SERIES_BY_TOKENS, institution, tokens)


def instances_by_tokens(
    tx: Connection, institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    """(application, release, instance) of instances that answer to SOP Instance UIDs."""
    return _below(tx, _INSTANCES_BY_TOKENS, institution, tokens)


def _below(
    tx: Connection, statement: Select[Any], institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    rows = tx.execute(statement, {"tokens": tokens})
    return [(row[1], row[2], row[3]) for row in rows if row[0] == institution]


def _candidate(row: Sequence[Any]) -> Candidate:
    rest = list(row[_WIDTH:])
    if len(rest) < 3:
        rest = [None, b"", 0]
    if len(rest) < 5:
        rest += [None, b""]
    return Candidate(release_row(row[:_WIDTH]), *rest)
