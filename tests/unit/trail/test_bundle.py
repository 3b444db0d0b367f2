"""Bundles that the platform writes, in the eyes of the verifier that shares no code with it."""

from __future__ import annotations

import io
import json
import random
from datetime import timedelta

import pytest

from audit_kit import LOGIN, PERSON, Bench
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.verifier import Trust, verify
from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.bundle import Bundle, Range, newest, trust_of
from wardlight.trail.export import export


@pytest.fixture(scope="module")
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        yield filled(Bench(platform))


def filled(bench):
    """Some 600 entries under several checkpoints, two keys, two people, and a patient."""
    doctor = bench.platform.identity.create_person(
        bench.institution, "d@x.example", "Dr. Jörg Ünal", Role.CLINICIAN, by=LOCAL_ADMINISTRATOR
    )
    read = Event(
        Action.DICOMWEB_STUDY_READ, type(PERSON)("person", doctor.id, "clinician"),
        target=Target("study", ref="s1.a"), subjects=(("p1.patient", "s1.a"),), phase="authorised",
    )  # fmt: skip
    for count in (3, 250, 40):
        bench.write(count=count)
        bench.sealer.seal()
    bench.platform.generations.rotate(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.sealer.seal()
    for count in (7, 260, 40):
        bench.write(read, count=count)
        bench.sealer.seal()
    bench.doctor = doctor
    return bench


def made(bench, start=0, stop=None, size=None, **named):
    head = bench.head
    span = Range(start, head.size if stop is None else stop, size or head.size)
    lines = Bundle(bench.database, bench.platform.audit_log, head).lines(span, **named)
    return b"".join(lines)


def judged(bench, data, **named):
    trust = trust_of(bench.platform.audit_log, bench.head, [])
    named = {"log_key_only": True} | named
    return verify(io.BytesIO(data), Trust(trust["origin"], trust["vkeys"], **named))


def rows(data):
    return [json.loads(line) for line in data.splitlines()]


def test_the_whole_log_is_verified_from_its_first_key(bench):
    data = made(bench)
    found = judged(bench, data)
    assert (found.verdict, found.leaves, found.size) == ("verified", bench.head.size, bench.head.size)
    told = [row["entry"] for row in rows(data) if row["kind"] == "leaf"]
    assert told == bench.entries()
    assert [row["index"] for row in rows(data) if row["kind"] == "tile"] == [0, 1]
    # Without the second key's announcement its signatures are nobody's.
    assert len(rows(data)[0]["vkeys"]) == 2


def test_only_what_the_log_key_signed_is_not_vouched_for(bench):
    found = judged(bench, made(bench), log_key_only=False)
    assert (found.verdict, found.first_bad, found.anchored_to) == ("unanchored", 0, 0)
    note = bench.platform.audit_log.checkpoint(bench.head)
    assert judged(bench, made(bench), log_key_only=False, anchors=[note]).verdict == "verified"


@pytest.mark.parametrize("seed", range(12))
def test_any_range_is_verified(bench, seed):
    chance = random.Random(seed)
    sizes = [one.size for one in bench.platform.audit_log.checkpoints(bench.head, 0, bench.head.size + 1)]
    size = chance.choice(sizes[-3:])
    start = chance.choice((0, chance.randrange(size + 1), 256))
    stop = chance.choice((size, chance.randrange(start, size + 1)))
    data = made(bench, start, stop, size)
    # Whoever begins behind the rotation has seen nothing of it, and must know both keys.
    trust = Trust(bench.head.origin, bench.platform.audit_log.vkeys(bench.head), log_key_only=True)
    found = verify(io.BytesIO(data), trust)
    assert (found.verdict, found.leaves) == ("verified", stop - start)


def test_people_are_named_and_cannot_be_renamed(bench):
    data = made(bench)
    (actor,) = [row for row in rows(data) if row["kind"] == "actor"]
    assert (actor["id"], actor["name"]) == (bench.doctor.id, "Dr. Jörg Ünal")
    renamed = [row | {"name": "Dr. Who"} if row["kind"] == "actor" else row for row in rows(data)]
    assert judged(bench, sealed(renamed)).verdict == "altered"


def test_entries_of_others_are_withheld(bench):
    data = made(bench, withhold=lambda entry: "subjects" not in entry)
    found = judged(bench, data)
    assert found.verdict == "verified" and found.withheld > 290
    assert b"u-7f3a" not in data and b"s1.a" in data
    assert judged(bench, data, complete=True).verdict == "altered"


def test_a_change_of_what_is_stored_is_found(bench):
    """The database's keeper changes an entry where it lies, and exports it."""
    data = made(bench)
    changed = data.replace(b'"role":"clinician"', b'"role":"privacy00"', 1)
    assert len(changed) == len(data)
    lines = changed.splitlines(keepends=True)
    found = judged(bench, sealed([json.loads(line) for line in lines]))
    assert found.verdict == "altered"
    assert rows(changed)[1 + found.first_bad]["index"] <= 260


def test_ranges_outside_the_log_are_refused(bench):
    size = bench.head.size
    for start, stop, of in ((-1, 2, size), (3, 2, size), (0, size + 1, size), (0, size, size + 1)):
        with pytest.raises(WardlightError, match="bad-request"):
            made(bench, start, stop, of)
    with pytest.raises(WardlightError, match="not-found"):
        made(bench, 0, 1, 2)  # No checkpoint has this size.


def sealed(lines):
    """The lines with the end that fits them."""
    import bundle_kit

    return bundle_kit.sealed([row for row in lines if row["kind"] != "end"])


def test_pruned_entries_are_counted(stores, monkeypatch):
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        bench.write(count=5)
        bench.sealer.seal()
        moment = clock.now() + timedelta(days=3655)
        monkeypatch.setattr(clock, "now", lambda: moment)
        monkeypatch.setattr(clock, "unix_ms", lambda: int(moment.timestamp() * 1000))
        bench.write(LOGIN)
        bench.platform.retention.prune()
        bench.sealer.seal()
        found = judged(bench, made(bench))
        assert (found.verdict, found.pruned, found.withheld) == ("verified", 6, 0)


def test_an_export_reaches_up_to_its_own_entry(stores):
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        bench.write(count=3)

        def exported(form, **named):
            found = export(
                platform.parts, platform.witnesses, platform.sealer.seal, bench.institution, form,
                by=LOCAL_ADMINISTRATOR, **named,
            )  # fmt: skip
            out = io.BytesIO()
            found.write(out)
            return out.getvalue()

        data = exported("ndjson")
        assert judged(bench, data).verdict == "verified"
        last = [row["entry"] for row in rows(data) if row["kind"] == "leaf"][-1]
        assert (last["action"], last["detail"]["format"]) == ("audit:entry:export", "ndjson")
        assert exported("csv", start=1, stop=3).count(b"\r\n") == 3
        assert exported("fhir").count(b"AuditEvent") >= 6
        assert exported("dicom").count(b"</AuditMessage>") >= 7
        with pytest.raises(WardlightError, match="bad-request"):
            exported("ndjson", start=1000)
        told = [entry for entry in bench.entries() if entry["action"] == "audit:entry:export"]
        assert len(told) >= 4
        assert newest(platform.audit_log, bench.institution)[1] == bench.head.size
