"""A deleted study: access ends at once, keys and objects go, the receipt says so, and it does not come back unasked."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from sqlalchemy import text

from archive_kit import CT, REQUEST, dataset
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive import receipts
from wardlight.archive.deletion import Asked, DeletionState
from wardlight.archive.fsck import Fsck
from wardlight.archive.model import MatchKey, Query
from wardlight.audit.model import Actor
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError

ADMINISTRATOR = Asked(Actor("person", "u-7f3a", "administrator"), REQUEST)
GROUP = bytes(range(16))
UID = "1.2.3.4"


def sent(kit, uid=UID, **more):
    return kit.store(
        dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.1"),
        dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.2"),
        **more,
    )


def begin(kit, uid=UID, asked=ADMINISTRATOR):
    return kit.platform.deletion.begin(kit.institution.id, uid, asked)


def work(kit):
    return kit.platform.deletion_work.work(WORKER)


def known(kit, row):
    return kit.platform.deletion.known(kit.institution.id, row.id)


def found(kit):
    query = Query(keys=(MatchKey((0x00100020,), "PAT-0042"),))
    return [row["0020000D"]["Value"][0] for row in kit.archive.search_studies(kit.query, query).rows]


def check(kit):
    platform = kit.platform
    return Fsck(platform.database, platform.keystore, platform.objects, platform.recorder).check(deep=True)


def refused(run):
    with pytest.raises(WardlightError) as error:
        run()
    return error.value.code


def test_access_ends_with_the_first_transaction(kit):
    sent(kit)
    sent(kit, "1.5")
    assert kit.archive.complete(WORKER) == 2
    places = kit.archive.instances(kit.retrieve, UID)
    row = begin(kit)
    assert row.state is DeletionState.ENDED
    assert found(kit) == ["1.5"]
    assert refused(lambda: kit.archive.instances(kit.retrieve, UID)) == "not-found"
    assert (
        refused(lambda: kit.archive.metadata(kit.scope("dicomweb:metadata:read"), UID, base_url=""))
        == "not-found"
    )
    assert places, "it was there"
    assert refused(lambda: sent(kit)) == "study-deleted"
    (entry,) = kit.entries("archive:study:delete")
    assert entry["counts"]["instances"] == 2 and entry["counts"]["bytes"] == known(kit, row).releases[0].bytes
    assert entry["detail"] == {"deletion": row.id.hex} and len(entry["subjects"]) == 1
    assert begin(kit).id == row.id, "deleting it again is the same deletion"
    assert refused(lambda: begin(kit, "1.9")) == "not-found"


@pytest.mark.parametrize("merged", [False, True])
def test_worker_removes_keys_objects_and_rows(kit, merged):
    sent(kit)
    sent(kit, "1.5")
    kit.archive.complete(WORKER)
    if merged:
        kit.archive._postings.merge(kit.institution.id)
    before = dict(kit.platform.objects.list())
    row = begin(kit)
    keys = [one.key_id for one in known(kit, row).releases]
    assert work(kit) == 3 and work(kit) == 0
    done = known(kit, row).row
    assert (
        done.state is DeletionState.REMOVED
        and done.removed_ms >= done.key_destroyed_ms >= done.access_ended_ms
    )
    assert len(dict(kit.platform.objects.list())) == len(before) - 2
    assert refused(lambda: kit.platform.keystore.get_key(kit.institution.id, keys[0])) == "key-destroyed"
    for table in ("archive_release", "archive_series", "archive_segment"):
        assert len(kit.sql(f"SELECT 1 FROM {table}")) == 1
    assert found(kit) == ["1.5"]
    report = check(kit)
    assert report.findings == []
    names = [name for name, _ in kit.platform.objects.tombstones()]
    assert names == [f"{row.id.hex}.ndjson"]
    (graveyard,) = kit.platform.tombstones.beside_objects()
    assert [one.key_id for one in graveyard.tombstones] == keys


def test_all_releases_of_the_group_go(kit):
    sent(kit, study_group=GROUP)
    sent(kit, "1.2.77", application="acme", level=Level.HIGH, study_group=GROUP)
    sent(kit, "1.5", study_group=bytes(16))
    row = begin(kit, "1.2.77")
    assert {one.application for one in known(kit, row).releases} == {IMAGES, "acme"}
    work(kit)
    assert found(kit) == ["1.5"]
    assert refused(lambda: sent(kit, "1.2.99", application="beta", level=Level.HIGH, study_group=GROUP)) == (
        "study-deleted"
    )


def test_it_comes_again_only_when_somebody_allows_it(kit):
    sent(kit)
    row = begin(kit)
    allow = lambda: kit.platform.deletion.allow(kit.institution.id, row.id, ADMINISTRATOR)  # noqa: E731
    assert refused(allow) == "conflict"
    work(kit)
    assert refused(lambda: sent(kit)) == "study-deleted"
    assert allow().allowed_ms and allow().allowed_ms
    assert sent(kit) == ["stored", "stored"]
    assert found(kit) == [UID]
    again = begin(kit)
    assert again.id != row.id
    work(kit)
    assert refused(lambda: sent(kit)) == "study-deleted"
    assert len(kit.entries("archive:study:unhold")) == 1


@pytest.mark.embedded
def test_clinicians_delete_what_they_alone_uploaded(kit):
    mine = Asked(Actor("person", "u-7f3a", "clinician"), REQUEST, own="u-7f3a")
    sent(kit)
    kit.store(dataset(StudyInstanceUID="1.5"))
    with kit.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE archive_release SET uploader = 'u-other' WHERE instance_count = 1"))
    assert refused(lambda: begin(kit, "1.5", mine)) == "forbidden"
    assert begin(kit, UID, mine).role == "clinician"
    kit.store(dataset(StudyInstanceUID="1.5", SOPInstanceUID="1.5.9"))
    assert kit.sql(
        "SELECT uploader FROM archive_release WHERE instance_count = 2 AND state = 'receiving'"
    ) == [(None,)]


def trust(kit):
    head = kit.platform.audit_log.logs(kit.institution.id)[-1]
    return head.origin, kit.platform.audit_log.vkeys(head)


@pytest.mark.embedded
def test_receipt_verifies_offline_and_names_nobody(kit):
    sent(kit)
    row = begin(kit)
    early = kit.platform.receipts.issue(known(kit, row))
    assert early["receipt"]["audit"] is None and early["receipt"]["key_destroyed_at"] is None
    work(kit)
    kit.platform.sealer.seal()
    kit.platform.deletion_work.roll(kit.institution.id, ADMINISTRATOR.by)
    receipt = kit.platform.receipts.issue(known(kit, row))
    origin, vkeys = trust(kit)
    content = json.dumps(receipt).encode()
    assert receipts.verify(content, origin, vkeys).verdict == "verified"
    assert receipts.verify(json.dumps(early).encode(), origin, vkeys).verdict == "verified"
    told = receipt["receipt"]
    assert told["access_ended_at"] <= told["key_destroyed_at"] <= told["backups_unreadable_since"]
    assert told["audit_position"]["index"] < told["audit_position"]["tree_size"]
    for name in (UID, "PAT-0042", "Anna", "ACC-77", CT):
        assert name not in content.decode()


@pytest.mark.embedded
def test_altered_receipts_are_found_out(kit):
    sent(kit)
    row = begin(kit)
    work(kit)
    kit.platform.sealer.seal()
    receipt = kit.platform.receipts.issue(known(kit, row))
    origin, vkeys = trust(kit)

    def verdict(**changes):
        document = json.loads(json.dumps(receipt))
        document["receipt"].update(changes)
        return receipts.verify(json.dumps(document).encode(), origin, vkeys).verdict

    assert verdict() == "verified"
    assert verdict(access_ended_at="2020-01-01T00:00:00.000Z") == "altered"
    assert verdict(backups_unreadable_since="2020-01-01T00:00:00.000Z") == "altered"
    assert verdict(log="elsewhere/audit/stmary/1") == "wrong-log"
    assert verdict(more=1) == "altered"
    for content in (
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"format":"wardlight-receipt/1","receipt":7,"signature":1}',
    ):
        assert receipts.verify(content, origin, vkeys).verdict == "altered"
    assert receipts.verify(json.dumps(receipt).encode(), origin, []).verdict == "wrong-log"


@pytest.mark.embedded
def test_a_proof_that_is_another_entrys_is_found_out(kit):
    """Signed by the log's key, yet of another deletion: who controls the key alone cannot make the log say it."""
    sent(kit)
    sent(kit, "1.5")
    one, other = begin(kit), begin(kit, "1.5")
    kit.platform.sealer.seal()
    issue = kit.platform.receipts.issue
    mine, theirs = issue(known(kit, one))["receipt"], issue(known(kit, other))["receipt"]
    forged = {**mine, "audit": theirs["audit"], "audit_position": theirs["audit_position"]}
    origin, vkeys = trust(kit)
    line = kit.platform.signer.attest(kit.institution.id, origin, receipts._signed(forged)).rstrip("\n")
    document = {"format": receipts.FORMAT, "receipt": forged, "signature": line}
    found = receipts.verify(json.dumps(document).encode(), origin, vkeys)
    assert found.verdict == "altered" and "not of this deletion" in found.why


