"""What happens is told once, to whom it concerns, and shown to whom may still see it."""

from __future__ import annotations

import pytest

from notify_kit import BY, a_ward
from share_kit import ACME, study
from wardlight.access.model import Operation, Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.deletion import Asked
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.events import outbox
from wardlight.events.outbox import EventKind
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.sharing import Wish
from wardlight.notifications.model import Mail

ADMINISTRATOR, CLINICIAN, RESEARCHER, OFFICER = (
    Role.ADMINISTRATOR,
    Role.CLINICIAN,
    Role.RESEARCHER,
    Role.PRIVACY_OFFICER,
)


@pytest.fixture
def ward():
    with a_ward() as built:
        yield built


def arrive(ward, uid="1.2.3.4"):
    ward.store(*study(1, uid), application=IMAGES, level=Level.IDENTIFIED)
    ward.platform.archive.complete(WORKER)


def share(ward, uid="1.2.3.4", **whom):
    scope = ward.may(
        Action.ACCESS_GRANT_SHARE, ward.as_person(ward.people[CLINICIAN].id, CLINICIAN), Operation.SHARE
    )
    wish = {"application": None, "person": None, "level": None, "purpose": "TREAT", "until_ms": None, **whom}
    ward.platform.sharing.share(scope, uid, Wish(**wish))
    ward.work()


def happen(ward, kind, **payload):
    with ward.platform.database.begin(ward.institution.id) as tx:
        outbox.emit(tx, ward.institution.id, kind, payload)
    ward.platform.producer.work()


def test_a_study_is_told_once_to_those_who_see_all_and_gathers(ward):
    arrive(ward)
    assert ward.platform.producer.work() == 2  # Stored, which nobody is told of, and complete.
    assert ward.platform.producer.work() == 0
    assert ward.bell(CLINICIAN) == ward.bell(ADMINISTRATOR) == ["study-available"]
    assert ward.bell(RESEARCHER) == ward.bell(OFFICER) == []
    rows, _ = ward.platform.notifications.page(ward.own(CLINICIAN), None, 10, unread=True)
    assert rows[0].item.release is not None
    arrive(ward, "1.2.3.5")
    ward.platform.producer.work()
    assert ward.shown(CLINICIAN) == [("New studies have arrived", "2 new, complete and ready to be read.")]
    ward.platform.notifications.mark(ward.own(CLINICIAN), None)
    arrive(ward, "1.2.3.6")
    ward.platform.producer.work()
    assert ward.shown(CLINICIAN) == [("New studies have arrived", "1 new, complete and ready to be read.")]


def test_a_copy_for_an_application_is_no_new_study(ward):
    ward.store(*study(1), application=ACME, level=Level.IDENTIFIED)
    ward.platform.archive.complete(WORKER)
    ward.platform.producer.work()
    assert ward.bell(CLINICIAN) == []


def test_nothing_is_lost_or_doubled_where_the_worker_dies(ward, monkeypatch):
    arrive(ward)

    def dies(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("wardlight.notifications.store.beat", dies)
        with pytest.raises(OSError):
            ward.platform.producer.work()
    assert ward.bell(CLINICIAN) == []
    ward.platform.producer.work()
    ward.platform.producer.work()
    assert ward.bell(CLINICIAN) == ["study-available"]


def test_a_share_is_told_to_its_person_and_shown_as_long_as_it_holds(ward):
    arrive(ward)
    share(ward, person=ward.colleague.id)
    ward.platform.producer.work()
    assert ward.bell(RESEARCHER) == ["share-received"]
    grants = ward.platform.grants
    row = next(
        one
        for one in grants.listed(ward.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS))
        if one.person == ward.colleague.id
    )
    grants.revoke(ward.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE), row.id)
    # At once, before anything acts upon it.
    assert ward.bell(RESEARCHER) == []
    ward.platform.producer.work()
    assert ward.bell(RESEARCHER) == ["share-ended"]


def test_who_gave_access_is_told_when_another_ended_it(ward):
    arrive(ward)
    share(ward, application=ACME, level=Level.IDENTIFIED)
    ward.platform.producer.work()
    ward.platform.notifications.mark(ward.own(CLINICIAN), None)
    scope = ward.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    row = ward.platform.grants.listed(scope, application=ACME)[0]
    ward.platform.grants.revoke(ward.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE), row.id)
    ward.platform.producer.work()
    assert ward.bell(CLINICIAN) == ["access-ended"]
    assert ward.shown(CLINICIAN)[0][1].startswith(f"{ACME} can no longer read")


def test_deleting_a_study_takes_out_what_is_about_it_at_once_and_for_good(ward):
    arrive(ward)
    share(ward, person=ward.colleague.id)
    ward.platform.producer.work()
    assert ward.bell(RESEARCHER) == ["share-received"]
    ward.platform.deletion.begin(ward.institution.id, "1.2.3.4", Asked(LOCAL_ADMINISTRATOR))
    assert ward.bell(RESEARCHER) == [] and ward.bell(CLINICIAN) == []
    ward.platform.producer.work()
    assert ward.sql("SELECT count(*) FROM notify_item WHERE release IS NOT NULL") == [(0,)]
    # What waits to be acted upon after the study went tells of nothing either.
    arrive(ward, "1.2.3.9")
    ward.platform.deletion.begin(ward.institution.id, "1.2.3.9", Asked(LOCAL_ADMINISTRATOR))
    ward.platform.producer.work()
    assert "study-available" not in ward.bell(CLINICIAN)


