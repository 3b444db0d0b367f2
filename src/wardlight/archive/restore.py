"""Puts a backup back, and nothing of it that was deleted since (security.md §2).

All of it happens on a working copy of the backup's index, which nobody serves. Only when it is whole, without what was
destroyed, and its tokens and postings are made anew, is it put where the platform looks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.grants import Grants
from wardlight.archive import backup_store, deletion_store, machine_store, quarantine_store
from wardlight.archive.attributes import SERIES_UID, SOP_UID, STUDY_UID, first_text
from wardlight.archive.backup import Manifest
from wardlight.archive.deletion_store import DeletedRelease, DeletionRow, DeletionState
from wardlight.archive.deletion_work import Places
from wardlight.archive.keyring import ReleaseKey, Tokens, release_key
from wardlight.archive.postings_merge import Postings
from wardlight.archive.store import ReleaseRow
from wardlight.archive.tombstones import NAME, Graveyard, Tombstones, newest
from wardlight.audit.actions import Action
from wardlight.audit.generations import Generations
from wardlight.audit.log_store import Head
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.signer import Signer
from wardlight.db.engine import EVERYWHERE
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Tombstone

_REASON: Final = "study-deleted"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What whoever restores takes upon himself.

    gap: tombstones may be missing, so a study that was deleted may be there again. lost: studies whose keys are in no
    keystore at hand are given up.
    """

    gap: bool = False
    lost: bool = False


@dataclass(slots=True)
class Restored:
    """What became of the backup. buried: keys destroyed again. deleted, lost: releases."""

    releases: int = 0
    buried: int = 0
    deleted: int = 0
    lost: list[UUID] = field(default_factory=list)
    gap: bool = False
    continued: list[str] = field(default_factory=list)


