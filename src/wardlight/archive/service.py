"""The only way to image objects: store, search, find, read, complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from wardlight.access.model import Principal, PrincipalKind, Scope, SystemScope
from wardlight.archive.completion import Completion, Follow
from wardlight.archive.copying import Copying, SourceReader, Whole
from wardlight.archive.finding import Names
from wardlight.archive.handover import Handovers
from wardlight.archive.intake import Intake
from wardlight.archive.intake_parts import Origin, SegmentWriter, Telling
from wardlight.archive.model import (
    FrameTable,
    IncomingInstance,
    InstanceLocation,
    Level,
    Metadata,
    Page,
    Query,
    QueryLevel,
    ReleaseTarget,
    StoreOutcome,
    ValuePlace,
)
from wardlight.archive.postings_merge import Postings
from wardlight.archive.reading import Reader
from wardlight.archive.results import Results
from wardlight.archive.search import Search
from wardlight.archive.sweeping import Sweeper
from wardlight.audit.model import Actor
from wardlight.audit.recorder import Recorder
from wardlight.audit.sessions import ReadSessions
from wardlight.db.engine import Database
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

__all__ = ["Archive", "Origin", "SegmentWriter", "Telling"]

#: Who makes what nobody asked for.
_ITSELF: Final = Actor(PrincipalKind.SYSTEM.value, "archive")
_OWN: Final = Origin()
_STORED: Final = Telling()


class Archive:
    """Image objects of all institutions. Threads share it; nothing about a decision is kept between calls.

    Reads take a `Scope`, check its operation, and are in the audit trail before they return anything. What does not
    exist and what the scope does not show is the same `not-found`.
    """

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        sessions: ReadSessions,
        *,
        quiet_s: float,
        completed: Follow,
    ) -> None:
        """quiet_s: seconds without a new instance after which a release is complete. completed: what follows then."""
        self._postings = Postings(database, keystore)
        self._intake = Intake(database, keystore, objects, recorder, self._postings)
        self._search = Search(database, keystore, recorder)
        self._reader = Reader(database, keystore, objects, recorder, sessions)
        self._completion = Completion(database, keystore, objects, recorder, quiet_s, completed)
        self._names = Names(database, keystore)
        self._copying = Copying(database, keystore, objects)
        self.results = Results(database, keystore, objects, recorder, self._copying)
        self.handovers = Handovers(database, keystore, objects, recorder, self._copying)
        self._sweeper = Sweeper(database, keystore, objects, recorder)

    # ---- store ----

    def target(
        self,
        institution: UUID,
        application: str,
        level: Level,
        study_uid: str,
        study_group: bytes | None = None,
        *,
        by: Actor = _ITSELF,
        request: str = "",
        origin: Origin = _OWN,
    ) -> ReleaseTarget:
        """Find the release of this study, or reserve it; its key is durable before this returns.

        study_group: 16 bytes that all releases of one original study share; random where none is given. by, request:
        for whom, within which request, a key is made that was not there. origin: where the data comes from. The caller
        has checked the agreement. Raises `bad-request`, `unavailable`, and `conflict` where the release has another
        origin.
        """
        return self._intake.target(
            institution, application, level, study_uid, study_group, by, request, origin
        )

    def existing(self, institution: UUID, release: UUID, study_uid: str) -> ReleaseTarget:
        """The release of this id, whose Study UID the caller knows. Raises `not-found`, `key-destroyed`."""
        return self._intake.existing(institution, release, study_uid)

    def begin_segment(self, target: ReleaseTarget) -> SegmentWriter:
        """Begin a segment of this release. Raises `out-of-resources`, `unavailable`."""
        return self._intake.begin_segment(target)

    def commit(
        self,
        target: ReleaseTarget,
        writer: SegmentWriter,
        instances: Sequence[IncomingInstance],
        *,
        actor: Principal,
        request: str,
        address: str = "",
        telling: Telling = _STORED,
    ) -> list[StoreOutcome]:
        """Make instances durable and findable; outcomes in the order of `instances`.

        One synchronous object write, then one transaction with rows, audit entry and event. A segment whose
        instances were all known is deleted. Raises `forbidden`, `bad-data-set`, `conflict`, `out-of-resources`,
        `unavailable`: then nothing of the request is stored.
        """
        return self._intake.commit(
            target, writer, instances, actor=actor, request=request, address=address, telling=telling
        )

    # ---- copying ----

    def shareable(self, scope: Scope, study_uid: str) -> Whole:
        """A study of Images that this person may share. Raises `not-found`, and `conflict` where it is another's."""
        return self._copying.shareable(scope, study_uid)

    def whole(self, institution: UUID, release: UUID) -> Whole:
        """A release as it is copied to another. Raises `not-found`, `key-destroyed`, `object-damaged`."""
        return self._copying.whole(institution, release)

    def source_instances(self, scope: SystemScope, whole: Whole) -> list[InstanceLocation]:
        """Its instances but results, in the order of their ids, so that later ones come last."""
        return self._copying.instances(scope, whole)

    def source_reader(self, scope: SystemScope, whole: Whole) -> SourceReader:
        """Reads them; to be closed."""
        return self._copying.reader(scope, whole)

    # ---- search ----

    def search_studies(self, scope: Scope, query: Query) -> Page:
        """Studies, newest first (PS3.18 section 10.6).

        Raises `matching-key-not-supported`, `bad-request`, and `query-too-broad` where keys without an index leave
        more than 5,000 candidates.
        """
        return self._search.search(scope, QueryLevel.STUDY, query)

    def search_series(self, scope: Scope, query: Query) -> Page:
        """Series, of the study in `query.study_uid` or of all; errors as above, and `not-found` for that study."""
        return self._search.search(scope, QueryLevel.SERIES, query)

    def search_instances(self, scope: Scope, query: Query) -> Page:
        """Instances, of a series, a study or all; errors as above."""
        return self._search.search(scope, QueryLevel.INSTANCE, query)

    # ---- read ----

    def instances(
        self, scope: Scope, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[InstanceLocation]:
        """Places of instances by series, then instance number. Raises `not-found`; the list is never empty."""
        return self._reader.instances(scope, study_uid, series_uid, sop_uid)

    def read(
        self,
        scope: Scope,
        location: InstanceLocation,
        start: int = 0,
        end: int | None = None,
        *,
        frames: int | None = None,
        instances: int | None = None,
    ) -> Iterator[bytes]:
        """Bytes [start, end) of the Part 10 file, in pieces of at most 512 KiB.

        frames, instances: how many this counts as in the trail; by default one frame where the scope is for frames,
        one instance where all of it is read. Raises
        `range-not-satisfiable`, `key-destroyed`, and, also between pieces, `object-damaged`.
        """
        return self._reader.read(scope, location, start, end, frames, instances)

    def checksum(self, scope: Scope, location: InstanceLocation) -> int:
        """CRC-32 of the Part 10 file, read for it and not handed out. Raises as `read` does."""
        return self._reader.checksum(scope, location)

    def frames(self, scope: Scope, location: InstanceLocation) -> FrameTable:
        """Where frames lie; empty without pixel data. Raises `not-acceptable` where frames cannot be told apart."""
        return self._reader.frames(scope, location)

    def value(self, scope: Scope, location: InstanceLocation, path: tuple[int, ...]) -> ValuePlace:
        """Where the value at this path of tags and item numbers from 0 lies. Raises `not-found`."""
        return self._reader.value(scope, location, path)

    def values(self, scope: Scope, location: InstanceLocation) -> list[ValuePlace]:
        """The places of all values that the instance's metadata gives by reference, pixel data last."""
        return self._reader.values(scope, location)

    def read_value(
        self, scope: Scope, location: InstanceLocation, place: ValuePlace, start: int, end: int
    ) -> Iterator[bytes]:
        """Bytes [start, end) of a value in little endian (PS3.18 section 8.7.3.3.1), its fragments joined.

        Of pixel data the trail counts the frames that such a part of it would hold.
        Raises `range-not-satisfiable`, `key-destroyed`, and, also between pieces, `object-damaged`.
        """
        return self._reader.read_value(scope, location, place, start, end)

    def metadata(
        self,
        scope: Scope,
        study_uid: str,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        *,
        base_url: str,
    ) -> Metadata:
        """DICOM JSON of instances as UTF-8: the members of a JSON array with the commas between, without brackets.

        Pieces are cut anywhere; together they are never held whole.
        base_url: address of the DICOMweb service, put into BulkDataURI. Raises `not-found`.
        """
        return self._reader.metadata(scope, study_uid, series_uid, sop_uid, base_url)

    # ---- names ----

    def study_group(self, scope: Scope, study_uid: str) -> bytes:
        """What all releases of a study have in common. Raises `not-found`."""
        return self._names.group(scope, study_uid)

    def study_uids(self, scope: Scope, releases: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
        """Study UID and level of releases that the caller was shown grants of; those that are gone are left out."""
        return self._names.releases(scope, releases)

    def arrivals(self, scope: Scope) -> dict[str, int]:
        """Who sent, as `kind:id` → when something came last of it, Unix, ms; not of who has been quiet for long."""
        return self._names.arrivals(scope.institution)

    def images_uids(self, scope: Scope, groups: Sequence[bytes]) -> dict[bytes, str]:
        """Study UIDs in Images of study groups, for the institution's own people."""
        return self._names.images(scope, groups)

    # ---- background ----

    def complete(self, scope: SystemScope) -> int:
        """Complete releases that are quiet: write their metadata object. Returns how many."""
        return self._completion.complete(scope)

    def index(self, scope: SystemScope) -> int:  # noqa: ARG002 - proof that the worker asks
        """Bring new releases into the sealed postings. Returns how many."""
        return self._postings.work()

    def sweep(self, scope: SystemScope) -> int:
        """Remove objects without a row and reservations without an instance, both after 24 h. Returns how many."""
        return self._sweeper.sweep(scope)
