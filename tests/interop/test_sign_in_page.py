"""The sign-in page in a real browser: an invitation to its end, a passkey, and the form with scripts switched off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser import chromium
from people_kit import BY, PASSWORD, Site, cheap_passwords, code
from wardlight.identity.model import Role
from wardlight.web.server import WebServer
from web_kit import a_web

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[Site, str]]:
    with cheap_passwords(), a_web(web={"port": 0}) as web:
        server = WebServer(web.services)
        port = server.bind()
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        yield Site(web), f"http://localhost:{port}"
        server.stop()
        thread.join(30)


@pytest.fixture(scope="module")
def driven() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def opened(driven: Browser, **options: Any) -> tuple[Page, list[str]]:
    """A page of a browser of its own, and what it complains of."""
    page = driven.new_context(**options).new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def device(page: Page) -> Any:
    """A virtual authenticator in the page's browser, and the channel to it."""
    channel = page.context.new_cdp_session(page)
    channel.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = channel.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return channel, made["authenticatorId"]


def test_an_invitation_to_a_passkey_and_in_again(site, driven):
    kit, base = site
    _, token = kit.platform.people.invite(
        kit.institution.id, "robin@ward.example", "Robin", Role.CLINICIAN, by=BY
    )
    page, complaints = opened(driven)
    channel, authenticator = device(page)
    page.goto(f"{base}/signin#link={token}")
    assert token not in page.url
    page.fill("#link input", PASSWORD)
    page.click("#link button")
    page.click("#add-passkey")
    page.locator("#told code").nth(9).wait_for()
    kept = channel.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
    assert [one["rpId"] for one in kept] == ["localhost"]
    page.context.clear_cookies()
    page.goto(f"{base}/signin?return=/healthz")
    page.click("#passkey")
    page.wait_for_url(f"{base}/healthz")
    assert page.context.request.get(f"{base}/api/v1/session").json()["login"] == "robin@ward.example"
    assert "wl_st_" not in page.evaluate("document.cookie")
    assert not complaints


def test_the_form_works_without_a_script(site, driven):
    kit, base = site
    _, secret = kit.person("lee@ward.example")
    page, complaints = opened(driven, java_script_enabled=False)
    page.goto(f"{base}/signin?return=/healthz")
    page.fill("[name=login]", "lee@ward.example")
    page.fill("[name=password]", "not this one at all")
    page.fill("#signin [name=code]", code(secret))
    page.click("#signin button")
    assert "That did not work" in page.inner_text("[role=alert]")
    page.fill("[name=password]", PASSWORD)
    page.fill("#signin [name=code]", code(secret))
    page.click("#signin button")
    page.wait_for_url(f"{base}/healthz")
    # The one complaint is of the 401 itself.
    assert len(complaints) <= 1
