"""Taking in: findable when answered, idempotent, first content kept, one transaction."""

import json
import threading
import time
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, OperationalError

from archive_kit import REQUEST, dataset, incoming, part10
from wardlight.access.model import Role
from wardlight.archive import completion, store
from wardlight.archive.model import Level, Query
from wardlight.archive.tables import release
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR


def test_stored_comes_back_byte_identical(kit):
    files = [part10(dataset(InstanceNumber=str(n))) for n in (2, 1, 3)]
    assert kit.store(*files) == ["stored"] * 3
    places = kit.archive.instances(kit.retrieve, "1.2.3.4")
    read = [b"".join(kit.archive.read(kit.retrieve, place)) for place in places]
    assert read == [files[1], files[0], files[2]]
    assert [place.sop_uid for place in places] == [incoming(f, 0).sop_uid for f in read]
    assert b"".join(kit.archive.read(kit.retrieve, places[0], 128, 132)) == b"DICM"


def test_same_again_is_a_duplicate_and_leaves_no_object(kit):
    file = part10(dataset())
    assert kit.store(file) == ["stored"]
    before = list(kit.platform.objects.list())
    assert kit.store(file, file) == ["duplicate", "duplicate"]
    assert list(kit.platform.objects.list()) == before
    assert kit.sql("SELECT count(*) FROM archive_instance") == [(1,)]


def test_other_content_is_a_conflict_and_the_first_is_kept(kit):
    first = dataset()
    second = dataset(SOPInstanceUID=first.SOPInstanceUID, PatientName="Other")
    file = part10(first)
    assert kit.store(file) == ["stored"]
    assert kit.store(part10(second), part10(dataset())) == ["conflict", "stored"]
    place = kit.archive.instances(kit.retrieve, "1.2.3.4", "1.2.3.4.1", first.SOPInstanceUID)[0]
    assert b"".join(kit.archive.read(kit.retrieve, place)) == file
    assert kit.entries("dicomweb:study:store")[-1]["outcome"] == "partial"


def test_one_request_with_the_same_uid_twice(kit):
    first = dataset()
    other = dataset(SOPInstanceUID=first.SOPInstanceUID, StudyID="X")
    assert kit.store(part10(first), part10(first), part10(other)) == ["stored", "duplicate", "conflict"]
    assert kit.sql("SELECT instance_count, series_count FROM archive_release") == [(1, 1)]


def test_only_a_release_that_is_there_counts_as_reserved_by_another(kit):
    kit.store(dataset())
    with kit.platform.database.read(EVERYWHERE) as tx:
        values = dict(tx.execute(select(release)).mappings().one())
    values |= {"id": uuid4(), "key_id": uuid4()}
    with kit.platform.database.begin(EVERYWHERE) as tx:
        assert not store.reserve(tx, values)
        assert store.reserve(tx, values | {"application": "other"})
    with pytest.raises(IntegrityError), kit.platform.database.begin(EVERYWHERE) as tx:
        store.reserve(tx, values | {"id": uuid4(), "institution": uuid4()})
    with pytest.raises(IntegrityError), kit.platform.database.begin(EVERYWHERE) as tx:
        store.reserve(tx, values | {"id": uuid4(), "state": None, "application": "third"})


def test_concurrent_stores_of_the_same_files(kit):
    files = [part10(dataset(SeriesInstanceUID=f"1.2.3.4.{n % 3}")) for n in range(12)]
    results = []

    def run():
        results.append(kit.store(*files))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flat = [outcome for result in results for outcome in result]
    assert flat.count("stored") == 12 and flat.count("duplicate") == 36
    assert kit.sql("SELECT count(*) FROM archive_release") == [(1,)]
    assert kit.sql("SELECT sum(instance_count), count(*) FROM archive_series") == [(12, 3)]
    # The keys of lost reservations are gone, too.
    studies = [key for key in kit.platform.keystore.list_keys() if key.kind == 1]
    assert len(studies) == 1


def test_entry_event_and_rows_are_one_transaction(kit, monkeypatch):
    def fail(*_):
        raise OperationalError("x", {}, Exception("disk I/O error"))

    monkeypatch.setattr(kit.platform.recorder, "write", fail)
    with pytest.raises(WardlightError) as error:
        kit.store(dataset())
    assert error.value.code == "unavailable"
    assert kit.sql("SELECT count(*) FROM archive_instance") == [(0,)]
    assert kit.sql("SELECT count(*) FROM event_outbox WHERE kind LIKE 'study.%'") == [(0,)]
    assert list(kit.platform.objects.list()) == []


def test_a_commit_that_cannot_be_parsed_stores_nothing(kit):
    file = part10(dataset())
    target = kit.archive.target(kit.institution.id, "images", Level.HIGH, "1.2.3.4")
    writer = kit.archive.begin_segment(target)
    writer.write(file)
    good = incoming(file, 0)
    broken = type(good)(**{n: getattr(good, n) for n in good.__slots__} | {"header": good.header[:-3]})
    with pytest.raises(WardlightError) as error:
        kit.archive.commit(target, writer, [broken], actor=kit.principal, request=REQUEST)
    assert error.value.code == "bad-data-set"
    assert list(kit.platform.objects.list()) == []


