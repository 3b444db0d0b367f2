"""All SQL about machine data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from wardlight.archive.machine_tables import hour, key, segment, subscription
from wardlight.archive.tables import release
from wardlight.db.insert import add_missing, upsert

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Segment:
    """Records in one object. Columns as in `machine_tables`."""

    id: UUID
    institution: UUID
    key_id: UUID
    application: str
    agreement: str
    version: int
    sender: str
    data_class: str
    sources: str
    size: int
    length: int
    records: int
    masked: int
    first_ms: int
    last_ms: int
    severity: int
    directory: bytes = field(repr=False)
    created_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What may be looked at: whose, by class. applications: None for everybody's."""

    institution: UUID
    classes: frozenset[str]
    applications: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Hour:
    """How much came of one hour."""

    data_class: str
    source: str
    hour_ms: int
    records: int
    errors: int
    masked: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """An application that is told of new data. Columns as in `machine_tables`."""

    institution: UUID
    application: str
    data_class: str
    created_ms: int
    told_to_ms: int
    told_ms: int


_NAMES: Final = tuple(Segment.__dataclass_fields__)
_ROWS: Final = select(*(segment.c[name] for name in _NAMES))
_LIVE: Final = segment.c.ended_ms.is_(None)
_SUBSCRIPTIONS: Final = select(*(subscription.c[name] for name in Subscription.__dataclass_fields__))


def add(tx: Connection, row: Segment) -> None:
    """Insert a segment."""
    tx.execute(insert(segment), {name: getattr(row, name) for name in _NAMES})


def count(tx: Connection, row: Segment, hours: Mapping[tuple[str, int], Sequence[int]]) -> None:
    """Add to the hours: (source, begin) → records, errors, masked. In one order, so that no two wait crosswise."""
    for (source, begin), (records, errors, masked) in sorted(hours.items()):
        one = upsert(tx, hour).values(
            institution=row.institution,
            application=row.application,
            data_class=row.data_class,
            source=source,
            hour_ms=begin,
            records=records,
            errors=errors,
            masked=masked,
        )
        columns = [hour.c.institution, hour.c.application, hour.c.data_class, hour.c.source, hour.c.hour_ms]
        added = {name: hour.c[name] + one.excluded[name] for name in ("records", "errors", "masked")}
        tx.execute(one.on_conflict_do_update(index_elements=columns, set_=added))


def key_of(
    tx: Connection, institution: UUID, application: str, data_class: str, month: str, *, lock: bool = False
) -> UUID | None:
    """The key of what comes together; with `lock` it is not given up until the transaction ends."""
    query = select(key.c.key_id).where(
        key.c.institution == institution,
        key.c.application == application,
        key.c.data_class == data_class,
        key.c.month == month,
    )
    return tx.execute(query.with_for_update() if lock else query).scalar()


def add_key(
    tx: Connection, institution: UUID, application: str, data_class: str, month: str, key_id: UUID
) -> UUID:
    """Have a key used; the one that is there already where another was first."""
    row = {"institution": institution, "application": application, "data_class": data_class, "month": month}
    add_missing(tx, key, [row | {"key_id": key_id}])
    found = key_of(tx, institution, application, data_class, month)
    assert found is not None
    return found


def _seen(seen: Seen) -> list[ColumnElement[bool]]:
    found = [segment.c.institution == seen.institution, segment.c.data_class.in_(seen.classes), _LIVE]
    if seen.applications is not None:
        found.append(segment.c.application.in_(seen.applications))
    return found


def within(tx: Connection, seen: Seen, from_ms: int, to_ms: int, severity: int, limit: int) -> list[Segment]:
    """Segments that may have records of this time and severity, newest first."""
    query = _ROWS.where(
        *_seen(seen), segment.c.last_ms >= from_ms, segment.c.first_ms < to_ms, segment.c.severity >= severity
    )
    query = query.order_by(segment.c.last_ms.desc(), segment.c.id).limit(limit)
    return [Segment(*row) for row in tx.execute(query)]


