"""What was committed is sealed once, in one order, and signed; a log that is not the signed one is stopped."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import timedelta

import pytest

from audit_kit import LOGIN, PERSON, Bench, old_state
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Outcome, Target
from wardlight.audit.note import Note
from wardlight.audit.sealer import Sealer
from wardlight.db.engine import EVERYWHERE


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)


def test_a_new_log_begins_with_its_key(bench):
    sealed = bench.sealer.seal()
    # The key and what was done to the institution; in the operator's log also what made the schema, where this did.
    assert bench.head.size == 2
    assert sealed == 2 + bench.platform.audit_log.logs(None)[-1].size
    actions = [entry["action"] for entry in bench.entries(bench.platform.audit_log.logs(None)[-1])]
    assert [action for action in actions if action != "platform:migration:run"] == [
        "audit:log:start",
        "platform:institution:create",
    ]
    for head in (bench.head, bench.platform.audit_log.logs(None)[-1]):
        first = bench.entries(head)[0]
        assert (first["action"], first["actor"]) == ("audit:log:start", {"kind": "system", "id": "sealer"})
        assert first["detail"]["vkey"] == bench.platform.audit_log.vkey(head)
        bench.check(head)


def test_an_empty_log_is_opened_too(bench):
    bench.change("DELETE FROM audit_pending")
    assert bench.sealer.seal() == 2
    assert [one["action"] for one in bench.entries()] == ["audit:log:start"]
    bench.check()


def test_what_was_committed_is_sealed_in_its_order_and_no_more_is_done(bench):
    bench.write(count=3)
    with pytest.raises(ZeroDivisionError), bench.database.begin(bench.institution) as tx:
        bench.recorder.write(tx, bench.institution, LOGIN)
        raise ZeroDivisionError
    bench.write(Event(Action.IDENTITY_SESSION_LOGOUT, PERSON))
    bench.sealer.seal()
    assert [one["action"] for one in bench.entries()] == [
        "audit:log:start",
        "platform:institution:create",
        *["identity:session:login"] * 3,
        "identity:session:logout",
    ]
    assert bench.rows("SELECT * FROM audit_pending") == []
    bench.check()
    before = bench.rows("SELECT * FROM audit_checkpoint ORDER BY log, size")
    assert bench.sealer.seal() == 0
    assert bench.rows("SELECT * FROM audit_checkpoint ORDER BY log, size") == before


def test_batches_and_rounds_across_tiles(bench, monkeypatch):
    monkeypatch.setattr("wardlight.audit.sealer.ROUND", 300)
    monkeypatch.setattr(bench.sealer, "_batch", 100)
    bench.sealer.seal()
    bench.write(count=610)
    assert [bench.sealer.seal() for _ in range(4)] == [300, 300, 10, 0]
    assert bench.head.size == 612
    sizes = [one.size for one in bench.platform.audit_log.checkpoints(bench.head, 0, 1000)]
    assert sizes == [2, 302, 602, 612]
    assert bench.rows(
        "SELECT level, n, length(data) FROM audit_tile WHERE log = :n ORDER BY level, n", n=bench.head.log
    ) == [(0, 0, 8192), (0, 1, 8192), (0, 2, 100 * 32), (1, 0, 64)]
    bench.check()


def test_columns_by_which_entries_are_found(bench):
    bench.sealer.seal()
    event = Event(
        Action.DICOMWEB_STUDY_READ,
        PERSON,
        Outcome.DENIED,
        target=Target("study", ref="s1.study"),
        subjects=(("p1.one", "s1.study"), ("p1.two", "")),
        purpose="TREAT",
        grant="gr-881",
    )
    bench.write(event)
    bench.write(Event(Action.RECEIVER_ROUTE_CHANGE, PERSON, target=Target("route", id="r" * 400)))
    bench.sealer.seal()
    number, size = bench.head.log, bench.head.size
    rows = bench.rows(
        "SELECT action, actor, object, outcome, purpose, grant_id FROM audit_entry"
        " WHERE log = :n AND idx >= :i ORDER BY idx",
        n=number,
        i=size - 2,
    )
    assert rows == [
        ("dicomweb:study:read", "person:u-7f3a", "s1.study", 3, "TREAT", "gr-881"),
        ("receiver:route:change", "person:u-7f3a", ("route:" + "r" * 400)[:255], 0, None, None),
    ]
    found = bench.rows("SELECT ref, idx FROM audit_subject WHERE log = :n ORDER BY ref", n=number)
    assert found == [(ref, size - 2) for ref in ("p1.one", "p1.two", "s1.study")]
    bench.check()


def test_a_second_copy_of_an_entry_gets_no_place(bench):
    bench.write()
    bench.change("INSERT INTO audit_pending (log, content) SELECT log, content FROM audit_pending")
    bench.sealer.seal()
    assert bench.head.size == 3
    bench.check()
    content = bench.rows("SELECT content FROM audit_entry WHERE log = :n AND idx = 2", n=bench.head.log)[0][0]
    with bench.database.begin(EVERYWHERE) as tx:
        log_store.add_pending(tx, bench.head.log, [bytes(content)])
    bench.write()
    bench.sealer.seal()
    assert bench.head.size == 4
    bench.check()


def test_an_idle_log_says_each_hour_that_it_lives(bench, monkeypatch):
    bench.sealer.seal()
    now = clock.now()
    for hours, size in ((0.9, 2), (1.1, 3), (1.2, 3), (2.2, 4)):
        later = now + timedelta(hours=hours)
        monkeypatch.setattr(clock, "now", lambda later=later: later)
        monkeypatch.setattr(clock, "unix_ms", lambda later=later: int(later.timestamp() * 1000))
        bench.sealer.seal()
        assert bench.head.size == size, hours
    assert bench.entries()[-1]["action"] == "audit:log:heartbeat"
    bench.check()


def test_entries_that_wait_are_told_of_once_a_minute(bench, monkeypatch):
    said = []
    monkeypatch.setattr("wardlight.log.warning", lambda event, **fields: said.append((event, fields)))
    monotonic = [0.0]
    sealer = Sealer(bench.database, bench.recorder, bench.platform.signer, lambda: monotonic[0])
    monkeypatch.setattr(sealer, "_one_batch", lambda number: 0)
    now = clock.unix_ms()
    for later, seconds, count in ((1, 0, 0), (6, 5, 2), (7, 6, 2), (67, 66, 4)):
        monkeypatch.setattr(clock, "unix_ms", lambda later=later: now + later * 1000)
        monotonic[0] = seconds
        sealer.seal()
        assert len(said) == count, later
    event, fields = said[0]
    assert event == "audit.pending" and 5 < fields["wait_s"] < 8
    # A process that serves says the same of a sealer that is gone, or of a log that has stopped.
    bench.platform.sealer.watch()
    assert len(said) == 6


def test_a_crash_between_commit_and_signature_is_mended(bench, monkeypatch):
    bench.sealer.seal()
    for place in ("Sealer._publish", "log_store.add_checkpoint"):
        bench.write(count=2)
        name = f"wardlight.audit.{'sealer.' if place.startswith('Sealer') else ''}{place}"
        with monkeypatch.context() as patch:
            patch.setattr(name, lambda *arguments: (_ for _ in ()).throw(MemoryError))
            bench.sealer.seal()  # The crash, as far as the other logs are concerned.
        size = bench.head.size
        assert bench.rows("SELECT max(size) FROM audit_checkpoint WHERE log = :n", n=bench.head.log) < [
            (size,)
        ]
        Sealer(bench.database, bench.recorder, bench.platform.signer).seal()
        assert Note.parse(bench.platform.audit_log.checkpoint(bench.head)).size == bench.head.size == size
        bench.check()


def test_a_note_that_was_signed_and_not_kept_is_kept_before_the_next(bench, monkeypatch):
    bench.sealer.seal()
    bench.write()
    with monkeypatch.context() as patch:
        patch.setattr(log_store, "add_checkpoint", lambda *arguments: (_ for _ in ()).throw(MemoryError))
        bench.sealer.seal()
    lost = bench.platform.signer.last(bench.head.origin)
    assert lost.size == 3
    bench.write()
    bench.sealer.seal()
    assert [one.size for one in bench.platform.audit_log.checkpoints(bench.head, 0, 9)] == [2, 3, 4]
    assert bench.platform.audit_log.checkpoint(bench.head, 3) == lost.note
    bench.check()


def test_a_pending_row_that_vanishes_under_the_lock_undoes_the_batch(bench, monkeypatch):
    bench.sealer.seal()
    bench.write(count=2)
    rows = log_store.pending_rows

    def with_one_more(tx, number, most):
        found = rows(tx, number, most)
        return [*found, (found[-1][0] + 1000, found[-1][1])] if found else found

    monkeypatch.setattr(log_store, "pending_rows", with_one_more)
    bench.sealer.seal()
    assert bench.head.size == 2
    assert len(bench.rows("SELECT * FROM audit_pending")) == 2
    monkeypatch.undo()
    bench.sealer.seal()
    assert bench.head.size == 4
    bench.check()


def test_an_old_database_does_not_go_on(bench):
    bench.write()
    bench.sealer.seal()
    put_back = old_state(bench)
    bench.write(count=2)
    bench.sealer.seal()
    assert bench.head.size == 5
    put_back()
    assert bench.head.size == 3
    bench.write()
    bench.sealer.seal()
    head = bench.head
    assert (head.size, head.halted) == (3, log_store.REFUSED)
    # Nothing is lost: it waits, with the alarm.
    waiting = [
        json.loads(bytes(one)) for (one,) in bench.rows("SELECT content FROM audit_pending ORDER BY seq")
    ]
    assert [one["action"] for one in waiting if one["log"] == head.origin] == [
        "identity:session:login",
        "audit:log:alarm",
    ]
    bench.write(count=3)
    bench.sealer.seal()
    assert (bench.head.size, bench.head.halted) == (3, log_store.REFUSED)
    # The operator hears of it, once, in a log that goes on.
    operator = bench.platform.audit_log.logs(None)[-1]
    alarms = [one for one in bench.entries(operator) if one["action"] == "audit:log:alarm"]
    assert [one["detail"] for one in alarms] == [{"origin": head.origin, "size": 3, "signed": 5}]
    assert (alarms[0]["outcome"], alarms[0]["reason"]) == ("failed", "audit-fork")
    bench.check(operator)


@pytest.mark.parametrize("more", [0, 3])
def test_a_log_that_was_rewritten_does_not_go_on(bench, more):
    bench.write(count=2)
    bench.sealer.seal()
    put_back = old_state(bench)
    bench.write(count=2)
    bench.sealer.seal()
    signed = bench.head.size
    put_back()
    # Others take the place of what was signed, in a tree that is sound by itself.
    state = bench.platform.signer.last(bench.head.origin)
    bench.write(count=2 + more)
    sealer = Sealer(bench.database, bench.recorder, bench.platform.signer)
    sealer._fits = lambda tx, head: True
    sealer._publish = lambda number: None
    sealer.seal()
    assert bench.head.size == signed + more
    bench.write()
    Sealer(bench.database, bench.recorder, bench.platform.signer).seal()
    assert bench.head.halted == log_store.REFUSED
    assert bench.platform.signer.last(bench.head.origin) == state
    assert bench.head.size == signed + more


def test_the_signer_is_the_last_wall(bench):
    """Also where the look before the batch saw nothing: what was rewritten is never signed."""
    bench.write(count=2)
    bench.sealer.seal()
    put_back = old_state(bench)
    bench.write(count=2)
    bench.sealer.seal()
    state = bench.platform.signer.last(bench.head.origin)
    put_back()
    bench.write(count=3)
    sealer = Sealer(bench.database, bench.recorder, bench.platform.signer)
    sealer._fits = lambda tx, head: True
    sealer.seal()
    assert bench.head.halted == log_store.REFUSED
    assert bench.platform.signer.last(bench.head.origin) == state
    notes = bench.platform.audit_log.checkpoints(bench.head, 0, 100)
    assert [one.size for one in notes] == [4]


def test_many_sealers_and_writers_give_each_entry_one_place(bench):
    done = threading.Event()
    ids, failures = [], []
    lock = threading.Lock()

    def writer():
        for turn in range(25):
            with bench.database.begin(bench.institution) as tx:
                id_ = bench.recorder.write(tx, bench.institution, LOGIN)
            if turn % 5 == 4:
                with pytest.raises(KeyError), bench.database.begin(bench.institution) as tx:
                    bench.recorder.write(tx, bench.institution, LOGIN)
                    raise KeyError
            with lock:
                ids.append(str(id_))

    def sealer():
        one = Sealer(bench.database, bench.recorder, bench.platform.signer)
        while not done.is_set():
            try:
                one.seal()
            except Exception as error:
                failures.append(error)

    writers = [threading.Thread(target=writer) for _ in range(3)]
    sealers = [threading.Thread(target=sealer) for _ in range(2)]
    for thread in writers + sealers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sealers:
        thread.join()
    bench.sealer.seal()
    assert failures == []
    assert not bench.head.halted
    assert sorted(one["id"] for one in bench.entries()[2:]) == sorted(ids)
    bench.check()


def test_proofs_of_the_log_lead_to_its_signed_heads(bench):
    from wardlight.audit.tree import verify_consistency, verify_inclusion

    bench.write(count=10)
    bench.sealer.seal()
    bench.write(count=300)
    bench.sealer.seal()
    log, head = bench.platform.audit_log, bench.head
    old, new = (Note.parse(one.note) for one in log.checkpoints(head, 0, head.size + 1))
    proof = log.consistency(head, old.size, new.size)
    assert verify_consistency(old.size, new.size, old.root, new.root, proof)
    for index, _, leaf in log.entries(head, 0, head.size):
        if index % 50 == 7 or index in (0, head.size - 1):
            assert verify_inclusion(leaf, index, new.size, log.inclusion(head, index, new.size), new.root)
    tile = log.tile(head, 0, 1, 56)
    assert hashlib.sha256(log.tile(head, 0, 0)).digest() and len(tile) == 56 * 32
    assert base64.b64encode(new.root).decode() in log.checkpoint(head)
