"""DELETE of a study and what follows, by HTTP: who may, what applications are told, the receipt, coming again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from share_kit import ACME, BETA, Desk, a_desk, study
from wardlight.access.model import Role, TokenScope
from wardlight.bootstrap import WORKER
from wardlight.cli import receipt as receipt_commands
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.bundle import trust_of

UID = "1.2.3.4"
STUDY = f"/api/v1/studies/{UID}"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with a_desk() as made:
        yield made


def token(desk: Desk, login: str, role: Role, *scopes: TokenScope) -> str:
    identity = desk.hospital.platform.identity
    person = identity.create_person(desk.hospital.institution.id, login, "P", role, by=LOCAL_ADMINISTRATOR)
    held = scopes or (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.MANAGE, TokenScope.STEP_UP)
    return str(identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR, scopes=held))


def events(desk: Desk, application: str) -> list[dict[str, Any]]:
    answer = desk.ask("GET", "/api/v1/events?after=0", desk.hospital.token(application))
    rows: list[dict[str, Any]] = answer.json()["events"]
    return [row for row in rows if row["type"].endswith("study.deleted")]


def test_the_whole_of_it(desk: Desk, tmp_path: Path) -> None:
    kit = desk.hospital
    kit.store(*study(3, UID))
    kit.work()
    for application in (ACME, BETA):
        desk.share(UID, application=application)
    administrator = token(desk, "admin@x.example", Role.ADMINISTRATOR)
    clinician = token(desk, "doc@x.example", Role.CLINICIAN)
    researcher = token(desk, "res@x.example", Role.RESEARCHER)
    plain = token(
        desk,
        "plain@x.example",
        Role.ADMINISTRATOR,
        TokenScope.IMAGES_READ,
        TokenScope.IMAGES_STORE,
        TokenScope.MANAGE,
    )
    acme = kit.token(ACME)

    # Who may not: without step-up, other roles, applications; a clinician what somebody else uploaded.
    assert desk.ask("DELETE", STUDY, plain).status_code == 403
    assert desk.ask("DELETE", STUDY, researcher).status_code == 403
    assert desk.ask("DELETE", STUDY, clinician).status_code == 403
    assert desk.ask("DELETE", STUDY, acme).status_code == 403
    assert desk.ask("DELETE", "/api/v1/studies/1.9.9", administrator).status_code == 404
    assert desk.ask("DELETE", "/api/v1/studies/no", administrator).status_code == 400
    assert desk.ask("GET", f"/dicom-web/studies/{UID}/metadata").status_code == 200

    begun = desk.ask("DELETE", STUDY, administrator)
    assert begun.status_code == 202, begun.text
    id_ = begun.json()["id"]
    assert begun.headers["location"] == f"/api/v1/deletions/{id_}"
    for who in (None, acme):
        assert desk.ask("GET", f"/dicom-web/studies/{UID}/metadata", who).status_code == 404
    assert desk.ask("GET", "/api/v1/grants", acme).json()["grants"] == []
    for application in (ACME, BETA):
        (event,) = events(desk, application)
        assert event["data"]["deletion"] == id_ and UID not in json.dumps(event)

    kit.platform.deletion_work.work(WORKER)
    path = f"/api/v1/deletions/{id_}"
    assert desk.ask("POST", f"{path}/acknowledge", acme, json={}).status_code == 200
    assert desk.ask("POST", f"{path}/acknowledge", acme, json={}).status_code == 200
    assert desk.ask("POST", f"{path}/acknowledge", json={}).status_code == 403
    assert desk.ask("GET", path, acme).status_code == 403
    assert desk.ask("GET", path, clinician).status_code == 404
    shown = desk.ask("GET", path).json()
    assert shown["state"] == "removed" and len(shown["releases"]) == 3
    said = {one["application"]: one["acknowledged_at"] for one in shown["applications"]}
    assert said[ACME] and said[BETA] is None
    assert desk.ask("GET", "/api/v1/deletions").json()["deletions"][0]["id"] == id_
    assert desk.ask("GET", "/api/v1/deletions", clinician).json()["deletions"] == []
    assert desk.ask("GET", "/api/v1/deletions?limit=0").status_code == 400
    assert desk.ask("GET", f"/api/v1/deletions/{'0' * 32}").status_code == 404

    _receipt_verifies(desk, path, tmp_path)
    _comes_again(desk, path, administrator, plain)


def _receipt_verifies(desk: Desk, path: str, folder: Path) -> None:
    platform = desk.hospital.platform
    platform.sealer.seal()
    receipt = desk.ask("GET", f"{path}/receipt")
    assert receipt.status_code == 200 and UID not in receipt.text and "QUILLFEATHER" not in receipt.text
    file, trust = folder / "receipt.json", folder / "trust.json"
    file.write_bytes(receipt.content)
    head = platform.audit_log.logs(desk.hospital.institution.id)[-1]
    trust.write_text(json.dumps(trust_of(platform.audit_log, head, ())))
    run = lambda: CliRunner().invoke(receipt_commands.app, ["verify", str(file), "--trust", str(trust)])  # noqa: E731
    found = run()
    assert found.exit_code == 0 and "VERIFIED" in found.output and "in the audit log: entry" in found.output
    file.write_text(receipt.text.replace('"instances": 3', '"instances": 2'))
    assert run().exit_code == 1
    trust.write_text(trust.read_text().replace(head.origin, "other/audit/x/1"))
    assert run().exit_code in (2, 6)


def _comes_again(desk: Desk, path: str, administrator: str, plain: str) -> None:
    kit = desk.hospital
    stored = desk.stow("/dicom-web/studies", administrator, *study(1, UID))
    assert stored.status_code == 409
    assert stored.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xC002]
    assert any(entry["reason"] == "study-deleted" for entry in kit.entries("ingest:object:refuse"))
    officer = token(desk, "po@x.example", Role.PRIVACY_OFFICER)
    assert desk.ask("POST", f"{path}/allow", officer, json={}).status_code == 403
    assert desk.ask("POST", f"{path}/allow", plain, json={}).status_code == 403, "without step-up"
    assert desk.ask("POST", f"{path}/allow", administrator, json={}).status_code == 200
    assert desk.stow("/dicom-web/studies", administrator, *study(1, UID)).status_code == 200
    assert desk.ask("DELETE", STUDY, officer).status_code == 202


def test_a_clinician_deletes_an_own_upload(desk: Desk) -> None:
    clinician = token(desk, "doc2@x.example", Role.CLINICIAN)
    assert desk.stow("/dicom-web/studies", clinician, *study(1, "1.2.8")).status_code == 200
    begun = desk.ask("DELETE", "/api/v1/studies/1.2.8", clinician)
    assert begun.status_code == 202
    assert desk.ask("DELETE", "/api/v1/studies/1.2.8", clinician).json()["id"] == begun.json()["id"]
    mine = desk.ask("GET", "/api/v1/deletions", clinician).json()["deletions"]
    assert [one["id"] for one in mine] == [begun.json()["id"]]
