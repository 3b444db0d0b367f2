"""Proves that index, segments and keys fit together: what is there, opens, and holds what the index says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.archive import (
    fsck_machine,
    fsck_postings,
    fsck_quarantine,
    fsck_rows,
    fsck_store,
    machine_store,
    quarantine_store,
    store,
)
from wardlight.archive.fsck_rows import Unsealed
from wardlight.archive.fsck_store import DeletedCheck, ReleaseChecks
from wardlight.archive.keyring import ReleaseKey, Tokens, release_key
from wardlight.archive.model import ReleaseState
from wardlight.archive.postings_merge import Postings
from wardlight.archive.store import ReleaseRow
from wardlight.archive.sweeping import AGE_MS, Sweeper, key_destroyed
from wardlight.audit import fsck as audit_fsck
from wardlight.audit.actions import Action
from wardlight.audit.fsck import AuditFsck
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.signer import Signer
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectReader, ObjectStore

#: What is wrong, and what it means for people.
ERRORS: Final = {
    "missing-object": "an object that the index names is not in the object store",
    "object-size": "an object does not have the size that the index says",
    "missing-key": "the key of a release, or of what is in quarantine, is not in the keystore",
    "wrong-key": "an object does not open with the key of its release",
    "damaged-object": "an object is damaged",
    "damaged-row": "sealed attributes of a row do not open, or belong to another row, application or level",
    "altered-row": "a clear column of a row does not follow from what is sealed or stored",
    "empty-segment": "a segment that the index names holds no instance",
    "wrong-metadata": "precomputed metadata is not that of the stored instances, or not where the index says",
    "wrong-place": "an instance lies outside its segment",
    "wrong-digest": "an instance is not what was taken in",
    "wrong-postings": "search postings of an institution are not those of its rows; --repair makes them anew",
    "deleted-key": "the key of a deleted study is in the keystore, which was put back; --repair destroys it again",
    "deleted-release": "a release whose deletion is over has rows in the index",
    "wrong-counts": "a release does not hold as many series, instances or bytes as it says",
    **audit_fsck.ERRORS,
}
#: What a crash may leave; nothing is lost by it.
NOTES: Final = {
    "orphan-object": "an object that no row names; --repair removes it",
    "unused-key": "a key that no release and nothing in quarantine names; --repair destroys it after a day",
    "deleting": "a study that is being deleted; the worker carries it on",
    "reserved": "a release without an instance; the worker removes it after a day",
    **audit_fsck.NOTES,
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
        self._recorder = recorder
        self._sweeper = Sweeper(database, keystore, objects, recorder)
        self._trail = AuditFsck(database, Signer(keystore))

    def check(self, *, deep: bool = False, progress: Callable[[], None] = lambda: None) -> Report:
        """Examine everything; deep: also decrypt every byte and compare digests. `progress` is called per release."""
        report = Report()
        present = dict(self._objects.list())
        with self._database.read(EVERYWHERE) as tx:
            releases = fsck_store.all_releases(tx)
            named = store.referenced_objects(tx)
            deletions = fsck_store.deletions(tx)
        for release in releases:
            self._release(report, release, deep)
            progress()
        self._deleted(report, releases, deletions)
        self._presence(report, present, named)
        held = fsck_quarantine.Check(self._database, self._keystore, self._objects).run(deep=deep)
        report.objects += held.objects
        report.bytes += held.bytes
        report.findings += held.findings
        machine = fsck_machine.Check(self._database, self._keystore, self._objects).run(deep=deep)
        report.objects += machine.objects
        report.bytes += machine.bytes
        report.findings += machine.findings
        self._keys(report, releases)
        if deep:
            self._postings(report, releases, {one.institution for one in deletions if one.unlisting})
        report.findings += self._trail.check()
        return report

    def repair(self, report: Report, actor: Actor) -> int:
        """Remove orphan objects, rebuild wrong postings, destroy keys of deleted studies, and unused ones after a day.

        Returns how many; each is in the trail. Call it no sooner than 30 s after `check`: an object may wait so long
        for the row that names it.
        """
        for code, id_ in report.findings:
            if code == "wrong-postings":
                repaired = Event(
                    Action.ARCHIVE_OBJECT_REPAIR,
                    actor,
                    target=Target("institution", id=str(id_)),
                    detail={"rebuilt": "postings"},
                )
                with self._database.begin(id_) as tx:
                    self._recorder.write(tx, id_, repaired)
                Postings(self._database, self._keystore).rebuild(id_)
                report.repaired += 1
        report.repaired += self._bury(report, actor)
        orphans = [id_ for code, id_ in report.findings if code == "orphan-object"]
        report.repaired += self._sweeper.remove_objects(orphans, actor)
        unused = {id_ for code, id_ in report.findings if code == "unused-key"}
        with self._database.read(EVERYWHERE) as tx:
            releases = fsck_store.all_releases(tx)
            held = quarantine_store.keys(tx) | machine_store.keys(tx)
        used = {release.key_id for release in releases} | held
        known = {release.institution for release in releases}
        for key in list(self._keystore.list_keys()):
            old = key.created_ms < clock.unix_ms() - AGE_MS
            if key.key_id in unused and key.key_id not in used and old:
                # The key may be of an institution that the index does not know.
                log_of = key.institution if key.institution in known else None
                with self._database.begin(log_of) as tx:
                    self._recorder.write(tx, log_of, key_destroyed(key.key_id, actor))
                self._keystore.destroy_key(key.institution, key.key_id)
                report.repaired += 1
        return report.repaired

    def _bury(self, report: Report, actor: Actor) -> int:
        """Destroy keys of deleted studies again that an old keystore has brought back."""
        back = {id_ for code, id_ in report.findings if code == "deleted-key"}
        found = [key for key in self._keystore.list_keys() if key.key_id in back]
        for key in found:
            event = Event(
                Action.ARCHIVE_KEY_DESTROY,
                actor,
                target=Target("key", id=str(key.key_id)),
                reason="study-deleted",
            )
            with self._database.begin(key.institution) as tx:
                self._recorder.write(tx, key.institution, event)
            self._keystore.destroy_key(key.institution, key.key_id)
        return len(found)

    def record(self, report: Report, actor: Actor, *, deep: bool, repair: bool) -> None:
        """Write into the operator's log that everything was looked at, before anything of it is shown."""
        counts = {
            "releases": report.releases,
            "instances": report.instances,
            "objects": report.objects,
            "bytes": report.bytes,
            "findings": len(report.findings),
            "repaired": report.repaired,
        }
        event = Event(
            Action.PLATFORM_CHECK_RUN,
            actor,
            outcome=Outcome.SUCCESS if report.clean else Outcome.FAILED,
            counts={name: count for name, count in counts.items() if count},
            detail={"deep": deep, "repair": repair},
        )
        with self._database.begin() as tx:
            self._recorder.write(tx, None, event)

    def _deleted(self, report: Report, releases: list[ReleaseRow], deletions: list[DeletedCheck]) -> None:
        """What was deleted has no key, and once its deletion is over no row."""
        present = {release.id for release in releases}
        keys = {key.key_id for key in self._keystore.list_keys()}
        for one in deletions:
            if one.shredded and one.key_id in keys:
                report.findings.append(("deleted-key", one.key_id))
            if one.removed and one.release in present:
                report.findings.append(("deleted-release", one.release))

    def _postings(self, report: Report, releases: list[ReleaseRow], but: Container[UUID]) -> None:
        """but: institutions of which a study is on its way out of the postings."""
        for institution in sorted({release.institution for release in releases}, key=lambda id_: id_.bytes):
            if institution in but:
                continue
            with self._database.read(institution) as tx:
                if not fsck_postings.agree(tx, self._keystore, institution):
                    report.findings.append(("wrong-postings", institution))

    def _release(self, report: Report, release: ReleaseRow, deep: bool) -> None:
        report.releases += 1
        if release.state is ReleaseState.DELETING:
            report.findings.append(("deleting", release.id))
            return
        try:
            key = release_key(self._keystore, release)
        except WardlightError:
            report.findings.append(("missing-key", release.id))
            return
        if not release.instance_count:
            report.findings.append(("reserved", release.id))
            return
        with self._database.read(EVERYWHERE) as tx:
            held = fsck_store.checks_of(tx, release.id)
        if held is None:
            return
        now = held.release
        *counts, wrong = held.counts
        if counts != [now.series_count, now.instance_count, now.bytes] or wrong:
            report.findings.append(("wrong-counts", release.id))
        report.instances += len(held.instances)
        unsealed = fsck_rows.unseal(key, held)
        tokens = Tokens(self._keystore, release.institution)
        misplaced = fsck_rows.misplaced(tokens, held, unsealed)
        report.findings += [("damaged-row", release.id)] * misplaced
        report.findings += [("altered-row", release.id)] * fsck_rows.altered(held, unsealed)
        for segment in held.segments.keys() | {one.row.segment for one in held.instances}:
            self._segment(report, held, key, segment, unsealed if deep else None)
        self._metadata(report, held, key, unsealed if deep else None)

    def _segment(
        self, report: Report, held: ReleaseChecks, key: ReleaseKey, segment: UUID, deep: Unsealed | None
    ) -> None:
        """The instances of one segment. deep: what was unsealed, where every byte is to be read."""
        instances = [one for one in held.instances if one.row.segment == segment]
        if not instances:
            report.findings.append(("empty-segment", segment))
        size = held.segments.get(segment, instances[0].row.segment_size if instances else 0)
        reader = self._object(report, held.release, key, segment, size, ObjectKind.SEGMENT, deep is not None)
        if reader is None:
            return
        tokens = Tokens(self._keystore, held.release.institution)
        with reader:
            for one in instances:
                row = one.row
                if (
                    row.offset < 0
                    or row.offset + row.length > reader.plaintext
                    or row.dataset_offset > row.length
                ):
                    report.findings.append(("wrong-place", segment))
                elif deep is not None:
                    sha256, follows = fsck_rows.reread(reader, one, deep.instances[row.id])
                    if tokens.digest(held.release.id, sha256) != one.digest:
                        report.findings.append(("wrong-digest", segment))
                    elif not follows:
                        report.findings.append(("altered-row", held.release.id))

    def _metadata(self, report: Report, held: ReleaseChecks, key: ReleaseKey, deep: Unsealed | None) -> None:
        release = held.release
        if release.metadata_object is None:
            if release.state is ReleaseState.COMPLETE:
                report.findings.append(("wrong-metadata", release.id))
            return
        reader = self._object(
            report,
            release,
            key,
            release.metadata_object,
            release.metadata_size,
            ObjectKind.METADATA,
            deep is not None,
        )
        if reader is None:
            return
        with reader:
            # Before it completes again, a release with late instances has the object of its former state.
            if release.state is not ReleaseState.COMPLETE:
                return
            wrong = fsck_rows.misdescribed(held, reader.plaintext)
            if deep is not None and deep.study is not None and not wrong:
                wrong = fsck_rows.wrong_metadata(self._objects, key, held, deep.study, reader)
            if wrong:
                report.findings.append(("wrong-metadata", release.id))

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
            with self._database.read(EVERYWHERE) as tx:
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
        return reader

    def _presence(self, report: Report, present: dict[UUID, int], named: Container[UUID]) -> None:
        for object_id in present:
            if object_id not in named:
                with self._database.read(EVERYWHERE) as tx:
                    if not store.is_referenced(tx, object_id):
                        report.findings.append(("orphan-object", object_id))

    def _keys(self, report: Report, releases: list[ReleaseRow]) -> None:
        with self._database.read(EVERYWHERE) as tx:
            used = (
                {release.key_id for release in releases} | quarantine_store.keys(tx) | machine_store.keys(tx)
            )
        for key in self._keystore.list_keys():
            if key.kind in (KeyKind.STUDY, KeyKind.QUARANTINE, KeyKind.MACHINE) and key.key_id not in used:
                report.findings.append(("unused-key", key.key_id))
