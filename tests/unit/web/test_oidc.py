"""Partner applications sign in their users: the whole way, and every way that must not work (security.md §11)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import select, text

from oauth_kit import a_key, assertion
from oidc_kit import (
    AFTER_LOGOUT,
    CALLBACK,
    ORIGIN,
    Partner,
    Person,
    World,
    a_world,
    decoded,
    encoded,
    returned,
)
from wardlight import clock
from wardlight.access.model import Role
from wardlight.audit.tables import pending
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


@pytest.fixture
def web_app(world: World) -> Partner:
    return Partner(world, f"acme_reader-{secrets.token_hex(4)}_prod")


@pytest.fixture
def page_app(world: World) -> Partner:
    return Partner(world, f"acme_page-{secrets.token_hex(4)}_prod", public=True)


@pytest.fixture
def person(world: World) -> Person:
    return Person(world, f"{secrets.token_hex(4)}@x.example")


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the clock."""
    real = clock.unix_ms

    def move(by: timedelta) -> None:
        monkeypatch.setattr(clock, "unix_ms", lambda: real() + int(by.total_seconds() * 1000))

    return move


def bearer(world: World, token: str, path: str = "/oauth2/userinfo") -> Any:
    return world.client.get(path, headers={"Authorization": f"Bearer {token}"})


def lives(world: World, tokens: dict[str, Any]) -> bool:
    return bearer(world, tokens["access_token"]).status_code == 200


def entries(world: World) -> list[dict[str, Any]]:
    with world.platform.database.read(EVERYWHERE) as tx:
        return [
            json.loads(row) for row in tx.execute(select(pending.c.content).order_by(pending.c.seq)).scalars()
        ]


# ---- the way as it is meant ----


@pytest.mark.parametrize("kind", ["web_app", "page_app"])
def test_a_partner_signs_in_its_user(
    world: World, person: Person, kind: str, request: pytest.FixtureRequest
) -> None:
    app: Partner = request.getfixturevalue(kind)
    page = person.visit(app.request())
    assert page.status_code == 200
    for words in ("Acme AI", "Acme Inc.", "Robin Hale", world.institution.name, "your name"):
        assert words in page.text
    answer = person.submit(page)
    back = returned(answer)
    assert (back["state"], back["iss"]) == ("s-1", world.issuer)
    tokens = app.exchange(back["code"]).json()
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 600
    keys = KeySet.import_key_set(world.client.get("/oauth2/jwks").json())
    found = jwt.decode(tokens["id_token"], keys, ["ES256"])
    assert found.header["typ"] == "JWT"
    claims = found.claims
    assert claims["iss"] == world.issuer and claims["aud"] == app.id and claims["nonce"] == "n-1"
    assert claims["exp"] - claims["iat"] == 300 and abs(claims["auth_time"] - claims["iat"]) < 30
    shown = bearer(world, tokens["access_token"]).json()
    assert shown == {
        "sub": claims["sub"],
        "institution": world.institution.slug,
        "name": "Robin Hale",
        "preferred_username": person.row.login,
        "role": "clinician",
    }
    # Remembered: the next time nobody is asked.
    again = app.exchange(returned(person.visit(app.request()))["code"]).json()
    assert decoded(again["id_token"])["sub"] == claims["sub"]
    refreshed = app.refresh(tokens["refresh_token"]).json()
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    assert "nonce" in decoded(refreshed["id_token"]) and lives(world, refreshed)


def test_two_applications_cannot_tell_that_they_have_one_user(
    world: World, person: Person, web_app: Partner, page_app: Partner
) -> None:
    subjects = {decoded(app.tokens(person)["id_token"])["sub"] for app in (web_app, page_app)}
    assert len(subjects) == 2 and person.row.id not in subjects


def test_only_what_is_asked_and_agreed_is_told(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person, scope="openid email unknown")
    assert tokens["scope"] == "openid"
    assert bearer(world, tokens["access_token"]).json().keys() == {"sub", "institution"}
    # More than was agreed is asked for anew.
    assert person.visit(web_app.request(scope="openid profile")).status_code == 200
    assert person.visit(web_app.request(scope="openid")).status_code == 303


