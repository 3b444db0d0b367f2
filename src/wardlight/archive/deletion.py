"""Deletion of a study, and of all releases of it: the end of access, and what stays of it (security.md §2, R6.5).

Access ends in one transaction of the index. What follows, the end of keys, objects and rows, is the worker's
(`deletion_work`), which can be interrupted anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.grants import Grants
from wardlight.access.model import Operation, Role, Scope
from wardlight.archive import deletion_store as store
from wardlight.archive import quarantine_store
from wardlight.archive.attributes import ISSUER_OF_PATIENT_ID, PATIENT_ID, STUDY_UID, first_text
from wardlight.archive.deletion_store import DeletedRelease, DeletionRow, DeletionState, Told
from wardlight.archive.keyring import Tokens, release_keys
from wardlight.archive.store import ReleaseRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import References
from wardlight.db.engine import Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, Kind, acknowledged, emit, tell
from wardlight.identity.service import actor_of
from wardlight.keys.keystore import Keystore

__all__ = ["Asked", "Deletion", "DeletionRow", "DeletionState", "Known"]

#: Deletions shown at once.
PAGE: Final = 100
#: How often the study is looked at again where a release of it comes into being at the same moment.
_TRIES: Final = 5
_REASON: Final = "study-deleted"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who deletes, and within which request. own: only what this person alone has uploaded."""

    by: Actor
    request: str = ""
    address: str = field(default="", repr=False)
    token: str = ""
    own: str | None = None

    @classmethod
    def of(cls, scope: Scope) -> Asked:
        """As a request has it: clinicians delete their own uploads (architecture.md, who may do what)."""
        principal = scope.principal
        own = principal.id if principal.role is Role.CLINICIAN else None
        return cls(actor_of(principal), scope.request, scope.address, principal.token_ref, own)


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a deletion."""

    row: DeletionRow
    releases: tuple[DeletedRelease, ...]
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class _Going:
    """A release that is to go, and whose it is as the trail names it."""

    row: ReleaseRow
    patient_ref: str
    study_ref: str


class Deletion:
    """Begins deletions and tells of them. Threads share it."""

    def __init__(self, database: Database, keystore: Keystore, recorder: Recorder, grants: Grants) -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder
        self._grants = grants

    def begin(self, institution: UUID, study_uid: str, asked: Asked) -> DeletionRow:
        """End all access to a study, in all of its releases, now; a study that is deleted already gives its deletion.

        Raises `not-found`; `forbidden` for what is not one's own; `unavailable`.
        """
        token = Tokens(self._keystore, institution).study(study_uid)
        references = self._recorder.all_references(institution)
        for _ in range(_TRIES):
            with self._database.read(institution) as tx:
                found = store.of_study(tx, institution, token)
                before = store.deletion_of(
                    tx, institution, [one.study(study_uid) for one in references], None
                )
                known = store.find(tx, institution, before) if before else None
            if asked.own is not None:
                _require_own(found, known, asked)
            if not found:
                if known is None:
                    raise WardlightError("not-found")
                return known
            going = self._going(references[0], study_uid, [row for row, _ in found])
            row = self._database.run(partial(self._end, institution, going, token, asked), institution)
            if row is not None:
                return row
        raise WardlightError("unavailable", "the study is being received at the same moment")

    def _end(
        self, institution: UUID, going: Sequence[_Going], token: bytes, asked: Asked, tx: Connection
    ) -> DeletionRow | None:
        """Step 1, within the transaction; None where the study has other releases by now."""
        store.fence(tx, institution, exclusive=True)
        ids = [one.row.id for one in going]
        if {row.id for row, _ in store.of_study(tx, institution, token)} != set(ids):
            return None
        groups = list({one.row.study_group for one in going})
        if asked.own is not None and quarantine_store.others(tx, institution, groups, asked.own):
            raise WardlightError("forbidden", reason="role")
        if store.end(tx, institution, ids, groups) != len(ids):
            return None
        quarantine_store.end_groups(tx, institution, groups, _REASON)
        now = clock.unix_ms()
        id_ = uuid7()
        self._grants.end_releases(tx, ids, _REASON, by=asked.by, request=asked.request)
        applications = store.grantees(tx, institution, groups)
        entry = self._recorder.write(tx, institution, _told(id_, going, len(applications), asked))
        row = DeletionRow(
            id=id_,
            institution=institution,
            state=DeletionState.ENDED,
            deleted_by=f"{asked.by.kind}:{asked.by.id}",
            role=asked.by.role,
            entry=entry,
            access_ended_ms=now,
            key_destroyed_ms=None,
            removed_ms=None,
            unreadable_ms=None,
            allowed_ms=None,
            rebuild=False,
        )
        store.add(tx, row, [_tombstone(tx, id_, one) for one in going])
        gone = {"deletion": id_.hex, "releases": " ".join(one.hex for one in ids)}
        emit(tx, institution, EventKind.STUDY_DELETED, gone)
        for application, grant, release in applications:
            data = {"deletion": id_.hex}
            event = tell(
                tx, application, institution, Kind.STUDY_DELETED, grant=grant, study=release, data=data
            )
            store.add_told(tx, row, application, event)
        return row

    def find(self, scope: Scope, id_: UUID) -> Known:
        """A deletion of the institution; of a clinician only those that he began. Raises `not-found`."""
        scope.require(Operation.DELETE)
        with self._database.begin(scope.institution) as tx:
            row = store.find(tx, scope.institution, id_)
            if row is None or not _may_see(scope, row):
                raise WardlightError("not-found")
            self._shown(tx, scope, Target("deletion", id=id_.hex), 1)
            return self._known(tx, scope.institution, [row])[0]

    def listed(self, scope: Scope, after: UUID | None = None, limit: int = PAGE) -> list[Known]:
        """Deletions of the institution, newest first; of a clinician only those that he began."""
        scope.require(Operation.DELETE)
        by = Asked.of(scope)
        mine = f"{by.by.kind}:{by.by.id}" if by.own is not None else ""
        with self._database.begin(scope.institution) as tx:
            rows = store.listed(tx, scope.institution, after, limit, mine)
            self._shown(tx, scope, None, len(rows))
            return self._known(tx, scope.institution, rows)

    def shown(self, institution: UUID, id_: UUID, by: Actor) -> Known:
        """The same for whoever may run commands on the platform's machine, in the trail. Raises `not-found`."""
        known = self.known(institution, id_)
        event = Event(Action.ARCHIVE_RECEIPT_ISSUE, by, target=Target("deletion", id=id_.hex))
        with self._database.begin(institution) as tx:
            self._recorder.write(tx, institution, event)
        return known

    def known(self, institution: UUID, id_: UUID) -> Known:
        """The same for the platform itself. Raises `not-found`."""
        with self._database.read(institution) as tx:
            row = store.find(tx, institution, id_)
            if row is None:
                raise WardlightError("not-found", "there is no such deletion")
            return self._known(tx, institution, [row])[0]

    def all_known(self, institution: UUID, limit: int = PAGE) -> list[Known]:
        """The newest deletions of an institution."""
        with self._database.read(institution) as tx:
            return self._known(tx, institution, store.listed(tx, institution, None, limit))

    def allow(self, institution: UUID, id_: UUID, asked: Asked) -> DeletionRow:
        """Let the study come again. Raises `not-found`; `conflict` while it is not wholly removed."""
        with self._database.begin(institution) as tx:
            row = store.find(tx, institution, id_)
            if row is None:
                raise WardlightError("not-found", "there is no such deletion")
            if row.allowed_ms is not None:
                return row
            if row.state is not DeletionState.REMOVED:
                raise WardlightError("conflict", "the deletion is still under way", "deleting")
            now = clock.unix_ms()
            store.change(tx, id_, allowed_ms=now)
            refs = [one.study_ref for one in store.releases_in(tx, [id_])]
            event = Event(
                Action.ARCHIVE_STUDY_UNHOLD,
                asked.by,
                target=Target("deletion", id=id_.hex),
                subjects=tuple(("", ref) for ref in refs if ref),
                request=asked.request,
                address=asked.address,
                token=asked.token,
            )
            self._recorder.write(tx, institution, event)
        return replace(row, allowed_ms=now)

    def acknowledge(self, scope: Scope, id_: UUID) -> None:
        """The application says that it has deleted its copies; a second time is no error. Raises `not-found`."""
        scope.require(Operation.FEED)
        with self._database.begin(scope.institution) as tx:
            said = store.acknowledge(tx, scope.institution, id_, scope.principal.id, clock.unix_ms())
            if said is None:
                raise WardlightError("not-found")
            event = Event(
                Action.ARCHIVE_RECEIPT_ACKNOWLEDGE,
                actor_of(scope.principal),
                target=Target("deletion", id=id_.hex),
                request=scope.request,
                address=scope.address,
                token=scope.principal.token_ref,
                counts={} if said else {"duplicates": 1},
            )
            self._recorder.write(tx, scope.institution, event)

    def _shown(self, tx: Connection, scope: Scope, target: Target | None, results: int) -> None:
        event = Event(
            Action.ARCHIVE_RECEIPT_ISSUE,
            actor_of(scope.principal),
            target=target,
            request=scope.request,
            address=scope.address,
            token=scope.principal.token_ref,
            counts={"results": results},
        )
        self._recorder.write(tx, scope.institution, event)

    def _known(self, tx: Connection, institution: UUID, rows: Sequence[DeletionRow]) -> list[Known]:
        ids = [row.id for row in rows]
        releases = store.releases_in(tx, ids)
        told = store.told_of(tx, ids)
        events = [one.event for some in told.values() for one in some if one.acknowledged_ms is None]
        # Whoever acknowledges the event in its feed has said it, too.
        of_feed = acknowledged(tx, institution, events) if events else {}
        return [
            Known(
                row,
                tuple(one for one in releases if one.deletion == row.id),
                tuple(
                    replace(one, acknowledged_ms=one.acknowledged_ms or of_feed.get(one.event))
                    for one in told.get(row.id, [])
                ),
            )
            for row in rows
        ]

    def _going(self, references: References, study_uid: str, rows: Sequence[ReleaseRow]) -> list[_Going]:
        """Whose the releases are. What does not open any more is deleted as well, and only its group is remembered."""
        keys = release_keys(self._keystore, rows)
        found = []
        for row in rows:
            patient = study = ""
            key = keys[row.id]
            try:
                attributes = key.unseal_study(row) if key is not None else {}
            except WardlightError:
                attributes = {}
            if attributes:
                patient = references.patient(
                    first_text(attributes, PATIENT_ID), first_text(attributes, ISSUER_OF_PATIENT_ID)
                )
                study = references.study(first_text(attributes, STUDY_UID))
            found.append(_Going(row, patient, study))
        if all(not one.study_ref for one in found):
            # The one that was asked for is among them, and its name is known from there.
            found[0] = replace(found[0], study_ref=references.study(study_uid))
        return found


