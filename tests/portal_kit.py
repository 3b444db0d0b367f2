"""People before the portal: a real installation with the demo's studies, Chromium, and what every page is held to."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

import live
from wardlight.identity import totp

AXE = Path(__file__).parents[1] / "ui/node_modules/axe-core/axe.min.js"
DESKTOP = {"width": 1440, "height": 900}
TABLET = {"width": 834, "height": 1112}
#: Parts of the browser itself, such as its viewer of PDF: nothing that leaves the machine.
_OWN = ("chrome://", "chrome-extension://")
#: What a browser says of a password's field is no complaint of ours.
_HARMLESS = ("Password forms should have",)


class Portal:
    """One running installation, and a browser for it."""

    def __init__(self, wardlight: live.Installation, chromium: Browser) -> None:
        self.wardlight = wardlight
        self.chromium = chromium
        self.url = f"http://localhost:{wardlight.web_port}"
        self._codes: dict[str, int] = {}

    @contextmanager
    def person(
        self, role: str = "administrator", *, path: str = "/studies", scheme: str = "light", size: Any = None
    ) -> Iterator[Page]:
        """A page of somebody who has signed in. At the end nothing was thrown, refused by policy or asked elsewhere."""
        with self.context(scheme, size) as context:
            page = context.new_page()
            said: list[str] = []
            elsewhere: list[str] = []
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on(
                "console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None
            )
            page.on(
                "request",
                lambda one: (
                    elsewhere.append(one.url)
                    if not one.url.startswith((self.url, "blob:", "data:", *_OWN))
                    else None
                ),
            )
            self.sign_in(page, role, path)
            yield page
            said = [one for one in said if not one.startswith(_HARMLESS)]
            assert not said, said
            assert not elsewhere, elsewhere

    @contextmanager
    def context(self, scheme: str = "light", size: Any = None) -> Iterator[BrowserContext]:
        context = self.chromium.new_context(viewport=size or DESKTOP, color_scheme=scheme)  # type: ignore[arg-type]
        try:
            yield context
        finally:
            context.close()

    def sign_in(self, page: Page, role: str = "administrator", path: str = "/studies") -> None:
        """By password and code; a code serves once, so that a second sign-in takes the next step's."""
        who = next(row for row in self.wardlight.facts["people"] if row["role"] == role)
        page.goto(f"{self.url}/signin?return={path}")
        page.fill("[name=login]", who["login"])
        page.fill("[name=password]", who["password"])
        page.fill("[name=code]", self._code(who))
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{path}**")
        page.wait_for_selector("nav.nav")

    def _code(self, who: dict[str, Any]) -> str:
        secret = who["totp_secret"].replace(" ", "")
        step = max(int(time.time()) // 30, self._codes.get(who["login"], 0) + 1)
        while step > int(time.time()) // 30 + 1:
            time.sleep(1)
        self._codes[who["login"]] = step
        return totp.code(base64.b32decode(secret + "=" * (-len(secret) % 8)), step)


def accessible(page: Page) -> None:
    """axe finds nothing serious on the page as it is."""
    page.evaluate(AXE.read_text())  # By the debugger, which the page's policy does not bind.
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    serious = [
        f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']][:3])}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious, serious