def test_what_was_given_is_in_the_trail(world: World, person: Person, web_app: Partner) -> None:
    web_app.tokens(person)
    mine = [row for row in entries(world) if person.row.id in json.dumps(row)]
    told = [(row["action"], row["actor"]["kind"], row.get("behalf", {}).get("kind")) for row in mine]
    assert ("identity:consent:give", "person", None) in told
    assert ("identity:token:issue", "person", None) in told  # the code
    assert ("identity:token:issue", "application", "person") in told
    assert not [row for row in mine if "Robin" in json.dumps(row)]


def test_a_token_for_a_user_reads_no_more_than_the_user(world: World, web_app: Partner) -> None:
    officer = Person(world, "officer@x.example", Role.PRIVACY_OFFICER)
    clinician = Person(world, "clinician@x.example")
    tokens = {
        who: web_app.tokens(who, scope="openid images.read")["access_token"] for who in (officer, clinician)
    }
    assert bearer(world, tokens[clinician], "/dicom-web/studies").status_code in (200, 204)
    # A privacy officer sees metadata, no images: neither does an application for them.
    frame = "/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1"
    assert bearer(world, tokens[officer], frame).status_code == 403
    assert bearer(world, tokens[clinician], frame).status_code == 404
    for who in (officer, clinician):
        assert bearer(world, tokens[who], "/api/v1/people").status_code == 403
    read = [row for row in entries(world) if row["action"] == "dicomweb:study:query"][-1]
    assert (read["actor"], read["behalf"]) == (
        {"kind": "application", "id": web_app.id},
        {"kind": "person", "id": clinician.row.id, "role": "clinician"},
    )
    without = web_app.tokens(clinician)["access_token"]
    assert bearer(world, without, "/dicom-web/studies").status_code == 403


# ---- authorization requests that are not in order ----


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": "openid images.read"}, "invalid_scope"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://reader.example/request"}, "request_uri_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "nothing"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"purpose_of_use": "treat\r\n"}, "invalid_request"),
        ({"prompt": "none", "scope": "openid profile offline_access"}, "consent_required"),
    ],
)
def test_errors_go_back_to_the_application(
    world: World, person: Person, changes: dict[str, str | None], code: str
) -> None:
    app = Partner(world, f"acme_{secrets.token_hex(3)}_prod", scopes=("events.read",))
    back = returned(person.visit(app.request(**changes)))
    assert (back["error"], back["state"], back["iss"]) == (code, "s-1", world.issuer)
    assert "code" not in back


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody_at_all"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": "https://reader.example.evil.example/callback"},
        {"redirect_uri": "https://reader.example/callback/../evil"},
        {"redirect_uri": "https://reader.example@evil.example/callback"},
        {"redirect_uri": "//reader.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_registered(
    person: Person, web_app: Partner, changes: dict[str, str | None]
) -> None:
    answer = person.visit(web_app.request(**changes))
    assert answer.status_code == 400 and "location" not in answer.headers
    assert "evil" not in answer.text and "script" not in answer.text


def test_a_parameter_that_comes_twice_is_refused(person: Person, web_app: Partner) -> None:
    answer = person.visit(web_app.request() + "&redirect_uri=" + quote("https://evil.example/"))
    assert answer.status_code == 400 and "location" not in answer.headers


def test_a_suspended_application_signs_nobody_in(world: World, person: Person) -> None:
    app = Partner(world, "acme_gone_prod")
    tokens = app.tokens(person)
    world.platform.applications.suspend(app.id, by=BY)
    assert person.visit(app.request()).status_code == 400
    assert not lives(world, tokens)
    assert app.refresh(tokens["refresh_token"]).status_code == 401


