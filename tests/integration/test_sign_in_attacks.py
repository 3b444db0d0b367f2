"""Security tests 16, 17 and the people's part of 26: fixation, forgery, guessing, and operators who look for data."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from authenticator import Authenticator
from people_kit import BY, ORIGIN, PASSWORD, Clock, a_site, code
from wardlight.identity import passwords
from wardlight.identity.model import Role, TokenScope
from wardlight.identity.sessions import csrf_token
from wardlight.identity.sign_in import NETWORK_ATTEMPTS
from wardlight.identity.tokens import TokenKind, new_token

SESSION = "/api/v1/session"
PEOPLE = "/api/v1/people"


@pytest.fixture(scope="module")
def site():
    with a_site() as site:
        yield site


@pytest.fixture
def moved(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def login():
    return f"{uuid.uuid4().hex[:8]}@ward.example"


@pytest.fixture(scope="module")
def administrator(site):
    """A browser in which an administrator is signed in."""
    login = f"{uuid.uuid4().hex[:8]}@ward.example"
    _, secret = site.person(login, Role.ADMINISTRATOR)
    browser = site.browser()
    assert browser.sign_in(login, code=code(secret)).status_code == 200
    return browser


# 16: fixation


def test_a_session_that_was_planted_never_becomes_somebodys(site, login):
    _, secret = site.person(login)
    _, attackers = site.person(f"a.{login}")
    attacker, victim = site.browser(), site.browser()
    attacker.sign_in(f"a.{login}", code=code(attackers))
    for step, planted in enumerate((attacker.cookie, new_token(TokenKind.SESSION))):
        victim.client.cookies.clear()
        victim.client.cookies.set("__Host-wl", planted, domain="ward.example", path="/")
        assert victim.sign_in(login, code=code(secret, step)).status_code == 200
        secret_now = victim.cookie
        assert secret_now not in ("", planted)
        thief = site.browser()
        thief.client.cookies.set("__Host-wl", planted, domain="ward.example", path="/")
        assert thief.get(SESSION).status_code == 401


# 16: forged requests


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": None, "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "null", "Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": None}, 401),
        ({"Origin": "null"}, 401),
        ({"Origin": "https://evil.example"}, 401),
        ({"Origin": "https://ward.example.evil.example"}, 401),
        ({"Origin": "http://ward.example"}, 401),
        ({"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"}, 401),
        ({"Origin": None, "Sec_Fetch_Site": "same-site"}, 401),
        ({"Origin": None, "Sec_Fetch_Site": "none"}, 401),
        ({"Sec_Fetch_Site": "cross-site"}, 401),
        ({"X_CSRF": None}, 401),
        ({"X_CSRF": ""}, 401),
        pytest.param({"X_CSRF": csrf_token(new_token(TokenKind.SESSION))}, 401, id="of another session"),
        ({"X_CSRF": "é".encode()}, 401),
    ],
    ids=str,
)
def test_what_changes_something_needs_origin_and_token(administrator, headers, status):
    target = f"{PEOPLE}/{administrator.get(SESSION).json()['id']}/sessions"
    # Another person's page of sessions would do; an unknown person shows as well whether the request was let in.
    target = target.replace("u-", "u-0")
    answer = administrator.send("DELETE", target, **headers)
    assert answer.status_code == (404 if status == 200 else status), answer.text


def test_a_forged_sign_in_opens_no_session(site, login):
    """Else a victim would work in the attacker's account, who reads it afterwards."""
    _, secret = site.person(login)
    browser = site.browser()
    given = {"login": login, "password": PASSWORD, "code": code(secret)}
    for headers in ({"Origin": None}, {"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert browser.post(SESSION, given, **headers).status_code == 403
        assert browser.post(f"{SESSION}/passkey", {"passkey": {}}, **headers).status_code == 403
        assert browser.post(f"{SESSION}/link", {"token": "x", "password": "x"}, **headers).status_code == 403
    form = browser.client.post("/signin", data=given, headers={"Origin": "https://evil.example"})
    assert form.status_code == 403
    # What a form of another site can send without asking is no JSON.
    plain = browser.client.post(
        SESSION, content=json.dumps(given), headers={"Content-Type": "text/plain", "Origin": ORIGIN}
    )
    assert plain.status_code == 415
    assert browser.cookie == ""


def test_a_session_is_no_bearer_token_and_a_token_is_no_session(site, administrator, login):
    person, _ = site.person(login, Role.ADMINISTRATOR)
    token = site.platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.MANAGE,))
    browser = site.browser()
    assert browser.send("GET", PEOPLE, Authorization=f"Bearer {administrator.cookie}").status_code == 401
    assert browser.send("GET", PEOPLE, Authorization=f"Bearer {token}").status_code == 200
    browser.client.cookies.set("__Host-wl", token, domain="ward.example", path="/")
    assert browser.get(PEOPLE).status_code == 401
    # Who sends a token is not helped by the cookie of somebody else.
    assert administrator.send("GET", PEOPLE, Authorization="Bearer x").status_code == 401
    assert administrator.send("GET", PEOPLE, Authorization=f"Bearer {token}", X_CSRF=None).status_code == 200


# 16: cookies over plain http


def test_a_cookie_of_tls_is_worth_nothing_over_plain_http(site, administrator):
    plain = site.browser(origin="http://ward.example")
    for name in ("__Host-wl", "wl"):
        plain.client.cookies.set(name, administrator.cookie, domain="ward.example", path="/")
        if name == "__Host-wl":
            assert plain.get(PEOPLE).status_code == 401
    # And that of the demo's plain http is nothing over TLS.
    over_tls = site.browser()
    over_tls.client.cookies.set("wl", administrator.cookie, domain="ward.example", path="/")
    assert over_tls.get(PEOPLE).status_code == 401


