"""The read side: find instances within a scope, hand out their bytes, headers, frames and metadata."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from wardlight.access.model import Operation, Scope
from wardlight.archive import frames, store, values
from wardlight.archive.completion import describe
from wardlight.archive.content import PIECE, header, stored_range
from wardlight.archive.finding import find_study
from wardlight.archive.granted_store import GrantRow
from wardlight.archive.intake_parts import image_classes
from wardlight.archive.keyring import ReleaseKey, Tokens, release_key
from wardlight.archive.model import (
    BULK_BASE,
    FrameTable,
    InstanceLocation,
    Metadata,
    ReleaseState,
    ValuePlace,
)
from wardlight.archive.places import locations, subjects_of
from wardlight.archive.store import InstanceRow, ReleaseRow, SeriesRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.sessions import Reading, ReadSessions
from wardlight.db.engine import Database
from wardlight.dicom.codec import PIXEL_TAGS
from wardlight.dicom.elements import scan
from wardlight.dicom.errors import DicomError
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of, behalf_of
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectReader, ObjectStore

_NOT_FOUND: Final = "not-found"
# With its quotes, which JSON escapes inside texts, the mark cannot come from a value of a data set.
_BULK_MEMBER: Final = '"BulkDataURI":"'
_STORED_BULK: Final = f"{_BULK_MEMBER}{BULK_BASE}".encode()


class Reader:
    """Reads within scopes. Keeps nothing between calls."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        sessions: ReadSessions,
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder
        self._sessions = sessions

    def instances(
        self, scope: Scope, study_uid: str, series_uid: str | None, sop_uid: str | None
    ) -> list[InstanceLocation]:
        """See `Archive.instances`."""
        scope.require(Operation.RETRIEVE)
        with self._database.read(scope.institution) as tx:
            tokens = Tokens(self._keystore, scope.institution)
            release, series, grant = self._find(tx, scope, tokens, study_uid, series_uid)
            rows = store.find_instances(
                tx,
                release.id,
                series.id if series else None,
                tokens.instance(sop_uid) if sop_uid is not None else None,
                completed=scope.granted,
            )
        if not rows:
            raise WardlightError(_NOT_FOUND)
        key = release_key(self._keystore, release)
        reading = self._begin(scope, release, key, study_uid, grant)
        return locations(release, key, rows, study_uid, reading)

    def read(
        self,
        scope: Scope,
        location: InstanceLocation,
        start: int,
        end: int | None,
        frames_: int | None,
        instances: int | None,
    ) -> Iterator[bytes]:
        """See `Archive.read`."""
        scope.require(Operation.RETRIEVE, location.institution)
        stop = location.length if end is None else end
        if not 0 <= start <= stop <= location.length:
            raise WardlightError("range-not-satisfiable")
        if instances is None:
            instances = int(start == 0 and stop == location.length)
        if frames_ is None:
            frames_ = int(scope.action is Action.DICOMWEB_FRAME_READ)
        reader = self._open(location)
        pieces = stored_range(reader, location, start, stop)
        return self._counted(location, reader, pieces, instances, frames_)

    def checksum(self, scope: Scope, location: InstanceLocation) -> int:
        """See `Archive.checksum`."""
        scope.require(Operation.RETRIEVE, location.institution)
        checksum = 0
        with self._open(location) as reader:
            for piece in stored_range(reader, location, 0, location.length):
                checksum = zlib.crc32(piece, checksum)
        return checksum

    def frames(self, scope: Scope, location: InstanceLocation) -> FrameTable:
        """See `Archive.frames`."""
        scope.require(Operation.RETRIEVE, location.institution)
        pixel = location.pixel
        if pixel is None:
            return FrameTable(())
        if pixel.length >= 0:
            return frames.native(pixel, location.frames, location.frame_bits)
        with self._open(location) as reader:

            def read(start: int, end: int) -> bytes:
                return reader.read(location.offset + start, location.offset + end)

            extended = b""
            if len(pixel.fragments) - 1 > location.frames > 1:
                data, syntax = header(reader, location)
                try:
                    table = scan(data, syntax, wanted=frozenset({frames.EXTENDED_OFFSET_TABLE})).elements
                except DicomError:
                    raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
                if element := table.get(frames.EXTENDED_OFFSET_TABLE):
                    extended = data[element.value : element.end]
            return frames.encapsulated(pixel, location.frames, extended, read)

    def value(self, scope: Scope, location: InstanceLocation, path: tuple[int, ...]) -> ValuePlace:
        """See `Archive.value`."""
        scope.require(Operation.RETRIEVE, location.institution)
        with self._open(location) as reader:
            return values.find(reader, location, path)

    def values(self, scope: Scope, location: InstanceLocation) -> list[ValuePlace]:
        """See `Archive.values`."""
        scope.require(Operation.RETRIEVE, location.institution)
        with self._open(location) as reader:
            return values.referenced(reader, location)

    def read_value(
        self, scope: Scope, location: InstanceLocation, place: ValuePlace, start: int, end: int
    ) -> Iterator[bytes]:
        """See `Archive.read_value`."""
        scope.require(Operation.RETRIEVE, location.institution)
        if not 0 <= start <= end <= place.length:
            raise WardlightError("range-not-satisfiable")
        reader = self._open(location)
        shown = 0
        if len(place.path) == 1 and place.path[0] in PIXEL_TAGS and start < end:
            shown = -(-location.frames * (end - start) // place.length)
        pieces = values.value_range(reader, location, place, start, end)
        return self._counted(location, reader, pieces, 0, shown)

    def metadata(
        self, scope: Scope, study_uid: str, series_uid: str | None, sop_uid: str | None, base_url: str
    ) -> Metadata:
        """See `Archive.metadata`."""
        scope.require(Operation.METADATA)
        rows: list[InstanceRow] = []
        with self._database.read(scope.institution) as tx:
            tokens = Tokens(self._keystore, scope.institution)
            release, series, grant = self._find(tx, scope, tokens, study_uid, series_uid)
            precomputed = release.state is ReleaseState.COMPLETE and release.metadata_object is not None
            if sop_uid is not None or not precomputed:
                token = tokens.instance(sop_uid) if sop_uid is not None else None
                rows = store.find_instances(
                    tx, release.id, series.id if series else None, token, completed=scope.granted
                )
                if not rows:
                    raise WardlightError(_NOT_FOUND)
        key = release_key(self._keystore, release)
        reading = self._begin(scope, release, key, study_uid, grant)
        if precomputed:
            pieces = self._precomputed(release, key, series, rows)
        else:
            pieces = _members(describe(self._objects, key, locations(release, key, rows, study_uid, None)))
        bulk = f"{_BULK_MEMBER}{base_url.rstrip('/')}/studies".encode()
        # Instances never change and are only added.
        held = len(rows) if rows and sop_uid is None else release.instance_count
        version = (release.id, held, series_uid, sop_uid, base_url)
        return Metadata(self._sum(reading, replaced(pieces, _STORED_BULK, bulk)), version)

    def _precomputed(
        self, release: ReleaseRow, key: ReleaseKey, series: SeriesRow | None, rows: list[InstanceRow]
    ) -> Iterator[bytes]:
        assert release.metadata_object is not None
        with self._objects.open(release.metadata_object, key.key, release.metadata_size) as reader:
            start, end = 0, reader.plaintext
            place = rows[0] if rows else series
            if place:
                start, end = place.metadata_offset, place.metadata_offset + place.metadata_length
            # Every line ends in a line feed, the last one too: it is no separator.
            for piece in reader.iter(start, end - 1, PIECE):
                yield piece.replace(b"\n", b",")

    def _sum(self, reading: Reading, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            reading.count(bytes_=len(piece))
            yield piece

    def _find(
        self, tx: Connection, scope: Scope, tokens: Tokens, study_uid: str, series_uid: str | None
    ) -> tuple[ReleaseRow, SeriesRow | None, GrantRow | None]:
        release, grant = find_study(tx, scope, tokens.study(study_uid))
        if series_uid is None:
            return release, None, grant
        series = store.find_series(tx, release.id, tokens.series(series_uid), completed=scope.granted)
        if series is None:
            raise WardlightError(_NOT_FOUND)
        return release, series, grant

    def _begin(
        self, scope: Scope, release: ReleaseRow, key: ReleaseKey, study_uid: str, grant: GrantRow | None
    ) -> Reading:
        """Enter the read session; its `authorised` entry is durable when this returns."""
        subjects = subjects_of(self._recorder.references(scope.institution), release, key, study_uid)
        event = Event(
            scope.action,
            actor_of(scope.principal),
            behalf=behalf_of(scope.principal),
            target=Target("study", ref=subjects[0][1]),
            subjects=subjects,
            purpose=grant.purposes.split()[0] if grant and not scope.principal.purpose else scope.purpose,
            basis=grant.basis if grant else scope.basis,
            agreement=(grant.agreement, grant.agreement_version) if grant else scope.agreement,
            grant=grant.id.hex if grant else "",
            classes=image_classes(release.level),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
        )
        return self._sessions.begin(scope.institution, event)

    def _open(self, location: InstanceLocation) -> ObjectReader:
        key = self._keystore.get_key(location.institution, location.key_id)
        return self._objects.open(location.object_id, key, location.object_size)

    def _counted(
        self,
        location: InstanceLocation,
        reader: ObjectReader,
        pieces: Iterator[bytes],
        instances: int,
        frames_: int,
    ) -> Iterator[bytes]:
        """Hand out pieces, counting each before it leaves: what was begun counts as read."""
        reading = location.reading
        with reader:
            if reading:
                series = self._recorder.references(location.institution).series(location.series_uid)
                reading.count(series=series, instances=instances, frames=frames_)
            for piece in pieces:
                if reading:
                    reading.count(bytes_=len(piece))
                yield piece


def _members(objects: Iterator[bytes]) -> Iterator[bytes]:
    """Members of a JSON array with the commas between them."""
    for number, text in enumerate(objects):
        if number:
            yield b","
        yield text


def replaced(pieces: Iterator[bytes], old: bytes, new: bytes) -> Iterator[bytes]:
    """The pieces with each `old` replaced, also where it is cut between two; `old` must not overlap with itself."""
    held = b""
    for piece in pieces:
        data = held + piece if held else piece
        cut = next((n for n in range(min(len(old) - 1, len(data)), 0, -1) if data.endswith(old[:n])), 0)
        held = data[len(data) - cut :]
        yield data[: len(data) - cut].replace(old, new)
    if held:
        yield held
