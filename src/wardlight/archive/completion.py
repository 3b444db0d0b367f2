"""Completion: once a release is quiet, its DICOM JSON metadata is written as one object (kind 3).

The object's plaintext is one JSON object a line, instances in the order in which they are retrieved, so that a
series, too, is one range. Places of lines are in the rows of instances and series.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock, log
from wardlight.access.grants import Completed
from wardlight.access.model import SystemScope
from wardlight.archive import share_store, store
from wardlight.archive.attributes import STUDY_UID, first_text
from wardlight.archive.content import header
from wardlight.archive.intake_parts import image_classes
from wardlight.archive.keyring import ReleaseKey, release_key
from wardlight.archive.model import BULK_BASE, InstanceLocation, ReleaseState
from wardlight.archive.places import locations, subjects_of
from wardlight.archive.store import ReleaseRow
from wardlight.archive.sweeping import discard
from wardlight.archive.values import pixel_place
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.dicom.errors import DicomError
from wardlight.dicom.json import to_json
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, emit
from wardlight.identity.model import PrincipalKind
from wardlight.keys.keystore import Keystore
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectStore, StoredObject

#: Releases completed in one call, so that other background work gets its turn.
BATCH: Final = 50
#: A release that could not be completed is tried again after so many seconds: a full disk passes, damage stays.
RETRY_SOON_S: Final = 10.0
RETRY_S: Final = 600.0
#: How long metadata that was replaced stays for those who are reading it, where a deletion would end that.
READERS_S: Final = 600.0


#: What else is done in the transaction that completes a release.
Follow = Callable[[Connection, Completed], object]


@dataclass(frozen=True, slots=True)
class _Written:
    stored: StoredObject
    instances: list[tuple[UUID, int, int]]
    series: list[tuple[UUID, int, int]]


class Completion:
    """Completes releases. Any number of workers may do so: the one whose view is still true wins."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        quiet_s: float,
        completed: Follow,
    ) -> None:
        self._completed = completed
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder
        self._quiet_ms = int(quiet_s * 1000)
        # Releases that could not be completed, until when they are left alone.
        self._waiting: dict[UUID, float] = {}
        # Metadata objects that were replaced, until when somebody may still be reading them.
        self._replaced: deque[tuple[float, UUID]] = deque()

    def complete(self, scope: SystemScope) -> int:
        """See `Archive.complete`."""
        now = time.monotonic()
        while self._replaced and self._replaced[0][0] <= now:
            discard(self._objects, self._replaced.popleft()[1])
        self._waiting = {release: until for release, until in self._waiting.items() if until > now}
        with self._database.read(EVERYWHERE) as tx:
            quiet = store.quiet_releases(tx, clock.unix_ms() - self._quiet_ms, BATCH + len(self._waiting))
        done = 0
        for release_id in quiet:
            if release_id in self._waiting:
                continue
            try:
                done += self._complete(scope, release_id)
            except Exception as error:  # noqa: BLE001 - one damaged release must not keep the others from completing
                log.error("archive.complete", error, release=str(release_id))
                passing = isinstance(error, WardlightError) and error.kind.http in (503, 507)
                self._waiting[release_id] = now + (RETRY_SOON_S if passing else RETRY_S)
        return done

    def _complete(self, scope: SystemScope, release_id: UUID) -> bool:
        with self._database.read(EVERYWHERE) as tx:
            release = store.release_by_id(tx, release_id)
            if release is None or release.sealed is None or release.state is not ReleaseState.RECEIVING:
                return False
            rows = store.find_instances(tx, release_id)
        key = release_key(self._keystore, release)
        study_uid = first_text(key.unseal_study(release), STUDY_UID)
        places = locations(release, key, rows, study_uid, None)
        written = self._write(release, key, places, [row.series for row in rows])
        decided = False

        def enter(tx: Connection) -> bool:
            nonlocal decided
            decided = False  # It may be tried again.
            published = self._publish(tx, scope, release, key, study_uid, written)
            decided = True
            return published

        try:
            published = self._database.run(enter, release.institution)
        except BaseException:
            if not decided:
                discard(self._objects, written.stored.object_id)
            raise
        if not published:
            discard(self._objects, written.stored.object_id)
        elif release.metadata_object and self._objects.readers_keep:
            discard(self._objects, release.metadata_object)
        elif release.metadata_object:
            # No row names it any more. Should this process end first, the sweep removes it.
            self._replaced.append((time.monotonic() + READERS_S, release.metadata_object))
        return published

    def _write(
        self, release: ReleaseRow, key: ReleaseKey, places: list[InstanceLocation], series: list[UUID]
    ) -> _Written:
        instances: list[tuple[UUID, int, int]] = []
        spans: list[tuple[UUID, int, int]] = []
        with self._objects.create(key.key, release.key_id, ObjectKind.METADATA) as writer:
            for (place, text), series_id in zip(_described(self._objects, key, places), series, strict=True):
                start = writer.tell()
                writer.write(text + b"\n")
                instances.append((place.row, start, len(text) + 1))
                spans.append((series_id, start, len(text) + 1))
            stored = writer.commit()
        ranges = []
        for series_id, group in groupby(spans, key=lambda span: span[0]):
            lines = list(group)
            ranges.append((series_id, lines[0][1], sum(line[2] for line in lines)))
        return _Written(stored, instances, ranges)

    def _publish(
        self,
        tx: Connection,
        scope: SystemScope,
        seen: ReleaseRow,
        key: ReleaseKey,
        study_uid: str,
        written: _Written,
    ) -> bool:
        """Name the metadata object in the release, unless the release changed since it was read."""
        now = store.release_by_id(tx, seen.id, lock=True)
        if (
            now is None
            or now.state is not ReleaseState.RECEIVING
            or now.instance_count != seen.instance_count
        ):
            return False
        store.place_metadata(tx, written.instances, written.series)
        values = {
            "state": ReleaseState.COMPLETE.value,
            "completed_ms": clock.unix_ms(),
            "metadata_object": written.stored.object_id,
            "metadata_size": written.stored.size,
        }
        store.update_release(tx, seen.id, values)
        kind = EventKind.STUDY_CHANGED if seen.metadata_object else EventKind.STUDY_COMPLETED
        emit(tx, seen.institution, kind, {"release": str(seen.id), "instances": seen.instance_count})
        references = self._recorder.references(seen.institution)
        subjects = subjects_of(references, seen, key, study_uid)
        origin = share_store.origin(tx, seen.id)
        event = Event(
            Action.ARCHIVE_STUDY_COMPLETE,
            Actor(PrincipalKind.SYSTEM.value, scope.reason),
            target=Target("study", ref=subjects[0][1]),
            subjects=subjects,
            classes=image_classes(seen.level),
            counts={"instances": seen.instance_count},
            detail={"level": seen.level.value, "application": seen.application},
        )
        self._recorder.write(tx, seen.institution, event)
        done = Completed(
            institution=seen.institution,
            release=seen.id,
            application=seen.application,
            level=seen.level,
            study_group=seen.study_group,
            patient_ref=subjects[0][0],
            study_ref=subjects[0][1],
            instances=seen.instance_count,
            quarantined=origin.quarantined if origin else 0,
            first=seen.metadata_object is None,
            shared=origin is not None and origin.derived_from is not None,
        )
        self._completed(tx, done)
        return True


