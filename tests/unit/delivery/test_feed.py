"""Feeds: ordered as commits are, of one application at one institution, without what may be told no more."""

from __future__ import annotations

import threading
import time

import pytest

from delivery_kit import Clock, Told, told
from share_kit import ACME, ADDRESS, BETA, CANARIES
from wardlight.access.model import Operation, Principal, PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.events.outbox import Kind, acknowledged
from wardlight.identity.service import LOCAL_ADMINISTRATOR


@pytest.fixture
def kit(stores):
    with told() as hospital:
        yield hospital


def kinds(kit: Told, after: int = 0, application: str = ACME) -> list[str]:
    scope = kit.scope(Action.EVENTS_FEED_READ, Operation.FEED, application)
    return [one.kind.value for one in kit.platform.feed.page(scope, after, 1000).events]


def newest(kit: Told) -> int:
    return kit.platform.feed.page(kit.reading, 0, 1000).next


def test_a_study_is_told_with_its_grant_and_without_data_of_patients(kit):
    start = newest(kit)
    grant = kit.release()
    page = kit.platform.feed.page(kit.reading, start, 10)
    (event,) = page.events
    assert (event.kind, event.grant, event.data) == (
        Kind.STUDY_AVAILABLE, grant, {"instances": 2, "quarantined": 0},
    )  # fmt: skip
    assert page.next == event.seq
    body = event.body().decode()
    assert not [value for value in (*CANARIES.values(), "1.2.3.4", "Müller") if value in body]
    assert event.members()["data"]["grant"] == grant.hex


def test_pages_follow_each_other_and_are_read_again(kit):
    start = newest(kit)
    made = [kit.tell(data={"instances": number}) for number in range(7)]
    found, after = [], start
    while page := kit.platform.feed.page(kit.reading, after, 3):
        if not page.events:
            break
        assert len(page.events) <= 3
        found += [one.id for one in page.events]
        after = page.next
    assert found == made
    assert [one.id for one in kit.platform.feed.page(kit.reading, start, 100).events] == made


def test_others_learn_nothing(kit):
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    before = kinds(kit, application=BETA)
    kit.release()
    kit.tell()
    assert kinds(kit, application=BETA) == before
    # Not even how much others get: positions are counted for each of them.
    stranger = Principal(
        PrincipalKind.APPLICATION, ACME, other.id, None, frozenset({TokenScope.EVENTS_READ}), purpose="TREAT"
    )
    scope = kit.may(Action.EVENTS_FEED_READ, stranger, Operation.FEED)
    page = kit.platform.feed.page(scope, 0, 100)
    assert (page.events, page.next) == ([], 0)


def test_what_may_be_seen_no_more_is_told_no_more(kit):
    start = newest(kit)
    first, second = kit.release("1.2.3"), kit.release("1.2.4")
    kit.revoke(first)
    page = kit.platform.feed.page(kit.reading, start, 100)
    assert [(one.kind, one.grant) for one in page.events] == [
        (Kind.STUDY_AVAILABLE, second), (Kind.ACCESS_REVOKED, first),
    ]  # fmt: skip
    kit.revoke(second)
    # All that is left to tell is the end; the position moves on over the rest.
    assert kinds(kit, start) == ["access.revoked", "access.revoked"]
    kit.release("1.2.5")
    kit.platform.entitlements.unsubscribe(kit.institution.id, ACME, by=LOCAL_ADMINISTRATOR)
    assert "study.available" not in kinds(kit, start)
    assert kit.platform.feed.page(kit.reading, newest(kit), 10).events == []


def test_order_is_that_of_commits(kit):
    """Who reads position 2 has seen position 1: no event appears behind one that was read."""
    start, database, own = newest(kit), kit.platform.database, kit.institution.id
    begun, seen = threading.Event(), []

    def slow() -> None:
        from wardlight.events.outbox import tell

        with database.begin(own) as tx:
            tell(tx, ACME, own, Kind.AGREEMENT_CHANGED, data={"reason": "slow"})
            begun.set()
            time.sleep(0.3)

    thread = threading.Thread(target=slow)
    thread.start()
    assert begun.wait(30)
    other = threading.Thread(target=lambda: kit.tell(data={"reason": "quick"}))
    other.start()
    while other.is_alive() or thread.is_alive():
        seen.append([one.data["reason"] for one in kit.platform.feed.page(kit.reading, start, 10).events])
        time.sleep(0.02)
    seen.append([one.data["reason"] for one in kit.platform.feed.page(kit.reading, start, 10).events])
    assert seen[-1] == ["slow", "quick"]
    assert all(one == ["slow", "quick"][: len(one)] for one in seen)


def test_an_event_lives_and_dies_with_its_transaction(kit):
    from wardlight.events.outbox import tell

    start, own = newest(kit), kit.institution.id
    with pytest.raises(RuntimeError), kit.platform.database.begin(own) as tx:
        tell(tx, ACME, own, Kind.STUDY_DELETED)
        raise RuntimeError
    assert kinds(kit, start) == []
    kit.tell()
    assert newest(kit) == start + 1


def test_acknowledging_is_once_in_the_trail(kit):
    event, foreign = kit.tell(Kind.STUDY_DELETED), kit.tell(application=BETA)
    for _ in range(2):
        kit.platform.feed.acknowledge(kit.reading, event)
    (entry,) = kit.entries("events:notification:acknowledge")
    assert entry["object"] == {"kind": "event", "id": event.hex}
    assert entry["actor"] == {"kind": "application", "id": ACME}
    with pytest.raises(WardlightError, match="not-found"):
        kit.platform.feed.acknowledge(kit.reading, foreign)
    with kit.platform.database.read(kit.institution.id) as tx:
        assert acknowledged(tx, kit.institution.id, [event, foreign]).keys() == {event}


def test_reading_is_in_the_trail_and_asking_in_vain_is_not(kit):
    end = newest(kit)
    before = len(kit.entries("events:feed:read"))
    for _ in range(5):
        kit.platform.feed.page(kit.reading, end, 10)
    assert len(kit.entries("events:feed:read")) == before
    for number in range(3):
        kit.tell()
        kit.platform.feed.page(kit.reading, end + number, 10)
    kit.platform.sessions.sweep(everything=True)
    begun, finished = kit.entries("events:feed:read")[-2:]
    assert (begun["phase"], finished["phase"]) == ("authorised", "finished")
    assert finished["counts"]["results"] >= 3
    assert begun["network"] == {"address": ADDRESS}


def test_old_events_are_dropped(kit, monkeypatch):
    event, deletion = kit.tell(), kit.tell(Kind.STUDY_DELETED)
    moved = Clock(monkeypatch)
    moved.on(89 * 86_400)
    assert kit.platform.feed.prune() == 0
    moved.on(2 * 86_400)
    assert kit.platform.feed.prune() > 0
    page = kit.platform.feed.page(kit.reading, 0, 100)
    # A receipt tells later still what was acknowledged.
    assert [one.id for one in page.events] == [deletion] != [event]
    # Positions are not given again.
    assert page.next > 0
