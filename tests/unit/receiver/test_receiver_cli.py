"""The commands of routes, status and quarantine, as scripts call them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select
from typer.testing import CliRunner, Result

import receiver_data
from wardlight.cli import receiver as receiver_cli
from wardlight.cli import route as route_cli
from wardlight.receiver import credential, process, tables
from wardlight.receiver.places import database_path
from wardlight.receiver.store import ReceiverStore

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # Nothing listens there; on the default port somebody may.
    chosen = receiver_data.settings(tmp_path, platform_url="http://127.0.0.1:1")
    for name, value in chosen.environment().items():
        monkeypatch.setenv(name, value)
    process.prepare(chosen)
    runner = CliRunner()
    apps = {"route": route_cli.app, "receiver": receiver_cli.app}
    return lambda app, *arguments: runner.invoke(apps[app], list(arguments))


def test_routes_from_the_command_line(run: Run, tmp_path: Path) -> None:
    made = run(
        "route", "create", "WARD_CT", "--to", "images:medium", "--to", "acme:high", "--calling", "CT*",
        "--network", "10.1.2.3/16", "--unknown-syntaxes", "--json",
    )  # fmt: skip
    assert made.exit_code == 0
    (row,) = json.loads(made.output)
    assert row == {
        "called_ae": "WARD_CT",
        "to": [{"application": "images", "level": "medium"}, {"application": "acme", "level": "high"}],
        "calling": ["CT*"],
        "networks": ["10.1.0.0/16"],
        "unknown_syntaxes": True,
        "enabled": True,
    }
    assert run("route", "create", "WARD_CT").exit_code == 1
    assert run("route", "change", "WARD_CT", "--disable", "--calling", "").exit_code == 0
    shown = json.loads(run("route", "show", "WARD_CT", "--json").output)
    assert (shown["enabled"], shown["calling"], shown["networks"]) == (False, [], ["10.1.0.0/16"])
    assert [row["called_ae"] for row in json.loads(run("route", "list", "--json").output)] == [
        "TEAMPLAYISHARE",
        "WARD_CT",
    ]
    assert "TEAMPLAYISHARE" in run("route", "list").output
    assert run("route", "delete", "WARD_CT").exit_code == 0
    assert run("route", "show", "WARD_CT").exit_code == 1
    store = ReceiverStore(database_path(receiver_data.settings(tmp_path)))
    with store.database.read() as tx:
        entries = [json.loads(row) for row in tx.execute(select(tables.audit_pending.c.content)).scalars()]
    store.close()
    assert [entry["action"].rsplit(":", 1)[1] for entry in entries] == ["start", "create", "change", "delete"]
    assert entries[2]["change"] == [
        {"path": "calling", "before": "CT*", "after": ""},
        {"path": "enabled", "before": "true", "after": "false"},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "A" * 17),
        ("create", "WARD", "--to", "images:lowest"),
        ("create", "WARD", "--network", "everywhere"),
        ("change", "NOBODY", "--disable"),
        ("delete", "NOBODY"),
    ],
)
def test_a_bad_route_says_why_and_ends_with_1(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("route", *arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_status_of_a_fresh_receiver(run: Run) -> None:
    found = json.loads(run("receiver", "status", "--json", "--offline").output)
    assert found["queue"] == {"uploads": 0, "objects": 0, "bytes": 0, "oldest": None, "attempts": 0}
    assert found["quarantine"] == {"objects": 0, "reasons": {}}
    assert found["spool"]["key_tier"] == 3
    assert found["spool"]["free_bytes"] > 0
    assert found["platform"] == {"last": None, "since": None, "refused": {}, "credential": False}
    page = run("receiver", "status")
    assert page.exit_code == 0
    assert "not reachable now" in page.output
    assert "no credential" in page.output


def test_status_says_that_the_credential_is_not_taken(run: Run, tmp_path: Path) -> None:
    """As after a revocation, or before the digits were confirmed: objects wait, and nothing is hidden."""
    chosen = receiver_data.settings(tmp_path, platform_url="http://127.0.0.1:1")
    credential.save(chosen.receiver_secrets, "rc-0", "https://w.example", ECKey.generate_key("P-256"))
    store = ReceiverStore(database_path(chosen))
    store.note("platform", "unauthenticated")
    store.close()
    assert json.loads(run("receiver", "status", "--json", "--offline").output)["platform"]["credential"]
    page = run("receiver", "status", "--offline").output
    assert (
        "does not take the credential: not confirmed yet, or revoked" in page and "no credential" not in page
    )


def test_enrolment_sends_no_code_in_clear(run: Run) -> None:
    code = f"WL1-{'A' * 20}-{'A' * 26}"
    for address in ("http://ward.example", "ftp://ward.example", "https://u@ward.example"):
        failed = run("receiver", "enrol", code, "--platform", address)
        assert failed.exit_code == 1 and "the platform's address" in failed.output
    nobody = run("receiver", "enrol", code)
    assert nobody.exit_code == 1 and "unavailable" in nobody.output
    assert run("receiver", "enrol", "WL1-x", "--platform", "https://ward.example").exit_code == 1


def test_an_empty_quarantine(run: Run) -> None:
    assert json.loads(run("receiver", "quarantine", "list", "--json").output) == []
    assert run("receiver", "quarantine", "purge", "--older-than-days", "0").output == "0 removed\n"
