"""Signing in over HTTP: what lets somebody in, for how long, and what their session may do."""

from __future__ import annotations

import uuid
from base64 import b32decode

import pytest

from authenticator import Authenticator
from people_kit import BY, ORIGIN, PASSWORD, Clock, a_site, code
from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.identity.passkeys import Site

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
    """A name that no other test uses."""
    return f"{uuid.uuid4().hex[:8]}@ward.example"


def with_passkey(site, login, role=Role.CLINICIAN, **options):
    """Somebody who is signed in, and has a passkey beside password and code."""
    person, secret = site.person(login, role)
    browser = site.browser()
    browser.sign_in(login, code=code(secret))
    device = Authenticator(ORIGIN, **options)
    made = device.create(browser.post(f"{SESSION}/factors/passkey-options").json())
    assert browser.post(f"{SESSION}/factors/passkey", {"passkey": made, "name": "key"}).status_code == 200
    return person, secret, browser, device


def by_passkey(browser, device, **lies):
    options = browser.post(f"{SESSION}/passkey-options").json()
    return browser.post(f"{SESSION}/passkey", {"passkey": device.get(options, **lies)})


def test_password_and_code_open_a_session_that_acts_for_its_person(site, login):
    person, secret = site.person(login, Role.ADMINISTRATOR)
    browser = site.browser()
    answer = browser.sign_in(login.upper(), code=code(secret))
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["id"], shown["role"], shown["limited"], shown["step_up"]) == (
        person.id, "administrator", False, True,
    )  # fmt: skip
    line = answer.headers["set-cookie"]
    assert line.startswith("__Host-wl=wl_st_")
    assert {part.strip() for part in line.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}
    assert browser.get(PEOPLE).status_code == 200
    assert browser.get(SESSION).json()["login"] == login
    (entry,) = [one for one in site.entries("identity:session:login") if one["actor"]["id"] == person.id]
    assert entry["detail"]["method"] == "totp" and entry["network"]["address"] == browser.address


def test_the_answer_is_the_same_whatever_is_wrong(site, login):
    _, secret = site.person(login)
    answers = [
        site.browser().sign_in("nobody@ward.example", code=code(secret)),
        site.browser().sign_in(login, "a" * 13, code(secret)),
        site.browser().sign_in(login, code="000000"),
        site.browser().sign_in(login),
    ]
    for answer in answers:
        body = answer.json()
        body.pop("request")
        assert (answer.status_code, body) == (
            401,
            {
                "type": "urn:wardlight:error:sign-in-failed",
                "title": "The name, the password or the code is not right.",
                "status": 401,
                "code": "sign-in-failed",
            },
        )
        assert "set-cookie" not in answer.headers
        assert sorted(answer.headers) == sorted(answers[0].headers)


def test_each_code_serves_once_and_one_step_off_is_near_enough(site, login):
    _, secret = site.person(login)
    first, later = code(secret), code(secret, 1)
    assert site.browser().sign_in(login, code=first).status_code == 200
    assert site.browser().sign_in(login, code=first).status_code == 401
    assert site.browser().sign_in(login, code=later).status_code == 200
    # A step that was passed over is passed for good, and two steps off are too far.
    assert site.browser().sign_in(login, code=first).status_code == 401
    assert site.browser().sign_in(login, code=code(secret, 2)).status_code == 401


