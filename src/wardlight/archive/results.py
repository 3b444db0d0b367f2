"""Results: where an application may put them, and how the receiver of the study gets them, each once (R6.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.archive import share_store, store
from wardlight.archive.attributes import Attributes, first_text
from wardlight.archive.content import stored_range
from wardlight.archive.copying import Copying, Whole
from wardlight.archive.finding import find_study
from wardlight.archive.intake import require_rights
from wardlight.archive.intake_parts import Telling, image_classes
from wardlight.archive.keyring import Tokens, release_key
from wardlight.archive.model import InstanceLocation, Level, ReleaseTarget
from wardlight.archive.places import locations
from wardlight.archive.share_store import ResultRow
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore

#: Results that one page of the queue shows.
PAGE: Final = 100
#: How often a result that did not arrive is handed out again.
ATTEMPTS: Final = 10
_PATIENT_ID: Final = 0x00100020


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Where results of one application on one study go. shown: how the release itself names patient and study."""

    target: ReleaseTarget
    level: Level
    patient_id: bytes = field(repr=False)
    shown: frozenset[bytes] = field(repr=False)
    telling: Telling


@dataclass(frozen=True, slots=True)
class Waiting:
    """A result in a receiver's queue, as the receiver is told of it."""

    row: ResultRow
    location: InstanceLocation
    whole: Whole


class Results:
    """Threads may share it."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        objects: ObjectStore,
        recorder: Recorder,
        copying: Copying,
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._recorder = recorder
        self._copying = copying

    def place(self, scope: Scope, study_uid: str) -> ResultPlace:
        """Where the application's results on the study that it sees go. Raises `not-found`, `forbidden`."""
        scope.require(Operation.RESULTS)
        token = Tokens(self._keystore, scope.institution).study(study_uid)
        with self._database.read(scope.institution) as tx:
            release, grant = find_study(tx, scope, token)
            if grant is None:
                raise WardlightError("not-found")
            require_rights(tx, scope.institution, grant.id)
        whole = self._copying.whole(scope.institution, release.id)
        key = release_key(self._keystore, release)
        attributes = key.unseal_study(release)
        return ResultPlace(
            ReleaseTarget(
                scope.institution,
                release.id,
                release.application,
                release.level,
                release.key_id,
                key.key,
                study_uid,
            ),
            release.level,
            first_text(attributes, _PATIENT_ID).encode(),
            frozenset(texts_of(attributes)),
            Telling(
                Action.DICOMWEB_RESULT_STORE,
                purpose=scope.purpose,
                agreement=(grant.agreement, grant.agreement_version),
                grant=grant.id,
                producer=scope.principal.id,
                receiver=whole.receiver,
                subjects=whole.subjects[1:],
            ),
        )

    def waiting(self, scope: Scope) -> list[Waiting]:
        """What waits for this receiver, oldest first."""
        scope.require(Operation.COLLECT)
        with self._database.read(scope.institution) as tx:
            rows = share_store.waiting_results(tx, scope.institution, scope.principal.id, PAGE)
        found = self._located(rows)
        with self._database.begin(scope.institution) as tx:
            self._recorder.write(tx, scope.institution, self._told(scope, found, {"results": len(found)}))
        return found

    def take(self, scope: Scope, id_: UUID) -> tuple[Waiting, Iterator[bytes]]:
        """Hand a result out, once. Raises `not-found`, and `conflict` where it was handed out and not put back."""
        found = self._one(scope, id_)
        location, key = found.location, self._key(found)
        with self._database.begin(scope.institution) as tx:
            row = self._locked(tx, scope, id_)
            if row.collected_ms is not None:
                raise WardlightError("conflict", "the result was handed out", "collected")
            share_store.update_result(tx, id_, collected_ms=clock.unix_ms(), attempts=row.attempts + 1)
            self._recorder.write(tx, scope.institution, self._told(scope, [found], {"instances": 1}))
        reader = self._objects.open(location.object_id, key, location.object_size)

        def pieces() -> Iterator[bytes]:
            with reader:
                yield from stored_range(reader, location, 0, location.length)

        return found, pieces()

    def acknowledge(self, scope: Scope, id_: UUID, *, received: bool) -> None:
        """The receiver has it, for good; or not, and then it waits again. Raises `not-found`, `conflict`."""
        found = self._one(scope, id_)
        with self._database.begin(scope.institution) as tx:
            row = self._locked(tx, scope, id_)
            if row.collected_ms is None:
                raise WardlightError("conflict", "the result was not handed out", "not-collected")
            if not received and row.attempts >= ATTEMPTS:
                raise WardlightError("conflict", "the result was handed out too often", "attempts")
            values: dict[str, Any] = (
                {"acknowledged_ms": clock.unix_ms()} if received else {"collected_ms": None}
            )
            share_store.update_result(tx, id_, **values)
            self._recorder.write(tx, scope.institution, self._told(scope, [found], {"results": 1}))

    def _one(self, scope: Scope, id_: UUID) -> Waiting:
        scope.require(Operation.COLLECT)
        with self._database.read(scope.institution) as tx:
            row = share_store.result_for(tx, scope.institution, scope.principal.id, id_)
        found = self._located([row]) if row else []
        if not found:
            raise WardlightError("not-found")
        return found[0]

    def _locked(self, tx: Connection, scope: Scope, id_: UUID) -> ResultRow:
        row = share_store.result_for(tx, scope.institution, scope.principal.id, id_, lock=True)
        if row is None:
            raise WardlightError("not-found")
        return row

    def _key(self, found: Waiting) -> bytes:
        return release_key(self._keystore, found.whole.release).key

    def _located(self, rows: list[ResultRow]) -> list[Waiting]:
        """Where results lie; those whose study is gone are left out."""
        wholes: dict[UUID, Whole | None] = {}
        found = []
        for row in rows:
            if row.release not in wholes:
                wholes[row.release] = self._whole(row)
            whole = wholes[row.release]
            if whole is None:
                continue
            with self._database.read(row.institution) as tx:
                token = share_store.instance_token(tx, row.instance)
                places = store.find_instances(tx, row.release, token=token) if token else []
            if places:
                key = release_key(self._keystore, whole.release)
                place = locations(whole.release, key, places, whole.study_uid, None)[0]
                found.append(Waiting(row, place, whole))
        return found

    def _whole(self, row: ResultRow) -> Whole | None:
        try:
            return self._copying.whole(row.institution, row.release)
        except WardlightError as error:
            if error.kind.http >= 500:
                raise
            return None

    def _told(self, scope: Scope, found: list[Waiting], counts: dict[str, int]) -> Event:
        references = self._recorder.references(scope.institution)
        subjects = {one.references(references): None for waiting in found for one in waiting.whole.subjects}
        classes = {name for waiting in found for name in image_classes(waiting.whole.release.level)}
        return Event(
            scope.action,
            actor_of(scope.principal),
            target=Target("result", id=found[0].row.id.hex) if len(found) == 1 else None,
            subjects=tuple(subjects),
            classes=tuple(sorted(classes)),
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            counts=counts,
        )


def texts_of(attributes: Attributes) -> Iterator[bytes]:
    """Every text of the model, at its top level."""
    for attribute in attributes.values():
        if not isinstance(attribute, dict):
            continue
        for value in attribute.get("Value", ()):
            texts = value.values() if isinstance(value, dict) else (value,)
            yield from (one.encode() for one in texts if isinstance(one, str))
