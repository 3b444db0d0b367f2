"""The first look in C and the one without it pick lines in which the same is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wardlight.classification import prefilter
from wardlight.classification.prefilter import ALL, Flag, candidates, flags_of

ORDINARY = (
    '2026-11-24T22:03:45.123Z INFO receiver: association accepted, calling AE "CT01", 512 objects, 15 ms, queue 3',
    "2026-11-24 22:03:45,123 DEBUG worker[1234] sealed segment 9f86d081884c7d65 size 1048576 in 0.034 s",
    "Nov 24 22:03:45 host kernel: [12345.678901] eth0: link up, 1000 Mbps, full duplex",
    "GET /dicom-web/studies 200 1234 0.012",
    "took 20261124 and 17 of 23",
)
TELLING = (
    ("nhs 943 476 5919", Flag.DIGITS), ("131052-308T", Flag.MIXED), ("a@b.example", Flag.AT), ("1.2.3.4", Flag.DOTTED),
    ("2.25.338345678901234567890123456789012345678", Flag.DOTTED),
    ("00:1a:2b:3c:4d:5e", Flag.COLONS), ("fe80::1", Flag.COLONS), ("Doe^Jane", Flag.CARET), ("PID|1", Flag.HL7),
    ("Ms. Smith", Flag.TITLE), ("patientName", Flag.PATIENT), ("givenName: Ada", Flag.NAME), ("ÄRZTIN", Flag.PATIENT),
    ("患者", Flag.PATIENT), ("Hauptstraße 5", Flag.ADDRESS), ("19510722-5319", Flag.DIGITS), ("A123456780", Flag.MIXED),
    ("+49 891234", Flag.DIGITS), ("birth_date", Flag.BIRTH), ("RSSMRA85T10A562S", Flag.MIXED),
    ("(212) 555-0123", Flag.DIGITS),
)  # fmt: skip


@pytest.mark.skipif(prefilter.BUILD == "pure Python", reason="built without C")
@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_of_logs_cost_one_look(line: str) -> None:
    assert candidates(line.encode()) == []


@pytest.mark.parametrize(("text", "flag"), TELLING)
def test_what_may_tell_is_seen(text: str, flag: Flag) -> None:
    assert flags_of(f"so {text} it is") & flag
    assert flags_of(text) & flag


def test_each_line_has_its_place() -> None:
    data = b"plain\nmail a@b.example\n\nnothing\nx 1.2.3.4"
    assert [(start, end) for start, end, _ in candidates(data)] == [(6, 22), (32, 41)]
    assert candidates(b"") == [] and candidates(b"\n\n") == []


def test_without_c_the_same_is_found() -> None:
    """In a process of its own, since the choice is made when the module is loaded."""
    program = """
import io, json, sys
sys.path[:0] = sys.argv[1:]
from classifier_corpus import documents
from classifier_scores import found
from wardlight.classification.found import Confidence
from wardlight.classification import prefilter
found_here = [
    sorted({(one.line, one.detector) for one in found(d, Confidence.LOW)})
    for number, d in enumerate(documents()) if number % 6 == 0
]
print(json.dumps([prefilter.BUILD, found_here]))
"""
    tests = str(Path(__file__).parents[2])
    results = []
    for pure in ("", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", program, tests], env={**os.environ, "WARDLIGHT_PURE": pure}, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        results.append(json.loads(ran.stdout))
    assert results[1][0] == "pure Python"
    assert results[0][1] == results[1][1]


def test_all_flags_are_those_of_the_enumeration() -> None:
    assert sum(Flag) == ALL
