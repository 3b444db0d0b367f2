"""Brings the entries of the receiver's own trail to the platform (audit.md section 1, "Receivers").

An entry stays here until the platform has answered that it is durable there; sent again, it is known by its id. One
that the platform refuses is kept apart, for a person to look at: it must not hold up those behind it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, insert, select

from wardlight import clock, log
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.setbacks import Backoff
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending, audit_refused

PATH: Final = "/api/v1/audit/receiver/entries"
#: What the platform takes in one request.
BATCH: Final = 100
BATCH_BYTES: Final = 200 << 10
#: How often new entries are looked for, in seconds.
IDLE_S: Final = 2.0
#: Under this name `status` finds how shipping stands.
NOTE: Final = "audit"
_SETTLED: Final = ("recorded", "duplicate")
_STATES: Final = (*_SETTLED, "refused")
#: Answers to a request that cannot be read, or is too large.
_NOT_TAKEN: Final = (400, 413, 415)


class Shipping:
    """One thread with its own connection."""

    def __init__(self, exchange: Exchange, store: ReceiverStore, stop: threading.Event) -> None:
        self._exchange = exchange
        self._store = store
        self._stop = stop
        self._backoff = Backoff()
        self._noted = ""
        self._most = BATCH

    def run(self) -> None:
        """Work until told to stop."""
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = 0.0 if self.ship() else IDLE_S
                self._backoff.reset()
            except ExchangeError as error:
                self._note(error.code)
                pause = self._backoff.next()
            except Exception as error:  # noqa: BLE001 - a database that is away, or an answer nobody thought of
                log.error("receiver.shipping_waits", error)
                pause = self._backoff.next()
        self._exchange.close()

    def ship(self) -> int:
        """Send the oldest entries; returns how many were settled. Raises ExchangeError where they must wait."""
        rows = self._oldest(self._most)
        if not rows:
            return 0
        try:
            results = self._send([content for _, content in rows])
        except ExchangeError as error:
            if error.status not in _NOT_TAKEN:
                raise
            # Something in it is not even read there: one by one, so that it is found.
            if len(rows) > 1:
                self._most = 1
                return self.ship()
            results = [("refused", error.code)]
        else:
            self._most = BATCH
        refused = [
            {"seq": seq, "content": content, "code": code, "at_ms": clock.unix_ms()}
            for (seq, content), (status, code) in zip(rows, results, strict=True)
            if status not in _SETTLED
        ]
        with self._store.database.begin() as tx:
            if refused:
                tx.execute(insert(audit_refused), refused)
            tx.execute(delete(audit_pending).where(audit_pending.c.seq.in_([seq for seq, _ in rows])))
        for one in refused:
            log.error("receiver.entry_refused", code=str(one["code"]))
        self._note("ok")
        return len(rows)

    def _send(self, contents: Sequence[bytes]) -> list[tuple[str, str]]:
        """Status and error code of each entry, as the platform answers."""
        answer = self._exchange.post(PATH, b'{"entries":[' + b",".join(contents) + b"]}").get("entries")
        if not isinstance(answer, list) or len(answer) != len(contents):
            raise ExchangeError("bad-answer")
        return [_answered(content, one) for content, one in zip(contents, answer, strict=True)]

    def _oldest(self, most: int) -> Sequence[tuple[int, bytes]]:
        query = select(audit_pending.c.seq, audit_pending.c.content).order_by(audit_pending.c.seq).limit(most)
        with self._store.database.read() as tx:
            found = [(seq, bytes(content)) for seq, content in tx.execute(query)]
        size = 0
        rows: list[tuple[int, bytes]] = []
        for seq, content in found:
            size += len(content) + 1
            if rows and size > BATCH_BYTES:
                break
            rows.append((seq, content))
        return rows

    def _note(self, value: str) -> None:
        if value != self._noted:
            self._store.note(NOTE, value)
            self._noted = value


def _answered(content: bytes, result: Any) -> tuple[str, str]:
    """Status and error code of one entry's answer. Raises ExchangeError where it is not about this entry."""
    status = result.get("status") if isinstance(result, dict) else None
    if status not in _STATES or result.get("id") != json.loads(content)["id"]:
        raise ExchangeError("bad-answer")
    error = result.get("error")
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    plain = code.isascii() and code.replace("-", "").isalnum() and len(code) <= 40
    return status, code if plain else "refused"