def describe(objects: ObjectStore, key: ReleaseKey, places: Sequence[InstanceLocation]) -> Iterator[bytes]:
    """DICOM JSON of instances, read from their headers, one object a piece."""
    return (text for _, text in _described(objects, key, places))


def _described(
    objects: ObjectStore, key: ReleaseKey, places: Sequence[InstanceLocation]
) -> Iterator[tuple[InstanceLocation, bytes]]:
    with ExitStack() as stack:
        readers: dict[UUID, ObjectReader] = {}
        for place in places:
            reader = readers.get(place.object_id)
            if reader is None:
                # A release of many small requests has many segments: keep few files open at a time.
                if len(readers) >= _OPEN_SEGMENTS:
                    readers.clear()
                    stack.close()
                reader = stack.enter_context(objects.open(place.object_id, key.key, place.object_size))
                readers[place.object_id] = reader
            yield place, _text(reader, place)


_OPEN_SEGMENTS: Final = 32


def _text(reader: ObjectReader, place: InstanceLocation) -> bytes:
    data, syntax = header(reader, place)
    try:
        found = to_json(data, syntax, bulk_uri=_bulk_uri(place))
    except DicomError:
        raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    pixel = pixel_place(reader, place)
    if pixel:
        # The header ends before the pixel data; its VR matters to nobody who gets it by reference (PS3.18 F.2.2).
        (tag,) = pixel.path
        uri = _bulk_uri(place)((), tag, 0, pixel.length)
        found[f"{tag:08X}"] = {"vr": _PIXEL_VR[tag], "BulkDataURI": uri}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


_PIXEL_VR: Final = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}


def _bulk_uri(place: InstanceLocation) -> Callable[[tuple[int, ...], int, int, int], str]:
    base = f"{BULK_BASE}/{place.study_uid}/series/{place.series_uid}/instances/{place.sop_uid}/bulkdata/"

    def uri(path: tuple[int, ...], tag: int, _offset: int, _length: int) -> str:
        # The path alternates sequence tags and item numbers from 0.
        steps = [f"{step:08X}" if index % 2 == 0 else str(step) for index, step in enumerate(path)]
        return base + "/".join([*steps, f"{tag:08X}"])

    return uri
