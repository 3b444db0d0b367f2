"""The developers' pages: what they print works as printed, and what they offer is what the server allows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import browser
import live
from portal_kit import Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]


class Endpoint(BaseHTTPRequestHandler):
    """Where an application takes webhooks; `answer` is what it says."""

    answer = 204

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def portal(tmp_path_factory, endpoint):
    host, port = endpoint.split(":")
    reach = {"WARDLIGHT_OUTGOING_TARGETS": json.dumps([f"{host}/32:{port}"])}
    with (
        live.installation(tmp_path_factory.mktemp("developers"), "--samples", environment=reach) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


def tab(page, name: str, there: str) -> None:
    page.click(f"nav.tabs a:has-text('{name}')")
    page.wait_for_selector(there)


def printed(page, name: str) -> str:
    return page.locator(f"[data-code={name}]").inner_text()


def run(line: str, folder: Path, **environment: str) -> str:
    """What it prints, run as printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", line], cwd=folder, env={**os.environ, "PATH": path, **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def python(text: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def pem_pair() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def test_an_operator_registers_an_application_and_ends_it(portal):
    private, public = pem_pair()
    with portal.person("operator", path="/developers") as page:
        sent: list[str] = []
        page.on("request", lambda one: sent.append(one.post_data or "") if one.method == "POST" else None)
        page.wait_for_selector("tbody tr button")
        page.click("button:has-text('Register application')")
        page.fill("[name=id]", "acme_viewer_test")
        page.fill("[name=name]", "Acme Viewer")
        page.fill("[name=vendor]", "Acme Inc.")
        page.uncheck("label:has-text('images.results') input")
        page.click("button[type=submit]")
        page.click("tbody button:has-text('Acme Viewer')")
        panel = page.locator("aside[aria-label='Acme Viewer']")
        panel.locator("text=Waits for approval").wait_for()
        assert panel.locator("li:has-text('images.results')").count() == 0
        panel.locator("button:has-text('Add public key')").click()
        page.fill("form textarea", private)
        page.click("button[type=submit]")
        page.wait_for_selector("[role=alert]:has-text('This is a private key. It was not sent.')")
        assert not any("PRIVATE" in one for one in sent)
        page.fill("form textarea", public)
        page.click("button[type=submit]")
        panel.locator("li:has-text('ES256')").wait_for()
        panel.locator("button:has-text('Approve')").click()
        panel.locator("text=Active").wait_for()
        accessible(page)
        panel.locator("button:has-text('Suspend')").click()
        page.locator("[role=dialog] >> text=Its tokens stop working").wait_for()
        page.click("[role=dialog] button.dan")
        panel.locator(".st:has-text('Suspended')").wait_for()
        panel.locator("button:has-text('Delete')").click()
        assert page.locator("[role=dialog] button.dan").is_disabled()
        page.fill("[role=dialog] input", "acme_viewer_test")
        page.click("[role=dialog] button.dan")
        page.wait_for_selector("tbody button:has-text('Acme Viewer')", state="detached")
        a_secret_is_shown_once(page)
        tab(page, "Webhooks", "[data-code=operator]")
        listed = portal.wardlight.wardlight(*printed(page, "operator").splitlines()[0].split()[1:])
        assert listed.returncode == 0


def a_secret_is_shown_once(page) -> None:
    page.click("button:has-text('Register application')")
    page.fill("[name=id]", "acme_batch_test")
    page.fill("[name=name]", "Acme Batch")
    page.fill("[name=vendor]", "Acme Inc.")
    page.select_option("label:has-text('Proves who it is by') select", "client_secret_basic")
    page.click("button[type=submit]")
    page.click("tbody button:has-text('Acme Batch')")
    panel = page.locator("aside[aria-label='Acme Batch']")
    panel.locator("button:has-text('New secret')").click()
    page.wait_for_selector("[data-code=secret]")
    secret = printed(page, "secret")
    assert len(secret) > 30
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-code=secret]", state="detached")
    panel.locator("li:has-text('secret')").first.wait_for()
    assert secret not in page.content()