def test_an_institution_that_does_not_use_the_application(world: World, person: Person) -> None:
    app = Partner(world, "acme_left_prod")
    tokens = app.tokens(person)
    world.platform.entitlements.unsubscribe(world.institution.id, app.id, by=BY)
    assert returned(person.visit(app.request()))["error"] == "access_denied"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


# ---- who is signed in ----


def test_nobody_signed_in_leads_to_the_sign_in_page_and_back(world: World, web_app: Partner) -> None:
    nobody = Person(world, "nobody@x.example", method="")
    answer = nobody.visit(web_app.request())
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", "/signin")
    back = parse_qs(place.query)["return"][0]
    assert back.startswith("/oauth2/authorize?") and f"client_id={web_app.id}" in back
    # The page may send its form on to the application, since browsers hold redirects to that.
    policy = nobody.visit(answer.headers["location"]).headers["content-security-policy"]
    assert "form-action 'self' https://reader.example;" in policy
    nobody.sign_in()
    assert nobody.visit(back).status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x"]
)
def test_sign_in_never_leads_elsewhere(person: Person, target: str) -> None:
    answer = person.visit("/signin?return=" + quote(target))
    assert "evil" not in answer.headers.get("location", "")
    assert "evil" not in answer.headers["content-security-policy"]


def test_silent_requests_are_answered_silently(world: World, web_app: Partner) -> None:
    nobody = Person(world, "silent@x.example", method="")
    assert returned(nobody.visit(web_app.request(prompt="none")))["error"] == "login_required"
    nobody.sign_in()
    assert returned(nobody.visit(web_app.request(prompt="none")))["error"] == "consent_required"
    nobody.agree(web_app.request())
    assert "code" in returned(nobody.visit(web_app.request(prompt="none")))
    assert nobody.visit(web_app.request(prompt="consent")).status_code == 200


def test_who_has_no_second_factor_yet_is_not_signed_in(world: World, web_app: Partner) -> None:
    limited = Person(world, "limited@x.example", method="limited")
    assert limited.visit(web_app.request()).headers["location"].startswith("/signin?")


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "60"}, {"prompt": "select_account"}])
def test_a_fresh_proof_is_asked_for_and_taken(
    world: World, person: Person, web_app: Partner, moved: Any, changes: dict[str, str]
) -> None:
    web_app.tokens(person)
    moved(timedelta(minutes=10))
    answer = person.visit(web_app.request(**changes))
    place = urlsplit(answer.headers["location"])
    asked = parse_qs(place.query)
    assert place.path == "/signin" and asked["again"] == ["1"]
    # The page asks although somebody is signed in, and coming back without that changes nothing.
    assert person.visit(answer.headers["location"]).status_code == 200
    assert person.visit(asked["return"][0]).headers["location"].startswith("/signin?")
    assert returned(person.visit(web_app.request(prompt="none", max_age="60")))["error"] == "login_required"
    person.sign_in()
    tokens = web_app.exchange(returned(person.visit(asked["return"][0]))["code"]).json()
    assert decoded(tokens["id_token"])["auth_time"] * 1000 > clock.unix_ms() - 60_000


def test_from_another_network_nobody_is_signed_in(world: World, person: Person, web_app: Partner) -> None:
    web_app.tokens(person)
    with world.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE institution SET networks = '192.0.2.0/24'"))
    try:
        assert person.visit(web_app.request()).headers["location"].startswith("/signin?")
        assert returned(person.visit(web_app.request(prompt="none")))["error"] == "login_required"
    finally:
        with world.platform.database.begin(EVERYWHERE) as tx:
            tx.execute(text("UPDATE institution SET networks = '0.0.0.0/0 ::/0'"))


# ---- consent ----


def test_who_does_not_agree_is_sent_back_so(person: Person, web_app: Partner) -> None:
    back = returned(person.submit(person.visit(web_app.request()), "deny"))
    assert back["error"] == "access_denied" and "code" not in back
    assert person.visit(web_app.request()).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "", "null", "http://ward.example:8080"])
