"""Links under a grant (security.md section 11, row 13): whatever is not the link itself is 404, and no byte."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pydicom
import pytest

from share_kit import ACME, BETA, Desk, a_desk, study
from wardlight import clock
from wardlight.access.model import Role, TokenScope
from wardlight.archive import links
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

VECTOR = "qQlQR3Cm4lRC3XW6YiBNu1Nvm57DH5Dg"


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk() as made:
        yield made


@pytest.fixture(scope="module")
def shared(desk: Desk) -> dict[str, dict]:
    """One study shared with two applications."""
    desk.hospital.store(*study(2, "1.2.40"))
    return {name: desk.share("1.2.40", application=name) for name in (ACME, BETA)}


def link(desk: Desk, share: dict, application: str = ACME, **wish: object) -> str:
    token = desk.hospital.token(application, "images.read")
    made = desk.ask("POST", f"/api/v1/grants/{share['grant']}/urls", token, json=wish)
    assert made.status_code == 201, made.text
    return made.json()["url"].removeprefix("http://ward.example")


def instances(desk: Desk, share: dict, application: str = ACME) -> list[str]:
    token = desk.hospital.token(application, "images.read")
    rows = desk.ask("GET", f"/dicom-web/studies/{share['study']}/instances", token).json()
    return [row["00080018"]["Value"][0] for row in rows]


def test_the_vector() -> None:
    grant, row = UUID(int=0x99), UUID("00000000-0000-4000-8000-000000000001")
    path = links.link_path(grant, row)
    assert path == f"/dicom-web/p/{grant.hex}/instance/{row}"
    assert links.sign(bytes(range(32)), grant, path, 1800000000, "") == VECTOR


def test_an_instance_and_a_study(desk: Desk, shared: dict[str, dict]) -> None:
    uid = instances(desk, shared[ACME])[0]
    path = link(desk, shared[ACME], instance=uid)
    answer = desk.ask("GET", path, "")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "private, no-store"
    assert pydicom.dcmread(io.BytesIO(answer.content)).SOPInstanceUID == uid
    part = desk.ask("GET", path, "", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    assert desk.ask("HEAD", path, "").headers["content-length"] == str(len(answer.content))
    whole = desk.ask("GET", link(desk, shared[ACME]), "")
    container = zipfile.ZipFile(io.BytesIO(whole.content))
    found = {pydicom.dcmread(container.open(name)).SOPInstanceUID for name in container.namelist()}
    assert found == set(instances(desk, shared[ACME]))
    entries = desk.hospital.entries(Action.DICOMWEB_STUDY_READ)
    last = entries[-1]
    assert last["actor"] == {"kind": "application", "id": ACME}
    assert last["grant"] == shared[ACME]["grant"] and last["token"]
    made = desk.hospital.entries(Action.ACCESS_URL_CREATE)[-1]
    assert made["grant"] == shared[ACME]["grant"] and made["detail"]["what"] == "study"
    # The signature opens doors: it is in no entry.
    assert parse_qs(urlsplit(path).query)["s"][0] not in str(desk.hospital.entries())


def test_whatever_else_is_404(desk: Desk, shared: dict[str, dict], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = instances(desk, shared[ACME])
    path = link(desk, shared[ACME], instance=one)
    bare, _, query = path.partition("?")
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    e, s = fields["e"], fields["s"]
    second = link(desk, shared[ACME], instance=other).partition("?")[0]
    foreign = link(desk, shared[BETA], BETA)
    grant = shared[ACME]["grant"]
    wrong = [
        f"{second}?{query}",  # another instance
        f"/dicom-web/p/{grant}/study?{query}",  # another path
        f"{foreign.partition('?')[0]}?{query}",  # another grant
        f"{bare.replace(grant, shared[BETA]['grant'])}?{query}",  # another grant, the same instance
        f"{bare}?e={int(e) + 1}&s={s}",  # a later end
        f"{bare}?e={int(e) + 10**6}&s={s}",
        f"{bare}?e=0{e}&s={s}",
        f"{bare}?e={e}&s={s[:-1]}",
        f"{bare}?e={e}&s={s[:-1]}{'A' if s[-1] != 'A' else 'B'}",
        f"{bare}?e={e}&s=",
        f"{bare}?e={e}",
        f"{bare}?s={s}",
        bare,
        f"{bare}?e={e}&s={s}&n=192.0.2.0%2F24",  # a network that was not signed
        f"{bare}?e={e}&s={s}&x=1",
        f"{bare}?e={e}&s=%ff%00",
        f"{bare.replace(grant, grant.upper())}?{query}" if grant != grant.upper() else bare,
        f"/dicom-web/p/{UUID(int=1).hex}/study?{query}",
        f"/dicom-web/p/nonsense/study?{query}",
        f"/dicom-web/p/{grant}/instance/{one}?{query}",  # a UID is no row
    ]
    for attempt in wrong:
        answer = desk.ask("GET", attempt, "")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), attempt
        assert b"DICM" not in answer.content
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = desk.ask(method, path, "")
        assert answer.status_code in (404, 405) and b"DICM" not in answer.content
    monkeypatch.setattr(clock, "unix_ms", lambda: int(e) * 1000)
    assert desk.ask("GET", path, "").status_code == 404


def test_networks(desk: Desk, shared: dict[str, dict]) -> None:
    inside = link(desk, shared[ACME], network="0.0.0.0/0")
    outside = link(desk, shared[ACME], network="198.51.100.0/24")
    assert "n=" in inside
    # The test's client has no address of a network.
    assert desk.ask("GET", outside, "").status_code == 404
    bad = desk.ask("POST", f"/api/v1/grants/{shared[ACME]['grant']}/urls", json={"network": "here"})
    assert bad.status_code == 400


def test_who_may_make_them(desk: Desk, shared: dict[str, dict]) -> None:
    path = f"/api/v1/grants/{shared[ACME]['grant']}/urls"
    assert desk.ask("POST", path, desk.hospital.token(BETA, "images.read"), json={}).status_code == 404
    assert desk.ask("POST", path, desk.hospital.token(ACME, "audit.write"), json={}).status_code == 403
    assert (
        desk.ask(
            "POST", path, desk.hospital.token(ACME, "images.read", purpose="HRESCH"), json={}
        ).status_code
        == 404
    )
    assert desk.ask("POST", path, json={"seconds": 86401}).status_code == 400
    assert desk.ask("POST", path, json={}).status_code == 201  # the hospital's administrator
    # A privacy officer sees which grants there are, and no image.
    identity, own = desk.hospital.platform.identity, desk.hospital.institution.id
    officer = identity.create_person(own, "p@x.example", "P", Role.PRIVACY_OFFICER, by=LOCAL_ADMINISTRATOR)
    token = identity.issue_person_token(
        officer, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ, TokenScope.MANAGE)
    )
    assert desk.ask("GET", f"/api/v1/grants/{shared[ACME]['grant']}", token).status_code == 200
    assert desk.ask("POST", path, token, json={}).status_code == 404


def test_a_link_ends_with_its_grant(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.41"))
    share = desk.share("1.2.41", application=ACME)
    path = link(desk, share)
    assert desk.ask("GET", path, "").status_code == 200
    assert desk.ask("DELETE", f"/api/v1/grants/{share['grant']}").status_code == 200
    assert desk.ask("GET", path, "").status_code == 404
    token = desk.hospital.token(ACME, "images.read")
    assert desk.ask("POST", f"/api/v1/grants/{share['grant']}/urls", token, json={}).status_code == 404


def test_a_link_never_outlives_its_grant(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.42"))
    until = clock.timestamp_ms(clock.unix_ms() + 60_000)
    share = desk.share("1.2.42", application=ACME, until=until)
    token = desk.hospital.token(ACME, "images.read")
    made = desk.ask("POST", f"/api/v1/grants/{share['grant']}/urls", token, json={"seconds": 86400}).json()
    assert made["expires_at"] <= until


def test_a_link_ends_with_the_agreement_and_with_the_key(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.43"))
    path = link(desk, desk.share("1.2.43", application=BETA), BETA)
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    keys = desk.hospital.sql("SELECT key_id, application FROM archive_release")
    key = [UUID(bytes=bytes(row[0])) for row in keys if row[1] == BETA][-1]
    assert desk.ask("GET", path, "").status_code == 200
    platform.keystore.destroy_key(own, key)
    answer = desk.ask("GET", path, "")
    assert answer.status_code == 404 and b"PK" not in answer.content
    platform.agreements.withdraw(
        own,
        BETA,
        by=desk.hospital.platform.recorder and LOCAL_ADMINISTRATOR,
    )
    assert desk.ask("GET", path, "").status_code == 404


def test_a_researcher_sees_what_was_shared_with_him(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.44"))
    share = desk.share("1.2.44", person=desk.hospital.colleague.id, level="identified")
    assert share["state"] == "granted" and share["study"] == "1.2.44"
    token = desk.hospital.platform.identity.issue_person_token(
        desk.hospital.colleague,
        by=LOCAL_ADMINISTRATOR,
    )
    assert desk.ask("GET", "/dicom-web/studies/1.2.44/metadata", token).status_code == 200
    assert desk.ask("GET", "/dicom-web/studies/1.2.40/metadata", token).status_code == 404


def test_there_is_no_link_without_its_entry(
    desk: Desk, shared: dict[str, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritable(*_: object) -> None:
        raise WardlightError("unavailable")

    token = desk.hospital.token(ACME, "images.read")
    monkeypatch.setattr(desk.hospital.platform.recorder, "write", unwritable)
    answer = desk.ask("POST", f"/api/v1/grants/{shared[ACME]['grant']}/urls", token, json={})
    assert answer.status_code == 503 and "s=" not in answer.text


def test_a_link_ends_with_the_study(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.45"))
    path = link(desk, desk.share("1.2.45", application=ACME))
    assert desk.ask("GET", path, "").status_code == 200
    deleted = desk.ask("DELETE", "/api/v1/studies/1.2.45")
    assert deleted.status_code in (200, 202), deleted.text
    answer = desk.ask("GET", path, "")
    assert answer.status_code == 404 and b"PK" not in answer.content
    assert desk.ask("GET", "/api/v1/studies/1.2.45/shares").status_code == 404


def test_a_link_ends_with_the_institution(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.46"))
    path = link(desk, desk.share("1.2.46", application=ACME))
    institutions, row = desk.hospital.platform.identity, desk.hospital.institution
    institutions.set_state(row, "suspended", by=LOCAL_ADMINISTRATOR)
    try:
        answer = desk.ask("GET", path, "")
        assert answer.status_code == 404 and b"PK" not in answer.content
    finally:
        institutions.set_state(replace(row, state="suspended"), "active", by=LOCAL_ADMINISTRATOR)
    assert desk.ask("GET", path, "").status_code == 200


def test_what_a_person_makes_is_told_so_and_ends_with_the_person(desk: Desk) -> None:
    desk.hospital.store(*study(1, "1.2.47"))
    share = desk.share("1.2.47", application=ACME)
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    person = platform.identity.create_person(own, "k@x.example", "K", Role.CLINICIAN, by=LOCAL_ADMINISTRATOR)
    token = platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR)
    made = desk.ask("POST", f"/api/v1/grants/{share['grant']}/urls", token, json={})
    path = made.json()["url"].removeprefix("http://ward.example")
    assert desk.ask("GET", path, "").status_code == 200
    read = desk.hospital.entries(Action.DICOMWEB_STUDY_READ)[-1]
    assert read["behalf"] == {"kind": "person", "id": person.id, "role": "clinician"}
    # Who reads the trail finds the link's making by its use.
    entry = desk.hospital.entries(Action.ACCESS_URL_CREATE)[-1]
    assert entry["detail"]["link"] == read["token"] and entry["actor"]["id"] == person.id
    # Nobody takes the name off, or puts another one on.
    bare, _, name = path.partition("&u=")
    assert name == person.id
    assert desk.ask("GET", bare, "").status_code == 404
    assert desk.ask("GET", f"{bare}&u={desk.hospital.colleague.id}", "").status_code == 404
    platform.people.change(own, person.id, role=Role.PRIVACY_OFFICER, by=LOCAL_ADMINISTRATOR)
    assert desk.ask("GET", path, "").status_code == 404
    platform.people.change(own, person.id, role=Role.CLINICIAN, by=LOCAL_ADMINISTRATOR)
    assert desk.ask("GET", path, "").status_code == 200
    platform.people.change(own, person.id, state="suspended", by=LOCAL_ADMINISTRATOR)
    answer = desk.ask("GET", path, "")
    assert answer.status_code == 404 and b"PK" not in answer.content


def test_nobody_makes_links_in_the_name_of_a_colleague(desk: Desk) -> None:
    """What is read by them would be told as the colleague's."""
    desk.hospital.store(*study(1, "1.2.48"))
    share = desk.share("1.2.48", person=desk.hospital.colleague.id, level="identified")
    assert desk.ask("POST", f"/api/v1/grants/{share['grant']}/urls", json={}).status_code == 404
