"""Every place that holds or tells data says of which class it is (R1.2); what may not leave by a way out does not.

Each rule is a function that names what is wrong, and is tried on something wrong.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import BaseModel

import wardlight
from class_kit import problem
from source_kit import nodes
from wardlight import log, settings
from wardlight.access.service import ROLES
from wardlight.audit import fields as audit_fields
from wardlight.audit import witness
from wardlight.audit.model import DETAIL, Event
from wardlight.classification.model import CLEAR, MACHINE, DataClass
from wardlight.classification.rules import HANDLING, Export
from wardlight.classification.values import Classified, Fields
from wardlight.errors import WardlightError
from wardlight.events import outbox
from wardlight.identity.model import Role
from wardlight.keys import keystore_schema
from wardlight.objects import format as object_format
from wardlight.receiver import tables as receiver_tables
from wardlight.receiver import vault_tables
from wardlight.web import openapi, openapi_classes
from wardlight.web.app import DICOMWEB, PLATFORM, TRAIL
from wardlight.web.problems import problem as as_problem

SOURCE = Path(wardlight.__file__).parent
NAME = Classified(DataClass.PERSONAL, "CANARY^NAME")


# ---- the classes themselves ----


def test_every_class_has_its_rules():
    assert set(HANDLING) == set(DataClass)
    for data_class, rules in HANDLING.items():
        assert rules.dpv
        assert all(
            term.startswith(("https://w3id.org/dpv#", "https://w3id.org/dpv/pd#")) for term in rules.dpv
        )
        assert set(rules.readers) <= {*Role, "application"}
        # What is personal and not the platform's own needs a basis and a purpose, and is never in clear.
        if rules.special or data_class is DataClass.PERSONAL:
            assert rules.personal
            assert rules.legal_basis
            assert rules.purpose
            assert rules.export is not Export.FREELY
            assert data_class not in CLEAR
    assert {one for one in DataClass if not HANDLING[one].legal_basis} == MACHINE | {
        DataClass.IMAGE_ANONYMISED, DataClass.SECRET}  # fmt: skip
    assert ROLES.keys() == set(Role)


def test_classes_that_machines_tell_each_other_name_nobody():
    assert [one for one in MACHINE if HANDLING[one].personal] == []


# ---- what is stored ----

OTHER_TABLES = [
    table
    for metadata in (receiver_tables.metadata, vault_tables.metadata, witness.metadata)
    for table in metadata.tables.values()
]


@pytest.mark.parametrize("table", OTHER_TABLES, ids=lambda table: table.name)
def test_tables_of_the_receiver_and_of_witnesses_declare_and_protect(table):
    assert [f"{column.name}: {problem(column)}" for column in table.columns if problem(column)] == []


def undeclared(database):
    """Columns of a database of plain SQL that the keystore does not declare, and declared ones that are not there."""
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    found = {
        f"{table}.{row[1]}" for (table,) in tables for row in database.execute(f"PRAGMA table_info({table})")
    }
    return found ^ set(keystore_schema.CLASSES)


def test_the_keystore_declares_each_column():
    database = sqlite3.connect(":memory:")
    database.executescript(keystore_schema.SCHEMA)
    assert undeclared(database) == set()
    database.execute("ALTER TABLE key ADD COLUMN patient TEXT")
    assert undeclared(database) == {"key.patient"}


def test_every_kind_of_object_has_a_class():
    assert set(object_format.CLASSES) == set(object_format.ObjectKind)


# ---- what is told ----


def api_problems(schemas, parameters=()):
    """Fields of the API without a class."""
    found = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field in openapi_classes.fields(name, schema)
        if openapi_classes.class_of(name, field) is None
    ]
    return found + [name for name in parameters if name not in openapi_classes.CLASSES]


def test_every_field_of_the_api_has_a_class():
    queries = {one.name for row in (*DICOMWEB, *TRAIL, *PLATFORM) for one in row.about.query}
    wrong = api_problems(openapi.ALL_SCHEMAS, sorted({*queries, *openapi.ALL_PARAMETERS}))
    assert not wrong, f"declare in web/openapi_classes.py: {' '.join(wrong)}"


def test_a_field_of_the_api_without_class_is_found():
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": {
        "type": "object", "properties": {"birth_name": {"type": "string"}}}}}}  # fmt: skip
    assert api_problems({"Invented": schema}, ["birth_place"]) == ["Invented.birth_name", "birth_place"]


def test_the_document_says_the_class_of_each_field():
    schema = openapi_classes.classed("Person", openapi.ALL_SCHEMAS["Person"])
    assert schema["properties"]["name"]["x-data-class"] == "account data"
    assert "x-data-class" not in openapi.ALL_SCHEMAS["Person"]["properties"]["name"]


def log_problems(tree):
    """Log calls in a piece of source with a field that is not declared."""
    return [
        keyword.arg
        for node in tree
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
        for keyword in node.keywords
        if keyword.arg not in (None, "exception", *log.CLASSES)
    ]  # fmt: skip


def test_every_field_of_the_log_has_a_class_and_a_type():
    assert set(log.CLASSES) == set(log.FIELDS)
    assert set(log.CLASSES.values()) <= MACHINE


def test_a_log_call_with_a_field_of_health_data_is_found():
    assert [path.name for path in SOURCE.rglob("*.py") if log_problems(nodes(path))] == []
    source = 'log.info("study.stored", count=3, patient_name=name)'
    assert log_problems(ast.walk(ast.parse(source))) == ["patient_name"]


@pytest.mark.parametrize("channel", ["log", "event"])
@pytest.mark.parametrize("data_class", sorted(set(DataClass) - MACHINE))
def test_logs_and_events_cannot_even_declare_what_tells_of_people(channel, data_class):
    with pytest.raises(ValueError, match=f"{channel} cannot hold"):
        Fields(channel, {data_class: "patient_name"}, may=MACHINE)


def test_a_field_cannot_be_declared_twice():
    with pytest.raises(ValueError, match="declares count twice"):
        Fields("log", {DataClass.STATUS: "count", DataClass.LOG: "count"}, may=MACHINE)


def test_members_of_audit_entries_have_classes():
    members = {member for members in DETAIL.values() for member in members}
    members |= {field.name for field in dataclasses.fields(Event)} - {"target", "detail"}
    assert members - set(audit_fields.CLASSES) == set()
    assert DataClass.PERSONAL not in audit_fields.CLASSES.values()


def test_every_setting_has_a_class_and_secrets_are_not_told():
    def names(model, prefix=""):
        for name, info in model.model_fields.items():
            if isinstance(info.default, BaseModel):
                yield from names(type(info.default), f"{name}.")
            else:
                yield f"{prefix}{name}", info.annotation

    for name, kind in names(settings.Settings):
        secret = settings.data_class(name) is DataClass.SECRET
        assert secret == (name in settings.UNTOLD)
        # A password is never a setting: at most the file that has it is.
        assert not any(word in name for word in ("password", "secret", "token")) or "str" not in str(kind), (
            name
        )


# ---- what happens to a value that may not leave ----


def test_a_classified_value_shows_its_class_only():
    assert f"{NAME} {NAME!r} {[NAME]}" == "<personal data> <personal data> [<personal data>]"
    assert NAME.reveal() == "CANARY^NAME"
    assert Classified(DataClass.PERSONAL, "CANARY^NAME") == NAME
    assert Classified(DataClass.HEALTH, "CANARY^NAME") != NAME
    for serialise in (json.dumps, pickle.dumps):
        with pytest.raises(TypeError):
            serialise(NAME)


def test_no_log_line_takes_one(monkeypatch, capsys):
    monkeypatch.setattr(log, "_logger", log.Logger("test", sys.stdout, 10))
    monkeypatch.setattr(log, "dropped", type(log.dropped)())
    log.info("x", reason=NAME, count=3)
    line = capsys.readouterr().out
    assert json.loads(line)["count"] == 3
    assert "reason" not in json.loads(line)
    assert log.dropped == {"reason": 1}


@pytest.mark.parametrize("fields", [outbox.TOLD, outbox.EMITTED], ids=lambda fields: fields.name)
@pytest.mark.parametrize(
    "value", [NAME, [NAME], b"x", {"name": NAME}], ids=["name", "list", "bytes", "object"]
)
def test_no_event_and_no_webhook_takes_one(fields, value):
    fields.require({"version": 1, "instances": 3})
    for data in ({"version": value}, {"patient_name": "x"}):
        with pytest.raises(TypeError, match="event"):
            fields.require(data)


def test_events_ask_before_they_write():
    with pytest.raises(TypeError, match="event cannot hold what release was given"):
        outbox.emit(None, UUID(int=1), outbox.EventKind.STUDY_STORED, {"release": NAME})


def test_what_applications_are_told_names_nobody():
    assert set(outbox.TOLD.values()) <= MACHINE
    assert set(outbox.EMITTED.values()) <= MACHINE | {DataClass.ACCOUNT}


def test_no_error_shows_one():
    with pytest.raises(TypeError):
        as_problem(WardlightError("not-found", NAME), "0" * 32)
    assert "CANARY" not in str(WardlightError("not-found", NAME))
    assert b"CANARY" not in as_problem(WardlightError("not-found", f"of {NAME}"), "0" * 32).body


LEAKS = """
from wardlight import log
from wardlight.classification.values import Classified
from wardlight.errors import WardlightError

def leak(name: Classified[str]) -> None:
    log.info("study.stored", count=3, reason=name)
    raise WardlightError("not-found", name)
"""
EVENT_LEAKS = """
from uuid import UUID
from sqlalchemy import Connection
from wardlight.archive.keyring import Subject
from wardlight.events.outbox import EventKind, Kind, emit, tell

def leak(tx: Connection, one: Subject, id_: UUID) -> None:
    emit(tx, id_, EventKind.STUDY_STORED, {"reason": one.patient})
    tell(tx, "acme", id_, Kind.STUDY_AVAILABLE, data={"reason": one.study})
"""


@pytest.mark.parametrize(
    ("source", "wrong"),
    [(LEAKS, [7, 8]), pytest.param(EVENT_LEAKS, [8, 9], marks=pytest.mark.long)],
    ids=["log-and-error", "event-and-webhook"],
)
def test_the_type_checker_refuses_it(tmp_path, source, wrong):
    file = tmp_path / "leaks.py"
    file.write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--follow-imports=silent",
         f"--cache-dir={tmp_path}", str(file)],
        cwd=SOURCE.parent.parent, env={**os.environ, "MYPYPATH": str(SOURCE.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line]
    assert lines == wrong, done.stdout