def test_who_has_no_second_factor_may_only_add_one(site, login):
    person = site.platform.identity.create_person(site.institution.id, login, "N", Role.ADMINISTRATOR, by=BY)
    site.platform.sign_in.give_password(person, PASSWORD, by=BY)
    browser = site.browser()
    assert browser.sign_in(login).json()["limited"] is True
    assert browser.get(PEOPLE).status_code == 403
    assert browser.get("/dicom-web/studies").status_code == 403
    secret = b32decode(browser.post(f"{SESSION}/factors/totp", {"name": "phone"}).json()["secret"])
    before = browser.cookie
    assert browser.post(f"{SESSION}/factors/totp/confirm", {"code": "12345"}).status_code == 401
    whole = browser.post(f"{SESSION}/factors/totp/confirm", {"code": code(secret)}).json()
    assert whole["limited"] is False and len(whole["recovery_codes"]) == 10
    assert browser.cookie != before
    assert browser.get(PEOPLE).status_code == 200
    # From now on the password alone opens nothing, and each recovery code does once.
    assert site.browser().sign_in(login).status_code == 401
    spare = whole["recovery_codes"][0]
    assert site.browser().sign_in(login, code=spare.upper()).status_code == 200
    assert site.browser().sign_in(login, code=spare).status_code == 401
    assert browser.get(f"{SESSION}/factors").json()["recovery_codes"] == 9


def test_a_session_without_second_factor_is_worth_nothing_once_there_is_one(site, login):
    person = site.platform.identity.create_person(site.institution.id, login, "N", Role.ADMINISTRATOR, by=BY)
    site.platform.sign_in.give_password(person, PASSWORD, by=BY)
    knows_password, owner = site.browser(), site.browser()
    knows_password.sign_in(login)
    # Recovery codes stand in for a factor: made before there is one, they would be one that nobody sees.
    assert knows_password.post(f"{SESSION}/factors/recovery-codes").status_code == 409
    owner.sign_in(login)
    secret = b32decode(owner.post(f"{SESSION}/factors/totp", {"name": "phone"}).json()["secret"])
    assert (
        len(owner.post(f"{SESSION}/factors/totp/confirm", {"code": code(secret)}).json()["recovery_codes"])
        == 10
    )
    for path, body in (("totp", {"name": "x"}), ("passkey-options", {}), ("recovery-codes", {})):
        refused = knows_password.post(f"{SESSION}/factors/{path}", body)
        assert (refused.status_code, refused.json()["reason"]) == (403, "step-up"), path
    (row,) = owner.get(f"{SESSION}/factors").json()["factors"]
    assert knows_password.send("DELETE", f"{SESSION}/factors/{row['id']}").status_code == 403


def test_of_two_who_add_the_first_factor_one_does(site, login):
    person = site.platform.identity.create_person(site.institution.id, login, "N", Role.CLINICIAN, by=BY)
    site.platform.sign_in.give_password(person, PASSWORD, by=BY)
    factors, sessions = site.platform.factors, site.platform.identity.sessions
    browsers = [site.browser(), site.browser()]
    for browser in browsers:
        browser.sign_in(login)
    first, second = (sessions.authenticate(browser.cookie) for browser in browsers)
    factors.confirm_totp(first, code(factors.begin_totp(first, "phone")), by=BY)
    # Its request was let in while there was none.
    with pytest.raises(WardlightError, match="conflict"):
        factors.begin_totp(second, "phone")
    passkey = factors.begin_passkey(second, Site(ORIGIN), login, "N")
    with pytest.raises(WardlightError, match="conflict"):
        factors.add_passkey(second, Site(ORIGIN), Authenticator(ORIGIN).create(passkey), "key", by=BY)
    assert len(factors.of(first)[0]) == 1


LIES = (
    {"origin": "https://ward.example.attacker.example"},
    {"origin": "https://ward.example:444"},
    {"origin": "http://ward.example"},
    {"rp_id": "example"},
    {"flags": 0x01},
    {"flags": 0x04},
    {"kind": "webauthn.create"},
    {"user": b"u-000000000000"},
)


@pytest.mark.parametrize("counter", [0, None])
def test_a_passkey_signs_in_without_a_name_and_for_this_site_alone(site, login, counter):
    person, _, _, device = with_passkey(site, login, counter=counter)
    browser = site.browser()
    assert by_passkey(browser, device).json()["id"] == person.id
    browser = site.browser()
    for lies in LIES:
        assert by_passkey(browser, device, **lies).status_code == 401, lies
    assert browser.cookie == ""
    assert by_passkey(browser, device).status_code == 200