def test_another_site_cannot_agree_for_somebody(person: Person, web_app: Partner, origin: str) -> None:
    page = person.visit(web_app.request())
    assert person.submit(page, origin=origin).status_code == 403
    assert person.visit(web_app.request()).status_code == 200


@pytest.mark.parametrize("csrf", ["", "x" * 43])
def test_a_form_that_is_not_of_this_session_agrees_to_nothing(
    world: World, person: Person, web_app: Partner, csrf: str
) -> None:
    page = person.visit(web_app.request())
    assert person.submit(page, csrf=csrf).status_code == 403
    other = Person(world, f"{secrets.token_hex(4)}@x.example")
    # Fixation: the form of one session, sent with the cookie of another.
    person.browser.cookies.set("wl", other.browser.cookies["wl"])
    assert person.submit(page).status_code == 403
    assert other.visit(web_app.request()).status_code == 200


def test_an_altered_form_cannot_change_where_the_code_goes(person: Person, web_app: Partner) -> None:
    page = person.visit(web_app.request())
    changed = web_app.request(redirect_uri="https://evil.example/").partition("?")[2]
    answer = person.submit(page, request=changed)
    assert answer.status_code == 400 and "location" not in answer.headers


def test_the_consent_page_runs_nothing_and_shows_text(world: World, person: Person) -> None:
    app = Partner(world, "acme_odd_prod")
    with world.platform.database.begin() as tx:
        tx.execute(
            text("UPDATE application SET name = '<script>alert(1)</script>\"' WHERE id = 'acme_odd_prod'")
        )
    page = person.visit(app.request())
    assert "<script" not in page.text and "&lt;script&gt;" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["referrer-policy"] != "unsafe-url"


def test_withdrawn_consent_ends_what_there_is(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person)
    shown = person.visit("/api/v1/consents").json()["consents"]
    assert [row["application"] for row in shown] == [web_app.id]
    csrf = person.visit("/api/v1/session").json()["csrf"]
    headers = {"Origin": ORIGIN, "X-CSRF": csrf}
    gone = person.browser.delete(f"/api/v1/consents/{web_app.id}", headers=headers)
    assert gone.status_code == 200
    assert not lives(world, tokens)
    assert web_app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert person.browser.delete(f"/api/v1/consents/{web_app.id}", headers=headers).status_code == 404
    assert person.visit("/api/v1/consents").json() == {"consents": []}
    # Asked again, and known by the same name.
    again = web_app.tokens(person)
    assert decoded(again["id_token"])["sub"] == decoded(tokens["id_token"])["sub"]


# ---- codes ----


def test_a_code_that_comes_twice_ends_what_it_gave(world: World, person: Person, web_app: Partner) -> None:
    code = person.agree(web_app.request())
    tokens = web_app.exchange(code).json()
    refreshed = web_app.refresh(tokens["refresh_token"]).json()
    assert lives(world, refreshed)
    assert web_app.exchange(code).json()["error"] == "invalid_grant"
    assert not lives(world, tokens) and not lives(world, refreshed)
    assert web_app.refresh(refreshed["refresh_token"]).json()["error"] == "invalid_grant"
    assert any(
        row["action"] == "identity:token:revoke" and row.get("reason") == "code-reused"
        for row in entries(world)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": "https://reader.example/other"},
    ],
)
def test_a_code_with_what_does_not_fit_is_dead(
    person: Person, web_app: Partner, changes: dict[str, str]
) -> None:
    code = person.agree(web_app.request())
    assert web_app.exchange(code, **changes).json() == {"error": "invalid_grant"}
    assert web_app.exchange(code).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize("name", ["code", "code_verifier", "redirect_uri"])
def test_nothing_of_an_exchange_may_be_missing(person: Person, web_app: Partner, name: str) -> None:
    code = person.agree(web_app.request())
    assert web_app.exchange(code, **{name: None}).json()["error"] == "invalid_request"


