"""Entries, read sessions, denials: what is written, when, and what happens when it cannot be."""

import json
import re
from uuid import uuid4

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight import clock
from wardlight.audit import denials as denials_module
from wardlight.audit import sessions as sessions_module
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Change, Event, Outcome, Target
from wardlight.audit.sessions import ReadSessions, close_orphans
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

PERSON = Actor("person", "u-7f3a", "clinician")


class Clock:
    """A monotonic clock that tests move."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Bench:
    """A platform, its institution, and read sessions on a clock of their own."""

    def __init__(self, platform):
        self.platform = platform
        self.database, self.recorder = platform.database, platform.recorder
        self.institution = platform.identity.create_institution(
            "stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR
        ).id
        self.clock = Clock()
        self.sessions = ReadSessions(self.database, self.recorder, self.clock)
        self.start = len(self.all())

    def all(self):
        with self.database.read(EVERYWHERE) as tx:
            rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
            return [json.loads(content) for content in rows]

    @property
    def new(self):
        return self.all()[self.start :]

    def write(self, event, institution=...):
        with self.database.begin(EVERYWHERE) as tx:
            where = self.institution if institution is ... else institution
            return self.recorder.write(tx, where, event)


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)


def read_event(**values):
    fields = {
        "target": Target("study", ref="s1.x"),
        "subjects": (("p1.a", "s1.x"),),
        "purpose": "TREAT",
        "classes": ("health",),
        "request": "0" * 32,
        "token": "t",
        "address": "192.0.2.17",
    }
    return Event(Action.DICOMWEB_FRAME_READ, PERSON, **{**fields, **values})


def test_an_entry_holds_what_is_always_there(bench):
    id_ = bench.write(
        Event(
            Action.PLATFORM_SETTING_CHANGE,
            PERSON,
            change=(Change("level", "high", "low"), Change("secret")),
            agreement=("agr-1", 3),
            behalf=Actor("application", "acme"),
            counts={"instances": 2},
        )
    )
    (entry,) = bench.new
    assert entry["id"] == str(id_) and entry["v"] == 1 and entry["source"] == "platform"
    assert entry["log"] == "wardlight.example/audit/stmary/1" and entry["node"] == "node-1"
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", entry["salt"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["recorded"])
    assert entry["change"] == [{"path": "level", "before": "high", "after": "low"}, {"path": "secret"}]
    assert entry["agreement"] == {"id": "agr-1", "version": 3}
    assert entry["behalf"] == {"kind": "application", "id": "acme"}
    assert not {"phase", "of", "object", "subjects", "reason"} & set(entry)


def test_salts_and_ids_are_never_the_same(bench):
    for _ in range(20):
        bench.write(Event(Action.PLATFORM_NODE_START, PERSON))
    assert len({entry["salt"] for entry in bench.new}) == len({entry["id"] for entry in bench.new}) == 20


def test_details_are_typed_for_each_action(bench):
    for detail in ({"surprise": "x"}, {"level": 3}):
        with pytest.raises(ValueError):
            bench.write(Event(Action.DICOMWEB_STUDY_QUERY, PERSON, detail=detail))
    with pytest.raises(ValueError):
        bench.write(Event(Action.PLATFORM_NODE_START, PERSON, detail={"level": "x"}))
    assert bench.new == []


def test_institutions_have_logs_of_their_own_and_the_operator_one(bench):
    other = bench.platform.identity.create_institution("other", "O", "eu", by=LOCAL_ADMINISTRATOR).id
    bench.write(Event(Action.PLATFORM_NODE_START, PERSON), other)
    bench.write(Event(Action.PLATFORM_NODE_START, PERSON), None)
    logs = [entry["log"].split("/")[2] for entry in bench.new]
    # Making an institution is told in its own log and in the operator's, under one request.
    assert logs == ["other", "operator", "other", "operator"]
    assert bench.new[0]["request"] == bench.new[1]["request"]
    with pytest.raises(LookupError):
        bench.write(Event(Action.PLATFORM_NODE_START, PERSON), uuid4())


def test_a_session_begins_authorised_and_ends_finished(bench):
    reading = bench.sessions.begin(bench.institution, read_event())
    (authorised,) = bench.new
    assert authorised["phase"] == "authorised" and authorised["request"] == "0" * 32
    again = bench.sessions.begin(bench.institution, read_event(request="1" * 32))
    reading.count(series="r1.a", frames=2, bytes_=10)
    again.count(series="r1.b", instances=1, bytes_=5)
    assert len(bench.new) == 1
    bench.clock.now += 59
    assert bench.sessions.sweep() == 0
    bench.clock.now += 2
    assert bench.sessions.sweep() == 1
    finished = bench.new[1]
    assert finished["of"] == authorised["id"] and finished["outcome"] == "success"
    assert finished["counts"] == {"requests": 2, "instances": 1, "frames": 2, "bytes": 15}
    assert finished["detail"]["series"] == [
        {"ref": "r1.a", "instances": 0, "frames": 2},
        {"ref": "r1.b", "instances": 1, "frames": 0},
    ]
    assert not {"request", "classes", "basis", "agreement"} & set(finished)
    assert bench.sessions.sweep(everything=True) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"address": "192.0.2.18"},
        {"token": "u"},
        {"purpose": "HRESCH"},
        {"target": Target("study", ref="s1.y")},
        {"grant": "gr-1"},
        {"behalf": Actor("application", "acme")},
    ],
)
def test_another_key_is_another_session(bench, other):
    bench.sessions.begin(bench.institution, read_event())
    bench.sessions.begin(bench.institution, read_event(**other))
    assert [entry["phase"] for entry in bench.new] == ["authorised"] * 2


def test_sessions_end_after_five_minutes_and_a_transfer_goes_on_in_a_new_one(bench):
    reading = bench.sessions.begin(bench.institution, read_event())
    for _ in range(8):
        bench.clock.now += 50
        reading.count(bytes_=1)
        bench.sessions.sweep()
    assert [entry["phase"] for entry in bench.new] == ["authorised", "finished", "authorised"]
    bench.sessions.close()
    counted = [entry["counts"]["bytes"] for entry in bench.new if entry["phase"] == "finished"]
    assert sum(counted) == 8


def test_sessions_end_after_ten_thousand_requests(bench, monkeypatch):
    monkeypatch.setattr(sessions_module, "MAX_REQUESTS", 3)
    for _ in range(4):
        bench.sessions.begin(bench.institution, read_event())
    assert [entry["phase"] for entry in bench.new] == ["authorised", "authorised"]
    bench.sessions.sweep()
    assert bench.new[2]["counts"] == {"requests": 3}


def test_many_series_share_a_rest_row(bench):
    reading = bench.sessions.begin(bench.institution, read_event())
    for number in range(60):
        reading.count(series=f"r1.{number}", instances=1)
    bench.sessions.close()
    rows = bench.new[1]["detail"]["series"]
    assert len(rows) == 51 and rows[-1] == {"instances": 10, "frames": 0}


def test_a_session_whose_end_cannot_be_written_is_written_later(bench, monkeypatch):
    bench.sessions.begin(bench.institution, read_event())
    monkeypatch.setattr(
        bench.database, "begin", lambda _: (one for one in ()).throw(WardlightError("unavailable"))
    )
    assert bench.sessions.sweep(everything=True) == 0
    monkeypatch.undo()
    assert bench.sessions.sweep() == 1


def test_a_lost_node_is_closed_as_unknown_once(bench, monkeypatch):
    bench.sessions.begin(bench.institution, read_event())
    assert close_orphans(bench.database, bench.recorder) == 0
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now + sessions_module.ORPHAN_MS + 1)
    assert close_orphans(bench.database, bench.recorder) == 1
    assert close_orphans(bench.database, bench.recorder) == 0
    lost = bench.new[1]
    assert (lost["phase"], lost["outcome"]) == ("finished", "unknown") and "counts" not in lost
    # The node comes back: its own end writes nothing more.
    bench.sessions.close()
    assert len(bench.new) == 2


def test_denials_are_single_then_counted(bench):
    denials = Denials(bench.database, bench.recorder, bench.clock)

    def deny(reason="role", actor=PERSON, address="192.0.2.17"):
        event = Event(
            Action.ACCESS_DECISION_DENY,
            actor,
            outcome=Outcome.DENIED,
            reason=reason,
            address=address,
            detail={"action": "dicomweb:study:read", "status": 403},
        )
        denials.record(bench.institution, event)

    for _ in range(25):
        deny()
    deny("token-scope")
    assert len(bench.new) == 11
    denials.sweep()
    assert len(bench.new) == 11
    bench.clock.now += 61
    denials.sweep()
    assert len(bench.new) == 12 and bench.new[-1]["counts"] == {"denied": 15}
    # Strangers are told apart by address.
    anonymous = Actor("anonymous", "-")
    for _ in range(12):
        deny(actor=anonymous, address="192.0.2.1")
        deny(actor=anonymous, address="192.0.2.2")
    assert len(bench.new) == 32
    bench.clock.now += 61
    deny(actor=anonymous, address="192.0.2.1")
    assert [entry.get("counts") for entry in bench.new[32:]] == [{"denied": 2}, None]
    denials.close()
    assert bench.new[-1]["counts"] == {"denied": 2}


def a_denial(reason="role", address="192.0.2.17"):
    return Event(
        Action.ACCESS_DECISION_DENY,
        Actor("anonymous", "-"),
        outcome=Outcome.DENIED,
        reason=reason,
        address=address,
        detail={"action": "dicomweb:study:read", "status": 401},
    )


def test_many_strangers_share_a_count(bench, monkeypatch):
    """Who asks from ever new addresses fills neither the memory nor the trail."""
    monkeypatch.setattr(denials_module, "MOST", 5)
    denials = Denials(bench.database, bench.recorder, bench.clock)
    for number in range(100):
        denials.record(bench.institution, a_denial(address=f"192.0.2.{number}"))
    assert len(denials._windows) == 6
    denials.close()
    assert len(bench.new) == 5 + 10 + 1
    assert sum(entry.get("counts", {}).get("denied", 1) for entry in bench.new) == 100


def test_a_count_that_cannot_be_written_waits(bench, monkeypatch):
    denials = Denials(bench.database, bench.recorder, bench.clock)
    for _ in range(15):
        denials.record(bench.institution, a_denial())
    failing = monkeypatch.context()
    with failing as patch:
        patch.setattr(bench.recorder, "write", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            denials.close()
    denials.close()
    assert bench.new[-1]["counts"] == {"denied": 5}
    assert len(bench.new) == 11


def test_failures_are_counted_as_requests(bench):
    denials = Denials(bench.database, bench.recorder, bench.clock)
    failed = Event(Action.DICOMWEB_STUDY_READ, PERSON, outcome=Outcome.FAILED, reason="not-found")
    for _ in range(12):
        denials.record(bench.institution, failed)
    denials.close()
    assert [entry.get("counts") for entry in bench.new] == [None] * 10 + [{"requests": 2}]
