"""People and institutions: how they come, change and go, and what that ends, on both databases."""

import json
import secrets
import uuid

import pytest
from sqlalchemy import text

from people_kit import BY, PASSWORD, Clock, cheap_passwords, code
from platform_kit import a_platform
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.institutions import checked_networks, is_within
from wardlight.identity.model import OPERATORS, PrincipalKind, Role, TokenScope
from wardlight.identity.sign_in import Attempt


@pytest.fixture(scope="module")
def platform(stores):
    with cheap_passwords(), a_platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def institution(platform):
    return platform.identity.create_institution("stmary", "St Mary", "eu", by=BY)


@pytest.fixture
def here():
    """In a network of its own: what one test uses up is not another's."""
    return Attempt(f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.7")


@pytest.fixture
def login():
    return f"{uuid.uuid4().hex[:8]}@ward.example"


@pytest.fixture
def moved(monkeypatch):
    return Clock(monkeypatch)


def altered(token):
    """Another token, whatever this one is."""
    return token[:-5] + ("B" if token[-5] == "A" else "A") + token[-4:]


def refused(error_code, call, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == error_code
    return error.value


def made(platform, institution, login, role=Role.CLINICIAN):
    person = platform.identity.create_person(institution.id, login, "N", role, by=BY)
    platform.sign_in.give_password(person, PASSWORD, by=BY)
    return person, platform.factors.give_totp(person, by=BY)


def entries(platform, action, person=None):
    with platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
        found = [json.loads(bytes(row)) for row in rows]
    return [
        one
        for one in found
        if one["action"] == action and (not person or one.get("object", {}).get("id") == person.id)
    ]


def test_an_invitation_is_good_once_and_for_72_hours(platform, institution, login, moved, here):
    person, token = platform.people.invite(institution.id, login, "Robin Hale", Role.CLINICIAN, by=BY)
    assert person.state == "invited"
    # Nobody acts who has not come yet.
    early = platform.identity.issue_person_token(person, by=BY)
    assert platform.identity.authenticate(early) is None
    refused("bad-request", platform.sign_in.follow_link, token, "short", here)
    refused("sign-in-failed", platform.sign_in.follow_link, altered(token), PASSWORD, here)
    opened = platform.sign_in.follow_link(token, PASSWORD, here)
    principal = platform.identity.authenticate_session(opened.cookie)
    assert (principal.id, principal.scopes) == (person.id, frozenset())
    refused("sign-in-failed", platform.sign_in.follow_link, token, PASSWORD, here)
    late, token = platform.people.invite(institution.id, f"x{login}", "Lee", Role.CLINICIAN, by=BY)
    moved.move(72 * 3600 + 1)
    refused("sign-in-failed", platform.sign_in.follow_link, token, PASSWORD, here)
    token = platform.people.new_link(late, by=BY)
    assert platform.sign_in.follow_link(token, PASSWORD, here)
    assert len(entries(platform, "identity:person:invite", late)) == 2


def test_a_way_back_in_lasts_15_minutes_and_does_not_pass_the_second_factor(
    platform, institution, login, moved, here
):
    person, secret = made(platform, institution, login)
    before = platform.sign_in.by_password(login, PASSWORD, code(secret, -1), here)
    first, second = (platform.people.new_link(person, by=BY) for _ in range(2))
    new = "quartz lantern 77 sea"
    refused("sign-in-failed", platform.sign_in.follow_link, first, new, here)
    assert platform.sign_in.follow_link(second, new, here) is None
    assert platform.identity.authenticate_session(before.cookie) is None
    refused("sign-in-failed", platform.sign_in.by_password, login, new, "", here)
    assert platform.sign_in.by_password(login, new, code(secret), here)
    token = platform.people.new_link(person, by=BY)
    moved.move(15 * 60 + 1)
    refused("sign-in-failed", platform.sign_in.follow_link, token, PASSWORD, here)
    assert len(entries(platform, "identity:password:reset", person)) == 3


def test_who_is_suspended_is_out_at_once_and_comes_back_when_resumed(platform, institution, login, here):
    person, secret = made(platform, institution, login)
    session = platform.sign_in.by_password(login, PASSWORD, code(secret, -1), here).cookie
    token = platform.identity.issue_person_token(person, by=BY)
    assert platform.identity.authenticate(token) and platform.identity.authenticate_session(session)
    platform.people.change(institution.id, person.id, state="suspended", by=BY)
    assert platform.identity.authenticate(token) is None
    assert platform.identity.authenticate_session(session) is None
    refused("sign-in-failed", platform.sign_in.by_password, login, PASSWORD, code(secret), here)
    refused("conflict", platform.people.new_link, platform.identity.person(institution.id, login), by=BY)
    (entry,) = entries(platform, "identity:person:suspend", person)
    assert entry["change"] == [{"path": "state", "before": "active", "after": "suspended"}]
    platform.people.change(institution.id, person.id, state="active", by=BY)
    # What was ended stays so.
    assert platform.identity.authenticate(token) is None
    assert platform.identity.authenticate_session(session) is None
    assert platform.sign_in.by_password(login, PASSWORD, code(secret, 1), here)


def test_a_link_ends_with_the_suspension_of_its_person(platform, institution, login, here):
    """Whoever holds it would choose the password with which the account is resumed."""
    person, _ = made(platform, institution, login)
    link = platform.people.new_link(person, by=BY)
    platform.people.change(institution.id, person.id, by=BY, state="suspended")
    refused("sign-in-failed", platform.sign_in.follow_link, link, "another horizon 42 tin", here)


def test_a_role_holds_from_the_next_request(platform, institution, login, here):
    person, secret = made(platform, institution, login, Role.ADMINISTRATOR)
    made(platform, institution, f"second.{login}", Role.ADMINISTRATOR)
    session = platform.sign_in.by_password(login, PASSWORD, code(secret), here).cookie
    platform.people.change(institution.id, person.id, role=Role.RESEARCHER, by=BY)
    assert platform.identity.authenticate_session(session).role is Role.RESEARCHER
    (entry,) = entries(platform, "identity:person:role", person)
    assert entry["change"] == [{"path": "role", "before": "administrator", "after": "researcher"}]


def test_the_last_administrator_stays_one(platform, login):
    tenant = platform.identity.create_institution(f"i{uuid.uuid4().hex[:8]}", "I", "eu", by=BY)
    person, _ = made(platform, tenant, login, Role.ADMINISTRATOR)
    for change in ({"role": Role.CLINICIAN}, {"state": "suspended"}):
        error = refused("conflict", platform.people.change, tenant.id, person.id, **change, by=BY)
        assert error.reason == "last-administrator"
    refused("conflict", platform.people.delete, tenant.id, person.id, by=BY)
    made(platform, tenant, f"b.{login}", Role.ADMINISTRATOR)
    platform.people.delete(tenant.id, person.id, by=BY)


def test_an_erased_account_leaves_its_id_in_the_trail_and_nothing_else(platform, institution, login, here):
    person, secret = made(platform, institution, login)
    session = platform.sign_in.by_password(login, PASSWORD, code(secret), here).cookie
    platform.people.new_link(person, by=BY)
    platform.people.delete(institution.id, person.id, by=BY)
    assert platform.identity.authenticate_session(session) is None
    refused("not-found", platform.identity.person, institution.id, login)
    refused("sign-in-failed", platform.sign_in.by_password, login, PASSWORD, code(secret, 1), here)
    with platform.database.read(EVERYWHERE) as tx:
        for table in (
            "person_password",
            "person_factor",
            "person_recovery_code",
            "person_session",
            "person_link",
        ):
            found = tx.execute(text(f"SELECT count(*) FROM {table} Where person = '{person.id}'")).scalar()
            assert found == 0, table
    (entry,) = entries(platform, "identity:person:delete", person)
    assert login not in json.dumps(entry)


def test_a_new_name_is_committed_to_and_not_told(platform, institution, login):
    person, _ = made(platform, institution, login)
    changed = platform.people.change(institution.id, person.id, name="Zoë Quill", by=BY)
    assert changed.name == "Zoë Quill"
    (entry,) = entries(platform, "identity:person:change", person)
    assert len(entry["detail"]["name"]) == 43 and "Quill" not in json.dumps(entry)


def test_people_of_another_institution_are_not_there(platform, institution, login):
    other = platform.identity.create_institution(f"i{uuid.uuid4().hex[:8]}", "I", "eu", by=BY)
    person, _ = made(platform, institution, login)
    refused("not-found", platform.people.person, other.id, person.id, by=BY)
    refused("not-found", platform.people.change, other.id, person.id, role=Role.RESEARCHER, by=BY)
    refused("not-found", platform.people.delete, other.id, person.id, by=BY)
    assert platform.identity.sessions.end(other.id, person.id, by=BY) == 0


def test_factors_are_reset_for_somebody_who_lost_theirs(platform, institution, login, here):
    person, secret = made(platform, institution, login)
    session = platform.sign_in.by_password(login, PASSWORD, code(secret), here).cookie
    platform.factors.reset(person, by=BY)
    assert platform.identity.authenticate_session(session) is None
    opened = platform.sign_in.by_password(login, PASSWORD, "", here)
    assert platform.identity.authenticate_session(opened.cookie).scopes == frozenset()


@pytest.mark.parametrize(("state", "verb"), [("suspended", "suspend"), ("closed", "close")])
def test_an_institution_that_is_suspended_or_closed_is_out(platform, login, state, verb, here):
    tenant = platform.identity.create_institution(f"i{uuid.uuid4().hex[:8]}", "I", "eu", by=BY)
    person, secret = made(platform, tenant, login)
    session = platform.sign_in.by_password(login, PASSWORD, code(secret, -1), here).cookie
    token = platform.identity.issue_person_token(person, by=BY)
    changed = platform.identity.set_state(tenant, state, by=BY)
    assert platform.identity.authenticate(token) is None
    assert platform.identity.authenticate_session(session) is None
    refused("sign-in-failed", platform.sign_in.by_password, login, PASSWORD, code(secret), here)
    action = f"platform:institution:{verb}"
    logs = [one["log"] for one in entries(platform, action) if one["object"]["id"] == str(tenant.id)]
    assert len(set(logs)) == 2
    if state == "closed":
        refused("conflict", platform.identity.set_state, changed, "active", by=BY)
    else:
        platform.identity.set_state(changed, "active", by=BY)
        assert platform.identity.authenticate_session(session)


def test_networks_bind_people_from_the_next_request(platform, login):
    tenant = platform.identity.create_institution(
        f"i{uuid.uuid4().hex[:8]}", "I", "eu", ("192.0.2.0/24", "2001:db8::/48"), by=BY
    )
    person, secret = made(platform, tenant, login)
    here, outside = Attempt("192.0.2.7"), Attempt("198.51.100.7")
    refused("sign-in-failed", platform.sign_in.by_password, login, PASSWORD, code(secret, -1), outside)
    (entry,) = [one for one in entries(platform, "identity:session:login", person) if one.get("reason")]
    assert entry["reason"] == "network"
    session = platform.sign_in.by_password(login, PASSWORD, code(secret), here).cookie
    assert platform.identity.authenticate_session(session).networks == ("192.0.2.0/24", "2001:db8::/48")
    platform.identity.change_institution(tenant, networks=("203.0.113.0/24",), by=BY)
    assert platform.identity.authenticate_session(session).networks == ("203.0.113.0/24",)
    token = platform.identity.issue_person_token(person, by=BY)
    assert platform.identity.authenticate(token).networks == ("203.0.113.0/24",)
    (entry,) = [
        one for one in entries(platform, "platform:institution:change") if one["log"].endswith("operator/1")
    ][-1:]
    assert entry["change"][0]["after"] == "203.0.113.0/24"


@pytest.mark.parametrize(
    ("networks", "problem"),
    [((), "1 to 64"), (("a",), "CIDR"), (("192.0.2.1/24",), "CIDR"), (("10.0.0.0/8",) * 65, "1 to 64")],
)
def test_networks_are_cidrs(networks, problem):
    with pytest.raises(WardlightError, match=problem):
        checked_networks(networks)


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("192.0.2.7", ("192.0.2.0/24",), True),
        ("192.0.3.7", ("192.0.2.0/24",), False),
        ("::ffff:192.0.2.7", ("192.0.2.0/24",), True),
        ("2001:db8::1", ("192.0.2.0/24",), False),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("", ("192.0.2.0/24",), False),
        ("", ("0.0.0.0/0", "::/0"), True),
        ("192.0.2.7", (), False),
    ],
)
def test_an_address_is_within_or_not(address, networks, within):
    assert is_within(address, networks) is within