def test_the_challenge_itself_is_no_verifier(person: Person, web_app: Partner) -> None:
    """PKCE plain: what was plain would now be accepted."""
    code = person.agree(web_app.request(code_challenge="A" * 43))
    assert web_app.exchange(code, code_verifier="A" * 43).json()["error"] == "invalid_grant"


def test_a_code_is_for_one_client_and_a_minute(
    person: Person, web_app: Partner, page_app: Partner, moved: Any
) -> None:
    code = person.agree(web_app.request())
    page_app.verifier = web_app.verifier
    assert page_app.exchange(code).json()["error"] == "invalid_grant"
    code = person.agree(web_app.request())
    moved(timedelta(seconds=61))
    assert web_app.exchange(code).json()["error"] == "invalid_grant"


def test_a_web_application_must_prove_itself(world: World, person: Person, web_app: Partner) -> None:
    code = person.agree(web_app.request())
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    fields["code_verifier"] = web_app.verifier
    bare = web_app.caller.form("/oauth2/token", client_id=web_app.id, **fields)
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    foreign = web_app.caller.token(assertion(a_key(), web_app.id), purpose_of_use="", **fields)
    assert foreign.status_code == 401
    shown = web_app.proof()
    assert web_app.caller.token(shown, purpose_of_use="", **fields).status_code == 200
    replayed = web_app.caller.token(shown, purpose_of_use="", **fields)
    assert replayed.status_code == 401


# ---- refresh ----


def test_a_refresh_token_that_comes_twice_ends_the_sign_in(
    world: World, person: Person, page_app: Partner
) -> None:
    tokens = page_app.tokens(person)
    other = page_app.tokens(person)
    second = page_app.refresh(tokens["refresh_token"]).json()
    third = page_app.refresh(second["refresh_token"]).json()
    assert page_app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    for ended in (second, third):
        assert not lives(world, ended)
        assert page_app.refresh(ended["refresh_token"]).json()["error"] == "invalid_grant"
    # Another sign-in of the same person goes on.
    assert lives(world, other)


def test_refresh_narrows_and_never_widens(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person)
    wider = web_app.refresh(tokens["refresh_token"], scope="openid profile images.read")
    assert wider.json()["error"] == "invalid_scope"
    narrow = web_app.refresh(tokens["refresh_token"], scope="openid").json()
    assert narrow["scope"] == "openid" and "name" not in bearer(world, narrow["access_token"]).json()