# 17: guessing


def _guesses(site, moved, login, count, step_s):
    """So many guesses from as many networks; how many of them were looked at."""
    looked = 0
    browser = site.browser()
    for number in range(count):
        moved.move(step_s)
        browser.client._transport.client = (
            f"{11 + number // 65536}.{number // 256 % 256}.{number % 256}.9",
            4,
        )
        answer = browser.sign_in(login, "wrong password 123", "000000")
        looked += answer.status_code == 401
        assert answer.status_code in (401, 429)
        assert answer.status_code == 401 or int(answer.headers["retry-after"]) > 0
    return looked


def _attack(site, moved, login, count):
    _, secret = site.person(login)
    person = site.platform.identity.person(site.institution.id, login)
    own = site.browser()
    own.sign_in(login, code=code(secret))
    device = Authenticator(ORIGIN)
    made = device.create(own.post(f"{SESSION}/factors/passkey-options").json())
    own.post(f"{SESSION}/factors/passkey", {"passkey": made, "name": "key"})
    # 5 at once, some while the delay doubles, and then one in 15 minutes: 10,000 in two hours are hardly any.
    looked = _guesses(site, moved, login, count, 7200 / count)
    assert 5 + 10 <= looked <= 5 + 10 + 8 + 2
    victim = site.browser()
    # The right password waits, too, and says no more than a wrong one.
    assert victim.sign_in(login, code=code(secret)).status_code == 429
    options = victim.post(f"{SESSION}/passkey-options").json()
    assert victim.post(f"{SESSION}/passkey", {"passkey": device.get(options)}).json()["id"] == person.id
    assert [one for one in site.entries("identity:account:lock") if one["object"]["id"] == person.id]
    site.platform.people.unlock(person, by=BY)
    assert victim.sign_in(login, code=code(secret, 1)).status_code == 200


def test_guesses_from_many_networks_are_slowed_and_the_victim_gets_in(site, moved, login):
    _attack(site, moved, login, 150)


@pytest.mark.long
def test_ten_thousand_guesses(site, moved, login):
    _attack(site, moved, login, 10_000)


def test_guesses_from_one_network_run_out_whichever_names_they_try(site):
    """As many names as one likes: a network has its own measure, which those who are who they say do not use up."""
    assert NETWORK_ATTEMPTS == (300, 900)
    browser = site.browser()
    with site.platform.database.begin() as tx:
        key = f"sign-in-network:{browser.address.rpartition('.')[0]}.0/24"
        site.platform.rates.take(tx, key, *NETWORK_ATTEMPTS, count=299)
    assert browser.sign_in("one@ward.example").status_code == 401
    assert browser.sign_in("two@ward.example").status_code == 429
    assert site.browser().sign_in("three@ward.example").status_code == 401


def test_codes_of_a_step_up_are_slowed_too(site, login):
    _, secret = site.person(login)
    browser = site.browser()
    browser.sign_in(login, code=code(secret, -1))
    seen = [browser.post(f"{SESSION}/step-up", {"code": f"{n:06}"}).status_code for n in range(7)]
    assert seen == [401] * 5 + [429] * 2


def test_many_at_once_are_counted_each(site, login):
    """Attempts that run side by side each count before one of them is looked at."""
    site.person(login)
    browsers = [site.browser() for _ in range(12)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda one: one.sign_in(login, "wrong password 123").status_code, browsers))
    assert found.count(401) <= 6 and found.count(429) >= 6


def test_an_unknown_name_takes_as_long_as_a_known_one(site, login, monkeypatch):
    """CPU time of the process, with hashes as they really are: one in either case."""
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 32 * 1024)
    site.person(login)

    def cost(name: str) -> float:
        began = time.process_time()
        assert site.browser().sign_in(name, "wrong password 123").status_code == 401
        return time.process_time() - began

    known = [cost(login) for _ in range(4)]
    unknown = [cost(f"{number}.{login}") for number in range(4)]
    assert 0.6 < statistics.median(known) / statistics.median(unknown) < 1.7
    assert min(unknown) > 0.02, "a hash of 32 MiB was made"


# 26: operators


def test_operators_see_no_data_of_any_institution(site, login):
    operators = site.platform.identity.institution("operator")
    _, secret = site.person(login, Role.OPERATOR, institution=operators)
    browser = site.browser()
    assert browser.sign_in(login, code=code(secret)).json()["role"] == "operator"
    for path in (
        "/dicom-web/studies", "/dicom-web/studies/1.2/metadata", "/dicom-web/wado?requestType=WADO&objectUID=1.2",
        PEOPLE, "/api/v1/grants", "/api/v1/audit/entries", f"{PEOPLE}/u-1",
    ):  # fmt: skip
        assert browser.get(path).status_code == 403, path
    rows = browser.get("/api/v1/institutions").json()["institutions"]
    assert site.institution.slug in [row["slug"] for row in rows]
    assert "operator" not in [row["slug"] for row in rows]
    assert browser.get("/api/v1/institutions/operator").status_code == 404


def test_nobody_is_staff_and_operator(site, administrator, login):
    operators = site.platform.identity.institution("operator")
    with pytest.raises(Exception, match="operators belong to no institution"):
        site.platform.identity.create_person(site.institution.id, login, "N", Role.OPERATOR, by=BY)
    with pytest.raises(Exception, match="operators belong to no institution"):
        site.platform.identity.create_person(operators.id, login, "N", Role.CLINICIAN, by=BY)
    invited = administrator.post(PEOPLE, {"login": login, "name": "N", "role": "operator"})
    assert invited.status_code == 400
    assert administrator.get("/api/v1/institutions").status_code == 403
