"""Proves that index, segments and keys fit together: what is there, opens, and holds what the index says."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.archive import store
from wardlight.archive.attributes import SERIES_UID, SOP_UID, STUDY_UID, first_text
from wardlight.archive.content import PIECE
from wardlight.archive.keyring import ReleaseKey, Tokens, release_key
from wardlight.archive.store import InstanceRow, ReleaseRow
from wardlight.archive.sweeping import AGE_MS, Sweeper
from wardlight.audit.model import Actor
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectStore

#: What is wrong, and what it means for people.
ERRORS: Final = {
    "missing-object": "an object that the index names is not in the object store",
    "object-size": "an object does not have the size that the index says",
    "missing-key": "the key of a release is not in the keystore",
    "wrong-key": "an object does not open with the key of its release",
    "damaged-object": "an object is damaged",
    "damaged-row": "sealed attributes of a row do not open or belong to another row",
    "wrong-place": "an instance lies outside its segment",
    "wrong-digest": "an instance is not what was taken in",
    "wrong-counts": "a release does not hold as many series, instances or bytes as it says",
}
#: What a crash may leave; nothing is lost by it.
NOTES: Final = {
    "orphan-object": "an object that no row names; --repair removes it",
    "unused-key": "a study key that no release names; --repair destroys it after a day",
    "reserved": "a release without an instance; the worker removes it after a day",
}


@dataclass(slots=True)
class Report:
    """What was examined and found. findings: (code, id of the object, release or key), errors and notes alike."""

    releases: int = 0
    instances: int = 0
    objects: int = 0
    bytes: int = 0
    findings: list[tuple[str, UUID]] = field(default_factory=list)
    repaired: int = 0

    @property
    def counts(self) -> Counter[str]:
        """Findings by code."""
        return Counter(code for code, _ in self.findings)

    @property
    def clean(self) -> bool:
        """True without errors; notes do not count."""
        return not any(code in ERRORS for code, _ in self.findings)


class Fsck:
    """Checks a platform, running or not. What changes while it looks is looked at again before it is reported."""

    def __init__(
        self, database: Database, keystore: Keystore, objects: ObjectStore, recorder: Recorder
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects
        self._sweeper = Sweeper(database, keystore, objects, recorder)

    def check(self, *, deep: bool = False, progress: Callable[[], None] = lambda: None) -> Report:
        """Examine everything; deep: also decrypt every byte and compare digests. `progress` is called per release."""
        report = Report()
        present = dict(self._objects.list())
        with self._database.read() as tx:
            releases = store.all_releases(tx)
            named = store.referenced_objects(tx)
        for release in releases:
            self._release(report, release, deep)
            progress()
        self._presence(report, present, named)
        self._keys(report, releases)
        return report

    def repair(self, report: Report, actor: Actor) -> int:
        """Remove orphan objects and, after a day, unused keys; returns how many. Each object is in the trail.

        Call it no sooner than 30 s after `check`: an object may wait so long for the row that names it.
        """
        orphans = [id_ for code, id_ in report.findings if code == "orphan-object"]
        report.repaired = self._sweeper.remove_objects(orphans, actor)
        unused = {id_ for code, id_ in report.findings if code == "unused-key"}
        with self._database.read() as tx:
            used = {release.key_id for release in store.all_releases(tx)}
        for key in list(self._keystore.list_keys()):
            old = key.created_ms < clock.unix_ms() - AGE_MS
            if key.key_id in unused and key.key_id not in used and old:
                self._keystore.destroy_key(key.institution, key.key_id)
                report.repaired += 1
        return report.repaired

    def _release(self, report: Report, release: ReleaseRow, deep: bool) -> None:
        report.releases += 1
        try:
            key = release_key(self._keystore, release)
        except WardlightError:
            report.findings.append(("missing-key", release.id))
            return
        if not release.instance_count:
            report.findings.append(("reserved", release.id))
            return
        with self._database.read() as tx:
            # The counts and the rows they are about, of one moment.
            now = store.release_by_id(tx, release.id)
            if now is None:
                return
            series, instances, size, wrong = store.counts_of(tx, release.id)
            rows = list(store.instance_checks(tx, release.id))
        if (series, instances, size) != (now.series_count, now.instance_count, now.bytes) or wrong:
            report.findings.append(("wrong-counts", release.id))
        report.instances += len(rows)
        self._rows(report, now, key, rows)
        self._content(report, now, key, rows, deep)
        if now.metadata_object:
            self._object(report, now, key, now.metadata_object, now.metadata_size, ObjectKind.METADATA, deep)

    def _rows(
        self,
        report: Report,
        release: ReleaseRow,
        key: ReleaseKey,
        rows: list[tuple[InstanceRow, bytes, bytes]],
    ) -> None:
        """Every sealed blob opens in its row and holds the UID that the row's token stands for."""
        tokens = Tokens(self._keystore, release.institution)
        with self._database.read() as tx:
            study = store.find_target(
                tx,
                release.institution,
                release.application,
                release.level,
                tokens.study(_uid(key, RowLevel.STUDY, release.id, release.sealed or b"", STUDY_UID)),
            )
            series_ids = {
                row.series: store.find_series(
                    tx,
                    release.id,
                    tokens.series(_uid(key, RowLevel.SERIES, row.series, row.series_sealed, SERIES_UID)),
                )
                for row, _, _ in rows
            }
        if study is None or study[0] != release.id:
            report.findings.append(("damaged-row", release.id))
        for id_, found in series_ids.items():
            if found is None or found.id != id_:
                report.findings.append(("damaged-row", release.id))
        for row, token, _ in rows:
            if tokens.instance(_uid(key, RowLevel.INSTANCE, row.id, row.sealed, SOP_UID)) != token:
                report.findings.append(("damaged-row", release.id))

    def _content(
        self,
        report: Report,
        release: ReleaseRow,
        key: ReleaseKey,
        rows: list[tuple[InstanceRow, bytes, bytes]],
        deep: bool,
    ) -> None:
        tokens = Tokens(self._keystore, release.institution)
        by_segment: dict[UUID, list[tuple[InstanceRow, bytes]]] = {}
        for row, _, digest in rows:
            by_segment.setdefault(row.segment, []).append((row, digest))
        for segment, held in by_segment.items():
            size = held[0][0].segment_size
            reader = self._object(report, release, key, segment, size, ObjectKind.SEGMENT, deep)
            if reader is None:
                continue
            with reader:
                for row, digest in held:
                    if row.offset + row.length > reader.plaintext or row.dataset_offset > row.length:
                        report.findings.append(("wrong-place", segment))
                    elif deep and tokens.digest(release.id, _sha256(reader, row)) != digest:
                        report.findings.append(("wrong-digest", segment))

    def _object(
        self,
        report: Report,
        release: ReleaseRow,
        key: ReleaseKey,
        object_id: UUID,
        size: int,
        kind: ObjectKind,
        deep: bool,
    ) -> ObjectReader | None:
        """Open an object, and with `deep` verify each of its chunks; None when it was found wanting."""
        report.objects += 1
        report.bytes += size
        try:
            reader = self._objects.open(object_id, key.key, size)
        except WardlightError as error:
            code = {"missing": "missing-object", "size": "object-size"}.get(error.reason)
            code = code or ("wrong-key" if error.code == "wrong-key" else "damaged-object")
            with self._database.read() as tx:
                # A metadata object may have been replaced meanwhile.
                if store.is_referenced(tx, object_id):
                    report.findings.append((code, object_id))
            return None
        try:
            if reader.key_id != release.key_id or reader.kind is not kind:
                raise WardlightError("object-damaged")
            if deep:
                reader.verify()
        except WardlightError:
            report.findings.append(("damaged-object", object_id))
            reader.close()
            return None
        if kind is ObjectKind.METADATA:
            reader.close()
        return reader

    def _presence(self, report: Report, present: dict[UUID, int], named: Container[UUID]) -> None:
        for object_id in present:
            if object_id not in named:
                with self._database.read() as tx:
                    if not store.is_referenced(tx, object_id):
                        report.findings.append(("orphan-object", object_id))

    def _keys(self, report: Report, releases: list[ReleaseRow]) -> None:
        used = {release.key_id for release in releases}
        for key in self._keystore.list_keys():
            if key.kind is KeyKind.STUDY and key.key_id not in used:
                report.findings.append(("unused-key", key.key_id))


def _uid(key: ReleaseKey, level: RowLevel, row: UUID, sealed: bytes, tag: int) -> str:
    """The UID in a sealed blob; one that no token stands for where it does not open."""
    try:
        return first_text(key.unseal(level, row, sealed), tag)
    except WardlightError:
        return "damaged"


def _sha256(reader: ObjectReader, row: InstanceRow) -> bytes:
    digest = hashlib.sha256()
    for piece in reader.iter(row.offset + row.dataset_offset, row.offset + row.length, PIECE):
        digest.update(piece)
    return digest.digest()
