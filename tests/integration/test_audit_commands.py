"""Each command, run for real, writes the audit actions that it declares, and no others."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from typer.main import get_command

from wardlight import bootstrap, jobs
from wardlight.audit.note import WITNESS, VerifierKey
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
    "admin institution change stmary --network 192.0.2.0/24",
    "admin institution suspend stmary",
    "admin institution resume stmary",
    "admin user create stmary hale --name Hale --role administrator",
    "admin user list stmary",
    "admin user token stmary hale",
    "admin user revoke stmary hale",
    "admin user invite stmary lee@stmary.example --name Lee --role clinician",
    "admin user link stmary lee@stmary.example",
    "admin user link stmary hale",
    "admin user password stmary hale",
    "admin user totp stmary hale",
    "admin user reset stmary hale",
    "admin user role stmary lee@stmary.example researcher",
    "admin user create stmary moe --name Moe --role clinician",
    "admin user suspend stmary moe",
    "admin user resume stmary moe",
    "admin user unlock stmary moe",
    "admin user sessions stmary moe",
    "admin user delete stmary moe",
    "admin oidc rotate-key",
    "admin federation set stmary --issuer https://login.stmary.example --client-id wardlight",
    "admin federation show stmary",
    "admin federation remove stmary",
    "admin application create acme_reader_prod --name Acme --vendor Acme",
    "admin application list",
    "admin application show acme_reader_prod",
    "admin application approve acme_reader_prod",
    "admin application change acme_reader_prod --redirect-uri https://reader.acme.example/back",
    "admin oidc logout-uri acme_reader_prod https://reader.acme.example/out",
    "admin application key add acme_reader_prod PEMKEY",
    "admin application key list acme_reader_prod",
    "admin application key remove acme_reader_prod KID",
    "admin application create acme_server_prod --name Acme --vendor Acme --auth client_secret_basic",
    "admin application secret acme_server_prod",
    "admin agreement create stmary images --level high --basis gdpr:6.1.e+9.2.h --purpose TREAT --attested-by Kim",
    "admin agreement create stmary images --level medium --basis gdpr:6.1.e+9.2.h --purpose TREAT --attested-by Kim",
    "machine-data upload stmary PATIENTS",
    "machine-data query stmary --severity error --json",
    "admin agreement amend stmary images --minimum-level low --attested-by Kim --document D-2",
    "admin agreement diff stmary images",
    "admin agreement list stmary",
    "admin agreement show stmary images",
    "admin agreement withdraw stmary images",
    "admin entitlement request acme_reader_prod --purpose TREAT --level low --region eu --declared-by Lee --document D",
    "admin entitlement subscribe stmary acme_reader_prod",
    "admin entitlement unsubscribe stmary acme_reader_prod",
    "admin entitlement list",
    "admin entitlement list stmary",
    "admin source add stmary --kind agency --name A --basis gdpr:6.1.e+9.2.i --attested-by Kim --document D-4",
    "admin source list stmary",
    "admin receiver create stmary gateway-1 --folder KEYS0",
    "admin receiver enrol stmary gateway-2",
    "admin receiver witness-key stmary gateway-1 --folder KEYS",
    "admin receiver witness-key stmary gateway-1 --folder KEYS2",
    "admin receiver list stmary",
    "admin receiver revoke stmary gateway-1",
    "admin route create WARD --to images:high",
    "admin route change WARD --disable",
    "admin route list",
    "admin route show WARD",
    "admin route delete WARD",
    "receiver status --offline",
    "receiver quarantine list",
    "receiver quarantine purge --older-than-days 1",
    "receiver vault status",
    "receiver vault merge OLD-1 NEW-1",
    "receiver vault erase --patient NEW-1",
    "receiver vault export --passphrase --out VAULT",
    "receiver vault import VAULT --passphrase",
    "admin audit-witness add stmary VKEY --url https://witness.example",
    "admin audit-witness list stmary",
    "admin audit-witness remove stmary witness.example/w1",
    "admin audit-anchor add stmary file ANCHOR",
    "admin audit-anchor list stmary",
    "admin audit-anchor remove stmary ID",
    "admin audit-forward add stmary siem.example --ca PEM --cert PEM --key PEM",
    "admin audit-forward list stmary",
    "admin webhook list",
    "admin audit-forward remove stmary siem.example:6514",
    "admin audit-retention stmary --days 4000",
    "admin audit-reference-epoch stmary",
    "SEAL",
    "admin audit-rotate-key stmary",
    "admin audit-continue stmary --anyway",
    "audit show stmary",
    "audit search stmary --group denial",
    "audit search stmary --patient-file PATIENTS",
    "audit report access stmary --patient-file PATIENTS --out REPORT",
    "audit report breach stmary --from 2026-01-01 --out REPORT",
    "datamap show stmary",
    "datamap export stmary --kind record-of-processing --out REPORT",
    "audit actions",
    "audit export --institution operator --format csv --out EXPORT",
    "study deletions stmary",
    "keys roll --now stmary",
    "backup BACKUP --keystore COPIES",
    "admin application suspend acme_reader_prod",
    "admin application delete acme_reader_prod",
    "admin institution close stmary",
    "fsck --deep --json",
)
#: Commands that run until they are ended, whose processes `tests/fault` and `test_start` run; with them what writes an
#: entry only where there is something to do.
ELSEWHERE = {
    "demo", "serve", "web", "worker", "receiver", "deidentify", "classify", "audit witness", "audit verify",
    "admin webhook redeliver",
    # tests/integration/test_deletion_commands.py
    # tests/unit/cli/test_admin.py and unit/receiver/test_receiver_cli.py: the two sides of an enrolment
    "admin receiver confirm", "receiver enrol",
    # tests/unit/receiver/test_vault_commands.py: what needs a pseudonym, or a key that was enrolled
    "receiver reidentify", "receiver vault read", "receiver vault pseudonyms", "receiver domain key",
    "receiver domain export", "receiver domain import",
    "study delete", "study receipt", "study allow", "receipt verify", "restore", "doctor",
}  # fmt: skip
#: What writes a part of its actions only where there is something to repair, a receiver that never had a key, or a
#: session or token to end (tests/unit/cli/test_admin_people.py).
PARTLY = {
    "fsck", "admin receiver witness-key", "audit export", "keys roll", "admin user password", "admin user reset",
    "admin user suspend", "admin user delete", "admin user sessions",
}  # fmt: skip
ONLY_WHERE_THERE_IS_SOMETHING = {"receiver quarantine purge"}


def certificate() -> str:
    """A key and the certificate that it has signed itself, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siem.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (signed.public_bytes(serialization.Encoding.PEM) + private).decode()


