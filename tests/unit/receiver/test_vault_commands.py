"""`wardlight receiver vault`, `domain` and `reidentify`, run for real: what they print and leave in the trail."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey
from pydicom.dataset import FileMetaDataset
from sqlalchemy import select
from typer.main import get_command

from deid_kit import decode, minimal
from vault_kit import way_of
from wardlight.cli import app
from wardlight.cli.actions import COMMANDS
from wardlight.receiver import credential, domain, process, secrets
from wardlight.receiver.places import database_path, vault_path
from wardlight.receiver.quarantine import FOLDER
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending
from wardlight.receiver.vault import Vault
from wardlight.settings import Settings, load
from wardlight.trail.receiver_entry import check


class Receiver:
    """A receiver in a folder, and its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "wardlight.toml").write_text(f'data_dir = "{folder}"\n')
        self.settings: Settings = load(folder / "wardlight.toml")
        process.prepare(self.settings)
        credential.save(
            self.settings.receiver_secrets, "r-1", "https://ward.example", ECKey.generate_key("P-256")
        )
        self._seen = len(self._entries())

    def vault(self) -> Vault:
        return Vault(vault_path(self.settings), secrets.load(self.settings.receiver_secrets))

    def run(self, *words: str, given: str = "") -> Result:
        arguments = ["receiver", *words, "--config", str(self.folder / "wardlight.toml")]
        return CliRunner().invoke(get_command(app), arguments, input=given)

    def entries(self) -> list[dict]:
        """What was written since the last call; the platform takes all of it."""
        found = self._entries()
        fresh, self._seen = found[self._seen :], len(found)
        for one in fresh:
            check(one)
        return fresh

    def _entries(self) -> list[dict]:
        store = ReceiverStore(database_path(self.settings))
        try:
            with store.database.read() as tx:
                rows = tx.execute(select(audit_pending.c.content).order_by(audit_pending.c.seq))
                return [json.loads(row) for row in rows.scalars()]
        finally:
            store.close()


@pytest.fixture
def receivers(tmp_path, monkeypatch):
    monkeypatch.setenv("WARDLIGHT_NODE", "node-1")
    return Receiver(tmp_path / "one"), Receiver(tmp_path / "two")


def said(entries: list[dict], command: str) -> list[tuple[str, str]]:
    """Actions and outcomes, which the command declares."""
    actions = {one["action"] for one in entries}
    assert actions <= set(COMMANDS[command]), command
    return [(one["action"], one["outcome"]) for one in entries]


def test_from_a_pseudonym_to_the_patient_and_to_forgetting(receivers: tuple[Receiver, Receiver]) -> None:
    here, _ = receivers
    ds = minimal()
    vault = here.vault()
    way, header = way_of(vault, ds, secret=secrets.load(here.settings.receiver_secrets).hospital)
    vault.keep([way])
    vault.close()
    assert json.loads(here.run("vault", "status", "--json").output)["pseudonyms"] == 1
    assert here.entries() == []

    shown = here.run("vault", "read", way.pseudonym.decode(), "--json")
    assert json.loads(shown.output)["patient_id"] == ds.PatientID
    assert said(here.entries(), "receiver vault read") == [("receiver:vault:read", "success")]
    assert here.run("vault", "read", "-", given="AAAABBBBCCCCDDDD\n").exit_code == 1
    (entry,) = here.entries()
    assert "counts" not in entry

    forward = here.run("vault", "pseudonyms", "-", "--json", given=f"{ds.PatientID}\n")
    pseudonym = way.pseudonym.decode()
    expected = [{"application": "app", "level": "high", "pseudonym": pseudonym}]
    assert json.loads(forward.output) == expected
    assert ds.PatientID not in forward.output
    assert said(here.entries(), "receiver vault pseudonyms") == [("receiver:vault:read", "success")]
    assert here.run("vault", "pseudonyms", "-", given="NOBODY\n").exit_code == 1
    assert len(here.entries()) == 1

    result = decode(header)
    result.SOPInstanceUID = "2.25.4711"
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    file = here.folder / "result-of-somebody.dcm"
    result.save_as(file, enforce_file_format=True)
    (here.folder / "notes.txt").write_text("no DICOM")
    words = ("reidentify", str(file), str(here.folder / "notes.txt"), "--out", str(here.folder))
    ran = here.run(*words)
    assert ran.exit_code == 2 and ran.output.splitlines() == [
        f"1: {here.folder / '2.25.4711.dcm'}",
        "2: refused: not-dicom",
    ]
    assert said(here.entries(), "receiver reidentify") == [
        ("receiver:result:reidentify", "success"),
        ("receiver:result:reidentify", "denied"),
    ]
    lost = here.run("reidentify", str(here.folder / "Doe^Jane.dcm"), "--out", str(here.folder))
    assert lost.exit_code == 1 and "Doe" not in lost.output

    erased = here.run("vault", "erase", "--patient", "-", given=f"{ds.PatientID}\n")
    assert erased.exit_code == 0 and "1 pseudonyms" in erased.output
    assert said(here.entries(), "receiver vault erase") == [("receiver:vault:erase", "success")]
    assert "pseudonym-unknown" in here.run("reidentify", str(file), "--out", str(here.folder)).output
    (entry,) = here.entries()
    assert entry["reason"] == "pseudonym-unknown" and "subjects" not in entry


