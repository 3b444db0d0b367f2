"""Instances too large to hold, and studies of very many, made piece by piece: nothing here is ever whole in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import corpora
from bench.loaded import Names

_NATIVE = b"1.2.840.10008.1.2.1\0"
_ENCAPSULATED = b"1.2.840.10008.1.2.1.98"
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
FRAME_BYTES = 512 * 512 * 2


@dataclass(frozen=True, slots=True)
class Giant:
    """A Part 10 file in pieces, the larger of which are one and the same memory."""

    names: Names
    pieces: list[bytes | memoryview]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(map(len, self.pieces))


def multi_frame(root: Path, frames: int, *, encapsulated: bool = False) -> Giant:
    """An Enhanced CT of so many frames of 524,288 bytes, all with the same noise.

    encapsulated: one fragment a frame (PS3.5 section A.4.11), as native pixel data ends at 4 GiB.
    """
    number = frames + int(encapsulated)
    patient, study, series = 5000 + number, number, 1
    path = root / f"giant-{number}.dcm"
    ds = corpora.enhanced(patient, study, series, frames)
    corpora.save(ds, b"", path)
    content = path.read_bytes()
    path.unlink()
    head = content[: content.rindex(b"\xe0\x7f\x10\x00")]
    pixels = memoryview(corpora.noise(FRAME_BYTES))
    pieces: list[bytes | memoryview]
    if encapsulated:
        head = _with_syntax(head)
        offsets = struct.pack("<4sI", _ITEM, 0)
        pieces = [head, b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", offsets]
        pieces += [struct.pack("<4sI", _ITEM, FRAME_BYTES), pixels] * frames
        pieces.append(_END)
    else:
        pieces = [head, b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", frames * FRAME_BYTES)]
        pieces += [pixels] * frames
    return Giant(Names(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)), pieces)


def _with_syntax(head: bytes) -> bytes:
    """The file head with the encapsulated syntax's UID, and the group's length counted anew (PS3.10 section 7.1)."""
    old = struct.pack("<HH2sH", 2, 0x10, b"UI", len(_NATIVE)) + _NATIVE
    new = struct.pack("<HH2sH", 2, 0x10, b"UI", len(_ENCAPSULATED)) + _ENCAPSULATED
    length = int(struct.unpack_from("<I", head, 140)[0]) + len(new) - len(old)
    return head[:140] + struct.pack("<I", length) + head[144:].replace(old, new, 1)


def crowd(root: Path, count: int) -> Iterator[tuple[Names, bytes]]:
    """A study of `count` instances of 8 × 8 pixels in series of 1,000: a template whose UIDs and numbers are set."""
    path = root / "crowd.dcm"
    ds = corpora.tiny()
    corpora.save(ds, bytes(128), path)
    template = path.read_bytes()
    path.unlink()
    names = Names(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
    number = str(ds.InstanceNumber).encode()
    assert template.count(names.instance.encode()) == 2 and len(number) == 6
    for index in range(count):
        series = names.series[:-6] + f"{index // 1000 + 100000:06d}"
        instance = names.instance[:-6] + f"{index + 100000:06d}"
        content = template.replace(names.instance.encode(), instance.encode())
        content = content.replace(names.series.encode(), series.encode())
        yield (
            Names(names.study, series, instance),
            content.replace(b"IS\x06\x00" + number, b"IS\x06\x00" + f"{index + 100000:06d}".encode()),
        )