def test_who_may_not_sees_who_may(portal):
    with portal.person("clinician", path="/developers") as page:
        page.wait_for_selector("text=Administrators and privacy officers see which applications")
        page.wait_for_selector("text=webhooks.manage")
        tab(page, "Webhooks", "text=see where events of their institution are sent")
        assert page.locator("[data-code=operator]").count() == 0
        accessible(page)


def test_webhooks_by_the_printed_lines_and_what_became_of_them(portal, endpoint, tmp_path):
    me = portal.wardlight.facts["applications"][0]
    with portal.person("administrator", path="/developers") as page:
        page.wait_for_selector("tbody tr button")
        assert page.locator("button:has-text('Register application')").count() == 0
        page.click("tbody button:has-text('Lumen Reader')")
        page.wait_for_selector("aside >> text=Keys and secrets are shown to operators")
        tab(page, "Webhooks", "[data-code=register]")
        lines = {
            name: printed(page, name)
            for name in ("register", "test", "deliveries", "redeliver", "change", "rotate", "end")
        }
        assert all(portal.wardlight.facts["web"] in line for line in lines.values())
        here = {
            name: line.replace("https://app.example", f"http://{endpoint}") for name, line in lines.items()
        }
        made = json.loads(run(here["register"], tmp_path, TOKEN=me["token"]))
        assert made["secret"].startswith("whsec_")
        names = {"TOKEN": me["token"], "WEBHOOK": made["id"]}

        def delivered() -> list[dict[str, object]]:
            found = json.loads(run(here["deliveries"], tmp_path, **names))["deliveries"]
            return [one for one in found if one["state"] == "delivered"]

        run(here["test"], tmp_path, **names)
        (first,) = live.wait_until(delivered, 30, "the test event")
        again = json.loads(run(here["redeliver"], tmp_path, **names, DELIVERY=str(first["id"])))
        assert again["state"] == "pending"
        live.wait_until(delivered, 30, "it again")
        assert json.loads(run(here["rotate"], tmp_path, **names))["secret"] != made["secret"]
        changed = json.loads(run(here["change"], tmp_path, **names))
        assert changed["kinds"] == ["study.available", "study.deleted"]
        Endpoint.answer = 503
        sent = ["storescu", "-aec", "WARD_READER", "+sd", "127.0.0.1", str(portal.wardlight.dicom_port)]
        subprocess.run([*sent, str(portal.wardlight.data / "samples")], check=True, timeout=60)

        def failing() -> bool:
            found = json.loads(run(here["deliveries"], tmp_path, **names))["deliveries"]
            return any(one["status"] == 503 for one in found)

        live.wait_until(failing, 60, "a failure")
        page.reload()
        row = page.locator("button.dev-row:has-text('study.available')").first
        row.locator("text=Failed, will be tried again").wait_for()
        row.click()
        page.wait_for_selector("article >> text=HTTP 503")
        page.wait_for_selector("article >> text=This event opened access")
        assert page.locator("section[aria-label=Endpoints]").inner_text().count(endpoint) == 1
        Endpoint.answer = 204
        page.click("button:has-text('Failed only')")
        page.wait_for_selector("button.dev-row:has-text('webhook.test')", state="detached")
        accessible(page)
        assert json.loads(run(here["end"], tmp_path, **names))["ended"]


def test_the_reference_is_searched_tried_and_copied(portal, tmp_path):
    environment = {"TOKEN": portal.wardlight.token()}
    with portal.person("administrator", path="/developers/api") as page:
        page.wait_for_selector("button.dev-row:has-text('List Grants')")
        everything = page.locator("button.dev-row").count()
        described = requests.get(f"{portal.url}/api/openapi.json", timeout=20).json()["paths"]
        routes = [
            one for each in described.values() for method, one in each.items()
            if method in ("get", "post", "put", "patch", "delete") and not one["summary"].startswith("Portal ")
        ]  # fmt: skip
        assert everything == len(routes)
        page.fill("input[type=search]", "sharing list grants")
        page.locator("button.dev-row").nth(1).wait_for(state="detached")
        page.click("button.dev-row")
        page.fill("article input[name=limit]", "1")
        page.click("article button:has-text('Send')")
        page.wait_for_selector("[data-answer='200']")
        assert json.loads(page.locator("[data-answer] pre").inner_text())["grants"]
        assert len(json.loads(run(printed(page, "curl"), tmp_path, **environment))["grants"]) == 1
        page.click("button:has-text('Python')")
        assert python(printed(page, "python"), tmp_path, **environment).startswith('200 {"grants"')
        page.wait_for_selector("article >> text=404")
        accessible(page)
        what_changes_asks_first(page, portal, tmp_path)
        # Only an application may; nothing is asked as somebody else.
        page.fill("input[type=search]", "list webhooks")
        page.click("button.dev-row:has-text('List Webhooks')")
        page.wait_for_selector("article >> text=Only applications may ask this")
        assert page.locator("article button:has-text('Send')").count() == 0
        assert page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})").count("wl_") == 0


