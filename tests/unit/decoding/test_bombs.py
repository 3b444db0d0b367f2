"""Security test 22: frames that announce what they are not, or more than they may, and frames that are broken.

Whatever comes, the answer is an error of the catalogue within the limits, and the pool decodes the next frame.
"""

from __future__ import annotations

import dataclasses
import random
import struct
import time
import zlib

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import htj2k_encode, jpeg2k_encode, jpeg8_encode, jpegls_encode, jpegxl_encode

from frame_kit import EXPLICIT, ROOT, compressed_files, describe, frame_bytes
from wardlight.decoding.model import HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, RLE, Frame
from wardlight.decoding.pool import DecoderPool
from wardlight.errors import WardlightError

PIXELS = np.add.outer(np.arange(64, dtype=np.uint8), np.arange(64, dtype=np.uint8))
SMALL = Frame(EXPLICIT, 64, 64, 1, "MONOCHROME2", 8, 8, 7, False)
STREAMS = {
    ROOT + "4.50": bytes(jpeg8_encode(PIXELS)),
    ROOT + "4.70": bytes(jpeg8_encode(PIXELS, lossless=True)),
    JPEG_LS_LOSSLESS: bytes(jpegls_encode(PIXELS)),
    JPEG_2000_LOSSLESS: bytes(jpeg2k_encode(PIXELS, level=0, codecformat="j2k", reversible=True)),
    HTJ2K_LOSSLESS: bytes(htj2k_encode(PIXELS, reversible=True)),
    ROOT + "4.110": bytes(jpegxl_encode(PIXELS, lossless=True)),
}


@pytest.fixture(scope="module")
def pool():
    made = DecoderPool(1, cpu_s=2, wall_s=6)
    yield made
    made.close()


def attempt(pool: DecoderPool, frame: Frame, data: bytes) -> bytes | str:
    """The decoded frame, or the code of the error."""
    try:
        return pool.run("transcode", {"frame": frame.to_json(), "target": EXPLICIT}, [data])[1][0]
    except WardlightError as error:
        return error.code


def serves(pool: DecoderPool) -> None:
    syntax = JPEG_LS_LOSSLESS
    assert attempt(pool, dataclasses.replace(SMALL, syntax=syntax), STREAMS[syntax]) == PIXELS.tobytes()


def resized(syntax: str, stream: bytes, rows: int, columns: int) -> bytes:
    """The stream with another size in its frame header."""
    data = bytearray(stream)
    if syntax in (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS):
        struct.pack_into(">II", data, 8, columns, rows)
        struct.pack_into(">II", data, 24, columns, rows)
    else:
        place = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC3, 0xF7))
        struct.pack_into(">HH", data, place + 5, rows, columns)
    return bytes(data)


SIZED = [syntax for syntax in STREAMS if not syntax.endswith("110")]


@pytest.mark.parametrize("syntax", STREAMS)
def test_the_streams_are_well(pool, syntax):
    decoded = attempt(pool, dataclasses.replace(SMALL, syntax=syntax), STREAMS[syntax])
    assert len(decoded) == 4096 and not isinstance(decoded, str)


@pytest.mark.parametrize("syntax", SIZED)
@pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (64, 65), (1, 1), (65535, 1)])
def test_a_stream_of_another_size_than_the_data_set_says_is_not_decoded(pool, syntax, rows, columns):
    started = time.process_time()
    frame = dataclasses.replace(SMALL, syntax=syntax)
    assert attempt(pool, frame, resized(syntax, STREAMS[syntax], rows, columns)) == "cannot-decode"
    assert time.process_time() - started < 1
    serves(pool)


@pytest.mark.parametrize("syntax", SIZED)
def test_a_data_set_that_agrees_with_a_bomb_is_refused_by_the_limit(pool, syntax):
    frame = dataclasses.replace(SMALL, syntax=syntax, rows=65535, columns=65535)
    assert attempt(pool, frame, resized(syntax, STREAMS[syntax], 65535, 65535)) == "cannot-decode"
    serves(pool)


@pytest.mark.parametrize("syntax", SIZED)
def test_a_small_stream_may_not_stand_for_the_largest_frame_that_is_allowed(pool, syntax):
    """Within the limit of size, what a decoder allocates ends it or fails: the pool goes on."""
    frame = dataclasses.replace(SMALL, syntax=syntax, rows=16384, columns=16384)
    decoded = attempt(pool, frame, resized(syntax, STREAMS[syntax], 16384, 16384))
    assert decoded == "cannot-decode" or len(decoded) == 16384 * 16384
    assert psutil.Process().memory_info().rss < 2 << 30
    serves(pool)


