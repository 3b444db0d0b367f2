"""What somebody sends is looked at, answered by class and place, recorded without a value, and kept nowhere."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from archive_kit import dataset, part10
from share_kit import Desk, a_desk
from wardlight.access.model import Role, TokenScope
from wardlight.api import classify
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR

PATH = "/api/v1/classify"
LOG = b"start\nlookup NHS number 943 476 5919\nmail j.doe@x.example\n"


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk() as made:
        yield made


def entries(desk: Desk, action: Action) -> list[dict[str, Any]]:
    """Audit entries of an action, oldest first."""
    with desk.hospital.platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
        return [entry for entry in map(json.loads, rows) if entry["action"] == action]


def failures(desk: Desk) -> list[dict[str, Any]]:
    return [one for one in entries(desk, Action.CLASSIFY_ITEM_CLASSIFY) if one["outcome"] == "failed"]


def person(desk: Desk, role: Role, *scopes: TokenScope) -> str:
    identity = desk.hospital.platform.identity
    made = identity.create_person(
        desk.hospital.institution.id, f"{role.value}@x.example", "B", role, by=LOCAL_ADMINISTRATOR
    )
    return identity.issue_person_token(made, by=LOCAL_ADMINISTRATOR, scopes=scopes)


def test_findings_have_places_and_no_values_nor_has_the_trail(desk: Desk) -> None:
    answered = desk.ask("POST", PATH, content=gzip.compress(LOG), headers={"Content-Type": "text/plain"})
    assert answered.status_code == 200 and answered.headers["cache-control"] == "no-store"
    body = answered.json()
    assert {(one["line"], one["detector"], one["class"]) for one in body["findings"]} == {
        (2, "uk-nhs", "personal data"),
        (3, "email", "personal data"),
    }
    assert body["classes"] == {"personal data": 2} and body["refused"] is None
    (entry,) = entries(desk, Action.CLASSIFY_ITEM_CLASSIFY)
    assert entry["counts"] == {"bytes": len(gzip.compress(LOG)), "results": 2}
    assert entry["classes"] == ["personal data"]
    for said in (answered.text, str(entry)):
        assert "943" not in said and "j.doe" not in said


def test_an_image_and_a_table(desk: Desk) -> None:
    body = desk.ask("POST", PATH, content=part10(dataset(PatientName="Doe^Jane"))).json()
    assert "image data, identified" in body["classes"]
    table = desk.ask(
        "POST", PATH, content=b"dob,a\n1950-01-02,1\n", headers={"Content-Type": "text/csv"}
    ).json()
    assert [(one["line"], one["field"]) for one in table["findings"]] == [(2, "dob")]


def test_how_sure_is_chosen_and_what_is_not_known_is_said(desk: Desk) -> None:
    weak = b"value 111222333 was read\n"
    assert desk.ask("POST", PATH, content=weak).json()["findings"] == []
    assert desk.ask("POST", f"{PATH}?least=low", content=weak).json()["findings"]
    assert desk.ask("POST", f"{PATH}?least=none", content=weak).status_code == 400
    assert desk.ask("POST", PATH, content=b"\0\1\2 nothing known").json()["refused"] == "not-known"
    assert desk.ask("POST", PATH, content=b"").json()["findings"] == []


def test_a_body_beyond_the_limit_is_refused_and_recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "MOST", 1000)
    before = len(failures(desk))
    for content in (b"x" * 1001, iter([b"x" * 600, b"y" * 600])):
        answered = desk.ask("POST", PATH, content=content)
        assert answered.status_code == 413, answered.text
    assert len(failures(desk)) == before + 2


def test_only_so_many_at_once(desk: Desk) -> None:
    for _ in range(2):
        assert classify._places.acquire(blocking=False), "a place was not given back"
    try:
        answered = desk.ask("POST", PATH, content=LOG)
        assert answered.status_code == 429 and answered.headers["retry-after"]
    finally:
        for _ in range(2):
            classify._places.release()
    assert desk.ask("POST", PATH, content=LOG).status_code == 200


def test_who_may(desk: Desk) -> None:
    officer = person(desk, Role.PRIVACY_OFFICER, TokenScope.MANAGE)
    assert desk.ask("POST", PATH, officer, content=LOG).status_code == 200
    researcher = person(desk, Role.RESEARCHER, TokenScope.IMAGES_READ)
    assert desk.ask("POST", PATH, researcher, content=LOG).status_code == 403
    assert desk.ask("POST", PATH, "", content=LOG).status_code == 401


def test_what_takes_too_long_is_no_answer_and_holds_its_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the findings would be taken for all of them."""
    go = threading.Event()
    monkeypatch.setattr(classify, "_WAIT_S", 0.2)
    monkeypatch.setattr(classify, "_LOOK_S", 0.05)
    monkeypatch.setattr(classify.Scanner, "stream", lambda *_: iter([go.wait(30)][:0]))
    free = classify._places._value
    answer = desk.ask("POST", PATH, content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 503 and classify._places._value == free - 1
    go.set()
    deadline = time.monotonic() + 30
    while classify._places._value != free and time.monotonic() < deadline:
        time.sleep(0.01)
    assert classify._places._value == free