def by_id(tx: Connection, seen: Seen, id_: UUID) -> Segment | None:
    """One segment."""
    row = tx.execute(_ROWS.where(*_seen(seen), segment.c.id == id_)).first()
    return Segment(*row) if row else None


def hours(tx: Connection, seen: Seen, from_ms: int, to_ms: int) -> list[Hour]:
    """How much came, by hour, class and source."""
    names = tuple(Hour.__dataclass_fields__)
    query = select(*(hour.c[name] for name in names)).where(
        hour.c.institution == seen.institution,
        hour.c.data_class.in_(seen.classes),
        hour.c.hour_ms >= from_ms - from_ms % HOUR_MS,
        hour.c.hour_ms < to_ms,
    )
    if seen.applications is not None:
        query = query.where(hour.c.application.in_(seen.applications))
    return [Hour(*row) for row in tx.execute(query.order_by(hour.c.hour_ms))]


def total(tx: Connection, institution: UUID) -> int:
    """Bytes of objects that are held of an institution."""
    query = select(func.coalesce(func.sum(segment.c.size), 0)).where(
        segment.c.institution == institution, _LIVE
    )
    return int(tx.execute(query).scalar_one())


def modalities(tx: Connection, institution: UUID, from_ms: int, to_ms: int) -> dict[str, int]:
    """Studies that came in this time, by modality: of each original study one release is counted."""
    groups = (
        select(release.c.study_group, func.min(release.c.modalities).label("modalities"))
        .where(
            release.c.institution == institution,
            release.c.arrived_ms >= from_ms,
            release.c.arrived_ms < to_ms,
        )
        .group_by(release.c.study_group)
        .subquery()
    )
    query = select(groups.c.modalities, func.count()).group_by(groups.c.modalities)
    found: dict[str, int] = {}
    for named, studies in tx.execute(query):
        for one in (named or "").split():
            found[one] = found.get(one, 0) + studies
    return found


# ---- the end ----


def end(tx: Connection, id_: UUID, now_ms: int) -> bool:
    """Nobody sees a segment from now on; False where that was so before."""
    going = update(segment).where(segment.c.id == id_, _LIVE).values(ended_ms=now_ms)
    return tx.execute(going).rowcount == 1


def end_before(
    tx: Connection, before_ms: int, now_ms: int, limit: int, only: Seen | None = None
) -> list[Segment]:
    """End segments that came before; returns them."""
    query = _ROWS.where(_LIVE, segment.c.created_ms < before_ms)
    if only is not None:
        query = query.where(*_seen(only))
    rows = [Segment(*row) for row in tx.execute(query.order_by(segment.c.created_ms).limit(limit))]
    return [row for row in rows if end(tx, row.id, now_ms)]


def owners(tx: Connection) -> list[tuple[UUID, str]]:
    """Institution and application of all that is held."""
    query = select(segment.c.institution, segment.c.application).where(_LIVE).distinct()
    return [(row[0], row[1]) for row in tx.execute(query)]


def of_owner(tx: Connection, institution: UUID, application: str, limit: int) -> list[Segment]:
    """Segments of one application of an institution."""
    query = _ROWS.where(segment.c.institution == institution, segment.c.application == application, _LIVE)
    return [Segment(*row) for row in tx.execute(query.limit(limit))]


def ended(tx: Connection, limit: int) -> list[Segment]:
    """Segments whose object and row are to go."""
    query = _ROWS.where(segment.c.ended_ms.is_not(None)).order_by(segment.c.ended_ms).limit(limit)
    return [Segment(*row) for row in tx.execute(query)]


def unused(tx: Connection, institution: UUID, key_ids: Collection[UUID]) -> list[UUID]:
    """Those of these keys that no live segment needs and that nothing new is written under: their rows are dropped."""
    # First the rows of the keys, which who writes under one holds until his segment is there.
    mine = (key.c.institution == institution, key.c.key_id.in_(key_ids))
    tx.execute(select(key.c.key_id).where(*mine).order_by(key.c.key_id).with_for_update())
    needed = set(
        tx.execute(select(segment.c.key_id).where(segment.c.key_id.in_(key_ids), _LIVE).distinct()).scalars()
    )
    gone = [one for one in key_ids if one not in needed]
    tx.execute(delete(key).where(key.c.institution == institution, key.c.key_id.in_(gone)))
    return gone


