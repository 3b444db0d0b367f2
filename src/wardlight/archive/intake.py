"""The store side: reserve a release, write a segment, make its instances findable in one transaction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store as access
from wardlight.access.model import Principal, PrincipalKind, Rights
from wardlight.archive import deletion_store, postings, postings_store, share_store, store
from wardlight.archive.attributes import (
    INSTANCE_TAGS,
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    SCHEMA,
    SERIES_TAGS,
    STUDY_TAGS,
    first_text,
    only,
    study_date,
)
from wardlight.archive.handover_rules import HandoverRules
from wardlight.archive.incoming import AttributeReader, preference
from wardlight.archive.intake_parts import (
    Batch,
    Fresh,
    Origin,
    SegmentWriter,
    Telling,
    image_classes,
    instance_row,
    release_number,
    series_row,
)
from wardlight.archive.keyring import ReleaseKey, Tokens
from wardlight.archive.model import (
    IncomingInstance,
    Level,
    Outcome,
    ReleaseState,
    ReleaseTarget,
    StoreOutcome,
)
from wardlight.archive.postings_merge import Postings
from wardlight.archive.sweeping import discard
from wardlight.audit import model as audit
from wardlight.audit.actions import Action
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.db.group import GroupCommit
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.events.outbox import EventKind, emit
from wardlight.identity.service import actor_of
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore, StoredObject

_LEVELS: Final = list(Level)
_OF_NEW_SERIES: Final = INSTANCE_TAGS | SERIES_TAGS
_PATIENT_TAGS: Final = frozenset({PATIENT_ID, ISSUER_OF_PATIENT_ID})


class Intake:
    """Takes instances into releases."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        merger: Postings,
    ) -> None:
        self._postings = merger
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder
        self._handovers = HandoverRules(database, recorder)
        self._group = GroupCommit(database)

    def target(
        self,
        institution: UUID,
        application: str,
        level: Level,
        study_uid: str,
        study_group: bytes | None,
        by: audit.Actor,
        request: str,
        origin: Origin,
    ) -> ReleaseTarget:
        """See `Archive.target`."""
        token = Tokens(self._keystore, institution).study(study_uid)
        with self._database.read(institution) as tx:
            found = store.find_target(tx, institution, application, level, token)
        if found is None:
            study = self._recorder.references(institution).study(study_uid)
            made = audit.Event(Action.ARCHIVE_KEY_CREATE, by, subjects=(("", study),), request=request)
            found = self._reserve(institution, application, level, study_uid, study_group, made, origin)
        release, key_id, source, state = found
        if state == ReleaseState.DELETING.value:
            raise WardlightError("study-deleted")
        if source != origin.source:
            # A third party adds nothing to what is the hospital's own, nor the other way about.
            raise WardlightError("conflict", "the study is there from another source", "source")
        key = self._keystore.get_key(institution, key_id)
        return ReleaseTarget(institution, release, application, level, key_id, key, study_uid)

    def existing(self, institution: UUID, release_id: UUID, study_uid: str) -> ReleaseTarget:
        """See `Archive.existing`."""
        with self._database.read(institution) as tx:
            row = store.release_by_id(tx, release_id)
        if row is None or row.institution != institution:
            raise WardlightError("not-found")
        key = self._keystore.get_key(institution, row.key_id)
        return ReleaseTarget(institution, row.id, row.application, row.level, row.key_id, key, study_uid)

    def _reserve(
        self,
        institution: UUID,
        application: str,
        level: Level,
        study_uid: str,
        study_group: bytes | None,
        made: audit.Event,
        origin: Origin,
    ) -> store.TargetRow:
        """Reserve the release row: its key is in the keystore, fsynced, before the row names it.

        made: what the trail is told of the key, but which one it is.
        """
        if study_group is not None and len(study_group) != 16:
            raise WardlightError("bad-request", "a study group is 16 bytes")
        refs = [one.study(study_uid) for one in self._recorder.all_references(institution)]
        with self._database.read(institution) as tx:
            deletion_store.refuse_deleted(tx, institution, refs, study_group)
        token = Tokens(self._keystore, institution).study(study_uid)
        key_id, key = self._keystore.create_key(institution, KeyKind.STUDY)
        now = clock.unix_ms()
        id_ = uuid7()
        values = {
            "id": id_,
            "institution": institution,
            "application": application,
            "level": level.value,
            "state": ReleaseState.RECEIVING.value,
            "key_id": key_id,
            "token": token,
            "study_group": study_group or os.urandom(16),
            "preference": preference(application, level),
            "sealed_schema": SCHEMA,
            "study_date": 0,
            "modalities": "",
            "series_count": 0,
            "instance_count": 0,
            "bytes": 0,
            "arrived_ms": now,
            "last_arrival_ms": now,
            "metadata_size": 0,
            "number": release_number(now),
            "producer": origin.producer,
            "source": origin.source,
            "identifiability": origin.identifiability,
            "derived_from": origin.derived_from,
            "origin": ReleaseKey(key, institution, id_).seal_origin(origin.subjects)
            if origin.subjects
            else None,
        }
        with self._database.begin(institution) as tx:
            deletion_store.fence(tx, institution, exclusive=False)
            deleted = deletion_store.deletion_of(tx, institution, refs, study_group)
            if deleted is None and store.reserve(tx, values):
                event = replace(made, target=audit.Target("key", id=str(key_id)))
                self._recorder.write(tx, institution, event)
                if origin.identifiability is not None and origin.source is not None:
                    # Whoever declares it so decides it, on the evidence in the record (R1.4).
                    declared = replace(
                        made,
                        action=Action.INGEST_CLASS_ANONYMISED,
                        target=audit.Target("source", id=origin.source.hex),
                    )
                    self._recorder.write(tx, institution, declared)
                return store.TargetRow(id_, key_id, origin.source)
        self._keystore.destroy_key(institution, key_id)
        with self._database.read(institution) as tx:
            deletion_store.refuse_deleted(tx, institution, refs, study_group)
            found = store.find_target(tx, institution, application, level, token)
        if found is None:
            raise WardlightError("unavailable", "the release was removed at the same moment")
        return found

    def begin_segment(self, target: ReleaseTarget) -> SegmentWriter:
        """See `Archive.begin_segment`."""
        return SegmentWriter(self._objects.create(target.key, target.key_id, ObjectKind.SEGMENT))

    def commit(
        self,
        target: ReleaseTarget,
        writer: SegmentWriter,
        instances: Sequence[IncomingInstance],
        *,
        actor: Principal,
        request: str,
        address: str,
        telling: Telling,
    ) -> list[StoreOutcome]:
        """See `Archive.commit`."""
        if actor.institution != target.institution or not instances:
            writer.abort()
            raise WardlightError("forbidden" if instances else "bad-request")
        try:
            batch = self._prepare(target, instances, telling)
        except BaseException:
            writer.abort()
            raise
        stored: StoredObject | None = None
        if batch.fresh:
            stored = writer.commit()
        else:
            writer.abort()
        decided = False

        def enter(tx: Connection) -> tuple[list[Outcome], int]:
            nonlocal decided
            decided = False  # It may be tried again.
            outcomes, added = self._add(tx, batch, stored)
            if added and (actor.kind is PrincipalKind.PERSON or not batch.study):
                person = actor.id if actor.kind is PrincipalKind.PERSON else None
                deletion_store.note_uploader(tx, target.release, person, added)
            self._record(tx, batch, outcomes, actor, request, address)
            decided = True
            return outcomes, added

        try:
            outcomes, added = self._group.run(target.institution, enter)
        except BaseException:
            # After `decided` the database may have the rows although it reported an error: then only fsck may judge.
            if stored and not decided:
                discard(self._objects, stored.object_id)
            raise
        if stored and not added:
            discard(self._objects, stored.object_id)
        if added and batch.study:
            self._postings.relieve(target.institution)
        return [
            StoreOutcome(incoming.sop_class, incoming.sop_uid, outcome)
            for incoming, outcome in zip(instances, outcomes, strict=True)
        ]

    def _prepare(
        self, target: ReleaseTarget, instances: Sequence[IncomingInstance], telling: Telling
    ) -> Batch:
        """Tokens, digests, and for what is new the sealed rows: all that needs no lock."""
        keyed = Tokens(self._keystore, target.institution)
        tokens = [keyed.instance(incoming.sop_uid) for incoming in instances]
        digests = [keyed.digest(target.release, incoming.sha256) for incoming in instances]
        series_tokens = [keyed.series(incoming.series_uid) for incoming in instances]
        with self._database.read(target.institution) as tx:
            known = store.digests_by_token(tx, target.release, tokens)
            known_series = store.series_by_token(tx, target.release, set(series_tokens))
            if telling.producer and share_store.has_others(tx, known_series.values(), telling.producer):
                raise WardlightError("conflict", "the series is not the sender's", "series")
        key = ReleaseKey(target.key, target.institution, target.release)
        batch = Batch(target, telling, tokens, digests, key, {}, known_series, {}, set(), {}, ("", ""))
        reader = AttributeReader()
        for index, incoming in enumerate(instances):
            token, series_token = tokens[index], series_tokens[index]
            fresh = token not in known and token not in batch.fresh
            if not fresh and index > 0:
                continue
            new_series = series_token not in known_series and series_token not in batch.series
            wanted = _OF_NEW_SERIES if new_series else INSTANCE_TAGS
            if index == 0:
                # A series that is there has instances, and so the study's attributes are there, too.
                wanted |= _PATIENT_TAGS if known_series else STUDY_TAGS
            found = reader.read(incoming, wanted)
            if index == 0:
                batch.study = {} if known_series else only(found, STUDY_TAGS)
                batch.patient = (first_text(found, PATIENT_ID), first_text(found, ISSUER_OF_PATIENT_ID))
            if not fresh:
                continue
            if new_series:
                batch.series[series_token] = series_row(target, series_token, found, key)
                if postings.series_tokens(found):
                    batch.requests.add(series_token)
            row = instance_row(target, incoming, token, digests[index], found, key)
            row["producer"] = telling.producer
            batch.fresh[token] = Fresh(incoming, token, series_token, row)
        return batch

    def _add(self, tx: Connection, batch: Batch, stored: StoredObject | None) -> tuple[list[Outcome], int]:
        """Insert what is still new under the release's lock; returns the outcomes and how many rows were added."""
        target = batch.target
        release = store.release_by_id(tx, target.release, lock=True)
        if release is None:
            raise WardlightError("conflict", "the release was removed at the same moment")
        if release.state is ReleaseState.DELETING:
            raise WardlightError("study-deleted")
        if batch.telling.grant is not None:
            require_rights(tx, target.institution, batch.telling.grant)
        if batch.telling.handover is not None:
            self._handovers.require(tx, target.institution, batch.telling.handover, target.release)
        known = store.digests_by_token(tx, target.release, set(batch.tokens))
        outcomes: list[Outcome] = []
        adding: list[Fresh] = []
        for token, digest in zip(batch.tokens, batch.digests, strict=True):
            if token in known:
                outcomes.append(Outcome.DUPLICATE if known[token] == digest else Outcome.CONFLICT)
                continue
            known[token] = digest
            if token not in batch.fresh:
                raise WardlightError("unavailable", "an instance was removed at the same moment")
            adding.append(batch.fresh[token])
            outcomes.append(Outcome.STORED)
        if batch.telling.handover is not None and Outcome.CONFLICT not in outcomes:
            self._handovers.done(tx, batch.telling.handover)
        if not adding:
            return outcomes, 0
        assert stored is not None
        now = clock.unix_ms()
        segment = {"id": stored.object_id, "release": target.release, "size": stored.size, "created_ms": now}
        store.add_segment(tx, segment)
        modalities = self._add_series(tx, batch, adding, stored)
        values = {
            "state": ReleaseState.RECEIVING.value,
            "last_arrival_ms": now,
            "instance_count": release.instance_count + len(adding),
            "bytes": release.bytes + sum(fresh.incoming.length for fresh in adding),
            "series_count": release.series_count + len(modalities),
        }
        merged = sorted({*release.modalities, *modalities} - {""})
        values["modalities"] = f" {' '.join(merged)} " if merged else ""
        if release.sealed is None:
            if not batch.study:
                raise WardlightError("unavailable", "the first instances were removed at the same moment")
            values["sealed"] = batch.key.seal_study(release, batch.study)
            values["study_date"] = study_date(batch.study)
            values["arrived_ms"] = now
        if batch.telling.quarantined is not None:
            values["quarantined"] = batch.telling.quarantined
        store.update_release(tx, target.release, values)
        self._queue(tx, batch, adding, now)
        self._handovers.decide(tx, release, batch.telling, [fresh.row["id"] for fresh in adding])
        if release.sealed is None or batch.requests:
            first = release.sealed is None
            postings_store.add_tail(tx, target.institution, target.release, series_only=not first)
        kind = EventKind.STUDY_CHANGED if release.metadata_object else EventKind.STUDY_STORED
        emit(tx, target.institution, kind, {"release": str(target.release), "instances": len(adding)})
        return outcomes, len(adding)

    def _queue(self, tx: Connection, batch: Batch, adding: list[Fresh], now: int) -> None:
        """Results go back to the receiver that brought the study."""
        telling = batch.telling
        if telling.receiver is None:
            return
        same = {
            "institution": batch.target.institution,
            "release": batch.target.release,
            "application": telling.producer,
            "access_grant": telling.grant,
            "receiver": telling.receiver,
            "created_ms": now,
            "attempts": 0,
        }
        rows = [{"id": uuid7(), "instance": fresh.row["id"], **same} for fresh in adding]
        share_store.queue_results(tx, rows)

    def _add_series(
        self, tx: Connection, batch: Batch, adding: list[Fresh], stored: StoredObject
    ) -> list[str]:
        """Insert series that are still new and the instances; returns the modality of each series added."""
        # Series are never removed but with their release, whose row is held now.
        ids = dict(batch.known_series)
        if asked := {fresh.series_token for fresh in adding} - ids.keys():
            ids |= store.series_by_token(tx, batch.target.release, asked)
        new: dict[bytes, dict[str, Any]] = {}
        counts: dict[UUID, int] = {}
        for fresh in adding:
            if fresh.series_token not in ids:
                row = batch.series.get(fresh.series_token)
                if row is None:
                    raise WardlightError("unavailable", "a series was removed at the same moment")
                new[fresh.series_token] = row
                ids[fresh.series_token] = row["id"]
            series = ids[fresh.series_token]
            fresh.row |= {"series": series, "segment": stored.object_id}
            counts[series] = counts.get(series, 0) + 1
        if new:
            store.add_series(tx, list(new.values()))
        store.add_instances(tx, [fresh.row for fresh in adding])
        store.grow_series(tx, counts)
        return [row["modality"] for row in new.values()]

    def _record(
        self,
        tx: Connection,
        batch: Batch,
        outcomes: list[Outcome],
        actor: Principal,
        request: str,
        address: str,
    ) -> None:
        target = batch.target
        references = self._recorder.references(target.institution)
        study = references.study(target.study_uid)
        conflicts = outcomes.count(Outcome.CONFLICT)
        counts = {
            "instances": outcomes.count(Outcome.STORED),
            "duplicates": outcomes.count(Outcome.DUPLICATE),
            "conflicts": conflicts,
        }
        telling = batch.telling
        event = audit.Event(
            telling.action,
            actor_of(actor),
            outcome=audit.Outcome.PARTIAL if conflicts else audit.Outcome.SUCCESS,
            target=audit.Target("study", ref=study),
            subjects=(
                (references.patient(*batch.patient), study),
                *(one.references(references) for one in telling.subjects),
            ),
            behalf=telling.behalf,
            purpose=telling.purpose,
            agreement=telling.agreement,
            grant=telling.grant.hex if telling.grant else "",
            classes=image_classes(target.level)
            if telling.declared is None
            else (f"image:{telling.declared}",),
            request=request,
            address=address,
            token=actor.token_ref,
            counts={name: count for name, count in counts.items() if count},
            detail={"level": target.level.value, "application": target.application},
        )
        self._recorder.write(tx, target.institution, event)


def require_rights(tx: Connection, institution: UUID, grant: UUID) -> None:
    """Raise `not-found` where the grant is over, `forbidden` where it does not allow results."""
    live = access.live_by_id(tx, institution, grant, clock.unix_ms())
    if live is None:
        raise WardlightError("not-found")
    if Rights.RESULTS not in live.rights:
        raise WardlightError("forbidden", reason="rights")