def test_nobody_commits_into_another_institution(kit):
    other = kit.platform.identity.create_institution(
        "other",
        "Other",
        "eu",
        by=LOCAL_ADMINISTRATOR,
    )
    target = kit.archive.target(kit.institution.id, "images", Level.HIGH, "1.2.3.4")
    writer = kit.archive.begin_segment(target)
    file = part10(dataset())
    writer.write(file)
    actor = kit.person(Role.ADMINISTRATOR, other)
    with pytest.raises(WardlightError):
        kit.archive.commit(target, writer, [incoming(file, 0)], actor=actor, request=REQUEST)


def test_the_store_entry(kit):
    kit.store(dataset(), dataset())
    entry = kit.entries("dicomweb:study:store")[0]
    references = kit.platform.recorder.references(kit.institution.id)
    assert entry["subjects"] == [
        {"patient": references.patient("PAT-0042"), "study": references.study("1.2.3.4")}
    ]
    assert entry["counts"] == {"instances": 2}
    assert entry["classes"] == ["health", "image:identified"]
    assert entry["log"].endswith("/audit/stmary/1")


def test_study_groups_join_releases(kit):
    group = bytes(range(16))
    kit.store(dataset(), study_group=group)
    kit.store(dataset(StudyInstanceUID="1.9"), application="acme", level=Level.HIGH, study_group=group)
    assert kit.sql("SELECT DISTINCT study_group FROM archive_release") == [(group,)]
    with pytest.raises(WardlightError):
        kit.archive.target(kit.institution.id, "acme", Level.LOW, "1.5", b"short")


def test_people_get_images_release_where_two_answer(kit):
    kit.store(dataset(StudyDescription="for acme"), application="acme")
    kit.store(dataset(StudyDescription="ours"))
    assert kit.archive.instances(kit.retrieve, "1.2.3.4")[0].application == "images"
    found = kit.archive.search_studies(kit.query, Query()).rows
    assert [row["00081030"]["Value"] for row in found] == [["ours"]]
    found = kit.archive.search_studies(kit.query, Query(application="acme")).rows
    assert [row["00081030"]["Value"] for row in found] == [["for acme"]]


def test_late_instances_are_found_and_the_release_completes_again(kit):
    kit.store(dataset())
    assert kit.archive.complete(WORKER) == 1 and kit.archive.complete(WORKER) == 0
    kit.store(dataset(InstanceNumber="2"))
    members = kit.archive.metadata(kit.scope(Action.DICOMWEB_METADATA_READ), "1.2.3.4", base_url="")
    assert len(json.loads(b"[%s]" % b"".join(members))) == 2
    assert kit.archive.complete(WORKER) == 1
    kinds = [
        row[0] for row in kit.sql("SELECT kind FROM event_outbox WHERE kind LIKE 'study.%' ORDER BY seq")
    ]
    assert kinds == ["study.stored", "study.completed", "study.changed", "study.changed"]
    # One segment each, one metadata object: the first metadata object is deleted, or will be.
    assert len(list(kit.platform.objects.list())) == (3 if kit.platform.objects.readers_keep else 4)


def test_a_release_that_cannot_be_described_waits_and_the_others_complete(kit, monkeypatch):
    kit.store(dataset(StudyInstanceUID="1.1"))
    kit.store(dataset(StudyInstanceUID="1.2"))
    segment = UUID(bytes=kit.sql("SELECT id FROM archive_segment")[0][0])
    content = kit.stored(segment)
    kit.alter(segment, content[:-1])
    monkeypatch.setattr(completion, "BATCH", 1)
    assert sum(kit.archive.complete(WORKER) for _ in range(3)) == 1
    kit.alter(segment, content)
    assert kit.archive.complete(WORKER) == 0
    later = time.monotonic() + completion.RETRY_S + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert kit.archive.complete(WORKER) == 1


def test_an_object_that_cannot_be_deleted_does_not_fail_what_was_decided(kit, monkeypatch):
    kit.store(dataset())
    kit.archive.complete(WORKER)
    kit.store(dataset())

    def fail(_):
        raise WardlightError("unavailable")

    monkeypatch.setattr(kit.platform.objects, "delete", fail)
    assert kit.archive.complete(WORKER) == 1


def test_metadata_that_is_replaced_stays_for_those_who_read_it(kit, monkeypatch):
    kit.store(dataset())
    assert kit.archive.complete(WORKER) == 1
    key_id, object_id, size = kit.sql("SELECT key_id, metadata_object, metadata_size FROM archive_release")[0]
    key = kit.platform.keystore.get_key(kit.institution.id, UUID(bytes=key_id))
    objects, old = kit.platform.objects, UUID(bytes=object_id)
    with objects.open(old, key, size) as reader:
        kit.store(dataset())
        assert kit.archive.complete(WORKER) == 1
        assert b"1.2.3.4" in reader.read(0, reader.plaintext)
    later = time.monotonic() + completion.READERS_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert kit.archive.complete(WORKER) == 0
    assert old not in dict(objects.list())
    assert len(dict(objects.list())) == 3
