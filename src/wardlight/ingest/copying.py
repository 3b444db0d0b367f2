"""Makes a release of another one, on the platform: read, de-identified, verified, taken in like anything else.

The keys are those of the platform's own pseudonym domain (security.md section 5): UIDs, pseudonyms and date offsets of
what is made here differ from those that a receiver of the hospital makes, and from every other application's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final
from uuid import UUID

from wardlight import log
from wardlight.access.model import Principal, SystemScope
from wardlight.agreements.model import Level
from wardlight.archive.copying import SourceReader, Whole
from wardlight.archive.model import InstanceLocation
from wardlight.archive.service import Archive, Telling
from wardlight.deid.engine import WANTED, Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.protect import NOT_RELEASED, Buffer, protect, reasons_of
from wardlight.deid.uids import map_uids
from wardlight.dicom.dimse.negotiation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.stream import DataSetStream, cut, deflated, inflated
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.part import Demands, IncomingPart, Segment
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind

#: A segment is committed at so many bytes or instances: what a crash makes again.
_SEGMENT_BYTES: Final = 128 << 20
_SEGMENT_INSTANCES: Final = 500
#: What one instance cannot be copied for, and the others can.
_ITS_OWN: Final = frozenset(
    ("object-damaged", "bad-data-set", "instance-mismatch", "missing-identifier", "not-deidentified")
)


@dataclass(slots=True)
class Copied:
    """What became of instances. cursor: the last that was looked at; finished: there are no more of them."""

    stored: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    cursor: UUID | None = None
    finished: bool = False


class Copier:
    """Copies releases, a piece of work at a time. Threads may share it."""

    def __init__(self, archive: Archive, keystore: Keystore) -> None:
        self._archive = archive
        self._keystore = keystore

    def study_uid(self, institution: UUID, application: str, level: Level, original: str) -> str:
        """The Study UID of the release that is made of another one."""
        if level is Level.IDENTIFIED:
            return original
        keys = self._keys(institution, application, level)
        return map_uids(keys.uid, original.encode("ascii")).rstrip(b"\0").decode("ascii")

    def copy(
        self,
        scope: SystemScope,
        whole: Whole,
        release: UUID,
        *,
        application: str,
        level: Level,
        cursor: UUID | None,
        telling: Telling,
        request: str,
        seconds: float,
    ) -> Copied:
        """Copy instances after `cursor` until so many seconds are over; at least one segment of them.

        An instance that cannot be protected stays out and is counted by reason. What was copied before is found again
        and not stored twice. Raises what the archive raises where nothing more can be copied now.
        """
        institution = whole.release.institution
        identified = level is Level.IDENTIFIED
        deidentifier = None if identified else self._deidentifier(institution, application, level)
        study_uid = self.study_uid(institution, application, level, whole.study_uid)
        target = self._archive.existing(institution, release, study_uid)
        actor = Principal(PrincipalKind.SYSTEM, scope.reason, institution)
        done = Copied(cursor=cursor)
        pending = [
            one for one in self._archive.source_instances(scope, whole) if cursor is None or one.row > cursor
        ]
        until = time.monotonic() + seconds
        with self._archive.source_reader(scope, whole) as reader:
            while pending:
                segment = Segment(target, self._archive.begin_segment(target))
                try:
                    taken, refused = self._fill(
                        segment, pending, reader, deidentifier, Demands(level, study_uid), until
                    )
                    if segment.instances:
                        self._archive.commit(
                            target,
                            segment.writer,
                            segment.instances,
                            actor=actor,
                            request=request,
                            telling=telling,
                        )
                finally:
                    segment.writer.abort()
                done.stored += len(segment.instances)
                done.quarantined += refused
                done.cursor = pending[taken - 1].row
                pending = pending[taken:]
                if time.monotonic() >= until:
                    break
        done.finished = not pending
        return done

    def _fill(
        self,
        segment: Segment,
        pending: Sequence[InstanceLocation],
        reader: SourceReader,
        deidentifier: Deidentifier | None,
        demands: Demands,
        until: float,
    ) -> tuple[int, Counter[str]]:
        """Write instances into a segment; returns how many were taken, and why some of them are not in it."""
        refused: Counter[str] = Counter()
        taken = 0
        for location in pending:
            part = IncomingPart(lambda _study: segment, lambda _size: None, demands)
            taken += 1
            try:
                for piece in _file(reader, location, deidentifier):
                    part.write(memoryview(piece))
                segment.instances.append(part.finish())
            except NOT_RELEASED as refusal:
                refused[_code(reasons_of(refusal)[0])] += 1
            except DicomError as error:
                refused[f"data-set:{error.code}"] += 1
            except WardlightError as error:
                if error.code not in _ITS_OWN:
                    raise
                refused[error.code] += 1
            except (OSError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - logged; a fault of ours in one object lets it stay where it is
                log.error("ingest.protect_failed", error)
                refused["internal"] += 1
            full = len(segment.instances) >= _SEGMENT_INSTANCES or segment.writer.tell() >= _SEGMENT_BYTES
            if full or time.monotonic() >= until:
                break
        return taken, refused

    def _keys(self, institution: UUID, application: str, level: Level) -> DeidKeys:
        _, secret = self._keystore.institution_key(institution, KeyKind.PSEUDONYM)
        return DeidKeys.derive(secret, application, level.value)

    def _deidentifier(self, institution: UUID, application: str, level: Level) -> Deidentifier:
        return Deidentifier(load_profile(level.value), self._keys(institution, application, level))


def _code(reason: str) -> str:
    """A reason without the tags that it names."""
    return reason.partition("(")[0].strip() or "refused"


def _file(
    reader: SourceReader, location: InstanceLocation, deidentifier: Deidentifier | None
) -> Iterator[Buffer]:
    """The file as it goes into the new release. Raises `NOT_RELEASED`, DicomError, WardlightError."""
    if deidentifier is None:
        yield from reader.read(location, 0, location.length)
        return

    def data_set() -> Iterator[bytes]:
        return reader.read(location, location.dataset_offset, location.length)

    stream = DataSetStream(transfer_syntax(location.transfer_syntax), wanted=WANTED)
    for piece in data_set():
        stream.feed(piece)
        if stream.header is not None:
            break
    else:
        stream.finish()
    start = stream.value_offset

    def value() -> Iterator[bytes]:
        end = _encapsulated_end(location)
        return reader.read(location, location.dataset_offset + start, end)

    protected = protect(deidentifier, stream, value)
    result = protected.result
    yield write_meta(
        result.sop_class,
        result.sop_uid,
        location.transfer_syntax,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
    pieces: Iterable[Buffer] = (result.header, result.pixel_head)
    if stream.pixel is not None:
        if result.body_length is None:
            through = protected.ahead(value())
            pixels: Iterable[Buffer] = value() if through is None else through(value())
        else:
            whole: Iterable[bytes] = inflated(data_set()) if stream.syntax.deflated else data_set()
            pixels = protected.through(cut(whole, start, start + result.body_length))
        pieces = chain(pieces, pixels)
    yield from deflated(pieces) if stream.syntax.deflated else pieces


def _encapsulated_end(location: InstanceLocation) -> int:
    """Offset in the file of the first byte after encapsulated pixel data."""
    pixel = location.pixel
    assert pixel is not None
    offset, length = pixel.fragments[-1] if pixel.fragments else (pixel.offset, 0)
    return offset + length + 8  # The sequence delimiter.
