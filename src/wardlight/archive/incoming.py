"""What a DICOM file is to the archive: how it is described, and the columns of its row that follow from it.

Intake describes files as they come in; fsck describes them again from what is stored, and compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wardlight.agreements.model import IMAGES
from wardlight.archive.attributes import (
    ALL_TAGS,
    INSTANCE_NUMBER,
    MODALITY,
    SERIES_NUMBER,
    SERIES_UID,
    SOP_CLASS,
    SOP_UID,
    STUDY_UID,
    Attributes,
    first_number,
    first_text,
    frame_bits,
    key_of,
    order_number,
)
from wardlight.archive.model import IncomingInstance, Level, PixelIndex
from wardlight.archive.store import pack_fragments
from wardlight.dicom.elements import Element
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import JSON_TAGS
from wardlight.dicom.json import attributes as read_attributes
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, TransferSyntax, transfer_syntax
from wardlight.errors import WardlightError

#: Tags that a `Part10Stream` must keep for `described`.
WANTED: Final = ALL_TAGS | JSON_TAGS

_IDENTIFIERS: Final = (STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS)  # in the order of `Uids`
_UID_CHARACTERS: Final = frozenset(b"0123456789.")
# PS3.5 section 9.1.
_UID_LENGTH: Final = 64
_LEVELS: Final = list(Level)
_MAX_FRAMES: Final = 2**31 - 1


class Uids(NamedTuple):
    """What names an instance; "" for what is missing, empty or no UID at all."""

    study: str = ""
    series: str = ""
    instance: str = ""
    sop_class: str = ""


def identify(stream: DataSetStream) -> Uids:
    """The UIDs in a header that is whole."""
    assert stream.header is not None
    uids = []
    for tag in _IDENTIFIERS:
        element = stream.elements.get(tag)
        value = stream.header[element.value : element.end].strip(b"\0 ") if element is not None else b""
        good = len(value) <= _UID_LENGTH and _UID_CHARACTERS.issuperset(value)
        uids.append(value.decode("ascii") if good else "")
    return Uids(*uids)


def header_syntax(stream: DataSetStream) -> TransferSyntax:
    """How the header that a stream gives is encoded: a deflated one comes inflated (PS3.5 A.5)."""
    return EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax


def described(file: Part10Stream, uids: Uids, offset: int, length: int, sha256: bytes) -> IncomingInstance:
    """A file that was followed to its end. offset, length: its place in the segment. sha256: of its data set."""
    stream, meta = file.stream, file.meta
    assert stream is not None and stream.header is not None and meta is not None
    return IncomingInstance(
        study_uid=uids.study,
        series_uid=uids.series,
        sop_uid=uids.instance,
        sop_class=uids.sop_class,
        transfer_syntax=meta.transfer_syntax,
        header=stream.header,
        header_syntax=header_syntax(stream),
        offset=offset,
        length=length,
        dataset_offset=file.dataset_offset,
        pixel=_pixel(file.dataset_offset, stream),
        sha256=sha256,
        elements=stream.elements,
    )


def _pixel(base: int, stream: DataSetStream) -> PixelIndex | None:
    if stream.pixel is None or stream.syntax.deflated:
        return None
    fragments = tuple((base + offset, length) for offset, length in stream.fragments)
    return PixelIndex(stream.pixel.tag, base + stream.value_offset, stream.pixel.length, fragments)


class AttributeReader:
    """Reads attributes of many headers. Instances of a series share most values: each is converted once.

    For one batch: what it remembers is bounded by the headers of the batch.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # By what else decides on the meaning of bytes (encoding, character set, signedness), then by element.
        self._known: dict[tuple[object, ...], dict[tuple[int, bytes, bytes], Attributes]] = {}

    def read(self, incoming: IncomingInstance, wanted: frozenset[int]) -> Attributes:
        """Attributes of a header in the DICOM JSON model. Raises `bad-data-set`."""
        # Both stand in headers of answers: a line break in one would end them.
        for uid in (incoming.sop_class, incoming.transfer_syntax):
            if len(uid) > _UID_LENGTH or not _UID_CHARACTERS.issuperset(uid.encode("utf-8")):
                raise WardlightError("bad-data-set", reason="uid")
        try:
            if incoming.elements is None:
                return read_attributes(incoming.header, incoming.header_syntax, wanted)
            return self._read(incoming, incoming.elements, wanted)
        except DicomError as error:
            raise WardlightError("bad-data-set", reason=error.code) from None

    def _read(
        self, incoming: IncomingInstance, elements: Mapping[int, Element], wanted: frozenset[int]
    ) -> Attributes:
        header = incoming.header
        context = {tag: elements[tag] for tag in JSON_TAGS if tag in elements}
        known = self._known.setdefault(
            (incoming.header_syntax, *(header[one.start : one.end] for one in context.values())), {}
        )
        found: Attributes = {}
        missing: dict[int, tuple[int, bytes, bytes]] = {}
        for tag, element in elements.items():
            if tag in wanted:
                key = (tag, element.vr, header[element.value : element.end])
                attribute = known.get(key)
                if attribute is None:
                    missing[tag] = key
                else:
                    found |= attribute
        if missing:
            fresh = {tag: element for tag, element in elements.items() if tag in missing or tag in context}
            read = read_attributes(header, incoming.header_syntax, missing.keys(), elements=fresh)
            for tag, key in missing.items():
                name = key_of(tag)
                # An attribute that the model leaves out is remembered as nothing.
                known[key] = {name: read[name]} if name in read else {}
            found |= read
        return found


def preference(application: str, level: Level) -> int:
    """Which release answers where several have one UID: the lowest; 0 is Images' at the strictest level."""
    return (application != IMAGES) * len(_LEVELS) + _LEVELS.index(level)


def series_columns(found: Attributes) -> dict[str, Any]:
    """The clear columns of a series' row that follow from its attributes."""
    return {
        # Between spaces in the release's row, so there is none inside; and none of the zeros that PostgreSQL refuses.
        "modality": first_text(found, MODALITY).replace(" ", "_").replace("\0", "_")[:16],
        "number": order_number(found, SERIES_NUMBER),
    }


def number_of_frames(found: Attributes) -> int:
    """Number of Frames; 1 where it is absent or none."""
    return min(max(first_number(found, 0x00280008, 1), 1), _MAX_FRAMES)


def instance_columns(incoming: IncomingInstance, found: Attributes) -> dict[str, Any]:
    """The clear columns of an instance's row that follow from its file. found: its attributes."""
    pixel = incoming.pixel
    return {
        "sop_class": incoming.sop_class,
        "transfer_syntax": incoming.transfer_syntax,
        "number": order_number(found, INSTANCE_NUMBER),
        "frames": number_of_frames(found),
        "frame_bits": frame_bits(found) if pixel and pixel.length >= 0 else 0,
        "length": incoming.length,
        "dataset_offset": incoming.dataset_offset,
        "header_length": 0 if transfer_syntax(incoming.transfer_syntax).deflated else len(incoming.header),
        "pixel_tag": pixel.tag if pixel else 0,
        "pixel_offset": pixel.offset if pixel else 0,
        "pixel_length": pixel.length if pixel else 0,
        "fragments": pack_fragments(pixel.fragments) if pixel else None,
    }
