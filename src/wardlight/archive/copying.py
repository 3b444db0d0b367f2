"""Reads a whole release for the platform itself, which makes another release of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from wardlight.access.model import Operation, Scope, SystemScope
from wardlight.agreements.model import IMAGES
from wardlight.archive import share_store, store
from wardlight.archive.attributes import STUDY_UID, first_text
from wardlight.archive.content import stored_range
from wardlight.archive.finding import find_study
from wardlight.archive.keyring import ReleaseKey, Subject, Tokens, release_key
from wardlight.archive.model import InstanceLocation, ReleaseState
from wardlight.archive.places import locations, patient_of
from wardlight.archive.store import ReleaseRow
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectReader, ObjectStore

#: Segments of the source that are open at a time.
_OPEN: Final = 8


@dataclass(frozen=True, slots=True)
class Whole:
    """A release as it is copied.

    subjects: whose it is, by itself and by those that it was made of, nearest first. receiver: that brought it. source:
    the record of the third party that it is of.
    """

    release: ReleaseRow
    study_uid: str = field(repr=False)
    subjects: tuple[Subject, ...] = field(repr=False)
    receiver: str | None
    source: UUID | None


class SourceReader(AbstractContextManager["SourceReader"]):
    """Reads instances of one release one after the other. For one thread."""

    def __init__(self, objects: ObjectStore, key: ReleaseKey) -> None:
        self._objects = objects
        self._key = key
        self._open: dict[UUID, ObjectReader] = {}
        self._stack = ExitStack()

    def read(self, location: InstanceLocation, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) of the instance's Part 10 file. Raises `object-damaged`, `unavailable`."""
        reader = self._open.get(location.object_id)
        if reader is None:
            if len(self._open) >= _OPEN:
                self.__exit__(None, None, None)
            reader = self._objects.open(location.object_id, self._key.key, location.object_size)
            self._open[location.object_id] = self._stack.enter_context(reader)
        return stored_range(reader, location, start, end)

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._stack.close()


class Copying:
    """What the copier needs of the archive. Threads may share it."""

    def __init__(self, database: Database, keystore: Keystore, objects: ObjectStore) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects

    def shareable(self, scope: Scope, study_uid: str) -> Whole:
        """A study of Images that this person may share. Raises `not-found`, and `conflict` where it is another's."""
        scope.require(Operation.SHARE)
        token = Tokens(self._keystore, scope.institution).study(study_uid)
        with self._database.read(scope.institution) as tx:
            release, _ = find_study(tx, scope, token)
        if release.application != IMAGES:
            raise WardlightError("conflict", "only studies of Images are shared", "application")
        return self.whole(scope.institution, release.id)

    def whole(self, institution: UUID, release_id: UUID) -> Whole:
        """The release and whose it is. Raises `not-found`, `key-destroyed`, `object-damaged`."""
        with self._database.read(institution) as tx:
            row = store.release_by_id(tx, release_id)
            origin = share_store.origin(tx, release_id)
            receiver = share_store.receiver_of(tx, release_id)
        gone = row is None or row.institution != institution or row.state is ReleaseState.DELETING
        if gone or row is None or origin is None or row.sealed is None:
            raise WardlightError("not-found")
        key = release_key(self._keystore, row)
        study_uid = first_text(key.unseal_study(row), STUDY_UID)
        own = Subject.of(*patient_of(row, key), study_uid)
        return Whole(row, study_uid, (own, *key.unseal_origin(row.origin)), receiver, origin.source)

    def instances(self, scope: SystemScope, whole: Whole) -> list[InstanceLocation]:  # noqa: ARG002 - proof that the worker asks
        """Its instances but results, in the order of their ids, so that later ones come last."""
        row = whole.release
        with self._database.read(row.institution) as tx:
            rows = store.find_instances(tx, row.id)
            results = share_store.results_in(tx, row.id)
        wanted = sorted((one for one in rows if one.id not in results), key=lambda one: one.id)
        return locations(row, release_key(self._keystore, row), wanted, whole.study_uid, None)

    def reader(self, scope: SystemScope, whole: Whole) -> SourceReader:  # noqa: ARG002 - proof that the worker asks
        """Reads its instances; to be closed."""
        return SourceReader(self._objects, release_key(self._keystore, whole.release))
