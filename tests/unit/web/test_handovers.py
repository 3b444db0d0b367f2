"""Results of one application for another whose agreement names it: who decides, who may, what the other one gets."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import text

import platform_kit
from deid_kit import decode, pixels
from share_kit import ACME, BETA, CANARIES, Desk, a_desk
from unit.web.test_results import received, receiver_token
from vault_kit import CAME, open_vault, report, secrets_of, series, way_of
from wardlight.access.model import TokenScope
from wardlight.agreements.model import Level
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver.anew import Maker
from wardlight.receiver.body import Part
from wardlight.receiver.model import Target
from wardlight.receiver.protect import Protector
from wardlight.receiver.spool import Spool

#: Each test on both databases.
pytestmark = pytest.mark.parametrize("stores", platform_kit.STORES, indirect=True, scope="module")

HANDOVERS = "/api/v1/receiver/handovers"
A, B = Target(ACME, Level.HIGH), Target(BETA, Level.HIGH)
#: What must not reach the other application: it stands in what the first one writes.
PRIVATE = "Quernstone-7731"


class Gate:
    """A receiver: its vault, what it made of studies, and what it makes of results."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        self.vault = open_vault(folder, CAME)
        secrets = secrets_of(folder)
        self._hospital = secrets.hospital
        spool: Spool = None  # type: ignore[assignment]  # Results come from memory.
        self.maker = Maker(self.vault, secrets, Protector(spool, secrets, self.vault))
        self.store = receiver_token(desk, TokenScope.RECEIVER_STORE)
        self.collect = receiver_token(desk)

    def send(self, originals: list[Dataset], target: Target, group: str) -> list[Dataset]:
        """A release of the study, as the receiver makes it; returns what its application sees."""
        left = []
        for ds in originals:
            if target.level is Level.IDENTIFIED:
                left.append(whole(copy.deepcopy(ds)))
                continue
            way, header = way_of(self.vault, ds, target, self._hospital)
            self.vault.keep([way])
            left.append(whole(decode(header)))
        headers = {
            "Wardlight-Application": target.application,
            "Wardlight-Level": str(target.level),
            "Wardlight-Study-Group": group,
        }
        answer = self.desk.stow("/dicom-web/studies", self.store, *left, **headers)
        assert answer.status_code == 200, answer.text
        self.desk.hospital.platform.archive.complete(WORKER)
        return left

    def rows(self) -> list[dict]:
        return self.desk.ask("GET", HANDOVERS, self.collect).json()["handovers"]

    def make(self, row: dict) -> bytes:
        """Collect a result and make it anew."""
        got = self.desk.ask("GET", f"{HANDOVERS}/{row['id']}", self.collect)
        assert got.status_code == 200, got.text
        source = Target(row["application"], Level(row["release_level"]))
        made, _ = self.maker.make(got.content, source, Target(row["recipient"], Level(row["level"])))
        part: Part = made.outgoing.part
        return b"".join(part.chunks(made.outgoing.read))

    def put(self, row: dict, file: bytes):
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--b--"
        headers = {
            "Content-Type": "multipart/related; type=application/dicom; boundary=b",
            "Wardlight-Application": row["recipient"],
            "Wardlight-Level": row["level"],
            "Wardlight-Handover": row["id"],
        }
        return self.desk.ask("POST", "/dicom-web/studies", self.store, content=body, headers=headers)


def whole(ds: Dataset) -> Dataset:
    """An image with pixels, black ones."""
    ds.add_new("PixelData", "OW", bytes(pixels(ds).length))
    return ds


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk() as made:
        yield made


