"""Old entries lose their content and all by which they are found; the log and every proof stay."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from audit_kit import PERSON, Bench
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit import retention as retention_module
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.note import Note
from wardlight.audit.tree import verify_consistency, verify_inclusion
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

READ = Event(
    Action.DICOMWEB_STUDY_READ,
    PERSON,
    target=Target("study", ref="s1.study"),
    subjects=(("p1.patient", "s1.study"),),
    purpose="TREAT",
    grant="gr-881",
    phase="authorised",
)


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)


def later(monkeypatch, days):
    moment = clock.now() + timedelta(days=days)
    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(clock, "unix_ms", lambda: int(moment.timestamp() * 1000))


def test_entries_older_than_ten_years_are_pruned_and_old_proofs_verify(bench, monkeypatch):
    bench.write(READ, count=5)
    bench.sealer.seal()
    log, old = bench.platform.audit_log, bench.head
    note = Note.parse(log.checkpoint(old))
    before = list(log.entries(old, 0, old.size))
    proofs = [log.inclusion(old, index, old.size) for index in range(old.size)]
    assert bench.platform.retention.prune() == 0
    later(monkeypatch, 3655)
    bench.write(READ, count=2)
    # The institution's five reads and its creation; the operator's entry of that, and of what else it has done.
    operators = log.logs(None)[-1].size - 1
    assert bench.platform.retention.prune() == 5 + 1 + operators
    bench.sealer.seal()
    head = bench.head
    entries = list(log.entries(head, 0, head.size))
    assert [content is None for _, content, _ in entries] == [False, *[True] * 6, False, False, False]
    told = json.loads(entries[-1][1])
    assert told["action"] == "audit:entries:prune" and told["counts"] == {"entries": 6}
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert told["detail"] == {
        "before": clock.timestamp(today - timedelta(days=3653)),
        "ranges": [[1, 7]],
        "count": 6,
        "rule": "days:3653",
    }
    # Nothing by which it could be found is left.
    emptied = "SELECT count(*) FROM audit_entry WHERE log = :n AND coalesce({}) IS NULL"
    columns = "id, recorded_ms, action, actor, object, outcome, purpose, grant_id, content"
    texts = ", ".join(f"CAST({name} AS text)" for name in columns.split(", "))
    assert bench.rows(emptied.format(texts), n=head.log) == [(6,)]
    refs = bench.rows("SELECT ref, idx FROM audit_subject WHERE log = :n ORDER BY ref, idx", n=head.log)
    assert refs == [("p1.patient", 7), ("p1.patient", 8), ("s1.study", 7), ("s1.study", 8)]
    counted = bench.rows("SELECT sum(n) FROM audit_day WHERE log = :n", n=head.log)
    assert int(counted[0][0]) == 4 and bench.rows("SELECT * FROM audit_day WHERE n <= 0") == []
    # The leaves, the old proofs and the way from the old head to the new one hold.
    assert [leaf for _, _, leaf in entries[: old.size]] == [leaf for _, _, leaf in before]
    for index, _, leaf in before:
        assert verify_inclusion(leaf, index, note.size, proofs[index], note.root)
        assert log.inclusion(head, index, old.size) == proofs[index]
    new = Note.parse(log.checkpoint(head))
    proof = log.consistency(head, note.size, new.size)
    assert verify_consistency(note.size, new.size, note.root, new.root, proof)
    assert bench.platform.retention.prune() == 0


def test_pruning_and_its_entry_are_one_transaction(bench, monkeypatch):
    bench.write(READ, count=2)
    bench.sealer.seal()
    later(monkeypatch, 3655)
    monkeypatch.setattr(bench.recorder, "write", lambda *arguments: (_ for _ in ()).throw(KeyError))
    with pytest.raises(KeyError):
        bench.platform.retention.prune()
    assert bench.rows("SELECT * FROM audit_entry WHERE content IS NULL") == []
    assert len(bench.rows("SELECT * FROM audit_subject")) == 4


def test_what_is_needed_to_verify_is_kept_as_long_as_the_log(bench, monkeypatch):
    bench.sealer.seal()
    bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.write(READ)
    bench.sealer.seal()
    for days in (3655, 3655):
        later(monkeypatch, days)
        bench.platform.retention.prune()
        bench.sealer.seal()
    kept = [one["action"] for one in bench.entries() if one and one["action"] != "audit:log:heartbeat"]
    assert kept == ["audit:log:start", "audit:log:rotate_key", "audit:entries:prune"]
    assert len(bench.platform.audit_log.vkeys(bench.head)) == 2


def test_many_entries_go_in_batches_and_many_ranges_in_several_entries(bench, monkeypatch):
    monkeypatch.setattr(retention_module, "MOST_RANGES", 2)
    monkeypatch.setattr(retention_module, "BATCH", {"sqlite": 20, "postgresql": 20})
    prune = Event(
        Action.AUDIT_ENTRIES_PRUNE,
        PERSON,
        detail={"before": "", "ranges": [], "count": 0, "rule": ""},
    )
    for _ in range(5):
        bench.write(READ, count=3)
        bench.write(prune)
    bench.write(READ, count=50)
    bench.sealer.seal()
    later(monkeypatch, 3655)
    bench.platform.retention.prune()
    bench.sealer.seal()
    told = [one["detail"] for one in bench.entries() if one and one["detail"].get("count")]
    assert max(len(one["ranges"]) for one in told) == 2
    ranges = [tuple(one) for detail in told for one in detail["ranges"]]
    covered = [index for start, stop in ranges for index in range(start, stop)]
    assert covered == [index for index, one in enumerate(bench.entries()) if one is None]
    assert len(covered) == 1 + 15 + 50 == sum(one["count"] for one in told)


def test_an_institution_decides_how_long_and_may_hold(bench, monkeypatch):
    retention = bench.platform.retention
    assert (retention.rule(bench.institution).days, retention.rule(bench.institution).hold) == (3653, False)
    retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, days=400)
    retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, hold=True)
    retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, hold=True)
    bench.sealer.seal()
    changes = [one["change"] for one in bench.entries() if one["action"] == "audit:retention:change"]
    assert changes == [
        [{"path": "days", "before": 3653, "after": 400}],
        [{"path": "hold", "before": 0, "after": 1}],
    ]
    later(monkeypatch, 405)
    assert retention.prune() == 0
    retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, hold=False)
    assert retention.prune() == 3
    for days in (364, 36_526, 0, -1):
        with pytest.raises(WardlightError) as error:
            retention.change(bench.institution, by=LOCAL_ADMINISTRATOR, days=days)
        assert error.value.code == "bad-request"


def test_nothing_is_pruned_from_a_log_that_was_refused(bench, monkeypatch):
    bench.write(READ)
    bench.sealer.seal()
    bench.change(f"UPDATE audit_log SET halted = 1 WHERE log = {bench.head.log}")
    later(monkeypatch, 3655)
    bench.platform.retention.prune()
    assert None not in bench.entries()


def test_an_ended_generation_is_pruned_too(bench, monkeypatch):
    bench.write(READ)
    bench.sealer.seal()
    old = bench.head
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
    later(monkeypatch, 3655)
    bench.platform.retention.prune()
    bench.sealer.seal()
    assert [one is None for one in bench.entries(old)] == [False, True, True]
    told = [one["detail"] for one in bench.entries() if one and one["action"] == "audit:entries:prune"]
    assert [one["ranges"] for one in told if one.get("origin") == old.origin] == [[[1, 3]]]
