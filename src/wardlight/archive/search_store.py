"""All SQL of searches: the clear columns and tokens choose rows, in a stable order.

Studies come by StudyDate and arrival, newest first; below a study rows come by Series and Instance Number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    select,
    tuple_,
)

from wardlight.archive.granted_store import Holder, granted_releases
from wardlight.archive.model import ReleaseState
from wardlight.archive.store import RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import instance, release, series, tail
from wardlight.db.columns import Id
from wardlight.db.prepared import Prepared


@dataclass(slots=True)
class Conditions:
    """What the clear columns and tokens must fulfil; None or empty: nothing is asked of that column.

    holder: whose grants choose the releases, of whatever application they are; None for the institution's own people.
    releases, series and instances, where there are any, were looked up within the institution and application.
    dates: first and last StudyDate as numbers YYYYMMDD.
    """

    institution: UUID
    application: str
    holder: Holder | None = None
    releases: list[UUID] | None = None
    series: list[UUID] | None = None
    instances: list[UUID] | None = None
    dates: tuple[int, int] | None = None
    modalities_in_study: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    sop_classes: list[str] | None = None

    @property
    def below_study(self) -> bool:
        """Whether anything is asked of series or instances."""
        return bool(self.modalities) or any(
            bound is not None for bound in (self.series, self.instances, self.sop_classes)
        )


# ---- studies ----


class _Studies(NamedTuple):
    """What a statement over studies looks like, apart from its values. source: where its candidates come from."""

    source: str
    dates: bool
    place: str
    modalities: int
    #: "": whole institutions; else the kind of holder whose grants choose.
    granted: str = ""


#: Where candidates come from: named by id, by number, in the tail, or all in the order of pages.
RELEASES: Final = "releases"
NUMBERS: Final = "numbers"
TAIL: Final = "tail"
ALL: Final = "all"


def studies(
    tx: Connection,
    conditions: Conditions,
    limit: int,
    *,
    source: str = ALL,
    named: Sequence[Any] = (),
    after: tuple[int, int] | None = None,
    including: bool = False,
    offset: int = 0,
) -> list[ReleaseRow]:
    """Studies newest first, those behind `after`, or from it on where `including`."""
    place = "" if after is None else "from" if including else "behind"
    modalities = [*conditions.modalities_in_study, *conditions.modalities]
    granted = conditions.holder.kind if conditions.holder else ""
    shape = _Studies(source, conditions.dates is not None, place, len(modalities), granted)
    values: dict[str, Any] = {"limit": limit, "offset": offset, "application": conditions.application}
    values["institution"] = conditions.institution
    if conditions.holder:
        values |= conditions.holder.values()
    if source in (RELEASES, NUMBERS):
        values["named"] = list(named)
    if conditions.dates is not None:
        values |= {"first": conditions.dates[0], "last": conditions.dates[1]}
    if after is not None:
        values |= {"date": after[0], "number": after[1]}
    for number, modality in enumerate(modalities):
        escaped = re.sub(r"([%_/])", r"/\1", modality)
        values[f"modality{number}"] = f"% {escaped} %"
    return [release_row(row) for row in _rows(tx, _studies(shape), values)]


def _rows(tx: Connection, query: Select[Any], values: dict[str, Any]) -> Iterable[Sequence[Any]]:
    """The rows of a query of few shapes; lists come in too many lengths for one to be kept for each."""
    if any(isinstance(value, list) and len(value) != 1 for value in values.values()):
        return tx.execute(query, values)
    return _prepared(query).all(tx, values)


@lru_cache(maxsize=512)
def _prepared(query: Select[Any]) -> Prepared:
    return Prepared(query)


# Building a statement costs more than running it; clients ask in few shapes.
@lru_cache(maxsize=256)
def _studies(shape: _Studies) -> Select[Any]:
    source = release.join(tail, tail.c.release == release.c.id) if shape.source == TAIL else release
    query = select(*RELEASE_COLUMNS).select_from(source).where(*_of_study(shape))
    order = (release.c.study_date.desc(), release.c.number.desc())
    query = query.order_by(*order).limit(bindparam("limit", type_=Integer))
    return query.offset(bindparam("offset", type_=Integer))


def _of_study(shape: _Studies) -> Iterator[ColumnElement[bool]]:
    if shape.granted:
        # They are looked up one by one: nothing of the institution's own order or size is walked.
        yield release.c.id.in_(granted_releases(shape.granted))
        if shape.source == RELEASES:
            yield release.c.id.in_(_many("named"))
    elif shape.source == RELEASES:
        # Looked up within institution and application before; a planner that sees more may walk the order instead.
        yield release.c.id.in_(_many("named"))
    elif shape.source == TAIL:
        yield tail.c.institution == bindparam("institution")
        yield release.c.application == bindparam("application")
    else:
        yield release.c.institution == bindparam("institution")
        if shape.source == NUMBERS:
            yield release.c.number.in_(_many("named"))
            # An expression keeps the planner from the index of the order.
            yield release.c.application.concat("") == bindparam("application")
        else:
            yield release.c.application == bindparam("application")
    yield release.c.instance_count > 0
    yield release.c.state != ReleaseState.DELETING.value
    if shape.dates:
        yield release.c.study_date >= bindparam("first")
        # Behind a place all dates are earlier than the last one.
        if not shape.place or shape.source != ALL:
            yield release.c.study_date <= bindparam("last")
    if shape.place:
        here = tuple_(release.c.study_date, release.c.number)
        place = tuple_(bindparam("date", type_=Integer), bindparam("number", type_=BigInteger))
        yield here <= place if shape.place == "from" else here < place
    for number in range(shape.modalities):
        yield release.c.modalities.like(bindparam(f"modality{number}"), escape="/")


def _many(name: str) -> BindParameter[Any]:
    return bindparam(name, expanding=True)


# ---- below a study ----


@dataclass(frozen=True, slots=True)
class SeriesCandidate:
    """A series that the clear columns allow."""

    release: UUID
    id: UUID
    sealed: bytes
    number: int
    instances: int


@dataclass(frozen=True, slots=True)
class InstanceCandidate:
    """An instance that the clear columns allow, with its series."""

    series: SeriesCandidate
    id: UUID
    sealed: bytes
    number: int


class _Below(NamedTuple):
    """What a statement below studies looks like, apart from its values."""

    instances: bool
    series_bound: bool
    instances_bound: bool
    sop_classes: bool
    modalities: int
    #: Only what was there when the release was last completed.
    completed: bool
    #: "": whole studies; "series": behind a series; "instance": within one series, behind an instance.
    place: str


_SERIES_COLUMNS: Final = (
    series.c.release,
    series.c.id,
    series.c.sealed,
    series.c.number,
    series.c.instance_count,
)


def series_of(
    tx: Connection,
    conditions: Conditions,
    release_id: UUID,
    limit: int,
    after: tuple[int, UUID] | None = None,
) -> list[SeriesCandidate]:
    """Series of a study in order, those behind `after`."""
    shape = _shape(conditions, instances=False, place="series" if after else "")
    values = _values(conditions, shape, release_id, limit)
    if after is not None:
        values |= {"series_number": after[0], "series_id": after[1]}
    return [SeriesCandidate(*row) for row in _rows(tx, _below(shape), values)]


def instances_of(
    tx: Connection,
    conditions: Conditions,
    release_id: UUID,
    limit: int,
    after_series: tuple[int, UUID] | None = None,
    after: tuple[int, UUID] | None = None,
) -> list[InstanceCandidate]:
    """Instances of a study in order: behind `after` within the series, or, without it, behind the series."""
    shape = _shape(
        conditions,
        instances=True,
        place="instance" if after is not None else "series" if after_series is not None else "",
    )
    values = _values(conditions, shape, release_id, limit)
    if after_series is not None:
        values |= {"series_number": after_series[0], "series_id": after_series[1]}
    if after is not None:
        values |= {"instance_number": after[0], "instance_id": after[1]}
    rows = _rows(tx, _below(shape), values)
    return [InstanceCandidate(SeriesCandidate(*row[:5]), *row[5:]) for row in rows]


def _shape(conditions: Conditions, *, instances: bool, place: str) -> _Below:
    return _Below(
        instances,
        conditions.series is not None,
        conditions.instances is not None and instances,
        conditions.sop_classes is not None and instances,
        len(conditions.modalities),
        conditions.holder is not None,
        place,
    )


def _values(conditions: Conditions, shape: _Below, release_id: UUID, limit: int) -> dict[str, Any]:
    values: dict[str, Any] = {"release": release_id, "limit": limit}
    if shape.series_bound:
        values["series"] = conditions.series
    if shape.instances_bound:
        values["instances"] = conditions.instances
    if shape.sop_classes:
        values["sop_classes"] = conditions.sop_classes
    for number, modality in enumerate(conditions.modalities):
        values[f"modality{number}"] = modality
    return values


@lru_cache(maxsize=128)
def _below(shape: _Below) -> Select[Any]:
    columns: list[Any] = list(_SERIES_COLUMNS)
    order: list[Any] = [series.c.number, series.c.id]
    source: Any = series
    if shape.instances:
        columns += [instance.c.id, instance.c.sealed, instance.c.number]
        order += [instance.c.number, instance.c.id]
        source = series.join(instance, instance.c.series == series.c.id)
    query = select(*columns).select_from(source).where(*_of_rows(shape)).order_by(*order)
    return query.limit(bindparam("limit", type_=Integer))


def _of_rows(shape: _Below) -> Iterator[ColumnElement[bool]]:
    yield series.c.release == bindparam("release")
    if shape.completed:
        yield (instance if shape.instances else series).c.metadata_length > 0
    if shape.place == "series":
        yield _behind(series, "series")
    if shape.place == "instance":
        yield series.c.id == bindparam("series_id", type_=Id)
        yield _behind(instance, "instance")
    if shape.series_bound:
        yield series.c.id.in_(_many("series"))
    for number in range(shape.modalities):
        yield series.c.modality == bindparam(f"modality{number}")
    if shape.instances_bound:
        yield instance.c.id.in_(_many("instances"))
    if shape.sop_classes:
        yield instance.c.sop_class.in_(_many("sop_classes"))


def _behind(table: Any, name: str) -> ColumnElement[bool]:
    place = tuple_(bindparam(f"{name}_number", type_=BigInteger), bindparam(f"{name}_id", type_=Id))
    return tuple_(table.c.number, table.c.id) > place


# ---- tokens of UIDs ----

_BY_TOKENS: Final = select(release.c.id).where(
    release.c.institution == bindparam("institution"), release.c.token.in_(_many("tokens"))
)
_RELEASES_BY_TOKENS: Final = _BY_TOKENS.where(release.c.application == bindparam("application"))
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


def releases_by_tokens(tx: Connection, conditions: Conditions, tokens: Sequence[bytes]) -> list[UUID]:
    """Releases that answer to Study UIDs: of the application that is asked for, or of any where grants choose."""
    values: dict[str, Any] = {"institution": conditions.institution, "tokens": tokens}
    if conditions.holder:
        return list(tx.execute(_BY_TOKENS, values).scalars())
    values["application"] = conditions.application
    return list(tx.execute(_RELEASES_BY_TOKENS, values).scalars())


def series_by_tokens(
    tx: Connection, institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    """(application, release, series) of series that answer to Series UIDs."""
    return _found(tx, _SERIES_BY_TOKENS, institution, tokens)


def instances_by_tokens(
    tx: Connection, institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    """(application, release, instance) of instances that answer to SOP Instance UIDs."""
    return _found(tx, _INSTANCES_BY_TOKENS, institution, tokens)


def _found(
    tx: Connection, statement: Select[Any], institution: UUID, tokens: Sequence[bytes]
) -> list[tuple[str, UUID, UUID]]:
    rows = tx.execute(statement, {"tokens": tokens})
    return [(row[1], row[2], row[3]) for row in rows if row[0] == institution]
