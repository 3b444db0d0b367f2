"""`wardlight admin oidc` and `admin federation`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wardlight import bootstrap
from wardlight.cli import app
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.settings import Settings

Run = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    platform = bootstrap.platform(Settings(data_dir=tmp_path / "data", demo=True))
    platform.identity.create_institution("stmary", "St Mary", "eu", by=BY)
    platform.applications.register("acme_reader_prod", "Acme", "Acme Inc.", by=BY)
    platform.close()
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WARDLIGHT_DEMO", "true")

    def run(*arguments: str, error: str = "") -> str:
        done = CliRunner().invoke(app, ["admin", *arguments, "--data", str(data)])
        if error:
            assert isinstance(done.exception, WardlightError) and done.exception.code == error
        else:
            assert done.exit_code == 0, done.output
        return done.output

    return run


def test_a_key_is_rotated(run: Run, data: Path) -> None:
    first = json.loads(run("oidc", "rotate-key", "--json"))["kid"]
    second = run("oidc", "rotate-key").strip()
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    assert [key["kid"] for key in platform.provider.keys.public()["keys"]] == [second, first]
    platform.close()


def test_where_an_application_is_told(run: Run) -> None:
    run("oidc", "logout-uri", "acme_reader_prod", "https://acme.example/out")
    run("oidc", "logout-uri", "acme_reader_prod", "")
    run("oidc", "logout-uri", "acme_reader_prod", "ftp://acme.example/", error="bad-request")
    run("oidc", "logout-uri", "nobody", "https://acme.example/out", error="not-found")


def test_a_provider_is_set_shown_and_removed(run: Run, tmp_path: Path) -> None:
    run("federation", "show", "stmary", error="not-found")
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret of ours\n")
    told = run(
        "federation", "set", "stmary", "--issuer", "https://login.stmary.example", "--client-id", "wardlight",
        "--secret-file", str(secret), "--require", "groups=staff", "--default-role", "clinician",
    )  # fmt: skip
    assert "redirect_uri=http://localhost:8080/federation/stmary/callback" in told
    shown = json.loads(run("federation", "show", "stmary", "--json"))
    assert shown["auth_method"] == "client_secret_basic" and "secret of ours" not in json.dumps(shown)
    assert (shown["required_claim"], shown["required_value"], shown["default_role"]) == (
        "groups", "staff", "clinician",
    )  # fmt: skip
    run("federation", "set", "stmary", "--issuer", "https://login.stmary.example", "--client-id", "wardlight")
    assert "auth_method=private_key_jwt" in run("federation", "show", "stmary")
    run(
        "federation", "set", "stmary", "--issuer", "http://login.stmary.example", "--client-id", "w",
        error="bad-request",
    )  # fmt: skip
    run(
        "federation", "set", "stmary", "--issuer", "https://x.example", "--client-id", "w",
        "--secret-file", str(tmp_path / "none"), error="bad-request",
    )  # fmt: skip
    run("federation", "remove", "stmary")
    run("federation", "remove", "stmary", error="not-found")
