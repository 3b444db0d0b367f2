"""Applications tell people what they registered, where they are subscribed to, and no more than that."""

from __future__ import annotations

import pytest

from notify_kit import BY, a_ward
from share_kit import ACME, BETA, study
from wardlight.access.model import Operation, Role
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.notifications import definitions
from wardlight.notifications.model import Channel, Permission

CLINICIAN, RESEARCHER, OFFICER = Role.CLINICIAN, Role.RESEARCHER, Role.PRIVACY_OFFICER


@pytest.fixture
def ward():
    with a_ward() as built:
        yield built


def test_a_message_reaches_those_who_may_be_told_in_their_words(ward):
    ward.define(permission=Permission.RIGHTS)
    ward.send()
    name = ward.institution.name
    told = (f"{ACME} found something", f"2 results of 24 Nov 2026, 08:00 UTC wait at {name}.")
    assert ward.shown(OFFICER) == ward.shown(Role.ADMINISTRATOR) == [told]
    assert ward.bell(CLINICIAN) == ward.bell(RESEARCHER) == []


def test_another_text_is_another_version_and_what_was_told_keeps_its_own(ward):
    assert ward.define().version == 1
    assert ward.define().version == 1
    ward.send()
    assert ward.define(title="Other").version == 2
    ward.send()
    assert [title for title, _ in ward.shown(CLINICIAN)] == ["Other", f"{ACME} found something"]
    ward.platform.definitions.retire(ward.application(Action.NOTIFY_DEFINITION_CHANGE), "result-ready")
    with pytest.raises(WardlightError, match="not-found"):
        ward.send()
    assert len(ward.shown(CLINICIAN)) == 2
    assert ward.platform.definitions.listed(ward.application(Action.NOTIFY_DEFINITION_READ)) == []
    assert ward.define(title="Other").version == 3


def test_no_application_has_anothers(ward):
    ward.define()
    theirs = ward.application(Action.NOTIFY_DEFINITION_CHANGE, BETA)
    assert ward.platform.definitions.listed(theirs) == []
    for act in (
        lambda: ward.platform.definitions.retire(theirs, "result-ready"),
        lambda: ward.platform.definitions.send(theirs, "result-ready", {}),
    ):
        with pytest.raises(WardlightError, match="not-found"):
            act()


def test_without_subscription_nothing_is_told_nor_shown_any_more(ward):
    ward.define()
    ward.send()
    ward.platform.entitlements.unsubscribe(ward.institution.id, ACME, by=BY)
    assert ward.bell(CLINICIAN) == []
    assert ACME not in {
        one.definition.application for one in ward.platform.notifications.choices(ward.own(CLINICIAN)).choices
    }
    with pytest.raises(WardlightError, match="forbidden"):
        ward.send()


def test_a_licence_must_be_one_that_the_application_has(ward):
    assert ward.define("research", licence="HRESCH").licence == "HRESCH"
    with pytest.raises(WardlightError, match="forbidden"):
        ward.define("marketing", licence="HMARKT")


def test_what_is_about_a_study_is_told_to_who_may_see_it_while_the_grant_lives(ward):
    ward.store(*study(1), application=ACME, level=Level.IDENTIFIED)
    ward.platform.archive.complete(WORKER)
    scope = ward.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    grant = ward.platform.grants.listed(scope, application=ACME)[0].id
    ward.define()
    ward.send(grant=grant)
    assert ward.bell(CLINICIAN) == ["result-ready"]
    assert ward.bell(RESEARCHER) == []
    with pytest.raises(WardlightError, match="not-found"):
        ward.platform.definitions.send(ward.application(application=BETA), "result-ready", {}, grant)
    ward.platform.grants.revoke(ward.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE), grant)
    with pytest.raises(WardlightError, match="not-found"):
        ward.send(grant=grant)


def test_only_these_people_and_only_by_these_channels(ward):
    ward.define("named", channels=frozenset({Channel.MAIL}))
    ward.send("named")
    assert ward.bell(CLINICIAN) == []
    ward.define()
    ward.send(people=[ward.people[CLINICIAN].id, "u-unknown"])
    assert ward.bell(CLINICIAN) == ["result-ready"] and ward.bell(Role.ADMINISTRATOR) == []
    with pytest.raises(WardlightError, match="bad-request"):
        ward.send(people=["u"] * 501)


def test_messages_and_definitions_are_limited(ward, monkeypatch):
    monkeypatch.setattr(definitions, "_MESSAGES", 2)
    monkeypatch.setattr(definitions, "MOST", 2)
    ward.define()
    ward.define("other")
    with pytest.raises(WardlightError, match="conflict"):
        ward.define("third")
    ward.send()
    ward.send()
    with pytest.raises(WardlightError, match="rate-limited"):
        ward.send()
