"""Bundles that the platform writes, in the eyes of the verifier that shares no code with it."""

from __future__ import annotations

import io
import itertools
import json
import random
from datetime import timedelta

import pytest

from audit_kit import LOGIN, PERSON, Bench
from platform_kit import a_platform
from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.note import Note, VerifierKey, cosign
from wardlight.audit.verifier import Trust, verify
from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import bundle as bundle_module
from wardlight.trail import witness_store
from wardlight.trail.bundle import Bundle, Range, signed_size, trust_of
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


@pytest.mark.parametrize("interval", [1, 40, 4096])
def test_intervals_are_not_longer_than_they_may_be(bench, monkeypatch, interval):
    """One checkpoint for each, where there is one, and the first that a new key signs."""
    monkeypatch.setattr(bundle_module, "_INTERVAL", interval)
    notes = [Note.parse(row["note"]) for row in rows(made(bench)) if row["kind"] == "checkpoint"]
    every = [one.size for one in bench.platform.audit_log.checkpoints(bench.head, 0, bench.head.size + 1)]
    sizes = [note.size for note in notes]
    assert set(sizes) <= set(every) and sizes == sorted(set(sizes)) and sizes[-1] == every[-1]
    if interval == 1:
        assert sizes == every
    for low, high in itertools.pairwise([0, *sizes]):
        # Longer only where the log has none between.
        assert high - low <= interval or not [size for size in every if low < size < high]
    assert sum(len(note.signatures) == 2 for note in notes) == 1
    assert judged(bench, made(bench)).verdict == "verified"


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
        assert signed_size(platform.audit_log, bench.head) == bench.head.size


def test_an_export_leaves_nothing_out_where_the_witness_is_away(stores):
    """What nobody vouches for yet is in the bundle, and the verdict says from where on."""
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        bench.sealer.seal()
        old = bench.head
        seed = bytes(range(32, 64))
        key = VerifierKey.of("peer.example/w1", seed, 4)
        note = Note.parse(platform.audit_log.checkpoint(old))
        line = cosign(key.name, seed, note.body, 1_795_507_560)
        with bench.database.begin(bench.institution) as tx:
            witness_store.put_note(tx, old.log, old.size, platform.audit_log.checkpoint(old) + line)
        bench.write(count=3)
        found = export(
            platform.parts, platform.witnesses, platform.sealer.seal, bench.institution, "ndjson",
            by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        out = io.BytesIO()
        found.write(out)
        assert found.span.size == old.size + 4
        trust = Trust(old.origin, platform.audit_log.vkeys(old), [key.text])
        verdict = verify(io.BytesIO(out.getvalue()), trust)
        assert (verdict.verdict, verdict.anchored_to) == ("unanchored", old.size)


def test_an_ended_log_is_exported_as_far_as_it_was_signed(stores):
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        bench.write(count=3)
        bench.sealer.seal()
        signed = bench.head.size
        # A batch that was sealed and never signed, as at a crash, and the log goes on in the next generation.
        bench.write()
        assert platform.sealer._one_batch(bench.head.log) == 1
        platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR, anyway=True)
        bench.sealer.seal()
        found = export(
            platform.parts, platform.witnesses, platform.sealer.seal, bench.institution, "ndjson",
            generation=1, by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        assert found.span.size == signed
