"""Files that a person sent, on their way into releases: one segment for each study, a result for each file."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wardlight import log
from wardlight.access.model import Principal, Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.model import Outcome as Stored
from wardlight.archive.service import Archive
from wardlight.archive.upload_store import Upload, UploadPart
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.uids import study_group
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.identity.service import actor_of
from wardlight.ingest.part import Demands, IncomingPart, Segment
from wardlight.ingest.stays import StaysError
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.store import ObjectReader, ObjectStore

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader
    from wardlight.deid.engine import Deidentifier

#: A segment of one study is committed at so many bytes.
_SEGMENT_BYTES: Final = 128 << 20
_OPEN_READERS: Final = 4

#: What became of a file, before the colon of its code.
STORED: Final = "stored"
DUPLICATE: Final = "duplicate"
REFUSED: Final = "refused"
QUARANTINED: Final = "quarantined"

#: Told of a file that stays: its place, where it begins in the content, and why; gives its result.
Stays = Callable[[int, int, tuple[str, ...]], str]


class Content:
    """The bytes of an upload, over its parts."""

    def __init__(
        self, objects: ObjectStore, keystore: Keystore, row: Upload, parts: Sequence[UploadPart]
    ) -> None:
        self._objects = objects
        self._key = keystore.get_key(row.institution, row.key_id)
        self._parts = parts
        self._open: OrderedDict[UUID, ObjectReader] = OrderedDict()

    def __enter__(self) -> Content:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._open.values():
            reader.close()

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) in pieces. Raises as `ObjectReader`."""
        for part in self._parts:
            if part.begins + part.length > start and part.begins < end:
                begin, stop = max(start - part.begins, 0), min(end - part.begins, part.length)
                yield from self._reader(part).iter(begin, stop)

    def _reader(self, part: UploadPart) -> ObjectReader:
        reader = self._open.get(part.id)
        if reader is None:
            reader = self._open[part.id] = self._objects.open(part.id, self._key, part.size)
            if len(self._open) > _OPEN_READERS:
                self._open.popitem(last=False)[1].close()
        return reader


class Files:
    """The files of an upload on their way into releases; one segment for each study."""

    def __init__(
        self,
        archive: Archive,
        keystore: Keystore,
        row: Upload,
        content: Content,
        pixels: TextReader | None,
        stays: Stays,
        accepted: Collection[str] = (),
    ) -> None:
        """accepted: as `deid.protect` has it."""
        self._stays = stays
        self._accepted = accepted
        self._archive = archive
        self._row = row
        self._content = content
        self._pixels = pixels
        role = Role(row.role) if row.role else None
        #: Who sent it stored it: what people alone uploaded they may delete.
        self._person = Principal(PrincipalKind.PERSON, row.person, row.institution, role)
        _, secret = keystore.institution_key(row.institution, KeyKind.PSEUDONYM)
        self._group_key = group_key(keystore, row.institution)
        self._deidentifier = _deidentifier(secret, row.level)
        self._segments: dict[str, Segment] = {}
        self._results: list[str] = []
        self._seen = ""

    def take(self, until: float) -> list[str]:
        """Take files from the first without a result until the time is over, one at least; the result of each."""
        from wardlight.ingest import uploaded_file  # Loads numpy, which the web process can do without.

        row = self._row
        begins = [0, *accumulate(row.sizes)]
        try:
            for place in range(row.done, len(row.sizes)):
                begin = begins[place]

                def read(start: int, end: int, begin: int = begin) -> Iterator[bytes]:
                    return self._content.read(begin + start, begin + end)

                self._results.append(STORED)
                stays = self._store(
                    uploaded_file.pieces(
                        read, row.sizes[place], self._deidentifier, self._pixels, self._note, self._accepted
                    )
                )
                if stays:
                    self._results[-1] = self._stays(place, begin, stays)
                full = any(one.writer.tell() >= _SEGMENT_BYTES for one in self._segments.values())
                if full or time.monotonic() >= until:
                    break
            self._commit()
        finally:
            for segment in self._segments.values():
                segment.writer.abort()
        return self._results

    def _store(self, pieces: Iterator[bytes | memoryview]) -> tuple[str, ...]:
        """Why the file stays, or nothing: then its result is known, or follows from the segment."""
        part = IncomingPart(self._segment, lambda _size: None, Demands(self._row.level))
        try:
            for piece in pieces:
                part.write(memoryview(piece))
            instance = part.finish()
        except WardlightError as error:
            if error.kind.http >= 500 and error.code != "object-damaged":
                raise
            # What fits its release not at all is refused; what should have been protected and is not stays.
            if error.code == "not-deidentified":
                return (error.reason or error.code,)
            self._results[-1] = f"{REFUSED}:{code_of(error.reason or error.code)}"
        except StaysError as refusal:
            return refusal.reasons
        except (OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - logged; a fault of ours in one file lets it stay out
            log.error("ingest.protect_failed", error)
            return ("internal",)
        else:
            assert part.segment is not None
            part.segment.instances.append(instance)
            part.segment.places.append(len(self._results) - 1)
        return ()

    def _segment(self, study_uid: str) -> Segment:
        found = self._segments.get(study_uid)
        if found is None:
            row = self._row
            target = self._archive.target(
                row.institution,
                IMAGES,
                row.level,
                study_uid,
                self._group(study_uid),
                by=actor_of(self._person),
                request=row.request,
            )
            found = self._segments[study_uid] = Segment(target, self._archive.begin_segment(target))
        return found

    def _note(self, group: str) -> None:
        self._seen = group

    def _group(self, study_uid: str) -> bytes:
        """What ties the levels of one original study together, whose UID a protected file no longer has."""
        group = self._seen if self._row.level is not Level.IDENTIFIED else ""
        return bytes.fromhex(group or study_group(self._group_key, study_uid.encode("ascii")))

    def _commit(self) -> None:
        while self._segments:
            segment = self._segments.pop(next(iter(self._segments)))
            if not segment.instances:
                segment.writer.abort()
                continue
            try:
                outcomes = self._archive.commit(
                    segment.target,
                    segment.writer,
                    segment.instances,
                    actor=self._person,
                    request=self._row.request,
                )
            except WardlightError as error:
                if error.kind.http >= 500:
                    raise
                for place in segment.places:
                    self._results[place] = f"{REFUSED}:{code_of(error.code)}"
                continue
            for place, outcome in zip(segment.places, outcomes, strict=True):
                if outcome.outcome is Stored.DUPLICATE:
                    self._results[place] = DUPLICATE
                elif outcome.outcome is Stored.CONFLICT:
                    self._results[place] = f"{REFUSED}:instance-conflict"


def _deidentifier(secret: bytes, level: Level) -> Deidentifier | None:
    if level is Level.IDENTIFIED:
        return None
    from wardlight.deid.engine import Deidentifier  # Most rounds of the worker never need it.

    return Deidentifier(load_profile(level.value), DeidKeys.derive(secret, IMAGES, level.value))


def group_key(keystore: Keystore, institution: UUID) -> bytes:
    """What ties all that is of one original study together, at the institution."""
    _, secret = keystore.institution_key(institution, KeyKind.PSEUDONYM)
    return DeidKeys.derive(secret, "", "").group


def code_of(text: str) -> str:
    """A code as it may stand in a list: no comma, and short."""
    return text.replace(",", ";")[:40]
