"""`wardlight audit show|search|actions`: what they print, what is told of it, and where patients are named."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from platform_kit import a_platform
from sealed_kit import fill, seal, sealed
from wardlight.audit.actions import Action
from wardlight.cli.admin import app as admin
from wardlight.cli.audit import app
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR


class Machine:
    """A platform with a known log, and its command line."""

    def __init__(self, platform):
        self.platform = platform
        self.institution = platform.identity.create_institution(
            "stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR
        ).id
        fill(platform, self.institution, 400)
        self.data = str(platform.settings.data_dir)

    def run(self, *arguments, of=app, input_=None):
        arguments = [*arguments, "--data", self.data] if arguments != ("actions",) else arguments
        answer = CliRunner().invoke(of, arguments, input=input_)
        if isinstance(answer.exception, WardlightError):
            raise answer.exception
        assert answer.exit_code == 0, (answer.output, answer.exception)
        return answer.stdout

    def rows(self, *arguments, input_=None):
        return [json.loads(line) for line in self.run(*arguments, "--json", input_=input_).splitlines()]

    def entries(self, institution=...):
        seal(self.platform)
        return sealed(self.platform, self.institution if institution is ... else institution)


@pytest.fixture(scope="module")
def machine():
    with a_platform() as platform:
        yield Machine(platform)


def test_show_prints_the_newest_and_says_so_in_the_log(machine):
    entries = machine.entries()
    rows = machine.rows("show", "stmary", "--limit", "300")
    assert [row["index"] for row in rows] == list(range(len(entries)))[::-1][:300]
    assert rows[0]["entry"] == entries[-1]
    told = machine.entries()[-1]
    assert (told["action"], told["actor"], told["counts"]) == (
        "audit:entry:read", {"kind": "operator", "id": "local-admin"}, {"results": 300},
    )  # fmt: skip
    machine.run("show", "stmary")
    table = machine.run("show", "stmary", "--limit", "2")
    assert len(table.splitlines()) == 3  # One waits for the sealer: the reading before.
    assert table.startswith("sealing") and "operator:local-admin" in table


def test_show_prints_one_entry(machine):
    assert json.loads(machine.run("show", "stmary", "7")) == machine.entries()[7]
    with pytest.raises(WardlightError) as error:
        machine.run("show", "stmary", "100000")
    assert error.value.code == "not-found"


def test_search_by_filters(machine):
    entries = machine.entries()
    rows = machine.rows(
        "search",
        "stmary",
        "--outcome",
        "failed",
        "--outcome",
        "denied",
        "--actor",
        "person:u-02",
        "--limit",
        "500",
    )
    expected = [
        n
        for n, entry in enumerate(entries)
        if entry["outcome"] in ("failed", "denied") and entry["actor"]["id"] == "u-02"
    ]
    assert [row["index"] for row in rows] == expected[::-1] and expected
    told = machine.entries()[-1]
    assert (told["action"], told["detail"]) == ("audit:entry:search", {"query": "actor=exact&outcome=exact"})
    assert machine.run("search", "stmary", "--grant", "gr-none") == "no entries\n"
    with pytest.raises(WardlightError):
        machine.run("search", "stmary", "--group", "reads")


def test_patients_come_from_a_file_or_standard_input(machine, tmp_path):
    reference = machine.platform.recorder.references(machine.institution).patient("PAT-3", "hospital")
    expected = [n for n, entry in enumerate(machine.entries()) if reference in json.dumps(entry)]
    file = tmp_path / "patients"
    file.write_text("\nhospital\tPAT-3\n\n")
    for arguments, given in (((str(file),), None), (("-",), "hospital\tPAT-3\n")):
        rows = machine.rows("search", "stmary", "--limit", "500", "--patient-file", *arguments, input_=given)
        found = [row["index"] for row in rows if "index" in row]
        assert found[-len(expected) :] == expected[::-1] and expected
    told = machine.entries()[-1]
    assert (told["action"], told["subjects"]) == ("audit:patient:search", [{"patient": reference}])
    study = tmp_path / "studies"
    study.write_text("1.2.5\n")
    assert machine.rows("search", "stmary", "--study-file", str(study))
    help_text = CliRunner().invoke(app, ["search", "--help"]).output
    assert "--patient " not in help_text and "--study " not in help_text


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000, b"PAT-1\n" * 51, b"\n"])
def test_a_file_that_is_none_is_refused_without_a_word_of_it(machine, tmp_path, content):
    file = tmp_path / "patients"
    file.write_bytes(content)
    with pytest.raises(WardlightError) as error:
        machine.run("search", "stmary", "--patient-file", str(file))
    assert error.value.code in ("bad-request", "too-large") and "PAT" not in str(error.value)


def test_the_operators_log(machine):
    assert any(row["entry"]["action"] == "audit:log:start" for row in machine.rows("show", "operator"))
    assert machine.entries(None)[-1]["action"] == "audit:entry:read"
    with pytest.raises(WardlightError) as error:
        machine.run("search", "operator", "--patient-file", "-", input_="PAT-1\n")
    assert error.value.code == "bad-request"


def test_a_new_epoch_of_references(machine):
    assert machine.run("audit-reference-epoch", "stmary", of=admin) == "2\n"
    told = machine.entries()[-1]
    assert (told["action"], told["object"]) == ("archive:key:create", {"kind": "audit-reference", "id": "2"})


def test_actions_are_all_of_them(machine):
    lines = machine.run("actions").splitlines()
    assert [line.split()[0] for line in lines] == [action.value for action in Action]
    assert "dicomweb:study:read" in machine.run("actions")
