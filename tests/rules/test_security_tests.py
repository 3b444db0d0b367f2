"""docs/reference/security-tests.md is true: each of its rows is there, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "security-tests.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d+ \|", line)
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_attack_has_its_row_once():
    assert [int(row[0]) for row in ROWS] == list(range(1, 31))
    assert all(len(row) == 4 for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_is_shown_or_says_what_it_waits_for(row):
    shown = NAMED.findall(row[3])
    assert shown or row[3].startswith("not built yet: "), row[0]
    for file, name in shown:
        assert (ROOT / file).is_file(), file
        assert name.startswith("test_") and name in functions(file), f"{file}::{name}"


def test_nothing_is_named_in_a_form_that_is_not_checked():
    assert PAGE.count("::") == len(NAMED.findall(PAGE))
    assert len(NAMED.findall(PAGE)) > 60
