"""Log lines hold registered fields only, and never the text of an exception."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import wardlight
from source_kit import nodes
from wardlight import log

SOURCE = Path(wardlight.__file__).parent
LEVELS = ("info", "warning", "error")


def _calls():
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in LEVELS
            ):
                yield path, node


def test_every_field_is_registered():
    wrong = [
        f"{path.name}:{node.lineno} {keyword.arg}"
        for path, node in _calls()
        for keyword in node.keywords
        if keyword.arg is not None and keyword.arg not in log.FIELDS and keyword.arg != "exception"
    ]
    assert not wrong


def test_event_names_are_literal():
    wrong = [
        f"{path.name}:{node.lineno}"
        for path, node in _calls()
        if not (node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str))
    ]
    assert not wrong


def test_nothing_else_writes_to_the_log_or_the_terminal():
    wrong = []
    for path in SOURCE.rglob("*.py"):
        if path.name == "log.py":
            continue
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{path.name}:{node.lineno} print")
            if isinstance(node, ast.Import) and any(name.name == "logging" for name in node.names):
                wrong.append(f"{path.name}:{node.lineno} logging")
    assert not wrong


def test_an_unregistered_field_and_a_wrong_type_are_dropped_and_counted():
    stream = io.StringIO()
    logger = log.Logger("test", stream, 10)
    before = dict(log.dropped)
    logger.write("info", "x", {"patient_name": "CANARY^NAME", "count": "CANARY^NAME", "status": 5})
    row = json.loads(stream.getvalue())
    assert row["status"] == 5
    assert "CANARY" not in stream.getvalue()
    assert log.dropped["patient_name"] == before.get("patient_name", 0) + 1
    assert log.dropped["count"] == before.get("count", 0) + 1
    log.dropped.clear()
    log.dropped.update(before)


def test_an_exception_shows_its_type_and_our_line_only(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(log, "_logger", log.Logger("test", stream, 10))
    try:
        raise ValueError("CANARY^NAME")
    except ValueError as error:
        log.error("failed", error)
    assert "CANARY" not in stream.getvalue()
    assert json.loads(stream.getvalue())["error_type"] == "ValueError"
