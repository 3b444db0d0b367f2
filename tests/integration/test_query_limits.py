"""Security test 28: searches that would make the platform work without bound are refused, or bounded.

Over a real archive with 5,001 instances in 5,001 series of as many studies. Bounded is shown by counting what is
unsealed, not by a clock.
"""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

import small_objects
from platform_kit import a_platform
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive import search
from wardlight.archive.keyring import ReleaseKey
from wardlight.archive.matching import MAX_UIDS
from wardlight.decoding.pool import DecoderPool
from wardlight.dicom.part10 import write_meta
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

BOUNDARY = "security-test-28"
MANY = search.MAX_CANDIDATES


def part(number: int, per_study: int) -> bytes:
    one = small_objects.instance(number, per_study=per_study, size=1, prefix="28")
    meta = write_meta(
        one.sop_class, one.sop_instance, one.transfer_syntax,
        implementation_class_uid="1.2.3", implementation_version="TEST",
    )  # fmt: skip
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return head + meta + bytes(one.data) + b"\r\n"


class Web:
    """The DICOMweb service over HTTP semantics, with one person's token."""

    def __init__(self, platform):
        institution = platform.identity.create_institution("mary", "Mary", "eu", by=LOCAL_ADMINISTRATOR)
        platform.agreements.create(
            institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
            attested_by="Kim Berg", by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        person = platform.identity.create_person(
            institution.id, "a@x.example", "A", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
        )
        token = platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR)
        services = Services(
            platform.settings, platform.identity, platform.access, platform.archive,
            Ingest(platform.archive, platform.access, platform.agreements),
            DecoderPool(1), platform.parts, platform.api, None,
        )  # fmt: skip
        self.client = TestClient(create_app(services), headers={"Authorization": f"Bearer {token}"})

    def store(self, numbers: range, per_study: int = 10**9) -> None:
        body = b"".join(part(number, per_study) for number in numbers) + f"--{BOUNDARY}--".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        answer = self.client.post("/dicom-web/studies", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 200, answer.text

    def search(self, query: str, path: str = "/studies") -> tuple[int, str | list]:
        """Status, and the rows or the code of the refusal."""
        answer = self.client.get(f"/dicom-web{path}?{query}")
        body = json.loads(answer.content)
        return answer.status_code, body if answer.status_code == 200 else body["code"]


@pytest.fixture(scope="module")
def web():
    """One study with exactly as many instances as a search may look into."""
    with a_platform() as platform:
        served = Web(platform)
        served.store(range(MANY))
        yield served


@pytest.fixture
def unsealed(monkeypatch):
    """Counts rows that were opened."""
    count = [0]
    unseal = ReleaseKey.unseal

    def counted(self, *arguments):
        count[0] += 1
        return unseal(self, *arguments)

    monkeypatch.setattr(ReleaseKey, "unseal", counted)
    return count


def test_a_star_alone_matches_all_and_is_a_page(web, unsealed):
    for query in ("PatientName=*", "PatientName=", "PatientName=*&PatientID=*&AccessionNumber=*"):
        status, rows = web.search(query)
        assert (status, len(rows)) == (200, 1)
    unsealed[0] = 0
    status, rows = web.search("SOPInstanceUID=*&limit=7", "/instances")
    assert (status, len(rows)) == (200, 7)
    assert unsealed[0] <= 10, "a page opens the rows of the page, its series and its study"
    status, rows = web.search("limit=999999999", "/instances")
    assert (status, len(rows)) == (200, search.MAX_ROWS)
    assert web.search("limit=9999999999999", "/instances") == (400, "bad-request")


@pytest.mark.parametrize(
    "query",
    [
        "PatientName=*a*",
        "PatientName=*",
        "InstanceNumber=1",
        "StudyDescription=*HES*",
        "PatientBirthDate=19600101-",
    ],
)
def test_five_thousand_candidates_are_looked_into(web, unsealed, query):
    status, rows = web.search(query + "&limit=3", "/instances")
    assert status == 200
    assert rows or query == "PatientName=*a*"
    # Each candidate once, its series and study, and again what is shown.
    assert unsealed[0] <= MANY + 2 + 3


def test_pages_are_followed_by_their_links(web, unsealed):
    """The whole study, page by page; each costs its rows and hides where it ended."""
    path, seen, pages = "/instances?limit=2000&PatientName=*", [], 0
    while path:
        unsealed[0] = 0
        answer = web.client.get(f"/dicom-web{path}")
        rows = answer.json()
        assert unsealed[0] <= len(rows) + 2
        seen += [row["00080018"]["Value"][0] for row in rows]
        pages += 1
        assert ("warning" in answer.headers) == ("link" in answer.headers)
        link = answer.headers.get("link", "")
        assert not any(uid in link for uid in seen[-1:])
        path = link[1 : link.index(">")].partition("/dicom-web")[2] if link else ""
    assert (pages, len(seen), len(set(seen))) == (3, MANY, MANY)


def test_one_more_study_is_too_broad(web, unsealed, monkeypatch):
    """Keys without an index, over one study more than may be looked into; then a key that narrows."""
    monkeypatch.setattr(search, "MAX_CANDIDATES", 0)
    for query in ("PatientName=*a*", "StudyDescription=CT*", "PatientBirthDate=19600101-"):
        for path in ("/studies", "/series", "/instances"):
            assert web.search(query, path) == (413, "query-too-broad")
    assert unsealed[0] == 0, "refused before anything is opened"


def test_patterns_made_to_backtrack_take_time_linear_in_the_text(web, unsealed):
    """A regular expression would need longer than the age of the universe for these; the suite would not end."""
    for pattern in (
        "*" * 15_000 + "z",
        "*a" * 5000 + "z",
        "?*" * 5000 + "z",
        "*?" * 4000,
        "(a*)*" * 2000 + "$",
    ):
        for key in ("PatientName", "StudyDescription"):
            status, rows = web.search(f"{key}={pattern}&limit=1")
            assert (status, rows) in ((200, []), (400, "bad-request")), (key, pattern[:10])


def test_lists_of_uids_end_at_a_thousand(web, unsealed):
    assert web.search("StudyInstanceUID=" + ",".join(["1.2"] * MAX_UIDS)) == (200, [])
    for path, key in (("/studies", "StudyInstanceUID"), ("/series", "SeriesInstanceUID"),
                      ("/instances", "SOPInstanceUID"), ("/instances", "SOPClassUID")):  # fmt: skip
        assert web.search(f"{key}=" + ",".join(["1.2"] * (MAX_UIDS + 1)), path) == (413, "query-too-broad")
    # The same list in pieces: a repeated UID key is one list.
    pieces = "&".join(["SOPInstanceUID=" + ",".join(["1"] * 100)] * 11)
    assert web.search(pieces, "/instances") == (413, "query-too-broad")
    assert unsealed[0] == 0


def test_ten_thousand_uids_do_not_fit_a_query_string(web, unsealed):
    assert web.search("StudyInstanceUID=" + ",".join(["1"] * 10_000)) == (413, "too-large")
    assert web.search("&".join(["StudyInstanceUID=1"] * 1001)) == (413, "too-large")
    assert web.search("&".join(["limit"] * 2000)) == (400, "bad-request")
    assert unsealed[0] == 0


@pytest.mark.parametrize(
    "key",
    ["NoSuchAttribute", "PatientNam", "00091001", "FFFFFFFF", "KVP", "00100020x", "0010,0020", "__proto__",
     "RequestAttributesSequence", "RequestAttributesSequence.PatientID", "PatientName.PatientID", "a.b.c", "", "*"],
)  # fmt: skip
def test_a_key_that_is_not_known_is_refused_and_never_ignored(web, unsealed, key):
    for path in ("/studies", "/series", "/instances"):
        for value in ("", "*", "x"):
            status, code = web.search(f"{key}={value}&PatientID=KEST-28-00000", path)
            assert (status, code) in ((400, "matching-key-not-supported"), (400, "bad-request")), (
                path,
                value,
            )
    assert unsealed[0] == 0


def test_a_refusal_names_no_value(web):
    answer = web.client.get("/dicom-web/studies?NoSuchKey-Zeppelinfield=Ottoline&PatientID=MRN-5518842")
    assert answer.status_code == 400
    for value in ("Zeppelinfield", "Ottoline", "MRN-5518842"):
        assert value not in answer.text


def test_one_more_candidate_is_too_broad(web, unsealed):
    """Last: it adds the instance that passes the limit."""
    web.store(range(MANY, MANY + 1))
    for query in (
        "InstanceNumber=1",
        "InstanceNumber=1&PatientName=*a*",
        "ImageComments=*x*",
        "ContentDate=2026-",
    ):
        unsealed[0] = 0
        expected = (413, "query-too-broad") if "Date" not in query else (400, "bad-request")
        assert web.search(query, "/instances") == expected
        assert unsealed[0] == 0, "refused before anything is opened"
    # What is asked of the study is decided once a study, however many instances it has.
    for query in ("StudyDescription=CT*", "PatientID=KEST-28-00000", "StudyDescription=CT*&PatientName=*a*"):
        unsealed[0] = 0
        status, rows = web.search(query + "&limit=3", "/instances")
        assert status == 200 and unsealed[0] <= 1 + 1 + 3
    # A key with an index leaves few candidates, and the same search is answered.
    one = small_objects.instance(3, per_study=10**9, size=1, prefix="28").sop_instance
    status, rows = web.search(f"InstanceNumber=4&SOPInstanceUID={one}", "/instances")
    assert (status, len(rows)) == (200, 1)
    status, rows = web.search("PatientName=*a*", "/studies")
    assert status == 200
