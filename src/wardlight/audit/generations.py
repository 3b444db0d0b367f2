"""New keys and new generations of a log (audit.md sections 2 and 3)."""

from __future__ import annotations

import base64
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.audit import log_store as store
from wardlight.audit.actions import Action
from wardlight.audit.log_store import Head
from wardlight.audit.model import Actor, Event
from wardlight.audit.recorder import Recorder
from wardlight.audit.signer import Signer
from wardlight.audit.tree import EMPTY_ROOT
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError

#: A log gets a new key once the one that it has is so old.
KEY_MS: Final = 365 * 86_400_000

_WORKER: Final = Actor("system", "worker")


class Generations:
    """Rotates the keys of logs, and opens the generation that follows one that cannot go on."""

    def __init__(self, database: Database, recorder: Recorder, signer: Signer) -> None:
        self._database = database
        self._recorder = recorder
        self._signer = signer

    def rotate(self, institution: UUID | None, *, by: Actor) -> str:
        """Announce a new key; returns its vkey. The next checkpoint has both signatures, later ones the new key's.

        Raises `conflict` where the log has stopped, has no entry yet, or its last rotation is not over.
        """
        with self._database.begin(EVERYWHERE) as tx:
            head = store.logs(tx, institution)[-1]
            if head.halted or not head.size:
                raise WardlightError("conflict", "the log is not being sealed")
            vkey = self._signer.rotate(head.origin)
            self._recorder.write(
                tx, institution, Event(Action.AUDIT_LOG_ROTATE_KEY, by, detail={"vkey": vkey})
            )
        return vkey

    def rotate_old(self) -> int:
        """Rotate the keys that are a year old; returns how many."""
        with self._database.read(EVERYWHERE) as tx:
            heads = [one.head for one in store.overview(tx) if one.head.size and not one.head.halted]
            ages = {head.log: store.key_since_ms(tx, head.log) for head in heads}
        done = 0
        for head in heads:
            if clock.unix_ms() - ages[head.log] > KEY_MS and not self._signer.last(head.origin).following:
                self.rotate(head.institution, by=_WORKER)
                done += 1
        return done

    def go_on(self, institution: UUID | None, *, by: Actor, anyway: bool = False) -> Head:
        """Open the next generation, whose first entry holds the last signed head of this one.

        anyway: also where this one is whole, as after the theft of its key. What waits in this one is sealed in the
        next; its key is destroyed. Raises `conflict`.
        """
        with self._database.begin(EVERYWHERE) as tx:
            old = store.lock(tx, store.logs(tx, institution)[-1].log)
            if old is None:
                raise WardlightError("conflict", "the log is being sealed; try again")
            if not old.halted and not anyway:
                raise WardlightError("conflict", "the log has not stopped")
            size, root = self._last(old)
            origin = f"{old.origin.rpartition('/')[0]}/{old.generation + 1}"
            vkey = self._signer.open(institution, origin)
            store.halt(tx, old.log, store.CLOSED)
            number = store.open_next(tx, old, origin, EMPTY_ROOT)
            last = {"origin": old.origin, "size": size, "root": base64.b64encode(root).decode()}
            event = Event(Action.AUDIT_LOG_CONTINUE, by, detail={"vkey": vkey, **last})
            self._recorder.write(tx, institution, event)
            new = store.head(tx, number)
        self._signer.close(old.origin)
        assert new is not None
        return new

    def _last(self, old: Head) -> tuple[int, bytes]:
        """The head that the world saw last; the database's own where the keystore does not know the log."""
        try:
            state = self._signer.last(old.origin)
        except WardlightError:
            return old.size, old.root
        return state.size, state.root