@pytest.mark.parametrize("syntax", [JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS])
def test_tiles_of_one_pixel(pool, syntax):
    """4,096 tiles are announced where one is there: an error, or a frame without the others, soon."""
    data = bytearray(STREAMS[syntax])
    struct.pack_into(">II", data, 24, 1, 1)
    answer = attempt(pool, dataclasses.replace(SMALL, syntax=syntax), bytes(data))
    assert answer == "cannot-decode" or len(answer) == 4096
    large = bytearray(resized(syntax, STREAMS[syntax], 8192, 8192))
    struct.pack_into(">II", large, 24, 1, 1)
    frame = dataclasses.replace(SMALL, syntax=syntax, rows=8192, columns=8192)
    assert attempt(pool, frame, bytes(large)) == "cannot-decode"
    serves(pool)


@pytest.mark.parametrize("segments", [0, 1, 15, 16, 0xFFFFFFFF])
@pytest.mark.parametrize("offset", [0, 64, 1 << 31, 0xFFFFFFFF])
def test_rle_headers_that_lie(pool, segments, offset):
    data = struct.pack("<16I", segments, *(offset,) * 15) + b"\x81\x00" * 50_000
    answer = attempt(pool, dataclasses.replace(SMALL, syntax=RLE), data)
    assert answer == "cannot-decode" or len(answer) == 4096
    serves(pool)


def test_an_rle_segment_that_expands_without_end(pool):
    data = struct.pack("<16I", 1, 64, *(0,) * 14) + b"\x81\x00" * (4 << 20)
    assert attempt(pool, dataclasses.replace(SMALL, syntax=RLE), data) == "cannot-decode"
    serves(pool)


def test_a_png_or_another_family_is_never_decoded(pool):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )
    for syntax in STREAMS:
        assert attempt(pool, dataclasses.replace(SMALL, syntax=syntax), png) == "cannot-decode"
        for other, stream in STREAMS.items():
            if other != syntax:
                assert attempt(pool, dataclasses.replace(SMALL, syntax=syntax), stream) == "cannot-decode"
    serves(pool)


@pytest.mark.parametrize(
    "change",
    [{"rows": 0}, {"columns": -1}, {"rows": 1 << 40}, {"samples": 2}, {"bits_allocated": 12}, {"bits_stored": 9},
     {"high_bit": 8}, {"samples": 3, "rows": 65535, "columns": 65535}, {"syntax": ROOT + "4.102"}, {"syntax": "1.2.3"},
     {"floating": True, "syntax": RLE}],
    ids=str,
)  # fmt: skip
def test_descriptions_that_contradict_themselves(pool, change):
    assert attempt(pool, dataclasses.replace(SMALL, **change), bytes(4096)) in ("cannot-decode",)
    serves(pool)


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_stream_that_is_cut_off_is_never_half_a_picture(pool, syntax):
    stream = STREAMS[syntax]
    frame = dataclasses.replace(SMALL, syntax=syntax)
    for end in range(len(stream) - 3, 0, -max(1, len(stream) // 20)):
        assert attempt(pool, frame, stream[:end]) == "cannot-decode", end
    assert len(attempt(pool, frame, stream + bytes(3))) == 4096  # padding does no harm
    serves(pool)


def test_native_frames_that_are_cut(pool):
    assert attempt(pool, SMALL, bytes(4095)) == "cannot-decode"
    assert attempt(pool, SMALL, b"") == "cannot-decode"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_frames_are_decoded_or_refused(pool, data):
    """Bytes of real streams changed, cut, or taken twice: pixels of the right size come out, or an error."""
    syntax = data.draw(st.sampled_from([*STREAMS, RLE]))
    frame = dataclasses.replace(SMALL, syntax=syntax)
    stream = bytearray(STREAMS.get(syntax) or struct.pack("<16I", 1, 64, *(0,) * 14) + b"\x81\x01" * 32)
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(stream) - 1), st.integers(0, 255)), max_size=12)
    ):
        stream[place] = value
    start = data.draw(st.integers(0, len(stream)))
    kind = data.draw(st.sampled_from(["whole", "cut", "twice"]))
    if kind == "cut":
        del stream[start:]
    elif kind == "twice":
        stream = stream[:start] + stream
    answer = attempt(pool, frame, bytes(stream))
    assert answer == "cannot-decode" or len(answer) == 4096


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(compressed_files()))
def test_real_frames_mutated(name):
    """Each compressed real file, a hundred times with some of its bytes changed: no hang, no crash of this process."""
    data_set = compressed_files()[name]
    frame, stored = describe(data_set), frame_bytes(data_set, 0)
    if len(stored) > 200_000:
        pytest.skip("large frames take long and show nothing more")
    pool = DecoderPool(1, cpu_s=2, wall_s=6)
    source = random.Random(name)
    try:
        for _ in range(100):
            changed = bytearray(stored)
            for _ in range(source.randrange(1, 20)):
                changed[source.randrange(len(changed))] = source.randrange(256)
            answer = attempt(pool, frame, bytes(changed))
            assert answer == "cannot-decode" or len(answer) == frame.decoded_size
        assert len(attempt(pool, frame, stored)) == frame.decoded_size
    finally:
        pool.close()