@pytest.mark.embedded
def test_raw_bytes_after_deletion_and_roll(kit):
    """Row 11: what files still hold of wraps opens with nothing that is left."""
    sent(kit)
    sent(kit, "1.5")
    kit.archive.complete(WORKER)
    (wrapped,) = kit.platform.keystore._database.execute(
        "SELECT wrapped FROM key WHERE key_id = ?",
        (UUID(bytes=kit.sql("SELECT key_id FROM archive_release ORDER BY id LIMIT 1")[0][0]).bytes,),
    ).fetchone()
    own = f"{kit.institution.id.hex}.*.slot"
    slots = [file.read_bytes() for file in kit.platform.settings.keyslots[0].glob(own)]
    objects = {id_: kit.stored(id_) for id_ in dict(kit.platform.objects.list())}
    row = begin(kit)
    work(kit)
    kit.platform.deletion_work.roll(kit.institution.id, ADMINISTRATOR.by)
    left = set(dict(kit.platform.objects.list()))
    gone = [content for id_, content in objects.items() if id_ not in left]
    assert len(gone) == 2
    folder = kit.platform.settings.data_dir
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert wrapped not in content, path.name
        assert not any(slot in content for slot in slots), path.name
        assert not any(piece[104:168] in content for piece in gone), path.name
    assert known(kit, row).row.unreadable_ms


