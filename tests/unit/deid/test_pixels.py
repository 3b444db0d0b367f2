"""Cleaning of pixel values: the same however they are cut; and the verifier, which finds what was not cleaned."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from deid_kit import encode
from pixel_kit import HIDDEN, J2K, JPEG_LOSSLESS, JPEG_LS, RLE, fragments, image, j2k, jpeg, rle, segment
from wardlight.deid import pixels
from wardlight.deid.engine import WANTED
from wardlight.deid.pixels_fragments import Blanks
from wardlight.deid.verify_pixels import PixelVerifier, Unverified
from wardlight.dicom.elements import scan
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE, TransferSyntax, transfer_syntax

LAYOUTS = [
    (8, 7, 6),
    (16, 12, 11),
    (16, 12, 15),
    (16, 10, 12),
    (16, 8, 7),
    (32, 20, 19),
    (32, 9, 15),
    (64, 33, 40),
]


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in sorted(cuts):
        yield data[at:cut]
        at = max(at, cut)
    yield data[at:]


def cleaned(
    ds: Dataset, value: bytes, syntax: TransferSyntax, cuts: list[int], tag: int = 0x7FE00010
) -> bytes:
    header = encode(ds, syntax)
    order = "big" if syntax.big_endian else "little"
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order) + b"OW\0\0" + bytes(4)
    pixel = PixelElement(tag, b"OW", head, len(value))
    elements = scan(header, syntax, wanted=WANTED).elements
    cleaning = pixels.native_of(header, elements, pixel, syntax)
    made = b"".join(cleaning.clean(pieces(value, cuts)))
    verifier = PixelVerifier(header, syntax.uid, head, len(value))
    assert b"".join(verifier.verified(pieces(made, cuts))) == made
    if made != value:
        with pytest.raises(Unverified):
            list(verifier.verified(pieces(value, cuts)))
    return made


@given(st.data())
def test_samples_keep_their_value_and_nothing_else(data: st.DataObject) -> None:
    allocated, stored, high = data.draw(st.sampled_from(LAYOUTS))
    signed = data.draw(st.booleans())
    # Words larger than two bytes are in no agreed order in big endian, and are refused there.
    orders = (EXPLICIT_LITTLE, EXPLICIT_BIG) if allocated <= 16 else (EXPLICIT_LITTLE,)
    syntax = data.draw(st.sampled_from(orders))
    value = data.draw(st.binary(min_size=allocated, max_size=allocated))
    cuts = data.draw(st.lists(st.integers(0, len(value)), max_size=6))
    ds = image(
        Rows=2,
        Columns=4,
        BitsAllocated=allocated,
        BitsStored=stored,
        HighBit=high,
        PixelRepresentation=int(signed),
    )
    made = cleaned(ds, value, syntax, cuts)
    size, order = allocated // 8, "big" if syntax.big_endian else "little"
    low = high + 1 - stored
    for at in range(0, len(value), size):
        used = int.from_bytes(value[at : at + size], order) >> low & (1 << stored) - 1
        if signed and used >> stored - 1:
            used -= 1 << stored
        assert int.from_bytes(made[at : at + size], order) == (used << low) % (1 << allocated)


@pytest.mark.parametrize("syntax", [EXPLICIT_LITTLE, EXPLICIT_BIG])
@pytest.mark.parametrize(
    ("tag", "code", "nan"), [(0x7FE00008, "I", 0x7FC00000), (0x7FE00009, "Q", 0x7FF8 << 48)]
)
def test_what_is_not_a_number_says_nothing(syntax: TransferSyntax, tag: int, code: str, nan: int) -> None:
    sign = 1 << (31 if code == "I" else 63)
    infinite = nan & ~(1 << (22 if code == "I" else 51))
    values = [0, infinite, nan | 0x51515, nan | 0x51515 | sign, 12345, sign | infinite]
    form = f"{'>' if syntax.big_endian else '<'}6{code}"
    made = cleaned(image(Rows=2, Columns=3), struct.pack(form, *values), syntax, [5, 11], tag)
    assert struct.unpack(form, made) == (0, infinite, nan, nan, 12345, sign | infinite)


@given(
    st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=6), st.lists(st.integers(0, 60), max_size=6)
)
def test_blanks_are_the_same_however_the_value_is_cut(
    data: bytes, bounds: list[int], cuts: list[int]
) -> None:
    ordered = [bound for bound in sorted(set(bounds)) if bound <= len(data)]
    ranges = tuple(zip(ordered[::2], ordered[1::2], strict=False))
    expected = bytearray(data)
    for first, end in ranges:
        expected[first:end] = bytes(end - first)
    assert b"".join(Blanks(ranges).clean(pieces(data, cuts))) == expected


def split(data: bytes) -> tuple[bytes, bytes]:
    """Header and pixel value."""
    at = data.rindex(b"\xe0\x7f\x10\x00")
    return data[:at], data[at + 12 :]


def even(stream: bytes) -> bytes:
    return stream + b"\0" * (len(stream) % 2)


@pytest.mark.parametrize(
    ("syntax", "stream", "code"),
    [
        (JPEG_LOSSLESS, jpeg(segment(0xFE, HIDDEN)), "comment"),
        (JPEG_LOSSLESS, jpeg(segment(0xE5, HIDDEN)), "comment"),
        (JPEG_LOSSLESS, jpeg(segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\2\2" + HIDDEN)), "comment"),
        (JPEG_LOSSLESS, jpeg() + HIDDEN, "fragments"),
        (JPEG_LOSSLESS, jpeg() + jpeg(), "codestream"),
        (JPEG_LS, jpeg(segment(0xE8, HIDDEN), frame=0xF7), "comment"),
        (J2K, j2k(segment(0x64, b"\0\1" + HIDDEN)), "comment"),
        (J2K, j2k(tile=segment(0x64, b"\0\0" + HIDDEN)), "comment"),
        (J2K, j2k() + HIDDEN, "fragments"),
        (J2K, HIDDEN + j2k(), "codestream"),
        (RLE, rle(b"\xc1\x05", b"\xc1\x77" + HIDDEN), "rle"),
        (RLE, HIDDEN, "rle"),
        ("1.2.840.10008.1.2.4.100", jpeg(), "pixel-encoding"),
    ],
)
def test_the_verifier_finds_what_was_not_cleaned(syntax: str, stream: bytes, code: str) -> None:
    header, value = split(fragments(image(), [even(stream)]))
    with pytest.raises(Unverified) as caught:
        list(PixelVerifier(header, syntax, bytes(12), None).verified([value[:33], value[33:]]))
    assert caught.value.code == code


def test_the_verifier_counts() -> None:
    stream = even(jpeg())
    header, value = split(fragments(image(), [stream]))

    def verify(data: bytes, head: bytes = header) -> None:
        list(PixelVerifier(head, JPEG_LOSSLESS, bytes(12), None).verified([data]))

    verify(value)
    for data, head, code in (
        (value[:-8], header, "fragments"),
        (value + b"Q" * 8, header, "fragments"),
        (value[:-1] + b"Q", header, "fragments"),
        (value, split(fragments(image(NumberOfFrames=2), [stream]))[0], "frame-count"),
        (split(fragments(image(), [stream], HIDDEN[:4]))[1], header, "offset-table"),
    ):
        with pytest.raises(Unverified) as caught:
            verify(data, head)
        assert caught.value.code == code


@given(st.sampled_from((JPEG_LOSSLESS, JPEG_LS, J2K, RLE)), st.data())
def test_damaged_fragments_are_an_error_or_clean(syntax: str, data: st.DataObject) -> None:
    streams = {
        JPEG_LOSSLESS: jpeg(segment(0xFE, HIDDEN)),
        JPEG_LS: jpeg(frame=0xF7),
        J2K: j2k(segment(0x64, b"\0\1" + HIDDEN), tile=segment(0x58, b"\0\3")),
        RLE: rle(b"\xc1\x05", b"\xc1\x77"),
    }
    header, value = split(fragments(image(), [even(streams[syntax])]))
    changed = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(changed[: data.draw(st.integers(0, len(value)))] if data.draw(st.booleans()) else changed)
    cuts = data.draw(st.lists(st.integers(0, len(damaged)), max_size=4))
    elements = scan(header, EXPLICIT_LITTLE, wanted=WANTED).elements
    pixel = PixelElement(0x7FE00010, b"OB", bytes(12), -1)
    try:
        blanks = pixels.check(pieces(damaged, cuts), header, elements, pixel, transfer_syntax(syntax))
        made = b"".join(blanks.clean(pieces(damaged, cuts)))
        assert len(made) == len(damaged)
        list(PixelVerifier(header, syntax, bytes(12), None).verified(pieces(made, cuts)))
    except (pixels.PixelError, Unverified):
        pass
