"""Sharing: a release of its own for each application, of the platform's own pseudonyms, made in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from share_kit import ACME, BETA, CANARIES, Hospital, a_hospital, ct, study
from wardlight import clock
from wardlight.access.model import Operation, Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive import share_store
from wardlight.archive.share_store import Share, ShareState
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest import copying, sharing
from wardlight.ingest.sharing import Wish

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


@pytest.fixture(scope="module")
def kit(stores: None) -> Iterator[Hospital]:
    with a_hospital() as hospital:
        yield hospital


def share(
    kit: Hospital, uid: str, application: str | None = ACME, level: Level | None = Level.HIGH, **more: Any
) -> Share:
    wish = Wish(
        application, more.pop("person", None), more.pop("purpose", "TREAT"), level, more.pop("until", None)
    )
    return kit.platform.sharing.share(more.pop("scope", kit.sharing), uid, wish)


def now(kit: Hospital, row: Share) -> Share:
    with kit.platform.database.read(row.institution) as tx:
        found = share_store.share_by_id(tx, row.id)
    assert found is not None
    return found


def shown(kit: Hospital, row: Share) -> list[Dataset]:
    scope = kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    uid = kit.archive.study_uids(scope, [row.release])[row.release][0]
    return kit.seen(kit.as_application(row.application or ""), uid)


def refused(kit: Hospital, uid: str, **wish: Any) -> WardlightError:
    with pytest.raises(WardlightError) as caught:
        share(kit, uid, **wish)
    return caught.value


def test_two_applications_share_no_uid_no_pseudonym_no_offset(kit: Hospital) -> None:
    originals = study(3, "1.2.77")
    kit.store(*originals)
    rows = {name: share(kit, "1.2.77", name) for name in (ACME, BETA)}
    kit.work()
    rows = {name: now(kit, row) for name, row in rows.items()}
    assert {(row.state, row.total, row.stored, row.quarantined) for row in rows.values()} == {
        (ShareState.GRANTED, 3, 3, 0)
    }
    seen = {name: shown(kit, row) for name, row in rows.items()}
    for one in (*seen[ACME], *seen[BETA]):
        assert not [name for name, value in CANARIES.items() if value.split("^")[0] in str(one)]
        assert one.PixelData == originals[0].PixelData
    uids = [
        {str(ds[tag].value) for ds in sets for tag in UIDS} for sets in (originals, seen[ACME], seen[BETA])
    ]
    assert not uids[0] & uids[1] and not uids[1] & uids[2] and not uids[0] & uids[2]
    assert seen[ACME][0].PatientID != seen[BETA][0].PatientID
    assert len({ds[0].StudyDate for ds in (originals, seen[ACME], seen[BETA])}) == 3
    # What the hospital's own receiver would call them differs as well: its domain is another.
    assert originals[0].StudyInstanceUID != seen[ACME][0].StudyInstanceUID
    groups = kit.sql("SELECT DISTINCT study_group FROM archive_release")
    assert len(groups) == 1
    # What ties the two to their patient is sealed, each under its own key.
    origins = [
        bytes(row[0]) for row in kit.sql("SELECT origin FROM archive_release WHERE origin IS NOT NULL")
    ]
    assert len(origins) == len(set(origins)) == 2
    assert len({origin[1:13] for origin in origins}) == 2 and {(len(one) - 29) % 128 for one in origins} == {
        0
    }
    assert not any(b"MRN-90417733" in one or b"1.2.77" in one for one in origins)


def test_entries_name_the_source_as_well(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.78"))
    row = share(kit, "1.2.78")
    kit.work()
    references = kit.platform.recorder.references(kit.institution.id)
    patient, original = references.patient(CANARIES["PatientID"]), references.study("1.2.78")
    for action in (Action.ACCESS_GRANT_SHARE, Action.INGEST_STUDY_PROTECT, Action.ARCHIVE_STUDY_STORE):
        entry = kit.entries(action)[-1]
        assert {"patient": patient, "study": original} in entry["subjects"], action
    shown(kit, now(kit, row))
    read = kit.entries(Action.DICOMWEB_STUDY_READ)[-1]
    assert {"patient": patient, "study": original} in read["subjects"] and len(read["subjects"]) == 2
    assert kit.entries(Action.ARCHIVE_STUDY_COMPLETE)[-1]["subjects"] == read["subjects"]
    made = kit.entries(Action.ARCHIVE_STUDY_STORE)[-1]
    assert made["actor"] == {"kind": "system", "id": "worker"}
    assert made["behalf"] == {"kind": "person", "id": "u-7f3a"}
    assert now(kit, row).created_by == "person:u-7f3a"


def overlaid(study_uid: str) -> Dataset:
    """An overlay in a bit that is the image's own cannot be told from the image: it must not leave."""
    ds = ct(StudyInstanceUID=study_uid, SeriesInstanceUID=f"{study_uid}.1")
    ds.add_new(0x60000102, "US", ds.HighBit)
    return ds


