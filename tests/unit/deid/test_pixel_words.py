"""Samples as machine words and byte by byte: the same verdict, the same bytes, and the verifier's the same again."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.deid.pixels_native import Native, _layout
from wardlight.deid.verify_pixels import Unverified, _Bits

SIZES = (1, 2, 4, 8)


@st.composite
def images(draw: st.DrawFn) -> tuple[int, int, int, bool, bool, bytes]:
    """Allocated, stored and high bit, signed, big-endian, and samples most of which follow the rule."""
    size = draw(st.sampled_from(SIZES))
    high = draw(st.integers(0, 8 * size - 1))
    stored = draw(st.integers(1, high + 1))
    signed = draw(st.booleans())
    order = "big" if draw(st.booleans()) else "little"
    low = high + 1 - stored
    least, most = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    values = draw(st.lists(st.integers(least, most), min_size=1, max_size=40))
    data = bytearray(b"".join((v << low).to_bytes(size, order, signed=signed) for v in values))
    for place, bit in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 7)), max_size=2)):
        data[place] ^= 1 << bit
    return 8 * size, stored, high, signed, order == "big", bytes(data)


@settings(max_examples=600, deadline=None)
@given(images(), st.integers(1, 50))
def test_words_and_bytes_agree(image: tuple[int, int, int, bool, bool, bytes], step: int) -> None:
    allocated, stored, high, signed, big, data = image
    layout = _layout(allocated, stored, high, signed, False, big)
    assert layout.words is not None or stored == allocated
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    cleaned = b"".join(Native(layout, len(data), 0xFF).clean(pieces))
    assert cleaned == b"".join(Native(replace(layout, words=None), len(data), 0xFF).clean(pieces))
    values = {0x0002: 1, 0x0008: 1, 0x0010: 1, 0x0011: len(data) * 8 // allocated}
    values |= {0x0100: allocated, 0x0101: stored, 0x0102: high, 0x0103: int(signed)}
    for content, clean in ((cleaned, True), (data, data == cleaned)):
        checks = _Bits(values, big, 0, len(data))
        try:
            for at in range(0, len(content), step):
                checks.feed(memoryview(content)[at : at + step])
            checks.finish()
        except Unverified:
            assert not clean
        else:
            assert clean
