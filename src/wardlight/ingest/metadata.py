"""Instances that come as metadata and bulk data (PS3.18 10.5.1.4): put together, then stored like files.

The parts may come in any order. Metadata is held in memory, bulk data in an encrypted spool; when all of it is there,
each data set is written as a DICOM file into the store request, and so goes through every check a file goes through.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from wardlight.archive.incoming import Uids
from wardlight.dicom.codestream import HEAD_BYTES, Codestream, inspect
from wardlight.dicom.errors import DicomError
from wardlight.dicom.from_json import Bulk, BulkValue, Encoded, encode
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.native_model import from_native
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.dicom.uid import is_valid_uid
from wardlight.errors import WardlightError
from wardlight.ingest.service import StoreRequest
from wardlight.ingest.spool import Spool

#: Bytes of one metadata part, and of all of a request (security.md section 8).
PART_BYTES: Final = 8 << 20
METADATA_BYTES: Final = 32 << 20
#: Bytes that Python needs for an object, and for a list or a value in one, at most.
_OBJECT_BYTES: Final = 240
_VALUE_BYTES: Final = 64
#: And for an element of XML, which has one or two tags.
_ELEMENT_BYTES: Final = 400
#: What one part may take when it is parsed.
_PARSED_BYTES: Final = 64 << 20
#: What a bulk data part takes in memory besides its location.
_PLACE_BYTES: Final = 400
#: Values may share bulk data, as an ICC profile: all references of a request stand for so many times its parts and
#: bytes at most, and for this much more.
_REUSE: Final = 4
_REUSED_PARTS: Final = 10_000
_REUSED_BYTES: Final = 256 << 20

_STUDY, _SERIES, _INSTANCE, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_PIXEL_DATA: Final = "7FE00010"
_FRAMES: Final = "00280008"
#: Syntaxes of a family share a codestream; of one family, those that promise to be lossless.
_FAMILIES: Final = (range(50, 71), range(80, 82), range(90, 94), range(201, 204))
_LOSSLESS: Final = frozenset((57, 70, 80, 90, 92, 201, 202))
_ROOT: Final = "1.2.840.10008.1.2.4."
_VIDEO: Final = range(100, 109)


@dataclass(frozen=True, slots=True)
class BulkPart:
    """A bulk data part. location: its Content-Location.

    syntaxes: transfer syntaxes that its media type can stand for, the default first; () where it is a plain value,
    None where the media type is not taken as pixel data.
    """

    location: str = field(repr=False)
    syntaxes: tuple[str, ...] | None = ()


@dataclass(slots=True)
class _Place:
    """Where a bulk data part lies in the spool."""

    syntaxes: tuple[str, ...] | None
    bulk: Bulk
    used: bool = False


class MetadataRequest:
    """The parts of one store request: begin, write…, end each; then finish. close() in any case. Not thread-safe."""

    def __init__(self, request: StoreRequest, folder: Path | None) -> None:
        self._request: Final = request
        self._spool: Final = Spool(folder)
        #: (whether it is XML, bytes)
        self._metadata: list[tuple[bool, bytes]] = []
        self._places: dict[str, list[_Place]] = {}
        self._held = 0
        #: Bulk data parts and their bytes, and how many of each references stood for.
        self._parts = 0
        self._spooled = 0
        self._referenced_parts = 0
        self._referenced_bytes = 0
        self._bulk: BulkPart | None = None
        self._start = 0
        self._buffer = bytearray()
        self._xml = False

    def begin_metadata(self, *, xml: bool) -> None:
        """A part with data sets begins: a JSON array of them, or one in XML."""
        self._bulk, self._xml, self._buffer = None, xml, bytearray()

    def begin_bulk(self, part: BulkPart) -> None:
        """A part with one value, or one frame, begins."""
        self._bulk, self._start = part, self._spool.tell()

    def write(self, data: memoryview) -> None:
        """Bytes of the part. Raises `too-large`, `unavailable`, `out-of-resources`: the request is then over."""
        if self._bulk is not None:
            self._spool.write(data)
            return
        self._buffer += data
        whole = self._held + len(self._buffer)
        if len(self._buffer) > PART_BYTES or whole > METADATA_BYTES:
            raise WardlightError("too-large", "the metadata is larger than the limit", "metadata")
        self._request.set_aside(whole)

    def end(self) -> None:
        """The part is complete."""
        if self._bulk is None:
            self._metadata.append((self._xml, bytes(self._buffer)))
            self._held += len(self._buffer)
            self._buffer = bytearray()
            return
        part, self._bulk = self._bulk, None
        self._held += _PLACE_BYTES + len(part.location)
        self._request.set_aside(self._held)
        self._parts += 1
        self._spooled = self._spool.tell()
        place = _Place(part.syntaxes, Bulk(self._start, self._spool.tell() - self._start))
        self._places.setdefault(part.location, []).append(place)

    def finish(self) -> None:
        """Store every data set. What cannot be is refused in the request, which goes on."""
        metadata, self._metadata = self._metadata, []
        metadata.reverse()
        while metadata:
            xml, data = metadata.pop()
            for model in self._models(xml, data):
                self._store(model)
            self._held -= len(data)
            self._request.set_aside(self._held)
        for places in self._places.values():
            for place in places:
                if not place.used:
                    # Not silently: the sender meant it to be kept.
                    self._request.refuse(WardlightError("bad-data-set", reason="bulk-unused"))

    def close(self) -> None:
        """Forget what was spooled."""
        self._spool.close()

    def _models(self, xml: bool, data: bytes) -> Iterator[Any]:
        """The data sets of a metadata part, with the memory that they take accounted for."""
        try:
            cost = data.count(b"{") * _OBJECT_BYTES + (data.count(b"[") + data.count(b",")) * _VALUE_BYTES
            if xml:
                cost = data.count(b"<") * _ELEMENT_BYTES + len(data)
            if cost > _PARSED_BYTES:
                raise WardlightError("too-large", "the metadata holds too many values", "metadata")
            self._request.set_aside(self._held + cost)
            if xml:
                yield from_native(data)
            else:
                yield from _parsed(data)
        except (DicomError, ValueError, RecursionError):
            raise WardlightError("bad-request", "metadata is not understood", "metadata") from None

    def _store(self, model: Any) -> None:
        uids = _uids(model)
        try:
            pixels = self._pixels(model)
            encoded = self._encoded(model, pixels)
        except WardlightError as error:
            self._request.refuse(error, uids)
            return
        except DicomError as error:
            self._request.refuse(WardlightError("bad-data-set", str(error), error.code), uids)
            return
        if not uids.sop_class or not uids.instance:
            self._request.refuse(WardlightError("missing-identifier"), uids)
            return
        meta = write_meta(
            uids.sop_class,
            uids.instance,
            pixels.syntax if pixels else EXPLICIT_LITTLE.uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        self._request.begin(discarded=encoded.discarded)
        self._request.write(memoryview(meta))
        for piece in encoded.pieces:
            if isinstance(piece, Bulk):
                for data in self._spool.iter(piece.start, piece.start + piece.length):
                    self._request.write(memoryview(data))
            else:
                self._request.write(memoryview(piece))
        self._request.end()

    def _encoded(self, model: Any, pixels: _Pixels | None) -> Encoded:
        if pixels is not None and pixels.found is not None:
            model = {**_described(pixels.found), **model}

        def source(uri: str, pixel_data: bool) -> BulkValue | None:
            if pixel_data and pixels is not None:
                return pixels.value
            places = self._at(uri, frames=pixel_data)
            return BulkValue(tuple(place.bulk for place in places)) if places else None

        return encode(model, source)

    def _at(self, uri: str, *, frames: bool = False) -> list[_Place]:
        """The parts of a value: at its location, or, for `frames`, at `/frames/1` and so on.

        Raises `too-large` where the same parts are referred to again and again.
        """
        self._check_reuse()  # Before the work, too: once is enough for all that follow.
        places = self._places.get(uri, [])
        if not places and frames:
            places = []
            while frame := self._places.get(f"{uri}/frames/{len(places) + 1}"):
                places.append(frame[0])
        self._referenced_parts += len(places)
        self._referenced_bytes += sum(place.bulk.length for place in places)
        self._check_reuse()
        for place in places:
            place.used = True
        return places

    def _check_reuse(self) -> None:
        if (
            self._referenced_parts > _REUSE * self._parts + _REUSED_PARTS
            or self._referenced_bytes > _REUSE * self._spooled + _REUSED_BYTES
        ):
            raise WardlightError("too-large", "the metadata refers to the same bulk data too often", "bulk")

    def _pixels(self, model: Any) -> _Pixels | None:
        """What the Pixel Data of a model refers to, where that is a compressed image or a video."""
        attribute = model.get(_PIXEL_DATA) if isinstance(model, Mapping) else None
        uri = attribute.get("BulkDataURI") if isinstance(attribute, Mapping) else None
        places = self._at(uri, frames=True) if isinstance(uri, str) else []
        if not places or all(place.syntaxes == () for place in places):
            return None
        if any(place.syntaxes != places[0].syntaxes for place in places):
            _refuse("media")
        syntaxes = places[0].syntaxes
        if not syntaxes:
            raise WardlightError("transfer-syntax-not-supported")
        found = inspect(self._head(places[0].bulk))
        syntax = _syntax(syntaxes, found)
        video = syntax.startswith(_ROOT) and _number(syntax) in _VIDEO
        if not video and len(places) != _frames(model):
            _refuse("frames")
        frames = [place.bulk for place in places]
        if found is not None and found.start:
            # A file format around the codestream does not go into pixel data (PS3.5 A.4.4).
            frames = [self._bare(frame) for frame in frames]
        return _Pixels(BulkValue(tuple(frames), encapsulated=True, offset_table=not video), syntax, found)

    def _bare(self, frame: Bulk) -> Bulk:
        found = inspect(self._head(frame))
        if found is None:
            _refuse("codestream")
        return Bulk(frame.start + found.start, frame.length - found.start)

    def _head(self, bulk: Bulk) -> bytes:
        return self._spool.read(bulk.start, bulk.start + min(bulk.length, HEAD_BYTES))


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Compressed pixel data of one instance. found: what its first frame says of itself."""

    value: BulkValue
    syntax: str
    found: Codestream | None