def test_pixels_that_may_hold_text_are_looked_at(kit: Hospital) -> None:
    kit.store(ct(StudyInstanceUID="1.2.71", SeriesInstanceUID="1.2.71.1", BurnedInAnnotation="YES"))
    row = share(kit, "1.2.71")
    kit.work()
    assert (now(kit, row).stored, now(kit, row).quarantined) == (1, 0)
    (copy,) = shown(kit, row)
    assert copy.BurnedInAnnotation == "NO"
    assert "113101" in {item.CodeValue for item in copy.DeidentificationMethodCodeSequence}


def test_what_cannot_be_protected_stays_and_is_counted(kit: Hospital) -> None:
    sets = study(2, "1.2.79")
    sets.append(overlaid("1.2.79"))
    kit.store(*sets)
    row = share(kit, "1.2.79")
    kit.work()
    row = now(kit, row)
    assert (row.state, row.stored, row.quarantined) == (ShareState.GRANTED, 2, 1)
    assert len(shown(kit, row)) == 2
    held = kit.entries(Action.INGEST_STUDY_QUARANTINE)[-1]
    assert held["counts"] == {"instances": 1} and held["reason"]
    told = kit.sql("SELECT data FROM event_feed ORDER BY seq")[-1][0]
    assert '"quarantined":1' in str(told).replace(" ", "")
    kit.store(overlaid("1.2.80"))
    nothing = share(kit, "1.2.80")
    kit.work()
    assert (now(kit, nothing).state, now(kit, nothing).reason) == (ShareState.ENDED, "quarantined")