def test_a_passkey_made_for_another_site_or_without_verification_is_not_taken(site, login):
    _, secret = site.person(login)
    browser = site.browser()
    browser.sign_in(login, code=code(secret))
    for lies in ({"origin": "https://attacker.example"}, {"rp_id": "attacker.example"}, {"flags": 0x01}):
        made = Authenticator(ORIGIN).create(browser.post(f"{SESSION}/factors/passkey-options").json(), **lies)
        assert browser.post(f"{SESSION}/factors/passkey", {"passkey": made, "name": "x"}).status_code == 401


def test_challenges_serve_once_for_whom_they_were_made_and_not_for_long(site, login, moved):
    _, _, own, device = with_passkey(site, login)
    browser = site.browser()
    options = browser.post(f"{SESSION}/passkey-options").json()
    answer = device.get(options)
    assert browser.post(f"{SESSION}/passkey", {"passkey": answer}).status_code == 200
    assert browser.post(f"{SESSION}/passkey", {"passkey": answer}).status_code == 401
    made_up = device.get({"challenge": "AAAA", "rpId": "ward.example"})
    assert browser.post(f"{SESSION}/passkey", {"passkey": made_up}).status_code == 401
    # That of a step-up is its person's, and does not sign in.
    options = own.post(f"{SESSION}/step-up-options").json()
    assert browser.post(f"{SESSION}/passkey", {"passkey": device.get(options)}).status_code == 401
    options = browser.post(f"{SESSION}/passkey-options").json()
    moved.move(301)
    assert browser.post(f"{SESSION}/passkey", {"passkey": device.get(options)}).status_code == 401


def test_a_counter_that_goes_back_is_refused_and_reported(site, login):
    person, _, _, device = with_passkey(site, login)
    browser = site.browser()
    assert by_passkey(browser, device).status_code == 200
    device.counter -= 1
    assert by_passkey(browser, device).status_code == 401
    (entry,) = [
        one for one in site.entries("identity:session:login") if one.get("reason") == "passkey-counter"
    ]
    assert entry["object"]["id"] == person.id and entry["outcome"] == "denied"


def test_what_is_no_link_is_refused(site):
    """Also what is no text that could be sent: half of a pair of surrogates."""
    for token in ("", "wl_in_x", "\ud800", "\0", "x" * 9000):
        answer = site.browser().post(f"{SESSION}/link", {"token": token, "password": PASSWORD})
        assert answer.status_code in (400, 401), token[:9]


def test_what_is_no_passkey_is_refused(site):
    for sent in ({}, {"passkey": 1}, {"passkey": {}}, {"passkey": {"id": "a", "response": {}}}, []):
        assert site.browser().post(f"{SESSION}/passkey", sent).status_code in (400, 401)


def test_step_up_lasts_five_minutes_and_renews_the_session(site, login, moved):
    _, secret = site.person(login, Role.ADMINISTRATOR)
    browser = site.browser()
    browser.sign_in(login, code=code(secret))
    invitation = {"login": f"new.{login}", "name": "New", "role": "clinician"}
    moved.move(301)
    assert browser.get(SESSION).json()["step_up"] is False
    refused = browser.post(PEOPLE, invitation)
    assert (refused.status_code, refused.json()["reason"]) == (403, "step-up")
    before = browser.cookie
    assert browser.post(f"{SESSION}/step-up", {"code": "000000"}).status_code == 401
    assert browser.post(f"{SESSION}/step-up", {"code": code(secret)}).json()["step_up"] is True
    assert browser.cookie != before
    assert browser.post(PEOPLE, invitation).status_code == 201
    old = site.browser()
    old.client.cookies.set("__Host-wl", before, domain="ward.example", path="/")
    assert old.get(SESSION).status_code == 401