def test_a_refresh_token_is_for_its_client_and_eight_hours(
    person: Person, web_app: Partner, page_app: Partner, moved: Any
) -> None:
    tokens = web_app.tokens(person)
    assert page_app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    moved(timedelta(hours=7, minutes=59))
    later = web_app.refresh(tokens["refresh_token"]).json()
    assert later["expires_in"] <= 60
    moved(timedelta(hours=8, seconds=1))
    assert web_app.refresh(later["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_token_opens_no_route(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person)
    for path in ("/oauth2/userinfo", "/dicom-web/studies"):
        assert bearer(world, tokens["refresh_token"], path).status_code == 401
    assert bearer(world, tokens["id_token"]).status_code == 401


def test_who_is_suspended_is_out_of_applications(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person)
    world.platform.people.change(world.institution.id, person.row.id, state="suspended", by=BY)
    assert not lives(world, tokens)
    assert web_app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_erased_account_leaves_nothing(world: World, person: Person, web_app: Partner) -> None:
    tokens = web_app.tokens(person)
    world.platform.people.delete(world.institution.id, person.row.id, by=BY)
    assert not lives(world, tokens)
    with world.platform.database.read(EVERYWHERE) as tx:
        for table in ("oidc_login", "oidc_consent", "token"):
            column = "holder" if table == "token" else "person"
            count = (
                f"SELECT count(*) FROM {table} WHERE {column} = :p AND (:t <> 'token' OR login IS NOT NULL)"
            )
            if table != "token":
                count = f"SELECT count(*) FROM {table} WHERE {column} = :p"
            assert tx.execute(text(count), {"p": person.row.id, "t": table}).scalar() == 0


def test_a_token_given_back_ends_the_sign_in(world: World, person: Person, page_app: Partner) -> None:
    tokens = page_app.tokens(person)
    answer = page_app.caller.form("/oauth2/revoke", client_id=page_app.id, token=tokens["refresh_token"])
    assert answer.status_code == 200 and not lives(world, tokens)


def test_introspection_names_the_user_as_the_application_knows_them(
    person: Person, web_app: Partner, world: World
) -> None:
    tokens = web_app.tokens(person)

    def ask() -> dict[str, Any]:
        shown = web_app.proof()
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return web_app.caller.form(
            "/oauth2/introspect",
            token=tokens["access_token"],
            client_assertion=shown,
            client_assertion_type=kind,
        ).json()

    assert ask()["sub"] == decoded(tokens["id_token"])["sub"]
    world.platform.people.change(world.institution.id, person.row.id, state="suspended", by=BY)
    assert ask() == {"active": False}


# ---- signing out ----


def out(tokens: dict[str, Any] | None = None, **fields: str) -> str:
    if tokens is not None:
        fields["id_token_hint"] = tokens["id_token"]
    return "/oauth2/logout?" + "&".join(f"{name}={quote(value)}" for name, value in fields.items())


def test_an_application_signs_its_user_out(
    world: World, person: Person, web_app: Partner, page_app: Partner
) -> None:
    tokens, others = web_app.tokens(person), page_app.tokens(person)
    answer = person.visit(out(tokens, post_logout_redirect_uri=AFTER_LOGOUT, state="bye"))
    assert answer.headers["location"] == f"{AFTER_LOGOUT}?state=bye"
    assert person.session is None
    assert not lives(world, tokens) and not lives(world, others)


def test_without_an_id_token_of_the_session_the_person_is_asked(
    world: World, person: Person, web_app: Partner
) -> None:
    tokens = web_app.tokens(person)
    foreign = web_app.tokens(Person(world, f"{secrets.token_hex(4)}@x.example"))
    for path in (out(client_id=web_app.id), out(foreign), out({"id_token": tokens["id_token"] + "x"})):
        page = person.visit(path)
        assert page.status_code == 200 and person.session is not None
        assert person.submit(page, origin="https://evil.example").status_code == 403
        assert person.session is not None and lives(world, tokens)
    assert person.submit(page).status_code == 200
    assert person.session is None and not lives(world, tokens)


@pytest.mark.parametrize("uri", [CALLBACK, "https://evil.example/", AFTER_LOGOUT + "/"])
def test_sign_out_never_leads_to_what_is_not_registered(person: Person, web_app: Partner, uri: str) -> None:
    tokens = web_app.tokens(person)
    for path in (out(tokens, post_logout_redirect_uri=uri), out(post_logout_redirect_uri=AFTER_LOGOUT)):
        answer = person.visit(path)
        assert answer.status_code == 400 and "location" not in answer.headers
    assert person.session is not None


def test_an_id_token_ends_its_sign_in_also_after_the_session(
    world: World, person: Person, web_app: Partner, moved: Any
) -> None:
    tokens = web_app.tokens(person)
    person.browser.cookies.clear()
    assert lives(world, tokens)
    assert person.visit(out(tokens)).status_code == 200
    assert not lives(world, tokens)


# ---- keys ----


def test_keys_rotate_with_an_overlap(world: World, person: Person, web_app: Partner, moved: Any) -> None:
    before = web_app.tokens(person)
    old = decoded(before["id_token"], 0)["kid"]
    new = world.platform.provider.keys.rotate(by=BY)
    kids = [key["kid"] for key in world.client.get("/oauth2/jwks").json()["keys"]]
    assert old in kids and new in kids
    after = web_app.tokens(person)
    assert decoded(after["id_token"], 0)["kid"] == new
    keys = KeySet.import_key_set(world.client.get("/oauth2/jwks").json())
    for tokens in (before, after):
        jwt.decode(tokens["id_token"], keys, ["ES256"])
    # Its private half is gone at once, its public half when its tokens are.
    with world.platform.keystore.reading() as kept:
        assert kept.execute("SELECT length(sealed) FROM token_key WHERE kid = ?", (old,)).fetchone() == (0,)
    moved(timedelta(minutes=11))
    assert [key["kid"] for key in world.client.get("/oauth2/jwks").json()["keys"]] == [new]
    # As a hint an old id token is still known.
    assert person.visit(out(before)).status_code == 200 and person.session is None


def test_no_private_key_is_shown_or_stands_in_clear(world: World) -> None:
    for path in ("/oauth2/jwks", "/federation/jwks"):
        for key in world.client.get(path).json()["keys"]:
            assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    provider = {key["kid"] for key in world.client.get("/oauth2/jwks").json()["keys"]}
    assert provider.isdisjoint(key["kid"] for key in world.client.get("/federation/jwks").json()["keys"])


@pytest.mark.parametrize("attack", ["none", "HS256", "foreign", "typ", "issuer"])
def test_forged_hints_are_not_believed(world: World, person: Person, web_app: Partner, attack: str) -> None:
    tokens = web_app.tokens(person)
    header, claims = decoded(tokens["id_token"], 0), decoded(tokens["id_token"])
    public = world.client.get("/oauth2/jwks").json()["keys"][0]
    if attack == "none":
        head = encoded(json.dumps({**header, "alg": "none"}).encode())
        forged = f"{head}.{tokens['id_token'].split('.')[1]}."
    elif attack == "HS256":
        from joserfc.jwk import OctKey

        secret = OctKey.import_key(json.dumps(public, sort_keys=True).encode())
        forged = jwt.encode({**header, "alg": "HS256"}, claims, secret, ["HS256"])
    elif attack == "foreign":
        key = ECKey.generate_key("P-256", {"kid": header["kid"]})
        forged = jwt.encode(header, claims, key, ["ES256"])
    elif attack == "typ":
        forged = world.platform.provider.keys.sign("logout+jwt", claims)
    else:
        forged = world.platform.federations.keys.sign("JWT", claims)
    assert person.visit(out({"id_token": forged})).status_code == 200
    assert person.session is not None


# ---- pages of single-page applications ----


def test_pages_of_registered_origins_may_call_the_token_endpoint(
    world: World, page_app: Partner, web_app: Partner
) -> None:
    mine, evil = "https://reader.example", "https://evil.example"
    for path in ("/oauth2/token", "/oauth2/userinfo"):
        for origin, allowed in ((mine, mine), (evil, None), (mine + ".evil.example", None), ("null", None)):
            answer = world.client.options(
                path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers
    failed = world.client.post("/oauth2/token", headers={"Origin": mine}, content=b"")
    assert failed.status_code == 400 and failed.headers["access-control-allow-origin"] == mine
    for path in ("/dicom-web/studies", "/oauth2/authorize", "/api/v1/session"):
        assert "access-control-allow-origin" not in world.client.get(path, headers={"Origin": mine}).headers


def test_addresses_of_web_applications_are_no_pages(world: World) -> None:
    Partner(world, "other_web_prod", redirect_uris=("https://server.example/cb",))
    answer = world.client.get("/oauth2/jwks", headers={"Origin": "https://server.example"})
    assert "access-control-allow-origin" not in answer.headers


# ---- metadata ----


def test_the_metadata_is_that_of_the_standards(world: World) -> None:
    found = world.client.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == world.issuer
    # Discovery 1.0 section 3, what must be there; RFC 9207 section 3; Back-Channel Logout 1.0 section 2.1.
    for name in (
        "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported",
        "subject_types_supported", "id_token_signing_alg_values_supported",
    ):  # fmt: skip
        assert found[name]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["request_uri_parameter_supported"] is False
    paths = {route.path for route in world.client.app.routes}
    for name, value in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert value.removeprefix(world.issuer) in paths, name
    assert "none" not in found["id_token_signing_alg_values_supported"]
