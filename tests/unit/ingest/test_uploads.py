"""Uploads by the tus protocol: what comes is durable, what is refused leaves nothing, what is whole is protected."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace

import pydicom
import pytest

from archive_kit import dataset, part10
from canary import Canaries
from share_kit import CANARIES
from upload_kit import (
    ROOT,
    VERSION,
    change,
    create,
    encoded,
    image,
    incoming,
    objects,
    patch,
    sent,
    unlease,
    work,
)  # fmt: skip
from wardlight import clock
from wardlight.access.model import Operation, Role, TokenScope
from wardlight.agreements.model import IMAGES, Level
from wardlight.api.uploads import upload_id
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from web_kit import a_web


@pytest.fixture(scope="module")
def web():
    with a_web(uploads={"file_bytes": 1 << 20, "count": 60, "total_bytes": 4 << 20}) as made:
        yield made


def test_files_are_protected_and_indexed_and_the_same_again_is_a_duplicate(web):
    files = [image(1), image(2), b"no DICOM at all" * 20]
    assert sent(web, files) == ["stored", "stored", "refused:not-dicom"]
    stored = web.kit.sql("SELECT count(*) FROM archive_release WHERE level = 'high' AND instance_count = 1")
    assert stored[0][0] >= 2
    assert sent(web, files) == ["duplicate", "duplicate", "refused:not-dicom"]
    # Nothing of it is left where it waited, and nothing that names anybody is in the answer to a search.
    assert not web.kit.sql("SELECT 1 FROM archive_upload_part")
    web.kit.archive.complete(WORKER)
    found = web.get("/studies?includefield=all", accept="application/dicom+json")
    assert found.status_code == 200 and not Canaries(tuple(CANARIES.values())).find(found.content)
    for action in (
        "ingest:upload:start",
        "ingest:upload:finish",
        "ingest:study:protect",
        "dicomweb:study:store",
    ):
        assert web.kit.entries(action), action
    finished = web.kit.entries("ingest:upload:finish")[-1]
    assert finished["outcome"] == "partial" and finished["counts"] == {
        "instances": 3,
        "duplicate": 2,
        "refused": 1,
    }
    assert web.kit.entries("ingest:object:refuse")[-1]["reason"] == "not-dicom"


def test_identified_is_kept_as_it_is(web):
    data = image(3)
    assert sent(web, [data], "identified") == ["stored"]
    study = "1.2.826.0.1.55.3"
    answer = web.get(f"/studies/{study}/series/{study}.1/instances/{study}.1.1", accept="application/dicom")
    assert answer.status_code == 200 and answer.content == data


def test_what_cannot_be_protected_is_held_back_with_its_reason(web):
    """A capture of a screen whose pixels say that they show a name stays out, and the others go in."""
    shown = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", StudyInstanceUID="1.2.826.0.1.55.4",
        SOPInstanceUID="1.2.826.0.1.55.4.1.2", SeriesInstanceUID="1.2.826.0.1.55.4.1", BurnedInAnnotation="YES",
    )  # fmt: skip
    report = io.BytesIO()
    pydicom.dcmwrite(report, pydicom.dcmread(io.BytesIO(part10(shown))), enforce_file_format=True)
    unread = report.getvalue()[:-8]
    results = sent(web, [unread, image(5)])
    assert results[1] == "stored" and results[0].partition(":")[0] in ("refused", "quarantined")
    assert results[0].partition(":")[2]


def test_no_byte_lies_in_clear(web):
    data = image(6)
    place = create(web, [len(data)]).headers["location"]
    before = objects(web)
    assert patch(web, place, 0, data[:-1]).status_code == 204
    canaries = Canaries(tuple(CANARIES.values()))
    for fresh in objects(web) - before:
        name = fresh.hex
        stored = (web.kit.platform.settings.objects_dir / name[:2] / name).read_bytes()
        assert not canaries.find(stored) and b"DICM" not in stored
    # It goes on in another process, behind what is durable.
    head = web.client.head(place)
    assert head.status_code == 200 and head.headers["upload-offset"] == str(len(data) - 1)
    assert head.headers["upload-length"] == str(len(data)) and head.headers["cache-control"] == "no-store"
    assert patch(web, place, len(data) - 1, data[-1:]).status_code == 204
    work(web, place)
    assert objects(web) - before and not web.kit.sql("SELECT 1 FROM archive_upload_part")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Offset": "7"}, 409),
        ({"Upload-Offset": "x"}, 400),
        ({"Content-Type": "application/json"}, 415),
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Authorization": "Bearer nobody"}, 401),
        ({"Upload-Checksum": "md5 AAAA"}, 400),
        ({"Upload-Checksum": "sha256 !"}, 400),
        ({"Upload-Checksum": f"sha256 {base64.b64encode(bytes(32)).decode()}"}, 460),
        ({"data": bytes(2000)}, 413),
        ({"data": None}, 413),
    ],
)  # fmt: skip
def test_a_refused_request_writes_nothing(web, headers, status):
    place = create(web, [1000]).headers["location"]
    before, parts = objects(web), web.kit.sql("SELECT count(*) FROM archive_upload_part")
    given = dict(headers)
    data = given.pop("data", bytes(500))
    if data is None:
        data = iter([bytes(700), bytes(700)])  # Its length is known only when it has come.
    answer = patch(web, place, 0, data, **given)
    assert answer.status_code == status, answer.text
    assert objects(web) == before and not incoming(web)
    assert web.kit.sql("SELECT count(*) FROM archive_upload_part") == parts
    assert web.client.head(place).headers["upload-offset"] == "0"
    assert web.client.delete(place, headers=VERSION).status_code == 204


def test_a_checksum_that_fits_is_taken(web):
    place = create(web, [1000]).headers["location"]
    for name in ("sha256", "sha1"):
        digest = base64.b64encode(hashlib.new(name, bytes(500)).digest()).decode()
        offset = web.client.head(place).headers["upload-offset"]
        answer = patch(web, place, offset, bytes(500), **{"Upload-Checksum": f"{name} {digest}"})
        assert answer.status_code == 204
    # All is there: nothing more is taken, and the files of zeros are no DICOM.
    assert patch(web, place, 1000, b"x").status_code == 409
    work(web, place)
    assert web.client.get(place).json()["results"] == [{"result": "refused", "reason": "not-dicom"}]


def test_of_two_at_once_one_counts(web):
    place = create(web, [1000]).headers["location"]
    uploads = web.services.platform.uploads
    id_ = upload_id({"upload": place.rsplit("/", 1)[-1]})
    person = web.kit.sql("SELECT person FROM archive_upload")[-1][0]
    principal = web.kit.person(Role.ADMINISTRATOR)
    scope = web.kit.platform.access.scope_for(
        replace(principal, id=person), Action.INGEST_UPLOAD_START, operation=Operation.STORE, request="0" * 32
    )
    one, two = (uploads.begin(scope, id_, 0, None, "") for _ in range(2))
    before = objects(web)
    assert one.finish([bytes(400)]).taken == 400
    with pytest.raises(WardlightError) as refused:
        two.finish([bytes(300)])
    two.abort()
    assert refused.value.code == "conflict" and len(objects(web) - before) == 1 and not incoming(web)
    # What broke off is kept up to where it came.
    three = uploads.begin(scope, id_, 400, None, "")
    three.feed([bytes(100)])
    three.keep()
    assert web.client.head(place).headers["upload-offset"] == "500" and not incoming(web)
    web.client.delete(place, headers=VERSION)
    assert not objects(web) - before


def test_only_ones_own_is_there(web):
    place = create(web, [1000]).headers["location"]
    person = web.kit.platform.identity.create_person(
        web.kit.institution.id, "c@x.example", "C", Role.CLINICIAN, by=BY
    )
    token = web.kit.platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.IMAGES_STORE,))
    other = {"Authorization": f"Bearer {token}"}
    assert patch(web, place, 0, b"x", **other).status_code == 404
    assert web.client.head(place, headers=other).status_code == 404
    assert web.client.delete(place, headers={**VERSION, **other}).status_code == 404
    for name in ("0" * 32, "1", "..%2f..%2fetc", "%00"):
        assert web.client.head(f"{ROOT}/{name}").status_code == 404
    reader = web.kit.platform.identity.issue_person_token(person, by=BY, scopes=(TokenScope.IMAGES_READ,))
    assert create(web, [10], Authorization=f"Bearer {reader}").status_code == 403
    assert web.client.delete(place, headers=VERSION).status_code == 204
    assert web.client.head(place).status_code == 404


@pytest.mark.parametrize(
    ("sizes", "headers", "status"),
    [
        ([(1 << 20) + 1], {}, 413),
        ([10, 20], {"Upload-Length": "31"}, 400),
        ([10, 0], {}, 400),
        ([1] * 501, {}, 400),
        ([10], {"Upload-Metadata": "level !!"}, 400),
        ([10], {"Upload-Metadata": f"level {encoded('none')}"}, 400),
        ([10], {"Upload-Metadata": f"level {encoded('high')},filename {encoded('../../Quillfeather.dcm')}"}, 400),
        ([10], {"Upload-Length": "-1"}, 400),
        ([10], {"Tus-Resumable": ""}, 412),
    ],
)  # fmt: skip
def test_what_cannot_begin(web, sizes, headers, status):
    before = web.kit.sql("SELECT count(*) FROM archive_upload")
    assert create(web, sizes, **headers).status_code == status
    assert web.kit.sql("SELECT count(*) FROM archive_upload") == before


def test_too_many_and_too_much_wait(web):
    made = [create(web, [1 << 20]) for _ in range(5)]
    assert made[-1].status_code == 507 and made[-1].json()["reason"] == "uploads"
    for one in made[:-1]:
        assert web.client.delete(one.headers["location"], headers=VERSION).status_code == 204


def test_its_time_ends(web):
    data = image(7)
    place = create(web, [len(data)]).headers["location"]
    patch(web, place, 0, data[:100])
    before = objects(web)
    change(web, f"UPDATE archive_upload SET expires_ms = {clock.unix_ms() - 1}")
    assert patch(web, place, 100, data[100:]).status_code == 404
    assert web.kit.platform.uploads.expire() >= 1
    assert len(objects(web)) < len(before)
    assert not web.kit.sql("SELECT 1 FROM archive_upload")
    assert web.kit.entries("ingest:upload:abandon")[-1]["reason"] == "expired"


def test_levels_are_those_that_are_agreed(web):
    platform, own = web.kit.platform, web.kit.institution.id
    shown = web.client.get(ROOT).json()
    assert shown["levels"] == ["high", "medium", "low", "identified"]
    platform.agreements.amend(own, IMAGES, {"levels": frozenset({Level.MEDIUM})}, by=BY)
    try:
        assert web.client.get(ROOT).json()["levels"] == ["medium"]
        answer = create(web, [10], "identified")
        assert answer.status_code == 403 and answer.json()["code"] == "level-not-agreed"
        assert web.kit.entries("access:decision:deny")[-1]["reason"] == "level-not-agreed"
    finally:
        platform.agreements.amend(own, IMAGES, {"levels": frozenset(Level)}, by=BY)


def test_what_is_withdrawn_or_suspended_meanwhile_is_not_stored(web):
    platform, own = web.kit.platform, web.kit.institution.id
    data = image(8)
    place = create(web, [len(data)], "medium").headers["location"]
    assert patch(web, place, 0, data).status_code == 204
    platform.agreements.amend(own, IMAGES, {"levels": frozenset({Level.HIGH})}, by=BY)
    try:
        work(web, place)
    finally:
        platform.agreements.amend(own, IMAGES, {"levels": frozenset(Level)}, by=BY)
    assert web.client.get(place).json()["results"] == [{"result": "refused", "reason": "level-not-agreed"}]


def test_nothing_without_its_entry(web):
    """No upload begins, ends or has a result that the trail does not tell of."""
    place = create(web, [1000]).headers["location"]
    patch(web, place, 0, bytes(1000))

    def rows():
        return web.kit.sql("SELECT id, state, taken, done FROM archive_upload ORDER BY id")

    before, there = rows(), objects(web)
    change(
        web, "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'none'); END"
    )
    try:
        assert create(web, [10]).status_code == 503
        assert web.client.delete(place, headers=VERSION).status_code == 503
        web.kit.platform.upload_work.work(WORKER)
        assert rows() == before and objects(web) == there
    finally:
        change(web, "DROP TRIGGER no_entry")
    unlease(web)
    work(web, place)


def test_a_session_needs_its_csrf_header_and_the_protocol_says_what_it_has(web):
    answer = web.client.options(ROOT)
    assert answer.status_code == 204 and answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "expiration",
        "checksum",
        "termination",
    }
    assert json.loads(web.client.get(ROOT).text)["files"] == 500
