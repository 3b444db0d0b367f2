"""What becomes of an object when a step on its way fails: put off, kept in quarantine, or marked damaged.

No failure of one object may stop the others, and none may be lost: whatever happens here, the object is either
settled in the database or looked at again later.
"""

from __future__ import annotations

import random
import threading
from typing import Final

from wardlight import clock, log
from wardlight.classification.values import Plain
from wardlight.errors import WardlightError
from wardlight.receiver.body import Reader
from wardlight.receiver.model import Target, Work
from wardlight.receiver.quarantine import Quarantine
from wardlight.receiver.store import ReceiverStore

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
DATABASE_PAUSE_S: Final = 1.0
"""A database that fails is asked again after so long."""

TRIES: Final = 30
"""Failures of one object in a row, over about half an hour, after which a person must look. Not for a full disk,
which says nothing about the object and is waited out."""

_UNREADABLE: Final = frozenset({"object-damaged", "wrong-key", "key-destroyed", "not-found"})
_DISK_FULL: Final = "out-of-resources"


class Backoff:
    """1 s, doubling to 60 s, with jitter so that receivers do not come back all at once."""

    def __init__(self, attempts: int = 0) -> None:
        self.attempts = attempts

    def next(self, at_least: float = 0.0) -> float:
        """How long to wait now, in seconds."""
        wait = min(FIRST_WAIT_S * 2.0 ** min(self.attempts, 10), LONGEST_WAIT_S)
        self.attempts += 1
        return max(at_least, wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """It worked."""
        self.attempts = 0


class Setbacks:
    """Counts failures of each object in this process. Used by several threads.

    Every method returns when the object may be looked at again, in seconds, or None if that is settled. None raises
    for the database's or the disk's sake.
    """

    def __init__(self, store: ReceiverStore, quarantine: Quarantine) -> None:
        self._store = store
        self._quarantine = quarantine
        self._lock = threading.Lock()
        self._failures: dict[tuple[int, Target], int] = {}

    def keep_back(self, work: Work, read: Reader, sop_uid: str, reasons: tuple[str, ...]) -> float | None:
        """Put the object into quarantine; if that fails, as `failed` says: it must not leave for that."""
        try:
            self._quarantine.put(work, read, sop_uid, reasons)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other objects go on
            return self.failed(work, error)
        self.forget(work)
        return None

    def failed(self, work: Work, error: Exception, *, alone: bool = False) -> float | None:
        """A step failed with `error`. An object that cannot be read, or fails too often, is marked damaged, with an
        alarm, and its file is kept; any other is put off. alone: the object is suspected to spoil its batch."""
        code = code_of(error)
        with self._lock:
            failures = self._failures.get(work.key, 0) + 1
        try:
            if code in _UNREADABLE or (failures >= TRIES and code != _DISK_FULL):
                facts: dict[str, Plain] = {
                    "file_id": work.file_id,
                    "offset": work.offset,
                    "code": code,
                    "attempt": failures,
                }
                if code in _UNREADABLE:
                    log.error("receiver.spool_damaged", error, **facts)
                else:
                    log.error("receiver.object_given_up", error, **facts)
                self._store.damaged(work)
                self.forget(work)
                return None
            wait = Backoff(failures - 1).next()
            self._store.postpone([work], clock.unix_ms() + int(wait * 1000), counted=alone)
        except Exception as second:  # noqa: BLE001 - whatever it is, the other objects go on
            # The database itself fails: that is not counted against the object.
            log.error("receiver.pipeline_waits", second, code=code_of(second))
            return DATABASE_PAUSE_S
        with self._lock:
            self._failures[work.key] = failures
        log.error(
            "receiver.object_put_off",
            error,
            file_id=work.file_id,
            offset=work.offset,
            code=code,
            attempt=failures,
            wait_s=round(wait, 1),
        )
        return wait

    def forget(self, work: Work) -> None:
        """The object went through."""
        with self._lock:
            self._failures.pop(work.key, None)


def code_of(error: Exception) -> str:
    """The error's code in the catalogue."""
    return error.code if isinstance(error, WardlightError) else "internal"
