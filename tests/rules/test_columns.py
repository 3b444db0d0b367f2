"""Every persisted column says what data it holds, and personal or health data is sealed, hashed or a token (R1.2)."""

import ast
import re
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

import wardlight
from class_kit import IN_CLEAR, problem
from source_kit import nodes
from wardlight import bootstrap  # noqa: F401 - brings every slice's tables
from wardlight.audit.actions import LETTER, Action
from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.schema import metadata

SOURCE = Path(wardlight.__file__).parent
COLUMNS = [column for table in metadata.tables.values() for column in table.columns]


@pytest.mark.parametrize("one", COLUMNS, ids=str)
def test_columns_declare_and_protect(one):
    assert problem(one) == ""


def test_the_rule_catches_what_it_should():
    table = Table(
        "t",
        MetaData(),
        Column("silent", Integer),
        column("bare", Integer, data_class=DataClass.HEALTH),
        column("excused", Integer, data_class=DataClass.PERSONAL, protection="clear", reason="because"),
        column("secret", Integer, data_class=DataClass.SECRET),
        column("good", Integer, data_class=DataClass.STATUS),
        column("safe", Integer, data_class=DataClass.HEALTH, protection="sealed"),
    )
    assert [c.name for c in table.columns if problem(c)] == ["silent", "bare", "excused", "secret"]


def test_the_list_of_exceptions_is_exact():
    assert {str(c) for c in COLUMNS if c.info["protection"] == "clear"} == IN_CLEAR


def test_no_table_is_made_without_declared_columns():
    for file in SOURCE.rglob("*tables.py"):
        calls = [n for n in nodes(file) if isinstance(n, ast.Call)]
        assert not [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "Column"], file.name


def test_there_is_no_patient_table_or_column():
    assert not [str(c) for c in COLUMNS if re.search(r"patient|person_name|birth", str(c))]


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_the_schema_is_valid_for_both_databases(dialect):
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        assert not any(index.dialect_options.get("sqlite", {}).get("where") for index in table.indexes)


def test_sql_stands_in_stores_only():
    """Services and the rest hold no statements: whoever looks for SQL finds it in one place of each slice."""
    allowed = {
        "store.py",
        "search_store.py",
        "postings_store.py",
        "fsck_store.py",
        "tables.py",
        "schema.py",
        "rls.py",
        "engine.py",
        "columns.py",
    }
    # The recorder, sessions, node, outbox and a witness (whose database is its own) are the only code of their tables.
    allowed |= {
        "log_store.py",
        "prune_store.py",
        "recorder.py",
        "sessions.py",
        "node.py",
        "outbox.py",
        "witness.py",
    }
    for slice_ in ("archive", "identity", "agreements", "access", "audit", "events", "db"):
        for file in (SOURCE / slice_).rglob("*.py"):
            # A migration may have to fill what it adds.
            if file.name in allowed or file.name.endswith("_store.py") or file.parent.name == "migrations":
                continue
            found = re.search(
                r"from sqlalchemy import .*\b(select|insert|update|delete|text)\b", file.read_text()
            )
            assert found is None, file.name


def test_scopes_are_built_in_one_place():
    """A scope is proof of a decision: only the decider builds one, only bootstrap a system scope."""
    for file in SOURCE.rglob("*.py"):
        calls = {n.func.id for n in nodes(file) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        where = file.relative_to(SOURCE).as_posix()
        assert "Scope" not in calls or where == "access/service.py", where
        assert "SystemScope" not in calls or where == "bootstrap/__init__.py", where


def test_actions_used_are_in_the_enum():
    known = {member.name for member in Action}
    for file in SOURCE.rglob("*.py"):
        source = file.read_text()
        if "from wardlight.audit.actions import" not in source:
            continue
        for node in nodes(file):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "Action"
            ):
                assert node.attr in known, f"{file.name}: {node.attr}"
    assert set(LETTER) == set(Action)