def drop(tx: Connection, id_: UUID) -> bool:
    """Remove the row of a segment; False where it is gone."""
    return bool(tx.execute(delete(segment).where(segment.c.id == id_)).rowcount)


def drop_hours(tx: Connection, before_ms: int, owner: tuple[UUID, str] | None = None) -> int:
    """Forget the counts of hours before, of one application of an institution or of everybody."""
    query = delete(hour).where(hour.c.hour_ms < before_ms)
    if owner is not None:
        query = query.where(hour.c.institution == owner[0], hour.c.application == owner[1])
    return tx.execute(query).rowcount


def keys(tx: Connection) -> set[UUID]:
    """The keys that rows name."""
    return {*tx.execute(select(segment.c.key_id)).scalars(), *tx.execute(select(key.c.key_id)).scalars()}


def all_segments(tx: Connection) -> list[Segment]:
    """Everything that is held, for checks."""
    return [Segment(*row) for row in tx.execute(_ROWS.where(_LIVE).order_by(segment.c.id))]


def drop_without(tx: Connection, known: Collection[UUID]) -> int:
    """Remove what has none of these keys: nobody can read it. How many segments."""
    gone = [row for row in keys(tx) if row not in known]
    tx.execute(delete(key).where(key.c.key_id.in_(gone)))
    return tx.execute(delete(segment).where(segment.c.key_id.in_(gone))).rowcount


# ---- who is told ----


def subscribe(tx: Connection, rows: Iterable[Subscription]) -> None:
    """Have an application told."""
    names = tuple(Subscription.__dataclass_fields__)
    listed = [{name: getattr(row, name) for name in names} for row in rows]
    if listed:
        add_missing(tx, subscription, listed)


def unsubscribe(tx: Connection, institution: UUID, application: str, classes: Collection[str]) -> int:
    """Tell it no more of these classes; how many those were."""
    ending = delete(subscription).where(
        subscription.c.institution == institution,
        subscription.c.application == application,
        subscription.c.data_class.in_(classes),
    )
    return tx.execute(ending).rowcount


def subscriptions(tx: Connection, institution: UUID, application: str) -> list[Subscription]:
    """What an application is told of."""
    query = _SUBSCRIPTIONS.where(
        subscription.c.institution == institution, subscription.c.application == application
    )
    return [Subscription(*row) for row in tx.execute(query.order_by(subscription.c.data_class))]


def to_tell(tx: Connection, told_before_ms: int) -> list[Subscription]:
    """Those that were not told since, in the order in which applications are told."""
    query = _SUBSCRIPTIONS.where(subscription.c.told_ms <= told_before_ms)
    query = query.order_by(subscription.c.institution, subscription.c.application, subscription.c.data_class)
    return [Subscription(*row) for row in tx.execute(query)]


def fresh(tx: Connection, one: Subscription) -> tuple[int, int]:
    """Records that came since an application was told, and when the last of them did (0: none)."""
    query = select(func.coalesce(func.sum(segment.c.records), 0), func.max(segment.c.created_ms)).where(
        segment.c.institution == one.institution,
        segment.c.data_class == one.data_class,
        or_(segment.c.application == "", segment.c.application == one.application),
        segment.c.created_ms > one.told_to_ms,
        _LIVE,
    )
    row = tx.execute(query).one()
    return int(row[0]), int(row[1] or 0)


def told(tx: Connection, one: Subscription, to_ms: int, now_ms: int) -> bool:
    """Note that it was told; False where another worker was first."""
    noting = update(subscription).where(
        subscription.c.institution == one.institution,
        subscription.c.application == one.application,
        subscription.c.data_class == one.data_class,
        subscription.c.told_ms == one.told_ms,
    )
    return tx.execute(noting.values(told_to_ms=to_ms, told_ms=now_ms)).rowcount == 1