def test_operators_belong_to_no_institution(platform, login, here):
    operators = platform.identity.institution("operator")
    assert operators.id == OPERATORS
    assert OPERATORS not in [row.id for row in platform.identity.institutions()]
    platform.identity.ensure_operator()
    person, secret = made(platform, operators, login, Role.OPERATOR)
    opened = platform.sign_in.by_password(login, PASSWORD, code(secret), here)
    for principal in (
        platform.identity.authenticate_session(opened.cookie),
        platform.identity.authenticate(platform.identity.issue_person_token(person, by=BY)),
    ):
        assert (principal.kind, principal.institution) == (PrincipalKind.OPERATOR, None)
        assert principal.scopes == {TokenScope.PLATFORM}
    refused(
        "bad-request", platform.identity.issue_person_token, person, by=BY, scopes=[TokenScope.IMAGES_READ]
    )
    refused("bad-request", platform.identity.set_state, operators, "suspended", by=BY)
    assert {
        one["log"].rpartition("/audit/")[2] for one in entries(platform, "identity:factor:add", person)
    } == {"operator/1"}
    platform.people.delete(OPERATORS, person.id, by=BY)


def test_secrets_are_nowhere_in_clear(platform, institution, login, here):
    """What a thief of the database has: no secret of an authenticator, no code, no password, no cookie."""
    _, secret = made(platform, institution, login)
    opened = platform.sign_in.by_password(login, PASSWORD, code(secret), here)
    principal = platform.identity.authenticate_session(opened.cookie)
    codes = platform.factors.new_codes(principal, by=BY)
    with platform.database.read(EVERYWHERE) as tx:
        kept = b"".join(
            bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
            for table in (
                "person_password",
                "person_factor",
                "person_recovery_code",
                "person_session",
                "sign_in_name",
            )
            for row in tx.execute(text(f"SELECT * FROM {table}"))
            for value in row
        )
    for hidden in (secret, PASSWORD.encode(), opened.cookie.encode(), *(one.encode() for one in codes)):
        assert hidden not in kept
