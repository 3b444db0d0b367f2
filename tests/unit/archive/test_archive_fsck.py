"""fsck finds each kind of damage, names what a crash leaves, and repairs it."""

from uuid import UUID

import pytest
from sqlalchemy import text

from archive_kit import dataset, part10
from wardlight import clock
from wardlight.agreements.model import Level
from wardlight.archive import sweeping
from wardlight.archive.fsck import ERRORS, NOTES, Fsck
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.wrap import KeyKind
from wardlight.objects.format import ObjectKind


@pytest.fixture
def checker(kit):
    platform = kit.platform
    kit.store(*(part10(dataset(SeriesInstanceUID=f"1.2.3.4.{n % 2}")) for n in range(4)))
    kit.store(dataset(StudyInstanceUID="1.5"))
    assert kit.archive.complete(WORKER) == 2
    return Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)


def change(kit, statement, **values):
    with kit.platform.database.begin(EVERYWHERE) as tx:
        assert tx.execute(text(kit.spelt(statement)), values).rowcount >= 1


def codes(report):
    return set(report.counts)


def an_object(kit, name="archive_segment"):
    column = "id" if name == "archive_segment" else "metadata_object"
    return UUID(bytes=kit.sql(f"SELECT {column} FROM {name} ORDER BY id LIMIT 1")[0][0])


def test_clean(checker):
    for deep in (False, True):
        report = checker.check(deep=deep)
        assert report.clean and report.findings == []
        assert (report.releases, report.instances, report.objects) == (2, 5, 4)


def test_missing_object(kit, checker):
    kit.alter(an_object(kit), None)
    assert codes(checker.check()) == {"missing-object"}
    kit.alter(an_object(kit, "archive_release"), None)
    report = checker.check()
    assert codes(report) == {"missing-object"} and len(report.findings) == 2 and not report.clean


def test_truncated_object(kit, checker):
    damaged = an_object(kit)
    kit.alter(damaged, kit.stored(damaged)[:-1])
    assert codes(checker.check()) == {"object-size"}


def test_flipped_byte_is_found_by_decrypting(kit, checker):
    damaged = an_object(kit)
    content = bytearray(kit.stored(damaged))
    content[200] ^= 1
    kit.alter(damaged, content)
    assert checker.check().clean
    assert codes(checker.check(deep=True)) == {"damaged-object"}
    content[200] ^= 1
    content[80] ^= 1
    kit.alter(damaged, content)
    assert codes(checker.check()) == {"wrong-key"}


def test_swapped_objects(kit, checker):
    one, other = (UUID(bytes=row[0]) for row in kit.sql("SELECT id FROM archive_segment"))
    content = kit.stored(one)
    kit.alter(one, kit.stored(other))
    kit.alter(other, content)
    report = checker.check()
    assert len(report.findings) == 2 and not report.clean


def test_missing_key(kit, checker):
    key = next(key for key in kit.platform.keystore.list_keys() if key.kind is KeyKind.STUDY)
    kit.platform.keystore.destroy_key(kit.institution.id, key.key_id)
    assert codes(checker.check()) == {"missing-key"}


@pytest.mark.parametrize("column", ["series_count", "instance_count", "bytes"])
def test_wrong_counts(kit, checker, column):
    change(kit, f"UPDATE archive_release SET {column} = {column} + 1")
    assert codes(checker.check()) == {"wrong-counts"}


def test_lost_instance_row(kit, checker):
    change(kit, "DELETE FROM archive_instance WHERE id = (SELECT id FROM archive_instance LIMIT 1)")
    # What is computed ahead still tells of it.
    assert codes(checker.check()) == {"wrong-counts", "wrong-metadata"}


@pytest.mark.parametrize("table", ["archive_release", "archive_series", "archive_instance"])
def test_sealed_blobs_swapped_between_rows(kit, checker, table):
    (one, blob_one), (other, blob_other) = kit.sql(f"SELECT id, sealed FROM {table} LIMIT 2")
    change(kit, f"UPDATE {table} SET sealed = :blob WHERE id = :id", blob=blob_other, id=one)
    change(kit, f"UPDATE {table} SET sealed = :blob WHERE id = :id", blob=blob_one, id=other)
    assert codes(checker.check()) == {"damaged-row"}


def test_wrong_place_and_digest(kit, checker):
    change(kit, "UPDATE archive_instance SET digest = zeroblob(16)")
    assert checker.check().clean
    assert codes(checker.check(deep=True)) == {"wrong-digest"}
    change(kit, 'UPDATE archive_instance SET "offset" = 1000000')
    assert codes(checker.check()) == {"wrong-place"}


def orphan(kit):
    """What a crash between the object's and the rows' commit leaves."""
    target = kit.archive.target(kit.institution.id, "images", Level.IDENTIFIED, "1.5")
    writer = kit.platform.objects.create(target.key, target.key_id, ObjectKind.SEGMENT)
    writer.write(b"x" * 1000)
    return writer.commit().object_id


def test_orphans_are_notes_and_repaired(kit, checker):
    lost = orphan(kit)
    kit.platform.keystore.create_key(kit.institution.id, KeyKind.STUDY)
    kit.archive.target(kit.institution.id, "images", Level.HIGH, "1.6")
    report = checker.check()
    assert report.clean
    assert report.counts == {"orphan-object": 1, "unused-key": 1, "reserved": 1}
    # The key is not a day old yet.
    assert checker.repair(report, LOCAL_ADMINISTRATOR) == 1
    assert lost not in dict(kit.platform.objects.list())
    entry = kit.entries("archive:object:repair")[0]
    assert entry["object"] == {"kind": "object", "id": str(lost)}
    assert entry["actor"]["kind"] == "operator" and entry["log"].endswith("/audit/operator/1")
    assert codes(checker.check()) == {"unused-key", "reserved"}


