"""A data set in chunks: the header and nothing else is held, whatever the cuts; bombs are stopped."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unit.dicom.samples import BIG, EXPLICIT, IMPLICIT, Writer, deflate, real_headers, small
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import Limits
from wardlight.dicom.stream import DataSetStream, PixelElement, inflate_header
from wardlight.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
    transfer_syntax,
)

ENCODINGS = [(EXPLICIT, EXPLICIT_LITTLE), (IMPLICIT, IMPLICIT_LITTLE), (BIG, EXPLICIT_BIG)]
JPEG = transfer_syntax("1.2.840.10008.1.2.4.50")


def feed(data: bytes, syntax: TransferSyntax, step: int = 1 << 20, **options: object) -> DataSetStream:
    stream = DataSetStream(syntax, **options)  # type: ignore[arg-type]
    for start in range(0, len(data), step):
        stream.feed(memoryview(data)[start : start + step])
    stream.finish()
    return stream


@pytest.mark.parametrize(("writer", "syntax"), ENCODINGS)
@pytest.mark.parametrize("step", [1, 2, 7, 64, 1 << 20])
def test_header_and_pixel_data(writer: Writer, syntax: TransferSyntax, step: int) -> None:
    data = small(writer)
    stream = feed(data, syntax, step, wanted=None)
    header = small(writer, pixels=None)
    assert stream.header == header
    assert stream.pixel == PixelElement(0x7FE00010, b"OW", writer.head(0x7FE00010, b"OW", 4), 4)
    assert stream.value_offset == len(data) - 4
    assert (stream.total, stream.tail_offset, stream.fragments) == (len(data), None, [])
    assert stream.elements == scan(data, syntax).elements


@pytest.mark.parametrize(("writer", "syntax"), ENCODINGS)
def test_without_pixel_data_the_header_is_known_at_the_end(writer: Writer, syntax: TransferSyntax) -> None:
    data = small(writer, pixels=None)
    stream = DataSetStream(syntax)
    stream.feed(data)
    assert stream.header is None
    stream.finish()
    assert (stream.header, stream.pixel, stream.value_offset) == (data, None, -1)


def test_empty_data_set() -> None:
    assert feed(b"", EXPLICIT_LITTLE).header == b""


def test_only_wanted_elements_are_kept() -> None:
    assert feed(small(EXPLICIT), EXPLICIT_LITTLE).elements == {}
    assert set(feed(small(EXPLICIT), EXPLICIT_LITTLE, 5, wanted={0x00080018}).elements) == {0x00080018}


@pytest.mark.parametrize("step", [1, 3, 8, 11, 1 << 20])
def test_fragments_and_tail(step: int) -> None:
    header = small(EXPLICIT, pixels=None)
    pixel = EXPLICIT.fragments(0x7FE00010, b"\0\0\0\0", b"\xff\xd8" * 40, b"", b"\xff\xd9")
    tail = EXPLICIT.element(0xFFFCFFFC, b"OB", b"\0" * 10)
    stream = feed(header + pixel + tail, JPEG, step)
    value = len(header) + 12
    assert stream.value_offset == value
    assert stream.fragments == [(value + 8, 4), (value + 20, 80), (value + 108, 0), (value + 116, 2)]
    assert stream.tail_offset == len(header) + len(pixel)
    assert feed(header + pixel, JPEG, step).tail_offset is None


@pytest.mark.parametrize("step", [1, 9, 1 << 20])
def test_tail_after_native_pixel_data(step: int) -> None:
    data = small(EXPLICIT)
    assert feed(data + b"tail", EXPLICIT_LITTLE, step).tail_offset == len(data)


@pytest.mark.parametrize(
    ("pixel", "code"),
    [
        (EXPLICIT.element(0x7FE00010, b"OW", b"1234")[:-1], "truncated"),
        (EXPLICIT.fragments(0x7FE00010, b"", b"1234")[:-1], "truncated"),
        (EXPLICIT.fragments(0x7FE00010, b"", b"1234")[:-10], "truncated"),
        (EXPLICIT.sequence(0x7FE00010, b"\0" * 8, vr=b"OB", undefined=True), "bad-item"),
        (
            EXPLICIT.sequence(0x7FE00010, EXPLICIT.item(b"", undefined=True), vr=b"OB", undefined=True),
            "bad-item",
        ),
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_malformed_pixel_data(pixel: bytes, code: str, step: int) -> None:
    with pytest.raises(DicomError, match=code):
        feed(small(EXPLICIT, pixels=None) + pixel, JPEG, step)


def test_too_many_fragments() -> None:
    pixel = EXPLICIT.fragments(0x7FE00010, *(b"",) * 6)
    with pytest.raises(DicomError, match="items"):
        feed(pixel, JPEG, limits=Limits(items=5))


def test_header_beyond_the_limit() -> None:
    limits = Limits(header=4096, value=4096)
    with pytest.raises(DicomError, match="header"):
        feed(EXPLICIT.element(0x00291001, b"OB", b"\0" * 500) * 20, EXPLICIT_LITTLE, 100, limits=limits)
    # One that says it will be too long is refused before its value comes.
    stream = DataSetStream(EXPLICIT_LITTLE, limits=Limits(header=4096))
    with pytest.raises(DicomError, match="header"):
        stream.feed(EXPLICIT.head(0x00291001, b"OB", 8192))


def test_elements_are_counted_over_all_chunks() -> None:
    data = EXPLICIT.element(0x00080100, b"SH", b"AB") * 11
    for step in (1, 7, 10, 1000):
        with pytest.raises(DicomError, match="count"):
            feed(data, EXPLICIT_LITTLE, step, limits=Limits(elements=10))


def test_memory_stays_flat_while_pixels_pass() -> None:
    chunk = b"\0" * (1 << 20)
    stream = DataSetStream(EXPLICIT_LITTLE)
    stream.feed(small(EXPLICIT, pixels=None) + EXPLICIT.head(0x7FE00010, b"OW", 200 << 20))
    tracemalloc.start()
    for _ in range(200):
        stream.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    stream.finish()
    assert peak < 100_000


def test_work_is_in_proportion_to_the_bytes_when_a_sequence_comes_in_small_chunks() -> None:
    """A long sequence of undefined length is looked at again only when twice as much of it is there."""
    item = EXPLICIT.item(EXPLICIT.element(0x00080100, b"SH", b"AB") * 20, undefined=True)
    data = EXPLICIT.sequence(0x00081140, *[item] * 2000, undefined=True)
    stream = DataSetStream(EXPLICIT_LITTLE)
    looks = 0
    look = stream._scan

    def counted(data: object, *, last: bool) -> bool:
        nonlocal looks
        looks += 1
        return look(data, last=last)  # type: ignore[arg-type]

    stream._scan = counted  # type: ignore[method-assign]
    for start in range(0, len(data), 100):
        stream.feed(data[start : start + 100])
    stream.finish()
    assert looks < 20


@pytest.mark.parametrize("step", [1, 50, 1 << 20])
def test_deflated(step: int) -> None:
    data = small(EXPLICIT)
    packed = deflate(data)
    stream = feed(packed, DEFLATED, step, wanted=None)
    assert stream.header == small(EXPLICIT, pixels=None)
    assert stream.pixel is not None
    assert (stream.pixel.length, stream.value_offset, stream.total) == (4, len(data) - 4, len(packed))
    assert inflate_header(packed) == stream.header


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_deflated_and_cut(cut: int) -> None:
    packed = zlib.compress(small(EXPLICIT), wbits=-15)
    with pytest.raises(Truncated):
        feed(packed[:-cut], DEFLATED)


def test_not_deflated() -> None:
    with pytest.raises(DicomError, match="inflate"):
        feed(b"\xff" * 100, DEFLATED)


def test_deflate_bomb_of_pixels_and_of_header() -> None:
    """2 GB in 2 MB: stopped soon after the first inflated MiB, holding next to nothing."""
    packer = zlib.compressobj(9, wbits=-15)
    zeros = b"\0" * (1 << 20)
    packed = packer.compress(small(EXPLICIT, pixels=None) + EXPLICIT.head(0x7FE00010, b"OW", 1 << 31))
    packed += b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    with pytest.raises(DicomError, match="inflate-ratio"):
        feed(packed, DEFLATED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    bomb = deflate(EXPLICIT.head(0x00291001, b"OB", 32 << 20) + zeros * 32)
    with pytest.raises(DicomError, match="inflate-ratio"):
        feed(bomb, DEFLATED)


def test_inflated_beyond_the_limit() -> None:
    packed = deflate(EXPLICIT.element(0x7FE00010, b"OW", bytes(range(256)) * 8))
    with pytest.raises(DicomError, match="inflate-ratio"):
        feed(packed, DEFLATED, limits=Limits(inflated=1000))


@settings(max_examples=60, deadline=None)
@example([1, 1, 282], ENCODINGS[1])  # only the last look, at the end, found the pixel data; its tail was lost
@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.sampled_from(ENCODINGS))
def test_any_cut(cuts: list[int], encoding: tuple[Writer, TransferSyntax]) -> None:
    writer, syntax = encoding
    data = small(writer) + b"tail"
    stream = DataSetStream(syntax)
    at = 0
    for cut in (*cuts, len(data)):
        stream.feed(data[at : at + cut])
        at += cut
    stream.finish()
    assert stream.header == small(writer, pixels=None)
    assert stream.tail_offset == len(data) - 4


def test_real_files_whole_and_in_pieces() -> None:
    from wardlight.dicom.part10 import read_meta

    for name, content, uid in real_headers():
        data = content[read_meta(content).end :][: 1 << 20]
        outcomes = []
        for step in (1 << 20, 1000):
            stream = DataSetStream(transfer_syntax(uid), wanted=None)
            try:
                for start in range(0, len(data), step):
                    stream.feed(data[start : start + step])
                if len(data) < 1 << 20:
                    stream.finish()
            except DicomError as error:
                outcomes.append((error.code,))
            else:
                outcomes.append((stream.header, stream.pixel, stream.fragments, stream.tail_offset))  # type: ignore[arg-type]
        assert outcomes[0] == outcomes[1], name
