"""Objects whose pixel data hides something, and the two ways on which an object leaves."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pydicom
from pydicom.dataset import Dataset

from deid_kit import CT, SECRET, deidentifier, encode, minimal
from wardlight.agreements.model import Level
from wardlight.cli.deidentify_file import Worker
from wardlight.cli.deidentify_input import Input
from wardlight.cli.deidentify_output import Outputs, prepare
from wardlight.deid.burned_in import PixelReader
from wardlight.dicom.part10 import read_meta, write_meta
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_LITTLE, transfer_syntax
from wardlight.receiver.model import Target, Work
from wardlight.receiver.protect import NotReleased, Protector

LEVELS = ("high", "medium", "low")
WAYS = ("receiver", "command")
HIDDEN = b"QUILLFEATHER^AMBROSE"
JPEG, JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
J2K, HTJ2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"
_CHUNK = 61


@dataclass(frozen=True)
class Left:
    """What became of an object. file: as it left, b"" where it did not; reasons: why not."""

    file: bytes
    reasons: tuple[str, ...]

    @property
    def data_set(self) -> Dataset:
        """Read by pydicom."""
        return pydicom.dcmread(io.BytesIO(self.file))


def image(**changes: Any) -> Dataset:
    """A CT image of eight by eight pixels, twelve bits in sixteen."""
    ds = minimal()
    for name, value in changes.items():
        setattr(ds, name, value)
    return ds


def native(ds: Dataset, value: bytes, syntax: str = EXPLICIT_LITTLE.uid, length: int | None = None) -> bytes:
    """A data set with a pixel value."""
    chosen = transfer_syntax(syntax)
    order = "big" if chosen.big_endian else "little"
    tag = (0x7FE0).to_bytes(2, order) + (0x0010).to_bytes(2, order)
    vr = b"" if chosen.implicit else b"OW\0\0"
    size = len(value) if length is None else length
    data = encode(ds, EXPLICIT_LITTLE if chosen.deflated else chosen)
    return deflated(data + tag + vr + size.to_bytes(4, order) + value, syntax)


def deflated(data: bytes, syntax: str = DEFLATED.uid) -> bytes:
    """Deflated, if the transfer syntax wants that."""
    if syntax != DEFLATED.uid:
        return data
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def fragments(
    ds: Dataset, parts: Sequence[bytes], table: bytes = b"", end: bytes = b"\xfe\xff\xdd\xe0\0\0\0\0"
) -> bytes:
    """A data set with encapsulated pixel data."""
    items = b"".join(b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *parts))
    return encode(ds) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + end


def segment(code: int, payload: bytes) -> bytes:
    """A marker segment of JPEG or JPEG 2000."""
    return bytes((0xFF, code)) + (len(payload) + 2).to_bytes(2, "big") + payload


def jpeg(
    extra: bytes = b"",
    *,
    frame: int = 0xC3,
    precision: int = 12,
    side: int = 8,
    coded: bytes = b"\x12\xff\0\x34",
) -> bytes:
    """The skeleton of a JPEG image, with more segments after SOI."""
    header = struct.pack(">BHHB", precision, side, side, 1) + b"\1\x11\0"
    table = b"" if frame == 0xF7 else segment(0xC4, b"\0" + bytes(15) + b"\1" + b"\0")
    scan = segment(0xDA, b"\1\1\0\1\0\0")
    return b"\xff\xd8" + extra + segment(frame, header) + table + scan + coded + b"\xff\xd9"


def j2k(
    extra: bytes = b"",
    *,
    tile: bytes = b"",
    depth: int = 12,
    side: int = 8,
    data: bytes = b"\x01\x02\x03",
    open_length: bool = False,
) -> bytes:
    """The skeleton of a JPEG 2000 codestream, with more segments in its main and tile-part header."""
    size = struct.pack(">H8IH", 0, side, side, 0, 0, side, side, 0, 0, 1) + bytes((depth - 1, 1, 1))
    coding = segment(0x52, b"\0\0\0\1\0\0\4\4\0\1") + segment(0x5C, b"\x40\x40")
    length = 0 if open_length else 12 + len(tile) + 2 + len(data)
    part = segment(0x90, struct.pack(">HIBB", 0, length, 0, 1)) + tile + b"\xff\x93" + data
    return b"\xff\x4f" + segment(0x51, size) + coding + extra + part + b"\xff\xd9"


def rle(*segments: bytes) -> bytes:
    """A frame of RLE segments."""
    offsets, at = [], 64
    for one in segments:
        offsets.append(at)
        at += len(one)
    head = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return head + b"".join(segments)


def leave(
    way: str, level: str, data: bytes, syntax: str = EXPLICIT_LITTLE.uid, reader: PixelReader | None = None
) -> Left:
    """The data set sent to a receiver, or given to `wardlight deidentify`."""
    return (_receiver if way == "receiver" else _command)(level, data, syntax, reader)


class _Spool:
    data = b""

    def read(self, ref: object, start: int = 0) -> Iterator[bytes]:
        return (self.data[at : at + _CHUNK] for at in range(start, len(self.data), _CHUNK))

    def read_whole(self, ref: object) -> memoryview:
        return memoryview(self.data)


_SPOOL = _Spool()


@cache
def _protector(reader: Any) -> Protector:
    return Protector(cast(Any, _SPOOL), cast(Any, SimpleNamespace(hospital=SECRET)), reader=reader)


def _receiver(level: str, data: bytes, syntax: str, reader: PixelReader | None) -> Left:
    target = Target("app", Level(level))
    work = Work(1, target, 0, "f", 0, 0, 0, 0, len(data), b"", b"", CT, syntax, None)
    _SPOOL.data = data
    try:
        outgoing = _protector(reader).protect(work).outgoing
    except NotReleased as refusal:
        return Left(b"", refusal.reasons)
    file = b"".join(outgoing.part.chunks(outgoing.read))
    assert len(file) == outgoing.part.length
    return Left(file, ())


def _command(level: str, data: bytes, syntax: str, reader: PixelReader | None) -> Left:
    meta = write_meta(
        CT,
        "1.2.3",
        syntax,
        implementation_class_uid="1.2",
        implementation_version="T",
    )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "one.dcm", Path(folder) / "out"
        source.write_bytes(meta + data)
        prepare(target)
        worker = Worker(deidentifier(level), Outputs(target), False, reader=reader)
        outcome = worker.process(Input(1, source))
        written = [path for path in target.glob("[!.]*/*/*") if path.is_file()]
        assert (outcome.kind == "released") == (len(written) == 1), (
            "nothing is left behind of what is refused"
        )
        return Left(written[0].read_bytes() if written else b"", outcome.reasons)


def value_of(left: Left) -> bytes:
    """What stands in the file behind the head of its pixel data."""
    data_set = left.file[read_meta(left.file).end :]
    return data_set[data_set.rindex(b"\xe0\x7f\x10\x00") + 12 :]
