"""A result on a release that the platform made, made anew for another such release of the same source.

The platform has the keys of its own pseudonym domain: which original stands behind what a release shows is found by
making the forward mapping of the source's UIDs again. What was restored is in memory only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wardlight.access.model import SystemScope
from wardlight.agreements.model import Level
from wardlight.archive.copying import SourceReader, Whole
from wardlight.archive.handover import Waiting
from wardlight.archive.model import InstanceLocation
from wardlight.archive.service import Archive
from wardlight.deid.dates import offset_days
from wardlight.deid.engine import WANTED
from wardlight.deid.patient_study import ISSUER, PATIENT_ID, study_elements
from wardlight.deid.profile import load_profile
from wardlight.deid.protect import NOT_RELEASED, reasons_of
from wardlight.deid.restore import NotRestored, Origin, texts_of, uids_in
from wardlight.deid.result import Buffer, read_result
from wardlight.deid.uids import identifier, map_uids, patient_of
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import read_meta
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.errors import WardlightError
from wardlight.ingest import protected_file
from wardlight.ingest.copying import Copier
from wardlight.ingest.stays import StaysError

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader

#: Larger results stay where they are: one is in memory whole, restored, and nowhere else.
LARGEST: Final = 256 << 20
_CHUNK: Final = 256 << 10
_MOVED: Final = "modified_dates"


@dataclass(frozen=True, slots=True)
class _Ways:
    """What leads back from one release of a source. person: its patient, as pseudonym and dates derive from it."""

    person: bytes = field(repr=False)
    pseudonym: bytes = field(repr=False)
    originals: dict[bytes, bytes] = field(repr=False)

    def original(self, new_uid: bytes) -> tuple[bytes, frozenset[bytes]] | None:
        found = self.originals.get(new_uid)
        return None if found is None else (found, frozenset((self.person,)))

    def whose(self, pseudonym: bytes) -> bytes | None:
        return self.person if pseudonym == self.pseudonym else None


class Restoring:
    """Threads may share it."""

    def __init__(self, archive: Archive, copier: Copier) -> None:
        self._archive = archive
        self._copier = copier

    def pieces(
        self, scope: SystemScope, found: Waiting, source: UUID, pixels: TextReader | None
    ) -> Iterator[Buffer]:
        """The file for the recipient. source: the release that both were made of. Raises StaysError, `too-large`."""
        if found.location.length > LARGEST:
            raise WardlightError("too-large", reason="too-large")
        row = found.row
        data = b"".join(self._archive.handovers.pieces(found))
        try:
            result = read_result(lambda offset: _chunks(data, offset))
            whole = self._archive.whole(row.institution, source)
            ways, origin = self._way_back(scope, found, whole)
            days = self._days(row.institution, row.recipient, found.level, ways.person)
            restored = b"".join(result.restored(ways, origin, days)[0])
            yield from self._protected(found, restored, pixels)
        except NotRestored as refusal:
            raise StaysError(refusal.code) from None
        except NOT_RELEASED as refusal:
            # Without the tags that it names.
            raise StaysError(reasons_of(refusal)[0].partition("(")[0].strip() or "refused") from None
        except DicomError as error:
            raise StaysError(f"data-set:{error.code}") from None

    def _way_back(self, scope: SystemScope, found: Waiting, whole: Whole) -> tuple[_Ways, Origin]:
        """All that the source's instances name, and what stands for it in the release of the result."""
        row, level = found.row, found.whole.release.level
        keys = self._copier.keys(row.institution, row.application, level)
        originals: dict[bytes, bytes] = {}
        texts: dict[int, tuple[bytes, str]] = {}
        person = b""
        with self._archive.source_reader(scope, whole) as reader:
            for location in self._archive.source_instances(scope, whole):
                stream = _header(reader, location)
                syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
                named = uids_in(stream.header or b"", syntax)
                if level is not Level.IDENTIFIED:
                    originals.update((map_uids(keys.uid, uid).rstrip(b"\0"), uid) for uid in named)
                if not person:
                    elements = study_elements(stream)
                    values = {tag: value for tag, _, value, _ in elements}
                    study = whole.study_uid.encode("ascii")
                    person = patient_of(values.get(ISSUER, b""), values.get(PATIENT_ID, b""), study)
                    texts = texts_of(elements)
        if not person:
            raise NotRestored("study-unknown")
        pseudonym = b"" if level is Level.IDENTIFIED else identifier(keys.patient, person)
        origin = Origin(
            person=person,
            days=self._days(row.institution, row.application, level, person),
            # In the hospital's own day it may be one later; a result is never made before its study came.
            seen_on=datetime.fromtimestamp(whole.release.arrived_ms / 1000, UTC).date(),
            study_uid=whole.study_uid.encode("ascii"),
            texts=texts,
        )
        return _Ways(person, pseudonym, originals), origin

    def _days(self, institution: UUID, application: str, level: Level, person: bytes) -> int:
        """By how many days dates moved back in a release of the platform's."""
        if level is Level.IDENTIFIED or _MOVED not in load_profile(level.value).options:
            return 0
        return offset_days(self._copier.keys(institution, application, level).date, person)

    def _protected(self, found: Waiting, restored: bytes, pixels: TextReader | None) -> Iterator[Buffer]:
        if found.level is Level.IDENTIFIED:
            yield restored
            return
        meta = read_meta(restored)
        body = memoryview(restored)[meta.end :]
        stream = DataSetStream(transfer_syntax(meta.transfer_syntax), wanted=WANTED)
        stream.feed(body)
        stream.finish()
        end = stream.total if stream.tail_offset is None else stream.tail_offset
        deidentifier = self._copier.deidentifier(found.row.institution, found.row.recipient, found.level)
        yield from protected_file.written(
            stream,
            lambda: iter((bytes(body),)),
            lambda: iter((bytes(body[stream.value_offset : end]),)),
            deidentifier,
            pixels,
        )


def _header(reader: SourceReader, location: InstanceLocation) -> DataSetStream:
    stream = DataSetStream(transfer_syntax(location.transfer_syntax), wanted=WANTED)
    for piece in reader.read(location, location.dataset_offset, location.length):
        stream.feed(piece)
        if stream.header is not None:
            return stream
    stream.finish()
    return stream


def _chunks(data: bytes, offset: int) -> Iterator[bytes]:
    for start in range(offset, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
