"""All SQL of sealed postings: blocks by label, the tail, the generation of an institution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, insert, select, update

from wardlight.archive.model import ReleaseState
from wardlight.archive.store import IN_VALUES, RELEASE_COLUMNS, ReleaseRow, release_row
from wardlight.archive.tables import posting, release, search_state, series, tail
from wardlight.db.insert import add_missing, upsert

_LABELS: Final[BindParameter[Any]] = bindparam("labels", expanding=True)
_PLACE: Final = (
    posting.c.institution == bindparam("institution"),
    posting.c.generation == bindparam("generation"),
)
_BLOCKS: Final = select(posting.c.label, posting.c.body).where(*_PLACE, posting.c.label.in_(_LABELS))
_PRESENT: Final = select(posting.c.label).where(*_PLACE, posting.c.label.in_(_LABELS))
_DROP: Final = delete(posting).where(*_PLACE)
_COUNT: Final = select(func.count()).select_from(posting).where(*_PLACE)
_EVERY: Final = (
    select(posting.c.label, posting.c.body)
    .where(*_PLACE, posting.c.label > bindparam("after"))
    .order_by(posting.c.label)
    .limit(bindparam("limit"))
)


def blocks(tx: Connection, institution: UUID, generation: int, labels: Sequence[bytes]) -> dict[bytes, bytes]:
    """Bodies of those blocks that are there, by label."""
    found: dict[bytes, bytes] = {}
    for start in range(0, len(labels), IN_VALUES):
        values = {
            "institution": institution,
            "generation": generation,
            "labels": labels[start : start + IN_VALUES],
        }
        found.update((bytes(label), bytes(body)) for label, body in tx.execute(_BLOCKS, values))
    return found


def present(tx: Connection, institution: UUID, generation: int, labels: Sequence[bytes]) -> set[bytes]:
    """Which of these labels have a block."""
    found: set[bytes] = set()
    for start in range(0, len(labels), IN_VALUES):
        values = {
            "institution": institution,
            "generation": generation,
            "labels": labels[start : start + IN_VALUES],
        }
        found.update(map(bytes, tx.execute(_PRESENT, values).scalars()))
    return found


def put_blocks(
    tx: Connection, institution: UUID, generation: int, bodies: Iterable[tuple[bytes, bytes]]
) -> None:
    """Write blocks, in the order given, over those that are there."""
    rows = [
        {"institution": institution, "generation": generation, "label": label, "body": body}
        for label, body in bodies
    ]
    if not rows:
        return
    statement = upsert(tx, posting)
    statement = statement.on_conflict_do_update(
        index_elements=[posting.c.institution, posting.c.generation, posting.c.label],
        set_={"body": statement.excluded.body},
    )
    tx.execute(statement, rows)


def every_block(
    tx: Connection, institution: UUID, generation: int, page: int = 2000
) -> Iterator[tuple[bytes, bytes]]:
    """All blocks of a generation, by label."""
    after = b""
    while True:
        values = {"institution": institution, "generation": generation, "after": after, "limit": page}
        rows = tx.execute(_EVERY, values).all()
        yield from ((bytes(label), bytes(body)) for label, body in rows)
        if len(rows) < page:
            return
        after = bytes(rows[-1][0])


def count_blocks(tx: Connection, institution: UUID, generation: int) -> int:
    """How many blocks a generation has."""
    return int(tx.execute(_COUNT, {"institution": institution, "generation": generation}).scalar_one())


def drop_generation(tx: Connection, institution: UUID, generation: int) -> None:
    """Remove all blocks of a generation."""
    tx.execute(_DROP, {"institution": institution, "generation": generation})


# ---- generations ----


@dataclass(frozen=True, slots=True)
class State:
    """generation: of all postings; building: the next one while it is built, else 0; built_to: see the table."""

    generation: int = 1
    building: int = 0
    built_to: int = 0

    @property
    def read(self) -> tuple[int, ...]:
        """The generations that searches read."""
        return (self.generation, self.building) if self.building else (self.generation,)

    @property
    def written(self) -> int:
        """The generation that new entries go to."""
        return self.building or self.generation


_STATE: Final = select(search_state.c.generation, search_state.c.building, search_state.c.built_to).where(
    search_state.c.institution == bindparam("institution")
)
_LOCKED_STATE: Final = _STATE.with_for_update()


def state(tx: Connection, institution: UUID) -> State:
    """The generations of an institution's postings."""
    row = tx.execute(_STATE, {"institution": institution}).first()
    return State(*row) if row else State()


def lock_state(tx: Connection, institution: UUID) -> State:
    """As `state`; no other transaction changes the institution's postings until this one ends."""
    values = {"institution": institution, "generation": 1, "building": 0, "built_to": 0}
    add_missing(tx, search_state, [values])
    row = tx.execute(_LOCKED_STATE, {"institution": institution}).one()
    return State(*row)


