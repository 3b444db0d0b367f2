"""The rewriter's plain elements in C and in Python: the same bytes, the same errors, the same calls of the rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.element_checks import SYNTAXES
from real_files import name_of, paths
from unit.dicom.samples import BIG, EXPLICIT, small
from unit.dicom.test_fuzz_elements import damaged
from wardlight.dicom import rewrite
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.rewrite import COLLECT, EMPTY, REMOVE, Items, Rule, Rules
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

built = pytest.mark.skipif(
    rewrite._run_plain is None,
    reason="this installation has no C extensions (no compiler, or WARDLIGHT_PURE)",
)


def kept(_calls: Any, _tag: int, _vr: bytes, value: bytes) -> bytes:
    return value


def turned(calls: Any, tag: int, vr: bytes, value: bytes) -> bytes | None:
    """Another value of another length, of the same, or none."""
    calls.append((tag, vr, value))
    return None if tag % 3 == 0 else value[::-1] + b"\\x" * (tag % 2) + b"y" * (tag % 5 == 1)


def rule(tag: int, choice: int) -> Rule | None:
    vr = vr_of(tag)
    rules = (
        vr,
        REMOVE,
        COLLECT,
        kept,
        turned,
        EMPTY,
        b"SQ",
        b"LO",
        Items(((0x00080100, b"SH", b"0"),)),
        None,
    )
    return b"SQ" if vr == b"SQ" and choice % 2 else rules[(tag ^ tag >> 16 ^ choice) % len(rules)]


class Table(dict[int, "Rule | None"]):
    """A rule for every tag, the same whatever was asked before."""

    def __init__(self, data: bytes, choice: int) -> None:
        super().__init__()
        tags = {int.from_bytes(data[p + 2 : p + 4] + data[p : p + 2], "big") for p in range(len(data) - 3)}
        tags |= {int.from_bytes(data[p : p + 4], "big") for p in range(len(data) - 3)}
        for tag in tags:
            self[tag] = rule(tag, choice)


def written(data: bytes, syntax: Any, choice: int, limits: Limits, private: bool) -> object:
    calls: list[object] = []
    rows = dict(Table(data, choice))
    rules: Any = Rules(
        rows,  # type: ignore[arg-type]
        rows,  # type: ignore[arg-type]
        lambda *_: b"else",
        lambda state, tag, vr, value: state.append(("collect", tag, vr, value)),
        private=(lambda creator, group, element: b"LO" if element & 1 else REMOVE) if private else None,
        enter=lambda state, _tag, _data, start, end, _codec: state.append(("enter", start, end)),
        leave=lambda state: state.append("leave"),
    )
    insert = ((0x00080017, b"LO", b"one"), (0x00100015, b"UT", b"odd"), (0x00290000, b"SH", b""))
    rules.top.update(dict.fromkeys((row[0] for row in insert), REMOVE))
    try:
        return rewrite.rewrite(data, syntax, rules, calls, insert=insert, limits=limits), calls
    except DicomError as error:
        return type(error), error.code, error.offset, vars(error)


def alike(data: bytes, limits: Limits = LIMITS, choices: range = range(3)) -> None:
    for syntax in SYNTAXES:
        for choice in choices:
            for private in (False, True):
                found = []
                for pure in (False, True):
                    with pytest.MonkeyPatch.context() as patch:
                        if pure:
                            patch.setattr(rewrite, "_run_plain", None)
                        found.append(written(data, syntax, choice, limits, private))
                assert found[0] == found[1]


@built
@pytest.mark.parametrize(
    "path", [path for path in paths() if path.stat().st_size < 64 << 10][::4], ids=name_of
)
def test_real_files(path: Path) -> None:
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0
    try:
        end = scan(content[start:], EXPLICIT_LITTLE).end
    except DicomError:
        end = 2048
    alike(content[start : start + min(end, 4096)])


@built
@settings(max_examples=12, deadline=None)
@given(damaged(), st.integers(0, 40))
def test_damaged_and_limited(data: bytes, most: int) -> None:
    alike(data)
    alike(data, replace(LIMITS, elements=most), range(1))


@built
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG], ids=["little", "big"])
def test_each_length(syntax: Any) -> None:
    data = small(syntax)
    for length in range(0, len(data) + 1, 3):
        alike(data[:length], choices=range(1))


@built
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    alike(data, choices=range(1))