def test_a_copy_goes_on_where_it_was_broken_off(kit: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.store(*study(5, "1.2.81"))
    row = share(kit, "1.2.81")
    monkeypatch.setattr(copying, "_SEGMENT_INSTANCES", 2)
    monkeypatch.setattr(sharing, "PIECE_S", 0.0)
    kit.platform.sharing.work(WORKER)
    first = now(kit, row)
    assert (first.state, first.stored) == (ShareState.COPYING, 1)
    # Ended after the commit, before the share knew of it.
    update, calls = share_store.update_share, []

    def dying(tx: Any, id_: Any, **values: Any) -> None:
        if "cursor" in values:
            calls.append(values)
            raise RuntimeError("killed")
        update(tx, id_, **values)

    monkeypatch.setattr(share_store, "update_share", dying)
    kit.platform.sharing.work(WORKER)
    monkeypatch.setattr(share_store, "update_share", update)
    assert calls and now(kit, row).stored == 1
    with kit.platform.database.begin(row.institution) as tx:
        update(tx, row.id, lease_ms=0)
    for _ in range(6):
        kit.platform.sharing.work(WORKER)
    kit.work()
    done = now(kit, row)
    assert (done.state, done.stored, done.total) == (ShareState.GRANTED, 5, 5)
    assert len(shown(kit, done)) == 5


@pytest.mark.embedded
def test_one_worker_at_a_time(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.82"))
    row = share(kit, "1.2.82")
    with kit.platform.database.begin(row.institution) as tx:
        share_store.update_share(tx, row.id, lease_ms=clock.unix_ms() + 60_000)
    kit.work()
    assert now(kit, row).state is ShareState.COPYING
    with kit.platform.database.begin(row.institution) as tx:
        share_store.update_share(tx, row.id, lease_ms=0)
    kit.work()
    assert now(kit, row).state is ShareState.GRANTED


def test_late_instances_come_under_the_same_grant(kit: Hospital) -> None:
    kit.store(*study(2, "1.2.83"))
    row = share(kit, "1.2.83")
    kit.work()
    before = now(kit, row)
    kit.store(ct(StudyInstanceUID="1.2.83", SeriesInstanceUID="1.2.83.1", InstanceNumber="3"))
    kit.work()
    after = now(kit, row)
    assert (after.access_grant, after.stored, after.total) == (before.access_grant, 3, 3)
    assert len(shown(kit, after)) == 3
    assert len(kit.sql(f"SELECT id FROM access_grant WHERE release = {literal(kit, row.release.bytes)}")) == 1
    kinds = [kind for (kind,) in kit.sql("SELECT kind FROM event_feed ORDER BY seq")]
    assert kinds[-1] == "study.changed"


def literal(kit: Hospital, data: bytes) -> str:
    return (
        f"decode('{data.hex()}', 'hex')"
        if kit.platform.database.dialect == "postgresql"
        else f"x'{data.hex()}'"
    )


@pytest.mark.embedded
def test_the_same_wish_is_the_same_share(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.84"))
    row = share(kit, "1.2.84")
    assert share(kit, "1.2.84").id == row.id
    assert share(kit, "1.2.84", BETA).id != row.id
    kit.work()
    listed = kit.platform.sharing.listed(kit.sharing, "1.2.84")
    assert [one.application for one in listed] == [BETA, ACME]


@pytest.mark.embedded
def test_only_within_what_is_agreed(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.85"))
    kit.work()
    assert refused(kit, "1.2.85", application="nobody_app_prod").code == "no-agreement"
    assert refused(kit, "1.2.85", purpose="PATRQT").reason == "purpose-not-agreed"
    past, far = clock.unix_ms() - 1, clock.unix_ms() + 400 * 86_400_000
    assert refused(kit, "1.2.85", until=past).reason == refused(kit, "1.2.85", until=far).reason == "until"
    assert refused(kit, "1.2.99").code == "not-found"
    assert refused(kit, "1.2.85", application=None, person="u-nobody").reason == "person"
    officer = kit.as_person("u-1", Role.PRIVACY_OFFICER)
    with pytest.raises(WardlightError) as denied:
        kit.may(Action.ACCESS_GRANT_SHARE, officer, Operation.SHARE)
    assert denied.value.reason == "role"
    told = [
        entry for entry in kit.entries(Action.ACCESS_DECISION_DENY) if entry["reason"] == "purpose-not-agreed"
    ]
    assert told[-1]["detail"]["action"] == "access:grant:share"


@pytest.mark.embedded
def test_never_less_strict(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.86"), application=IMAGES, level=Level.MEDIUM)
    kit.work()
    assert refused(kit, "1.2.86", level=Level.LOW).code == "level-not-agreed"
    assert refused(kit, "1.2.86", level=Level.IDENTIFIED).code == "level-not-agreed"
    assert share(kit, "1.2.86", level=None).level is Level.HIGH


@pytest.mark.embedded
def test_a_copy_can_be_protected_again(kit: Hospital) -> None:
    """What a receiver de-identified, in Images at high, is shared at high: by other keys, not as it is."""
    kit.store(*study(1, "1.2.87"))
    first = share(kit, "1.2.87", application=None, person=kit.colleague.id, level=Level.HIGH)
    kit.work()
    assert now(kit, first).state is ShareState.GRANTED
    scope = kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    uid = kit.archive.study_uids(scope, [first.release])[first.release][0]
    researcher = kit.as_person(kit.colleague.id, Role.RESEARCHER)
    (mine,) = kit.seen(researcher, uid)
    second = share(kit, uid, ACME)
    kit.work()
    (theirs,) = shown(kit, now(kit, second))
    assert mine.PatientID != theirs.PatientID and mine.SOPInstanceUID != theirs.SOPInstanceUID
    # The trail still knows whose it is, two copies later.
    references = kit.platform.recorder.references(kit.institution.id)
    subjects = kit.entries(Action.ARCHIVE_STUDY_STORE)[-1]["subjects"]
    assert {one["study"] for one in subjects} >= {references.study("1.2.87"), references.study(uid)}


@pytest.mark.embedded
def test_the_basis_is_asked_for_when_the_grant_is_made(kit: Hospital) -> None:
    kit.store(*study(1, "1.2.88"))
    row = share(kit, "1.2.88", BETA)
    kit.platform.sharing.work(WORKER)
    kit.platform.entitlements.unsubscribe(kit.institution.id, BETA, by=LOCAL_ADMINISTRATOR)
    kit.work()
    assert (now(kit, row).state, now(kit, row).reason) == (ShareState.ENDED, "not-subscribed")
    kit.platform.entitlements.subscribe(kit.institution.id, BETA, by=LOCAL_ADMINISTRATOR)


@pytest.mark.embedded
def test_what_somebody_suspended_wished_is_not_granted(kit: Hospital) -> None:
    platform, own, by = kit.platform, kit.institution.id, LOCAL_ADMINISTRATOR
    kit.store(*study(1, "1.2.89"))
    person = platform.identity.create_person(own, "away@x.example", "Away", Role.CLINICIAN, by=by)
    scope = kit.may(Action.ACCESS_GRANT_SHARE, kit.as_person(person.id, Role.CLINICIAN), Operation.SHARE)
    row = platform.sharing.share(scope, "1.2.89", Wish(ACME, None, "TREAT", Level.HIGH))
    platform.people.change(own, person.id, state="suspended", by=by)
    kit.work()
    assert (now(kit, row).state, now(kit, row).reason) == (ShareState.ENDED, "person-suspended")
    assert now(kit, row).access_grant is None
