"""Brings events to webhooks: at least once, in the order of each study, with patience (R9.1; Standard Webhooks 1.0.0).

A worker keeps a webhook to itself for a minute, longer than a try can take; what a dead worker had falls to the next.
A webhook that fails is left in peace, so that it costs one try each time. Every try reads the grant again.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from wardlight import clock, log
from wardlight.access import store as access
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.delivery import feed_store
from wardlight.delivery import webhook_store as store
from wardlight.delivery.model import Delivery, State, Told, Webhook
from wardlight.delivery.secrets import Secrets, signature_headers
from wardlight.egress import Egress, reason_of
from wardlight.events.outbox import WITH_ACCESS, EventKind, emit

#: How long a worker has a webhook for itself, in ms, from its last try on.
HELD_MS: Final = 60_000
#: Pause after a first failure, doubled with each, and the longest, in ms.
FIRST_PAUSE_MS: Final = 5_000
LONGEST_PAUSE_MS: Final = 3_600_000
#: Webhooks that one worker delivers to at a time, and after how long one makes room for another, in seconds.
THREADS: Final = 16
TURN_S: Final = 10.0

_DAY_MS: Final = 86_400_000
_SYSTEM: Final = Actor("system", "webhooks")


@dataclass(frozen=True, slots=True)
class Try:
    """One delivery that is about to be tried."""

    webhook: Webhook
    delivery: Delivery
    told: Told


class Deliverer:
    """Delivers what is due; `tend` is to be called each second. days: after which a delivery is given up."""

    def __init__(
        self, database: Database, recorder: Recorder, sealed: Secrets, egress: Egress, days: float
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._secrets = sealed
        self._egress = egress
        self._patience_ms = round(days * _DAY_MS)
        self._pool: ThreadPoolExecutor | None = None
        self._stopping = threading.Event()
        # Those that have a thread, or will have the next that is free.
        self._begun: set[tuple[UUID, UUID]] = set()

    def tend(self) -> int:
        """Begin to deliver where something is due; returns at how many webhooks."""
        if self._stopping.is_set():
            return 0
        with self._database.read(EVERYWHERE) as tx:
            found = store.due(tx, clock.unix_ms(), 2 * THREADS)
        if not found:
            return 0
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, "webhook")
        waiting = [place for place in found if place not in self._begun]
        for place in waiting:
            self._begun.add(place)
            self._pool.submit(self._guarded, *place)
        return len(waiting)

    def close(self) -> None:
        """Stop, once what is being sent has its answer."""
        self._stopping.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def deliver(self, institution: UUID, webhook: UUID) -> int:
        """Deliver what is due at one webhook, unless another worker has it; returns how much was delivered."""
        holder = secrets.token_hex(16)
        done, until = 0, time.monotonic() + TURN_S
        while not self._stopping.is_set() and time.monotonic() < until:
            tried = self._next(institution, webhook, holder)
            if tried is None or not self._made(tried):
                break
            done += 1
        with self._database.begin(institution) as tx:
            store.release(tx, webhook, holder, clock.unix_ms())
        return done

    def _guarded(self, institution: UUID, webhook: UUID) -> None:
        try:
            self.deliver(institution, webhook)
        except Exception as error:  # noqa: BLE001 - a full disk or a locked database passes; it is tried again
            log.error("job.failed", error)
        finally:
            self._begun.discard((institution, webhook))

    def _next(self, institution: UUID, webhook: UUID, holder: str) -> Try | None:
        """What to try now; that it is sent is in the trail before it is."""
        with self._database.begin(institution) as tx:
            now = clock.unix_ms()
            hook = store.hold(tx, webhook, holder, now, now + HELD_MS)
            while hook is not None and (one := store.next_due(tx, webhook, now)) is not None:
                told = feed_store.by_id(tx, institution, one.event)
                if told is None or not _may_be_told(tx, told, now):
                    store.ended(
                        tx, one.id, State.WITHHELD, now, None, "event-gone" if told is None else "grant-ended"
                    )
                    continue
                store.trying(tx, one.id, one.attempts + 1, now)
                if one.attempts == 0:
                    self._write(tx, hook, told, Action.EVENTS_NOTIFICATION_SEND)
                return Try(hook, one, told)
        return None

    def _made(self, tried: Try) -> bool:
        """Try it, and note what came of it; whether it was delivered."""
        status, reason = self._send(tried)
        hook, one = tried.webhook, tried.delivery
        with self._database.begin(hook.institution) as tx:
            now = clock.unix_ms()
            if status is not None and 200 <= status < 300:
                store.ended(tx, one.id, State.DELIVERED, now, status, "")
                if hook.failures:
                    store.recovered(tx, hook.id)
                # After one failure it was that event's; after several it was the webhook, and all waited for it.
                if hook.failures > 1:
                    store.hasten(tx, hook.id, now)
                self._write(tx, tried.webhook, tried.told, Action.EVENTS_NOTIFICATION_DELIVER)
                return True
            failures = hook.failures + 1
            store.failing(tx, hook.id, failures, now + pause_ms(failures))
            if now >= one.created_ms + self._patience_ms:
                store.ended(tx, one.id, State.DEAD, now, status, reason)
                self._write(tx, hook, tried.told, Action.EVENTS_NOTIFICATION_DEAD, reason)
                given_up = {"webhook": hook.id.hex, "application": hook.application}
                emit(tx, hook.institution, EventKind.WEBHOOK_DEAD, given_up)
            else:
                store.put_off(tx, one.id, now + pause_ms(one.attempts + 1), status, reason)
                # Only the first of a row of failures is an entry.
                if one.attempts == 0:
                    self._write(tx, hook, tried.told, Action.EVENTS_NOTIFICATION_FAIL, reason)
        log.warning(
            "webhook.failed", reason=reason, institution=str(hook.institution), attempt=one.attempts + 1
        )
        return False

    def _send(self, tried: Try) -> tuple[int | None, str]:
        """Status of the answer, and a word for what went wrong. Of the answer's body nothing is read."""
        hook, body = tried.webhook, tried.told.body()
        now = clock.unix_ms()
        sealed = [hook.secret]
        if hook.old_secret is not None and now < hook.old_until_ms:
            sealed.append(hook.old_secret)
        opened = [self._secrets.open(hook.institution, hook.id, one) for one in sealed]
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            **signature_headers(opened, tried.told.id.hex, now // 1000, body),
        }
        try:
            status = self._egress.send("POST", hook.url, body, headers, wanted=False).status
        except OSError as error:
            return None, reason_of(error)
        return status, "" if 200 <= status < 300 else f"http-{status}"

    def _write(self, tx: Connection, hook: Webhook, told: Told, action: Action, reason: str = "") -> None:
        event = Event(
            action,
            _SYSTEM,
            outcome=Outcome.FAILED if reason else Outcome.SUCCESS,
            target=Target("webhook", id=hook.id.hex),
            grant=told.grant.hex if told.grant else "",
            reason=reason,
            detail={"event": told.id.hex, "kind": told.kind.value, "application": hook.application},
        )
        self._recorder.write(tx, hook.institution, event)


def pause_ms(failures: int, jitter: Callable[[], float] = random.random) -> int:
    """How long to wait after so many failures in a row: doubled each time, a random part of it less."""
    whole = min(FIRST_PAUSE_MS << min(failures - 1, 20), LONGEST_PAUSE_MS)
    return round(whole * (1 - jitter() / 2))


def _may_be_told(tx: Connection, told: Told, now_ms: int) -> bool:
    if told.kind not in WITH_ACCESS:
        return True
    return told.grant is not None and bool(access.live_ids(tx, [told.grant], now_ms))
