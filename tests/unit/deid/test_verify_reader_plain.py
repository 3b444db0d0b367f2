"""The verifier's reader in C and in Python: the same elements under the same paths, the same refusals."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from fuzz.element_checks import SYNTAXES
from real_files import name_of, paths
from unit.dicom.samples import BIG, EXPLICIT, small
from unit.dicom.test_fuzz_elements import damaged
from wardlight.deid import verify_reader
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

built = pytest.mark.skipif(
    verify_reader._read_plain is None,
    reason="this installation has no C extensions (no compiler, or WARDLIGHT_PURE)",
)


def found(data: bytes, uid: str) -> object:
    try:
        return verify_reader.read(data, uid)
    except verify_reader.Unreadable:
        return "unreadable"


def alike(data: bytes) -> None:
    for syntax in SYNTAXES:
        in_c = found(data, syntax.uid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(verify_reader, "_read_plain", None)
            assert found(data, syntax.uid) == in_c


@built
@pytest.mark.parametrize("path", [p for p in paths() if p.stat().st_size < 256 << 10][1::3], ids=name_of)
def test_real_files(path: Path) -> None:
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0
    try:
        end = scan(content[start:], EXPLICIT_LITTLE).end
    except DicomError:
        end = 2048
    alike(content[start : start + end])


@built
@settings(max_examples=40, deadline=None)
@given(damaged())
def test_damaged(data: bytes) -> None:
    alike(data)


@built
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG], ids=["little", "big"])
def test_each_length(syntax: Any) -> None:
    data = small(syntax)
    for length in range(len(data) + 1):
        alike(data[:length])


def sequence(tag: bytes, *items: bytes, more: int = 0) -> bytes:
    held = b"".join(b"\xfe\xff\0\xe0" + len(item).to_bytes(4, "little") + item for item in items)
    return tag + b"SQ\0\0" + (len(held) + more).to_bytes(4, "little") + held


def text(value: bytes) -> bytes:
    return b"\x08\0\x04\x01LO" + len(value).to_bytes(2, "little") + value


def some(chance: random.Random, depth: int) -> bytes:
    """A data set: text, sequences whose lengths may not fit, and what belongs in no data set."""
    made = b""
    for _ in range(chance.randrange(4)):
        kind = chance.randrange(12)
        if kind < 4 or depth == 0:
            made += text(b"ab" * chance.randrange(3))
        elif kind < 10:
            items = [some(chance, depth - 1) for _ in range(chance.randrange(3))]
            made += sequence(b"\x40\0\x75\x02", *items, more=chance.choice((0, 0, 0, 0, 0, 0, 2, 8)))
        elif kind == 10:
            made += b"\x40\0\x76\x02UN\0\0\x08\0\0\0" + chance.choice(
                (b"\xfe\xff\0\xe0\0\0\0\0", b"12345678")
            )
        else:
            made += b"\xfe\xff\x0d\xe0\0\0\0\0"
    return made


@built
def test_sequences_of_each_kind() -> None:
    for seed in range(400):
        alike(some(random.Random(seed), 4))


@built
def test_as_deep_as_may_be() -> None:
    for depth in range(30, 37):
        data = text(b"ab")
        for _ in range(depth):
            data = sequence(b"\x40\0\x75\x02", data)
        alike(data)
