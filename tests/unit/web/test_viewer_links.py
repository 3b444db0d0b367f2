"""Links that open one study in another viewer: that study, as whoever made the link, until it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from share_kit import Desk, a_desk, study
from wardlight import clock
from wardlight.access.model import Role, TokenScope
from wardlight.archive import viewing
from wardlight.audit.actions import Action
from wardlight.identity.service import LOCAL_ADMINISTRATOR

ONE, OTHER = "1.2.71", "1.2.72"
_PATH = f"/api/v1/studies/{ONE}/viewer-links"
_TOKEN = re.compile(r"wl_vt_[\w-]{48}")


@pytest.fixture(scope="module")
def desk(stores: None) -> Iterator[Desk]:
    with a_desk(web={"ohif_url": "https://ohif.example/"}) as made:
        made.hospital.store(*study(2, ONE))
        made.hospital.store(*study(1, OTHER))
        yield made


def _url(desk: Desk, viewer: str = "weasis", token: str | None = None, **wish: object) -> str:
    made = desk.ask("POST", _PATH, token, json={"viewer": viewer, **wish})
    assert made.status_code == 201, made.text
    return made.json()["url"]


def _token(url: str) -> str:
    return _TOKEN.search(unquote(url))[0]


def test_each_viewer_gets_what_it_opens(desk: Desk) -> None:
    url = _url(desk, "weasis")
    assert url.startswith("weasis://%24dicom%3Ars%20--url%20%22http")
    assert f'-r "studyUID={ONE}" -H "Authorization: Bearer {_token(url)}"' in unquote(url)
    query = parse_qs(urlsplit(_url(desk, "slicer")).query)
    assert query["studyUID"] == [ONE] and query["dicomweb_endpoint"][0].endswith("/dicom-web")
    ohif = urlsplit(_url(desk, "ohif"))
    assert (ohif.netloc, ohif.path) == ("ohif.example", "/viewer")
    assert parse_qs(ohif.query)["StudyInstanceUIDs"] == [ONE]
    assert desk.ask("POST", _PATH, json={"viewer": "paint"}).status_code == 400


def test_it_shows_one_study_and_nothing_else(desk: Desk) -> None:
    token = _token(_url(desk))
    rows = desk.ask("GET", "/dicom-web/studies", token).json()
    assert [row["0020000D"]["Value"][0] for row in rows] == [ONE]
    assert desk.ask("GET", f"/dicom-web/studies?StudyInstanceUID={OTHER}").json()
    assert desk.ask("GET", f"/dicom-web/studies?StudyInstanceUID={OTHER}", token).json() == []
    assert desk.ask("GET", f"/dicom-web/series?StudyInstanceUID={ONE}", token).status_code == 200
    assert {row["0020000D"]["Value"][0] for row in desk.ask("GET", "/dicom-web/instances", token).json()} == {
        ONE
    }
    for path in ("", "/series", "/metadata", "/thumbnail"):
        assert desk.ask("GET", f"/dicom-web/studies/{OTHER}{path}", token).status_code == 404, path
    assert desk.ask("GET", f"/dicom-web/studies/{ONE}/metadata", token).status_code == 200
    assert desk.ask("GET", f"/dicom-web/studies/{ONE}", token).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/grants", None),
        ("GET", "/api/v1/me", None),
        ("POST", _PATH, {"viewer": "weasis"}),
        ("DELETE", _PATH, None),
        ("POST", f"/api/v1/studies/{ONE}/shares", {"purpose": "TREAT"}),
        ("DELETE", f"/api/v1/studies/{ONE}", None),
        ("POST", f"/api/v1/studies/{ONE}/measurements", {"measurements": []}),
        ("GET", "/api/v1/audit/entries", None),
    ],
)
def test_it_reads_and_does_nothing_else(desk: Desk, method: str, path: str, body: dict | None) -> None:
    answer = desk.ask(method, path, _token(_url(desk)), **({"json": body} if body is not None else {}))
    assert answer.status_code in (403, 404), answer.text
    stored = desk.stow("/dicom-web/studies", _token(_url(desk)), *study(1, ONE))
    assert stored.status_code == 403


def test_it_ends_with_its_time_when_wanted_and_with_its_maker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, own = desk.hospital.platform, desk.hospital.institution.id
    person = platform.identity.create_person(own, "c@x.example", "C", Role.CLINICIAN, by=LOCAL_ADMINISTRATOR)
    scopes = (TokenScope.IMAGES_READ, TokenScope.MANAGE)
    held = platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR, scopes=scopes)
    path = f"/dicom-web/studies/{ONE}/metadata"
    first, second = _token(_url(desk, token=held)), _token(_url(desk, token=held))
    another = _token(_url(desk))
    assert desk.ask("DELETE", _PATH, held).json() == {"ended": 2}
    assert [desk.ask("GET", path, one).status_code for one in (first, second, another)] == [401, 401, 200]
    third = _token(_url(desk, token=held, seconds=60))
    assert desk.ask("GET", path, third).status_code == 200
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now + 60_001)
    assert desk.ask("GET", path, third).status_code == 401
    monkeypatch.undo()
    fourth = _token(_url(desk, token=held))
    platform.people.change(own, person.id, state="suspended", by=LOCAL_ADMINISTRATOR)
    assert desk.ask("GET", path, fourth).status_code == 401


def test_who_sees_by_a_share_sees_by_the_link_until_that_ends(desk: Desk) -> None:
    hospital = desk.hospital
    share = desk.share(OTHER, person=hospital.colleague.id, level="identified", purpose="HRESCH")
    held = hospital.platform.identity.issue_person_token(
        hospital.colleague, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ, TokenScope.MANAGE)
    )
    path = f"/api/v1/studies/{share['study']}/viewer-links"
    made = desk.ask("POST", path, held, json={"viewer": "slicer"})
    assert made.status_code == 201, made.text
    token = _token(made.json()["url"])
    entry = hospital.entries(Action.ACCESS_URL_CREATE)[-1]
    assert (entry["purpose"], entry["grant"]) == ("HRESCH", share["grant"])
    assert entry["detail"]["what"] == "study in slicer" and token not in str(entry)
    shown = f"/dicom-web/studies/{share['study']}/metadata"
    assert desk.ask("GET", shown, token).status_code == 200
    read = hospital.entries(Action.DICOMWEB_METADATA_READ)[-1]
    assert read["token"] == entry["detail"]["link"] and read["grant"] == share["grant"]
    assert desk.ask("DELETE", f"/api/v1/grants/{share['grant']}").status_code == 200
    assert desk.ask("GET", shown, token).status_code == 404


def test_what_is_not_seen_is_not_opened(desk: Desk) -> None:
    hospital = desk.hospital
    held = hospital.platform.identity.issue_person_token(
        hospital.colleague, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ, TokenScope.MANAGE)
    )
    assert desk.ask("POST", _PATH, held, json={"viewer": "weasis"}).status_code == 404
    officer = hospital.platform.identity.create_person(
        hospital.institution.id, "o@x.example", "O", Role.PRIVACY_OFFICER, by=LOCAL_ADMINISTRATOR
    )
    held = hospital.platform.identity.issue_person_token(
        officer, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ, TokenScope.MANAGE)
    )
    assert desk.ask("POST", _PATH, held, json={"viewer": "weasis"}).status_code == 403
    assert (
        desk.ask("POST", _PATH, json={"viewer": "weasis", "seconds": viewing.LONGEST_S + 1}).status_code
        == 400
    )
