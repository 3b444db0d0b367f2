"""Results of applications, data of third parties: into what was granted, checked, marked, back to its receiver."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import text

import platform_kit
from share_kit import ACME, BETA, CANARIES, Desk, a_desk, ct, study
from wardlight import clock
from wardlight.access.model import TokenScope
from wardlight.agreements.model import SourceKind
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.identity.tokens import TokenKind

#: Each test on both databases.
pytestmark = pytest.mark.parametrize("stores", platform_kit.STORES, indirect=True, scope="module")

SR = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk() as made:
        yield made


def receiver_token(desk: Desk, *scopes: TokenScope, name: str = "") -> str:
    platform = desk.hospital.platform
    receiver = desk.hospital.receiver
    if name:
        receiver = platform.identity.create_receiver(
            desk.hospital.institution.id, name, by=LOCAL_ADMINISTRATOR
        )
    held = frozenset(scopes or (TokenScope.RECEIVER_COLLECT,))
    return platform.identity._issue(
        TokenKind.RECEIVER, receiver.institution, receiver.id, held, timedelta(minutes=5), LOCAL_ADMINISTRATOR
    )


def received(desk: Desk, uid: str) -> None:
    """A study that a receiver brought to Images."""
    token = receiver_token(desk, TokenScope.RECEIVER_STORE)
    stored = desk.stow("/dicom-web/studies", token, *study(2, uid), **{"Wardlight-Level": "identified"})
    assert stored.status_code == 200, stored.text


@pytest.fixture(scope="module")
def shared(desk: Desk) -> dict:
    received(desk, "1.2.50")
    return {name: desk.share("1.2.50", application=name, level="high") for name in (ACME, BETA)}


def seen(desk: Desk, share: dict, application: str = ACME) -> list[Dataset]:
    return desk.hospital.seen(desk.hospital.as_application(application), share["study"])


def report(image: Dataset, **values: object) -> Dataset:
    """A structured report on an image, as an application makes it."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = SR, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = image.StudyInstanceUID, generate_uid()
    ds.PatientID, ds.PatientName = image.PatientID, image.PatientName
    ds.PatientBirthDate, ds.PatientSex = "", image.get("PatientSex", "")
    ds.AccessionNumber, ds.StudyID = image.get("AccessionNumber", ""), ""
    ds.ReferringPhysicianName = ""
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SR", "99", "1"
    ds.StudyDate, ds.StudyTime, ds.ContentDate, ds.ContentTime = image.StudyDate, "", "20260101", "101010"
    ds.Manufacturer = "Acme"
    for name, value in values.items():
        setattr(ds, name, value)
    return ds


def put(desk: Desk, share: dict, *results: Dataset, application: str = ACME, scope: str = "images.results"):
    token = desk.hospital.token(application, scope)
    return desk.stow(f"/dicom-web/studies/{share['study']}", token, *results)


