"""The only way to image objects: store, search, find, read, complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from wardlight.access.model import Principal, Scope, SystemScope
from wardlight.archive.model import (
    FrameTable,
    IncomingInstance,
    InstanceLocation,
    Level,
    Page,
    Query,
    ReleaseTarget,
    StoreOutcome,
)


class SegmentWriter:
    """Writes one segment: concatenated Part 10 files of one release. One writer, one life; not thread-safe."""

    def write(self, data: bytes | memoryview) -> None: ...
    def tell(self) -> int: ...  # plaintext bytes written so far = offset of the next file
    def abort(self) -> None: ...  # drop everything; idempotent, also after commit (then nothing happens)


class Archive:
    # ---- store side -------------------------------------------------------------------------------------------
    def target(
        self,
        institution: UUID,
        application: str,
        level: Level,
        study_uid: str,
        study_group: bytes | None = None,
    ) -> ReleaseTarget:
        """Find the release of this study or reserve it (its key is durable before this returns). Agreement is NOT checked here."""

    def begin_segment(self, target: ReleaseTarget) -> SegmentWriter: ...

    def commit(
        self,
        target: ReleaseTarget,
        writer: SegmentWriter,
        instances: Sequence[IncomingInstance],
        *,
        actor: Principal,
        request: str,
        address: str = "",
    ) -> list[StoreOutcome]:
        """Make durable and findable, in order of `instances`. One object fsync, one transaction (rows, audit entry, event).

        Raises WardlightError("unavailable"|"out-of-resources"|"bad-data-set"); then nothing of the request is stored.
        """

    # ---- read side: scope = access.scope_for(principal, Action.DICOMWEB_…, request=<32 hex>, address=<client>) ---
    # Every method checks the scope's operation, writes the audit entry (committed before it returns), counts in the
    # read session. Unseen and unknown: WardlightError("not-found").
    def search_studies(self, scope: Scope, query: Query) -> Page: ...
    def search_series(self, scope: Scope, query: Query) -> Page: ...  # /studies/{}/series and /series
    def search_instances(self, scope: Scope, query: Query) -> Page: ...  # all four instance resources

    # Errors: matching-key-not-supported, query-too-broad, not-found (resource path names a study/series not seen).

    def instances(
        self, scope: Scope, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[InstanceLocation]:
        """Places of instances, ordered by series then instance number. Never empty: not-found instead."""

    def read(
        self, scope: Scope, location: InstanceLocation, start: int = 0, end: int | None = None
    ) -> Iterator[bytes]:
        """Bytes [start, end) of the Part 10 file, in pieces of at most 256 KiB; counts bytes in the read session.
        WADO-RS instance = read(scope, location); bytes of a frame = read over FrameTable ranges; fails `object-damaged`, `key-destroyed`."""

    def frames(self, scope: Scope, location: InstanceLocation) -> FrameTable:
        """Where frames lie; for instances without pixel data an empty table. Frames from BOT / Extended Offset Table / fragments / Rows×Columns."""

    def header(self, scope: Scope, location: InstanceLocation) -> bytes:
        """Encoded data set before pixel data (inflated where deflated; then encoded explicit little endian)."""

    def metadata(
        self,
        scope: Scope,
        study_uid: str,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        *,
        base_url: str,
    ) -> Iterator[bytes]:
        """DICOM JSON of each instance as raw UTF-8 JSON. Each item is one OR MORE objects joined by commas: the edge
        writes b"[" + b",".join(items) + b"]". base_url: e.g. "https://host/dicom-web", put into BulkDataURI."""

    # ---- background --------------------------------------------------------------------------------------------
    def complete(self, scope: SystemScope) -> int: ...
    def sweep(self, scope: SystemScope) -> int: ...  # orphan objects older than 24 h, empty reservations


# wardlight.access
#   class Access: scope_for(principal, action: Action, *, request: str, address: str = "", purpose: str = "TREAT") -> Scope
#                   raises WardlightError("forbidden", reason=…) and writes access:decision:deny
#                 require_store(principal, action, *, request, address="") -> None      # may this principal store at all (person with role, or receiver)
# wardlight.agreements  Agreements.require(institution, application: str, level: Level) -> Agreement   raises no-agreement / level-not-agreed
# wardlight.identity    Identity.authenticate(token: str) -> Principal | None
# wardlight.audit       Action enum; Recorder; sessions.ReadSessions (sweep() every 5 s by a thread, close() at shutdown)
# Principal(kind: PrincipalKind, id: str, institution: UUID, role: Role | None, scopes: frozenset[str], token_ref: str)
