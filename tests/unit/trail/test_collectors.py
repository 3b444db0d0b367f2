"""Which collectors there are, how far each has got, and what the trail says of them."""

from __future__ import annotations

import dataclasses

import pytest

import sealed_kit
from platform_kit import a_platform
from rsyslog import CLIENT, Authority
from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import syslog
from wardlight.trail.collectors import MAX_COLLECTORS, Place
from wardlight.trail.entry import kept
from wardlight.trail.forward import Delivery


@pytest.fixture
def platform():
    with a_platform(public_url="https://wardlight.example") as made:
        yield made


@pytest.fixture
def institution(platform):
    return platform.identity.create_institution("stmary", "St. Mary", "eu", by=LOCAL_ADMINISTRATOR).id


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    certificate, key = authority.issue(CLIENT)
    return Place("siem.example", 6514, str(authority.path), str(certificate), str(key))


class Recorded:
    """In the place of a connection: keeps what is sent, or breaks."""

    def __init__(self):
        self.frames = []
        self.broken = False

    def send(self, messages):
        if self.broken:
            raise ConnectionResetError
        self.frames += messages

    def check(self):
        if self.broken:
            raise ConnectionResetError

    def close(self):
        pass

    def indexes(self, entries):
        known = {syslog.frames(entry, syslog.Form())[0]: entry.index for entry in entries}
        return [known[frame] for frame in self.frames if frame in known]


@pytest.fixture
def link(monkeypatch):
    made = Recorded()
    monkeypatch.setattr(syslog, "Link", lambda host, port, context: made)
    return made


def add(platform, institution, place, **more):
    return platform.collectors.add(institution, place, by=LOCAL_ADMINISTRATOR, **more)


def entries_of(platform, institution):
    sealed_kit.seal(platform)
    return [
        entry
        for head in platform.audit_log.logs(institution)
        for entry in kept(platform.audit_log.entries(head, 0, head.size))
    ]


def told(platform, institution, action):
    return [entry.entry for entry in entries_of(platform, institution) if entry.action == action]


def delivery(platform, one):
    made = Delivery(one, platform.collectors, platform.audit_log)

    def rounds():
        while (held := platform.collectors.hold(one, made._holder, 60_000)) and made.round(held):
            pass

    return made, rounds


def test_a_collector_begins_now_or_with_the_first_entry(platform, institution, place):
    sealed_kit.fill(platform, institution, 20)
    size = platform.audit_log.logs(institution)[-1].size
    assert add(platform, institution, place).cursor == size
    assert add(platform, institution, dataclasses.replace(place, port=7000), whole=True).cursor == 0
    assert [one.place.name for one in platform.collectors.of(institution)] == [
        "siem.example:6514",
        "siem.example:7000",
    ]
    assert platform.collectors.of(None) == []


def test_adding_and_removing_are_in_the_trail_without_the_files(platform, institution, place):
    add(platform, institution, place)
    platform.collectors.remove(institution, "siem.example:6514", by=LOCAL_ADMINISTRATOR)
    added, removed = told(platform, institution, Action.AUDIT_FORWARD_CHANGE)
    assert added["change"][0] == {"path": "collector", "after": "siem.example:6514"}
    assert removed["change"] == [{"path": "collector", "before": "siem.example:6514"}]
    assert added["object"] == removed["object"] and place.key not in str(added)
    with pytest.raises(WardlightError, match="not-found"):
        platform.collectors.remove(institution, "siem.example:6514", by=LOCAL_ADMINISTRATOR)


def test_what_cannot_work_is_refused(platform, institution, place, tmp_path):
    stranger = Authority(tmp_path).issue("other.example")[1]
    (tmp_path / "empty.pem").write_bytes(b"")
    for wrong in (
        {"port": 0},
        {"host": ""},
        {"ca": str(tmp_path / "none.pem")},
        {"ca": str(tmp_path / "empty.pem")},
        {"key": str(stranger)},
        {"form": syslog.Form("OTHER")},
    ):
        with pytest.raises(WardlightError, match="bad-request"):
            add(platform, institution, dataclasses.replace(place, **wrong))
    add(platform, institution, place)
    with pytest.raises(WardlightError, match="already-exists"):
        add(platform, institution, place)
    for port in range(1, MAX_COLLECTORS):
        add(platform, institution, dataclasses.replace(place, port=port))
    with pytest.raises(WardlightError, match="conflict"):
        add(platform, institution, dataclasses.replace(place, port=9999))