def test_a_result_joins_the_study_and_goes_back_once(desk: Desk, shared: dict) -> None:
    image = seen(desk, shared[ACME])[0]
    result = report(image)
    answer = put(desk, shared[ACME], result)
    assert answer.status_code == 200, answer.text
    desk.hospital.work()
    entry = desk.hospital.entries(Action.DICOMWEB_RESULT_STORE)[-1]
    assert entry["grant"] == shared[ACME]["grant"] and entry["purpose"] == "TREAT"
    assert len(entry["subjects"]) == 2  # the release's own patient, and the source's
    # The application and the institution see it; another application does not.
    held = {ds.SOPInstanceUID for ds in seen(desk, shared[ACME])}
    assert result.SOPInstanceUID in held
    assert result.SOPInstanceUID not in {ds.SOPInstanceUID for ds in seen(desk, shared[BETA], BETA)}
    own = desk.ask("GET", f"/dicom-web/studies/{shared[ACME]['study']}/metadata")
    assert result.SOPInstanceUID in own.text
    producers = desk.hospital.sql("SELECT producer FROM archive_instance WHERE producer IS NOT NULL")
    assert [row[0] for row in producers] == [ACME]
    # Its receiver gets it once; another one nothing.
    token, other = receiver_token(desk), receiver_token(desk, name="other gate")
    assert desk.ask("GET", "/api/v1/receiver/results", other).json() == {"results": []}
    (row,) = desk.ask("GET", "/api/v1/receiver/results", token).json()["results"]
    assert (row["application"], row["instance"], row["handed_out"]) == (ACME, result.SOPInstanceUID, False)
    path = f"/api/v1/receiver/results/{row['id']}"
    assert desk.ask("GET", path, other).status_code == 404
    assert desk.ask("POST", f"{path}/acknowledge", token, json={"received": True}).status_code == 409
    got = desk.ask("GET", path, token)
    assert got.headers["content-type"] == "application/dicom"
    assert pydicom.dcmread(io.BytesIO(got.content)).SOPInstanceUID == result.SOPInstanceUID
    assert desk.ask("GET", path, token).status_code == 409
    assert desk.ask("POST", f"{path}/acknowledge", token, json={"received": False}).status_code == 200
    assert desk.ask("GET", path, token).content == got.content
    assert desk.ask("POST", f"{path}/acknowledge", other, json={"received": True}).status_code == 404
    assert desk.ask("POST", f"{path}/acknowledge", token, json={"received": True}).status_code == 200
    assert desk.ask("GET", path, token).status_code == 404
    assert desk.ask("GET", "/api/v1/receiver/results", token).json() == {"results": []}
    # A token that may store only reads nothing.
    store_only = receiver_token(desk, TokenScope.RECEIVER_STORE)
    assert desk.ask("GET", "/api/v1/receiver/results", store_only).status_code == 403


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"PatientID": CANARIES["PatientID"]}, 0xA900),
        ({"PatientName": CANARIES["PatientName"]}, 0xC001),
        ({"PatientBirthDate": "19700203"}, 0xC001),
        ({"AccessionNumber": CANARIES["AccessionNumber"]}, 0xC001),
        ({"InstitutionName": CANARIES["InstitutionName"]}, 0xC001),
        ({"OperatorsName": "Brambleknuckle^Wim"}, 0xC001),
        ({"OtherPatientIDs": "77"}, 0xC001),
        ({"StudyInstanceUID": "1.2.50"}, 0xA900),
    ],
)
def test_what_identifies_does_not_join(desk: Desk, shared: dict, values: dict, reason: int) -> None:
    answer = put(desk, shared[ACME], report(seen(desk, shared[ACME])[0], **values))
    assert answer.status_code == 409
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081197"]["Value"] == [reason]


def test_where_results_do_not_go(desk: Desk, shared: dict) -> None:
    image = seen(desk, shared[ACME])[0]
    assert put(desk, shared[BETA], report(image)).status_code == 404  # another application's
    assert put(desk, {"study": "1.2.50"}, report(image)).status_code == 404  # what it does not know
    assert put(desk, shared[ACME], report(image), scope="images.read").status_code == 403
    # Nothing is added to a series of the hospital's, and nothing replaced.
    meddling = report(image, SeriesInstanceUID=image.SeriesInstanceUID)
    assert put(desk, shared[ACME], meddling).status_code == 409
    forged = report(image, SOPInstanceUID=image.SOPInstanceUID)
    assert put(desk, shared[ACME], forged).status_code in (202, 409)
    assert seen(desk, shared[ACME])[0].Modality == "CT"


def test_no_result_after_the_grant(desk: Desk) -> None:
    received(desk, "1.2.51")
    share = desk.share("1.2.51", application=ACME)
    image = seen(desk, share)[0]
    desk.ask("DELETE", f"/api/v1/grants/{share['grant']}")
    assert put(desk, share, report(image)).status_code == 404
    # Nor is it given again because something came late.
    desk.hospital.store(ct(StudyInstanceUID="1.2.51", SeriesInstanceUID="1.2.51.1"))
    desk.hospital.work()
    assert (
        desk.ask(
            "GET", f"/dicom-web/studies/{share['study']}/metadata", desk.hospital.token(ACME)
        ).status_code
        == 404
    )


