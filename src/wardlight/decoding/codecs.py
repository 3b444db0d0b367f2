"""Frames decoded and encoded by imagecodecs, in the decoder process only.

What a compressed stream says of its size is compared with the data set before a decoder sees it: a frame that
announces a gigabyte is refused while it is small. Codecs are imported by name, as each is a library of its own that
must be there before the process is locked in.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from imagecodecs import (
    dicomrle_decode,
    htj2k_decode,
    jpeg2k_decode,
    jpeg8_decode,
    jpegls_decode,
    jpegxl_decode,
)
from numpy.typing import NDArray

from wardlight.decoding.codecs_encode import encode
from wardlight.decoding.codecs_head import announced
from wardlight.decoding.jobs import JobError, job
from wardlight.decoding.model import (
    HTJ2K,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LOSSY,
    JPEG_LS,
    JPEG_XL,
    LARGEST_FRAME,
    LOSSY,
    RLE,
    Frame,
)
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax

Pixels = NDArray[Any]

#: Decoders that fill up a stream which is cut off, so that half a picture would look like a whole one. Their streams
#: end in a marker that cannot stand in coded data; padding may follow it.
_FORGIVING: Final = JPEG_LOSSY | JPEG_LOSSLESS | HTJ2K
_END: Final = b"\xff\xd9"
_TAIL: Final = 4096
_TRANSFORMED: Final = ("YBR_RCT", "YBR_ICT")


@job("transcode")
def transcode(arguments: dict[str, Any], data: list[memoryview]) -> tuple[dict[str, Any], list[bytes]]:
    """One frame, given in pieces, from its syntax to `target`; the result names what has changed.

    described: decoded pixels must still be what the data set describes, as nobody corrects it: luminance and colour
    stay apart, and Planar Configuration holds.
    """
    frame = Frame.from_json(arguments["frame"])
    target = arguments["target"]
    described = arguments.get("described", False)
    code = _joined(data)
    pixels, photometric = decode(frame, code, keep_colour=described)
    planar = frame.planar if described else 0
    if target != EXPLICIT_LITTLE.uid:
        planar, photometric, encoded = encode(pixels, frame, photometric, target)
    elif planar and frame.samples > 1:
        encoded = np.moveaxis(pixels, -1, 0).tobytes()
    else:
        encoded = pixels.tobytes()
    return {"photometric": photometric, "planar": planar, "lossy": _is_lossy(frame, code)}, [encoded]


def _is_lossy(frame: Frame, data: memoryview) -> bool:
    """Whether the stream itself has lost something, whatever its data set says."""
    return not frame.native and frame.syntax != RLE and announced(frame, data).syntax in LOSSY


def _joined(data: list[memoryview]) -> memoryview:
    return data[0] if len(data) == 1 else memoryview(b"".join(data))


def decode(frame: Frame, data: memoryview, *, keep_colour: bool = False) -> tuple[Pixels, str]:
    """The pixels of a frame, and the photometric interpretation they have now.

    Rows × columns, or rows × columns × samples, in the type that Bits Allocated, Pixel Representation and the pixel
    data element ask for; 1-bit pixels become bytes of 0 and 1. Lossy JPEG in a colour space of luminance becomes RGB,
    as do the transformations of JPEG 2000; native 4:2:2 gets as much colour as luminance. keep_colour: lossy JPEG that
    the data set calls YBR_FULL or YBR_FULL_422 becomes YBR_FULL instead. Raises `JobError`.
    """
    if not frame.sound:
        raise JobError(
            "too-large" if frame.rows * frame.columns * frame.samples > LARGEST_FRAME else "mismatch"
        )
    if not frame.decodable:
        raise JobError("unsupported")
    if frame.native:
        return _native(frame, data)
    if frame.syntax == RLE:
        return _rle(frame, data), frame.photometric
    return _stream(frame, data, keep_colour=keep_colour and frame.photometric.startswith("YBR_FULL"))


def _dtype(frame: Frame) -> np.dtype[Any]:
    kind = "f" if frame.floating else "i" if frame.signed else "u"
    return np.dtype(f"<{kind}{max(1, frame.bits_allocated // 8)}")


def _native(frame: Frame, data: memoryview) -> tuple[Pixels, str]:
    if len(data) < frame.size:
        raise JobError("mismatch")
    if transfer_syntax(frame.syntax).big_endian and frame.bits_allocated <= 8 and frame.words:
        data = memoryview(np.frombuffer(data, "<u2", len(data) // 2).byteswap().tobytes())
    if frame.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return _shaped(bits[: frame.rows * frame.columns * frame.samples], frame), frame.photometric
    dtype = _dtype(frame)
    if transfer_syntax(frame.syntax).big_endian:
        dtype = dtype.newbyteorder(">")
    pixels = np.frombuffer(data, dtype, frame.size // dtype.itemsize).astype(_dtype(frame), copy=False)
    if frame.photometric == "YBR_FULL_422":
        return _upsampled(pixels, frame), "YBR_FULL"
    return _shaped(pixels, frame), frame.photometric


def _upsampled(pixels: Pixels, frame: Frame) -> Pixels:
    """Native YBR_FULL_422 is Y Y Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    if frame.columns % 2:
        raise JobError("unsupported")
    groups = pixels.reshape(frame.rows, frame.columns // 2, 4)
    whole = np.empty((frame.rows, frame.columns, 3), pixels.dtype)
    whole[:, :, 0] = groups[:, :, :2].reshape(frame.rows, frame.columns)
    whole[:, :, 1] = groups[:, :, 2].repeat(2, axis=1)
    whole[:, :, 2] = groups[:, :, 3].repeat(2, axis=1)
    return whole


def _shaped(pixels: Pixels, frame: Frame, planar: int | None = None) -> Pixels:
    """Samples in the order of Planar Configuration to rows × columns (× samples)."""
    if frame.samples == 1:
        return pixels.reshape(frame.rows, frame.columns)
    if frame.planar if planar is None else planar:
        planes = pixels.reshape(frame.samples, frame.rows, frame.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return pixels.reshape(frame.rows, frame.columns, frame.samples)


def _rle(frame: Frame, data: memoryview) -> Pixels:
    """PS3.5 Annex G. Segments are whole sample planes whatever Planar Configuration says."""
    if len(data) < 64 or int.from_bytes(data[:4], "little") != frame.samples * frame.bits_allocated // 8:
        raise JobError("mismatch")
    dtype = np.dtype(f"<u{frame.bits_allocated // 8}")
    decoded = dicomrle_decode(bytes(data), dtype, out=bytearray(frame.size))
    if len(decoded) != frame.size:
        raise JobError("mismatch")
    return _shaped(np.frombuffer(decoded, _dtype(frame)), frame, planar=1)


def _stream(frame: Frame, data: memoryview, *, keep_colour: bool) -> tuple[Pixels, str]:
    """JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL."""
    stream = announced(frame, data)
    code = bytes(data[stream.start :])
    if frame.syntax in _FORGIVING and _END not in code[-_TAIL:]:
        raise JobError("damaged")
    photometric = frame.photometric
    if frame.syntax in HTJ2K:
        pixels = htj2k_decode(code, planar=False)  # else components that are not transformed come in planes
    elif frame.syntax in JPEG_2000:
        pixels = jpeg2k_decode(code, numthreads=1)
    elif frame.syntax in JPEG_LS:
        pixels = jpegls_decode(code)
    elif frame.syntax in JPEG_XL:
        pixels = jpegxl_decode(code, numthreads=1)
    else:
        pixels = _jpeg(code, frame, keep_colour=keep_colour)
    if frame.samples == 3 and frame.syntax in JPEG_LOSSY and keep_colour:
        photometric = "YBR_FULL"
    elif frame.samples == 3 and (
        stream.photometric in _TRANSFORMED
        or frame.syntax in JPEG_LOSSY | JPEG_XL
        or photometric in _TRANSFORMED
    ):
        photometric = "RGB"
    wanted = (frame.rows, frame.columns) if frame.samples == 1 else (frame.rows, frame.columns, frame.samples)
    if pixels.shape != wanted and (pixels.size != frame.rows * frame.columns or frame.samples != 1):
        raise JobError("mismatch")
    return _fitted(pixels.reshape(wanted), frame, stream.bits), photometric


def _jpeg(code: bytes, frame: Frame, *, keep_colour: bool) -> Pixels:
    """Lossless pixels are as they are, and lossy ones that the data set calls RGB where no Adobe marker says more."""
    as_it_is = frame.samples == 3 and (
        frame.syntax not in JPEG_LOSSY
        or (frame.photometric == "RGB" and b"\xff\xee\x00\x0eAdobe" not in code)
    )
    colour = "RGB" if as_it_is else "YCBCR" if keep_colour and frame.samples == 3 else None
    return jpeg8_decode(code, colorspace=colour, outcolorspace=colour)


def _fitted(pixels: Pixels, frame: Frame, bits: int) -> Pixels:
    """Decoded samples of so many bits in the type of the data set; the sign is where the data set puts it."""
    wanted = _dtype(frame)
    if pixels.dtype == wanted and bits == frame.bits_allocated:
        return pixels
    if pixels.dtype.kind not in "iu":
        raise JobError("mismatch")
    if (pixels.dtype.kind == "i") != frame.signed:
        # JPEG and JPEG-LS know no sign, and JPEG 2000 is at times written with the wrong one.
        width = 8 * wanted.itemsize
        unsigned = pixels.astype(f"u{wanted.itemsize}")
        pixels = (unsigned << (width - bits)).view(wanted) >> (width - bits)
    return np.ascontiguousarray(pixels.astype(wanted, copy=False))