def _refuse(reason: str) -> NoReturn:
    raise WardlightError("bad-data-set", f"{reason} at (7FE0,0010)", reason)


def _parsed(data: bytes) -> list[Any]:
    """The data sets in a JSON part: an array of them, or, as some senders have it, a single one."""
    models = json.loads(data.decode("utf-8-sig"), parse_constant=_constant)
    return models if isinstance(models, list) else [models]


def _constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON (RFC 8259 section 6)


def _uids(model: Any) -> Uids:
    """The UIDs that name the instance, for the answer and the file meta information."""
    found = []
    for name in (_STUDY, _SERIES, _INSTANCE, _CLASS):
        attribute = model.get(name) if isinstance(model, Mapping) else None
        values = attribute.get("Value") if isinstance(attribute, Mapping) else None
        value = values[0] if isinstance(values, list) and values else None
        value = value.strip(" \0") if isinstance(value, str) else ""
        found.append(value if is_valid_uid(value) else "")
    return Uids(*found)


def _frames(model: Mapping[str, Any]) -> int:
    """Number of Frames (0028,0008), 1 where it is absent."""
    attribute = model.get(_FRAMES)
    values = attribute.get("Value") if isinstance(attribute, Mapping) else None
    if not values:
        return 1
    try:
        return int(values[0])
    except (ValueError, TypeError, OverflowError, IndexError, KeyError):
        _refuse("frames")


