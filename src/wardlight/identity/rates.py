"""Rate limits in the database, so that they hold over all nodes (security.md section 6)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from wardlight import clock
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity import rates_store

_SECOND_US: Final = 1_000_000


class Rates:
    """Counts attempts by key, such as `token:acme_reader_prod`.

    A key names whose attempts they are (a client, an account and its network): no tenant uses up another's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, tx: Connection, key: str, limit: int, window_s: int, count: int = 1) -> None:
        """Count an attempt, or so many; raises `rate-limited` with Retry-After, and counts nothing, where none is left.

        At most `limit` at once, and after that one each `window_s / limit` (GCRA): 100 a second with a burst of 200 is
        a limit of 200 in 2 seconds. The attempt counts when the caller's transaction is committed.
        """
        now_us = clock.unix_ms() * 1000
        window_us = window_s * _SECOND_US
        step_us = window_us // limit * count
        if not rates_store.take(tx, key, now_us, step_us, window_us):
            wait_us = rates_store.free_us(tx, key) + step_us - now_us - window_us
            raise too_many(max(1, -(-wait_us // _SECOND_US)))

    def give_back(self, tx: Connection, key: str, limit: int, window_s: int) -> None:
        """Take back one attempt that was none."""
        rates_store.move(tx, key, -(window_s * _SECOND_US // limit))

    def sweep(self) -> int:
        """Forget the keys whose attempts are all free again."""
        with self._database.begin() as tx:
            return rates_store.sweep(tx, clock.unix_ms() * 1000)


def too_many(seconds: int) -> WardlightError:
    """`rate-limited`, with the seconds after which it is worth trying again."""
    return WardlightError("rate-limited", reason="rate", headers={"Retry-After": str(seconds)})
