"""Brings releases from the tail into sealed postings, takes them out again, builds a new generation.

Intake puts a release into the tail in the transaction that makes it findable. A merger opens its sealed rows, computes
the tokens, and writes the changed blocks of up to 256 releases in one transaction, shuffled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from wardlight import clock, log
from wardlight.archive import postings_store, store
from wardlight.archive.keyring import ReleaseKey, posting_keys, release_keys
from wardlight.archive.postings import Token, days_of, series_tokens, study_tokens
from wardlight.archive.postings_blocks import Chains
from wardlight.archive.store import ReleaseRow
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Keystore
from wardlight.keys.postings import PostingKeys, entry

#: Most releases of an institution in the tail, at which the writer itself merges; and of one merge.
TAIL_LIMIT: Final = 512
BATCH: Final = 256
#: The worker merges so many releases at once, or what there is when nothing came for so long: many studies that change
#: together do not show whose blocks are whose.
_WORTH: Final = 128
_QUIET_MS: Final = 300_000
#: Merges of one institution in a round, so that the others get their turn.
_MERGES: Final = 8


def entry_of(release: ReleaseRow) -> bytes:
    """What stands for a release in postings."""
    return entry(days_of(release.study_date), release.number)


@dataclass(slots=True)
class _Opened:
    """Tokens of a release. series: ids of the series that they are of."""

    release: ReleaseRow
    study: set[Token]
    requests: set[Token]
    series: set[UUID]


class Postings:
    """Merges, removes and rebuilds. Any number of processes may do so: one merges an institution at a time."""

    def __init__(self, database: Database, keystore: Keystore) -> None:
        self._database = database
        self._keystore = keystore

    def relieve(self, institution: UUID) -> None:
        """Merge where the tail has reached its limit; to be called after a release was put into it.

        Raises nothing: what was put there is stored and found. The worker merges what is left.
        """
        try:
            with self._database.read(institution) as tx:
                size = postings_store.tail_size(tx, institution)
            if size >= TAIL_LIMIT:
                self.merge(institution)
        except Exception as error:  # noqa: BLE001 - it must not undo the answer to what is durable
            log.error("archive.postings", error)

    def work(self) -> int:
        """One round of the worker: merge what is worth it, build generations on. Returns how many releases."""
        with self._database.read(EVERYWHERE) as tx:
            institutions = postings_store.tailed_institutions(tx)
        done = 0
        for institution in institutions:
            try:
                done += self._work(institution)
            except Exception as error:  # noqa: BLE001 - damage to one institution's postings holds up no other's
                log.error("archive.postings", error)
        return done

    def _work(self, institution: UUID) -> int:
        done = 0
        for _ in range(_MERGES):
            with self._database.read(institution) as tx:
                rows = postings_store.tail_rows(tx, institution, _WORTH)
            latest = max((row.last_arrival_ms for row, _ in rows), default=0)
            if len(rows) < _WORTH and not (rows and latest < clock.unix_ms() - _QUIET_MS):
                break
            merged = self.merge(institution)
            done += merged
            if not merged:
                break
        with self._database.read(institution) as tx:
            building = postings_store.state(tx, institution).building
        return done + (self.build(institution) if building else 0)

    def merge(self, institution: UUID) -> int:
        """Merge up to 256 releases of the tail; returns how many left it."""
        with self._database.read(institution) as tx:
            rows = postings_store.tail_rows(tx, institution, BATCH)
        opened = self._open(institution, [release for release, _ in rows])
        with self._database.begin(institution, long=True) as tx:
            state = postings_store.lock_state(tx, institution)
            ids = [release.id for release, _ in rows]
            store.lock_releases(tx, ids)
            waiting = postings_store.still_in_tail(tx, ids)
            now = postings_store.series_of(tx, list(waiting))
            fresh: dict[Token, list[bytes]] = defaultdict(list)
            later: dict[Token, list[bytes]] = defaultdict(list)
            leaving = []
            for id_, series_only in waiting.items():
                one = opened.get(id_)
                if one is not None:
                    if {series for series, _ in now[id_]} - one.series:
                        continue  # A series came meanwhile: next time.
                    packed = entry_of(one.release)
                    for token in one.study if not series_only else ():
                        fresh[token].append(packed)
                    # A series that came later may repeat what an earlier one said.
                    for token in one.requests:
                        later[token].append(packed)
                leaving.append(id_)
            chains = Chains(tx, institution, state.written, self._keys(institution, state.written))
            chains.append(fresh)
            chains.append_missing(later)
            chains.write()
            postings_store.leave_tail(tx, leaving)
        return len(leaving)

    def remove(self, institution: UUID, release: ReleaseRow) -> None:
        """Take a release out of postings and tail, before its key is destroyed. Raises `key-destroyed`."""
        opened = self._open(institution, [release], strict=True)[release.id]
        with self._database.begin(institution) as tx:
            state = postings_store.lock_state(tx, institution)
            for generation in state.read:
                chains = Chains(tx, institution, generation, self._keys(institution, generation))
                chains.remove(opened.study | opened.requests, entry_of(release))
                chains.write()
            postings_store.leave_tail(tx, [release.id])

    def rekey(self, institution: UUID) -> None:
        """Begin a new generation; the worker, or `build`, completes it. Searches go on meanwhile."""
        with self._database.begin(institution) as tx:
            state = postings_store.lock_state(tx, institution)
            if not state.building:
                new = replace(state, building=state.generation + 1, built_to=-1)
                postings_store.set_state(tx, institution, new)

    def build(self, institution: UUID) -> int:
        """Bring up to 256 releases into the new generation; with the last the old one is dropped."""
        with self._database.read(institution) as tx:
            seen = postings_store.state(tx, institution)
            if not seen.building:
                return 0
            rows = postings_store.releases_after(tx, institution, seen.built_to, BATCH)
        opened = self._open(institution, rows)
        with self._database.begin(institution, long=True) as tx:
            state = postings_store.lock_state(tx, institution)
            if state != seen:
                return 0
            waiting = postings_store.still_in_tail(tx, [row.id for row in rows])
            staying = postings_store.staying(tx, [row.id for row in rows])
            additions: dict[Token, list[bytes]] = defaultdict(list)
            for one in opened.values():
                # What is in the tail as a whole comes by `merge`; what is deleted meanwhile was taken out already.
                if waiting.get(one.release.id, True) and one.release.id in staying:
                    for token in one.study | one.requests:
                        additions[token].append(entry_of(one.release))
            chains = Chains(tx, institution, state.building, self._keys(institution, state.building))
            chains.append_missing(additions)
            chains.write()
            if len(rows) == BATCH:
                new = replace(state, built_to=rows[-1].number)
            else:
                postings_store.drop_generation(tx, institution, state.generation)
                new = postings_store.State(state.building)
            postings_store.set_state(tx, institution, new)
        return len(rows)

    def rebuild(self, institution: UUID) -> None:
        """Make all postings of an institution anew from its sealed rows: after damage, or a restore."""
        self.rekey(institution)
        while self.build(institution):
            pass

    def _keys(self, institution: UUID, generation: int) -> PostingKeys:
        return posting_keys(self._keystore, institution, generation)

    def _open(
        self, institution: UUID, releases: Sequence[ReleaseRow], *, strict: bool = False
    ) -> dict[UUID, _Opened]:
        """Tokens of releases; those that do not open are left out, and logged, unless `strict`."""
        found: dict[UUID, _Opened] = {}
        if not releases:
            return found
        with self._database.read(institution) as tx:
            below = postings_store.series_of(tx, [release.id for release in releases])
        keys = release_keys(self._keystore, releases)
        for release in releases:
            try:
                key = keys[release.id]
                if key is None:
                    raise WardlightError("key-destroyed")
                found[release.id] = open_tokens(key, release, below[release.id])
            except WardlightError as error:
                if strict:
                    raise
                log.error("archive.postings", error, release=str(release.id), code=error.code)
        return found


def open_tokens(key: ReleaseKey, release: ReleaseRow, series: Iterable[tuple[UUID, bytes]]) -> _Opened:
    """The tokens of a release and its series (id, sealed). Raises `object-damaged`."""
    requests: set[Token] = set()
    ids = set()
    for id_, sealed in series:
        requests |= series_tokens(key.unseal(RowLevel.SERIES, id_, sealed))
        ids.add(id_)
    return _Opened(release, study_tokens(key.unseal_study(release)), requests, ids)
