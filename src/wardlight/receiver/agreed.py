"""What the hospital has agreed to, as the platform said last: what may be taken in and what may leave (R2.1, R2.2).

The answer is kept in the receiver's database, so that a receiver that starts without the platform knows it. Until the
platform has said anything everything is taken in and waits: what was acknowledged is not lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from wardlight import clock
from wardlight.db.engine import Database
from wardlight.receiver.model import Level, Target, UploadState
from wardlight.receiver.tables import agreed_target, state, upload

#: Under this name `status` finds how asking stands.
NOTE: Final = "agreements"
#: A row of this name says that the platform has answered once.
KNOWN: Final = "agreements-known"
#: What is known is read again from the database when it is so old, in seconds.
_FRESH_S: Final = 1.0
#: Codes of the error catalogue for which nothing may be taken in.
REASONS: Final = frozenset(
    {"no-agreement", "agreement-withdrawn", "level-not-agreed", "not-subscribed", "region-not-agreed"}
)


@dataclass(frozen=True, slots=True)
class Agreed:
    """reasons: why not, "" where it is agreed; None while the platform has not said anything."""

    reasons: Mapping[Target, str] | None = None

    def why_not(self, target: Target) -> str:
        """Why nothing may be taken in for this release: a code of the error catalogue, "" where it may."""
        return "" if self.reasons is None else self.reasons.get(target, "no-agreement")

    @property
    def targets(self) -> list[Target] | None:
        """What may leave; None: nobody has said."""
        if self.reasons is None:
            return None
        return [target for target, reason in self.reasons.items() if not reason]


class AgreedTable:
    """What is agreed, read again from the database when it is a second old. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._agreed = Agreed()
        self._read_at = float("-inf")

    def get(self) -> Agreed:
        """The present state. Raises WardlightError("unavailable") if the database cannot be read."""
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                self._agreed = read(self._database)
                self._read_at = time.monotonic()
            return self._agreed


def read(database: Database) -> Agreed:
    """What is agreed, as the database has it."""
    with database.read() as tx:
        if tx.execute(select(state.c.name).where(state.c.name == KNOWN)).first() is None:
            return Agreed()
        rows = tx.execute(select(agreed_target))
        return Agreed({Target(row.application, Level(row.level)): row.reason for row in rows})


def write(database: Database, reasons: Mapping[Target, str]) -> None:
    """Keep what the platform said in the place of what it said before; what is agreed and waits may go at once."""
    rows = [
        {"application": target.application, "level": target.level.value, "reason": reason}
        for target, reason in reasons.items()
    ]
    known = {"name": KNOWN, "value": "yes", "at_ms": clock.unix_ms()}
    with database.begin() as tx:
        tx.execute(delete(agreed_target))
        if rows:
            tx.execute(insert(agreed_target), rows)
        if names := [(row["application"], row["level"]) for row in rows if not row["reason"]]:
            waiting = update(upload).where(
                upload.c.state == UploadState.PENDING,
                upload.c.not_before_ms > 0,
                tuple_(upload.c.application, upload.c.level).in_(names),
            )
            tx.execute(waiting.values(not_before_ms=0))
        tx.execute(upsert(state).values(known).on_conflict_do_update(index_elements=["name"], set_=known))
