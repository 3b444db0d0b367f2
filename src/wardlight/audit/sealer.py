"""Seals pending entries into the logs: position, tree, counters, and a signed head (audit.md section 2).

Any number of sealers may run: the log's row is their lock, and a batch is one transaction. A crash between the commit
and the signature is mended in the next round, which signs the head that is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from wardlight import clock, log
from wardlight.audit import log_store as store
from wardlight.audit import tree
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.log_store import Head, Work
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.audit.recorder import Recorder
from wardlight.audit.signer import Signer
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.errors import WardlightError

#: Entries of a transaction. On SQLite one writer works at a time: others wait as long as this takes.
BATCH: Final = {"sqlite": 100, "postgresql": 2_000}
#: Entries of one log in a round, and so between two of its checkpoints.
ROUND: Final = 2_000
#: An entry that has waited so long to be sealed is told of, at most once a minute.
LATE_MS: Final = 5_000
_TELL_S: Final = 60.0
#: An idle log gets a heartbeat after this long.
HEARTBEAT_MS: Final = 3_600_000

_SYSTEM: Final = Actor("system", "sealer")
#: Entries about the log itself, which mean nothing in the next generation.
_OF_ONE_LOG: Final = (*store.OF_KEYS, Action.AUDIT_LOG_HEARTBEAT)


class Sealer:
    """Seals what is pending. `seal` is to be called every second."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        signer: Signer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._signer = signer
        self._monotonic = monotonic
        self._batch = BATCH[database.dialect]
        self._told: dict[int, float] = {}

    def seal(self) -> int:
        """One round over all logs, each sealed up to `ROUND` entries and signed; returns how many entries.

        What fails with one log is logged and keeps none of the others waiting.
        """
        with self._database.read(EVERYWHERE) as tx:
            work = store.overview(tx)
        done = 0
        for one in work:
            try:
                done += self._log(one)
            except Exception as error:  # noqa: BLE001 - the other logs must go on
                log.error("audit.seal", error, institution=str(one.head.institution or ""))
        return done

    def watch(self) -> None:
        """Say that entries wait too long, in a process that does not seal: the one that does may be gone."""
        with self._database.read(EVERYWHERE) as tx:
            work = store.overview(tx)
        for one in work:
            self._tell(one, clock.unix_ms())

    def _log(self, work: Work) -> int:
        head, now = work.head, clock.unix_ms()
        self._tell(work, now)
        if head.halted:
            return self._move(head) if work.oldest is not None else 0
        idle = now - work.last_ms > HEARTBEAT_MS
        if work.oldest is None and head.size and not idle and work.signed == head.size:
            return 0
        sealed = 0
        while sealed < ROUND:
            count = self._one_batch(head.log)
            sealed += count
            if count < self._batch:
                break
        self._publish(head.log)
        return sealed

    def _tell(self, work: Work, now: int) -> None:
        """Say, once a minute, that entries of a log wait too long, be it that it has stopped."""
        if work.oldest is None:
            return
        waited = now - store.recorded_ms(store.parsed(work.oldest))
        if waited > LATE_MS and self._monotonic() - self._told.get(work.head.log, -_TELL_S) >= _TELL_S:
            self._told[work.head.log] = self._monotonic()
            log.warning("audit.pending", wait_s=waited / 1000, institution=str(work.head.institution or ""))

    # ---- steps 1 to 5: one transaction ----

    def _one_batch(self, number: int) -> int:
        """Seal the oldest pending entries; returns how many, those included that the sealer writes itself."""
        with self._database.begin(EVERYWHERE) as tx:
            head = store.lock(tx, number)
            if head is None or head.halted:
                return 0
            if not self._fits(tx, head):
                self._refuse(tx, head)
                return 0
            rows = store.pending_rows(tx, number, self._batch)
            store.remove_pending(tx, number, [seq for seq, _ in rows])
            contents = self._own(tx, head, [content for _, content in rows])
            entries = self._columns(tx, head, contents)
            if entries:
                leaves = [tree.leaf_hash(one.row["content"]) for one in entries]
                read = store.tiles(tx, number)
                touched = tree.append(read, head.size, leaves)
                size = head.size + len(leaves)
                store.put_tiles(tx, number, touched)
                store.add_entries(tx, number, entries)
                store.advance(tx, head, size, tree.root(store.over(touched, read), size))
            return len(entries)

    def _fits(self, tx: Connection, head: Head) -> bool:
        """Whether the log is the one whose head was signed last: a database that was put back is not."""
        if head.size == 0:
            self._signer.open(head.institution, head.origin)
        try:
            last = self._signer.last(head.origin)
        except WardlightError as error:
            if error.code != "not-found":
                raise
            return False
        return store.extends(tx, head, last.size, last.root)

    def _own(self, tx: Connection, head: Head, contents: list[bytes]) -> list[bytes]:
        """The entries with what the sealer says itself: the log's start, or a sign of life where nothing happens."""
        if head.size == 0:
            # Later generations begin with the entry that was written when they were opened.
            if head.generation == 1:
                vkey = self._signer.vkey(head.origin)
                return [
                    self._entry(head, Event(Action.AUDIT_LOG_START, _SYSTEM, detail={"vkey": vkey})),
                    *contents,
                ]
        elif not contents:
            (last,) = store.recorded(tx, head.log, head.size - 1, head.size)
            if clock.unix_ms() - (last or 0) > HEARTBEAT_MS:
                return [self._entry(head, Event(Action.AUDIT_LOG_HEARTBEAT, _SYSTEM))]
        return contents

    def _entry(self, head: Head, event: Event) -> bytes:
        return canonical(self._recorder.entry(head.origin, event))

    def _columns(self, tx: Connection, head: Head, contents: list[bytes]) -> list[store.Columns]:
        """Entries with their positions. One whose id is sealed already is a second copy, and gets none."""
        read = [(content, store.parsed(content)) for content in contents]
        known = store.known_ids(tx, head.log, [UUID(values["id"]) for _, values in read])
        entries: list[store.Columns] = []
        for content, values in read:
            if (id_ := UUID(values["id"])) not in known:
                known.add(id_)
                entries.append(store.columns(head.log, head.size + len(entries), content, values))
        if len(entries) < len(read):
            log.warning("audit.duplicate", count=len(read) - len(entries))
        return entries

    # ---- step 6 ----

    def _publish(self, number: int) -> None:
        """Have the stored head signed, and keep the note."""
        while True:
            with self._database.read(EVERYWHERE) as tx:
                head = store.head(tx, number)
                if head is None or head.halted or not head.size:
                    return
                last = self._signer.last(head.origin)
                kept = store.newest_checkpoint(tx, number)
                if (
                    (kept is None or kept.size < last.size <= head.size)
                    and last.note
                    and store.extends(tx, head, last.size, last.root)
                ):
                    note, size, root = last.note, last.size, last.root  # It was signed before a crash.
                elif last.size == head.size and last.root == head.root:
                    return
                else:
                    signed = self._sign(tx, head, last.size)
                    if signed is None:
                        continue
                    note, size, root = signed, head.size, head.root
            with self._database.begin(EVERYWHERE) as tx:
                store.add_checkpoint(tx, number, size, root, note)

    def _sign(self, tx: Connection, head: Head, old: int) -> str | None:
        """The note of this head; None where another process has sealed or signed meanwhile."""
        read = store.tiles(tx, head.log)
        proof = tree.consistency(read, old, head.size) if old <= head.size else []
        following = self._signer.following(head.origin)
        announced = bool(following) and any(
            store.parsed(content)["detail"]["vkey"] == following
            for _, content in store.of_action(tx, head.log, Action.AUDIT_LOG_ROTATE_KEY)
        )
        try:
            return self._signer.sign(head.origin, old, head.size, head.root, proof, rotated=announced)
        except WardlightError as error:
            if error.code == "conflict":
                return None
            if error.code != "audit-fork":
                raise
        with self._database.begin(EVERYWHERE) as writing:
            now = store.lock(writing, head.log)
            if now == head:
                self._refuse(writing, head)
        return None

    def _refuse(self, tx: Connection, head: Head) -> None:
        """Stop the log, and tell its readers and the operator. `wardlight admin audit-continue` goes on from here."""
        if not store.halt(tx, head.log, store.REFUSED):
            return
        try:
            signed = self._signer.last(head.origin).size
        except WardlightError:
            signed = 0
        event = Event(
            Action.AUDIT_LOG_ALARM,
            _SYSTEM,
            Outcome.FAILED,
            reason="audit-fork",
            detail={"origin": head.origin, "size": head.size, "signed": signed},
        )
        self._recorder.write_to_all(tx, tuple({head.institution, None}), event)
        log.error("audit.alarm", code="audit-fork", institution=str(head.institution or ""))

    # ---- after a new generation ----

    def _move(self, head: Head) -> int:
        """What waits in a log that has ended goes to the generation that took its place, bound to its origin."""
        with self._database.begin(EVERYWHERE) as tx:
            current = store.logs(tx, head.institution)[-1]
            if current.log == head.log or store.lock(tx, head.log) is None:
                return 0
            rows = store.pending_rows(tx, head.log, self._batch)
            store.remove_pending(tx, head.log, [seq for seq, _ in rows])
            kept = [
                values
                for _, content in rows
                if (values := store.parsed(content))["action"] not in _OF_ONE_LOG
            ]
            moved = [canonical({**values, "log": current.origin}) for values in kept]
            if moved:
                store.add_pending(tx, current.log, moved)
        return 0