@pytest.fixture(scope="module")
def gate(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    names(desk, {ACME})
    return Gate(desk, tmp_path_factory.mktemp("gate"))


def names(desk: Desk, applications: set[str]) -> None:
    """BETA's agreement names these."""
    own = desk.hospital.institution.id
    agreements = desk.hospital.platform.agreements
    agreements.amend(own, BETA, {"results_of": frozenset(applications)}, by=LOCAL_ADMINISTRATOR)


def stored(desk: Desk, image: Dataset, **values: object) -> Dataset:
    """A result of ACME on what it sees."""
    result = report(image)
    for name, value in values.items():
        setattr(result, name, value)
    token = desk.hospital.token(ACME, "images.results")
    answer = desk.stow(f"/dicom-web/studies/{image.StudyInstanceUID}", token, result)
    assert answer.status_code == 200, answer.text
    return result


def seen(desk: Desk, image: Dataset) -> list[Dataset]:
    return desk.hospital.seen(desk.hospital.as_application(BETA), image.StudyInstanceUID)


def decisions(desk: Desk) -> list[tuple[str, str]]:
    return [
        (entry["outcome"], entry.get("reason", ""))
        for entry in desk.hospital.entries(Action.ACCESS_RESULT_HANDOVER)
    ]


def events(desk: Desk) -> list[str]:
    token = desk.hospital.token(BETA)
    return [one["type"] for one in desk.ask("GET", "/api/v1/events?after=0", token).json()["events"]]


def test_the_other_one_gets_it_as_its_own_and_learns_nothing_of_the_first(desk: Desk, gate: Gate) -> None:
    originals = series(2)
    mine = gate.send(originals, A, "11" * 16)
    theirs = gate.send(originals, B, "11" * 16)
    assert mine[0].StudyInstanceUID != theirs[0].StudyInstanceUID
    reference = Dataset()
    reference.ReferencedSOPClassUID = mine[1].SOPClassUID
    reference.ReferencedSOPInstanceUID = mine[1].SOPInstanceUID
    result = stored(
        desk,
        mine[0],
        ReferencedInstanceSequence=[reference],
        SeriesDescription=f"Findings of {mine[0].PatientID}",
    )
    (row,) = gate.rows()
    assert (row["application"], row["recipient"], row["handed_out"]) == (ACME, BETA, False)
    assert decisions(desk)[-1] == ("success", "")
    file = gate.make(row)
    assert gate.put(row, file).status_code == 200
    desk.hospital.platform.archive.complete(WORKER)
    assert gate.rows() == []
    (made,) = [ds for ds in seen(desk, theirs[0]) if ds.Modality == "SR"]
    assert made.PatientID == theirs[0].PatientID and made.StudyInstanceUID == theirs[0].StudyInstanceUID
    assert made.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == theirs[1].SOPInstanceUID
    # Its own date is the true one: moved with the patient's dates, it would tell by how much.
    assert made.get("ContentDate", "") in ("", result.ContentDate)
    firsts = [mine[0].PatientID, result.SOPInstanceUID, result.SeriesInstanceUID]
    firsts += [getattr(ds, name) for ds in mine for name in ("StudyInstanceUID", "SOPInstanceUID")]
    for canary in (*firsts, str(originals[0].PatientID), "enscheidt"):
        assert canary.encode() not in file
    assert events(desk)[-1].endswith("study.changed")
    # The same a second time: nothing more is there to be had.
    assert gate.put(row, file).status_code == 403


@pytest.fixture(scope="module")
def pair(desk: Desk, gate: Gate) -> tuple[Dataset, Dataset]:
    """One study as each of the two sees it."""
    originals = series(1)
    return gate.send(originals, A, "22" * 16)[0], gate.send(originals, B, "22" * 16)[0]


def test_who_is_not_named_gets_nothing_and_nothing_is_said(desk: Desk, gate: Gate, pair: tuple) -> None:
    names(desk, set())
    before = decisions(desk)
    stored(desk, pair[0])
    assert gate.rows() == [] and decisions(desk) == before
    names(desk, {ACME})


def test_what_ends_on_the_way_is_not_stored(desk: Desk, gate: Gate, pair: tuple) -> None:
    """Decided again when it is listed, taken and stored."""
    stored(desk, pair[0])
    (row,) = gate.rows()
    file = gate.make(row)
    names(desk, set())
    refused = gate.put(row, file)
    assert refused.status_code == 403 and "results-not-agreed" in refused.text
    assert not [ds for ds in seen(desk, pair[1]) if ds.Modality == "SR"]
    assert gate.rows() == []  # Over, with an entry that says why.
    assert decisions(desk)[-1] == ("denied", "results-not-agreed")
    names(desk, {ACME})
    assert gate.rows() == [] and gate.put(row, file).status_code == 403


def test_only_its_receiver_and_only_what_was_taken(desk: Desk, gate: Gate, pair: tuple) -> None:
    stored(desk, pair[0])
    (row,) = gate.rows()
    path = f"{HANDOVERS}/{row['id']}"
    other = receiver_token(desk, name=f"gate {row['id'][:6]}")
    assert desk.ask("GET", HANDOVERS, other).json() == {"handovers": []}
    assert desk.ask("GET", path, other).status_code == 404
    assert desk.ask("GET", HANDOVERS, gate.store).status_code == 403
    assert gate.put(row, b"").status_code == 403  # Nobody has taken it.
    file = gate.make(row)
    assert desk.ask("GET", path, gate.collect).status_code == 409
    assert desk.ask("POST", f"{path}/settle", other, json={}).status_code == 404
    assert gate.put({**row, "recipient": ACME}, file).status_code == 403
    # Put back it waits; with a reason it is over.
    assert desk.ask("POST", f"{path}/settle", gate.collect, json={}).status_code == 200
    assert gate.put(row, file).status_code == 403 and gate.rows() == []
    with desk.hospital.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE archive_handover SET due_ms = 0 WHERE state = 'waiting'"))
    assert [one["id"] for one in gate.rows()] == [row["id"]]
    settled = desk.ask("POST", f"{path}/settle", gate.collect, json={"reason": "value-does-not-fit"})
    assert settled.status_code == 200 and gate.rows() == []
    assert desk.ask("GET", path, gate.collect).status_code == 404


def test_a_grant_that_ended_is_a_reason(desk: Desk, gate: Gate) -> None:
    originals = series(1)
    mine = gate.send(originals, A, "33" * 16)[0]
    gate.send(originals, B, "33" * 16)
    platform = desk.hospital.platform
    platform.entitlements.unsubscribe(desk.hospital.institution.id, BETA, by=LOCAL_ADMINISTRATOR)
    stored(desk, mine)
    assert gate.rows() == [] and decisions(desk)[-1][0] == "denied"
    platform.entitlements.subscribe(desk.hospital.institution.id, BETA, by=LOCAL_ADMINISTRATOR)
    # The subscription brings nothing back.
    stored(desk, mine)
    assert gate.rows() == [] and decisions(desk)[-1][0] == "denied"


def test_between_identified_releases_the_platform_does_it(desk: Desk, gate: Gate) -> None:
    originals = series(1)
    first, second = (Target(one, Level.IDENTIFIED) for one in (ACME, BETA))
    mine = gate.send(originals, first, "44" * 16)[0]
    gate.send(originals, second, "44" * 16)
    result = stored(desk, mine)
    assert gate.rows() == []
    platform = desk.hospital.platform
    assert platform.handing.work(WORKER) == 1 and platform.handing.work(WORKER) == 0
    platform.archive.complete(WORKER)
    assert result.SOPInstanceUID in {ds.SOPInstanceUID for ds in seen(desk, mine)}
    assert events(desk)[-1].endswith("study.changed")
    # What was handed over is nobody's new result: it goes to no third one, and not to the hospital a second time.
    queued = desk.hospital.sql("SELECT application FROM archive_result")
    assert {row[0] for row in queued} == {ACME}


def test_nothing_moves_without_its_entry(desk: Desk, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: object) -> None:
        raise WardlightError("unavailable")

    def states() -> list[tuple]:
        return [
            tuple(row)
            for row in desk.hospital.sql("SELECT id, state, attempts FROM archive_handover ORDER BY id")
        ]

    originals = series(1)
    mine = gate.send(originals, A, "66" * 16)[0]
    gate.send(originals, B, "66" * 16)
    stored(desk, mine)
    (row,) = gate.rows()
    path = f"{HANDOVERS}/{row['id']}"
    result, token = report(mine), desk.hospital.token(ACME, "images.results")
    recorder, before = desk.hospital.platform.recorder, states()
    with monkeypatch.context() as broken:
        broken.setattr(recorder, "write", unwritable)
        assert desk.ask("GET", HANDOVERS, gate.collect).status_code == 503
        answer = desk.ask("GET", path, gate.collect)
        assert answer.status_code == 503 and b"DICM" not in answer.content
        settled = desk.ask("POST", f"{path}/settle", gate.collect, json={"reason": "too-large"})
        assert settled.status_code == 503
        assert desk.stow(f"/dicom-web/studies/{mine.StudyInstanceUID}", token, result).status_code == 503
    assert states() == before
    names(desk, set())
    with monkeypatch.context() as broken:
        broken.setattr(recorder, "write", unwritable)
        assert (
            desk.ask("GET", HANDOVERS, gate.collect).status_code == 503
        )  # It may not go on, and cannot end.
    assert states() == before
    names(desk, {ACME})
    assert gate.rows() == [row]
    # The platform's own part: what cannot be done is tried again, and ends with an entry only.
    first, second = (Target(one, Level.IDENTIFIED) for one in (ACME, BETA))
    mine = gate.send(originals, first, "66" * 16)[0]
    gate.send(originals, second, "66" * 16)
    stored(desk, mine)
    handing, handovers = desk.hospital.platform.handing, desk.hospital.platform.archive.handovers
    (due,) = [one for one in handovers.due(WORKER) if one.row.receiver is None]
    assert handovers.begin(due, 60_000) and not handovers.begin(due, 60_000)
    with monkeypatch.context() as broken:
        broken.setattr(recorder, "write", unwritable)
        with pytest.raises(WardlightError):
            handovers.give_up(due, "instance-conflict")
    with desk.hospital.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE archive_handover SET due_ms = 0"))
    assert handing.work(WORKER) == 1
    for one in gate.rows():
        path = f"{HANDOVERS}/{one['id']}/settle"
        assert desk.ask("POST", path, gate.collect, json={"reason": "too-large"}).status_code == 200


def test_between_shares_the_platform_makes_it_anew(desk: Desk, gate: Gate) -> None:
    """Their pseudonyms are of the platform's own domain, so that the way back can be made again, and only there."""
    uid = series(1)[0].StudyInstanceUID
    received(desk, uid)
    shares = {name: desk.share(uid, application=name, level="high") for name in (ACME, BETA)}
    image = desk.hospital.seen(desk.hospital.as_application(ACME), shares[ACME]["study"])[0]
    theirs = desk.hospital.seen(desk.hospital.as_application(BETA), shares[BETA]["study"])[0]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    today = f"{datetime.now(UTC):%Y%m%d}"
    result = stored(
        desk,
        image,
        ReferencedInstanceSequence=[reference],
        SeriesDescription=f"Findings of {image.PatientID}",
        ContentDate=today,
    )
    assert decisions(desk)[-1] == ("success", "") and gate.rows() == []
    assert desk.hospital.platform.handing.work(WORKER) == 1
    desk.hospital.platform.archive.complete(WORKER)
    (made,) = [ds for ds in seen(desk, theirs) if ds.Modality == "SR"]
    assert (made.PatientID, made.StudyInstanceUID) == (theirs.PatientID, theirs.StudyInstanceUID)
    assert made.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID in {
        ds.SOPInstanceUID for ds in seen(desk, theirs)
    }
    assert made.get("ContentDate", "") in ("", today)
    text_ = str(made)
    for canary in (image.PatientID, image.StudyInstanceUID, image.SOPInstanceUID, result.SOPInstanceUID):
        assert str(canary) not in text_
    for canary in CANARIES.values():
        assert canary not in text_
    assert events(desk)[-1].endswith("study.changed")


def test_a_share_and_what_the_receiver_made_have_no_way_to_each_other(desk: Desk, gate: Gate) -> None:
    originals = series(1)
    uid = originals[0].StudyInstanceUID
    received(desk, uid)
    share = desk.share(uid, application=ACME, level="high")
    image = desk.hospital.seen(desk.hospital.as_application(ACME), share["study"])[0]
    newest = "SELECT study_group FROM access_grant ORDER BY created_ms DESC, id DESC LIMIT 1"
    ((group,),) = desk.hospital.sql(newest)
    gate.send(originals, B, bytes(group).hex())
    stored(desk, image)
    assert decisions(desk)[-1] == ("denied", "way-back-unknown") and gate.rows() == []


def test_a_deletion_ends_what_waits(desk: Desk, gate: Gate) -> None:
    originals = series(1)
    mine = gate.send(originals, A, "55" * 16)[0]
    gate.send(originals, B, "55" * 16)
    stored(desk, mine)
    (row,) = gate.rows()
    assert desk.ask("DELETE", f"/api/v1/studies/{mine.StudyInstanceUID}").status_code == 202
    assert gate.rows() == []
    assert desk.ask("GET", f"{HANDOVERS}/{row['id']}", gate.collect).status_code == 404
    assert not desk.hospital.sql("SELECT id FROM archive_handover WHERE state = 'waiting'")
