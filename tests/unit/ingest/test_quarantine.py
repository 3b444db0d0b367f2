"""What protection holds back: encrypted under a key of its own, shown with reasons and no value, decided by people."""

from __future__ import annotations

from uuid import UUID

import pytest
from starlette.testclient import TestClient

from archive_kit import dataset, part10
from canary import Canaries
from share_kit import CANARIES
from upload_kit import change, image, objects, sent
from wardlight import clock
from wardlight.access.model import Role, TokenScope
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive import quarantine_store
from wardlight.archive.fsck import Fsck
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.deid import protect
from wardlight.deid.verify_leaks import Finding
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.keys.wrap import KeyKind
from web_kit import a_web

ROOT = "/api/v1/quarantine"
FINDINGS = (Finding("words", (0x00081030,)), Finding("code", (0x00400275, 0x00321060)))
SCOPES = (TokenScope.MANAGE, TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.STEP_UP)


@pytest.fixture(scope="module")
def web():
    with a_web(quarantine={"days": 2, "total_bytes": 1 << 20}) as made:
        made.people = {}
        for name, role in (
            ("administrator", Role.ADMINISTRATOR), ("clinician", Role.CLINICIAN), ("colleague", Role.CLINICIAN),
            ("researcher", Role.RESEARCHER), ("officer", Role.PRIVACY_OFFICER),
        ):  # fmt: skip
            made.people[name] = as_person(made, name, role)
        yield made