def test_a_second_receiver_joins_the_domain(receivers: tuple[Receiver, Receiver]) -> None:
    first, second = receivers
    key = second.run("domain", "key")
    place = first.folder / "second.jwk"
    place.write_text(key.output)
    assert "d" not in json.loads(key.output)
    sealed = first.run("domain", "export", "--for", str(place))
    assert said(first.entries(), "receiver domain export") == [("receiver:vault:export", "success")]
    (second.folder / "domain.json").write_text(sealed.output)
    assert second.run("domain", "import", str(second.folder / "domain.json")).output == "joined\n"
    assert said(second.entries(), "receiver domain import") == [("receiver:setting:change", "success")]
    hospital = [secrets.load(one.settings.receiver_secrets).hospital for one in receivers]
    assert hospital[0] == hospital[1]
    assert "already" in second.run("domain", "import", str(second.folder / "domain.json")).output
    # Of nobody whose receiver runs, or has pseudonyms, the domain changes; and what was refused is not in the trail.
    (second.folder / "other.json").write_text(
        domain.seal(b"x" * 32, domain.public_key(second.settings.receiver_secrets))
    )
    second.entries()
    lock = second.settings.receiver_dir / FOLDER / "quarantine.lock"
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert "stop the receiver" in second.run("domain", "import", str(second.folder / "other.json")).output
    assert second.run("vault", "merge", "A", "A").exit_code == 1
    assert second.entries() == []
    place.write_text("{}")
    assert first.run("domain", "export", "--for", str(place)).exit_code == 1


def test_a_lost_receiver_comes_back_from_its_export(receivers: tuple[Receiver, Receiver]) -> None:
    lost, fresh = receivers
    vault = lost.vault()
    ds = minimal()
    way, _ = way_of(vault, ds, secret=secrets.load(lost.settings.receiver_secrets).hospital)
    vault.keep([way])
    vault.close()
    place = str(lost.folder / "vault.wlvx")
    words = "correct horse battery staple\n"
    assert lost.run("vault", "export", "--out", place).exit_code == 2
    assert lost.run("vault", "export", "--out", place, "--passphrase", given="short\nshort\n").exit_code == 2
    assert lost.run("vault", "export", "--out", place, "--passphrase", given=words * 2).exit_code == 0
    assert said(lost.entries(), "receiver vault export") == [("receiver:vault:export", "success")]
    assert fresh.run("vault", "import", place, "--passphrase", given="another passphrase\n").exit_code == 1
    brought = fresh.run("vault", "import", place, "--passphrase", given=words)
    assert brought.exit_code == 0 and f"{len(way.uids) + 3} rows" in brought.output
    assert said(fresh.entries(), "receiver vault import") == [("receiver:setting:change", "success")]
    vault = fresh.vault()
    assert vault.release(way.pseudonym).patient == way.patient
    again, _ = way_of(vault, ds, secret=secrets.load(fresh.settings.receiver_secrets).hospital)
    assert again.pseudonym == way.pseudonym
    vault.close()
