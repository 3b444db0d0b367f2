"""Pictures in the media types of PS3.18 8.7.4: JPEG, PNG, JPEG 2000, frames of GIF and of AV1. In the decoder."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from imagecodecs import deflate_encode, jpeg2k_encode, jpeg8_encode
from PIL import AvifImagePlugin, Image, ImageCms

from wardlight.decoding.render import Picture

#: The encoder's fastest: a frame of 512 × 512 takes about 10 ms, against 70 ms at 6 for files of the same size.
_AV1_SPEED: Final = 10
# Pillow loads what writes a format when it is first asked for; here it must be there before the sandbox closes.
Image.preinit()
# Else it asks the system for the number of processors, which it may not here.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
_AVIF: Final = AvifImagePlugin.AvifImageFile.format
_SRGB: Final = ImageCms.createProfile("sRGB")
_SRGB_BYTES: Final = ImageCms.ImageCmsProfile(_SRGB).tobytes()
_COLOUR_LOSS: Final = 90


def encode(picture: Picture, media: str, quality: int, icc: bytes = b"") -> bytes:
    """One picture as `image/jpeg`, `image/png` or `image/jp2`. icc: profile to put with it, empty for none."""
    if media == "image/png":
        return _png(picture, icc)
    if media == "image/jp2":
        return bytes(jpeg2k_encode(picture, level=0, codecformat="jp2", reversible=True, numthreads=1))
    if icc:
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "JPEG", quality=quality, icc_profile=icc)
        return out.getvalue()
    # From quality 90 on colours keep their resolution: stains and flow maps are judged by thin coloured lines.
    subsampling = "444" if picture.ndim == 2 or quality >= _COLOUR_LOSS else "420"
    return bytes(jpeg8_encode(picture, level=quality, subsampling=subsampling))


def _png(picture: Picture, icc: bytes) -> bytes:
    """PNG (ISO/IEC 15948) with the filter `Up` in every row: three times as fast as libpng, and often smaller."""
    rows = picture.reshape(len(picture), -1)
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    colour = 2 if picture.ndim == 3 else 0
    head = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, colour, 0, 0, 0)
    profile = _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc)) if icc else b""
    data = bytes(deflate_encode(filtered, level=1, raw=False))  # type: ignore[arg-type]  # any buffer does
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + profile + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def managed(picture: Picture, icc: bytes, use: str) -> tuple[Picture, bytes]:
    """The picture and the profile to put with it, for `iccprofile` of `yes` or `srgb` (PS3.18 8.3.5.1.5).

    A profile that is none, or not for RGB, is left out; then the picture is as without one.
    """
    if picture.ndim != 3:
        return picture, b""
    if not icc:
        return picture, _SRGB_BYTES if use == "srgb" else b""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        image = Image.fromarray(picture)
        converted = ImageCms.profileToProfile(image, profile, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture, b""
    if use == "yes":
        return picture, icc
    assert converted is not None
    return np.asarray(converted), _SRGB_BYTES


def gif_frame(picture: Picture, delay_ms: float) -> bytes:
    """One frame of an animation: its control block, its descriptor with its own colours, its pixels (GIF89a).

    Grey keeps its 256 steps; colours are reduced to the 256 that fit this frame.
    """
    image = Image.fromarray(picture)
    if image.mode == "RGB":
        image = image.quantize(256, method=Image.Quantize.FASTOCTREE)
        colours = bytes(image.getpalette("RGB") or ()).ljust(768, b"\0")
    else:
        colours = bytes(value for step in range(256) for value in (step, step, step))
    out = io.BytesIO()
    image.save(out, "GIF", optimize=False, interlace=0)
    data = out.getvalue()
    hundredths = min(max(round(delay_ms / 10), 2), 0xFFFF)  # Viewers take less than 2 for "as slow as 10".
    control = struct.pack("<4BHBB", 0x21, 0xF9, 4, 0x04, hundredths, 0, 0)
    place = struct.pack("<BHHHHB", 0x2C, 0, 0, image.width, image.height, 0x87)
    return control + place + colours[:768] + data[_gif_pixels(data) : -1]


def _gif_pixels(data: bytes) -> int:
    """Where the pixels begin in a file with one image, after its descriptor and that one's colours."""
    place = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[place] == 0x21:
        place += 2
        while data[place]:
            place += data[place] + 1
        place += 1
    flags = data[place + 9]
    return place + 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)


def av1_frames(pictures: Sequence[Picture], quality: int) -> tuple[dict[str, Any], list[bytes]]:
    """AV1 samples of a run of frames, the first of which needs none before it.

    The encoder behind AVIF (libaom) is asked for an image sequence, of which the samples are taken. Returns
    {"config": av1C box, hexadecimal, "width", "height", "keys": numbers of the frames that need none before them},
    and the samples.
    """
    images = [Image.fromarray(_even(picture)).convert("RGB") for picture in pictures]
    count = len(images)
    if count == 1:
        images *= 2  # A sequence of one would be coded as a still picture, which no video holds.
    out = io.BytesIO()
    images[0].save(
        out,
        _AVIF,
        save_all=True,
        append_images=images[1:],
        speed=_AV1_SPEED,
        quality=quality,
        max_threads=1,
        codec="aom",
        subsampling="4:2:0",
        range="limited",
    )
    data = out.getvalue()
    boxes = _boxes(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl"))
    entry = boxes[b"stsd"]
    config = entry[entry.index(b"av1C") - 4 :]
    config = config[: struct.unpack(">I", config[:4])[0]]
    (each, number) = struct.unpack_from(">II", boxes[b"stsz"], 4)
    sizes = [each] * number if each else list(struct.unpack_from(f">{number}I", boxes[b"stsz"], 12))
    (offset,) = struct.unpack_from(">I", boxes[b"stco"], 8)
    samples = []
    for size in sizes[:count]:
        samples.append(data[offset : offset + size])
        offset += size
    (keys,) = struct.unpack_from(">I", boxes[b"stss"], 4)
    syncs = [key - 1 for key in struct.unpack_from(f">{keys}I", boxes[b"stss"], 8) if key <= count]
    width, height = images[0].size
    return {"config": config.hex(), "width": width, "height": height, "keys": syncs}, samples


def _even(picture: Picture) -> Picture:
    """With an even number of rows and columns, as 4:2:0 wants them: the last one is repeated."""
    rows, columns = picture.shape[0] % 2, picture.shape[1] % 2
    if not rows and not columns:
        return picture
    return np.pad(picture, [(0, rows), (0, columns), (0, 0)][: picture.ndim], mode="edge")


def _boxes(data: bytes, inside: Sequence[bytes]) -> dict[bytes, bytes]:
    """The boxes of an ISO base media file (ISO/IEC 14496-12) by type, those that hold boxes opened."""
    found: dict[bytes, bytes] = {}
    pending = [(0, len(data))]
    while pending:
        place, end = pending.pop()
        while place + 8 <= end:
            size, kind = struct.unpack_from(">I4s", data, place)
            if size < 8:
                break
            if kind in inside:
                pending.append((place + 8, place + size))
            else:
                found.setdefault(kind, data[place + 8 : place + size])
            place += size
    return found
