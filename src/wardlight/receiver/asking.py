"""Asks the platform what the hospital has agreed to, again and again, and keeps the answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from wardlight import log
from wardlight.receiver.agreed import NOTE, REASONS, read, write
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.model import Level, Target
from wardlight.receiver.setbacks import Backoff
from wardlight.receiver.store import ReceiverStore

PATH: Final = "/api/v1/receiver/agreements"
#: How often the platform is asked, in seconds.
EVERY_S: Final = 5.0


class Asking:
    """One thread with its own connection."""

    def __init__(self, exchange: Exchange, store: ReceiverStore, stop: threading.Event) -> None:
        self._exchange = exchange
        self._store = store
        self._stop = stop
        self._backoff = Backoff()
        self._noted = ""

    def run(self) -> None:
        """Work until told to stop."""
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                self.ask()
                pause = EVERY_S
                self._backoff.reset()
            except ExchangeError as error:
                self._note(error.code)
                pause = self._backoff.next(EVERY_S)
            except Exception as error:  # noqa: BLE001 - a database that is away, or an answer nobody thought of
                log.error("receiver.asking_waits", error)
                pause = self._backoff.next(EVERY_S)
        self._exchange.close()

    def ask(self) -> None:
        """Ask once, and keep the answer if it says something new. Raises ExchangeError."""
        said = _parsed(self._exchange.get(PATH))
        if read(self._store.database).reasons != said:
            write(self._store.database, said)
            log.info("receiver.agreements", count=sum(not reason for reason in said.values()))
        self._note("ok")

    def _note(self, value: str) -> None:
        if value != self._noted:
            self._store.note(NOTE, value)
            self._noted = value


def _parsed(answer: Mapping[str, Any]) -> dict[Target, str]:
    """Release → why not. Raises ExchangeError: half an answer must not end or begin anything."""
    found: dict[Target, str] = {}
    rows = answer.get("targets")
    if not isinstance(rows, list):
        raise ExchangeError("bad-answer")
    for row in rows:
        try:
            application, level, reason = row["application"], Level(row["level"]), row["reason"]
        except (TypeError, KeyError, ValueError):
            raise ExchangeError("bad-answer") from None
        if not isinstance(application, str) or not 0 < len(application) <= 64:
            raise ExchangeError("bad-answer")
        if reason != "" and reason not in REASONS:
            raise ExchangeError("bad-answer")
        found[Target(application, level)] = reason
    return found
