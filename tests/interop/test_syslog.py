"""Entries reach a real rsyslog over TLS with certificates on both sides, without a gap where it is killed."""

from __future__ import annotations

import signal
import threading

import pytest

import sealed_kit
from audit_kit import PERSON
from platform_kit import a_platform
from rsyslog import CLIENT, Authority, Collector, index_of, wait_for
from wardlight.audit.actions import Action
from wardlight.audit.model import Event
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import forward, syslog
from wardlight.trail.collectors import Place
from wardlight.trail.entry import kept
from wardlight.trail.forward import Delivery

pytestmark = pytest.mark.system


@pytest.fixture
def collector(tmp_path):
    made = Collector(tmp_path, Authority(tmp_path))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def platform():
    with a_platform(public_url="https://wardlight.example") as made:
        yield made


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(forward, "_RETRY_S", 0.3)


@pytest.fixture
def institution(platform):
    return platform.identity.create_institution("stmary", "St. Mary", "eu", by=LOCAL_ADMINISTRATOR).id


def place_of(collector, **more):
    certificate, key = collector.authority.issue(CLIENT)
    files = {"ca": str(collector.authority.path), "certificate": str(certificate), "key": str(key)}
    return Place("127.0.0.1", collector.port, **{**files, **more})


def add(platform, institution, place, **more):
    return platform.collectors.add(institution, place, by=LOCAL_ADMINISTRATOR, **more)


def all_of(platform, institution):
    head = platform.audit_log.logs(institution)[-1]
    return list(kept(platform.audit_log.entries(head, 0, head.size)))


def only(platform, institution):
    (one,) = platform.collectors.of(institution)
    return one


def test_every_entry_arrives_as_it_was_sent_in_order(platform, institution, collector):
    sealed_kit.fill(platform, institution, 120)
    add(platform, institution, place_of(collector), whole=True)
    platform.forwarder.tend()
    entries = all_of(platform, institution)
    expected = [
        frame.partition(b" ")[2] for entry in entries for frame in syslog.frames(entry, syslog.Form())
    ]
    wait_for(lambda: len(collector.messages()) >= len(expected))
    assert collector.messages() == expected
    wait_for(lambda: only(platform, institution).cursor == len(entries))


@pytest.mark.long
def test_a_collector_that_is_killed_misses_nothing(platform, institution, collector, monkeypatch):
    monkeypatch.setattr(forward, "BATCH", 10)  # So that much is on its way when it dies.
    sealed_kit.fill(platform, institution, 3000)
    one = add(platform, institution, place_of(collector), whole=True)
    platform.forwarder.tend()
    wait_for(lambda: len(collector.messages()) > 300)
    # Its machine takes what its program will never read.
    collector.process.send_signal(signal.SIGSTOP)
    wait_for(lambda: only(platform, institution).cursor > len(collector.messages()) + 20)
    collector.stop(signal.SIGKILL)
    reached = only(platform, institution).cursor
    wait_for(lambda: only(platform, institution).state != "")
    collector.start()
    entries = all_of(platform, institution)
    assert 0 < reached < len(entries), "it was killed in the middle"
    wait_for(lambda: set(collector.indexes()) >= {entry.index for entry in entries})
    # Second copies come after a break alone, and from there on the order is that of the log again.
    seen = collector.indexes()
    back = [place for place in range(1, len(seen)) if seen[place] < seen[place - 1]]
    assert len(back) == 1
    sealed_kit.seal(platform)
    failed = [
        entry.entry for entry in all_of(platform, institution) if entry.action == Action.AUDIT_FORWARD_FAIL
    ]
    assert [(entry["object"]["id"], entry["outcome"]) for entry in failed] == [(str(one.id), "failed")]
    wait_for(lambda: only(platform, institution).state == "", 30)


@pytest.mark.parametrize("what", ["client", "server", "name"])
def test_whoever_has_the_wrong_certificate_gets_nothing(platform, institution, tmp_path, what):
    stranger = Authority(tmp_path, "stranger")
    certificate, key = stranger.issue(CLIENT)
    names = ("siem.example",) if what == "name" else ("localhost", "127.0.0.1")
    collector = Collector(tmp_path, Authority(tmp_path), names)
    collector.start()
    try:
        place = {
            "client": place_of(collector, certificate=str(certificate), key=str(key)),
            "server": place_of(collector, ca=str(stranger.path)),
            "name": place_of(collector),
        }[what]
        sealed_kit.fill(platform, institution, 5)
        add(platform, institution, place, whole=True)
        platform.forwarder.tend()
        wait_for(lambda: only(platform, institution).state != "")
        # Who shows a wrong certificate in TLS 1.3 may learn of it by a reset alone.
        assert only(platform, institution).state in ("tls", "unreachable" if what == "client" else "tls")
    finally:
        collector.stop()
    assert collector.messages() == []


@pytest.mark.long
def test_two_workers_do_not_send_twice(platform, institution, collector):
    sealed_kit.fill(platform, institution, 300)
    one = add(platform, institution, place_of(collector), whole=True)
    stopping = threading.Event()
    threads = [
        threading.Thread(target=Delivery(one, platform.collectors, platform.audit_log).run, args=(stopping,))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    entries = all_of(platform, institution)
    wait_for(lambda: only(platform, institution).cursor == len(entries))
    stopping.set()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(collector.messages()) >= len(entries))
    assert collector.indexes() == [entry.index for entry in entries]


def test_a_message_of_a_hundred_subjects_is_split_and_arrives_whole(platform, institution, collector):
    references = platform.recorder.references(institution)
    subjects = tuple((references.patient(f"PAT-{n}"), references.study(f"1.2.{n}")) for n in range(100))
    with platform.database.begin(institution) as tx:
        platform.recorder.write(
            tx, institution, Event(Action.DICOMWEB_STUDY_QUERY, PERSON, subjects=subjects)
        )
    sealed_kit.seal(platform)
    add(platform, institution, place_of(collector), whole=True)
    platform.forwarder.tend()
    entry = all_of(platform, institution)[-1]
    sent = syslog.frames(entry, syslog.Form())
    assert len(sent) > 1 and all(len(frame.partition(b" ")[2]) <= 32768 for frame in sent)
    wait_for(lambda: collector.indexes().count(entry.index) == len(sent))
    arrived = [message for message in collector.messages() if index_of(message) == entry.index]
    assert {name for message in arrived for name in entry.patients if name.encode() in message} == set(
        entry.patients
    )