@pytest.mark.embedded
def test_postings_that_cannot_be_taken_out_are_made_anew(kit, monkeypatch):
    sent(kit)
    sent(kit, "1.5")
    kit.archive._postings.merge(kit.institution.id)

    def damaged(self, institution, release):
        raise WardlightError("object-damaged")

    monkeypatch.setattr("wardlight.archive.postings_merge.Postings.remove", damaged)
    row = begin(kit)
    work(kit)
    assert known(kit, row).row.state is DeletionState.REMOVED
    assert not known(kit, row).row.rebuild, "the new generation is begun"
    while kit.archive.index(WORKER):
        pass
    assert check(kit).findings == [] and found(kit) == ["1.5"]


@pytest.mark.embedded
def test_fsck_knows_deletions_and_finds_what_came_back(kit):
    sent(kit)
    sent(kit, "1.5")
    row = begin(kit)
    assert {code for code, _ in check(kit).findings} == {"deleting"} and check(kit).clean
    old = kit.platform.keystore._database.execute("SELECT * FROM key").fetchall()
    work(kit)
    assert check(kit).findings == []
    kit.platform.keystore._database.executemany("INSERT OR IGNORE INTO key VALUES (?, ?, ?, ?, ?, ?)", old)
    report = check(kit)
    key = known(kit, row).releases[0].key_id
    assert ("deleted-key", key) in report.findings and not report.clean
    platform = kit.platform
    checker = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
    checker.repair(report, ADMINISTRATOR.by)
    assert check(kit).findings == []


def test_nothing_is_deleted_removed_or_allowed_without_its_entry(kit, monkeypatch):
    sent(kit)
    kit.archive.complete(WORKER)
    platform = kit.platform

    def unwritable(*_):
        raise WardlightError("unavailable")

    def without_entries(run):
        with monkeypatch.context() as patch:
            patch.setattr(platform.recorder, "write", unwritable)
            return run()

    assert without_entries(lambda: refused(lambda: begin(kit))) == "unavailable"
    assert found(kit) == [UID]
    row = begin(kit)
    without_entries(lambda: work(kit))
    assert not kit.entries("archive:receipt:issue") and known(kit, row).row.state is not DeletionState.REMOVED
    without_entries(
        lambda: refused(lambda: platform.deletion.shown(kit.institution.id, row.id, ADMINISTRATOR.by))
    )
    work(kit)
    assert known(kit, row).row.state is DeletionState.REMOVED and check(kit).findings == []
    allow = lambda: platform.deletion.allow(kit.institution.id, row.id, ADMINISTRATOR)  # noqa: E731
    assert without_entries(lambda: refused(allow)) == "unavailable"
    assert refused(lambda: sent(kit)) == "study-deleted"
