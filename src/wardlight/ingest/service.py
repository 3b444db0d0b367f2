"""Intake of DICOM files on the platform: who may store what, one segment a study, an outcome for each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight import log
from wardlight.access.model import Operation, Principal, PrincipalKind
from wardlight.access.service import Access
from wardlight.agreements.model import IMAGES, Level, Source
from wardlight.agreements.service import Agreements
from wardlight.archive.incoming import Uids
from wardlight.archive.model import Outcome, ReleaseTarget
from wardlight.archive.service import Archive, Telling
from wardlight.archive.service import Origin as ReleaseOrigin
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.ingest.admission import Admission, Lease
from wardlight.ingest.part import Demands, IncomingPart, Segment

#: Headers are held until the commit, since they are indexed there. Beyond so many bytes, or studies, what is whole is
#: committed before the request goes on: memory is bounded by this, whatever is sent.
_HELD_BYTES: Final = 8 << 20
_OPEN_SEGMENTS: Final = 16
#: Instances that wait for their commit: the places of the elements of each take some kilobytes beside its header.
_OPEN_INSTANCES: Final = 2000
#: Studies of one request. Each that is new costs a key and a row that stay a day even if its files turn out broken.
_STUDIES: Final = 1000
_UNNAMED: Final = Uids()
_STORED: Final = Telling()
#: What a source may have declared of its data (R1.4).
_ANONYMISED: Final = "anonymised"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends, within which request, and for which release.

    application and level: of the release. study_group: 16 bytes that tie the releases of one original study together.
    study_uid: the study that the resource names, which every file must belong to. source: the record of the third party
    that the data is of. quarantined: how many objects of the study the receiver holds back. handover: of which what is
    sent was made anew.
    """

    principal: Principal
    request: str
    address: str = field(repr=False)
    application: str = IMAGES
    level: Level = Level.IDENTIFIED
    study_group: bytes | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)
    source: UUID | None = None
    quarantined: int | None = None
    handover: UUID | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """What was decided on a request: into which institution, what every file must be, where it goes, as what."""

    institution: UUID
    demands: Demands
    target: Callable[[str], ReleaseTarget] = field(repr=False)
    telling: Telling = _STORED


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """What became of one file: stored, now or before, where there is no error.

    discarded: elements that no data set may hold were left out of it.
    """

    uids: Uids = field(default=_UNNAMED, repr=False)
    error: WardlightError | None = None
    discarded: bool = False


