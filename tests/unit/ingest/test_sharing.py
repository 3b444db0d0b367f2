"""Sharing: a release of its own for each application, of the platform's own pseudonyms, made in pieces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from share_kit import ACME, BETA, CANARIES, Hospital, a_hospital, study
from wardlight.access.model import Role
from wardlight.agreements.model import Level
from wardlight.archive.share_store import ShareState
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.ingest.sharing import Wish


@pytest.fixture(scope="module")
def kit(stores: None) -> Iterator[Hospital]:
    with a_hospital() as hospital:
        yield hospital


def shares(kit: Hospital, uid: str) -> list:
    return kit.platform.sharing.listed(kit.sharing, uid)


def test_two_applications_share_no_uid_no_pseudonym_no_offset(kit: Hospital) -> None:
    originals = study(3, "1.2.77")
    kit.store(*originals)
    kit.platform.archive.complete(__import__("wardlight.bootstrap").bootstrap.WORKER)
    for application in (ACME, BETA):
        kit.platform.sharing.share(kit.sharing, "1.2.77", Wish(application, None, "TREAT", Level.HIGH))
    kit.work()
    rows = {row.application: row for row in shares(kit, "1.2.77")}
    assert {row.state for row in rows.values()} == {ShareState.GRANTED}
    assert {(row.total, row.stored, row.quarantined) for row in rows.values()} == {(3, 3, 0)}
    seen = {}
    for application, row in rows.items():
        uid = kit.platform.archive.study_uids(kit.may(Action.ACCESS_GRANT_READ, operation=__import__("wardlight.access.model").access.model.Operation.GRANTS), [row.release])[row.release][0]
        seen[application] = kit.seen(kit.as_application(application), uid)
    for one in (*seen[ACME], *seen[BETA]):
        text = str(one)
        assert not [name for name, value in CANARIES.items() if value.split("^")[0] in text]
    uids = [
        {str(ds[tag].value) for ds in sets for tag in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")}
        for sets in (originals, seen[ACME], seen[BETA])
    ]
    assert not uids[0] & uids[1] and not uids[1] & uids[2] and not uids[0] & uids[2]
    assert seen[ACME][0].PatientID != seen[BETA][0].PatientID
    assert seen[ACME][0].StudyDate != seen[BETA][0].StudyDate