def test_old_unused_keys_are_destroyed(kit, checker, monkeypatch):
    kit.platform.keystore.create_key(kit.institution.id, KeyKind.STUDY)
    report = checker.check()
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now + sweeping.AGE_MS + 1000)
    assert checker.repair(report, LOCAL_ADMINISTRATOR) == 1
    assert checker.check().findings == []


def test_an_orphan_that_got_its_row_is_left_alone(kit, checker):
    lost = orphan(kit)
    report = checker.check()
    release = kit.sql("SELECT id FROM archive_release LIMIT 1")[0][0]
    with kit.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(
            text("INSERT INTO archive_segment VALUES (:id, :release, 1, 1)"),
            {"id": lost.bytes, "release": release},
        )
    assert checker.repair(report, LOCAL_ADMINISTRATOR) == 0
    assert lost in dict(kit.platform.objects.list())


def test_the_sweep_removes_after_a_day(kit, checker, monkeypatch):
    lost = orphan(kit)
    kit.archive.target(kit.institution.id, "images", Level.HIGH, "1.6")
    assert kit.archive.sweep(WORKER) == 0
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now + sweeping.AGE_MS - 60_000)
    assert kit.archive.sweep(WORKER) == 0
    monkeypatch.setattr(clock, "unix_ms", lambda: now + sweeping.AGE_MS + 60_000)
    assert kit.archive.sweep(WORKER) == 2
    assert lost not in dict(kit.platform.objects.list())
    assert checker.check().findings == []
    assert kit.sql("SELECT count(*) FROM archive_orphan") == [(0,)]


def test_every_code_is_explained(checker):
    assert not set(ERRORS) & set(NOTES)


# --- an index that somebody else has written to ---


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("release SET study_date = 20200101", "altered-row"),
        ("release SET modalities = ' CT MR '", "altered-row"),
        ("release SET preference = 9", "altered-row"),
        ("release SET level = 'high'", "damaged-row"),
        ("release SET application = 'acme'", "damaged-row"),
        ("release SET study_group = zeroblob(16)", "damaged-row"),
        ("release SET metadata_object = NULL", "wrong-metadata"),
        ("series SET modality = 'MR'", "altered-row"),
        ("series SET number = number + 1", "altered-row"),
        ("series SET metadata_offset = metadata_offset + 1", "wrong-metadata"),
        ("series SET metadata_length = metadata_length - 1", "wrong-metadata"),
        ("instance SET number = number + 1", "altered-row"),
        ("instance SET frames = 2", "altered-row"),
        ("instance SET sop_class = '1.2.840.10008.5.1.4.1.1.4'", "altered-row"),
        ("instance SET metadata_offset = metadata_offset + 1", "wrong-metadata"),
        ("instance SET metadata_length = metadata_length - 1", "wrong-metadata"),
        ('instance SET "offset" = -1', "wrong-place"),
    ],
)
def test_altered_columns(kit, checker, statement, code):
    change(kit, f"UPDATE archive_{statement}")
    for deep in (False, True):
        report = checker.check(deep=deep)
        assert code in codes(report) and not report.clean


@pytest.mark.parametrize(
    "column",
    [
        "transfer_syntax = '1.2.840.10008.1.2'",
        "frame_bits = frame_bits * 2",
        "pixel_offset = pixel_offset - 2",
        "pixel_length = pixel_length - 2",
        "pixel_tag = 0",
        "fragments = zeroblob(12)",
        "header_length = header_length - 8",
        "dataset_offset = dataset_offset + 1",
        "length = length - 2",
    ],
)
def test_altered_columns_that_the_files_show(kit, checker, column):
    change(kit, f"UPDATE archive_instance SET {column} WHERE id = (SELECT id FROM archive_instance LIMIT 1)")
    report = checker.check(deep=True)
    assert codes(report) & {"altered-row", "wrong-digest"} and not report.clean


def test_metadata_of_another_content(kit, checker):
    newest = "FROM archive_release ORDER BY instance_count DESC"
    release = kit.sql(f"SELECT metadata_object, id, key_id, metadata_size {newest}")[0]
    objects, keystore = kit.platform.objects, kit.platform.keystore
    key = keystore.get_key(kit.institution.id, UUID(bytes=release[2]))
    with objects.open(UUID(bytes=release[0]), key, release[3]) as reader:
        content = reader.read(0, reader.plaintext)
    writer = objects.create(key, UUID(bytes=release[2]), ObjectKind.METADATA)
    writer.write(content.replace(b"Thorax", b"Kidney", 1))
    stored = writer.commit()
    change(
        kit,
        "UPDATE archive_release SET metadata_object = :new, metadata_size = :size WHERE id = :id",
        new=stored.object_id.bytes,
        size=stored.size,
        id=release[1],
    )
    assert checker.check().clean
    assert codes(checker.check(deep=True)) - set(NOTES) == {"wrong-metadata"}


def test_segment_without_object_or_instance(kit, checker):
    release = kit.sql("SELECT id FROM archive_release LIMIT 1")[0][0]
    change(kit, "INSERT INTO archive_segment VALUES (:id, :release, 1, 1)", id=b"s" * 16, release=release)
    assert codes(checker.check()) == {"missing-object", "empty-segment"}


@pytest.mark.parametrize("column", ["level = 'high'", "application = 'acme'"])
def test_a_release_moved_under_another_agreement_does_not_open(kit, column):
    kit.store(dataset())
    change(kit, f"UPDATE archive_release SET {column}")
    with pytest.raises(WardlightError) as error:
        kit.archive.instances(kit.retrieve, "1.2.3.4")
    assert error.value.code == "object-damaged"
