"""What identifies in a header, found in C and in Python: the same elements in the same order."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.element_checks import SYNTAXES
from real_files import name_of, paths
from unit.dicom.samples import BIG, EXPLICIT, small
from unit.dicom.test_fuzz_elements import damaged
from wardlight.cli import deidentify_known
from wardlight.cli.deidentify_known import identifying, telling
from wardlight.deid.profile import load_profile
from wardlight.dicom.elements import scan, walk
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

built = pytest.mark.skipif(
    deidentify_known._plain is None,
    reason="this installation has no C extensions (no compiler, or WARDLIGHT_PURE)",
)


@dataclass
class Stream:
    """Of a data set what is looked at."""

    header: bytes
    syntax: Any


class Half:
    """Holds half of all tags, a sequence or two among them."""

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, int) and (tag ^ tag >> 16) % 2 == 0


def alike(data: bytes, wanted: Any = None, kept: frozenset[int] = frozenset()) -> None:
    for syntax in SYNTAXES:
        found = []
        for pure in (False, True):
            with pytest.MonkeyPatch.context() as patch:
                if pure:
                    patch.setattr(deidentify_known, "_plain", None)
                stream: Any = Stream(data, syntax)
                every: Any = Half()
                found.append(identifying(stream, every if wanted is None else wanted, kept))
        assert found[0] == found[1]


@built
@pytest.mark.parametrize("path", [p for p in paths() if p.stat().st_size < 256 << 10][::3], ids=name_of)
def test_real_files(path: Path) -> None:
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0
    try:
        end = scan(content[start:], EXPLICIT_LITTLE).end
    except DicomError:
        end = 2048
    header = content[start : start + min(end, 8192)]
    alike(header)
    alike(header, telling(load_profile("high")), frozenset((0x00100010,)))


@built
@settings(max_examples=40, deadline=None)
@given(damaged(), st.integers(0, 40))
def test_damaged_and_limited(data: bytes, most: int) -> None:
    alike(data)
    for limits in (
        replace(LIMITS, elements=most),
        replace(LIMITS, items=most % 4),
        replace(LIMITS, depth=most % 3),
    ):
        with pytest.MonkeyPatch.context() as patch:
            # The Python side has the limits as its default.
            patch.setattr(deidentify_known, "LIMITS", limits)
            patch.setattr(
                deidentify_known, "walk", lambda data, syntax, one=limits: walk(data, syntax, limits=one)
            )
            alike(data)


@built
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG], ids=["little", "big"])
def test_each_length(syntax: Any) -> None:
    data = small(syntax)
    for length in range(len(data) + 1):
        alike(data[:length])


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    return (
        head
        + (
            size.to_bytes(2, "little")
            if vr in (b"PN", b"CS", b"LO")
            else bytes(2) + size.to_bytes(4, "little")
        )
        + value
    )


def piece(chance: random.Random, depth: int) -> bytes:
    """An element: names, character sets, sequences of each kind, UN, some of them out of order or cut."""
    kind = chance.randrange(9)
    tag = chance.choice((0x00080005, 0x00100010, 0x00100020, 0x00081140, 0x00400275, 0x00091010, 0xFFFEE00D))
    if kind < 3:
        return element(
            tag, chance.choice((b"PN", b"CS", b"LO")), chance.choice((b"", b"A^B ", b"ISO_IR 100"))
        )
    if kind == 3 or depth == 0:
        return element(
            tag,
            chance.choice((b"UN", b"OB", b"UT")),
            chance.choice((b"", b"\xfe\xff\0\xe0\0\0\0\0", b"12345678")),
        )
    items = b""
    for _ in range(chance.randrange(3)):
        body = b"".join(piece(chance, depth - 1) for _ in range(chance.randrange(4)))
        size = chance.choice((None, len(body), len(body), len(body) + 2))
        items += b"\xfe\xff\0\xe0" + (0xFFFFFFFF if size is None else size).to_bytes(4, "little") + body
        items += b"\xfe\xff\x0d\xe0\0\0\0\0" if size is None else b""
    open_end = chance.randrange(2)
    items += b"\xfe\xff\xdd\xe0" + chance.choice((bytes(4), bytes(4), b"\1\0\0\0")) if open_end else b""
    return element(tag, chance.choice((b"SQ", b"SQ", b"UN")), items, 0xFFFFFFFF if open_end else None)


@built
def test_sequences_of_each_kind() -> None:
    for seed in range(400):
        chance = random.Random(seed)
        data = b"".join(piece(chance, 3) for _ in range(chance.randrange(1, 5)))
        alike(data)
