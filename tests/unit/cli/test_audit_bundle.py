"""`wardlight audit export|verify`: each export is an entry of what it exports; each verdict has its exit code."""

from __future__ import annotations

import csv
import io
import json
import random
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command

import bundle_kit as kit
from wardlight import bootstrap
from wardlight.cli import app
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.settings import Settings
from wardlight.trail.bundle import trust_of

COMMAND = get_command(app)


def run(*arguments: object):
    return CliRunner().invoke(COMMAND, ["audit", *map(str, arguments)])


# ---- export ----


@pytest.fixture
def platform(tmp_path, monkeypatch):
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("WARDLIGHT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    built = bootstrap.platform(Settings(data_dir=tmp_path / "data", demo=True))
    built.identity.create_institution("stmary", "St. Mary", "eu", by=LOCAL_ADMINISTRATOR)
    yield built
    built.close()


def trust(platform, path: Path, owner="stmary") -> Path:
    institution = platform.identity.institution(owner).id if owner != "operator" else None
    path.write_text(json.dumps(trust_of(platform.audit_log, platform.audit_log.logs(institution)[-1], [])))
    return path


def leaves(data: bytes) -> list[dict]:
    return [row for row in map(json.loads, data.splitlines()) if row["kind"] == "leaf"]


@pytest.mark.parametrize("owner", ["stmary", "operator"])
def test_an_export_ends_with_its_own_entry_and_verifies(platform, tmp_path, owner):
    out = tmp_path / "trail.ndjson"
    done = run("export", "--institution", owner, "--out", out)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.glob("trail*")] == ["trail.ndjson"]
    last = leaves(out.read_bytes())[-1]["entry"]
    assert (last["action"], last["actor"]) == (
        "audit:entry:export",
        {"kind": "operator", "id": "local-admin"},
    )
    known = trust(platform, tmp_path / "trust.json", owner)
    assert run("verify", out, "--trust", known).exit_code == 4
    done = run("verify", out, "--trust", known, "--log-key-only")
    assert done.exit_code == 0 and done.stdout.startswith("VERIFIED. ")
    again = run("export", "--institution", owner)
    newer = tmp_path / "newer.ndjson"
    newer.write_bytes(again.stdout_bytes)
    assert len(leaves(again.stdout_bytes)) > len(leaves(out.read_bytes()))
    # What another one holds vouches for this one up to there; the older one lacks what the newer one shows.
    found = json.loads(run("verify", newer, "--trust", known, "--checkpoint", out, "--json").stdout)
    assert (found["verdict"], found["anchored_to"]) == ("unanchored", len(leaves(out.read_bytes())))
    assert run("verify", out, "--trust", known, "--checkpoint", newer).exit_code == 3


def test_a_part_of_the_log(platform, tmp_path):
    run("export")
    done = run("export", "--from", 1, "--to", 3, "--out", "part.ndjson")
    assert done.exit_code == 0, done.output
    assert [row["index"] for row in leaves(Path("part.ndjson").read_bytes())] == [1, 2]
    known = trust(platform, tmp_path / "trust.json")
    assert run("verify", "part.ndjson", "--trust", known, "--log-key-only").exit_code == 0
    told = leaves(run("export").stdout_bytes)[-2]["entry"]["detail"]
    assert told == {"format": "ndjson", "from": 1, "to": 3}


def test_the_other_forms(platform):
    whole = leaves(run("export").stdout_bytes)
    rows = list(
        csv.DictReader(io.StringIO(run("export", "--format", "csv").stdout_bytes.decode(), newline=""))
    )
    assert [row["id"] for row in rows[: len(whole)]] == [row["entry"]["id"] for row in whole]
    assert b'"AuditEvent"' in run("export", "--format", "fhir").stdout_bytes
    assert b"<AuditMessage" in run("export", "--format", "dicom").stdout_bytes


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--format", "pdf"), "bad-request"),
        (("--from", 100_000), "bad-request"),
        (("--from", 3, "--to", 2), "bad-request"),
        (("--to", 100_000), "bad-request"),
        (("--generation", 7), "not-found"),
        (("--institution", "nobody"), "not-found"),
    ],
)
def test_exports_that_are_none_leave_no_file(platform, tmp_path, arguments, code):
    done = run("export", "--out", "trail.ndjson", *arguments)
    assert isinstance(done.exception, WardlightError) and done.exception.code == code
    assert not list(tmp_path.glob("trail*"))