def test_data_of_third_parties(desk: Desk) -> None:
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    source = platform.sources.record(
        own, SourceKind.RETAILER, "Testdata Ltd", legal_basis="gdpr:6.1.a+9.2.a", attested_by="Kim Berg",
        document="DOC-7", by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    named = {"Wardlight-Source": f"src-{source.id.hex}"}
    token = desk.hospital.token(ACME, "images.upload", "images.read")
    first = study(1, "1.2.60")
    assert desk.stow("/dicom-web/studies", token, *first).status_code == 400  # no source
    assert desk.stow("/dicom-web/studies", token, *first, **named).status_code == 200
    desk.hospital.work()
    # It sees what it uploaded only once that is granted.
    assert desk.ask("GET", "/dicom-web/studies/1.2.60/metadata", token).status_code == 404
    assert desk.ask("GET", "/dicom-web/studies/1.2.60/metadata").status_code == 200
    query = "SELECT source, producer, identifiability FROM archive_release WHERE source IS NOT NULL"
    ((kept, producer, declared),) = desk.hospital.sql(query)
    assert (bytes(kept), producer, declared) == (source.id.bytes, f"application:{ACME}", None)
    # The hospital's own studies are not added to, nor the other way about.
    received(desk, "1.2.61")
    late = ct(StudyInstanceUID="1.2.61", SeriesInstanceUID="1.2.61.7")
    assert desk.stow("/dicom-web/studies", token, late, **named).status_code == 409
    own_token = receiver_token(desk, TokenScope.RECEIVER_STORE)
    more = ct(StudyInstanceUID="1.2.60", SeriesInstanceUID="1.2.60.7")
    level = {"Wardlight-Level": "identified"}
    assert desk.stow("/dicom-web/studies", own_token, more, **level).status_code == 409
    unknown = {"Wardlight-Source": "src-" + "0" * 32}
    assert desk.stow("/dicom-web/studies", token, *first, **unknown).status_code == 400
    assert desk.stow("/dicom-web/studies", own_token, *first, **level, **named).status_code == 400
    assert (
        desk.stow("/dicom-web/studies", desk.hospital.token(ACME, "images.read"), *first, **named).status_code
        == 403
    )


def test_declared_anonymised(desk: Desk) -> None:
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    source = platform.sources.record(
        own, SourceKind.AGENCY, "Registry", legal_basis="gdpr:6.1.e", attested_by="Kim Berg",
        document="DOC-8", anonymised=True, evidence="Report 12", by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    sent = desk.ask("GET", "/dicom-web/studies")  # a person's token, on behalf of the agency
    assert sent.status_code in (200, 204)
    stored = desk.stow("/dicom-web/studies", None, *study(1, "1.2.62"), **{"Wardlight-Source": source.id.hex})
    assert stored.status_code == 200, stored.text
    told = desk.hospital.entries(Action.INGEST_CLASS_ANONYMISED)[-1]
    assert told["object"]["id"] == source.id.hex and told["actor"]["kind"] == "person"
    assert desk.hospital.entries(Action.DICOMWEB_STUDY_STORE)[-1]["classes"] == ["image:anonymised"]
    assert (
        desk.hospital.sql("SELECT identifiability FROM archive_release WHERE identifiability IS NOT NULL")[0][
            0
        ]
        == "anonymised"
    )


def test_nothing_is_handed_out_without_its_entry(
    desk: Desk, shared: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritable(*_: object) -> None:
        raise WardlightError("unavailable")

    assert (
        put(desk, shared[BETA], report(seen(desk, shared[BETA], BETA)[0]), application=BETA).status_code
        == 200
    )
    token = receiver_token(desk)
    row = desk.ask("GET", "/api/v1/receiver/results", token).json()["results"][-1]
    path = f"/api/v1/receiver/results/{row['id']}"
    with monkeypatch.context() as broken:
        broken.setattr(desk.hospital.platform.recorder, "write", unwritable)
        answer = desk.ask("GET", path, token)
        assert answer.status_code == 503 and b"DICM" not in answer.content
    assert desk.ask("GET", path, token).status_code == 200
    with monkeypatch.context() as broken:
        broken.setattr(desk.hospital.platform.recorder, "write", unwritable)
        assert desk.ask("POST", f"{path}/acknowledge", token, json={"received": True}).status_code == 503
    assert desk.ask("GET", path, token).status_code == 409  # not put back, not acknowledged
    assert desk.ask("POST", f"{path}/acknowledge", token, json={"received": True}).status_code == 200


def test_what_the_receiver_holds_back_is_told(desk: Desk) -> None:
    """The notification says how many of the study stayed in the hospital."""
    token = receiver_token(desk, TokenScope.RECEIVER_STORE)
    level = {"Wardlight-Level": "identified", "Wardlight-Application": ACME}
    held = {**level, "Wardlight-Quarantined": "3"}
    assert desk.stow("/dicom-web/studies", token, *study(1, "1.2.70"), **held).status_code == 200
    bad = {**level, "Wardlight-Quarantined": "-1"}
    assert desk.stow("/dicom-web/studies", token, *study(1, "1.2.71"), **bad).status_code == 400
    desk.hospital.work()
    (told,) = desk.hospital.sql("SELECT kind, data FROM event_feed ORDER BY created_ms DESC LIMIT 1")
    assert told[0] == "study.available" and '"quarantined":3' in told[1].replace(" ", "")


def test_who_is_not_subscribed_to_uploads_nothing(desk: Desk) -> None:
    """Nor what is declared anonymised: without a subscription an application has no business here."""
    platform, own, by = desk.hospital.platform, desk.hospital.institution.id, LOCAL_ADMINISTRATOR
    source = platform.sources.record(
        own, SourceKind.AGENCY, "Other registry", legal_basis="gdpr:6.1.e", attested_by="Kim Berg",
        document="DOC-9", anonymised=True, evidence="Report 13", by=by,
    )  # fmt: skip
    token = desk.hospital.token(BETA, "images.upload")
    named = {"Wardlight-Source": source.id.hex}
    platform.entitlements.unsubscribe(own, BETA, by=by)
    try:
        refused = desk.stow("/dicom-web/studies", token, *study(1, "1.2.63"), **named)
    finally:
        platform.entitlements.subscribe(own, BETA, by=by)
    assert refused.status_code == 403, refused.text
    denied = desk.hospital.entries(Action.ACCESS_DECISION_DENY)[-1]
    assert denied["reason"] == "not-subscribed" and denied["actor"]["id"] == BETA
    assert desk.ask("GET", "/dicom-web/studies/1.2.63/metadata").status_code == 404
    assert desk.stow("/dicom-web/studies", token, *study(1, "1.2.63"), **named).status_code == 200


def test_what_an_application_asks_a_second(desk: Desk) -> None:
    """One that asks too much waits, and neither another one nor a person waits for it."""
    platform, own, key = desk.hospital.platform, desk.hospital.institution.id, "api:{}:{}"
    token = desk.hospital.token(ACME)
    assert desk.ask("GET", "/api/v1/grants", token).status_code == 200
    with platform.database.begin() as tx:
        # As if it had asked all of two seconds' requests, and more.
        later = {"key": key.format(own.hex, ACME), "later": (clock.unix_ms() + 5000) * 1000}
        assert tx.execute(text("UPDATE rate SET free_us = :later WHERE key = :key"), later).rowcount == 1
    refused = desk.ask("GET", "/api/v1/grants", token)
    assert refused.status_code == 429 and refused.json()["code"] == "rate-limited"
    assert 3 <= int(refused.headers["retry-after"]) <= 4
    assert desk.ask("GET", "/api/v1/grants", desk.hospital.token(BETA)).status_code == 200
    assert desk.ask("GET", "/api/v1/grants").status_code == 200
