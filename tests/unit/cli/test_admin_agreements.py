"""The pages on agreements say what the code does: the how-to runs word by word, the reference has the code's tables."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from typer.main import get_command

from wardlight.agreements import legal
from wardlight.agreements.purposes import PURPOSES
from wardlight.cli.admin import app

DOCS = Path(__file__).resolve().parents[3] / "docs"
HOW_TO = (DOCS / "how-to" / "agreements.md").read_text("utf-8")
REFERENCE = (DOCS / "reference" / "agreements.md").read_text("utf-8")


def commands() -> list[list[str]]:
    """What the how-to has to be typed, or names in its text, in order."""
    found = re.findall(r"```\n(.*?)```|`(wardlight admin [^`]+)`", HOW_TO, re.S)
    lines = "\n".join(block.replace("\\\n", " ") or inline for block, inline in found).splitlines()
    return [shlex.split(line) for line in map(str.strip, lines) if line.startswith("wardlight admin ")]


def test_the_how_to_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDLIGHT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("WARDLIGHT_CONFIG", raising=False)
    command, made = get_command(app), ""

    def run(*words: str) -> str:
        result = CliRunner().invoke(command, [made if word == "ID" else word for word in words])
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.output

    run("institution", "create", "stmary", "--name", "St. Mary Hospital", "--region", "eu")
    terms = ("--basis", "gdpr:6.1.e+9.2.h", "--purpose", "TREAT", "--attested-by", "Kim")
    run("agreement", "create", "stmary", "images", "--level", "high", *terms)
    run("application", "create", "acme_reader_prod", "--name", "Acme", "--vendor", "Acme")
    typed = commands()
    assert len(typed) >= 9
    for _, _, *words in typed:
        said = run(*words)
        if words[:2] == ["source", "add"]:
            made = json.loads(said)["id"]
    assert run("agreement", "show", "stmary", "images", "--json").count(made)


def test_the_reference_has_every_purpose() -> None:
    short = {code: term.replace("https://w3id.org/dpv#", "dpv:") for code, term in PURPOSES.items()}
    short = {
        code: term.replace("https://w3id.org/dpv/sector/health#", "health:") for code, term in short.items()
    }
    assert dict(re.findall(r"\| ([A-Z]+) \| ((?:health|dpv):\w+) ", REFERENCE)) == short


def test_the_reference_has_every_basis() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (164\.[^ ]+) \| ([^;|]+)", REFERENCE, re.M)
    everything = frozenset(PURPOSES)
    found = {
        name: (section, everything if words.strip() == "all" else frozenset(words.split()))
        for name, section, words in rows
    }
    assert found == legal.HIPAA
    pairs = re.findall(r"^\| ([a-j]) [a-z ,]+ \| ([a-f ]+) \|$", REFERENCE, re.M)
    assert {condition: letters.replace(" ", "") for condition, letters in pairs} == legal._ARTICLE_9