class Ingest:
    """Opens store requests. One for the process."""

    def __init__(
        self,
        archive: Archive,
        access: Access,
        agreements: Agreements,
        admission: Admission | None = None,
        spool_folder: Path | None = None,
    ) -> None:
        #: For bulk data that waits for its metadata; the system's folder for temporary files where None.
        self.spool_folder: Final = spool_folder
        self._archive = archive
        self._access = access
        self._agreements = agreements
        self._admission = admission or Admission()

    def open(self, origin: Origin) -> StoreRequest:
        """Decide on the request before a byte of it is read.

        People store what is identified into Images, and on behalf of third parties what their record says; applications
        the same, and results into what was granted to them; what leaves a hospital for another release is protected by
        its receiver. Raises `forbidden`, `not-found`, `no-agreement`, `level-not-agreed` and the like, each audited
        where it is raised, and `rate-limited` or `unavailable` where too many requests are open. Whoever opens must
        finish or abort.
        """
        way = self._way(origin)
        return StoreRequest(self._archive, self._access, way, origin, self._admission.enter(origin.principal))

    def _way(self, origin: Origin) -> Way:
        if origin.principal.kind is PrincipalKind.APPLICATION:
            if origin.study_uid is not None and origin.source is None:
                return self._results(origin, origin.study_uid)
            return self._upload(origin, Operation.UPLOAD)
        if origin.source is not None:
            return self._upload(origin, Operation.STORE)
        principal = origin.principal
        institution = self._access.require_store(principal, request=origin.request, address=origin.address)
        if origin.handover is not None:
            return self._handed(origin, institution, origin.handover)
        direct = origin.application == IMAGES and origin.level is Level.IDENTIFIED
        if principal.kind is not PrincipalKind.RECEIVER and not direct:
            raise self._denied(origin, WardlightError("forbidden", reason="release"))
        try:
            self._agreements.require(institution, origin.application, origin.level)
        except WardlightError as error:
            raise self._denied(origin, error) from None
        return Way(
            institution,
            Demands(origin.level, origin.study_uid),
            self._into(institution, origin, ReleaseOrigin(producer=_producer(principal))),
            Telling(quarantined=origin.quarantined),
        )

    def _results(self, origin: Origin, study_uid: str) -> Way:
        """An application's results go into the release that it sees, under the grant by which it sees it."""
        scope = self._access.scope_for(
            origin.principal,
            Action.DICOMWEB_RESULT_STORE,
            operation=Operation.RESULTS,
            request=origin.request,
            address=origin.address,
        )
        try:
            place = self._archive.results.place(scope, study_uid)
        except WardlightError as error:
            raise self._denied(origin, error, Action.DICOMWEB_RESULT_STORE) from None
        demands = Demands(place.level, study_uid, place)
        return Way(scope.institution, demands, lambda _study: place.target, place.telling)

    def _handed(self, origin: Origin, institution: UUID, id_: UUID) -> Way:
        """What a receiver made anew of a result goes into the release of who is to have it, while that may."""
        try:
            place = self._archive.handovers.place(institution, id_, origin.principal.id)
            if (place.target.application, place.target.level) != (origin.application, origin.level):
                raise WardlightError("forbidden", reason="release")
        except WardlightError as error:
            raise self._denied(origin, error) from None
        demands = Demands(origin.level, place.study_uid)
        return Way(institution, demands, lambda _study: place.target, place.telling)

    def _upload(self, origin: Origin, operation: Operation) -> Way:
        """What is of a third party goes into Images, with the record of where it is from (R2.4)."""
        principal = origin.principal
        scope = self._access.scope_for(
            principal,
            Action.DICOMWEB_STUDY_STORE,
            operation=operation,
            request=origin.request,
            address=origin.address,
        )
        try:
            source = self._agreed_source(scope.institution, origin)
        except WardlightError as error:
            raise self._denied(origin, error) from None
        declared = _ANONYMISED if source.anonymised else None
        made = ReleaseOrigin(_producer(principal), source.id, declared)
        # What is anonymised already has no level of ours.
        level = Level.IDENTIFIED if source.anonymised else origin.level
        into = self._into(scope.institution, replace(origin, application=IMAGES, level=level), made)
        return Way(scope.institution, Demands(level, origin.study_uid), into, Telling(declared=declared))

    def _agreed_source(self, institution: UUID, origin: Origin) -> Source:
        """The record, if it and who sends are agreed on. Raises `bad-request`, `forbidden`, and what agreements do."""
        principal = origin.principal
        sender = principal.id if principal.kind is PrincipalKind.APPLICATION else IMAGES
        agreement = self._agreements.show(institution, sender)
        wanted = origin.source or agreement.source
        if wanted is None:
            raise WardlightError(
                "bad-request", "data of third parties needs the record of its source", "source"
            )
        if agreement.source not in (None, wanted):
            raise WardlightError("forbidden", reason="source")
        source = self._agreements.source(institution, wanted)
        if source is None:
            raise WardlightError("bad-request", "there is no record of this source", "source")
        for application in {sender, IMAGES}:
            # What is anonymised already has no level of ours to be agreed on.
            self._agreements.require(institution, application, None if source.anonymised else origin.level)
        return source

    def _into(self, institution: UUID, origin: Origin, made: ReleaseOrigin) -> Callable[[str], ReleaseTarget]:
        """Finds, or reserves, the release of a study."""

        def target(study_uid: str) -> ReleaseTarget:
            return self._archive.target(
                institution,
                origin.application,
                origin.level,
                study_uid,
                origin.study_group,
                by=actor_of(origin.principal),
                request=origin.request,
                origin=made,
            )

        return target

    def _denied(
        self, origin: Origin, error: WardlightError, action: Action = Action.DICOMWEB_STUDY_STORE
    ) -> WardlightError:
        """The error; where it is a refusal, written into the trail. All others are told by whoever answers."""
        if error.kind.http != 403:
            return error
        reason = error.reason or error.code
        self._access.deny(
            origin.principal, action, reason, request=origin.request, address=origin.address,
            status=error.kind.http,
        )  # fmt: skip
        return error


