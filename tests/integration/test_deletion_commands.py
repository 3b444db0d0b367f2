"""Deletion, receipts, rolls, backup, restore and doctor by command, as an operator runs them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from typer.main import get_command

from archive_kit import Kit, dataset
from wardlight import bootstrap
from wardlight.bootstrap import WORKER
from wardlight.cli import app
from wardlight.cli.actions import COMMANDS, OPENING
from wardlight.errors import WardlightError
from wardlight.settings import Settings, load
from wardlight.trail.bundle import trust_of

UID = "1.2.3.4"


class Machine:
    """A data folder and the commands on it; entries of each command are those that it declares."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Settings = load()
        self.seen: set[str] = set()

    def prepare(self) -> None:
        platform = bootstrap.platform(self.settings)
        kit = Kit(platform, self.settings.data_dir)
        kit.store(dataset(StudyInstanceUID=UID))
        kit.store(dataset(StudyInstanceUID="1.5"))
        kit.archive.complete(WORKER)
        platform.sealer.seal()
        head = platform.audit_log.logs(kit.institution.id)[-1]
        (self.folder / "trust.json").write_text(json.dumps(trust_of(platform.audit_log, head, ())))
        self.new(platform)
        platform.close()

    def work(self) -> None:
        platform = bootstrap.platform(self.settings)
        platform.deletion_work.work(WORKER)
        platform.sealer.seal()
        self.new(platform)
        platform.close()

    def new(self, platform: bootstrap.Platform) -> set[str]:
        """Actions of entries since the last call."""
        from sqlalchemy import text

        from wardlight.db.engine import EVERYWHERE

        query = text("SELECT content FROM audit_pending UNION ALL SELECT content FROM audit_entry")
        with platform.database.read(EVERYWHERE) as tx:
            found = {entry["id"]: entry["action"] for entry in map(json.loads, tx.execute(query).scalars())}
        fresh = {action for id_, action in found.items() if id_ not in self.seen}
        self.seen |= set(found)
        return fresh

    def run(self, *words: str, exit_code: int = 0, wrote: set[str] | None = None) -> str:
        result: Result = CliRunner().invoke(get_command(app), list(words), catch_exceptions=True)
        if isinstance(result.exception, WardlightError):
            return f"refused: {result.exception.code}"
        assert result.exit_code == exit_code, (words, result.output, result.exception)
        if wrote is not None:
            platform = bootstrap.platform(self.settings)
            declared = COMMANDS[" ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]]
            entries = self.new(platform) - {one.value for one in OPENING}
            platform.close()
            assert entries == wrote
            assert isinstance(declared, str) or entries <= {one.value for one in declared}
        return result.output


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in [name for name in os.environ if name.startswith("WARDLIGHT_")]:
        monkeypatch.delenv(name)
    for name in ("one", "two"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WARDLIGHT_KEYSLOT_DIRS", json.dumps([str(tmp_path / "one"), str(tmp_path / "two")]))
    monkeypatch.setenv("WARDLIGHT_KEYSTORE_COPIES_DIR", str(tmp_path / "copies"))
    made = Machine(tmp_path)
    made.prepare()
    yield made


def test_by_command(machine: Machine) -> None:
    run, folder = machine.run, machine.folder
    backup = str(folder / "backup")
    assert "backed up" in run("backup", backup, wrote={"platform:backup:create"})
    assert run("backup", backup, "--keystore", f"{backup}/keys") == "refused: settings-unsafe"

    begun = json.loads(run("study", "delete", "stmary", UID, "--json", wrote={"archive:study:delete"}))
    id_ = begun["id"]
    assert run("study", "allow", "stmary", id_) == "refused: conflict"
    assert run("study", "delete", "stmary", "1.9.9") == "refused: not-found"
    machine.work()
    assert "removed" in run("study", "deletions", "stmary", wrote=set())
    assert run("keys", "roll", "stmary") == "nothing to roll\n", "the worker would not do it yet"
    rolled = {"archive:key:rewrap", "archive:receipt:issue"}
    assert "epoch=2" in run("keys", "roll", "--now", wrote=rolled)
    assert run("keys", "roll", "--now") == "nothing to roll\n"
    file, trust = str(folder / "receipt.json"), str(folder / "trust.json")
    run("study", "receipt", "stmary", id_, "--out", file, wrote={"archive:receipt:issue"})
    found = json.loads(run("receipt", "verify", file, "--trust", trust, "--json"))
    assert found["verdict"] == "verified" and found["receipt"]["backups_unreadable_since"]
    run("receipt", "verify", file, "--trust", file, exit_code=2)
    run("study", "allow", "stmary", id_, wrote={"archive:study:unhold"})

    run("backup", backup)
    shutil.rmtree(folder / "data" / "index")
    assert "1 releases" in run("restore", backup)
    assert "clean" in run("fsck", "--deep")
    assert run("restore", backup) == "refused: already-exists"


def test_doctor(machine: Machine) -> None:
    def states(exit_code: int) -> dict[str, str]:
        text = machine.run("doctor", "--json", exit_code=exit_code, wrote={"platform:check:run"})
        return {one["code"]: one["state"] for one in json.loads(text)["findings"]}

    assert states(1)["keystore-copies"] == "error", "none was shipped yet"
    platform = bootstrap.platform(machine.settings)
    assert platform.ship_keystore() == 1 and platform.ship_keystore() == 0
    platform.close()
    machine.run("backup", str(machine.folder / "backup"))
    machine.new(bootstrap.platform(machine.settings))
    found = states(0)
    assert {code for code, state in found.items() if state != "ok"} <= {
        "root-plain-file",
        "keyslot-mirrors",
        "swap",
    }
    for slot in (machine.folder / "two").glob("*.slot"):
        slot.write_bytes(b"damaged")
    shutil.rmtree(machine.folder / "one")
    assert "refused" in machine.run("doctor"), "a mirror that is not mounted is told by every start"
