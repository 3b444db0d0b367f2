"""Parts: the bytes that go out are those asked for, in pieces, with the length that was announced."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.dicom.stream import cut
from wardlight.errors import WardlightError
from wardlight.receiver.body import Part, deflated_part, inflate, plain_part

CHUNK = 7


def reader(data: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda start: (data[at : at + CHUNK] for at in range(start, len(data), CHUNK))


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 100))
def test_cut_gives_exactly_the_range(data: bytes, start: int, end: int) -> None:
    start, end = sorted((min(start, len(data)), min(end, len(data))))
    assert b"".join(cut(reader(data)(0), start, end)) == data[start:end]


@given(st.binary(max_size=100), st.integers(0, 100), st.integers(0, 100), st.binary(max_size=20))
def test_a_plain_part_is_head_and_range(data: bytes, start: int, end: int, head: bytes) -> None:
    start, end = sorted((min(start, len(data)), min(end, len(data))))
    part = plain_part(head, 0, start, end)
    sent = b"".join(part.chunks(reader(data)))
    assert sent == head + data[start:end]
    assert part.length == len(sent)


@given(st.binary(max_size=2000), st.binary(min_size=1, max_size=30))
def test_a_deflated_part_inflates_to_the_changed_data_set(data: bytes, header: bytes) -> None:
    deflater = zlib.compressobj(wbits=-15)
    spooled = deflater.compress(data) + deflater.flush()
    start = len(data) // 3
    part = deflated_part(b"META" + header, 4, start, len(data), reader(spooled))
    sent = b"".join(part.chunks(reader(spooled)))
    assert len(sent) == part.length
    assert len(sent) % 2 == 0
    assert sent[:4] == b"META"
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(sent[4:]) == header + data[start:]
    assert inflater.eof
    assert inflater.unused_data in (b"", b"\0")


def test_an_object_that_became_shorter_or_longer_is_an_error() -> None:
    part = plain_part(b"", 0, 0, 50)
    with pytest.raises(WardlightError) as caught:
        list(part.chunks(reader(b"x" * 49)))
    assert caught.value.code == "object-damaged"
    longer = Part(b"abc", 0, 0, 0, False, 2)
    with pytest.raises(WardlightError):
        list(longer.chunks(reader(b"")))


def test_what_does_not_inflate_is_damage() -> None:
    for data in (b"\xff\xff\xff\xff", zlib.compressobj(wbits=-15).compress(b"a" * 70000)):
        with pytest.raises(WardlightError) as caught:
            list(inflate(iter([data])))
        assert caught.value.code == "object-damaged"
