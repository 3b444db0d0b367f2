"""Decisions as a client meets them: for which purpose people read, and what the trail holds of what is not shown."""

from __future__ import annotations

import pytest

from archive_kit import dataset
from wardlight.bootstrap import WORKER
from web_kit import a_web

STUDY = "1.2.826.0.1.90.1"


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        web.kit.store(dataset(StudyInstanceUID=STUDY))
        web.kit.archive.complete(WORKER)
        web.kit.agree(purposes=("TREAT", "HRESCH"))
        yield web


def test_people_name_their_purpose(web):
    assert web.get(f"/studies/{STUDY}").status_code == 200
    assert web.get(f"/studies/{STUDY}", wardlight_purpose="HRESCH").status_code == 200
    read = [entry["purpose"] for entry in web.kit.entries("dicomweb:study:read")]
    assert read == ["TREAT", "HRESCH"]


@pytest.mark.parametrize("purpose", ["TRAIN", "", "research", "TREAT HRESCH"])
def test_a_purpose_that_is_not_agreed_is_refused(web, purpose):
    answer = web.get(f"/studies/{STUDY}", wardlight_purpose=purpose)
    assert (answer.status_code, answer.json()["reason"]) == (403, "purpose-not-agreed")
