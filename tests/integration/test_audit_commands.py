"""Each command, run for real, writes the audit actions that it declares, and no others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from typer.main import get_command

from wardlight import bootstrap
from wardlight.cli import app
from wardlight.cli.actions import COMMANDS, OPENING
from wardlight.db.engine import EVERYWHERE, open_database
from wardlight.receiver import process
from wardlight.receiver.places import database_path
from wardlight.settings import load

#: Words of a call, in an order in which each finds what it needs; `KEY` and `FILE` are made here.
CALLS = (
    "migrate",
    "admin institution create stmary --name Mary --region eu",
    "admin institution list",
    "admin institution show stmary",
    "admin user create stmary hale --name Hale --role administrator",
    "admin user list stmary",
    "admin user token stmary hale",
    "admin user revoke stmary hale",
    "admin application create acme --name Acme --vendor Acme",
    "admin application list",
    "admin agreement create stmary images --level high --basis gdpr:6.1.e+9.2.h --purpose TREAT --attested-by Kim",
    "admin agreement create stmary images --level medium --basis gdpr:6.1.e+9.2.h --purpose TREAT --attested-by Kim",
    "admin agreement list stmary",
    "admin agreement show stmary images",
    "admin receiver create stmary gateway-1 --token-file FILE",
    "admin receiver list stmary",
    "admin receiver token stmary gateway-1 --token-file FILE",
    "admin receiver revoke stmary gateway-1",
    "admin route create WARD --to images:high",
    "admin route change WARD --disable",
    "admin route list",
    "admin route show WARD",
    "admin route delete WARD",
    "receiver status --offline",
    "receiver quarantine list",
    "receiver quarantine purge --older-than-days 1",
    "fsck --deep --json",
)
#: Commands that run until they are ended, whose processes `tests/fault` and `test_start` run; with them what writes an
#: entry only where there is something to do.
ELSEWHERE = {"demo", "serve", "web", "worker", "receiver", "deidentify"}
ONLY_WHERE_THERE_IS_SOMETHING = {"receiver quarantine purge"}


class Installation:
    """A data folder, commands run on it, and the entries that each leaves on the platform and at the receiver."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.environ["WARDLIGHT_DATA_DIR"] = str(folder / "data")
        self.settings = load()
        self.seen: set[str] = set()

    def run(self, words: str) -> str:
        arguments = words.replace("FILE", str(self.folder / "token")).split()
        result = CliRunner().invoke(get_command(app), arguments, catch_exceptions=False)
        assert result.exit_code == 0, (words, result.output)
        return result.output

    def new(self) -> list[str]:
        """Actions of entries that were not there at the last call."""
        found = [
            *self._entries(
                self.settings.index_path, "audit_pending UNION ALL SELECT content FROM audit_entry"
            )
        ]
        if database_path(self.settings).exists():
            found += self._entries(database_path(self.settings), "audit_pending")
        fresh = [entry for entry in found if entry["id"] not in self.seen]
        self.seen |= {entry["id"] for entry in fresh}
        return [entry["action"] for entry in fresh]

    def _entries(self, path: Path, tables: str) -> list[dict]:
        if not path.exists():
            return []
        database = open_database(f"sqlite:///{path}")
        try:
            with database.read(EVERYWHERE) as tx:
                return [json.loads(row[0]) for row in tx.execute(text(f"SELECT content FROM {tables}"))]
        finally:
            database.close()


@pytest.fixture
def installation(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WARDLIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    return Installation(tmp_path)


def command_of(words: str) -> str:
    return max((name for name in COMMANDS if f"{words} ".startswith(f"{name} ")), key=len)


def test_each_command_writes_what_it_declares(installation):
    written: dict[str, set[str]] = {}
    for words in CALLS:
        name = command_of(words)
        installation.run(words)
        if words.startswith("migrate"):
            # What others find there is made: the receiver and its database.
            process.prepare(installation.settings)
            entries = installation.new()
            assert {"platform:node:start"} < set(entries)
            entries.remove("platform:node:start")
        else:
            entries = installation.new()
        declared = COMMANDS[name]
        allowed = set(OPENING) | (set() if isinstance(declared, str) else set(declared))
        assert set(entries) <= allowed, (words, set(entries) - allowed)
        own = set(entries) - set(OPENING) if name != "migrate" else set(entries)
        assert own or isinstance(declared, str) or name in ONLY_WHERE_THERE_IS_SOMETHING, words
        written.setdefault(name, set()).update(own)
    for name, found in written.items():
        declared = COMMANDS[name]
        if not isinstance(declared, str) and name not in {*ONLY_WHERE_THERE_IS_SOMETHING, "fsck"}:
            assert found == set(declared), name


def test_no_command_is_left_out():
    called = {command_of(words) for words in CALLS}
    assert called | ELSEWHERE == set(COMMANDS)


def test_the_jobs_of_a_round_write_nothing_undeclared(installation):
    """A round of each table on a platform with nothing to do, and with an institution that is new."""
    installation.run("admin institution create stmary --name Mary --region eu")
    installation.new()
    platform = bootstrap.platform(installation.settings)
    try:
        for job in bootstrap.JOBS:
            job.run(platform)
            assert set(installation.new()) <= set(job.actions), job.name
    finally:
        platform.close()
