"""A partner's web application on npm's openid-client, which checks all that the standards tell it to."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import live
from interop.test_oidc_provider import HERE, NODE, installed
from oidc_kit import Partner, Person, World, a_world
from wardlight.settings import WebSettings
from wardlight.web.server import WebServer


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    port = live.free_port()
    with a_world(web=WebSettings(port=port), public_url=f"http://localhost:{port}") as made:
        server = WebServer(made.web.services)
        server.bind()
        serving = threading.Thread(target=server.run)
        serving.start()
        yield made
        server.stop()
        serving.join()


def test_a_partner_s_library_signs_in_its_user(world: World) -> None:
    installed()
    partner = Partner(world, "acme_reader_prod")
    person = Person(world, "dr.hale@stmary.example")
    given = {
        "issuer": world.issuer,
        "client_id": partner.id,
        "redirect_uri": "https://reader.example/callback",
        "key": partner.key.as_dict(private=True),
    }
    with subprocess.Popen(
        [NODE / "bin/node", HERE / "partner.mjs", json.dumps(given)],
        cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdin and process.stderr
        place = urlsplit(process.stdout.readline().strip())
        assert f"{place.scheme}://{place.netloc}" == world.issuer
        page = person.visit(f"{place.path}?{place.query}")
        answer = person.submit(page, origin=world.issuer)
        out, errors = process.communicate(answer.headers["location"] + "\n", timeout=30)
    assert process.returncode == 0, errors
    learnt = json.loads(out)
    assert learnt["user"]["name"] == "Robin Hale"
    assert learnt["claims"]["sub"] == learnt["refreshed"] == learnt["said"]["sub"] == learnt["user"]["sub"]
    assert learnt["said"]["active"] and "images.read" in learnt["said"]["scope"]
    bye = urlsplit(learnt["bye"])
    assert person.session is not None
    person.visit(f"{bye.path}?{bye.query}")
    assert person.session is None
