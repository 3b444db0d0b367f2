"""A single-page application of a partner in Chromium: sign-in form, consent, tokens by fetch, sign-out.

Browsers hold redirects after a form to its page's policy, and answers to the origins they are for: only a real one
shows that the pages, their policies and the token endpoint let a partner's users in.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page

import browser
import live
from oidc_kit import World, a_world
from people_kit import BY, PASSWORD, cheap_passwords, code
from wardlight.access.model import Role
from wardlight.identity.application_model import AuthMethod
from wardlight.settings import WebSettings
from wardlight.web.server import WebServer

pytestmark = [pytest.mark.system, pytest.mark.long]

APP = """<!doctype html><meta charset="utf-8"><title>Partner</title><p id="told"></p><script type="module">
const issuer = "ISSUER", client = "acme_page_test", home = location.origin + "/callback";
const told = document.getElementById("told");
const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const known = await (await fetch(issuer + "/.well-known/openid-configuration")).json();
const query = new URLSearchParams(location.search);
if (location.pathname === "/") {
  const verifier = text(crypto.getRandomValues(new Uint8Array(48)));
  const state = text(crypto.getRandomValues(new Uint8Array(16)));
  sessionStorage.setItem("verifier", verifier);
  sessionStorage.setItem("state", state);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  location.assign(known.authorization_endpoint + "?" + new URLSearchParams({
    response_type: "code", client_id: client, redirect_uri: home, scope: "openid profile", state, nonce: "n",
    code_challenge: text(digest), code_challenge_method: "S256",
  }));
} else if (location.pathname === "/callback") {
  if (query.get("iss") !== issuer || query.get("state") !== sessionStorage.getItem("state")) throw Error("mix-up");
  const answer = await fetch(known.token_endpoint, { method: "POST", body: new URLSearchParams({
    grant_type: "authorization_code", client_id: client, code: query.get("code"), redirect_uri: home,
    code_verifier: sessionStorage.getItem("verifier"),
  }) });
  const tokens = await answer.json();
  const user = await fetch(known.userinfo_endpoint, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  told.textContent = "Hello " + (await user.json()).name;
  const out = document.createElement("a");
  out.textContent = "Sign out";
  out.href = known.end_session_endpoint + "?" + new URLSearchParams({
    id_token_hint: tokens.id_token, post_logout_redirect_uri: location.origin + "/bye",
  });
  document.body.append(out);
} else {
  told.textContent = "Bye";
}
</script>"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    port = live.free_port()
    web = WebSettings(port=port)
    with cheap_passwords(), a_world(web=web, public_url=f"http://localhost:{port}") as made:
        server = WebServer(made.web.services)
        server.bind()
        serving = threading.Thread(target=server.run)
        serving.start()
        yield made
        server.stop()
        serving.join()


@pytest.fixture(scope="module")
def app(world: World) -> Iterator[str]:
    """Origin of the partner's pages, which it is registered with."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(APP.replace("ISSUER", world.issuer).encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    pages = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_address[1]}"
    world.platform.applications.register(
        "acme_page_test", "Acme Page", "Acme Inc.", by=BY, auth_method=AuthMethod.NONE,
        redirect_uris=(f"{origin}/callback",), post_logout_uris=(f"{origin}/bye",),
    )  # fmt: skip
    world.platform.applications.approve("acme_page_test", by=BY)
    world.platform.entitlements.subscribe(world.institution.id, "acme_page_test", by=BY)
    yield origin
    pages.shutdown()


@pytest.fixture
def page(world: World) -> Iterator[Page]:
    with browser.chromium() as chromium:
        page = chromium.new_context().new_page()
        page.reports = []
        page.on("console", lambda message: page.reports.append(message.text))
        yield page


def test_a_user_signs_in_agrees_and_signs_out(world: World, app: str, page: Page) -> None:
    platform = world.platform
    person = platform.identity.create_person(
        world.institution.id, "dr.hale@stmary.example", "Robin Hale", Role.CLINICIAN, by=BY
    )
    platform.sign_in.give_password(person, PASSWORD, by=BY)
    secret = platform.factors.give_totp(person, by=BY)

    def sign_in(ahead: int) -> None:
        page.locator('[autocomplete="username"]').fill("dr.hale@stmary.example")
        page.locator('[autocomplete="current-password"]').fill(PASSWORD)
        page.locator('#signin [autocomplete="one-time-code"]').fill(code(secret, ahead))
        page.get_by_role("button", name="Sign in", exact=True).click()

    page.goto(app + "/")
    page.wait_for_url("**/signin?*")
    sign_in(0)
    # By the form's answer to the consent page, and by that page's answer to the application.
    page.get_by_role("heading", name="Sign in to Acme Page?").wait_for()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.get_by_text("Hello Robin Hale").wait_for()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_text("Bye").wait_for()
    # The consent is remembered: the form's answer leads through to the application.
    page.goto(app + "/")
    page.wait_for_url("**/signin?*")
    sign_in(1)
    page.get_by_text("Hello Robin Hale").wait_for()
    # Signed in, nobody is asked at all.
    page.goto(app + "/")
    page.get_by_text("Hello Robin Hale").wait_for()
    assert not [one for one in page.reports if "Content Security Policy" in one or "CORS" in one], (
        page.reports
    )
