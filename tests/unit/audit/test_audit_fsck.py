"""fsck finds each single thing that is not as it was sealed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit_kit import PERSON, Bench, old_state
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit import fsck
from wardlight.audit.actions import Action
from wardlight.audit.fsck import AuditFsck
from wardlight.audit.model import Event, Target
from wardlight.identity.service import LOCAL_ADMINISTRATOR

READ = Event(
    Action.DICOMWEB_STUDY_READ,
    PERSON,
    target=Target("study", ref="s1.study"),
    subjects=(("p1.patient", "s1.study"),),
    purpose="TREAT",
)


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield Bench(platform)


def checked(bench):
    findings = AuditFsck(bench.database, bench.platform.signer).check()
    assert {id_ for _, id_ in findings} <= {bench.institution}
    return [code for code, _ in findings]


def test_whole_logs_are_clean_at_every_stage(bench, monkeypatch):
    assert checked(bench) == []
    bench.write(READ, count=300)
    assert checked(bench) == []
    bench.sealer.seal()
    assert checked(bench) == []
    bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.sealer.seal()
    bench.write(READ)
    bench.sealer.seal()
    assert checked(bench) == []
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
    bench.write(READ)
    bench.sealer.seal()
    assert checked(bench) == []
    moment = clock.now() + timedelta(days=3655)
    monkeypatch.setattr(clock, "now", lambda: moment)
    assert bench.platform.retention.prune() > 300
    bench.sealer.seal()
    assert bench.rows("SELECT * FROM audit_entry WHERE content IS NULL")
    assert checked(bench) == []


CHANGES = {
    "an entry changed": (
        "UPDATE audit_entry SET content = (SELECT content FROM audit_entry e WHERE e.log = {n} AND e.idx = 5)"
        " WHERE log = {n} AND idx = 4",
        {"audit-entry", "audit-counters", "audit-subjects"},
    ),
    "an entry gone": (
        "DELETE FROM audit_entry WHERE log = {n} AND idx = 4",
        {"audit-entry", "audit-counters", "audit-subjects"},
    ),
    "an actor changed": (
        "UPDATE audit_entry SET actor = 'person:u-other' WHERE log = {n} AND idx = 4",
        {"audit-columns"},
    ),
    "a time changed": (
        "UPDATE audit_entry SET recorded_ms = recorded_ms + 1 WHERE log = {n} AND idx = 4",
        {"audit-columns"},
    ),
    "content alone emptied": (
        "UPDATE audit_entry SET content = NULL WHERE log = {n} AND idx = 4",
        {"audit-columns", "audit-counters", "audit-subjects"},
    ),
    "a subject gone": (
        "DELETE FROM audit_subject WHERE log = {n} AND idx = 4 AND ref = 'p1.patient'",
        {"audit-subjects"},
    ),
    "a subject moved": (
        "UPDATE audit_subject SET ref = 'p1.other' WHERE log = {n} AND idx = 4 AND ref = 'p1.patient'",
        {"audit-subjects"},
    ),
    "a tile cut": (
        "UPDATE audit_tile SET data = substr(data, 1, 8160) WHERE log = {n} AND level = 0 AND n = 0",
        {"audit-tile", "audit-entry", "audit-counters", "audit-subjects"},
    ),
    "an upper tile changed": (
        "UPDATE audit_tile SET data = (SELECT substr(data, 1, 32) FROM audit_tile t"
        " WHERE t.log = {n} AND t.level = 0 AND t.n = 0) WHERE log = {n} AND level = 1",
        {"audit-tile", "audit-root", "audit-checkpoint"},
    ),
    "a tile too many": (
        "INSERT INTO audit_tile (log, level, n, data) SELECT log, 3, 0, data FROM audit_tile"
        " WHERE log = {n} AND level = 1",
        {"audit-tile"},
    ),
    "a counter changed": (
        "UPDATE audit_day SET n = n + 1 WHERE log = {n} AND action = 'dicomweb:study:read'",
        {"audit-counters"},
    ),
    "a root changed": (
        "UPDATE audit_log SET root = (SELECT substr(data, 1, 32) FROM audit_tile t"
        " WHERE t.log = {n} AND t.level = 0 AND t.n = 0) WHERE log = {n}",
        {"audit-root", "audit-signer"},
    ),
    "a note of another size": (
        "UPDATE audit_checkpoint SET size = size - 1 WHERE log = {n}",
        {"audit-checkpoint"},
    ),
    "a note with another signature": (
        "UPDATE audit_checkpoint SET note = (SELECT replace(note, substr(note, length(note) - 60, 40),"
        " 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')) WHERE log = {n}",
        {"audit-checkpoint"},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_change_is_found(bench, what):
    bench.write(READ, count=300)
    bench.sealer.seal()
    query, expected = CHANGES[what]
    bench.change(query.format(n=bench.head.log))
    assert set(checked(bench)) == expected
    assert expected <= set(fsck.ERRORS)


def test_an_old_database_and_a_stopped_log_are_told(bench):
    bench.write(READ)
    bench.sealer.seal()
    put_back = old_state(bench)
    bench.write(READ)
    bench.sealer.seal()
    put_back()
    bench.change(f"DELETE FROM audit_subject WHERE log = {bench.head.log} AND idx >= {bench.head.size}")
    assert checked(bench) == ["audit-signer"]
    bench.write(READ)
    bench.sealer.seal()
    assert checked(bench) == ["audit-halted"]
    assert "audit-halted" in fsck.NOTES
