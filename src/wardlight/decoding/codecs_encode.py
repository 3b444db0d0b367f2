"""Pixels to compressed streams, all without loss (PS3.5 sections 8.2.2 to 8.2.5 and 10.18, Annex G)."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from imagecodecs import HTJ2K, htj2k_encode, jpeg2k_encode, jpegls_encode, packbits_encode
from numpy.typing import NDArray

from wardlight.decoding.jobs import JobError
from wardlight.decoding.model import (
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE,
    Frame,
)

#: Width and height of the base resolution of HTJ2K RPCL (PS3.5 section 10.18).
_THUMBNAIL: Final = 64
#: Where the SIZ segment of a codestream has the precision of its first component, less one, and its sign.
_PRECISION: Final = 42


def encode(pixels: NDArray[Any], frame: Frame, photometric: str, target: str) -> tuple[int, str, bytes]:
    """Planar Configuration and photometric interpretation of the encoded frame, and its stream."""
    if not frame.encodable(target):
        raise JobError("unsupported")
    if target == RLE:
        return 1 if frame.samples > 1 else 0, photometric, rle(pixels)
    if target == JPEG_LS_LOSSLESS:
        return 0, photometric, jpeg_ls(pixels)
    transform = frame.samples == 3 and photometric == "RGB"
    bits = _bits(pixels, frame)
    if target == JPEG_2000_LOSSLESS:
        stream = bytes(
            jpeg2k_encode(
                pixels,
                level=0,
                codecformat="j2k",
                reversible=True,
                mct=transform,
                bitspersample=bits,
                numthreads=1,
            )
        )
    elif target in (HTJ2K_LOSSLESS, HTJ2K_RPCL):
        stream = htj2k(pixels, bits, transform=transform)
    else:
        raise JobError("unsupported")
    return 0, "YBR_RCT" if transform else photometric, stream


def _bits(pixels: NDArray[Any], frame: Frame) -> int:
    """Bits Stored; Bits Allocated where values do not fit, as with overlays in the bits above."""
    bits = frame.bits_stored
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if frame.signed else (0, (1 << bits) - 1)
    return bits if low <= int(pixels.min()) and int(pixels.max()) <= high else frame.bits_allocated


def rle(pixels: NDArray[Any]) -> bytes:
    """Byte planes, the highest byte of each sample first; no run crosses the end of a row (PS3.5 G.3.1)."""
    planes = pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    segments = []
    for plane in planes:
        octets = np.ascontiguousarray(plane).view(np.uint8).reshape(*plane.shape, plane.dtype.itemsize)
        for place in reversed(range(plane.dtype.itemsize)):
            rows = np.ascontiguousarray(octets[:, :, place])
            segment = b"".join([bytes(packbits_encode(row.tobytes())) for row in rows])
            segments.append(segment + bytes(len(segment) % 2))
    offsets, position = [], 64
    for segment in segments:
        offsets.append(position)
        position += len(segment)
    head = struct.pack("<16I", len(segments), *offsets, *(0,) * (15 - len(offsets)))
    return head + b"".join(segments)


def jpeg_ls(pixels: NDArray[Any]) -> bytes:
    """Signed values are coded as the unsigned ones of the same bits, since JPEG-LS knows no sign.

    The encoder writes a SPIFF directory, which no DICOM decoder needs and some do not know: it is cut out.
    """
    unsigned = pixels.view(f"u{pixels.dtype.itemsize}")
    stream = bytes(jpegls_encode(unsigned, out=bytearray(2 * pixels.nbytes + 1024)))
    start = 2
    while stream[start : start + 2] == b"\xff\xe8":
        end_of_directory = stream[start + 4 : start + 8] == b"\0\0\0\1"
        start += 2 + int.from_bytes(stream[start + 2 : start + 4], "big")
        if end_of_directory:
            break
    return stream[:2] + stream[start:]


def htj2k(pixels: NDArray[Any], bits: int, *, transform: bool) -> bytes:
    """Reversible HTJ2K in RPCL order with tile-part lengths, a tile-part for each resolution.

    The encoder takes the precision from the type of the array. So that the stream says the true one, unsigned values
    go in shifted to signed ones, which is what the decoder undoes by that precision (T.800 G.1), and SIZ is corrected.
    """
    levels = max(1, (-(-max(pixels.shape[:2]) // _THUMBNAIL) - 1).bit_length())
    exact = pixels.ndim == 2 and bits < 8 * pixels.dtype.itemsize
    signed = pixels.dtype.kind == "i"
    if exact and not signed:
        pixels = (pixels.astype(np.int32) - (1 << (bits - 1))).astype(f"i{pixels.dtype.itemsize}")
    stream = bytearray(
        htj2k_encode(
            pixels,
            reversible=True,
            rgb=transform,
            tlm=True,
            tilepart=HTJ2K.TILEPART.RESOLUTIONS,
            resolutions=levels,
        )
    )
    if exact:
        stream[_PRECISION] = (0x80 if signed else 0) | (bits - 1)
    return bytes(stream)
