"""The command: what it prints, what it writes for machines, how it ends; and never a value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from typer.main import get_command

from archive_kit import dataset, part10
from wardlight.classification.explained import EXPLAINED
from wardlight.cli import app

VALUES = ("943 476 5919", "Doe", "j.doe", "hunter2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.log").write_text("start\nnhs 943 476 5919\nmail j.doe@x.example\n")
    (tmp_path / "ct.dcm").write_bytes(part10(dataset(PatientName="Doe^Jane")))
    (tmp_path / "clean.txt").write_text("nothing of anybody\n")
    (tmp_path / "data.bin").write_bytes(b"\0\1\2\3" * 50)
    return tmp_path


def ran(*words: object, **more: object) -> Result:
    result = CliRunner().invoke(get_command(app), ["classify", *map(str, words)], **more)
    assert not any(value in result.output for value in VALUES)
    return result


def test_people_read_a_table_and_are_told_what_was_not_looked_at(folder: Path) -> None:
    result = ran(folder)
    assert result.exit_code == 0
    assert (
        "image data, identified" in result.output and "uk-nhs" in result.output and "line 2" in result.output
    )
    assert "data.bin: not looked at: not-known" in result.output and "clean.txt" not in result.output


def test_json_is_the_contract(folder: Path) -> None:
    result = ran(folder, "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    log = [one for one in said["findings"] if one["file"].endswith("app.log")]
    assert [(one["line"], one["class"], one["detector"]) for one in log] == [
        (2, "personal data", "uk-nhs"),
        (3, "personal data", "email"),
    ]
    name = next(one for one in said["findings"] if one.get("keyword") == "PatientName")
    assert name["element"] == "(0010,0010)" and name["reason"]
    assert said["refused"] == [{"file": str(folder / "data.bin"), "code": "not-known"}]
    assert said["files"] == 4 and sum(said["classes"].values()) == len(said["findings"])


def test_sarif_is_as_its_standard_asks(folder: Path) -> None:
    out = folder.parent / "x.sarif"
    assert ran(folder, "--sarif", out, "--quiet").exit_code == 0
    text = out.read_text()
    assert not any(value in text for value in VALUES)
    said = json.loads(text)
    assert said["version"] == "2.1.0" and "sarif-schema-2.1.0" in said["$schema"]
    (run,) = said["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(EXPLAINED) and all(
        rule["shortDescription"]["text"] for rule in rules
    )
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error") and result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"]
        assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"].endswith("not-known")


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("app.log", ("--fail-on", "personal data"), 3),
        ("app.log", ("--fail-on", "Health Data"), 0),
        ("app.log", ("--fail-on", "any"), 3),
        ("app.log", (), 0),
        ("ct.dcm", ("--fail-on", "image data, identified"), 3),
        ("clean.txt", ("--fail-on", "any"), 0),
        ("data.bin", ("--fail-on", "any"), 4),
        ("data.bin", (), 0),
        ("app.log", ("--fail-on", "people"), 2),
        ("none", (), 2),
    ],
)
def test_how_it_ends(folder: Path, name: str, more: tuple[str, ...], code: int) -> None:
    assert ran(folder / name, *more).exit_code == code


def test_a_class_that_is_none_is_told_with_those_there_are(folder: Path) -> None:
    assert "health data" in ran(folder / "app.log", "--fail-on", "people").output


def test_standard_input_and_how_sure(folder: Path) -> None:
    assert json.loads(ran("-", "--json", input="password=hunter2x!\n").stdout)["classes"] == {"secrets": 1}
    weak = "value 111222333\n"
    assert json.loads(ran("-", "--json", input=weak).stdout)["findings"] == []
    assert json.loads(ran("-", "--json", "--least", "low", input=weak).stdout)["findings"]


def test_text_in_pixels_is_looked_for_where_asked(folder: Path) -> None:
    """No image has text here: that it was looked at is what shows."""
    said = json.loads(ran(folder / "ct.dcm", "--pixels", "--json", "--least", "low").stdout)
    assert [
        one
        for one in said["findings"]
        if one["detector"] == "burned-in-text" and "not looked" in one["reason"]
    ] == []
