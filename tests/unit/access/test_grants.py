"""One grant for a release, live while all that it stands on stands; every end is the end of every read (R6.3, R6.4)."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from share_kit import ACME, BETA, a_hospital, ct
from wardlight import clock
from wardlight.access.model import Operation, Rights, Role
from wardlight.agreements.model import Level
from wardlight.archive.deletion import Asked
from wardlight.archive.model import Query
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.events.outbox import Kind
from wardlight.identity.service import LOCAL_ADMINISTRATOR

STUDY = "1.2.826.0.1.88.1"
READ, QUERY, META = Action.DICOMWEB_STUDY_READ, Action.DICOMWEB_STUDY_QUERY, Action.DICOMWEB_METADATA_READ


@pytest.fixture
def kit(stores):
    with a_hospital() as kit:
        yield kit


@contextmanager
def moved(monkeypatch, seconds):
    real = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(clock.time, "time_ns", lambda: real() + int(seconds * 1e9))
        patch.setattr(clock.time, "time", lambda: real() / 1e9 + seconds)
        yield


def granted(kit, application=ACME, study=STUDY, level=Level.HIGH, number="1"):
    """A complete release for an application, as a receiver stores it, and its grant."""
    kit.store(
        ct(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.{number}"),
        application=application,
        level=level,
    )
    kit.archive.complete(WORKER)
    return grants(kit, application)[0]


def grants(kit, application=ACME, **query):
    scope = kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    return kit.platform.grants.listed(scope, application=application, **query)


def reads(kit, application=ACME, study=STUDY, purpose="TREAT"):
    """How many instances the application gets; 0 where there is nothing that it may see."""
    principal = kit.as_application(application, purpose=purpose)
    try:
        found = len(kit.archive.instances(kit.may(READ, principal), study))
    except WardlightError as error:
        assert error.code == "not-found"
        found = 0
    from wardlight.archive.model import Query

    page = kit.archive.search_studies(kit.may(QUERY, principal), Query())
    assert (study in [row["0020000D"]["Value"][0] for row in page.rows]) is bool(found)
    return found


def told(kit, application=ACME):
    with kit.platform.database.read(kit.institution.id) as tx:
        from sqlalchemy import select

        from wardlight.events.tables import feed

        query = select(feed.c.kind).where(feed.c.application == application).order_by(feed.c.seq)
        kinds = list(tx.execute(query).scalars())
    return [kind for kind in kinds if kind != Kind.AGREEMENT_CHANGED.value]


def test_a_complete_release_brings_one_grant_and_one_event(kit):
    grant = granted(kit)
    assert grant.application == ACME and grant.purposes == ("HRESCH", "TREAT")
    assert grant.rights == frozenset(Rights)
    assert reads(kit) == 1 and reads(kit, purpose="HRESCH") == 1
    assert told(kit) == [Kind.STUDY_AVAILABLE.value]
    (entry,) = kit.entries("access:grant:create")
    assert entry["grant"] == grant.id.hex and entry["agreement"] == {"id": grant.agreement[0], "version": 1}
    assert entry["subjects"] and entry["basis"] == "gdpr:6.1.e+9.2.h"


def test_what_is_read_names_its_grant_and_basis(kit):
    grant = granted(kit)
    reads(kit)
    entry = kit.entries("dicomweb:study:read")[0]
    assert entry["grant"] == grant.id.hex and entry["purpose"] == "TREAT"
    assert entry["agreement"]["id"] == grant.agreement[0] and entry["basis"] == "gdpr:6.1.e+9.2.h"


def test_grants_are_shown_for_the_purpose_of_the_token(kit):
    grant = granted(kit)

    def shown(purpose):
        scope = kit.may(Action.ACCESS_GRANT_READ, kit.as_application(ACME, purpose=purpose), Operation.GRANTS)
        found = [row.id for row in kit.platform.grants.listed(scope)]
        try:
            return found, kit.platform.grants.find(scope, grant.id).id
        except WardlightError as error:
            return found, error.code

    assert shown("TREAT") == shown("HRESCH") == ([grant.id], grant.id)
    # Nor is one found by a part of its name, or by a pattern.
    for purpose in ("TRAIN", "TREA", "%", "HRESCH TREAT_"):
        assert shown(purpose) == ([], "not-found")


def test_searches_name_what_they_rest_on(kit):
    grant = granted(kit)

    def search(principal=None):
        scope = kit.may(Action.DICOMWEB_STUDY_QUERY, principal)
        kit.archive.search_studies(scope, Query())
        return kit.entries("dicomweb:study:query")[-1]

    entry = search()
    assert entry["purpose"] == "TREAT" and entry["basis"] == "gdpr:6.1.e+9.2.h" and entry["agreement"]["id"]
    user = replace(kit.as_application(ACME), person=kit.colleague.id, role=Role.CLINICIAN)
    entry = search(user)
    assert entry["grant"] == grant.id.hex and entry["behalf"]["id"] == kit.colleague.id
    # What is shared with a colleague is for whatever the share says, which is not treatment because nobody said so.
    assert "purpose" not in search(kit.as_person(kit.colleague.id, Role.RESEARCHER))
    kit.platform.grants.listed(kit.may(Action.ACCESS_GRANT_READ, user, Operation.GRANTS))
    assert kit.entries("access:grant:read")[-1]["behalf"]["id"] == kit.colleague.id


def test_nothing_before_completion_and_late_instances_with_the_next(kit):
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    kit.store(ct(**uids, SOPInstanceUID=f"{STUDY}.1.1"), application=ACME, level=Level.HIGH)
    assert reads(kit) == 0
    kit.archive.complete(WORKER)
    kit.store(ct(**uids, SOPInstanceUID=f"{STUDY}.1.2"), application=ACME, level=Level.HIGH)
    assert reads(kit) == 1
    kit.archive.complete(WORKER)
    assert reads(kit) == 2 and len(grants(kit)) == 1
    assert told(kit) == [Kind.STUDY_AVAILABLE.value, Kind.STUDY_CHANGED.value]


def test_another_application_sees_nothing_of_it(kit):
    granted(kit)
    assert reads(kit, BETA) == 0
    granted(kit, BETA, f"{STUDY}.9")
    assert reads(kit, BETA, f"{STUDY}.9") == 1 and reads(kit, BETA) == 0
    assert reads(kit, ACME, f"{STUDY}.9") == 0


def test_a_purpose_that_was_not_granted_shows_nothing(kit):
    granted(kit)
    assert reads(kit, purpose="TRAIN") == 0
    # No code is found inside another, nor by a pattern.
    assert reads(kit, purpose="REAT") == 0 and reads(kit, purpose="%") == 0


def revoked(kit, grant):
    scope = kit.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE)
    kit.platform.grants.revoke(scope, grant.id)


def withdrawn(kit, grant):
    kit.platform.agreements.withdraw(kit.institution.id, ACME, by=LOCAL_ADMINISTRATOR)


def unsubscribed(kit, grant):
    kit.platform.entitlements.unsubscribe(kit.institution.id, ACME, by=LOCAL_ADMINISTRATOR)


def suspended(kit, grant):
    kit.platform.applications.suspend(ACME, by=LOCAL_ADMINISTRATOR)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (revoked, "revoked"), (withdrawn, "agreement-withdrawn"), (unsubscribed, "not-subscribed"),
        (suspended, "application-suspended"),
    ],
)  # fmt: skip
def test_every_end_is_at_once_and_told(kit, end, reason):
    grant = granted(kit)
    assert reads(kit) == 1
    end(kit, grant)
    assert reads(kit) == 0
    kit.platform.grants.end_lost()
    (over,) = grants(kit, ended=True)
    assert over.ended_ms and over.ended_reason == reason
    assert told(kit)[-1] == Kind.ACCESS_REVOKED.value
    assert kit.entries("access:grant:revoke")[-1]["reason"] == reason
    # Ended once, and told once.
    assert kit.platform.grants.end_lost() == 0


def test_what_ended_does_not_come_back_with_its_basis(kit):
    granted(kit)
    unsubscribed(kit, None)
    kit.platform.entitlements.subscribe(kit.institution.id, ACME, by=LOCAL_ADMINISTRATOR)
    assert reads(kit) == 0
    kit.platform.grants.end_lost()
    assert grants(kit) == []


def test_time_ends_it(kit, monkeypatch):
    grant = granted(kit)
    left = (grant.expires_ms - clock.unix_ms()) / 1000
    with moved(monkeypatch, left - 5):
        assert reads(kit) == 1
    with moved(monkeypatch, left + 1):
        assert reads(kit) == 0
        assert kit.platform.grants.end_lost() == 1
    assert kit.entries("access:grant:expire")[-1]["reason"] == "grant-expired"


def test_without_agreement_or_entitlement_there_is_no_grant_and_the_trail_says_why(kit):
    kit.store(ct(StudyInstanceUID=STUDY), application="zeta_none_prod", level=Level.HIGH)
    unsubscribed(kit, None)
    kit.store(ct(StudyInstanceUID=STUDY), application=ACME, level=Level.HIGH)
    kit.archive.complete(WORKER)
    assert grants(kit) == [] and told(kit) == []
    reasons = {
        entry["detail"]["application"]: entry["reason"] for entry in kit.entries("access:grant:create")
    }
    assert reasons == {"zeta_none_prod": "no-agreement", ACME: "not-subscribed"}


def test_a_clinician_ends_only_what_they_shared(kit):
    grant = granted(kit)
    clinician = kit.as_person("u-clin", Role.CLINICIAN)
    scope = kit.may(Action.ACCESS_GRANT_REVOKE, clinician, Operation.REVOKE)
    with pytest.raises(WardlightError) as refused:
        kit.platform.grants.revoke(scope, grant.id)
    assert refused.value.code == "forbidden" and reads(kit) == 1


def test_applications_are_shown_their_own_live_grants_only(kit):
    grant = granted(kit)
    for application, found in ((ACME, [grant.id]), (BETA, [])):
        scope = kit.may(Action.ACCESS_GRANT_READ, kit.as_application(application), Operation.GRANTS)
        assert [row.id for row in kit.platform.grants.listed(scope, application=ACME, ended=True)] == found
        if not found:
            with pytest.raises(WardlightError):
                kit.platform.grants.find(scope, grant.id)


def test_nothing_is_granted_ended_or_shown_without_its_entry(kit, monkeypatch):
    grant = granted(kit)
    uids = {"StudyInstanceUID": f"{STUDY}.5", "SeriesInstanceUID": f"{STUDY}.5.1"}
    kit.store(ct(**uids), application=ACME, level=Level.HIGH)

    def unwritable(*_):
        raise WardlightError("unavailable")

    scope = kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    with monkeypatch.context() as patch:
        patch.setattr(kit.platform.recorder, "write", unwritable)
        for work in (
            lambda: revoked(kit, grant),
            lambda: kit.platform.grants.listed(scope),
            lambda: kit.platform.grants.find(scope, grant.id),
        ):
            with pytest.raises(WardlightError) as refused:
                work()
            assert refused.value.code == "unavailable"
        kit.archive.complete(WORKER)
    assert [row.id for row in grants(kit, ended=True)] == [grant.id] and reads(kit) == 1
    kit.archive._completion._waiting.clear()
    kit.archive.complete(WORKER)
    assert len(grants(kit)) == 2


def not_seen(kit, purpose="TREAT"):
    """The reason that only the trail may hold: the answer says nothing."""
    scope = kit.may(READ, kit.as_application(ACME, purpose=purpose))
    with pytest.raises(WardlightError) as refused:
        kit.archive.instances(scope, STUDY)
    assert (refused.value.code, refused.value.reason) == ("not-found", "")
    return refused.value.told


def test_why_nothing_is_seen_is_for_the_trail_alone(kit, monkeypatch):
    assert not_seen(kit) == "no-grant"
    grant = granted(kit)
    assert not_seen(kit, "TRAIN") == "purpose-not-agreed"
    with moved(monkeypatch, (grant.expires_ms - clock.unix_ms()) / 1000 + 1):
        assert not_seen(kit) == "grant-expired"
    unsubscribed(kit, grant)
    assert not_seen(kit) == "not-subscribed"
    withdrawn(kit, grant)
    assert not_seen(kit) == "agreement-withdrawn"
    revoked(kit, grant)
    assert not_seen(kit) == "revoked"
    kit.platform.deletion.begin(kit.institution.id, STUDY, Asked(LOCAL_ADMINISTRATOR))
    assert not_seen(kit) == "study-deleted"


def test_the_institutions_own_people_are_told_why(kit):
    granted(kit)
    scope = kit.may(READ, kit.as_person("u-r", Role.RESEARCHER))
    with pytest.raises(WardlightError) as refused:
        kit.archive.instances(scope, STUDY)
    assert (refused.value.code, refused.value.reason) == ("not-found", "no-grant")
