"""Deliveries: every event arrives, in the order of its study, once by its id, whatever happens in between."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery_kit import Clock, told
from delivery_kit import an_endpoint as endpoint
from share_kit import ACME, CANARIES
from wardlight.audit.actions import Action
from wardlight.client import webhooks as client
from wardlight.delivery import deliver, webhook_store
from wardlight.delivery.deliver import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Deliverer, pause_ms
from wardlight.delivery.model import State
from wardlight.errors import WardlightError
from wardlight.events.outbox import Kind
from wardlight.identity.service import LOCAL_ADMINISTRATOR

BY = LOCAL_ADMINISTRATOR


@pytest.fixture
def place():
    """The application's server: `place.status` decides what it answers."""
    with endpoint() as running:
        yield running


@pytest.fixture
def kit(stores, place):
    with told(place) as hospital:
        yield hospital


@pytest.fixture
def ward(place):
    """The same on the embedded stores alone, for what is not about the database."""
    with told(place) as hospital:
        yield hospital


@pytest.fixture
def moved(monkeypatch):
    return Clock(monkeypatch)


def orders(place) -> dict[str, list[str]]:
    """What arrived, by study, each event once."""
    found: dict[str, list[str]] = {}
    for event in place.unique():
        found.setdefault(event["data"].get("grant", ""), []).append(event["id"])
    return found


def test_a_delivery_is_signed_and_holds_no_data_of_patients(kit, place):
    hook, secret = kit.hook(place)
    grant = kit.release()
    assert kit.deliver() == 1
    (got,) = place.got
    event = client.verify(secret, got.headers, got.body)
    assert (event.type, event.grant, event.id) == ("study.available", grant.hex, got.id)
    assert got.headers["content-type"].startswith("application/cloudevents+json")
    assert not [one for one in (*CANARIES.values(), "1.2.3.4", secret[6:]) if one.encode() in got.body]
    # Replayed later, or altered in any part, it is refused.
    sent = int(got.headers["webhook-timestamp"])
    for headers, body, now in (
        (got.headers, got.body, sent + 301),
        (got.headers, got.body.replace(b"available", b"changed.."), sent),
        ({**got.headers, "webhook-timestamp": str(sent + 1)}, got.body, sent),
        ({**got.headers, "webhook-id": "0" * 32}, got.body, sent),
    ):
        with pytest.raises(client.WebhookError):
            client.verify(secret, headers, body, now=now)
    sent, delivered = kit.entries("events:notification:send", "events:notification:deliver")
    assert sent["detail"] == delivered["detail"] == {
        "event": got.id, "kind": "study.available", "application": ACME,
    }  # fmt: skip
    assert sent["grant"] == grant.hex and sent["object"] == {"kind": "webhook", "id": hook.hex}


