"""Nothing hides in pixel data: each way to do so, at each level, through the receiver and `wardlight deidentify`."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from pixel_kit import (
    HIDDEN,
    HTJ2K,
    J2K,
    JPEG,
    JPEG_LOSSLESS,
    JPEG_LS,
    LEVELS,
    RLE,
    WAYS,
    deflated,
    fragments,
    image,
    j2k,
    jpeg,
    leave,
    native,
    rle,
    segment,
    value_of,
)
from wardlight.dicom.part10 import read_meta
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

pytestmark = [pytest.mark.parametrize("level", LEVELS), pytest.mark.parametrize("way", WAYS)]
SYNTAXES = [one.uid for one in (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)]
SAMPLES = [n * 61 % 4096 for n in range(64)]
SIGNED = [n * 61 % 4096 - 2048 for n in range(64)]


def words(values: list[int], syntax: str = EXPLICIT_LITTLE.uid) -> bytes:
    return struct.pack(
        f"{'>' if syntax == EXPLICIT_BIG.uid else '<'}{len(values)}H", *(v & 0xFFFF for v in values)
    )


def nibbles() -> list[int]:
    return [int(digit, 16) for digit in (HIDDEN + b"!" * 12).hex()]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_clean_samples_stay(way: str, level: str, syntax: str) -> None:
    left = leave(way, level, native(image(), words(SAMPLES, syntax), syntax), syntax)
    assert left.reasons == ()
    assert left.data_set.pixel_array.ravel().tolist() == SAMPLES


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_unused_bits_above_are_zeroed(way: str, level: str, syntax: str) -> None:
    hidden = [sample | nibble << 12 for sample, nibble in zip(SAMPLES, nibbles(), strict=True)]
    left = leave(way, level, native(image(), words(hidden, syntax), syntax), syntax)
    assert left.reasons == ()
    assert left.data_set.PixelData == words(SAMPLES, syntax)


def test_unused_bits_below_are_zeroed(way: str, level: str) -> None:
    hidden = [sample << 4 | nibble for sample, nibble in zip(SAMPLES, nibbles(), strict=True)]
    left = leave(way, level, native(image(HighBit=15), words(hidden)))
    assert left.data_set.PixelData == words([sample << 4 for sample in SAMPLES])


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("filled", ["sign", "zero", "hidden"])
def test_unused_bits_of_signed_samples_repeat_the_sign(
    way: str, level: str, filled: str, syntax: str
) -> None:
    ds = image(PixelRepresentation=1)
    values = {
        "sign": SIGNED,
        "zero": [sample & 0xFFF for sample in SIGNED],
        "hidden": [sample & 0xFFF | nibble << 12 for sample, nibble in zip(SIGNED, nibbles(), strict=True)],
    }[filled]
    left = leave(way, level, native(ds, words(values, syntax), syntax), syntax)
    assert left.data_set.PixelData == words(SIGNED, syntax)


def test_a_byte_without_any_used_bit(way: str, level: str) -> None:
    ds = image(BitsStored=8, HighBit=7, PixelRepresentation=1)
    left = leave(way, level, native(ds, words([n * 5 % 256 | n << 8 for n in range(64)])))
    assert left.data_set.PixelData == words([(n * 5 % 256) - 256 * (n * 5 % 256 > 127) for n in range(64)])


def test_eight_bits_with_seven_stored_and_padding(way: str, level: str) -> None:
    ds = image(BitsAllocated=8, BitsStored=7, HighBit=6, Rows=5, Columns=5)
    left = leave(way, level, native(ds, bytes(range(230, 255)) + b"Q"))
    assert left.data_set.PixelData == bytes(n & 0x7F for n in range(230, 255)) + b"\0"


def test_one_bit(way: str, level: str) -> None:
    ds = image(BitsAllocated=1, BitsStored=1, HighBit=0, Rows=3, Columns=7)
    left = leave(way, level, native(ds, b"\xaa\x55\xffQ"))
    assert left.data_set.PixelData == b"\xaa\x55\x1f\0"


def test_thirty_two_bits(way: str, level: str) -> None:
    ds = image(BitsAllocated=32, BitsStored=20, HighBit=19, Rows=2, Columns=2)
    value = struct.pack("<4I", 0x12345678, 0xFFF00001, 0x000FFFFF, 0x4AB00000)
    left = leave(way, level, native(ds, value))
    assert left.data_set.PixelData == struct.pack("<4I", 0x45678, 1, 0xFFFFF, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"BitsStored": None},
        {"HighBit": 10},
        {"HighBit": 16},
        {"BitsStored": 17},
        {"BitsAllocated": 12},
        {"PixelRepresentation": None},
    ],
)
def test_a_layout_that_makes_no_sense(way: str, level: str, changes: dict[str, int | None]) -> None:
    ds = image()
    for name, value in changes.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    assert leave(way, level, native(ds, words(SAMPLES))).reasons == ("pixel-bits",)


def test_a_value_shorter_than_its_geometry(way: str, level: str) -> None:
    ds = image(NumberOfFrames=99)
    assert "pixel-data-short" in leave(way, level, native(ds, words(SAMPLES))).reasons


def test_a_value_longer_than_its_geometry_is_cut(way: str, level: str) -> None:
    left = leave(way, level, native(image(), words(SAMPLES) + HIDDEN))
    assert left.data_set.PixelData == words(SAMPLES)


def test_defined_length_in_an_encapsulated_syntax(way: str, level: str) -> None:
    reasons = leave(way, level, native(image(), words(SAMPLES)), JPEG_LS).reasons
    assert "fragments-without-items" in reasons


def test_fragments_in_a_native_syntax(way: str, level: str) -> None:
    assert leave(way, level, fragments(image(), [jpeg()])).reasons == ("fragments-in-native-syntax",)


def test_fragments_in_a_deflated_data_set(way: str, level: str) -> None:
    data = deflated(fragments(image(), [jpeg()]))
    assert leave(way, level, data, DEFLATED.uid).reasons == ("deflated-fragments",)


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        ("1.2.3.4.5", "unknown-transfer-syntax"),
        ("1.2.840.113619.5.2", "unknown-transfer-syntax"),
        ("1.2.840.10008.1.2.4.100", "video-stream"),
        ("1.2.840.10008.1.2.4.107", "video-stream"),
        ("1.2.840.10008.1.2.4.110", "jpeg-xl"),
        ("1.2.840.10008.1.2.4.94", "jpip-referenced"),
        ("1.2.840.10008.1.2.8.1", "deflated-frames"),
        ("1.2.840.10008.1.2.1.98", "unsupported-transfer-syntax"),
        ("1.2.840.10008.1.2.4.92", "unsupported-transfer-syntax"),
    ],
)
def test_transfer_syntaxes_without_a_cleaner(way: str, level: str, syntax: str, reason: str) -> None:
    assert reason in leave(way, level, fragments(image(), [jpeg()]), syntax).reasons


CLEAN = [
    (JPEG, jpeg(frame=0xC0, precision=8)),
    (JPEG_LOSSLESS, jpeg()),
    (JPEG_LS, jpeg(frame=0xF7, coded=b"\x12\xff\x7f")),
    (J2K, j2k()),
    (HTJ2K, j2k(open_length=True)),
    (RLE, rle(b"\xc1\x05", b"\xc1\x77")),
]


@pytest.mark.parametrize(("syntax", "stream"), CLEAN)
@pytest.mark.parametrize("cut", [0, 3, 20])
def test_clean_frames_stay(way: str, level: str, syntax: str, stream: bytes, cut: int) -> None:
    stream += b"\0" * (len(stream) % 2)
    if syntax == RLE:
        cut = 0
    parts = [stream[:cut], stream[cut:]] if cut else [stream]
    second = 8 * len(parts) + len(stream)
    for table in (b"", struct.pack("<2I", 0, second)):
        data = fragments(image(NumberOfFrames=2), parts * 2, table)
        left = leave(way, level, data, syntax)
        assert left.reasons == ()
        assert value_of(left) == data[data.rindex(b"\xe0\x7f\x10\x00") + 12 :]


WITH_TEXT = [
    (JPEG_LOSSLESS, jpeg(segment(0xFE, HIDDEN))),
    (JPEG_LOSSLESS, jpeg(segment(0xE1, b"Exif\0\0" + HIDDEN))),
    (JPEG_LOSSLESS, jpeg(segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\2\2" + HIDDEN))),
    (JPEG_LOSSLESS, jpeg(segment(0xE0, b"JFXX\0\x13" + HIDDEN))),
    (JPEG_LOSSLESS, jpeg(segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + HIDDEN))),
    (JPEG_LOSSLESS, jpeg() + HIDDEN),
    (JPEG_LOSSLESS, jpeg() + jpeg(coded=HIDDEN)),
    (JPEG_LS, jpeg(segment(0xE8, b"SPIFF\0" + HIDDEN), frame=0xF7)),
    (JPEG_LS, jpeg(segment(0xFE, HIDDEN), frame=0xF7) + HIDDEN),
    (J2K, j2k(segment(0x64, b"\0\1" + HIDDEN))),
    (J2K, j2k(segment(0x64, HIDDEN))),
    (J2K, j2k(tile=segment(0x64, b"\0\0" + HIDDEN))),
    (HTJ2K, j2k(open_length=True) + HIDDEN),
    (RLE, rle(b"\xc1\x05", b"\xc1\x77" + HIDDEN)),
    (RLE, rle(b"\xc1\x05" + HIDDEN, b"\xc1\x77")),
]


@pytest.mark.parametrize(("syntax", "stream"), WITH_TEXT)
@pytest.mark.parametrize("cut", [0, 9, 31])
def test_free_text_is_blanked_in_place(way: str, level: str, syntax: str, stream: bytes, cut: int) -> None:
    stream += b"\0" * (len(stream) % 2)
    if syntax == RLE:
        cut = 0
    data = fragments(image(), [stream[:cut], stream[cut:]] if cut else [stream])
    left = leave(way, level, data, syntax)
    assert left.reasons == ()
    value = value_of(left)
    assert len(value) == len(data) - data.rindex(b"\xe0\x7f\x10\x00") - 12
    assert not any(part in left.file for part in (HIDDEN, HIDDEN[:9], HIDDEN[-9:], b"Exif"))


def test_what_says_how_to_decode_stays(way: str, level: str) -> None:
    kept = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0") + segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    colours = segment(0xE8, b"mrfx\3")
    for syntax, stream in ((JPEG_LOSSLESS, jpeg(kept)), (JPEG_LS, jpeg(kept + colours, frame=0xF7))):
        data = fragments(image(), [stream + b"\0" * (len(stream) % 2)])
        assert stream in value_of(leave(way, level, data, syntax))


@pytest.mark.parametrize(
    ("syntax", "parts", "reason"),
    [
        (JPEG_LOSSLESS, [jpeg(), HIDDEN], "surplus-fragments"),
        (JPEG_LOSSLESS, [jpeg(), jpeg()], "surplus-fragments"),
        (RLE, [rle(b"\xc1\x05", b"\xc1\x77"), HIDDEN], "surplus-fragments"),
        (JPEG_LOSSLESS, [], "frame-count"),
        (JPEG_LOSSLESS, [jpeg()[:-2]], "codestream-incomplete"),
        (JPEG_LOSSLESS, [HIDDEN], "codestream-start"),
        (JPEG_LOSSLESS, [jpeg(HIDDEN)], "codestream-marker"),
        (JPEG_LOSSLESS, [jpeg(segment(0xF0, HIDDEN))], "codestream-marker"),
        (JPEG_LOSSLESS, [jpeg(segment(0xDB, b"\0" + HIDDEN))], "codestream-marker"),
        (JPEG_LOSSLESS, [jpeg(segment(0xDB, bytes(65)) * 2)], "codestream-marker"),
        (JPEG_LOSSLESS, [jpeg(segment(0xDD, HIDDEN))], "codestream-marker"),
        (JPEG_LOSSLESS, [jpeg(side=9)], "codestream-geometry"),
        (JPEG_LOSSLESS, [jpeg(precision=17)], "codestream-precision"),
        (JPEG_LS, [jpeg(segment(0xF8, b"\2" + HIDDEN), frame=0xF7)], "codestream-marker"),
        (J2K, [b"\0\0\0\x0cjP  \r\n\x87\n" + j2k()], "jp2-boxes"),
        (J2K, [j2k(side=9)], "codestream-geometry"),
        (J2K, [j2k(depth=17)], "codestream-precision"),
        (J2K, [j2k(segment(0x7A, HIDDEN))], "codestream-marker"),
        (J2K, [j2k(segment(0x63, HIDDEN))], "codestream-marker"),
        (J2K, [j2k(segment(0x55, b"\0\x40" + HIDDEN))], "codestream-pointers"),
        (J2K, [j2k(tile=segment(0x58, b"\0" + HIDDEN))], "codestream-pointers"),
        (J2K, [j2k()[:-2]], "codestream-incomplete"),
        (RLE, [rle(b"\xc1\x05")], "rle-header"),
        (RLE, [rle(b"\xc1\x05", b"\xc2\x77")], "rle-segment"),
        (RLE, [rle(b"\xc1\x05", b"\xb0\x77")], "rle-segment"),
        (RLE, [rle(b"\xc1\x05", b"\xc1\x77")[:62] + b"Q" + rle(b"\xc1\x05", b"\xc1\x77")[63:]], "rle-header"),
        (RLE, [rle(b"\xc1\x51", b"\xc1\x77")], "unused-bits"),
        (RLE, [rle(b"\x1f" + bytes(31) + b"Q" + b"\xe1\0", b"\xc1\x77")], "unused-bits"),
    ],
)
def test_fragments_that_are_not_the_image(
    way: str, level: str, syntax: str, parts: list[bytes], reason: str
) -> None:
    even = [part + b"\0" * (len(part) % 2) for part in parts]
    assert leave(way, level, fragments(image(), even), syntax).reasons == (reason,)


@pytest.mark.parametrize(("syntax", "stream"), [(JPEG_LOSSLESS, jpeg(precision=16)), (J2K, j2k(depth=16))])
def test_a_codestream_of_whole_words_is_usual(way: str, level: str, syntax: str, stream: bytes) -> None:
    even = stream + b"\0" * (len(stream) % 2)
    assert leave(way, level, fragments(image(), [even]), syntax).reasons == ()


@pytest.mark.parametrize("table", [HIDDEN[:4], HIDDEN[:8], struct.pack("<2I", 0, 4)])
def test_a_basic_offset_table_that_says_something_else(way: str, level: str, table: bytes) -> None:
    frames = len(table) // 4
    stream = jpeg() + b"\0" * (len(jpeg()) % 2)
    data = fragments(image(NumberOfFrames=frames), [stream] * frames, table)
    assert leave(way, level, data, JPEG_LOSSLESS).reasons == ("offset-table",)


def test_extended_offset_tables(way: str, level: str) -> None:
    stream = jpeg() + b"\0" * (len(jpeg()) % 2)
    ds = image(
        NumberOfFrames=2,
        ExtendedOffsetTable=struct.pack("<2Q", 0, 8 + len(stream)),
        ExtendedOffsetTableLengths=struct.pack("<2Q", len(stream), len(stream) - 1),
    )
    assert leave(way, level, fragments(ds, [stream] * 2), JPEG_LOSSLESS).reasons == ()
    for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        changed = image(**{"NumberOfFrames": 2, name: HIDDEN[:16]})
        assert leave(way, level, fragments(changed, [stream] * 2), JPEG_LOSSLESS).reasons == ("offset-table",)
    assert leave(way, level, native(image(ExtendedOffsetTable=HIDDEN[:8]), words(SAMPLES))).reasons == (
        "offset-table",
    )


@pytest.mark.parametrize("end", [b"\xfe\xff\xdd\xe0QQQQ", b"\xfe\xff\xdd\xe0\0\0\0\0" + HIDDEN])
def test_the_end_of_the_fragments(way: str, level: str, end: bytes) -> None:
    stream = jpeg() + b"\0" * (len(jpeg()) % 2)
    left = leave(way, level, fragments(image(), [stream], end=end), JPEG_LOSSLESS)
    assert HIDDEN not in left.file and b"QQQQ" not in left.file


@pytest.mark.parametrize(
    "name", ["MR2_J2KR.dcm", "693_J2KR.dcm", "RG3_J2KI.dcm", "MR_small_RLE.dcm", "J2K_pixelrep_mismatch.dcm"]
)
def test_real_images_decode_as_before(way: str, level: str, name: str) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("pydicom-data is not there")
    content = Path(str(path)).read_bytes()
    before = pydicom.dcmread(io.BytesIO(content))
    meta = read_meta(content)
    before.ImageType = ["ORIGINAL", "PRIMARY"]
    left = leave(way, level, content[meta.end :], meta.transfer_syntax)
    if left.reasons:
        assert left.reasons == ("derived-secondary", "detector-unavailable")
        return
    assert np.array_equal(left.data_set.pixel_array, before.pixel_array)
    assert b"Kakadu" not in left.file and b"JasPer" not in left.file
