"""What the receiver knows of the platform's audit log: the largest tree of each generation, and alarms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from wardlight import clock
from wardlight.audit.tree import EMPTY_ROOT
from wardlight.errors import WardlightError
from wardlight.receiver.entries import Entries
from wardlight.receiver.statements import append_audit
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import followed

#: Under this name `status` finds how the exchange stands.
NOTE: Final = "witness"
#: An unchanged head is noted as seen so often.
SEEN_MS: Final = 60_000
#: Two heads of one log that cannot both be true.
FORK: Final = "witness-fork"


@dataclass(frozen=True, slots=True)
class Followed:
    """One generation of the log. note: of `size` and `root`, empty before the first."""

    origin: str
    vkey: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    note: str = ""
    cosigned_size: int = 0
    cosigned_ms: int = 0
    seen_ms: int = 0


_ROW: Final = select(
    followed.c.origin,
    followed.c.vkey,
    followed.c.size,
    followed.c.root,
    followed.c.note,
    followed.c.cosigned_size,
    followed.c.cosigned_ms,
    followed.c.seen_ms,
)


class FollowedLogs:
    """Rows of the receiver's database. Every change is durable when its method returns."""

    def __init__(self, store: ReceiverStore, entries: Entries) -> None:
        self._store = store
        self._entries = entries
        self._state = ""

    def newest(self) -> Followed | None:
        """The generation that is followed now."""
        with self._store.database.read() as tx:
            row = tx.execute(_ROW.order_by(followed.c.number.desc()).limit(1)).first()
        return None if row is None else Followed(*row)

    def follow(self, log: Followed) -> None:
        """Follow this generation from now on."""
        with self._store.database.begin() as tx:
            _add(tx, log)

    def advance(self, held: Followed, vkey: str, size: int, root: bytes, note: str) -> Followed:
        """The log has grown from what was held to this. Raises `conflict` where something else is known meanwhile.

        That cannot be but by a second witness on the same database, which must not sign from what is old.
        """
        now_ms = clock.unix_ms()
        values: dict[str, Any] = {"seen_ms": now_ms}
        if (size, vkey) != (held.size, held.vkey) or not held.note:
            values |= {"vkey": vkey, "size": size, "root": root, "note": note}
        elif now_ms - held.seen_ms < SEEN_MS:
            return held
        with self._store.database.begin() as tx:
            if tx.execute(_ROW.where(followed.c.origin == held.origin)).first() is None:
                _add(tx, held)
            mine = (
                followed.c.origin == held.origin,
                followed.c.size == held.size,
                followed.c.root == held.root,
            )
            if tx.execute(update(followed).where(*mine).values(values)).rowcount != 1:
                raise WardlightError("conflict", "another witness works on this database")
        return replace(held, **values)

    def cosigned(self, held: Followed) -> None:
        """The platform has this receiver's cosignature of the head."""
        values = {"cosigned_size": held.size, "cosigned_ms": clock.unix_ms()}
        with self._store.database.begin() as tx:
            tx.execute(update(followed).where(followed.c.origin == held.origin).values(values))

    def alarm(self, held: Followed, code: str, note: str, size: int) -> bool:
        """Keep what was shown instead of an extension, and tell of it in the receiver's trail; False if that is known.

        The first stays, but for a fork, which is the proof: other notes must not push it out.
        """
        fresh = followed.c.alarm == ""
        if code == FORK:
            fresh = followed.c.alarm != FORK
        values = {"alarm": code, "alarm_note": note, "alarm_ms": clock.unix_ms()}
        with self._store.database.begin() as tx:
            if tx.execute(_ROW.where(followed.c.origin == held.origin)).first() is None:
                _add(tx, held)
            mine = update(followed).where(followed.c.origin == held.origin, fresh)
            if tx.execute(mine.values(values)).rowcount != 1:
                return False
            append_audit(tx, [self._entries.alarm(held.origin, held.size, size, code)])
        return True

    def state(self, value: str) -> None:
        """How the last exchange ended, for `status`."""
        if value != self._state:
            self._store.note(NOTE, value)
            self._state = value


def _add(tx: Connection, log: Followed) -> None:
    row = {
        "origin": log.origin,
        "vkey": log.vkey,
        "size": log.size,
        "root": log.root,
        "note": log.note,
    }
    tx.execute(insert(followed).values(row))
