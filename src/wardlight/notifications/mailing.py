"""Mails what people want mailed: at least once, with patience. What is due for one person at once is one mail.

A worker puts a mail off before it tries it, longer than a try can take; what a dead worker had falls to the next. Each
try reads again whether its person may still be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.egress import reason_of
from wardlight.notifications import definition_store, mail_store, store
from wardlight.notifications.letters import Line, letter
from wardlight.notifications.model import Letter, LetterState, Mail
from wardlight.notifications.names import Names
from wardlight.notifications.telling import default
from wardlight.smtp import NotSent, Post

#: Mails of one round, and notifications of one mail.
BATCH: Final = 200
MOST_LINES: Final = 50
#: How long a worker has a mail for itself, in ms.
HELD_MS: Final = 180_000
#: Pause after a first failure, doubled with each, and the longest, in ms.
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_SYSTEM: Final = Actor("system", "mail")


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is to be handed over now, and to whom."""

    letters: list[Letter]
    lines: list[Line]
    institution: str
    address: str


class Mailer:
    """`tend` is to be called every few seconds. days: after which a mail is given up."""

    def __init__(
        self, database: Database, recorder: Recorder, post: Post, base_url: str, days: float
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._post = post
        self._base_url = base_url
        self._patience_ms = round(days * _DAY_MS)

    def tend(self) -> int:
        """Hand over what is due; returns how many mails were taken."""
        with self._database.read(EVERYWHERE) as tx:
            found = mail_store.due(tx, clock.unix_ms(), BATCH)
        found.sort(key=_whose)
        return sum(self._mail(list(rows)[:MOST_LINES]) for _, rows in groupby(found, _whose))

    def _mail(self, rows: Sequence[Letter]) -> bool:
        first = rows[0]
        with self._database.begin(first.institution) as tx:
            ready = self._ready(tx, rows)
        if ready is None:
            return False
        number = ready.letters[0].id
        why, lasting = "", False
        try:
            message = letter(
                ready.lines, ready.institution, self._base_url, self._post.sender, ready.address, number
            )
            self._post.send(message, ready.address)
        except OSError as error:
            why = reason_of(error)[:32]
            lasting = isinstance(error, NotSent) and error.lasting
        except (ValueError, LookupError):
            # This one cannot be written or sent, ever; those of others go out.
            why, lasting = "not-sendable", True
        with self._database.begin(first.institution) as tx:
            self._settle(tx, ready.letters, why, lasting=lasting)
        if why:
            log.warning("mail.failed", reason=why, institution=str(first.institution))
        return not why

    def _ready(self, tx: Connection, rows: Sequence[Letter]) -> _Ready | None:
        """Those of one person that go out now; that they do is in the trail before they do."""
        now = clock.unix_ms()
        first = rows[0]
        mine = [row for row in rows if mail_store.claim(tx, row, now + HELD_MS)]
        role = store.role_of(tx, first.institution, first.person)
        address = store.address_of(tx, first.institution, first.person)
        if role is None or address is None or address.confirmed_ms is None:
            reason = "no-address" if role else "person"
            mail_store.end(tx, [row.id for row in mine], LetterState.WITHHELD, reason, now)
            return None
        versions = definition_store.versions(tx, first.institution, {row.application for row in mine})
        chosen = store.preferences_of(tx, first.institution, first.person)
        named = {str(row.data.get("application", "")) for row in mine} | {row.application for row in mine}
        names = Names(tx, first.institution, named)
        fit, lines = [], []
        for row in mine:
            definition = versions.get((row.application, row.name, row.version))
            if definition is None or not mail_store.may_go(tx, row, role, now):
                mail_store.end(tx, [row.id], LetterState.WITHHELD, "not-allowed", now)
            elif chosen.get(definition.key, default(definition)).mail is Mail.NONE:
                mail_store.end(tx, [row.id], LetterState.WITHHELD, "not-wanted", now)
            else:
                fit.append(row)
                source = names.application(row.application) if row.application else ""
                lines.append(
                    Line(
                        names.title(definition, row.data),
                        names.text(definition, row.data),
                        source,
                        row.created_ms,
                    )
                )
        if not fit:
            return None
        if any(row.attempts == 0 for row in fit):
            self._write(tx, Action.NOTIFY_MAIL_SEND, fit, "")
        return _Ready(fit, lines, names.institution, address.address)

    def _settle(self, tx: Connection, rows: Sequence[Letter], why: str, *, lasting: bool) -> None:
        now = clock.unix_ms()
        ids = [row.id for row in rows]
        if not why:
            mail_store.end(tx, ids, LetterState.SENT, "", now)
            return
        dead = [row.id for row in rows if lasting or now >= row.created_ms + self._patience_ms]
        again = [row for row in rows if row.id not in dead]
        mail_store.end(tx, dead, LetterState.DEAD, why, now)
        if again:
            pause = pause_ms(min(row.attempts for row in again) + 1)
            mail_store.put_off(tx, [row.id for row in again], now + pause, why)
        # Of a row of failures the first, and the end.
        if dead or any(row.attempts == 0 for row in rows):
            self._write(tx, Action.NOTIFY_MAIL_FAIL, rows, why)

    def _write(self, tx: Connection, action: Action, rows: Sequence[Letter], why: str) -> None:
        first = rows[0]
        event = Event(
            action,
            _SYSTEM,
            outcome=Outcome.FAILED if why else Outcome.SUCCESS,
            target=Target("mail", id=first.id.hex),
            reason=why,
            counts={"notifications": len(rows)},
            detail={"person": first.person, "digest": first.digest},
        )
        self._recorder.write(tx, first.institution, event)


def pause_ms(failures: int) -> int:
    """How long to wait after so many failures in a row."""
    return min(FIRST_PAUSE_MS << min(failures - 1, 20), LONGEST_PAUSE_MS)


def _whose(one: Letter) -> tuple[UUID, str, bool]:
    return one.institution, one.person, one.digest
