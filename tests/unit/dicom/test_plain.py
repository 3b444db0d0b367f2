"""Plain elements in C and in Python: the same results, byte for byte, on real, damaged and limited data sets."""

from __future__ import annotations

import os
import subprocess
import sys
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
from wardlight.deid import verify_reader
from wardlight.dicom import elements
from wardlight.dicom.codec import EXPLICIT_BE, EXPLICIT_LE, Codec
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS, Limits

built = pytest.mark.skipif(
    elements._scan_plain is None or verify_reader._read_plain is None,
    reason="this installation has no C extensions (no compiler, or WARDLIGHT_PURE)",
)
WANTED = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00280010))


def scanned(data: Any, codec: Codec, wanted: Any, limits: Limits, start: int = 0, count: int = 0) -> object:
    out: dict[int, elements.Element] = {}
    try:
        end: object = elements._scan_explicit(out, data, codec, start, wanted, limits, count)
    except DicomError as error:
        end = type(error), error.code, error.offset, vars(error)
    # Their order counts too, and the classes: an Element is not just a tuple.
    return end, list(out.items()), {type(one) for one in out.values()}


def verified(data: bytes, syntax_uid: str) -> object:
    try:
        return verify_reader.read(data, syntax_uid)
    except (verify_reader.Unreadable, RecursionError) as error:
        return type(error), str(error)


def alike(data: bytes, limits: Limits = LIMITS, start: int = 0, count: int = 0) -> None:
    """Everything is the same with the extensions and without."""
    found = []
    for pure in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if pure:
                patch.setattr(elements, "_scan_plain", None)
                patch.setattr(verify_reader, "_read_plain", None)
            found.append(
                [
                    scanned(kind(data), codec, wanted, limits, start, count)
                    for codec in (EXPLICIT_LE, EXPLICIT_BE)
                    for wanted in (None, WANTED)
                    for kind in (bytes, bytearray, memoryview)
                ]
                + [verified(data, syntax.uid) for syntax in SYNTAXES]
            )
    assert found[0] == found[1]


@built
@pytest.mark.parametrize("path", paths(), ids=name_of)
def test_real_files(path: Path) -> None:
    content = path.read_bytes()[: 256 << 10]
    start = 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0
    alike(content[start:])


@built
@settings(max_examples=300, deadline=None)
@given(damaged(), st.integers(0, 40), st.integers(0, 400))
def test_damaged_and_limited(data: bytes, most: int, value: int) -> None:
    alike(data)
    alike(data, replace(LIMITS, elements=most), count=min(most, 3))
    alike(data, replace(LIMITS, value=value))


@built
@pytest.mark.parametrize("syntax", [EXPLICIT, BIG], ids=["little", "big"])
def test_each_length(syntax: Any) -> None:
    data = small(syntax)
    for length in range(len(data) + 1):
        alike(data[:length])
    for start in range(60):
        alike(data, start=start)


@built
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    alike(data)


def test_pure_by_the_environment() -> None:
    program = (
        "from wardlight.dicom import elements; from wardlight.deid import verify_reader;"
        "print(elements._scan_plain, verify_reader._read_plain, elements.BUILD)"
    )
    environment = {**os.environ, "WARDLIGHT_PURE": "1"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert said.stdout.decode().strip() == "None None pure Python"
    assert ("pure Python" if elements._scan_plain is None else "with C extensions") == elements.BUILD