def test_step_up_by_ones_own_passkey_only(site, login, moved):
    _, _, browser, device = with_passkey(site, login)
    _, _, _, other = with_passkey(site, f"other.{login}")
    moved.move(301)
    options = browser.post(f"{SESSION}/step-up-options").json()
    assert browser.post(f"{SESSION}/step-up", {"passkey": other.get(options)}).status_code == 401
    options = browser.post(f"{SESSION}/step-up-options").json()
    assert browser.post(f"{SESSION}/step-up", {"passkey": device.get(options)}).json()["step_up"] is True


def test_a_session_ends_when_idle_and_in_any_case_after_twelve_hours(site, login, moved):
    _, secret = site.person(login)
    browser = site.browser()
    browser.sign_in(login, code=code(secret))
    for _ in range(2):
        moved.move(29 * 60)
        assert browser.get(SESSION).status_code == 200
    moved.move(31 * 60)
    assert browser.get(SESSION).status_code == 401
    browser.sign_in(login, code=code(secret))
    for _ in range(26):
        moved.move(27 * 60)
        assert browser.get(SESSION).status_code == 200
    moved.move(20 * 60)
    assert browser.get(SESSION).status_code == 401
    assert site.platform.identity.sessions.sweep() >= 1
    assert site.entries("identity:session:expire")


def test_own_sessions_are_listed_and_ended_and_nobody_elses(site, login):
    person, secret = site.person(login)
    one, other, stranger = site.browser(), site.browser("198.51.100.3"), site.browser()
    one.sign_in(login, code=code(secret))
    other.sign_in(login, code=code(secret, 1))
    _, theirs = site.person(f"x{login}")
    stranger.sign_in(f"x{login}", code=code(theirs))
    rows = one.get(f"{SESSION}/all").json()["sessions"]
    assert [(row["address"], row["this"]) for row in rows] == [("198.51.100.3", False), (one.address, True)]
    assert stranger.send("DELETE", f"{SESSION}/all/{rows[0]['id']}").status_code == 404
    assert one.send("DELETE", f"{SESSION}/all/{rows[0]['id']}").status_code == 200
    assert other.get(SESSION).status_code == 401 and one.get(SESSION).status_code == 200
    answer = one.send("DELETE", SESSION)
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert one.get(SESSION).status_code == 401
    assert {entry["actor"]["id"] for entry in site.entries("identity:session:logout")} >= {person.id}


def test_a_new_password_ends_other_sessions_and_the_old_one(site, login):
    _, secret = site.person(login)
    one, other = site.browser(), site.browser()
    one.sign_in(login, code=code(secret, -1))
    other.sign_in(login, code=code(secret))
    new = "quartz lantern 77 sea"
    assert one.post(f"{SESSION}/password", {"old": new, "new": new}).status_code == 401
    for bad in ("short", "password1234!", "1234567890123", f"{login[:8]}2024!!"):
        assert one.post(f"{SESSION}/password", {"old": PASSWORD, "new": bad}).status_code == 400, bad
    assert one.post(f"{SESSION}/password", {"old": PASSWORD, "new": new}).status_code == 200
    assert one.get(SESSION).status_code == 200 and other.get(SESSION).status_code == 401
    assert site.browser().sign_in(login, code=code(secret, 1)).status_code == 401
    assert site.browser().sign_in(login, new, code(secret, 1)).status_code == 200


def test_factors_are_changed_by_those_who_are_there_and_the_last_one_stays(site, login, moved):
    _, _, browser, _ = with_passkey(site, login)
    rows = browser.get(f"{SESSION}/factors").json()["factors"]
    assert [row["kind"] for row in rows] == ["totp", "passkey"]
    moved.move(301)
    assert browser.send("DELETE", f"{SESSION}/factors/{rows[0]['id']}").json()["reason"] == "step-up"
    assert browser.post(f"{SESSION}/factors/recovery-codes").status_code == 403
    moved.move(-300)
    assert len(browser.post(f"{SESSION}/factors/recovery-codes").json()["recovery_codes"]) == 10
    assert browser.send("DELETE", f"{SESSION}/factors/{rows[0]['id']}").status_code == 200
    assert browser.send("DELETE", f"{SESSION}/factors/{rows[0]['id']}").status_code == 404
    assert browser.send("DELETE", f"{SESSION}/factors/{rows[1]['id']}").status_code == 409


