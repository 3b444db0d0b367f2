"""Pixels that cannot be looked at, or come out other than they should, do not leave; what was read is not told."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from deid_kit import deidentifier, encode
from pixel_kit import JPEG_LS, WAYS, fragments, image, leave, native
from reader_kit import FakeReader
from wardlight.decoding.codecs_encode import encode as encoded
from wardlight.decoding.model import Frame
from wardlight.deid.burned_in import Box, Buffer, look
from wardlight.deid.protect import protect
from wardlight.deid.verify_pixels import PixelVerifier, Unverified
from wardlight.dicom.frame import FrameShape
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE

SIDE = 40
EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": SIDE, "Columns": SIDE}
BOX = (4, 5, 20, 11)


def object_of(frames: int = 3, **changes: Any) -> bytes:
    value = b"".join(bytes((7 * n + number) % 251 for n in range(SIDE * SIDE)) for number in range(frames))
    return native(image(BurnedInAnnotation="YES", NumberOfFrames=frames, **EIGHT, **changes), value)


def compressed() -> bytes:
    frame = Frame(EXPLICIT_LITTLE.uid, SIDE, SIDE, 1, "MONOCHROME2", 8, 8, 7, False)
    ramp = np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE)
    streams = [
        encoded(((ramp + n) % 199 + 3).astype(np.uint8), frame, "MONOCHROME2", JPEG_LS)[2] for n in range(2)
    ]
    ds = image(BurnedInAnnotation="YES", NumberOfFrames=2, **EIGHT)
    return fragments(ds, [stream + b"\0" * (len(stream) % 2) for stream in streams])


@pytest.mark.parametrize("way", WAYS)
def test_without_a_reader_or_with_one_that_ends(way: str) -> None:
    assert leave(way, "high", object_of()).reasons == ("burned-in-annotation", "detector-unavailable")
    ended = FakeReader(fails={2: "detector-unavailable"})
    assert leave(way, "high", object_of(), reader=ended).reasons == (
        "burned-in-annotation",
        "detector-unavailable",
    )
    damaged = FakeReader(fails={0: "frame-unreadable"})
    assert leave(way, "high", object_of(), reader=damaged).reasons == (
        "burned-in-annotation",
        "frame-unreadable",
    )
    # The next object goes on.
    assert leave(way, "high", object_of(), reader=FakeReader()).reasons == ()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("photometric", "frame-unreadable"), ("same", "pixels-differ"), ("length", "codestream")],
)
def test_a_reader_that_gives_something_else(way: str, fault: str, reason: str) -> None:
    class Faulty(FakeReader):
        made = 0

        def blackened(
            self, frame: FrameShape, data: Buffer, boxes: Sequence[Box], syntax: str
        ) -> tuple[bytes, str, int]:
            self.made += 1
            stream, photometric, planar = super().blackened(frame, data, boxes, syntax)
            if self.made > 2 and fault == "photometric":
                return stream, "MONOCHROME1", planar
            if fault == "length":
                stream = stream[: len(stream) // 2]
            if fault == "same":
                stream = super().blackened(frame, data, [(0, 0, 30, 30)], syntax)[0]
            return stream, photometric, planar

    reasons = leave(way, "high", compressed(), JPEG_LS, Faulty(((BOX, "x"),))).reasons
    assert len(reasons) == 1 and reasons[0].startswith(reason)


def test_a_box_outside_of_the_frame_is_no_answer() -> None:
    reader = FakeReader((((SIDE, 0, SIDE + 5, 5), "x"),))
    assert leave("command", "high", object_of(), reader=reader).reasons[-1] == "frame-unreadable"


def test_equal_frames_are_looked_at_once() -> None:
    shape = FrameShape(EXPLICIT_LITTLE.uid, 4, 4, 1, "MONOCHROME2", 8, 8, 7, False)
    reader = FakeReader((((0, 0, 3, 3), "A"), ((1, 1, 2, 2), "B")), (((2, 2, 9, 9), "A"),))
    looked = look(reader, shape, [bytes(16), bytes(16), bytes(15) + b"1", bytes(16)])
    assert looked.frames == 4 and len(reader.frames) == 2
    assert looked.boxes == ((0, 0, 3, 3), (2, 2, 4, 4)) and looked.texts == ("A", "B")
    assert "A" not in repr(looked).partition("syntax")[0]


def test_what_was_read_decides_nothing_and_is_counted() -> None:
    data = object_of(2)
    stream = DataSetStream(EXPLICIT_LITTLE, wanted=frozenset(range(0x00080000, 0x00300000)))
    stream.feed(data)
    reader = FakeReader(((BOX, "SOMEBODY ELSE"), ((30, 30, 35, 35), "12 cm")), ())
    protected = protect(
        deidentifier("high"), stream, lambda: [data[stream.value_offset :]], reader=reader, report=True
    )
    result = protected.result
    assert (result.frames, result.matched, len(result.boxes)) == (2, 1, 2)
    assert "SOMEBODY" not in repr(protected) and "12 cm" not in repr(protected)


def test_bands_of_known_devices_go_whatever_is_found() -> None:
    ds = image(Modality="US", Manufacturer="SIEMENS", ManufacturerModelName="ACUSON S2000", **EIGHT)
    ds.Rows = 768
    assert leave("command", "high", native(ds, b"\x20" * 768 * SIDE), reader=FakeReader()).reasons == ()
    shown = leave(
        "receiver", "high", native(ds, b"\x20" * 768 * SIDE), reader=FakeReader()
    ).data_set.pixel_array
    assert not shown[:60].any() and (shown[60:] == 0x20).all()
    ds.Rows = 767
    shown = leave(
        "receiver", "high", native(ds, b"\x20" * 767 * SIDE), reader=FakeReader()
    ).data_set.pixel_array
    assert (shown == 0x20).all()


def test_overlays_in_unused_bits_leave_without_them() -> None:
    ds = image()
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0x60000102, "US", 13)
    for tag, vr, value in (
        (0x60003000, "OW", bytes(8)),
        (0x50003000, "OW", bytes(8)),
        (0x60000022, "LO", "Q"),
    ):
        ds.add_new(tag, vr, value)
    for level in ("high", "medium", "low"):
        left = leave("receiver", level, _overlaid(ds))
        assert left.reasons == ()
        assert left.data_set.pixel_array.ravel().tolist() == list(range(64))
        assert not [one for one in left.data_set if one.tag.group >> 8 in (0x50, 0x60)]


def _overlaid(ds: Any) -> bytes:
    header = encode(ds)
    # Groups 60xx stand before the pixels.
    return (
        header
        + b"\xe0\x7f\x10\0OW\0\0"
        + struct.pack("<I", 128)
        + struct.pack("<64H", *(n | 1 << 13 for n in range(64)))
    )


BOXED: list[tuple[dict[str, Any], str, int]] = [
    ({**EIGHT}, EXPLICIT_LITTLE.uid, SIDE * 5 + 4),
    (
        {**EIGHT, "SamplesPerPixel": 3, "PlanarConfiguration": 1},
        EXPLICIT_LITTLE.uid,
        SIDE * SIDE + SIDE * 5 + 4,
    ),
    ({**EIGHT, "BitsAllocated": 16}, EXPLICIT_BIG.uid, 2 * (SIDE * 5 + 4) + 1),
]


@pytest.mark.parametrize(("form", "syntax", "place"), BOXED)
def test_the_verifier_sees_each_byte_outside_and_inside(
    form: dict[str, Any], syntax: str, place: int
) -> None:
    ds = image(**form)
    header = encode(ds, EXPLICIT_BIG if syntax == EXPLICIT_BIG.uid else EXPLICIT_LITTLE)
    size = SIDE * SIDE * ds.SamplesPerPixel * ds.BitsAllocated // 8
    value = bytes(1 if n % 2 == 1 or ds.BitsAllocated == 8 else 0 for n in range(size))
    head = b"\x7f\xe0\0\x10OW\0\0" if syntax == EXPLICIT_BIG.uid else b"\xe0\x7f\x10\0OW\0\0"

    def verified(changes: dict[int, int]) -> None:
        black = bytearray(_black(ds, value))
        for at, byte in changes.items():
            black[at] = byte

        def clean(chunks: Iterable[Buffer]) -> Iterator[Buffer]:
            assert b"".join(chunks) == value
            yield from (bytes(black[at : at + 1001]) for at in range(0, len(black), 1001))

        verifier = PixelVerifier(header, syntax, head, size, (BOX,))
        list(verifier.verified([value[:777], value[777:]], clean))

    verified({})
    with pytest.raises(Unverified, match="box-not-black"):
        verified({place: 5})
    with pytest.raises(Unverified, match="pixels-differ"):
        verified({place - ds.BitsAllocated // 8: 5})
    with pytest.raises(Unverified, match="pixels-differ"):
        verified({size - 1: 5})


def _black(ds: Any, value: bytes) -> bytes:
    each = ds.BitsAllocated // 8
    planes = np.frombuffer(value, np.uint8).reshape(ds.SamplesPerPixel, SIDE, SIDE, each).copy()
    planes[:, BOX[1] : BOX[3], BOX[0] : BOX[2]] = 0
    return planes.tobytes()
