"""An encoded data set from the DICOM JSON Model (PS3.18 Annex F): Explicit VR Little Endian, text in UTF-8.

The inverse of `json.py`. Values that the model has by reference stay where they are: the result names their places, so
that an object larger than memory can be written piece by piece.
"""

from __future__ import annotations

import binascii
import math
import re
import struct
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from wardlight.dicom.codec import DELIMITER_GROUP, ITEM, PIXEL_TAGS, SEQUENCE_END, UNDEFINED
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.vr import ALL_VRS, BINARY_VRS, CHARSET_VRS, NUMBER_SIZES, SHORT_VRS, TEXT_VRS, padding


class ModelError(DicomError):
    """The model breaks Annex F or a limit.

    code: "bad-tag", "bad-vr", "bad-value", "bulk-missing", or one of the limits ("depth", "count", "items",
    "length"). path: tags from the outermost sequence to the attribute; never a value.
    """

    def __init__(self, code: str, path: Sequence[int] = ()) -> None:
        super().__init__(code, 0)
        self.path = tuple(path)

    def __str__(self) -> str:
        place = "".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in self.path)
        return f"{self.code} at {place}" if place else self.code


class Bulk(NamedTuple):
    """A value, or a frame, that lies elsewhere: where it starts there, and its bytes."""

    start: int
    length: int


class BulkValue(NamedTuple):
    """What a BulkDataURI stands for. encapsulated: `parts` are the frames of compressed pixel data, else one value.

    offset_table: whether a Basic Offset Table may tell the frames apart (PS3.5 A.4); not in video.
    """

    parts: tuple[Bulk, ...]
    encapsulated: bool = False
    offset_table: bool = True


Piece: TypeAlias = bytes | Bulk
#: Gives what a BulkDataURI stands for, None for what is not there. The second argument: for top-level pixel data.
BulkSource: TypeAlias = Callable[[str, bool], BulkValue | None]


class Encoded(NamedTuple):
    """A data set. pieces: one after the other. discarded: attributes that no data set may hold were left out."""

    pieces: list[Piece]
    discarded: bool