class StoreRequest:
    """One store request. Files come one after the other: begin, write…, end; then finish, or abort.

    Nothing is stored before `finish`, except by a request that holds more than 8 MiB of headers or 16 studies: its
    files are committed in slices, each of them durable although the request may break later. Sending all of it again
    is always right. Not thread-safe.
    """

    def __init__(self, archive: Archive, access: Access, way: Way, origin: Origin, lease: Lease) -> None:
        self._lease: Final = lease
        self._archive: Final = archive
        self._access: Final = access
        self._origin: Final = origin
        self._way: Final = way
        self._segments: dict[str, Segment] = {}
        self._studies: set[str] = set()
        self._outcomes: list[PartOutcome] = []
        self._part: IncomingPart | None = None
        self._held = 0
        self._open = 0
        self._aside = 0
        self._failure: WardlightError | None = None

    def begin(self, *, discarded: bool = False) -> None:
        """A file begins. discarded: as in `PartOutcome`."""
        self._part = IncomingPart(self._open_segment, self._hold, self._way.demands)
        self._outcomes.append(PartOutcome(discarded=discarded))

    def refuse(self, error: WardlightError, uids: Uids = _UNNAMED) -> None:
        """A file that is not taken; its bytes may follow and are dropped."""
        self._part = None
        self._outcomes.append(PartOutcome(uids, error))

    def set_aside(self, size: int) -> None:
        """So many bytes are held beside the files. Raises `unavailable` where no memory is left for them."""
        before, self._aside = self._aside, size
        if not self._lease.hold(self._held + size):
            self._aside = before
            raise WardlightError("unavailable", "too much metadata at once", "memory")

    def write(self, data: memoryview) -> None:
        """Bytes of the file. Those of a file that has failed are dropped."""
        if self._part is not None:
            try:
                self._part.write(data)
            except WardlightError as error:
                self._fail(error)

    def end(self) -> None:
        """The file is complete."""
        if self._part is None:
            return
        try:
            instance = self._part.finish()
        except WardlightError as error:
            self._fail(error)
            return
        segment = self._part.segment
        assert segment is not None
        segment.instances.append(instance)
        segment.places.append(len(self._outcomes) - 1)
        self._outcomes[-1] = PartOutcome(self._part.uids, discarded=self._outcomes[-1].discarded)
        self._held += self._part.held
        self._part = None
        self._open += 1
        many = self._open >= _OPEN_INSTANCES or len(self._segments) > _OPEN_SEGMENTS
        if many or self._held > _HELD_BYTES:
            self._commit()

    def finish(self) -> list[PartOutcome]:
        """Make everything durable and findable; an outcome for each file, in order.

        Raises the error that kept the archive from storing, no fault of the files, if not one of them was stored.
        """
        self._commit()
        self._lease.close()
        if self._failure is not None and all(outcome.error for outcome in self._outcomes):
            raise self._failure
        self._record_refused()
        return self._outcomes

    def abort(self) -> None:
        """Drop what is not committed: the request broke. Does nothing after `finish`."""
        self._part = None
        for segment in self._segments.values():
            segment.writer.abort()
        self._segments.clear()
        self._lease.close()

    def _record_refused(self) -> None:
        """What was not taken is in the trail, too; what is stored already with other content is told by its store."""
        codes = Counter(outcome.error.code for outcome in self._outcomes if outcome.error)
        del codes["instance-conflict"]
        origin = self._origin
        self._access.refuse(origin.principal, codes, request=origin.request, address=origin.address)

    def _hold(self, size: int) -> None:
        """The present file takes so many bytes. Raises `unavailable` where no memory is left for it."""
        if self._lease.hold(self._held + self._aside + size):
            return
        if self._part is not None and self._part.segment is None:
            self._commit()
        if not self._lease.hold(self._held + self._aside + size):
            raise WardlightError("unavailable", "too many large headers at once", "memory")

    def _open_segment(self, study_uid: str) -> Segment:
        segment = self._segments.get(study_uid)
        if segment is None:
            if len(self._studies) >= _STUDIES and study_uid not in self._studies:
                raise WardlightError("too-large", f"more than {_STUDIES} studies in one request", "studies")
            self._studies.add(study_uid)
            target = self._way.target(study_uid)
            segment = self._segments[study_uid] = Segment(target, self._archive.begin_segment(target))
        return segment

    def _fail(self, error: WardlightError) -> None:
        """This file is not stored. What is no fault of the file ends the request."""
        if error.kind.http >= 500:
            raise error
        assert self._part is not None
        log.info("ingest.refused", code=error.code, reason=error.reason, request=self._origin.request)
        # Not the error itself: its traceback holds the part and its bytes, which over 100,000 parts is memory.
        self._outcomes[-1] = PartOutcome(
            self._part.uids, WardlightError(error.code, error.detail, error.reason)
        )
        self._part = None
        self._lease.hold(self._held + self._aside)

    def _commit(self) -> None:
        while self._segments:
            segment = self._segments.pop(next(iter(self._segments)))
            if not segment.instances:
                segment.writer.abort()
                continue
            try:
                self._commit_segment(segment)
            except WardlightError as error:
                segment.writer.abort()
                if error.kind.http >= 500:
                    self._failure = error
                for place in segment.places:
                    self._set_error(place, error)
        self._held = self._open = 0
        self._lease.hold(self._aside)

    def _commit_segment(self, segment: Segment) -> None:
        outcomes = self._archive.commit(
            segment.target,
            segment.writer,
            segment.instances,
            actor=self._origin.principal,
            request=self._origin.request,
            address=self._origin.address,
            telling=self._way.telling,
        )
        for place, outcome in zip(segment.places, outcomes, strict=True):
            if outcome.outcome is Outcome.CONFLICT:
                self._set_error(place, WardlightError("instance-conflict"))

    def _set_error(self, place: int, error: WardlightError) -> None:
        self._outcomes[place] = PartOutcome(self._outcomes[place].uids, error)


def _producer(principal: Principal) -> str | None:
    """Who made a release, where that is no person."""
    return None if principal.kind is PrincipalKind.PERSON else f"{principal.kind.value}:{principal.id}"