def what_changes_asks_first(page, portal: Portal, folder: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    page.fill("input[type=search]", "search audit trail")
    page.click("button.dev-row:has-text('Search Audit Trail')")
    page.fill("article textarea", '{"patients": [{"id": "nobody"}]}')
    page.click("button:has-text('Ask, then send')")
    page.click("[role=dialog] button:has-text('Keep as it is')")
    page.wait_for_selector("[role=dialog]", state="detached")
    assert sent == []
    page.click("button:has-text('Ask, then send')")
    page.click("[role=dialog] button:has-text('Send it')")
    page.wait_for_selector("[data-answer='200']")
    assert len(sent) == 1
    assert "entries" in json.loads(run(printed(page, "curl"), folder, TOKEN=portal.wardlight.token()))


def test_the_quick_start_works_as_printed(portal, tmp_path):
    with portal.person("privacy-officer", path="/developers/quick-start") as page:
        page.wait_for_selector("[data-code=curl]")
        page.wait_for_function(
            "at => document.querySelector('[data-code=curl]').innerText.includes(at)",
            arg=portal.wardlight.facts["web"],
        )
        names = ("company", "operator", "hospital", "send", "read", "follow", "curl")
        lines = {name: printed(page, name) for name in names}
        accessible(page)
    environment = {
        **portal.wardlight.environment(),
        "RECEIVER": portal.wardlight.facts["dicom"]["host"],
        "PORT": str(portal.wardlight.dicom_port),
    }
    for name in ("company", "operator", "hospital"):
        run(lines[name], tmp_path, **environment)
    (tmp_path / "folder").symlink_to(portal.wardlight.data / "samples")

    def granted() -> list[str]:
        # The receiver hears of the agreement within seconds; until then it refuses what is for the application.
        subprocess.run(
            ["bash", "-c", lines["send"]], cwd=tmp_path, env={**os.environ, **environment}, timeout=60
        )
        return re.findall(r"^2\.25\.\d+ TREAT until \d{4}-.* 5 files$", python(lines["read"], tmp_path), re.M)

    assert len(live.wait_until(granted, 90, "a grant for the new application")) == 1
    assert len(list((tmp_path / "studies").glob("*/*"))) == 5
    follower = subprocess.Popen(
        [sys.executable, "-c", lines["follow"]], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert follower.stdout is not None
        told = next(line for line in follower.stdout if line.startswith("study."))
    finally:
        follower.kill()
        follower.wait()
    assert re.fullmatch(r"study.available [0-9a-f]{32}\n", told)
    token = portal.wardlight.facts["applications"][0]["token"]
    for line in lines["curl"].splitlines():
        assert json.loads(run(line, tmp_path, TOKEN=token))


def test_axe_finds_nothing_on_any_page_in_either_scheme(portal):
    with portal.person("administrator", path="/developers", scheme="dark") as page:
        for _ in range(2):
            page.wait_for_selector("tbody tr button")
            accessible(page)
            tab(page, "Webhooks", ".dev-row b, [data-code=register]")
            accessible(page)
            tab(page, "API reference", "button.dev-row")
            page.click("button.dev-row:has-text('List Applications') >> nth=0")
            page.wait_for_selector("article")
            accessible(page)
            tab(page, "Quick start", "[data-code=curl]")
            accessible(page)
            page.click("button[aria-label*='scheme']")
            tab(page, "Applications", "tbody tr button")