_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_CHARACTER_SET: Final = 0x00080005
_UTF8: Final = b"ISO_IR 192"
#: Group 0002 belongs to the file, 0000 and 0004 to messages and directories (PS3.5 7.1, PS3.10 7.1).
_FOREIGN_GROUPS: Final = frozenset((0x0000, 0x0002, 0x0004, 0x0006))
_SHORT: Final = struct.Struct("<HH2sH").pack
_LONG: Final = struct.Struct("<HH2sHI").pack
_ITEM: Final = struct.Struct("<HHI").pack
_SHORT_VALUE: Final = 0xFFFE
_LONG_VALUE: Final = UNDEFINED - 1
_FORMATS: Final = dict(zip((b"FD", b"FL", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"), "dfihqIHQ", strict=True))
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_NOT_FINITE: Final = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "infinity": math.inf,
    "-infinity": -math.inf,
}
_DS_LENGTH: Final = 16  # characters (PS3.5 Table 6.2-1)
_IS_LIMIT: Final = 10**12  # twelve characters
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_NONE: Final[dict[str, Any]] = {}


def encode(model: Mapping[str, Any], bulk: BulkSource | None = None, *, limits: Limits = LIMITS) -> Encoded:
    """The data set that a DICOM JSON Model object describes, in ascending order of tags (PS3.18 F.2).

    All text is UTF-8, as JSON is, and Specific Character Set (0008,0005) says so wherever it is there or needed
    (F.2.2). Group lengths are left out, and what belongs to a file rather than a data set. Raises `ModelError`.
    """
    encoder = _Encoder(bulk, limits)
    pieces, _ = encoder.data_set(model)
    return Encoded(pieces, encoder.discarded)


def from_json(model: Mapping[str, Any], *, limits: Limits = LIMITS) -> bytes:
    """As `encode`, of a model that has every value in it."""
    return b"".join(piece for piece in encode(model, limits=limits).pieces if isinstance(piece, bytes))


class _Encoder:
    def __init__(self, bulk: BulkSource | None, limits: Limits) -> None:
        self._bulk = bulk
        self._limits = limits
        self._path: list[int] = []
        self._count = 0
        self._depth = 0
        self._unicode = False
        self.discarded = False

    def data_set(self, model: object) -> tuple[list[Piece], int]:
        """The elements of one data set, and their length."""
        if not isinstance(model, Mapping):
            raise self._error("bad-value")
        out: list[Piece] = []
        total = 0
        place = -1
        for tag, attribute in self._attributes(model):
            self._path.append(tag)
            if tag == _CHARACTER_SET:
                # What it must say is known only when all text was seen; items inherit it (PS3.3 C.12.1.1.2).
                self._unicode |= bool(attribute.get("Value"))
                place = len(out)
            else:
                if place < 0 and tag > _CHARACTER_SET:
                    place = len(out)
                pieces, length = self._element(tag, attribute)
                out += pieces
                total += length
            self._path.pop()
        if not self._depth and (self._unicode or f"{_CHARACTER_SET:08X}" in model):
            value = _UTF8 if self._unicode else b""
            element = _SHORT(0x0008, 0x0005, b"CS", len(value)) + value
            out.insert(max(place, 0), element)
            total += len(element)
        return _joined(out), total

    def _error(self, code: str) -> ModelError:
        return ModelError(code, self._path)

    def _attributes(self, model: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
        """The attributes that are encoded, by tag."""
        found: dict[int, Mapping[str, Any]] = {}
        for name, attribute in model.items():
            tag = int(name, 16) if isinstance(name, str) and _TAG.fullmatch(name) else -1
            if tag < 0 or tag in found:
                raise self._error("bad-tag")
            group = tag >> 16
            if not isinstance(attribute, Mapping) or group >= DELIMITER_GROUP:
                raise ModelError("bad-tag" if group >= DELIMITER_GROUP else "bad-value", (*self._path, tag))
            if group in _FOREIGN_GROUPS:
                self.discarded = True
            elif tag & 0xFFFF:
                found[tag] = attribute
        self._count += len(found)
        if self._count > self._limits.elements:
            raise self._error("count")
        return sorted(found.items())

    def _element(self, tag: int, attribute: Mapping[str, Any]) -> tuple[list[Piece], int]:
        name = attribute.get("vr")
        vr = name.encode("ascii", "replace") if isinstance(name, str) else b""
        if vr not in ALL_VRS:
            raise self._error("bad-vr")
        given = [key for key in ("Value", "BulkDataURI", "InlineBinary") if attribute.get(key) is not None]
        if len(given) > 1:
            raise self._error("bad-value")
        if not given:
            return self._headed(tag, vr, [], 0)
        content = attribute[given[0]]
        if given[0] == "BulkDataURI":
            return self._referenced(tag, vr, content)
        if given[0] == "InlineBinary":
            value = self._inline(vr, content)
        else:
            if not isinstance(content, list):
                raise self._error("bad-value")
            if vr == b"SQ":
                pieces, length = self._items(content)
                return self._headed(tag, vr, pieces, length)
            value = self._values(vr, content)
        if len(value) & 1:
            value += padding(vr)
        return self._headed(tag, vr, [value], len(value))

    def _headed(self, tag: int, vr: bytes, pieces: list[Piece], length: int) -> tuple[list[Piece], int]:
        """The pieces of a value with the element's head before them."""
        group, element = tag >> 16, tag & 0xFFFF
        if length > _LONG_VALUE:
            raise self._error("length")
        if vr in SHORT_VRS and length <= _SHORT_VALUE:
            return [_SHORT(group, element, vr, length), *pieces], 8 + length
        # What does not fit a 16-bit length is written as UN (PS3.5 6.2.2 note 2).
        head = _LONG(group, element, b"UN" if vr in SHORT_VRS else vr, 0, length)
        return [head, *pieces], 12 + length

    def _items(self, items: list[Any]) -> tuple[list[Piece], int]:
        self._depth += 1
        if self._depth > self._limits.depth:
            raise self._error("depth")
        self._count += len(items)
        if len(items) > self._limits.items or self._count > self._limits.elements:
            raise self._error("items")
        out: list[Piece] = []
        total = 0
        for item in items:
            pieces, length = self.data_set(_NONE if item is None else item)
            if length > _LONG_VALUE:
                raise self._error("length")
            out.append(_ITEM(ITEM >> 16, ITEM & 0xFFFF, length))
            out += pieces
            total += 8 + length
        self._depth -= 1
        return out, total

    def _referenced(self, tag: int, vr: bytes, uri: object) -> tuple[list[Piece], int]:
        if not isinstance(uri, str) or vr == b"SQ":
            raise self._error("bad-value")
        pixels = tag in PIXEL_TAGS and not self._depth
        found = self._bulk(uri, pixels) if self._bulk is not None else None
        if found is None or not found.parts:
            raise self._error("bulk-missing")
        if found.encapsulated:
            return self._fragments(tag, found)
        pieces: list[Piece] = [*found.parts]
        length = sum(part.length for part in found.parts)
        if length & 1:
            pieces.append(padding(vr))
        return self._headed(tag, vr, pieces, length + (length & 1))

    def _fragments(self, tag: int, frames: BulkValue) -> tuple[list[Piece], int]:
        """Encapsulated pixel data, one fragment a frame; with a Basic Offset Table where 32 bits reach (PS3.5 A.4)."""
        if len(frames.parts) > self._limits.items:
            raise self._error("items")
        offsets: list[int] = []
        out: list[Piece] = []
        total = 0
        for frame in frames.parts:
            length = frame.length + (frame.length & 1)
            if length > _LONG_VALUE or not length:
                raise self._error("length")
            offsets.append(total)
            out += [_ITEM(ITEM >> 16, ITEM & 0xFFFF, length), frame]
            if frame.length & 1:
                out.append(b"\0")
            total += 8 + length
        table = b""
        if frames.offset_table and offsets[-1] <= UNDEFINED:
            table = struct.pack(f"<{len(offsets)}I", *offsets)
        head = _LONG(tag >> 16, tag & 0xFFFF, b"OB", 0, UNDEFINED)
        head += _ITEM(ITEM >> 16, ITEM & 0xFFFF, len(table)) + table
        tail = _ITEM(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
        return [head, *out, tail], len(head) + total + len(tail)

    def _inline(self, vr: bytes, content: object) -> bytes:
        if vr not in BINARY_VRS or not isinstance(content, str):
            raise self._error("bad-value")
        try:
            return b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise self._error("bad-value") from None

    def _values(self, vr: bytes, values: list[Any]) -> bytes:
        if not values:
            return b""
        if vr in BINARY_VRS:
            raise self._error("bad-value")
        try:
            if vr in NUMBER_SIZES:
                return _numbers(vr, values)
            if vr in TEXT_VRS:
                (text,) = values
                return self._encoded(vr, "" if text is None else text)
            texts = [_text(vr, value) for value in values]
            # A backslash in a value would make two of it.
            if any("\\" in text for text in texts):
                raise self._error("bad-value")
            return self._encoded(vr, "\\".join(texts))
        except (ValueError, TypeError, OverflowError, AttributeError, struct.error) as error:
            if isinstance(error, ModelError):
                raise
            raise self._error("bad-value") from None

    def _encoded(self, vr: bytes, text: str) -> bytes:
        if text.isascii():
            return text.encode("ascii")
        if vr not in CHARSET_VRS:
            raise self._error("bad-value")
        self._unicode = True
        return text.encode("utf-8")


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The same with neighbours that are bytes in one."""
    out: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, Bulk):
            if run:
                out.append(b"".join(run))
                run = []
            out.append(piece)
        else:
            run.append(piece)
    if run:
        out.append(b"".join(run))
    return out


def _text(vr: bytes, value: Any) -> str:
    """One value of a VR that a backslash separates. Raises ValueError, TypeError or AttributeError for none."""
    if value is None:
        return ""
    if vr == b"PN" and not isinstance(value, str):
        return _person_name(value)
    if vr == b"DS" or vr == b"IS":
        return _number_text(value, decimal=vr == b"DS")
    if not isinstance(value, str):
        raise TypeError
    return value


def _person_name(value: Mapping[str, Any]) -> str:
    groups = [value.get(name) or "" for name in _GROUPS]
    if any("=" in group for group in groups):
        raise ValueError
    return "=".join(groups).rstrip("=")


def _number_text(value: Any, *, decimal: bool) -> str:
    """IS and DS: a number, or the string that stood in the data set (F.2.3)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not decimal:
        if value != int(value) or abs(value) >= _IS_LIMIT:
            raise ValueError
        return str(int(value))
    if isinstance(value, int) and abs(value) < 10 ** (_DS_LENGTH - 1):
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    text = repr(number)
    digits = _DS_LENGTH
    while len(text) > _DS_LENGTH:
        text = f"{number:.{digits}g}"
        digits -= 1
    return text


def _numbers(vr: bytes, values: list[Any]) -> bytes:
    """Binary numbers and tags. Raises ValueError, TypeError, OverflowError or struct.error for what is none."""
    if any(isinstance(value, bool) for value in values):
        raise TypeError
    if vr == b"AT":
        if not all(_TAG.fullmatch(value) for value in values):
            raise ValueError
        tags = [int(value, 16) for value in values]
        return struct.pack(
            f"<{2 * len(tags)}H", *(word for tag in tags for word in (tag >> 16, tag & 0xFFFF))
        )
    if vr == b"FL" or vr == b"FD":
        values = [_float(value) for value in values]
    elif vr == b"SV" or vr == b"UV":
        values = [
            int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value for value in values
        ]
    return struct.pack(f"<{len(values)}{_FORMATS[vr]}", *values)


def _float(value: Any) -> Any:
    """JSON has no numbers that are not finite: they are null or strings (F.2.3)."""
    if value is None:
        return math.nan
    return _NOT_FINITE[value.lower()] if isinstance(value, str) and value.lower() in _NOT_FINITE else value
