"""The verifier's search in C and in Python: the same answer for any words in any bytes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.deid.verify_text import any_of, any_of_in_python

NARROW = st.lists(st.sampled_from(b"ab\0\xff"), max_size=12).map(bytes)


@settings(max_examples=400, deadline=None)
@given(st.lists(NARROW | st.binary(max_size=6), max_size=6).map(tuple), NARROW | st.binary(max_size=40))
def test_alike(words: tuple[bytes, ...], data: bytes) -> None:
    assert any_of(words, data) == any_of_in_python(words, data) == any(word in data for word in words)


def test_every_place() -> None:
    for size in range(2, 9):
        data = bytes(range(1, size + 1))
        for start in range(size):
            for end in range(start + 1, size + 1):
                assert any_of((b"no", data[start:end]), data)
                assert not any_of((data[start:end] + b"\0",), data)
