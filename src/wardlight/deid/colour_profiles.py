"""ICC profiles (ICC.1, ISO 15076-1): a new one of the numbers of the old, and nothing that anybody wrote into it.

What colours look like is in matrices, curves and tables of known size. Descriptions, copyrights, names of makers and
devices, dates, calibration data and private tags are left behind.
"""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = 128
_CLASSES: Final = (b"scnr", b"mntr", b"prtr", b"spac")
_SPACES: Final = (b"RGB ", b"GRAY", b"CMYK", b"YCbr", b"XYZ ", b"Lab ")
_CONNECTED: Final = (b"XYZ ", b"Lab ")
#: The illuminant D50, the only one that a profile connects by.
D50: Final = bytes.fromhex("0000f6d6000100000000d32d")
#: Tags that say what colours look like, and the types of their data.
_COLOURS: Final[dict[bytes, tuple[bytes, ...]]] = {
    **dict.fromkeys(b"rXYZ gXYZ bXYZ wtpt bkpt".split(), (b"XYZ ",)),
    **dict.fromkeys(b"rTRC gTRC bTRC kTRC".split(), (b"curv", b"para")),
    **dict.fromkeys(b"A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 gamt".split(), (b"mft1", b"mft2")),
    b"chad": (b"sf32",),
}
_MOST_TAGS: Final = 100
#: Description and copyright are tags that each profile has.
_DESCRIPTION: Final = b"REMOVED"
_COPYRIGHT: Final = b"REMOVED"
_PARAMETERS: Final = (1, 3, 4, 5, 7)
_LONGEST_CURVE: Final = 1 << 16


def cleaned(value: bytes) -> bytes | None:
    """The profile's numbers as a new profile of even length; None where it is none, or of a form that is not known."""
    try:
        return _cleaned(value)
    except struct.error:
        return None


def _cleaned(value: bytes) -> bytes | None:
    size, version, kind, space, connected = struct.unpack_from(">I4xH2x4s4s4s", value)
    if value[36:40] != b"acsp" or not _HEADER < size <= len(value) or version >> 8 not in (2, 4):
        return None
    if kind not in _CLASSES or space not in _SPACES or connected not in _CONNECTED:
        return None
    count, intent = struct.unpack_from(">I", value, _HEADER)[0], struct.unpack_from(">I", value, 64)[0]
    if count > _MOST_TAGS or intent > 3:
        return None
    found: dict[bytes, bytes] = {}
    for number in range(count):
        name, start, length = struct.unpack_from(">4sII", value, _HEADER + 4 + 12 * number)
        if name in _COLOURS:
            data = _numbers(value[start : min(start + length, size)])
            if data is None or name in found or data[:4] not in _COLOURS[name]:
                return None
            found[name] = data
    return _written(version, kind, space, connected, intent, found) if found else None


def _numbers(data: bytes) -> bytes | None:
    """The data of one tag, cut to what its type needs; None for a type that is not known, or where it is too short."""
    kind = data[:4]
    length = -1
    if kind == b"XYZ ":
        length = 20
    elif kind == b"sf32":
        length = 8 + 4 * 9
    elif kind == b"curv":
        points = struct.unpack_from(">I", data, 8)[0]
        length = 12 + 2 * points if points <= _LONGEST_CURVE else -1
    elif kind == b"para":
        function = struct.unpack_from(">H", data, 8)[0]
        if function < len(_PARAMETERS):
            length = 12 + 4 * _PARAMETERS[function]
            data = data[:10] + bytes(2) + data[12:]
    elif kind in (b"mft1", b"mft2"):
        inputs, outputs, grid = data[8], data[9], data[10]
        cells = grid**inputs * outputs if 1 <= inputs <= 4 and 1 <= outputs <= 4 else 1 << 32
        first, last = struct.unpack_from(">HH", data, 48) if kind == b"mft2" else (256, 256)
        head, wide = (52, 2) if kind == b"mft2" else (48, 1)
        length = head + wide * (first * inputs + cells + last * outputs)
        data = data[:11] + b"\0" + data[12:]
    if not 0 < length <= len(data):
        return None
    return kind + bytes(4) + data[8:length]


def _written(
    version: int, kind: bytes, space: bytes, connected: bytes, intent: int, found: dict[bytes, bytes]
) -> bytes:
    """A profile of these tags, each value once, in the order of their names."""
    tags = found | {b"desc": _described(version), b"cprt": _text(version, _COPYRIGHT)}
    names = sorted(tags)
    place = _HEADER + 4 + 12 * len(names)
    places: dict[bytes, int] = {}
    table, body = b"", b""
    for name in names:
        data = tags[name]
        if data not in places:
            places[data] = place + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    size = place + len(body)
    header = struct.pack(">I4xI4s4s4s", size, version << 16, kind, space, connected)
    # Of 1 January 2000, for a date has to stand there.
    header += struct.pack(">6H4s24xI", 2000, 1, 1, 0, 0, 0, b"acsp", intent) + D50 + bytes(48)
    return header + struct.pack(">I", len(names)) + table + body


def _text(version: int, text: bytes) -> bytes:
    if version >> 8 == 2:
        return b"text" + bytes(4) + text + b"\0"
    wide = text.decode("ascii").encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide


def _described(version: int) -> bytes:
    if version >> 8 != 2:
        return _text(version, _DESCRIPTION)
    # Without Unicode and ScriptCode: their counts and 67 bytes are zero.
    text = _DESCRIPTION + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)


def _srgb() -> bytes:
    """IEC 61966-2-1 as a profile of version 2: what stands where a profile must be and none can."""
    points = [b / 1023 for b in range(1024)]
    curve = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in points]
    shared = struct.pack(">4s4xI1024H", b"curv", 1024, *(round(65535 * y) for y in curve))
    made = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), shared)
    for name, values in (
        (b"rXYZ", (0.43607, 0.22249, 0.01392)),
        (b"gXYZ", (0.38515, 0.71687, 0.09708)),
        (b"bXYZ", (0.14307, 0.06061, 0.7141)),
        (b"wtpt", (0.9642, 1.0, 0.82491)),
    ):
        made[name] = struct.pack(">4s4x3i", b"XYZ ", *(round(65536 * one) for one in values))
    return _written(0x0210, b"mntr", b"RGB ", b"XYZ ", 0, made)


SRGB: Final = _srgb()
