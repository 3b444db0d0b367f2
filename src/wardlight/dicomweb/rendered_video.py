"""Containers of moving pictures, written as frames come: animated GIF89a, fragmented MP4 (ISO/IEC 14496-12).

Frames are coded in the decoder process; here is only what goes around them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

GIF_END: Final = b";"
#: Units of time in an MP4, a second.
TIMESCALE: Final = 1000
_MATRIX: Final = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
# Sample flags (ISO/IEC 14496-12 8.8.3.1): depends on no other, depends on others and is no sync sample.
_SYNC, _DEPENDENT = 0x02000000, 0x01010000


def gif_head(width: int, height: int) -> bytes:
    """What comes before the frames: the size, and that it runs on and on."""
    screen = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x70, 0, 0)
    return screen + b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"


def _box(kind: bytes, *contents: bytes) -> bytes:
    size = 8 + sum(map(len, contents))
    return b"".join((struct.pack(">I4s", size, kind), *contents))


def _full(kind: bytes, flags: int, *contents: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *contents)


def mp4_head(width: int, height: int, config: bytes, duration_ms: int) -> bytes:
    """File type and movie for one track of AV1. config: the av1C box of its samples."""
    times = struct.pack(">III", 0, 0, TIMESCALE)
    entry = _box(
        b"av01",
        struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1),
        config,
        _box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0)),
    )
    tables = (
        _full(b"stsd", 0, struct.pack(">I", 1), entry),
        *(_full(kind, 0, struct.pack(">I", 0)) for kind in (b"stts", b"stsc", b"stco")),
        _full(b"stsz", 0, struct.pack(">II", 0, 0)),
    )
    reference = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, times, struct.pack(">IHH", 0, 0x55C4, 0)),
        _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"vide"), b"\0"),
        _box(b"minf", _full(b"vmhd", 1, bytes(8)), reference, _box(b"stbl", *tables)),
    )
    track = _full(
        b"tkhd",
        3,
        struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, 0, 0, 0, 0, 0),
        _MATRIX,
        struct.pack(">II", width << 16, height << 16),
    )
    extends = _box(
        b"mvex",
        _full(b"mehd", 0, struct.pack(">I", duration_ms)),
        _full(b"trex", 0, struct.pack(">IIIII", 1, 1, 0, 0, 0)),
    )
    movie = _full(
        b"mvhd",
        0,
        times,
        struct.pack(">IIHH8x", 0, 0x10000, 0x100, 0),
        _MATRIX,
        bytes(24),
        struct.pack(">I", 2),
    )
    kind = _box(b"ftyp", struct.pack(">4sI", b"iso6", 0), b"iso6", b"av01", b"mp41")
    return kind + _box(b"moov", movie, _box(b"trak", track, media), extends)


def mp4_fragment(
    number: int, start_ms: int, frame_ms: int, samples: Sequence[bytes], keys: Sequence[int]
) -> bytes:
    """One movie fragment, counting from 1. start_ms: its time. keys: numbers of the samples that need no other."""

    def fragment(offset: int) -> bytes:
        rows = b"".join(
            struct.pack(">III", frame_ms, len(sample), _SYNC if place in keys else _DEPENDENT)
            for place, sample in enumerate(samples)
        )
        return _box(
            b"moof",
            _full(b"mfhd", 0, struct.pack(">I", number)),
            _box(
                b"traf",
                _full(b"tfhd", 0x020000, struct.pack(">I", 1)),
                _full(b"tfdt", 0, struct.pack(">Q", start_ms), version=1),
                _full(b"trun", 0x000701, struct.pack(">Ii", len(samples), offset), rows),
            ),
        )

    return fragment(len(fragment(0)) + 8) + _box(b"mdat", *samples)