def set_state(tx: Connection, institution: UUID, new: State) -> None:
    """Write the state of an institution that `lock_state` has locked."""
    tx.execute(
        update(search_state)
        .where(search_state.c.institution == institution)
        .values(generation=new.generation, building=new.building, built_to=new.built_to)
    )


# ---- the tail ----

_ADD_TAIL: Final = insert(tail)
_TAIL_SIZE: Final = (
    select(func.count()).select_from(tail).where(tail.c.institution == bindparam("institution"))
)
_IN_TAIL: Final = select(tail.c.release).where(tail.c.release == bindparam("release"))
_TAIL: Final = (
    select(tail.c.series_only, *RELEASE_COLUMNS)
    .select_from(tail.join(release, release.c.id == tail.c.release))
    .where(tail.c.institution == bindparam("institution"))
    .limit(bindparam("limit"))
)
_RELEASES: Final[BindParameter[Any]] = bindparam("releases", expanding=True)
_STILL: Final = select(tail.c.release, tail.c.series_only).where(tail.c.release.in_(_RELEASES))
_LEAVE: Final = delete(tail).where(tail.c.release.in_(_RELEASES))
_SERIES: Final = select(series.c.release, series.c.id, series.c.sealed).where(series.c.release.in_(_RELEASES))


def add_tail(tx: Connection, institution: UUID, release_id: UUID, *, series_only: bool) -> None:
    """Let searches read a release until it is merged. series_only: nothing where it is in the tail already."""
    if series_only and tx.execute(_IN_TAIL, {"release": release_id}).first() is not None:
        return
    tx.execute(
        _ADD_TAIL, {"release": release_id, "institution": institution, "series_only": int(series_only)}
    )


def tail_size(tx: Connection, institution: UUID) -> int:
    """How many releases of the institution are in the tail."""
    return int(tx.execute(_TAIL_SIZE, {"institution": institution}).scalar_one())


def tail_rows(tx: Connection, institution: UUID, limit: int) -> list[tuple[ReleaseRow, bool]]:
    """Releases in the tail, and whether only tokens of their series are missing."""
    rows = tx.execute(_TAIL, {"institution": institution, "limit": limit})
    return [(release_row(row[1:]), bool(row[0])) for row in rows]


def still_in_tail(tx: Connection, releases: Sequence[UUID]) -> dict[UUID, bool]:
    """Those releases that are in the tail now, and whether only tokens of their series are missing."""
    return {row[0]: bool(row[1]) for row in tx.execute(_STILL, {"releases": releases})}


def leave_tail(tx: Connection, releases: Sequence[UUID]) -> None:
    """Remove releases from the tail."""
    if releases:
        tx.execute(_LEAVE, {"releases": releases})


def tailed_institutions(tx: Connection) -> list[UUID]:
    """Institutions that have something to merge or a generation to build."""
    found = set(tx.execute(select(tail.c.institution).distinct()).scalars())
    found |= set(tx.execute(select(search_state.c.institution).where(search_state.c.building > 0)).scalars())
    return sorted(found, key=lambda id_: id_.bytes)


def series_of(tx: Connection, releases: Sequence[UUID]) -> dict[UUID, list[tuple[UUID, bytes]]]:
    """(series, sealed) of releases."""
    found: dict[UUID, list[tuple[UUID, bytes]]] = {id_: [] for id_ in releases}
    if releases:
        for row in tx.execute(_SERIES, {"releases": releases}):
            found[row[0]].append((row[1], row[2]))
    return found


_STAYING: Final = select(release.c.id).where(
    release.c.id.in_(_RELEASES), release.c.state != ReleaseState.DELETING.value
)


def staying(tx: Connection, releases: Sequence[UUID]) -> set[UUID]:
    """Those of these releases that are there and are not being deleted."""
    return set(tx.execute(_STAYING, {"releases": releases}).scalars()) if releases else set()


_AFTER: Final = (
    select(*RELEASE_COLUMNS)
    .where(
        release.c.institution == bindparam("institution"),
        release.c.number > bindparam("after"),
        release.c.instance_count > 0,
        release.c.state != ReleaseState.DELETING.value,
    )
    .order_by(release.c.number)
    .limit(bindparam("limit"))
)


def releases_after(tx: Connection, institution: UUID, after: int, limit: int) -> list[ReleaseRow]:
    """Releases with instances by number, those above `after`, without what is being deleted."""
    values = {"institution": institution, "after": after, "limit": limit}
    return [release_row(row) for row in tx.execute(_AFTER, values)]