def test_an_hour_without_the_endpoint(kit, place, moved):
    """Events of three studies and of none, before, during and after; the endpoint is away for an hour."""
    hook, _ = kit.hook(place)
    place.status = lambda _got: 503
    grants = [kit.release(f"1.2.{number}") for number in range(3)]
    want = {}

    def happen(kind: Kind, grant=None) -> None:
        event = kit.tell(kind, grant=grant)
        want.setdefault(grant.hex if grant else "", []).append(event.hex)

    for minute in range(0, 60, 2):
        if minute % 10 == 0:
            happen(Kind.STUDY_CHANGED, grants[minute // 10 % 3])
            happen(Kind.AGREEMENT_CHANGED)
        kit.deliver()
        moved.on(120)
    # One that fails costs little: the pauses grow.
    assert 5 < len(place.got) < 30
    place.status = lambda _got: 204
    moved.on(3600)
    rounds = 0
    while any(one.state is State.PENDING for one in kit.log(hook)) and rounds < 10:
        kit.deliver()
        moved.on(1)
        rounds += 1
    assert {one.state for one in kit.log(hook)} == {State.DELIVERED}
    arrived = orders(place)
    for grant, events in want.items():
        assert [one for one in arrived[grant] if one in events] == events
    ids = [event["id"] for event in place.unique()]
    assert len(ids) == len(set(ids)) == sum(map(len, want.values())) + 3


def test_what_a_crashed_worker_had_falls_to_the_next(kit, place, moved):
    hook, _ = kit.hook(place)
    events = [kit.tell(grant=kit.institution.id).hex for _ in range(3)]

    class Crashing(Deliverer):
        """Dies when the event has left and nothing of that is noted."""

        def _made(self, tried) -> bool:
            self._send(tried)
            raise SystemExit

    platform, worker = kit.platform, kit.worker()
    crashing = Crashing(platform.database, platform.recorder, worker._secrets, platform.egress, 3)
    with pytest.raises(SystemExit):
        crashing.deliver(*kit.due()[0])
    assert [got.id for got in place.got] == events[:1]
    # Nobody else may begin while the dead one could be at it.
    assert kit.due() == [] and worker.deliver(kit.institution.id, hook) == 0
    moved.on(61)
    assert kit.deliver(worker) == 3
    assert [got.id for got in place.got] == [events[0], *events]
    assert [event["id"] for event in place.unique()] == events


def test_two_workers_send_each_event_once(kit, place):
    kit.hook(place)
    events = [kit.tell().hex for _ in range(12)]
    gate = threading.Barrier(3)

    def work(worker: Deliverer) -> None:
        gate.wait()
        for _ in range(20):
            kit.deliver(worker)

    threads = [threading.Thread(target=work, args=(kit.worker(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [got.id for got in place.got]
    assert ids == events


def test_a_slow_endpoint_holds_up_no_other(ward, place, monkeypatch):
    """Twice as many slow ones as a worker has threads each cost one try, and the quick one waits for none of them."""
    monkeypatch.setattr(deliver, "THREADS", 4)
    gone = threading.Event()
    with ExitStack() as opened:
        place.status = lambda _got: (gone.wait(5) and 204) or 500
        slow = [ward.hook(place)[0] for _ in range(3)]
        quick = opened.enter_context(endpoint())
        object.__setattr__(ward.platform.settings, "outgoing_targets", (place.target, quick.target))
        ward.hook(quick)
        for _ in range(5):
            ward.tell()
        worker = ward.worker()
        began = time.monotonic()
        worker.tend()
        while len(quick.got) < 5 and time.monotonic() - began < 4:
            time.sleep(0.01)
        assert len(quick.got) == 5 and not gone.is_set()
        gone.set()
        worker.close()
    assert len(slow) == 3


def test_an_event_that_is_never_taken_holds_up_its_study_only(kit, place, moved):
    hook, _ = kit.hook(place)
    one, other = kit.institution.id, hook
    poison, after = kit.tell(grant=one).hex, kit.tell(grant=one).hex
    place.status = lambda got: 500 if got.id == poison else 204
    free = [kit.tell(grant=other).hex for _ in range(3)]
    for _ in range(4):
        kit.deliver()
        moved.on(10)
    delivered = [got.id for got in place.got if got.id != poison]
    assert delivered == free
    for _ in range(20):
        moved.on(4 * 3600)
        kit.deliver()
    states = {row.event.hex: row.state for row in kit.log(hook)}
    assert states[poison] is State.DEAD and states[after] is State.DELIVERED
    assert [entry["reason"] for entry in kit.entries("events:notification:dead")] == ["http-500"]
    # Of a row of failures the first is told, and the last.
    assert len(kit.entries("events:notification:fail")) == 1
    # What was given up is sent again when that is asked for.
    place.status = lambda _got: 200
    dead = next(row for row in kit.log(hook) if row.event.hex == poison)
    kit.platform.webhooks.redeliver(kit.managing, hook, dead.id)
    assert kit.deliver() == 1
    assert place.got[-1].id == poison
    assert {row.state for row in kit.log(hook)} == {State.DELIVERED}


def test_the_grant_is_read_again_before_each_try(kit, place, moved):
    hook, _ = kit.hook(place)
    place.status = lambda _got: 500
    first, second = kit.release("1.2.1"), kit.release("1.2.2")
    kit.deliver()
    kit.revoke(first)
    place.status = lambda _got: 204
    place.got.clear()
    moved.on(60)
    for _ in range(3):
        kit.deliver()
    assert [(got.event["type"], got.event["data"]["grant"]) for got in place.got] == [
        ("study.available", second.hex), ("access.revoked", first.hex),
    ]  # fmt: skip
    states = {row.kind: row.state for row in kit.log(hook) if row.state is not State.DELIVERED}
    assert states == {"study.available": State.WITHHELD}


def test_a_suspended_application_gets_nothing_until_it_is_active_again(kit, place):
    kit.hook(place)
    kit.tell()
    kit.platform.applications.suspend(ACME, by=BY)
    assert kit.due() == [] and kit.deliver() == 0
    kit.platform.applications.approve(ACME, by=BY)
    assert kit.deliver() == 1


def test_any_answer_but_success_is_a_failure_and_none_is_followed(ward, place):
    hook, _ = ward.hook(place)
    answers = iter((299, 301, 302, 307, 400, 404, 410, 429, 500))
    place.status = lambda _got: next(answers)
    for tries in range(1, 10):
        event = ward.tell(grant=uuid4())
        with ward.platform.database.begin(ward.institution.id) as tx:
            webhook_store.recovered(tx, hook)
        assert ward.deliver() == (tries == 1)
        row = next(one for one in ward.log(hook) if one.event == event)
        assert len(place.got) == tries and row.attempts == 1
        assert (row.status, row.reason) == (299, "") if tries == 1 else row.reason == f"http-{row.status}"
    # What it answered is neither shown nor kept.
    assert "ANSWER" not in str(ward.sql("SELECT * FROM webhook_delivery"))


def test_an_address_that_is_allowed_no_more_is_not_reached(ward, place, moved):
    hook, _ = ward.hook(place)
    ward.tell()
    object.__setattr__(ward.platform.settings, "outgoing_targets", ())
    ward.deliver()
    assert place.got == [] and ward.log(hook)[0].reason == "address-denied"


def test_nothing_is_sent_or_taken_for_sent_without_its_entry(ward, place, moved, monkeypatch):
    hook, _ = ward.hook(place)
    event = ward.tell().hex
    written, failing = ward.platform.recorder.write, Action.EVENTS_NOTIFICATION_SEND

    def write(tx, institution, entry):
        if entry.action is failing:
            raise WardlightError("unavailable")
        return written(tx, institution, entry)

    monkeypatch.setattr(ward.platform.recorder, "write", write)
    worker = ward.worker()
    with pytest.raises(WardlightError):
        ward.deliver(worker)
    (row,) = ward.log(hook)
    assert place.got == [] and (row.state, row.attempts) == (State.PENDING, 0)
    failing = Action.EVENTS_NOTIFICATION_DELIVER
    with pytest.raises(WardlightError):
        ward.deliver(worker)
    assert ward.log(hook)[0].state is State.PENDING
    failing = None
    moved.on(61)
    assert ward.deliver(worker) == 1
    assert [got.id for got in place.got] == [event, event]


def test_only_the_kinds_that_were_asked_for(ward, place):
    ward.hook(place, "study.deleted")
    ward.tell()
    event = ward.tell(Kind.STUDY_DELETED)
    ward.deliver()
    assert [got.id for got in place.got] == [event.hex]


@settings(max_examples=30)
@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_to_an_hour(failures, chance):
    whole = min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
    assert whole / 2 <= pause_ms(failures, lambda: chance) <= whole