def test_a_deletion_that_is_done_is_told_to_who_deleted_and_to_the_privacy_officer(ward):
    arrive(ward)
    who = Asked(ward.platform.identity.sessions and _actor(ward, ADMINISTRATOR))
    ward.platform.deletion.begin(ward.institution.id, "1.2.3.4", who)
    for _ in range(6):
        ward.platform.deletion_work.work(WORKER)
    ward.platform.producer.work()
    assert ward.bell(OFFICER) == ward.bell(ADMINISTRATOR) == ["deletion-done"]
    assert ward.bell(CLINICIAN) == []


def _actor(ward, role):
    from wardlight.identity.service import actor_of

    return actor_of(ward.as_person(ward.people[role].id, role))


def test_agreements_receivers_webhooks_and_uploads_are_told_to_whom_they_concern(ward):
    ward.platform.agreements.withdraw(ward.institution.id, ACME, by=BY)
    ward.platform.producer.work()
    assert ward.bell(ADMINISTRATOR) == ward.bell(OFFICER) == ["agreement-ended"]
    happen(ward, EventKind.RECEIVER_SILENT, receiver="rc-1", since=1_795_500_000_000)
    assert ward.bell(OFFICER)[0] == "receiver-silent"
    for _ in range(3):
        happen(ward, EventKind.WEBHOOK_DEAD, webhook="ab" * 16, application=ACME)
    assert ward.bell(ADMINISTRATOR)[0] == "webhook-dead" and "webhook-dead" not in ward.bell(OFFICER)
    assert ward.shown(ADMINISTRATOR)[0] == (
        f"Events for {ACME} were given up",
        "3 could not be delivered to its webhook.",
    )
    who = ward.people[CLINICIAN].id
    happen(ward, EventKind.UPLOAD_DONE, upload="cd" * 16, person=who, files=9, refused=2)
    assert ward.bell(CLINICIAN) == ["upload-refused"]
    assert ward.shown(CLINICIAN)[0][1] == "2 of 9 files were refused or held back."
    assert ward.bell(RESEARCHER) == []


def test_who_changed_roles_is_not_shown_what_the_old_one_was_told(ward):
    ward.platform.agreements.withdraw(ward.institution.id, ACME, by=BY)
    ward.platform.producer.work()
    person = ward.people[OFFICER]
    assert ward.bell(OFFICER) == ["agreement-ended"]
    changed = ward.platform.people.change(ward.institution.id, person.id, role=CLINICIAN, by=BY)
    assert ward.bell(changed) == []


def test_nobody_reads_or_marks_what_is_anothers(ward):
    arrive(ward)
    ward.platform.producer.work()
    rows, _ = ward.platform.notifications.page(ward.own(CLINICIAN), None, 10)
    ids = [row.item.id for row in rows]
    assert ward.platform.notifications.mark(ward.own(ADMINISTRATOR), ids) == 0
    assert ward.platform.notifications.mark(ward.own(CLINICIAN), ids) == 1
    assert ward.bell(ADMINISTRATOR) == ["study-available"] and ward.bell(CLINICIAN) == []


def test_pages_go_on_where_the_one_before_ended(ward):
    for _ in range(3):
        ward.platform.agreements.expire()
        happen(ward, EventKind.RECEIVER_SILENT, receiver="rc-1", since=1_795_500_000_000)
    first, _ = ward.platform.notifications.page(ward.own(OFFICER), None, 2, unread=True)
    rest, count = ward.platform.notifications.page(ward.own(OFFICER), first[-1].item.id, 2, unread=True)
    ids = [row.item.id for row in (*first, *rest)]
    assert len(ids) == count == 3 and ids == sorted(ids, reverse=True)


def test_each_chooses_what_the_bell_rings_for(ward):
    ward.prefer(CLINICIAN, "study-available", Mail.NONE, bell=False)
    arrive(ward)
    ward.platform.producer.work()
    assert ward.bell(CLINICIAN) == [] and ward.bell(ADMINISTRATOR) == ["study-available"]
    choices = ward.platform.notifications.choices(ward.own(CLINICIAN)).choices
    assert {one.definition.name for one in choices} == {
        "study-available", "share-received", "share-ended", "access-ended", "upload-refused", "deletion-done",
    }  # fmt: skip
    with pytest.raises(WardlightError, match="not-found"):
        ward.prefer(CLINICIAN, "agreement-changed", Mail.NONE)


def test_a_receiver_that_is_silent_is_told_of_once(ward, monkeypatch):
    from wardlight.notifications import produce

    platform = ward.platform
    with platform.database.begin(ward.institution.id) as tx:
        ward_token(tx, ward, ward.receiver.id, hours=2)
    assert platform.producer.watch() == 1
    assert platform.producer.watch() == 0
    platform.producer.work()
    assert ward.bell(ADMINISTRATOR) == ["receiver-silent"]
    monkeypatch.setattr(produce, "SILENT_MS", 3 * 3_600_000)
    assert platform.producer.watch() == 0


def ward_token(tx, ward, holder, hours):
    from wardlight import clock
    from wardlight.db.ids import uuid7
    from wardlight.identity import store

    at = clock.unix_ms() - hours * 3_600_000
    store.add_token(
        tx,
        {
            "id": uuid7(),
            "hash": holder.encode().ljust(32, b"x"),
            "kind": "receiver",
            "institution": ward.institution.id,
            "holder": holder,
            "scopes": "",
            "created_ms": at,
            "expires_ms": at + 600_000,
        },
    )
