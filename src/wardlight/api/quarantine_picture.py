"""A small picture of a file that is held back, for those who may see the study. It is made anew each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast
from uuid import UUID

from wardlight.access.model import Scope
from wardlight.archive import frames
from wardlight.archive.incoming import WANTED, AttributeReader, described, identify, instance_columns
from wardlight.archive.model import FrameTable, IncomingInstance, InstanceLocation
from wardlight.archive.quarantine_store import Held
from wardlight.archive.service import Archive
from wardlight.decoding.pool import DecoderPool
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicomweb import rendered_parameters
from wardlight.dicomweb.call import Call
from wardlight.dicomweb.rendered_media import Category, category
from wardlight.dicomweb.rendered_pictures import Instance
from wardlight.errors import WardlightError
from wardlight.ingest.quarantine import Quarantine
from wardlight.objects.store import ObjectReader

#: Pixels of the longer side.
SIZE: Final = 192
MEDIA: Final = "image/jpeg"
_PIECE: Final = 1 << 20
#: Larger files have no picture: all of one is read to find its frames.
_MOST: Final = 1 << 30


def picture(quarantine: Quarantine, decoders: DecoderPool, scope: Scope, id_: UUID) -> bytes:
    """A JPEG of the middle frame. Raises `not-found`; `not-acceptable` where there is nothing to draw."""
    row, reader = quarantine.open(scope, id_)
    with reader:
        if row.length > _MOST:
            raise WardlightError("not-acceptable", "the file is too large for a picture")
        location = _location(row, reader)
        if category(location) not in (Category.SINGLE_FRAME, Category.MULTI_FRAME):
            raise WardlightError("not-acceptable", "there is no image here that a thumbnail could show")
        # Drawing asks an archive for bytes and frames, and this stands in for it with these alone.
        source = cast("Archive", _Source(reader))
        call = Call(source, decoders, scope, "", {}, "", "")
        one = Instance(call, location, rendered_parameters.thumbnail("", SIZE))
        if not one.frames:
            raise WardlightError("not-acceptable", "there is no image here that a thumbnail could show")
        return one.still(min(one.image.representative, one.frames) or (one.frames + 1) // 2, MEDIA)


class _Source:
    """The bytes of one file."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader

    def read(
        self, _scope: Scope, _location: InstanceLocation, start: int, end: int, **_counted: int
    ) -> Iterator[bytes]:
        """Bytes [start, end) of the file. What is counted of an archive's instance is one entry here already."""
        return self._reader.iter(start, end)

    def frames(self, _scope: Scope, location: InstanceLocation) -> FrameTable:
        """Where the frames are. An extended offset table is not read: such a video has its first frames only."""
        pixel = location.pixel
        if pixel is None:
            return FrameTable(())
        if pixel.length >= 0:
            return frames.native(pixel, location.frames, location.frame_bits)
        return frames.encapsulated(pixel, location.frames, b"", self._reader.read)


def _location(row: Held, reader: ObjectReader) -> InstanceLocation:
    found = _described(reader)
    columns = instance_columns(found, AttributeReader().read(found, WANTED))
    return InstanceLocation(
        institution=row.institution,
        release=row.id,
        row=row.id,
        application="",
        level=row.level,
        key_id=row.key_id,
        object_id=row.object,
        object_size=row.size,
        offset=0,
        length=row.length,
        dataset_offset=found.dataset_offset,
        header_length=columns["header_length"],
        pixel=found.pixel,
        transfer_syntax=found.transfer_syntax,
        sop_class=found.sop_class,
        frames=columns["frames"],
        frame_bits=columns["frame_bits"],
        study_uid=found.study_uid,
        series_uid=found.series_uid,
        sop_uid=found.sop_uid,
        reading=None,
    )


def _described(reader: ObjectReader) -> IncomingInstance:
    file = Part10Stream(wanted=WANTED)
    try:
        for piece in reader.iter(0, reader.plaintext, _PIECE):
            file.feed(piece)
        file.finish()
    except DicomError:
        raise WardlightError("not-acceptable", "the file cannot be parsed") from None
    assert file.stream is not None
    return described(file, identify(file.stream), 0, reader.plaintext, b"")
