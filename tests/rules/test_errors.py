"""Every error raised is in the catalogue; the catalogue holds nothing that is never raised."""

from __future__ import annotations

import ast
from pathlib import Path

import wardlight
from source_kit import nodes
from wardlight.errors import CATALOGUE, WardlightError

SOURCE = Path(wardlight.__file__).parent


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def test_every_code_that_is_raised_is_in_the_catalogue():
    missing = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and _name(node.func) == "WardlightError" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and first.value not in CATALOGUE:
                    missing.append(f"{path.name}:{node.lineno} {first.value}")
    assert not missing


def test_every_code_of_the_catalogue_is_used():
    literals = {
        node.value
        for path in SOURCE.rglob("*.py")
        if path.name != "errors.py"
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(set(CATALOGUE) - literals) == []


def test_an_unknown_code_cannot_be_raised():
    try:
        WardlightError("no-such-code")
    except KeyError:
        return
    raise AssertionError("accepted")


def test_no_handler_swallows_everything_silently():
    """`except Exception: pass` and bare `except:` hide what went wrong."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or _name(node.type) in ("Exception", "BaseException")
                silent = all(isinstance(row, ast.Pass | ast.Continue) for row in node.body)
                if broad and silent:
                    found.append(f"{path.name}:{node.lineno}")
    assert not found