def test_of_several_institutions_one_must_be_named(platform):
    platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    done = run("export")
    assert isinstance(done.exception, WardlightError) and done.exception.code == "bad-request"
    assert run("export", "--institution", "other").exit_code == 0


# ---- verify ----


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A log's bundle, its trust file, and heads that came another way; nothing of Wardlight is installed here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.delenv("WARDLIGHT_CONFIG", raising=False)
    log = kit.random_log(random.Random(3), 12)
    other = kit.rewrite(log, random.Random(1))
    named = {
        "origin": log.origin,
        "vkeys": [kit.log_key().vkey],
        "witnesses": [kit.witness_key().vkey],
        "k": 1,
    }
    write = {
        "trust.json": json.dumps(named).encode(),
        "good": kit.sealed(kit.rows_of(log, span=(0, 12), checkpoints=(5,), cosigned=(0,))),
        "alone": kit.sealed(kit.rows_of(log, span=(0, 12), cosigned=())),
        "other": kit.sealed(kit.rows_of(other, span=(0, 12), cosigned=())),
        "short": kit.sealed(kit.rows_of(log, span=(0, 9), size=9, cosigned=())),
        "note": log.note(12).encode(),
        "elsewhere": kit.sealed(kit.rows_of(kit.Log("a.example/audit/b/1", keys=[(-1, kit.log_key())]), span=(0, 0))),
        "foreign": kit.sealed(kit.rows_of(_signed_by(log, kit.log_key(7)), span=(0, 12))),
    }  # fmt: skip
    write["cut"] = write["good"][:-3]
    write["changed"] = write["good"].replace(b"success", b"denieds", 1)
    write["spaced"] = write["good"].replace(b'"kind":', b'"kind": ', 1)
    for name, data in write.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def _signed_by(log: kit.Log, key: kit.SigningKey) -> kit.Log:
    return kit.Log(log.origin, log.entries, log.leaves, [(-1, key)], log.pruned, log.people)


@pytest.mark.parametrize(
    ("arguments", "verdict", "code"),
    [
        (("good",), "verified", 0),
        (("alone", "--log-key-only"), "verified", 0),
        (("alone", "--checkpoint", "note"), "verified", 0),
        (("changed",), "altered", 1),
        (("spaced",), "malformed", 1),
        (("foreign",), "bad-signature", 1),
        (("cut",), "incomplete", 3),
        (("short", "--checkpoint", "note"), "truncated", 3),
        (("alone",), "unanchored", 4),
        (("good", "--threshold", "2", "--witness", kit.witness_key(1).vkey), "unanchored", 4),
        (("other", "--checkpoint", "note"), "forked", 5),
        (("elsewhere",), "wrong-log", 6),
    ],
)
def test_each_verdict_has_its_exit_code(folder, arguments, verdict, code):
    done = run("verify", *arguments, "--trust", "trust.json")
    assert done.exit_code == code
    assert done.stdout.startswith(verdict.replace("-", " ").upper() + ". ")
    assert "\n  Next " in done.stdout
    done = run("verify", *arguments, "--trust", "trust.json", "--json")
    assert (done.exit_code, json.loads(done.stdout)["verdict"]) == (code, verdict)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        (".",),
        ("good", "--trust", "nothing"),
        ("good", "--trust", "good"),
        ("good", "--trust", "trust.json", "--checkpoint", "trust.json"),
        ("good", "--trust", "trust.json", "--threshold", "2"),
        ("good", "--trust", "trust.json", "--witness", "w+1+a"),
        ("good", "--threshold", "0"),
    ],
)
def test_wrong_usage(folder, arguments):
    done = run("verify", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr


def test_a_trust_file_is_found_but_never_beside_the_bundle(folder, monkeypatch):
    (folder / "audit-trust.json").write_bytes((folder / "trust.json").read_bytes())
    done = run("verify", "good")
    assert done.exit_code == 4 and "Trusting" not in done.stderr
    (folder / "demo-data").mkdir()
    (folder / "audit-trust.json").rename(folder / "demo-data" / "audit-trust.json")
    done = run("verify", "good")
    assert done.exit_code == 0 and "Trusting demo-data/audit-trust.json" in done.stderr
    (folder / "nothing").mkdir()
    (folder / "nothing" / "audit-trust.json").write_text("{}")
    assert run("verify", "good").exit_code == 2
    assert run("verify", "good", "--data", "demo-data").exit_code == 0