class Restore:
    """Works on a platform that is opened on the working copy, and that nobody serves."""

    def __init__(
        self,
        places: Places,
        tombstones: Tombstones,
        grants: Grants,
        signer: Signer,
        generations: Generations,
        logs: Sequence[Head],
    ) -> None:
        """logs: the newest generation of each audit log of the working copy."""
        self._database = places.database
        self._keystore = places.keystore
        self._objects = places.objects
        self._recorder = places.recorder
        self._tombstones = tombstones
        self._grants = grants
        self._signer = signer
        self._generations = generations
        self._logs = logs

    def run(
        self, manifest: Manifest, beside: Sequence[Path], by: Actor, accepted: Accepted, *, keystore: bool
    ) -> Restored:
        """Make the working copy whole. beside: folders in which files of tombstones may lie. keystore: it was put back,
        too; one that was never away knows all that was destroyed.

        Raises `key-destroyed` for a keystore of an epoch that is over, `conflict` with the reasons `gap` and `lost`.
        """
        self._require_epochs()
        graveyards = self._graveyards(beside)
        done = Restored()
        known_to = newest(graveyards) if keystore else clock.unix_ms()
        done.gap = known_to < manifest.created_ms
        if done.gap and not accepted.gap:
            raise WardlightError(
                "conflict", "the newest file of tombstones is older than the backup (--accept-gap)", "gap"
            )
        tombstones = self._union(graveyards)
        done.buried = self._keystore.bury(tombstones.values())
        releases, gone = self._releases(tombstones, done)
        if done.lost and not accepted.lost:
            names = ", ".join(str(one) for one in done.lost[:100])
            raise WardlightError(
                "conflict",
                f"the keystore is older than the index: {len(done.lost)} releases are lost (--accept-lost): {names}",
                "lost",
            )
        done.continued = self._continue_logs(by)
        self._drop_lost(done.lost)
        self._delete_again(gone, {one.key_id: one.destroyed_ms for one in tombstones.values()}, by)
        self._make_anew(releases)
        self._record(done, by, keystore=keystore)
        return done

    # ---- steps ----

    def _require_epochs(self) -> None:
        for institution in self._keystore.institutions():
            if not self._keystore.keyslots.is_whole(institution, self._keystore.epoch(institution)):
                raise WardlightError(
                    "key-destroyed",
                    "the keystore is of an epoch whose keyslot is gone: take a newer copy of it",
                )

    def _graveyards(self, beside: Sequence[Path]) -> list[Graveyard]:
        files = [folder / NAME for folder in beside]
        found = [self._tombstones.read(file.read_bytes()) for file in files if file.exists()]
        return found + self._tombstones.beside_objects()

    def _union(self, graveyards: Sequence[Graveyard]) -> dict[UUID, Tombstone]:
        """Everything that says which keys are destroyed: keystore, index, files."""
        with self._database.read(EVERYWHERE) as tx:
            of_index = [Tombstone(*row) for row in deletion_store.tombstones(tx)]
        of_files = [one for graveyard in graveyards for one in graveyard.tombstones]
        return {one.key_id: one for one in (*of_index, *of_files, *self._keystore.tombstones())}

    def _releases(
        self, tombstones: dict[UUID, Tombstone], done: Restored
    ) -> tuple[list[ReleaseRow], list[ReleaseRow]]:
        """Releases that can be read, and those that were deleted since; `done` is told of those that are lost."""
        with self._database.begin(EVERYWHERE, long=True) as tx:
            backup_store.drop_reservations(tx)
            rows = backup_store.live_releases(tx)
        keys = {key.key_id for key in self._keystore.list_keys()}
        with self._database.begin(EVERYWHERE) as tx:
            # What protection held back and was ended since; its objects are swept.
            quarantine_store.drop_without(tx, keys)
            machine_store.drop_without(tx, keys)
        gone = [row for row in rows if row.key_id in tombstones]
        done.deleted = len(gone)
        done.lost = [row.id for row in rows if row.key_id not in keys and row.key_id not in tombstones]
        lost = set(done.lost)
        found = [row for row in rows if row.key_id not in tombstones and row.id not in lost]
        done.releases = len(found)
        return found, gone

    def _continue_logs(self, by: Actor) -> list[str]:
        """A log whose signed head is beyond what the backup holds goes on in a generation of its own (audit.md §2)."""
        continued = []
        for head in self._logs:
            try:
                signed = self._signer.last(head.origin).size
            except WardlightError:
                continue
            if signed > head.size:
                continued.append(self._generations.go_on(head.institution, by=by, anyway=True).origin)
        return continued

    def _drop_lost(self, lost: Sequence[UUID]) -> None:
        """Remove the rows of what nobody can read: sent again, it is taken as new."""
        for release in lost:
            while self._database.run(partial(deletion_store.remove_instances, release), EVERYWHERE):
                pass
        if lost:
            self._database.run(lambda tx: deletion_store.remove_rest(tx, lost), EVERYWHERE)

    def _make_anew(self, releases: Sequence[ReleaseRow]) -> None:
        """Tokens of UIDs, metadata whose object was replaced while the backup was made, postings."""
        present = {object_id for object_id, _ in self._objects.list()}
        stale = [row.id for row in releases if row.metadata_object and row.metadata_object not in present]
        with self._database.begin(EVERYWHERE) as tx:
            if stale:
                backup_store.complete_again(tx, stale)
        for row in releases:
            key = release_key(self._keystore, row)
            tokens = Tokens(self._keystore, row.institution)
            with self._database.begin(row.institution, long=True) as tx:
                study = first_text(key.unseal_study(row), STUDY_UID)
                backup_store.set_tokens(tx, "archive_release", [(row.id, tokens.study(study))])
                _tokens_below(tx, row, key, tokens)
        for institution in sorted({row.institution for row in releases}, key=lambda one: one.bytes):
            Postings(self._database, self._keystore).rebuild(institution)

    def _delete_again(self, releases: Sequence[ReleaseRow], at: dict[UUID, int], by: Actor) -> None:
        """Deletions of which the backup did not know: the keys are destroyed, objects and rows are the worker's."""
        ordered = sorted(releases, key=lambda one: (one.institution.bytes, one.study_group))
        for (institution, _), group in groupby(ordered, key=lambda one: (one.institution, one.study_group)):
            with self._database.begin(institution) as tx:
                self._delete_group(tx, institution, list(group), at, by)

    def _delete_group(
        self, tx: Connection, institution: UUID, rows: Sequence[ReleaseRow], at: dict[UUID, int], by: Actor
    ) -> None:
        id_ = uuid7()
        ids = [row.id for row in rows]
        deletion_store.end(tx, institution, ids, [rows[0].study_group])
        quarantine_store.end_groups(tx, institution, [rows[0].study_group], _REASON)
        self._grants.end_releases(tx, ids, _REASON, by=by)
        event = Event(
            Action.ARCHIVE_STUDY_DELETE,
            by,
            target=Target("deletion", id=id_.hex),
            reason="restored",
            counts={"releases": len(rows), "instances": sum(row.instance_count for row in rows)},
            detail={"deletion": id_.hex},
        )
        row = DeletionRow(
            id=id_,
            institution=institution,
            state=DeletionState.SHREDDED,
            deleted_by=f"{by.kind}:{by.id}",
            role=by.role,
            entry=self._recorder.write(tx, institution, event),
            access_ended_ms=clock.unix_ms(),
            key_destroyed_ms=max(at[one.key_id] for one in rows),
            removed_ms=None,
            unreadable_ms=None,
            allowed_ms=None,
            rebuild=False,
        )
        deletion_store.add(tx, row, [_tombstone(tx, id_, one) for one in rows])

    def _record(self, done: Restored, by: Actor, *, keystore: bool) -> None:
        event = Event(
            Action.PLATFORM_BACKUP_RESTORE,
            by,
            counts={
                name: count
                for name, count in (
                    ("releases", done.releases),
                    ("deleted", done.deleted),
                    ("keys", done.buried),
                )
                if count
            },
            detail={"keystore": keystore, "gap": done.gap, "lost": len(done.lost)},
        )
        with self._database.begin() as tx:
            self._recorder.write(tx, None, event)


def _tokens_below(tx: Connection, row: ReleaseRow, key: ReleaseKey, tokens: Tokens) -> None:
    levels = (
        ("archive_series", RowLevel.SERIES, SERIES_UID, tokens.series),
        ("archive_instance", RowLevel.INSTANCE, SOP_UID, tokens.instance),
    )
    for table, level, tag, token in levels:
        for part in backup_store.sealed_below(tx, row.id, table):
            rows = [(id_, token(first_text(key.unseal(level, id_, sealed), tag))) for id_, sealed in part]
            backup_store.set_tokens(tx, table, rows)


def _tombstone(tx: Connection, id_: UUID, row: ReleaseRow) -> DeletedRelease:
    """What it was called cannot be opened any more: it is known again by its group."""
    return DeletedRelease(
        release=row.id,
        deletion=id_,
        institution=row.institution,
        application=row.application,
        level=row.level,
        key_id=row.key_id,
        study_group=row.study_group,
        study_ref="",
        instances=row.instance_count,
        bytes=row.bytes,
        objects=len(deletion_store.objects_of(tx, row.id)),
    )