def test_one_name_in_two_institutions_is_told_apart_by_the_password(site, login):
    other = site.platform.identity.create_institution(uuid.uuid4().hex[:8], "Other", "eu", by=BY)
    here, secret = site.person(login)
    there, second = site.person(login, institution=other, password="violet hammer 91 moss")
    assert site.browser().sign_in(login, code=code(secret)).json()["id"] == here.id
    assert site.browser().sign_in(login, "violet hammer 91 moss", code(second)).json()["id"] == there.id
    site.platform.sign_in.give_password(there, PASSWORD, by=BY)
    unclear = site.browser().sign_in(login, code=code(second, 1))
    assert (unclear.status_code, unclear.json()["reason"]) == (409, "institution")
    named = site.browser().sign_in(login, code=code(second, 1), institution=other.slug)
    assert named.json()["id"] == there.id


def test_who_has_anothers_name_neither_makes_them_wait_nor_helps_to_guess(site, login):
    """An administrator elsewhere may give the victim's name to somebody of theirs: it resets nothing of the victim."""
    other = site.platform.identity.create_institution(uuid.uuid4().hex[:8], "Other", "eu", by=BY)
    victim, secret = site.person(login)
    theirs, second = site.person(login, institution=other, password="violet hammer 91 moss")
    for step in (-1, 0, 1):
        assert site.browser().sign_in(login, "violet hammer 91 moss", code(second, step)).status_code == 200
    for number in range(5):
        assert site.browser().sign_in(login, "wrong password 123").status_code == 401, number
    site.platform.people.unlock(theirs, by=BY)
    site.platform.sign_in.give_password(theirs, "violet hammer 91 moss", by=BY)
    # The victim's account waits whatever is done to the other one, and only theirs is looked at.
    assert site.browser().sign_in(login, code=code(secret)).status_code == 401
    failed = [
        one for one in site.entries("identity:session:login") if one.get("object", {}).get("id") == victim.id
    ]
    assert failed and not any("network" in one for one in failed if one["outcome"] == "denied")
    site.platform.people.unlock(victim, by=BY)
    assert site.browser().sign_in(login, code=code(secret)).json()["id"] == victim.id


def test_the_page_signs_in_without_a_script_and_goes_on_within_the_site(site, login):
    _, secret = site.person(login)
    browser = site.browser()
    page = browser.client.get("/signin", params={"return": "/oauth2/authorize?client_id=a&x=<b>"})
    for needed in ("username", "current-password", "one-time-code"):
        assert f'autocomplete="{needed}"' in page.text
    assert 'value="/oauth2/authorize?client_id=a&amp;x=&lt;b&gt;"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    form = {
        "login": login,
        "password": PASSWORD,
        "code": code(secret),
        "return": "/oauth2/authorize?client_id=a",
    }
    wrong = browser.client.post("/signin", data=form | {"code": "1"}, headers={"Origin": ORIGIN})
    assert wrong.status_code == 401 and 'role="alert"' in wrong.text and login in wrong.text
    right = browser.client.post("/signin", data=form, headers={"Origin": ORIGIN})
    assert (right.status_code, right.headers["location"]) == (303, "/oauth2/authorize?client_id=a")
    assert browser.get(SESSION).status_code == 200
    again = browser.client.get("/signin", params={"return": "/oauth2/authorize"})
    assert (again.status_code, again.headers["location"]) == (303, "/oauth2/authorize")
    for file in ("signin.js", "signin.css"):
        assert browser.client.get(f"/signin/{file}").status_code == 200
    assert browser.client.get("/signin/../app.py").status_code == 404


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "evil", "javascript:alert(1)", ""],
)
def test_the_page_sends_nobody_to_another_site(site, target):
    page = site.browser().client.get("/signin", params={"return": target})
    assert 'name="return" value=""' in page.text
