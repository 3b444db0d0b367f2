"""Who may do what: every kind of principal, every role, every action, written down as one table."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight.access.model import Operation, Principal, PrincipalKind, Role, TokenScope
from wardlight.access.service import OPERATION, ROLES
from wardlight.agreements.model import IMAGES, Level
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

QUERY, META, READ, STORE = (
    Action.DICOMWEB_STUDY_QUERY,
    Action.DICOMWEB_METADATA_READ,
    Action.DICOMWEB_STUDY_READ,
    Action.DICOMWEB_STUDY_STORE,
)
#: Of the audit trail: what everybody may see of their own actions, and what takes an office.
OWN = {Action.AUDIT_ENTRY_READ, Action.AUDIT_ENTRY_SEARCH}
TRAIL = OWN | {
    Action.AUDIT_PATIENT_SEARCH,
    Action.AUDIT_ENTRY_EXPORT,
    Action.AUDIT_REPORT_CREATE,
    Action.SUBJECT_REPORT_ACCESS,
    Action.AUDIT_LOG_READ,
}
#: What a receiver does for the trail of its institution: hashes and heads, its own entries, its signature.
RECEIVERS_TRAIL = {Action.AUDIT_LOG_READ, Action.AUDIT_ENTRY_STORE, Action.AUDIT_WITNESS_COSIGN}
ALL = frozenset(TokenScope)
ALLOWED = {
    Role.ADMINISTRATOR: {QUERY, META, READ, STORE} | TRAIL,
    Role.CLINICIAN: {QUERY, META, READ, STORE} | OWN,
    Role.PRIVACY_OFFICER: {QUERY, META} | TRAIL,
    # What was shared with them.
    Role.RESEARCHER: {QUERY, META, READ} | OWN,
    Role.OPERATOR: set(),
}


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def institution(platform):
    institution = platform.identity.create_institution("stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR).id
    platform.agreements.create(
        institution, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",), attested_by="Kim Berg",
        by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    return institution


def decide(platform, principal, action):
    try:
        return platform.access.scope_for(principal, action, request="0" * 32, address="192.0.2.1")
    except WardlightError as error:
        assert error.code == "forbidden"
        return error.reason


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("action", [QUERY, META, READ, STORE, *sorted(TRAIL | RECEIVERS_TRAIL)])
def test_people_by_role(platform, institution, role, action):
    principal = Principal(PrincipalKind.PERSON, "u-1", institution, role, ALL)
    decision = decide(platform, principal, action)
    if action in ALLOWED[role]:
        assert decision.institution == institution and decision.action is action
        assert decision.operation is OPERATION[action]
    else:
        assert decision == "role"


def test_every_role_is_in_the_table():
    assert set(ROLES) == set(Role) == set(ALLOWED)


def test_only_the_offices_see_all_of_the_trail(platform, institution):
    scopes = {
        role: decide(
            platform,
            Principal(PrincipalKind.PERSON, "u-1", institution, role, ALL),
            Action.AUDIT_ENTRY_READ,
        )
        for role in Role
    }
    assert {role for role, scope in scopes.items() if role is not Role.OPERATOR and not scope.own_only} == {
        Role.ADMINISTRATOR,
        Role.PRIVACY_OFFICER,
    }


@pytest.mark.parametrize("action", sorted(RECEIVERS_TRAIL))
def test_a_receiver_sends_its_part_of_the_trail(platform, institution, action):
    principal = Principal(PrincipalKind.RECEIVER, "rc-1", institution, None, ALL)
    assert decide(platform, principal, action).operation is OPERATION[action]
    store_only = Principal(
        PrincipalKind.RECEIVER, "rc-1", institution, None, frozenset({TokenScope.RECEIVER_STORE})
    )
    assert decide(platform, store_only, action) == "token-scope"


@pytest.mark.parametrize("action", [a for a in OPERATION if a not in {STORE, *RECEIVERS_TRAIL}])
def test_a_receiver_only_stores(platform, institution, action):
    principal = Principal(PrincipalKind.RECEIVER, "rc-1", institution, None, ALL)
    assert decide(platform, principal, action) == "receiver-stores-only"
    assert platform.access.require_store(principal, request="0" * 32) == institution


@pytest.mark.parametrize("action", list(OPERATION))
@pytest.mark.parametrize("kind", [PrincipalKind.OPERATOR, PrincipalKind.SYSTEM])
def test_operator_and_system_see_no_patient_data(platform, institution, kind, action):
    principal = Principal(kind, "x", institution, Role.ADMINISTRATOR, ALL)
    assert decide(platform, principal, action) == "principal-kind"


@pytest.mark.parametrize("action", list(OPERATION))
def test_an_application_sees_what_was_granted_and_stores_for_it(platform, institution, action):
    principal = Principal(PrincipalKind.APPLICATION, "x", institution, None, ALL, purpose="CLINTRCH")
    decision = decide(platform, principal, action)
    if OPERATION[action] in (Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE, Operation.STORE):
        assert decision.granted and decision.purpose == "CLINTRCH"
    else:
        assert decision == "principal-kind"


@pytest.mark.parametrize("action", list(OPERATION))
def test_a_researcher_does_not_see_by_an_application_what_was_not_shared_with_them(
    platform, institution, action
):
    """Its grants are the application's; those of the researcher are by shares to them."""
    principal = Principal(
        PrincipalKind.APPLICATION, "x", institution, Role.RESEARCHER, ALL, purpose="TREAT", person="u-1"
    )
    assert decide(platform, principal, action) in ("role", "principal-kind")
    clinician = decide(platform, replace(principal, role=Role.CLINICIAN), action)
    if OPERATION[action] in (Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE):
        assert clinician.granted