class Installation:
    """A data folder, commands run on it, and the entries that each leaves on the platform and at the receiver."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.environ["WARDLIGHT_DATA_DIR"] = str(folder / "data")
        self.settings = load()
        self.seen: set[str] = set()
        self.places = {
            name: str(folder / name.lower())
            for name in (
                "KEYS0",
                "KEYS",
                "KEYS2",
                "ANCHOR",
                "PATIENTS",
                "PEM",
                "EXPORT",
                "BACKUP",
                "COPIES",
                "VAULT",
            )
        }
        self.places["REPORT"] = str(folder / "report.json")
        self.places["VKEY"] = VerifierKey.of("witness.example/w1", b"w" * 32, WITNESS).text
        (folder / "patients").write_text("PAT-0042\n")
        (folder / "pem").write_text(certificate())
        self.places["PEMKEY"] = str(folder / "key.pem")
        (folder / "key.pem").write_bytes(
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def seal(self) -> str:
        """What the worker does meanwhile."""
        platform = bootstrap.platform(self.settings)
        try:
            platform.sealer.seal()
        finally:
            platform.close()
        self.new()
        return ""

    def anchor(self) -> str:
        """The id of the one anchor."""
        platform = bootstrap.platform(self.settings)
        try:
            (found,) = platform.anchors.active(platform.identity.institution("stmary").id)
            return str(found.id)
        finally:
            platform.close()

    def kid(self) -> str:
        """The id of the application's one key."""
        platform = bootstrap.platform(self.settings)
        try:
            (found,) = platform.applications.keys("acme_reader_prod")
            return str(found.kid)
        finally:
            platform.close()

    def run(self, words: str) -> str:
        if words == "SEAL":
            return self.seal()
        arguments = [self.places.get(word, word) for word in words.split()]
        if "ID" in arguments:
            arguments[arguments.index("ID")] = self.anchor()
        if "KID" in arguments:
            arguments[arguments.index("KID")] = self.kid()
        # Asked twice for a password; nothing else asks.
        given = "correct horse battery staple\n" * 2
        result = CliRunner().invoke(get_command(app), arguments, input=given, catch_exceptions=False)
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
    if words == "SEAL":
        return "worker"
    return max((name for name in COMMANDS if f"{words} ".startswith(f"{name} ")), key=len)


def test_each_command_writes_what_it_declares(installation):
    written: dict[str, set[str]] = {}
    for words in CALLS:
        name = command_of(words)
        installation.run(words)
        if words == "SEAL":
            continue
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
        if not isinstance(declared, str) and name not in ONLY_WHERE_THERE_IS_SOMETHING | PARTLY:
            assert found == set(declared), name


def test_no_command_is_left_out():
    called = {command_of(words) for words in CALLS}
    assert called | ELSEWHERE == set(COMMANDS)
    assert called & ELSEWHERE == {"worker"}


def test_the_jobs_of_a_round_write_nothing_undeclared(installation):
    """A round of each table on a platform with nothing to do, and with an institution that is new."""
    installation.run("admin institution create stmary --name Mary --region eu")
    installation.new()
    platform = bootstrap.platform(installation.settings)
    try:
        for job in jobs.JOBS:
            job.run(platform)
            assert set(installation.new()) <= set(job.actions), job.name
    finally:
        platform.close()