def test_deliveries_are_left_out_unless_asked_for(platform, institution, place, link):
    sent = Event(Action.AUDIT_ANCHOR_SEND, Actor("system", "anchors"), detail={"origin": "x", "size": 1})
    with platform.database.begin(institution) as tx:
        platform.recorder.write(tx, institution, sent)
    entries = entries_of(platform, institution)
    for deliveries in (False, True):
        link.frames.clear()
        port = 6514 + deliveries
        one = add(
            platform, institution, dataclasses.replace(place, port=port, deliveries=deliveries), whole=True
        )
        delivery(platform, one)[1]()
        wanted = [entry.index for entry in entries if deliveries or entry.action != "audit:anchor:send"]
        assert link.indexes(entries) == wanted
        platform.collectors.remove(institution, one.place.name, by=LOCAL_ADMINISTRATOR)


def test_after_a_break_the_last_two_hundred_come_again(platform, institution, place, link):
    sealed_kit.fill(platform, institution, 350)
    entries = entries_of(platform, institution)
    now = [0.0]
    one = add(platform, institution, place, whole=True)
    sending = Delivery(one, platform.collectors, platform.audit_log, monotonic=lambda: now[0])

    def rounds():
        while sending.round(platform.collectors.hold(one, sending._holder, 60_000)):
            now[0] += 60.0  # So that only the number counts.

    rounds()
    assert link.indexes(entries) == [entry.index for entry in entries]
    link.frames.clear()
    link.broken = True
    with pytest.raises(ConnectionResetError):
        rounds()
    sending._broken("unreachable")
    link.broken = False
    cursor = platform.collectors.of(institution)[0].cursor
    now[0] += 60.0
    sending._recent.clear()
    rounds()
    assert link.indexes(entries)[0] == cursor - 200


def test_a_new_generation_follows_the_old_one(platform, institution, place, link):
    sealed_kit.fill(platform, institution, 5)
    sealed_kit.seal(platform)
    one = add(platform, institution, place, whole=True)
    platform.generations.go_on(institution, anyway=True, by=LOCAL_ADMINISTRATOR)
    entries = entries_of(platform, institution)
    delivery(platform, one)[1]()
    assert len({entry.log for entry in entries}) == 2
    assert link.frames == [frame for entry in entries for frame in syslog.frames(entry, syslog.Form())]


def test_the_first_failure_of_a_row_is_told(platform, institution, place):
    sending, _ = delivery(platform, add(platform, institution, place))
    for why in ("unreachable", "unreachable", "tls", "tls"):
        sending._one = platform.collectors.of(institution)[0]
        sending._broken(why)
    failures = told(platform, institution, Action.AUDIT_FORWARD_FAIL)
    assert [(one["reason"], one["outcome"]) for one in failures] == [
        ("unreachable", "failed"),
        ("tls", "failed"),
    ]


def test_a_lag_of_more_than_a_minute_is_told_once(platform, institution, place, link, monkeypatch):
    one = add(platform, institution, place)
    sealed_kit.fill(platform, institution, 250, step_s=0)
    late = sealed_kit.START.timestamp() * 1000 + 61_000
    sending, rounds = delivery(platform, one)
    with monkeypatch.context() as patched:
        patched.setattr(clock, "unix_ms", lambda: int(late))
        sending.round(platform.collectors.hold(one, sending._holder, 60_000))
        assert platform.collectors.of(institution)[0].state == "lag"
        rounds()
    assert platform.collectors.of(institution)[0].state == ""
    assert [one["reason"] for one in told(platform, institution, Action.AUDIT_FORWARD_FAIL)] == ["lag"]


def test_a_collector_is_one_workers_until_that_lets_go_or_is_silent(
    platform, institution, place, monkeypatch
):
    one, all_ = add(platform, institution, place), platform.collectors
    assert all_.hold(one, "a" * 32, 60_000) is not None
    assert all_.hold(one, "b" * 32, 60_000) is None and not all_.move(one, "b" * 32, one.log, 5)
    all_.release(one, "a" * 32)
    assert all_.hold(one, "b" * 32, 60_000) is not None
    later = clock.unix_ms() + 61_000
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    assert all_.hold(one, "a" * 32, 60_000) is not None
    assert not all_.move(one, "b" * 32, one.log, 5) and all_.of(institution)[0].cursor == one.cursor
