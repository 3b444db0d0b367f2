"""Whom a study may be shared with: as a share itself would answer, and no more of anybody than a choice needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from share_kit import ACME, BETA, Hospital, a_hospital
from wardlight.access.model import Operation, Role, Scope
from wardlight.agreements.model import IMAGES, Level
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.recipients import Recipients


@pytest.fixture
def kit() -> Iterator[Hospital]:
    with a_hospital() as hospital:
        yield hospital


@pytest.fixture
def recipients(kit: Hospital) -> Recipients:
    found: Recipients = kit.platform.api.recipients
    return found


def scope(kit: Hospital, action: Action, id_: str = "", role: Role = Role.CLINICIAN) -> Scope:
    principal = kit.as_person(id_, role) if id_ else None
    return kit.may(action, principal, Operation.SHARE)


def test_applications_with_what_was_agreed_and_asked(kit: Hospital, recipients: Recipients) -> None:
    own, by = kit.institution.id, LOCAL_ADMINISTRATOR
    kit.platform.agreements.amend(own, ACME, {"levels": frozenset({Level.LOW, Level.HIGH})}, by=by)
    kit.platform.entitlements.request(
        ACME,
        purposes=("TREAT",),
        level=Level.MEDIUM,
        regions=("eu",),
        declared_by="Sam",
        document="D",
        by=by,
    )
    found = recipients.applications(scope(kit, Action.AGREEMENT_AGREEMENT_READ), by)
    # ACME asks for less than was agreed; BETA for all of it.
    assert [(one.id, one.purposes, one.levels) for one in found] == [
        (ACME, ("TREAT",), (Level.HIGH,)),
        (BETA, ("HRESCH", "TREAT"), tuple(Level)),
    ]
    assert all(one.access_s > 0 for one in found)


def test_who_would_be_refused_is_not_there(kit: Hospital, recipients: Recipients) -> None:
    own, by = kit.institution.id, LOCAL_ADMINISTRATOR

    def found() -> list[str]:
        asked = scope(kit, Action.AGREEMENT_AGREEMENT_READ)
        return [one.id for one in recipients.applications(asked, by)]

    kit.platform.entitlements.unsubscribe(own, ACME, by=by)
    assert found() == [BETA]
    kit.platform.entitlements.subscribe(own, ACME, by=by)
    kit.platform.agreements.withdraw(own, BETA, by=by)
    assert found() == [ACME]
    kit.platform.applications.suspend(ACME, by=by)
    assert found() == []


def test_colleagues_who_may_see_images(kit: Hospital, recipients: Recipients) -> None:
    own, by = kit.institution.id, LOCAL_ADMINISTRATOR
    identity = kit.platform.identity
    me = identity.create_person(own, "me@x.example", "Me", Role.CLINICIAN, by=by)
    zoe = identity.create_person(own, "z@x.example", "Zoe", Role.CLINICIAN, by=by)
    identity.create_person(own, "p@x.example", "Officer", Role.PRIVACY_OFFICER, by=by)
    elsewhere = identity.create_institution("elsewhere", "Elsewhere", "eu", by=by)
    identity.create_person(elsewhere.id, "e@x.example", "Else", Role.CLINICIAN, by=by)
    asked = scope(kit, Action.IDENTITY_PERSON_READ, me.id)
    names = [one.name for one in recipients.colleagues(asked, by)]
    # Not oneself, nobody who may see no images, nobody of another institution.
    assert {"R", "Zoe"} <= set(names) and not {"Me", "Officer", "Else"} & set(names)
    assert names == sorted(names, key=str.casefold)
    kit.platform.people.change(own, zoe.id, by=by, state="suspended")
    assert "Zoe" not in {one.name for one in recipients.colleagues(asked, by)}
    kit.platform.agreements.withdraw(own, IMAGES, by=by)
    assert recipients.colleagues(asked, by) == []


def test_who_shares_nothing_sees_nobody(kit: Hospital) -> None:
    for role in (Role.RESEARCHER, Role.PRIVACY_OFFICER):
        with pytest.raises(WardlightError, match="forbidden"):
            scope(kit, Action.IDENTITY_PERSON_READ, kit.colleague.id, role)