def _require_own(
    found: Sequence[tuple[ReleaseRow, str | None]], known: DeletionRow | None, asked: Asked
) -> None:
    """Raise unless all of the study was uploaded by this person, or is deleted by them already."""
    mine = f"{asked.by.kind}:{asked.by.id}"
    if any(uploader != asked.own for _, uploader in found):
        raise WardlightError("forbidden", reason="role")
    if not found and known is not None and known.deleted_by != mine:
        raise WardlightError("not-found")


def _may_see(scope: Scope, row: DeletionRow) -> bool:
    asked = Asked.of(scope)
    return asked.own is None or row.deleted_by == f"{asked.by.kind}:{asked.by.id}"


def _tombstone(tx: Connection, id_: UUID, one: _Going) -> DeletedRelease:
    row = one.row
    return DeletedRelease(
        release=row.id,
        deletion=id_,
        institution=row.institution,
        application=row.application,
        level=row.level,
        key_id=row.key_id,
        study_group=row.study_group,
        study_ref=one.study_ref,
        instances=row.instance_count,
        bytes=row.bytes,
        objects=len(store.objects_of(tx, row.id)),
    )


def _told(id_: UUID, going: Sequence[_Going], applications: int, asked: Asked) -> Event:
    refs = [one.study_ref for one in going if one.study_ref]
    return Event(
        Action.ARCHIVE_STUDY_DELETE,
        asked.by,
        target=Target("study", ref=refs[0]),
        subjects=tuple(dict.fromkeys((one.patient_ref, one.study_ref) for one in going if one.study_ref)),
        request=asked.request,
        address=asked.address,
        token=asked.token,
        counts={
            "releases": len(going),
            "instances": sum(one.row.instance_count for one in going),
            "bytes": sum(one.row.bytes for one in going),
            "applications": applications,
        },
        detail={"deletion": id_.hex},
    )
