"""`wardlight admin user …` and `admin institution …`: how people get in, and how that ends, from the machine itself."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from typer.main import get_command

from people_kit import cheap_passwords
from wardlight import bootstrap
from wardlight.cli.admin import app
from wardlight.errors import WardlightError
from wardlight.identity.model import TokenScope
from wardlight.identity.sign_in import Attempt
from wardlight.settings import Settings

LOGIN = "hale@stmary.example"
PASSWORD = "umbrella horizon 42 tin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("people") / "data"


@pytest.fixture(scope="module")
def run(folder):
    command = get_command(app)

    def run(*arguments, error="", given=""):
        result = CliRunner().invoke(command, [*arguments, "--data", str(folder)], input=given)
        if error:
            assert isinstance(result.exception, WardlightError) and result.exception.code == error
            return None
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.output) if "--json" in arguments else result.output

    with cheap_passwords():
        run("institution", "create", "stmary", "--name", "St. Mary", "--network", "192.0.2.0/24")
        yield run


@pytest.fixture
def opened(folder):
    platform = bootstrap.platform(Settings(data_dir=folder, demo=True))
    yield platform
    platform.close()


def with_platform(folder, work):
    platform = bootstrap.platform(Settings(data_dir=folder, demo=True))
    try:
        return work(platform)
    finally:
        platform.close()


def test_somebody_from_invitation_to_deletion(run, folder):
    link = run("user", "invite", "stmary", LOGIN, "--name", "Robin Hale", "--role", "clinician")
    assert "/signin#link=wl_in_" in link
    assert run("user", "link", "stmary", LOGIN) != link
    run("user", "password", "stmary", LOGIN, given="short\n", error="bad-request")
    run("user", "password", "stmary", LOGIN, given="\n", error="bad-request")
    token = run("user", "link", "stmary", LOGIN).strip().partition("#link=")[2]
    with_platform(folder, lambda one: one.sign_in.follow_link(token, PASSWORD, Attempt("192.0.2.7")))
    rows = run("user", "sessions", "stmary", LOGIN, "--json")
    assert [(row["method"], row["address"]) for row in rows] == [("limited", "192.0.2.7")]
    assert run("user", "sessions", "stmary", LOGIN, "--end") == "1 sessions ended\n"
    run("user", "password", "stmary", LOGIN, given=f"{PASSWORD}\n")
    secret = run("user", "totp", "stmary", LOGIN, "--json")["secret"]
    assert len(secret) == 32
    run("user", "reset", "stmary", LOGIN)
    run("user", "role", "stmary", LOGIN, "administrator")
    run("user", "role", "stmary", LOGIN, "operator", error="bad-request")
    run("user", "suspend", "stmary", LOGIN, error="conflict")
    run("user", "role", "stmary", LOGIN, "clinician", error="conflict")
    run("user", "invite", "stmary", "kim@stmary.example", "--name", "Kim", "--role", "clinician")
    run("user", "unlock", "stmary", LOGIN)
    run("user", "delete", "stmary", "kim@stmary.example")
    run("user", "delete", "stmary", "kim@stmary.example", error="not-found")


def test_a_suspended_person_comes_back(run):
    run("user", "create", "stmary", "lee@stmary.example", "--name", "Lee", "--role", "researcher")
    assert "suspended" in run("user", "suspend", "stmary", "lee@stmary.example")
    run("user", "link", "stmary", "lee@stmary.example", error="conflict")
    assert "active" in run("user", "resume", "stmary", "lee@stmary.example")


def test_institutions_change_rest_and_close(run):
    assert "2001:db8::/48" in run("institution", "change", "stmary", "--network", "2001:db8::/48")
    run("institution", "change", "stmary", "--network", "everywhere", error="bad-request")
    run("institution", "create", "other", "--name", "Other")
    run("institution", "suspend", "other")
    assert run("institution", "show", "other", "--json")["state"] == "suspended"
    run("institution", "resume", "other")
    run("institution", "close", "other")
    run("institution", "resume", "other", error="conflict")
    run("institution", "suspend", "operator", error="bad-request")
    assert [row["slug"] for row in run("institution", "list", "--json")] == ["other", "stmary"]


def test_an_operator_is_made_and_gets_tokens_for_the_platform_alone(run, opened):
    run("user", "create", "operator", "op@ward.example", "--name", "Op", "--role", "operator")
    principal = opened.identity.authenticate(run("user", "token", "operator", "op@ward.example").strip())
    assert (principal.institution, principal.scopes) == (None, {TokenScope.PLATFORM})
    run("user", "token", "operator", "op@ward.example", "--scope", "images.read", error="bad-request")
    run(
        "user", "create", "stmary", "x@ward.example", "--name", "X", "--role", "operator", error="bad-request"
    )