def _syntax(syntaxes: tuple[str, ...], found: Codestream | None) -> str:
    """The transfer syntax of frames whose media type stands for `syntaxes`: what they show, else the default."""
    default = syntaxes[0]
    if not default.startswith(_ROOT) or (family := _family(default)) is None:
        return default
    if found is None or _family(found.syntax) != family:
        _refuse("codestream")
    if found.syntax in syntaxes:
        return found.syntax
    claims_lossless = _number(default) in _LOSSLESS
    if len(syntaxes) > 1 or (claims_lossless and _number(found.syntax) not in _LOSSLESS):
        _refuse("codestream")
    return default


def _number(syntax: str) -> int:
    return int(syntax.removeprefix(_ROOT).partition(".")[0])


def _family(syntax: str) -> range | None:
    number = _number(syntax)
    return next((family for family in _FAMILIES if number in family), None)


def _described(found: Codestream) -> dict[str, Any]:
    """The Image Pixel Description attributes that a codestream tells; the sender may leave them out (10.5.1.4)."""
    allocated = 8 if found.bits <= 8 else 16 if found.bits <= 16 else 32
    numbers = {
        "00280002": found.samples,
        "00280010": found.rows,
        "00280011": found.columns,
        "00280100": allocated,
        "00280101": found.bits,
        "00280102": found.bits - 1,
        "00280103": int(found.signed),
    }
    model: dict[str, Any] = {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}
    model["00280004"] = {"vr": "CS", "Value": [found.photometric]}
    if found.samples > 1:
        model["00280006"] = {"vr": "US", "Value": [0]}
    return model