def as_person(web, name, role):
    identity = web.kit.platform.identity
    row = identity.create_person(web.kit.institution.id, f"{name}@q.example", name, role, by=BY)
    token = identity.issue_person_token(row, by=BY, scopes=SCOPES)
    return TestClient(
        web.client.app, base_url="http://ward.example", raise_server_exceptions=False,
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip


class As:
    """The same platform, asked by somebody else."""

    def __init__(self, web, name):
        self.kit, self.services, self.client = web.kit, web.services, web.people[name]


@pytest.fixture
def alarm(monkeypatch):
    """The verifier finds something, until it is told to find something else."""
    found = list(FINDINGS)
    monkeypatch.setattr(protect, "verify", lambda *_, **__: list(found))
    return found


def held(web, number, who="clinician", **values):
    """A file that is held back, as the API shows it to an administrator."""
    assert sent(As(web, who), [image(number, **values)]) == ["quarantined:words"]
    return web.people["administrator"].get(f"{ROOT}?limit=1").json()["files"][0]


def rows(web):
    return web.kit.sql("SELECT id, state, tried_ms FROM archive_quarantine ORDER BY id")


def keys(web):
    return {key.key_id for key in web.kit.platform.keystore.list_keys() if key.kind is KeyKind.QUARANTINE}


def ends(web):
    """One round of the worker; nothing is left of what ended."""
    web.kit.platform.quarantine_work.end(WORKER)


def test_what_is_held_says_why_and_shows_nothing(web, alarm):
    before, there = keys(web), objects(web)
    row = held(web, 101)
    assert row["state"] == "held" and row["level"] == "high" and not row["own"]
    assert row["reasons"] == [
        {"code": "words", "tags": ["00081030"]},
        {"code": "code", "tags": ["00400275", "00321060"]},
    ]
    assert row["findings"] == [str(one) for one in FINDINGS]
    (fresh,) = keys(web) - before
    (name,) = objects(web) - there
    stored = (web.kit.platform.settings.objects_dir / name.hex[:2] / name.hex).read_bytes()
    canaries = Canaries(tuple(CANARIES.values()))
    assert stored[6] == 5 and not canaries.find(stored) and b"DICM" not in stored
    assert not canaries.find(str(web.kit.sql("SELECT * FROM archive_quarantine")).encode())
    assert not canaries.find(web.people["administrator"].get(ROOT).content)
    entry = web.kit.entries("ingest:study:quarantine")[-1]
    assert entry["reason"] == "words" and entry["counts"] == {"instances": 1}
    # Nobody's answer but who asks here has it: it is in no study.
    assert not web.get("/studies", accept="application/dicom+json").json()
    assert fresh not in before


def test_who_sees_what(web, alarm):
    row = held(web, 102)
    place = f"{ROOT}/{row['id']}"
    seen = {
        name: (person.get(place).status_code, person.get(f"{place}/picture").status_code)
        for name, person in web.people.items()
    }
    assert seen == {
        "administrator": (200, 200), "clinician": (200, 200), "colleague": (404, 404), "researcher": (403, 403),
        "officer": (200, 403),
    }  # fmt: skip
    assert web.people["colleague"].get(ROOT).json() == {"files": []}
    assert [one["id"] for one in web.people["clinician"].get(f"{ROOT}?limit=1").json()["files"]] == [
        row["id"]
    ]
    # What may be called a false alarm is for who may say so.
    assert web.people["clinician"].get(place).json()["findings"] == []
    drawn = web.people["clinician"].get(f"{place}/picture")
    assert drawn.headers["content-type"] == "image/jpeg" and drawn.content[:2] == b"\xff\xd8"
    assert drawn.headers["cache-control"] == "no-store"
    assert web.kit.entries("ingest:quarantine:view")[-1]["counts"] == {"frames": 1}
    for name in ("0" * 32, "1", "..%2f..%2fetc"):
        assert web.people["administrator"].get(f"{ROOT}/{name}").status_code == 404


def test_pages_go_on_where_they_ended(web, alarm):
    for number in (103, 104):
        held(web, number)
    person, found, after = web.people["administrator"], [], ""
    for _ in range(20):
        page = person.get(f"{ROOT}?limit=1{after}").json()
        found += [one["id"] for one in page["files"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert found == sorted(set(found), reverse=True) and len(found) == len(rows(web))
    assert person.get(f"{ROOT}?limit=0").status_code == 400


def test_protected_again_it_is_stored_if_it_passes(web, alarm):
    row = held(web, 105)
    person, place = web.people["clinician"], f"{ROOT}/{row['id']}"
    alarm[:] = [FINDINGS[0]]
    assert person.post(f"{place}/retry", json={}).status_code == 202
    assert person.post(f"{place}/retry", json={}).json()["reason"] == "busy"
    assert web.kit.platform.quarantine_work.work(WORKER) == 1
    again = person.get(place).json()
    assert (
        again["state"] == "held" and [one["code"] for one in again["reasons"]] == ["words"] and again["tried"]
    )
    alarm.clear()
    before, there = keys(web), objects(web)
    assert person.post(f"{place}/retry", json={}).status_code == 202
    web.kit.platform.quarantine_work.work(WORKER)
    assert person.get(place).status_code == 404
    ends(web)
    assert len(before - keys(web)) == 1 and len(there - objects(web)) == 1
    assert web.kit.entries("ingest:study:protect")[-1]["behalf"]["kind"] == "person"
    assert web.kit.entries("ingest:quarantine:release")[-1]["reason"] == "retry"
    assert web.kit.entries("archive:key:destroy")[-1]["reason"] == "released"
    # It is stored as the person's own who sent it, and the same again is a duplicate.
    assert sent(As(web, "clinician"), [image(105)]) == ["duplicate"]


def test_a_false_alarm_is_released_for_what_was_seen_and_no_more(web, alarm):
    row = held(web, 106)
    person, place = web.people["officer"], f"{ROOT}/{row['id']}/release"
    body = {"why": "names-nobody", "findings": row["findings"]}
    refused = web.people["clinician"].post(place, json=body)
    assert refused.status_code == 403 and refused.json()["reason"] == "role"
    assert web.kit.entries("access:decision:deny")[-1]["reason"] == "role"
    assert person.post(place, json={**body, "why": "Mrs Quillfeather agreed"}).status_code == 400
    assert person.post(place, json={**body, "findings": []}).status_code == 400
    assert person.post(place, json={**body, "findings": row["findings"][:1]}).json()["reason"] == "findings"
    # Something else is found by now: what was accepted does not cover it.
    alarm.append(Finding("uid-not-replaced", (0x00200052,)))
    assert person.post(place, json=body).status_code == 202
    web.kit.platform.quarantine_work.work(WORKER)
    again = person.get(f"{ROOT}/{row['id']}").json()
    assert again["state"] == "held" and [one["code"] for one in again["reasons"]] == ["uid-not-replaced"]
    alarm.pop()
    person.post(f"{ROOT}/{row['id']}/retry", json={})
    web.kit.platform.quarantine_work.work(WORKER)
    # A decision is for one try: the next begins with everything that is found.
    assert len(person.get(f"{ROOT}/{row['id']}").json()["reasons"]) == 2
    assert person.post(place, json=body).status_code == 202
    web.kit.platform.quarantine_work.work(WORKER)
    assert person.get(f"{ROOT}/{row['id']}").status_code == 404
    entry = web.kit.entries("ingest:quarantine:release")[-1]
    assert entry["reason"] == "names-nobody"
    assert entry["detail"] == {"level": "high", "findings": sorted(row["findings"])}
    alarm.clear()
    assert sent(As(web, "clinician"), [image(106)]) == ["duplicate"]
    ends(web)


@pytest.mark.parametrize("code", ["unreadable", "marker-missing", "uid-not-replaced", "forbidden-element"])
def test_nobody_answers_for_what_was_not_verified(web, alarm, code):
    alarm[:] = [Finding(code, (0x00100010,))]
    assert sent(As(web, "clinician"), [image(107)]) == [f"quarantined:{code}"]
    person = web.people["administrator"]
    row = person.get(f"{ROOT}?limit=1").json()["files"][0]
    assert row["findings"] == []
    body = {"why": "checked", "findings": [f"{code} (0010,0010)"]}
    assert person.post(f"{ROOT}/{row['id']}/release", json=body).status_code == 409


def test_a_document_that_cannot_be_cleaned_is_kept_and_no_alarm(web):
    study = "1.2.826.0.1.55.108"
    document = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1", EncapsulatedDocument=b"%PDF-1.4 Quill ",
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )  # fmt: skip
    (result,) = sent(As(web, "clinician"), [part10(document)])
    assert result.startswith("quarantined:document")
    row = web.people["administrator"].get(f"{ROOT}?limit=1").json()["files"][0]
    assert row["findings"] == [] and row["sop_class"] == "1.2.840.10008.5.1.4.1.1.104.1"
    assert web.people["administrator"].get(f"{ROOT}/{row['id']}/picture").status_code == 406


def test_discarded_it_is_gone(web, alarm):
    row = held(web, 109)
    before, there = keys(web), objects(web)
    place = f"{ROOT}/{row['id']}"
    assert web.people["colleague"].delete(place).status_code == 404
    assert web.people["clinician"].delete(place).status_code == 204
    assert web.people["clinician"].get(place).status_code == 404
    ends(web)
    (key,) = before - keys(web)
    assert len(there - objects(web)) == 1 and not web.kit.sql(
        f"SELECT 1 FROM archive_quarantine WHERE id = x'{row['id']}'"
    )
    # Whoever restores a backup is told that the key is destroyed.
    told = web.kit.platform.tombstones.beside_objects()
    assert any(one.key_id == key for grave in told for one in grave.tombstones)
    assert web.kit.entries("ingest:quarantine:discard")[-1]["detail"] == {"level": "high"}


def test_its_time_ends(web, alarm):
    row = held(web, 110)
    change(web, f"UPDATE archive_quarantine SET expires_ms = {clock.unix_ms() - 1} WHERE id = x'{row['id']}'")
    assert web.people["administrator"].get(f"{ROOT}/{row['id']}").status_code == 404
    before = keys(web)
    ends(web)
    assert len(before - keys(web)) == 1
    entry = web.kit.entries("ingest:quarantine:discard")[-1]
    assert entry["reason"] == "expired" and entry["actor"]["kind"] == "system"


def test_deleting_the_study_ends_it(web, alarm):
    row = held(web, 111)
    kept = alarm[:]
    alarm.clear()
    other = image(111).replace(b"1.2.826.0.1.55.111.1.1", b"1.2.826.0.1.55.111.1.2")
    assert sent(As(web, "colleague"), [other]) == ["stored"]
    web.kit.archive.complete(WORKER)
    found = web.kit.sql(
        "SELECT study_group FROM archive_quarantine WHERE state = 'held' ORDER BY id DESC LIMIT 1"
    )
    study = next(
        one["0020000D"]["Value"][0]
        for one in web.get("/studies", accept="application/dicom+json").json()
        if web.kit.archive.study_group(web.kit.query, one["0020000D"]["Value"][0]) == bytes(found[0][0])
    )
    # A clinician deletes what is all his own.
    refused = web.people["colleague"].delete(f"/api/v1/studies/{study}")
    assert refused.status_code == 403 and refused.json()["reason"] == "role"
    before = keys(web)
    assert web.people["administrator"].delete(f"/api/v1/studies/{study}").status_code == 202
    assert web.people["administrator"].get(f"{ROOT}/{row['id']}").status_code == 404
    ends(web)
    assert len(before - keys(web)) == 1
    assert web.kit.entries("archive:key:destroy")[-1]["reason"] == "study-deleted"
    # What comes of it later is not kept either.
    alarm[:] = kept
    count = len(rows(web))
    assert sent(As(web, "clinician"), [image(111)]) == ["refused:study-deleted"]
    assert len(rows(web)) == count and keys(web) == before - (before - keys(web))


def test_no_more_is_held_than_there_is_room_for(web, alarm):
    quarantine = web.kit.platform.quarantine
    with web.kit.platform.database.read(web.kit.institution.id) as tx:
        full = (1 << 20) - quarantine_store.total(tx, web.kit.institution.id)
    before, there = keys(web), objects(web)
    assert quarantine.keep(web.kit.institution.id, 10, lambda: iter([b"x" * 10]), full - 9) is None
    assert keys(web) == before and objects(web) == there


def test_checks_know_it(web, alarm):
    row = held(web, 112)
    platform = web.kit.platform
    check = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
    for deep in (False, True):
        assert check.check(deep=deep).clean
    ((name, key),) = web.kit.sql(f"SELECT object, key_id FROM archive_quarantine WHERE id = x'{row['id']}'")
    data = web.kit.stored(UUID(bytes=name))
    web.kit.alter(UUID(bytes=name), data[:-1] + bytes([data[-1] ^ 1]))
    assert check.check().clean and "damaged-object" in check.check(deep=True).counts
    assert web.people["administrator"].get(f"{ROOT}/{row['id']}/picture").status_code == 500
    web.kit.alter(UUID(bytes=name), data[:-1])
    assert "object-size" in check.check().counts
    web.kit.alter(UUID(bytes=name), None)
    assert "missing-object" in check.check().counts
    platform.keystore.destroy_key(web.kit.institution.id, UUID(bytes=key))
    platform.keystore.forget()
    with platform.database.begin(EVERYWHERE) as tx:
        known = {one.key_id for one in platform.keystore.list_keys()}
        # As a restore does with what was ended since the backup.
        assert quarantine_store.drop_without(tx, known) == 1
    unused, _ = platform.keystore.create_key(web.kit.institution.id, KeyKind.QUARANTINE)
    assert ("unused-key", unused) in check.check().findings


def test_nothing_without_its_entry(web, alarm):
    row = held(web, 113)
    person, place, before = web.people["administrator"], f"{ROOT}/{row['id']}", rows(web)
    change(
        web, "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'none'); END"
    )
    try:
        for answer in (
            person.get(ROOT), person.get(place), person.get(f"{place}/picture"), person.delete(place),
            person.post(f"{place}/retry", json={}),
            person.post(f"{place}/release", json={"why": "device", "findings": row["findings"]}),
        ):  # fmt: skip
            assert answer.status_code == 503 and row["id"] not in answer.text
        assert rows(web) == before
        change(web, f"UPDATE archive_quarantine SET expires_ms = 1 WHERE id = x'{row['id']}'")
        with pytest.raises(Exception):  # noqa: B017 - whatever the database says
            ends(web)
        assert [one[:2] for one in rows(web)] == [one[:2] for one in before]
    finally:
        change(web, "DROP TRIGGER no_entry")


def test_the_end_of_the_agreement_ends_all_of_it(web, alarm):
    held(web, 114)
    platform, own = web.kit.platform, web.kit.institution.id
    platform.agreements.withdraw(own, IMAGES, by=BY)
    try:
        row = web.people["administrator"].get(f"{ROOT}?limit=1").json()["files"][0]
        again = web.people["administrator"].post(f"{ROOT}/{row['id']}/retry", json={})
        assert again.status_code == 403 and again.json()["code"] == "agreement-withdrawn"
        assert web.people["administrator"].get(f"{ROOT}/{row['id']}/picture").status_code == 403
        ends(web)
        assert not rows(web)
        assert web.kit.entries("ingest:quarantine:discard")[-1]["reason"] == "agreement-withdrawn"
    finally:
        platform.agreements.create(
            own, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",), attested_by="Kim", by=BY
        )