def test_people_read_for_a_purpose_that_is_agreed(platform, institution):
    principal = Principal(PrincipalKind.PERSON, "u-1", institution, Role.CLINICIAN, ALL)
    scope = platform.access.scope_for(principal, READ, request="0" * 32)
    assert scope.purpose == "TREAT" and scope.agreement and scope.basis == "gdpr:6.1.e+9.2.h"
    with pytest.raises(WardlightError) as refused:
        platform.access.scope_for(principal, READ, request="0" * 32, purpose="TRAIN")
    assert refused.value.reason == "purpose-not-agreed"


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("fd00::7", True), ("10.2.0.1", False),
        ("192.0.2.1", False), ("", False),
    ],
)  # fmt: skip
def test_people_come_from_their_institution(platform, institution, address, inside):
    principal = Principal(
        PrincipalKind.PERSON, "u-1", institution, Role.CLINICIAN, ALL, networks=("10.1.0.0/16", "fd00::/8")
    )
    if inside:
        assert platform.access.scope_for(principal, READ, request="0" * 32, address=address)
    else:
        with pytest.raises(WardlightError) as refused:
            platform.access.scope_for(principal, READ, request="0" * 32, address=address)
        assert refused.value.reason == "network"


def test_an_institution_without_networks_lets_nobody_in(platform, institution):
    nowhere = Principal(PrincipalKind.PERSON, "u-1", institution, Role.CLINICIAN, ALL, networks=())
    assert decide(platform, nowhere, READ) == "network"


def test_presence_is_asked_of_people(platform, institution):
    everything = Principal(PrincipalKind.PERSON, "u-1", institution, Role.ADMINISTRATOR, ALL)
    absent = replace(everything, scopes=ALL - {TokenScope.STEP_UP})
    asked = {"action": Action.ARCHIVE_STUDY_DELETE, "operation": Operation.DELETE, "request": "0" * 32}
    assert platform.access.scope_for(everything, step_up=True, **asked)
    assert platform.access.scope_for(replace(absent, step_up=True), step_up=True, **asked)
    with pytest.raises(WardlightError) as refused:
        platform.access.scope_for(absent, step_up=True, **asked)
    assert refused.value.reason == "step-up"


@pytest.mark.parametrize(
    ("scopes", "action", "allowed"),
    [
        ({TokenScope.IMAGES_READ}, READ, True),
        ({TokenScope.IMAGES_READ}, STORE, False),
        ({TokenScope.IMAGES_STORE}, STORE, True),
        ({TokenScope.IMAGES_STORE}, QUERY, False),
        ({TokenScope.STEP_UP}, QUERY, False),
        ({TokenScope.IMAGES_READ}, Action.AUDIT_ENTRY_READ, False),
        ({TokenScope.AUDIT_READ}, Action.AUDIT_ENTRY_READ, True),
        ({TokenScope.AUDIT_READ}, QUERY, False),
        ({TokenScope.RECEIVER_STORE}, STORE, False),
        (set(), READ, False),
    ],
)
def test_token_scopes_narrow_the_role(platform, institution, scopes, action, allowed):
    principal = Principal(PrincipalKind.PERSON, "u-1", institution, Role.ADMINISTRATOR, frozenset(scopes))
    assert (decide(platform, principal, action) == "token-scope") is not allowed


def test_a_receiver_token_without_its_scope_stores_nothing(platform, institution):
    principal = Principal(PrincipalKind.RECEIVER, "rc-1", institution, None, frozenset())
    assert decide(platform, principal, STORE) == "token-scope"


@pytest.mark.parametrize("action", [a for a in Action if a not in OPERATION][:20])
def test_unknown_actions_are_refused(platform, institution, action):
    principal = Principal(PrincipalKind.PERSON, "u-1", institution, Role.ADMINISTRATOR, ALL)
    assert decide(platform, principal, action) == "unknown-action"


def test_nobody_without_an_institution(platform):
    principal = Principal(PrincipalKind.PERSON, "u-1", None, Role.ADMINISTRATOR, ALL)
    assert decide(platform, principal, READ) == "no-institution"


def test_scopes_contain_what_they_say(platform, institution):
    principal = Principal(PrincipalKind.PERSON, "u-1", institution, Role.ADMINISTRATOR, ALL)
    allowed = {
        action: {op for op in Operation if allows(decide(platform, principal, action), op)}
        for action in (QUERY, META, READ, STORE)
    }
    assert allowed == {
        QUERY: {Operation.SEARCH},
        META: {Operation.SEARCH, Operation.METADATA},
        READ: {Operation.SEARCH, Operation.METADATA, Operation.RETRIEVE},
        STORE: {Operation.STORE},
    }


def allows(scope, operation):
    try:
        scope.require(operation)
    except WardlightError:
        return False
    return True


def test_denials_are_in_the_trail(platform, institution):
    principal = Principal(PrincipalKind.RECEIVER, "rc-77", institution, None, ALL, "ref")
    decide(platform, principal, READ)
    platform.access.deny(None, READ, "unauthenticated", request="1" * 32, address="192.0.2.9", status=401)
    with platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq DESC LIMIT 2")).scalars().all()
    stranger, denied = (json.loads(row) for row in rows)
    assert denied["actor"] == {"kind": "receiver", "id": "rc-77"} and denied["outcome"] == "denied"
    assert denied["reason"] == "receiver-stores-only" and denied["token"] == "ref"
    assert denied["detail"] == {"action": "dicomweb:study:read", "status": 403}
    assert denied["log"].endswith("/stmary/1")
    assert stranger["actor"] == {"kind": "anonymous", "id": "-"}
    assert stranger["log"].endswith("/operator/1") and stranger["network"] == {"address": "192.0.2.9"}
