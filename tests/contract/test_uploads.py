"""Uploads and their quarantine on PostgreSQL and a bucket: the same offsets, the same results, the same ends."""

from __future__ import annotations

import threading

import pytest

import platform_kit
from archive_kit import dataset, part10
from canary import Canaries
from share_kit import CANARIES
from upload_kit import VERSION, create, image, patch, sent, work
from wardlight.access.model import Role, TokenScope
from wardlight.archive.fsck import Fsck
from wardlight.bootstrap import WORKER
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.keys.wrap import KeyKind
from web_kit import a_web

HELD = "/api/v1/quarantine"
SCOPES = (TokenScope.MANAGE, TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.STEP_UP)


@pytest.fixture(scope="module", autouse=True)
def stores():
    """In the place of the fixture by which other folders run on both."""
    platform_kit.chosen = platform_kit.STORES[1]
    yield
    platform_kit.chosen = platform_kit.STORES[0]


@pytest.fixture(scope="module")
def web(stores):
    with a_web() as made:
        identity = made.kit.platform.identity
        person = identity.create_person(
            made.kit.institution.id, "q@x.example", "Q", Role.ADMINISTRATOR, by=BY
        )
        token = identity.issue_person_token(person, by=BY, scopes=SCOPES)
        made.client.headers["Authorization"] = f"Bearer {token}"
        yield made


def objects(web):
    return {id_ for id_, _ in web.kit.platform.objects.list()}


def keys(web):
    return {key.key_id for key in web.kit.platform.keystore.list_keys() if key.kind is KeyKind.QUARANTINE}


def document(number):
    """What cannot be cleaned, and so stays."""
    study = f"1.2.826.0.1.57.{number}"
    ds = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1", EncapsulatedDocument=b"%PDF-1.4 Quill ",
        MIMETypeOfEncapsulatedDocument="application/pdf",
    )  # fmt: skip
    return part10(ds)


def test_pieces_are_put_together_and_their_objects_go(web):
    there = objects(web)
    results = sent(web, [image(1), document(1), b"nothing of the kind" * 40])
    assert (
        results[0] == "stored" and results[1].startswith("quarantined:") and results[2] == "refused:not-dicom"
    )
    assert not web.kit.sql("SELECT 1 FROM archive_upload_part")
    # The segment, and what is held back; both encrypted in the bucket.
    assert len(objects(web) - there) == 2
    canaries = Canaries(tuple(CANARIES.values()))
    for fresh in objects(web) - there:
        stored = web.kit.stored(fresh)
        assert not canaries.find(stored) and b"DICM" not in stored
    assert sent(web, [image(1)]) == ["duplicate"]


def test_of_many_at_one_offset_one_counts(web):
    data = image(2)
    place = create(web, [len(data)]).headers["location"]
    there, answers = objects(web), []
    threads = [
        threading.Thread(target=lambda: answers.append(patch(web, place, 0, data[:500]).status_code))
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(answers) == [204, 409, 409, 409]
    assert len(objects(web) - there) == 1 and web.client.head(place).headers["upload-offset"] == "500"
    assert patch(web, place, 500, data[500:]).status_code == 204
    work(web, place)
    assert web.client.get(place).json()["results"][0]["result"] == "stored"


def test_what_breaks_off_is_kept_and_what_is_ended_leaves_nothing(web):
    there = objects(web)
    place = create(web, [5000]).headers["location"]
    assert patch(web, place, 0, bytes(3000)).status_code == 204
    assert patch(web, place, 2000, bytes(10)).status_code == 409
    assert patch(web, place, 3000, bytes(5000)).status_code == 413
    assert web.client.head(place).headers["upload-offset"] == "3000"
    assert web.client.delete(place, headers=VERSION).status_code == 204
    assert objects(web) == there


def test_what_is_held_waits_is_tried_again_and_goes(web):
    sent(web, [document(3)])
    row = web.client.get(f"{HELD}?limit=1").json()["files"][0]
    place = f"{HELD}/{row['id']}"
    assert web.client.post(f"{place}/retry", json={}).status_code == 202
    assert web.kit.platform.quarantine_work.work(WORKER) == 1
    again = web.client.get(place).json()
    assert again["state"] == "held" and again["tried"] and again["reasons"] == row["reasons"]
    platform = web.kit.platform
    assert (
        Fsck(platform.database, platform.keystore, platform.objects, platform.recorder).check(deep=True).clean
    )
    there, before = objects(web), keys(web)
    assert web.client.delete(place).status_code == 204
    platform.quarantine_work.end(WORKER)
    assert web.client.get(place).status_code == 404
    assert len(there - objects(web)) == 1 and len(before - keys(web)) == 1
    assert any(
        one.key_id in before - keys(web)
        for grave in platform.tombstones.beside_objects()
        for one in grave.tombstones
    )


def test_another_institution_finds_nothing_of_it(web):
    """Row-level security: a transaction that names another institution sees no row, whatever it asks."""
    sent(web, [document(4)])
    platform = web.kit.platform
    other = platform.identity.create_institution("other", "Other", "eu", by=BY)
    with platform.database.read(other.id) as tx:
        for table in ("archive_quarantine", "archive_upload", "archive_upload_part"):
            assert not tx.exec_driver_sql(f"SELECT 1 FROM {table}").all()
    with platform.database.read(web.kit.institution.id) as tx:
        assert tx.exec_driver_sql("SELECT 1 FROM archive_quarantine").all()
