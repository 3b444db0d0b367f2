"""The DICOM JSON Model (PS3.18 Annex F) from an encoded data set.

What Annex F leaves open, and where real objects break it, is settled in docs/reference/dicom-json.md.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

from wardlight.dicom.charset import DEFAULT, CharacterSets, character_sets, decode
from wardlight.dicom.codec import ITEM, PIXEL_TAGS, Buffer, Codec, codec_of
from wardlight.dicom.dictionary import choices_of, vr_of
from wardlight.dicom.elements import Element, Path, scan_into, walk_all, walk_sequence
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import BINARY_VRS, NUMBER_SIZES, TEXT_VRS, WORD_SIZES

#: Gives the URI of a value that is not put into the JSON, or None to leave the attribute out. Arguments: path of the
#: data set, tag, offset of the value, its length (-1 undefined).
BulkUri: TypeAlias = Callable[[Path, int, int, int], str | None]

#: Bytes of a binary value above which it goes by reference where there is a `BulkUri`.
INLINE_LIMIT: Final = 1024
#: Bytes of a value of any other VR above which it is treated the same: a list of numbers takes up to 16 times its
#: bytes in memory.
VALUE_LIMIT: Final = 1 << 20
#: Bytes of all values together that are converted; what comes beyond goes by reference or is left out.
TOTAL_LIMIT: Final = 32 << 20
#: A value of VR UN of a known attribute is read by its dictionary VR up to this length (PS3.5 section 6.2.2).
_UNKNOWN_LIMIT: Final = 0xFFFF

_CHARACTER_SET: Final = 0x00080005
_PIXEL_REPRESENTATION: Final = 0x00280103
_NUMBER: Final = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(rb"[+-]?[0-9]+(?:\.0*)?")
_FORMATS: Final = dict(zip((b"FD", b"FL", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"), "dfihqIHQ", strict=True))
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(
    data: Buffer,
    syntax: TransferSyntax,
    *,
    start: int = 0,
    end: int | None = None,
    bulk_uri: BulkUri | None = None,
    inline_limit: int = INLINE_LIMIT,
    limits: Limits = LIMITS,
) -> dict[str, Any]:
    """The DICOM JSON Model object of a data set, or of its header.

    bulk_uri: asked for pixel data, for values in fragments, and for values that are too long (`INLINE_LIMIT`,
    `VALUE_LIMIT`, `TOTAL_LIMIT`). Without it binary values are inline at any length, what else is too long is left
    out, and so is pixel data. Raises `DicomError` as `walk` does.
    """
    converter = _Converter(data, bulk_uri, inline_limit)
    root = converter.root(codec_of(syntax, data, start))
    converter.take(walk_all(data, syntax, start, end, limits))
    converter.convert()
    return root


def references(data: Buffer, syntax: TransferSyntax, bulk_uri: BulkUri) -> None:
    """Ask `bulk_uri` for what `to_json` would ask it, without converting a value."""
    converter = _Converter(data, bulk_uri, INLINE_LIMIT, values=False)
    converter.root(codec_of(syntax, data, 0))
    converter.take(walk_all(data, syntax))
    converter.convert()


def attributes(
    data: Buffer,
    syntax: TransferSyntax,
    tags: Collection[int],
    *,
    start: int = 0,
    elements: Mapping[int, Element] | None = None,
    limits: Limits = LIMITS,
) -> dict[str, Any]:
    """The DICOM JSON Model object of some top-level attributes of a header; binary values are left out.

    elements: of an earlier scan of the same header that kept `tags` and `JSON_TAGS`, to save another one.
    """
    codec = codec_of(syntax, data, start)
    if elements is None:
        found: dict[int, Element] = {}
        scan_into(found, data, codec, start, JSON_TAGS.union(tags), limits)
        elements = found
    converter = _Converter(data, lambda *_: None, 0)
    root = converter.root(codec)
    for tag, element in elements.items():
        if tag in tags or tag in JSON_TAGS:
            converter.take([((), element, codec)])
            if is_sequence(element):
                converter.take(walk_sequence(data, element, codec, limits))
    converter.convert()
    for tag in JSON_TAGS:
        if tag not in tags:
            root.pop(f"{tag:08X}", None)
    return root


#: What `attributes` needs of a header besides the attributes themselves.
JSON_TAGS: Final = frozenset((_CHARACTER_SET, _PIXEL_REPRESENTATION))


class _Level:
    """One data set: its JSON object, still empty, and its elements, converted when all of them are known.

    Only then, since Specific Character Set, Pixel Representation and their inheritance by items (PS3.3 C.12.1.1.2)
    must be known first, and elements may be out of order.
    """

    __slots__ = ("charsets", "codec", "elements", "object", "parent", "path", "sequences", "signed")

    def __init__(self, path: Path, codec: Codec, parent: _Level | None) -> None:
        self.path = path
        self.codec = codec
        self.parent = parent
        self.object: dict[str, Any] = {}
        self.elements: list[Element] = []
        self.sequences: dict[int, list[dict[str, Any]]] = {}
        self.charsets: CharacterSets = DEFAULT
        self.signed = False


class _Converter:
    """Takes the elements of a walk, then converts them all."""

    def __init__(
        self, data: Buffer, bulk_uri: BulkUri | None, inline_limit: int, *, values: bool = True
    ) -> None:
        self._data = data
        self._values = values
        self._bulk_uri = bulk_uri
        self._inline_limit = inline_limit
        self._levels: list[_Level] = []
        # The data sets that the walk is in, outermost first, and the items of the sequence it is in at each level.
        self._open: list[_Level] = []
        self._items: list[list[dict[str, Any]] | None] = []
        self._left = TOTAL_LIMIT

    def root(self, codec: Codec) -> dict[str, Any]:
        """Begins the top-level data set; its object is complete after `convert`."""
        self._enter(_Level((), codec, None))
        return self._open[0].object

    def _enter(self, level: _Level) -> None:
        self._levels.append(level)
        self._open.append(level)
        self._items.append(None)

    def take(self, walked: Iterable[tuple[Path, Element, Codec]]) -> None:
        """Takes the elements and items of a walk; what is in values that JSON holds as bytes is passed over."""
        for path, element, codec in walked:
            depth = len(path) >> 1
            if element.tag == ITEM:
                del self._open[depth:], self._items[depth:]
                items = self._items[depth - 1] if len(self._open) == depth else None
                if items is not None:
                    self._enter(_Level(path, codec, self._open[depth - 1]))
                    items.append(self._open[depth].object)
            elif depth < len(self._open):
                level = self._open[depth]
                level.elements.append(element)
                self._items[depth] = None
                if is_sequence(element):
                    self._items[depth] = level.sequences[element.tag] = []

    def convert(self) -> None:
        """Fills the objects of all data sets; an item inherits from its data set, which comes before it."""
        for level in self._levels:
            if level.parent is not None:
                level.charsets, level.signed = level.parent.charsets, level.parent.signed
            for element in level.elements:
                if element.tag == _CHARACTER_SET:
                    level.charsets = character_sets(self._bytes(element))
                elif element.tag == _PIXEL_REPRESENTATION and element.length == 2:
                    level.signed = self._bytes(element) != b"\0\0"
            level.elements.sort(key=_by_tag)
            for element in level.elements:
                # Group lengths have no place in the model (F.2.2).
                if element.tag & 0xFFFF:
                    attribute = self._attribute(level, element)
                    if attribute is not None:
                        level.object[f"{element.tag:08X}"] = attribute

    def _bytes(self, element: Element) -> bytes:
        return bytes(self._data[element.value : element.end])

    def _attribute(self, level: _Level, element: Element) -> dict[str, Any] | None:
        tag, vr, _, start, length, _ = element
        if is_sequence(element):
            items = level.sequences[tag]
            return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        big = level.codec.big
        if vr == b"UN":
            if length <= _UNKNOWN_LIMIT:
                vr = vr_of(tag)
            # Such values are in little endian whatever the transfer syntax (PS3.5 section 6.2.2).
            big = False
        if level.codec.implicit or element.vr == b"UN":
            choices = choices_of(tag)
            if choices:
                vr = _choose(choices, signed=level.signed)
        name = vr.decode("ascii")
        if not length:
            return {"vr": name}
        binary = vr in BINARY_VRS
        if (tag in PIXEL_TAGS and not level.path) or length < 0 or self._too_long(binary, length):
            uri = self._bulk_uri(level.path, tag, start, length) if self._bulk_uri else None
            return None if uri is None else {"vr": name, "BulkDataURI": uri}
        if not self._values:
            return None
        value = self._bytes(element)
        if binary:
            if big and vr in WORD_SIZES:
                value = swap_words(value, WORD_SIZES[vr])
            return {"vr": name, "InlineBinary": b64encode(value).decode("ascii")}
        values = _values(value, vr, level.charsets, big)
        return {"vr": name, "Value": values} if values else {"vr": name}

    def _too_long(self, binary: bool, length: int) -> bool:
        if binary:
            return self._bulk_uri is not None and length > self._inline_limit
        self._left -= length
        return length > VALUE_LIMIT or self._left < 0


def _by_tag(element: Element) -> int:
    return element.tag


def is_sequence(element: Element) -> bool:
    """Whether the model has the element as a sequence: SQ, UN of undefined length, UN of an attribute that is SQ."""
    if element.vr == b"SQ":
        return True
    return element.vr == b"UN" and (element.length < 0 or vr_of(element.tag) == b"SQ")


def _choose(choices: tuple[bytes, ...], *, signed: bool) -> bytes:
    """The VR where PS3.6 leaves a choice and the encoding does not say it (PS3.5 Annex A.1)."""
    if b"SS" in choices and choices[0] == b"US":
        return b"SS" if signed else b"US"
    return choices[0]


def swap_words(value: bytes, size: int) -> bytes:
    """The words of a value in the other byte order; a remainder stays as it is."""
    if size == 1:
        return value
    swapped = bytearray(value)
    whole = len(value) // size * size
    for i in range(size):
        swapped[i:whole:size] = value[size - 1 - i : whole : size]
    return bytes(swapped)


def _values(value: bytes, vr: bytes, charsets: CharacterSets, big: bool) -> list[Any]:
    """The values of an element whose VR is neither binary nor SQ (F.2.3 and F.2.4); [] where all are empty."""
    if vr in NUMBER_SIZES:
        return _numbers(value, vr, big)
    if vr == b"DS" or vr == b"IS":
        read = _decimal if vr == b"DS" else _integer
        return _unless_empty([read(part.strip(b" \0")) for part in value.split(b"\\")])
    text = decode(value, charsets, vr)
    if vr in TEXT_VRS:
        text = text.rstrip("\0 ")
        return [text] if text else []
    # Spaces at the end are padding; those at the start, which mean nothing either, are kept save for AE and CS.
    parts = [part.rstrip("\0 ") for part in text.split("\\")]
    if vr == b"PN":
        return _unless_empty([_person_name(part) for part in parts])
    if vr == b"AE" or vr == b"CS":
        parts = [part.lstrip(" ") for part in parts]
    return _unless_empty([part or None for part in parts])


def _unless_empty(values: list[Any]) -> list[Any]:
    return [] if all(value is None for value in values) else values


def _numbers(value: bytes, vr: bytes, big: bool) -> list[Any]:
    count = len(value) // NUMBER_SIZES[vr]
    order = ">" if big else "<"
    if vr == b"AT":
        words = struct.unpack_from(f"{order}{2 * count}H", value)
        return [f"{group:04X}{element:04X}" for group, element in zip(words[::2], words[1::2], strict=True)]
    numbers = list(struct.unpack_from(f"{order}{count}{_FORMATS[vr]}", value))
    if vr == b"FL" or vr == b"FD":
        # JSON has no other than finite numbers (RFC 8259 section 6).
        return [number if math.isfinite(number) else None for number in numbers]
    return numbers


def _decimal(value: bytes) -> float | str | None:
    if _NUMBER.fullmatch(value):
        number = float(value)
        if math.isfinite(number):
            return number
    return value.decode("latin-1") or None


def _integer(value: bytes) -> int | str | None:
    # Twelve characters are allowed; more is no integer string, and could be a very expensive number.
    if len(value) <= 20 and _INTEGER.fullmatch(value):
        return int(value.partition(b".")[0])
    return value.decode("latin-1") or None


def _person_name(text: str) -> dict[str, str] | None:
    """The component groups that are not empty (F.2.2, PS3.5 section 6.2.1)."""
    groups = [group.rstrip(" ") for group in text.split("=", 2)]
    return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group} or None
