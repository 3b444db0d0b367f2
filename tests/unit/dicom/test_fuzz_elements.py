"""Any bytes, and any damage to real headers, end in a result or one typed error."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.element_checks import SYNTAXES, check_data_set, check_file, check_stream
from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, deflate, real_headers, small

STEPS = st.integers(1, 60)
SYNTAX = st.sampled_from(SYNTAXES)


@cache
def headers() -> list[bytes]:
    """Beginnings of data sets to damage, the first four in the order of SYNTAXES."""
    seeds = [small(EXPLICIT), small(IMPLICIT), small(BIG), deflate(small(EXPLICIT))]
    for number, (_, content, _) in enumerate(real_headers()):
        if number % 9 == 0:
            start = 144 + int.from_bytes(content[140:144], "little")
            seeds.append(content[start : start + 1500])
    return seeds


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A header with up to four changes: bytes set, cut out, doubled, or the end cut off."""
    data = bytearray(draw(st.sampled_from(headers())))
    for _ in range(draw(st.integers(0, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        change = draw(st.sampled_from(("set", "ones", "cut", "double", "end")))
        if change == "set":
            data[at] = draw(st.integers(0, 255))
        elif change == "ones":
            data[at : at + 4] = b"\xff\xff\xff\xff"
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 40))]
        elif change == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        else:
            del data[at:]
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), SYNTAX, STEPS)
def test_random_bytes(data: bytes, syntax, step: int) -> None:  # type: ignore[no-untyped-def]
    if not syntax.deflated:
        check_data_set(data, syntax)
    check_stream(data, syntax, step)


@settings(max_examples=250, deadline=None)
@given(damaged(), SYNTAX, STEPS)
def test_damaged_headers(data: bytes, syntax, step: int) -> None:  # type: ignore[no-untyped-def]
    if not syntax.deflated:
        check_data_set(data, syntax)
    check_stream(data, syntax, step)


@settings(max_examples=80, deadline=None)
@given(damaged(), st.binary(max_size=60), STEPS)
def test_damaged_files(data: bytes, meta: bytes, step: int) -> None:
    check_file(data, step)
    check_file(b"\0" * 128 + b"DICM" + meta + data, step)


def test_cut_and_flipped_everywhere() -> None:
    """Each prefix, and each byte of a small data set set to 0x00, 0xFF and one off."""
    for writer, syntax in ((EXPLICIT, SYNTAXES[0]), (IMPLICIT, SYNTAXES[1]), (BIG, SYNTAXES[2])):
        data = small(writer)
        for at in range(len(data)):
            check_stream(data[:at], syntax, 13)
            for byte in (0x00, 0xFF, data[at] ^ 1):
                check_data_set(data[:at] + bytes((byte,)) + data[at + 1 :], syntax)
