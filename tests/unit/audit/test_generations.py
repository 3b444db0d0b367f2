"""New keys announce themselves in the log; a log that has stopped goes on in the next generation, for all to see."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from audit_kit import LOGIN, PERSON, Bench, old_state
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.note import Note, VerifierKey
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)


@pytest.mark.parametrize("whose", ["institution", "operator"])
def test_a_rotation_is_announced_signed_by_both_and_followed(bench, whose):
    bench.sealer.seal()
    institution = bench.institution if whose == "institution" else None
    log, generations = bench.platform.audit_log, bench.platform.generations
    start = log.logs(institution)[-1].size
    old = VerifierKey.parse(log.vkey(log.logs(institution)[-1]))
    announced = generations.rotate(institution, by=LOCAL_ADMINISTRATOR)
    bench.sealer.seal()
    bench.write(institution=institution)
    bench.sealer.seal()
    head = log.logs(institution)[-1]
    entry = bench.entries(head)[start]
    assert (entry["action"], entry["detail"]) == ("audit:log:rotate_key", {"vkey": announced})
    assert entry["actor"] == {"kind": "operator", "id": "local-admin"}
    new = VerifierKey.parse(announced)
    notes = [Note.parse(one.note) for one in log.checkpoints(head, 0, 100)]
    found = [(note.size - start, note.signed_by(old), note.signed_by(new)) for note in notes]
    assert found == [(0, True, None), (1, True, True), (2, None, True)]
    assert log.vkeys(head) == [old.text, new.text] and log.vkey(head) == new.text
    bench.check(head)


def test_a_rotation_that_is_asked_for_twice_makes_one_key(bench):
    bench.sealer.seal()
    first = bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    assert bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR) == first
    bench.sealer.seal()
    with pytest.raises(WardlightError) as error:
        bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    assert error.value.code == "conflict"
    bench.write()
    bench.sealer.seal()
    bench.check()


def test_keys_of_a_year_are_rotated_by_the_worker(bench, monkeypatch):
    bench.sealer.seal()
    generations = bench.platform.generations
    assert generations.rotate_old() == 0
    later = clock.unix_ms() + 366 * 86_400_000
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    assert generations.rotate_old() == 2
    assert generations.rotate_old() == 0
    monkeypatch.undo()
    bench.sealer.seal()
    assert bench.entries()[-1]["action"] == "audit:log:rotate_key"
    assert bench.entries()[-1]["actor"] == {"kind": "system", "id": "worker"}


def stopped(bench):
    bench.write()
    bench.sealer.seal()
    put_back = old_state(bench)
    bench.write(count=2)
    bench.sealer.seal()
    put_back()
    bench.write(Event(Action.IDENTITY_SESSION_LOGOUT, PERSON, target=Target("session", id="médium")))
    bench.sealer.seal()
    assert bench.head.halted == log_store.REFUSED


def test_a_log_that_was_stopped_goes_on_in_the_next_generation(bench):
    stopped(bench)
    old = bench.head
    signed = bench.platform.signer.last(old.origin)
    new = bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR)
    assert (new.origin, new.generation) == ("wardlight.example/audit/stmary/2", 2)
    bench.write()
    for _ in range(3):
        bench.sealer.seal()
    head = bench.head
    assert head.log == new.log
    entries = bench.entries()
    assert [one["action"] for one in entries] == [
        "audit:log:continue",
        "identity:session:login",
        "identity:session:logout",
        "audit:log:alarm",
    ]
    first = entries[0]
    root = base64.b64encode(signed.root).decode()
    assert first["detail"] == {
        "vkey": bench.platform.audit_log.vkey(head),
        "origin": old.origin,
        "size": 5,
        "root": root,
    }
    assert first["actor"] == {"kind": "operator", "id": "local-admin"}
    assert entries[2]["object"]["id"] == "médium"
    bench.check()
    assert bench.rows("SELECT * FROM audit_pending") == []
    # What was sealed before stays as it was, and can be signed no more.
    logs = bench.platform.audit_log.logs(bench.institution)
    assert [(one.size, one.halted) for one in logs] == [(3, log_store.CLOSED), (4, 0)]
    bench.check(logs[0])
    with pytest.raises(WardlightError) as error:
        bench.platform.signer.vkey(old.origin)
    assert error.value.code == "key-destroyed"


def test_what_ends_late_is_sealed_in_the_generation_that_is_open(bench):
    """A read that began before the end of its log: its session names the old one."""
    bench.sealer.seal()
    event = Event(Action.DICOMWEB_STUDY_READ, PERSON, target=Target("study", ref="s1.x"))
    bench.platform.sessions.begin(bench.institution, event)
    bench.sealer.seal()
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
    bench.platform.sessions.close()
    for _ in range(2):
        bench.sealer.seal()
    finished = bench.entries()[-1]
    assert (finished["action"], finished["phase"]) == ("dicomweb:study:read", "finished")
    bench.check()


def test_a_whole_log_does_not_end_by_mistake(bench):
    bench.sealer.seal()
    with pytest.raises(WardlightError) as error:
        bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR)
    assert error.value.code == "conflict"
    assert len(bench.platform.audit_log.logs(bench.institution)) == 1
    new = bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
    bench.write(LOGIN)
    bench.sealer.seal()
    assert bench.entries()[0]["detail"]["size"] == 2 and bench.head.log == new.log
    bench.check()


def test_a_log_whose_key_the_keystore_does_not_know_is_stopped(bench):
    """As after the keystore was put back from before the log was made."""
    bench.sealer.seal()
    with bench.platform.keystore.transaction() as tx:
        tx.execute("DELETE FROM log_signer WHERE origin = ?", (bench.head.origin,))
    bench.write()
    bench.sealer.seal()
    assert bench.head.halted == log_store.REFUSED
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.sealer.seal()
    bench.sealer.seal()
    assert [one["action"] for one in bench.entries()][:2] == ["audit:log:continue", "identity:session:login"]
    bench.check()


def test_an_announced_key_of_an_ended_log_is_not_carried_over(bench):
    bench.sealer.seal()
    bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
    bench.sealer.seal()
    bench.sealer.seal()
    assert [one["action"] for one in bench.entries()] == ["audit:log:continue"]
    assert json.dumps(bench.entries()).count("vkey") == 1
    assert timedelta(milliseconds=clock.unix_ms()) > timedelta(0)
