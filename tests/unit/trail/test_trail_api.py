"""The trail's reading routes over a whole platform: who sees what, what is written of it, that proofs hold."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import logging

import pytest
from starlette.testclient import TestClient

from platform_kit import a_platform
from sealed_kit import ACTIONS, START, fill, seal, sealed
from wardlight.access.model import Role, TokenScope
from wardlight.audit.canonical import canonical
from wardlight.audit.note import Note, VerifierKey
from wardlight.audit.tree import verify_consistency, verify_inclusion
from wardlight.audit.verifier import Trust, verify
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.web.app import create_app
from wardlight.web.services import Services
from wardlight.web.trail import READING, ROOT

COUNT = 700
#: Those of institutions: operators are of none, and rules/test_access_matrix.py asks every route as one.
ROLES = tuple(role for role in Role if role is not Role.OPERATOR)
#: Everyone who has a token: role or "receiver", at home or elsewhere.
EVERYONE = [*ROLES, "receiver", *(f"other-{name}" for name in (*ROLES, "receiver"))]
#: A request to each route that must be answered to whom it is for.
REQUESTS = {
    "entries": ("GET", "/entries", None),
    "search": (
        "POST",
        "/search",
        {"patients": [{"id": "PAT-3", "issuer": "hospital"}], "studies": ["1.2.4"]},
    ),
    "aggregates": ("GET", f"/aggregates?from={START.date()}&to={START.date().replace(day=28)}", None),
    "export": ("GET", "/export?from=3", None),
    "logs": ("GET", "/logs", None),
    "checkpoint": ("GET", "/log/checkpoint", None),
    "entry tile": ("GET", "/log/tile/entries/1", None),
    "tile": ("GET", "/log/tile/0/1", None),
    "inclusion": ("GET", "/log/proof/inclusion?index=5", None),
    "consistency": ("GET", "/log/proof/consistency?from=5", None),
}
ALL_OF_IT = {"search", "aggregates", "export", "entry tile"}
HASHES = {"logs", "checkpoint", "tile", "inclusion", "consistency"}
ALLOWED = {
    "administrator": {*REQUESTS},
    "privacy-officer": {*REQUESTS},
    "clinician": {"entries"},
    "researcher": {"entries"},
    "receiver": HASHES,
}


class Bench:
    """A platform with two institutions, people of every role in each, and a log that is known."""

    def __init__(self, platform):
        self.platform = platform
        identity = platform.identity
        self.tokens, self.ids = {}, {}
        for prefix, slug in (("", "stmary"), ("other-", "other")):
            row = identity.create_institution(slug, slug.title(), "eu", by=LOCAL_ADMINISTRATOR)
            for role in ROLES:
                person = identity.create_person(
                    row.id, f"{role}@x.example", f"{prefix}{role} person", role, by=LOCAL_ADMINISTRATOR
                )
                self.ids[f"{prefix}{role}"] = person.id
                self.tokens[f"{prefix}{role}"] = identity.issue_person_token(
                    person, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.AUDIT_READ,)
                )
            receiver = identity.create_receiver(row.id, "gateway", by=LOCAL_ADMINISTRATOR)
            self.tokens[f"{prefix}receiver"] = identity.issue_receiver_token(receiver, by=LOCAL_ADMINISTRATOR)
            if prefix:
                self.other = row.id
            else:
                self.own = row.id
        # Longer than the institution's own: what only its positions tell apart is told apart.
        fill(platform, self.other, COUNT + 300, seed=5)
        fill(platform, self.own, COUNT)
        services = Services(
            platform.settings,
            identity,
            platform.access,
            platform.archive,
            None,
            None,
            platform.parts,
            platform.api,
            None,
        )
        self.app = create_app(services)
        self.client = TestClient(self.app, base_url="http://ward.example", raise_server_exceptions=False)

    def call(self, who, method, path, body=None, **headers):
        headers["Authorization"] = f"Bearer {self.tokens[who]}"
        return self.client.request(method, ROOT + path, json=body, headers=headers)

    def get(self, path, who="administrator", **headers):
        return self.call(who, "GET", path, **headers)

    def post(self, body, who="administrator"):
        return self.call(who, "POST", "/search", body)

    def written(self, institution=None):
        """All entries of the log, those that wait included, after the ends of all read sessions."""
        self.platform.sessions.sweep(everything=True)
        self.platform.denials.sweep(everything=True)
        seal(self.platform)
        return sealed(self.platform, institution or self.own)


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        yield Bench(platform)


def test_requests_are_of_every_route():
    assert len(REQUESTS) == len(READING)


def _spoken_for(bench, institution):
    """Bytes that only this institution's log may bring: ids, leaves, references of all its entries."""
    entries = sealed(bench.platform, institution)
    leaves = [hashlib.sha256(b"\0" + canonical(entry)).digest() for entry in entries]
    return [entry["id"].encode() for entry in entries] + leaves + [base64.b64encode(leaf) for leaf in leaves]


@pytest.mark.parametrize("who", EVERYONE)
def test_each_route_for_each_role_here_and_elsewhere(bench, who):
    """Security test 15: nobody is shown a byte of another institution's log, and its own as the role allows."""
    here, elsewhere = (bench.other, bench.own) if who.startswith("other-") else (bench.own, bench.other)
    own, foreign = _spoken_for(bench, here), _spoken_for(bench, elsewhere)
    for name, (method, path, body) in REQUESTS.items():
        answer = bench.call(who, method, path, body)
        if name not in ALLOWED[who.removeprefix("other-")]:
            assert answer.status_code == 403, (name, answer.text)
            assert not any(text in answer.content for text in own)
        else:
            assert answer.status_code == 200, (name, answer.text)
            shows = (
                name not in ("aggregates", "logs", "checkpoint") and "clin" not in who and "search" not in who
            )
            assert not shows or any(text in answer.content for text in own), name
            if name == "checkpoint":
                assert Note.parse(answer.text).origin.split("/")[-2] == (
                    "other" if here == bench.other else "stmary"
                )
        assert not any(text in answer.content for text in foreign), name


@pytest.mark.parametrize("who", ["none", "images-only"])
def test_without_a_token_for_the_trail_there_is_nothing(bench, who):
    if who == "images-only":
        row = bench.platform.identity.person(bench.own, "administrator@x.example")
        bench.tokens[who] = bench.platform.identity.issue_person_token(
            row, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ,)
        )
    else:
        bench.tokens[who] = "wl_pt_" + "x" * 40
    for method, path, body in REQUESTS.values():
        assert bench.call(who, method, path, body).status_code == (403 if who == "images-only" else 401)


def test_generations_of_others_are_not_there(bench):
    for path in ("/entries?generation=2", "/log/checkpoint?generation=2", "/log/tile/0/0?generation=7"):
        assert bench.get(path).status_code == 404
    # The other log has more entries than this one: they are not to be reached.
    size = bench.get("/entries?limit=1").json()["log"]["size"]
    assert bench.get(f"/log/proof/inclusion?index={size + 40}&size={size + 41}").status_code == 400
    assert bench.get(f"/log/tile/0/{size // 256 + 1}").status_code == 404


def test_clinicians_see_their_own_actions(bench):
    for who in ("clinician", "researcher"):
        mine = bench.ids[who]
        bench.get("/entries", who)
        bench.written()
        body = bench.get("/entries?limit=200", who).json()
        shown = [row["entry"] for row in body["entries"]] + body["sealing"]
        assert shown and {(entry["actor"]["kind"], entry["actor"]["id"]) for entry in shown} == {
            ("person", mine)
        }
        assert set(body["actors"]) == {f"person:{mine}"}
        assert bench.get(f"/entries?actor=person:{mine}", who).status_code == 200
        assert bench.get("/entries?actor=person:u-01", who).status_code == 404


def test_a_page_run_shows_every_entry_once_with_its_leaf(bench):
    expected = bench.written()
    found, cursor = [], ""
    for _ in itertools.count():
        body = bench.get(f"/entries?limit=150&actor=person:u-03{cursor}").json()
        found += body["entries"]
        if body["next"] is None:
            break
        cursor = f"&cursor={body['next']}"
    positions = [place for place, entry in enumerate(expected) if entry["actor"]["id"] == "u-03"]
    assert [row["index"] for row in found] == positions[::-1]
    for row in found:
        assert row["entry"] == expected[row["index"]]
        leaf = hashlib.sha256(b"\0" + canonical(row["entry"])).digest()
        assert base64.b64decode(row["leaf"]) == leaf


def test_cursors_are_of_one_search_and_one_reader(bench):
    cursor = bench.get("/entries?limit=1").json()["next"]
    assert bench.get(f"/entries?limit=9&cursor={cursor}").status_code == 200
    for path, who in (
        (f"/entries?actor=person:u-01&cursor={cursor}", "administrator"),
        (f"/entries?cursor={cursor[:-2]}AA", "administrator"),
        ("/entries?cursor=x", "administrator"),
        (f"/entries?cursor={cursor}", "other-administrator"),
        (f"/entries?cursor={cursor}", "clinician"),
    ):
        assert bench.get(path, who).status_code == 400, path


def test_what_waits_for_the_sealer_is_on_top_of_the_first_page(bench):
    bench.written()
    bench.get("/entries?outcome=failed", "privacy-officer")
    body = bench.get("/entries?limit=2").json()
    entry = body["sealing"][0]
    assert entry["action"] == "audit:entry:read" and entry["actor"]["id"] == bench.ids["administrator"]
    assert body["actors"][f"person:{bench.ids['privacy-officer']}"] == "privacy-officer person"
    assert "sealing" in body and bench.get(f"/entries?limit=1&cursor={body['next']}").json()["sealing"] == []
    only = bench.get("/entries?action=audit:entry:search").json()
    assert [entry["action"] for entry in only["sealing"]] == ["audit:entry:search"] * len(only["sealing"])


def test_reading_is_one_session_of_a_search(bench):
    before = len(bench.written())
    path = "/entries?outcome=denied&limit=5"
    body = bench.get(path).json()
    bench.get(f"{path}&cursor={body['next']}")
    bench.get("/entries?outcome=failed&limit=5")
    bench.get("/entries?limit=5")
    bench.get(REQUESTS["aggregates"][1])
    bench.get("/log/checkpoint")
    bench.get("/log/tile/0/0")
    bench.get("/log/proof/inclusion?index=5")
    entries = bench.written()[before:]
    told = [
        (
            entry["action"],
            entry["phase"],
            entry["object"]["kind"],
            entry.get("detail", {}).get("query"),
            entry.get("counts"),
        )
        for entry in entries
    ]
    begun, ended = (
        [row for row in told if row[1] == "authorised"],
        [row for row in told if row[1] == "finished"],
    )
    assert begun == [
        ("audit:entry:search", "authorised", "search", "outcome=exact", None),
        ("audit:entry:search", "authorised", "search", "outcome=exact", None),
        ("audit:entry:read", "authorised", "log", None, None),
        ("audit:report:create", "authorised", "log", None, None),
    ]
    assert sorted((row[0], row[4]["requests"], row[4]["results"]) for row in ended[:3]) == [
        ("audit:entry:read", 1, 5), ("audit:entry:search", 1, 5), ("audit:entry:search", 2, 10),
    ]  # fmt: skip
    # Who only looks at hashes, each minute, does not make the log grow.
    assert len(told) == 8 and {entry["purpose"] for entry in entries} == {"HSYSADMIN"}


PATIENT = {"id": "PAT-3", "issuer": "hospital"}


def test_patients_and_studies_are_found_and_named_nowhere(bench, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secret = {"id": "Zeppelinfield-77", "issuer": "Ottoline"}
    entries = bench.written()
    references = bench.platform.recorder.references(bench.own)
    patient, study = references.patient("PAT-3", "hospital"), references.study("1.2.9")
    body = bench.post({"patients": [PATIENT, secret], "studies": ["1.2.9"], "limit": 200}).json()
    positions = [
        place for place, entry in enumerate(entries)
        if {patient, study} & {value for pair in entry.get("subjects", ()) for value in pair.values()}
    ]  # fmt: skip
    assert [row["index"] for row in body["entries"]] == positions[::-1][:200] and len(positions) > 20
    assert bench.post({"patients": [{"id": " PAT-3 ", "issuer": "hospital"}]}).json()["entries"]
    assert not bench.post({"patients": [{"id": "PAT-3"}]}).json()["entries"]
    denied = bench.post({"patients": [PATIENT], "outcome": ["denied"], "action": [ACTIONS[0]]}).json()[
        "entries"
    ]
    assert all(row["entry"]["outcome"] == "denied" for row in denied)
    # The search itself is in the trail of those it was about, by reference.
    new = bench.written()[len(entries) :]
    authorised = next(entry for entry in new if entry.get("phase") == "authorised")
    assert authorised["action"] == "audit:patient:search"
    assert authorised["detail"]["query"] == "PatientID=exact&StudyInstanceUID=exact"
    assert {"patient": patient} in authorised["subjects"] and {"study": study} in authorised["subjects"]
    assert len(authorised["subjects"]) == 3
    kept = json.dumps(new) + caplog.text + "".join(capfd.readouterr())
    assert not any(word in kept for word in ("PAT-3", "Zeppelinfield", "Ottoline", "1.2.9"))


def test_references_of_older_epochs_are_found(bench):
    keystore = bench.platform.keystore
    old = bench.platform.recorder.references(bench.own).patient("PAT-3", "hospital")
    found = bench.post({"patients": [PATIENT], "limit": 200}).json()["entries"]
    assert keystore.open_reference_epoch(bench.own) == 2
    present = bench.platform.recorder.references(bench.own)
    assert present.epoch == 2 and present.patient("PAT-3", "hospital").startswith("p2.")
    assert [each.epoch for each in bench.platform.recorder.all_references(bench.own)] == [2, 1]
    fill(bench.platform, bench.own, 100, seed=9)
    again = bench.post({"patients": [PATIENT], "limit": 200}).json()["entries"]
    named = {value for row in again for pair in row["entry"]["subjects"] for value in pair.values()}
    assert {old, present.patient("PAT-3", "hospital")} <= named
    assert {row["index"] for row in found} < {row["index"] for row in again} or len(again) == 200
    # Another institution has its own epochs.
    assert bench.platform.recorder.references(bench.other).epoch == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"patients": []},
        {"patients": {"id": "x"}},
        {"patients": [{"issuer": "x"}]},
        {"patients": [{"id": "x", "name": "y"}]},
        {"patients": [{"id": 7}]},
        {"patients": [{"id": "  "}]},
        {"patients": [{"id": "x" * 65}]},
        {"patients": [{"id": f"x{n}"} for n in range(51)]},
        {"studies": ["1.2.x"]},
        {"studies": ["1.2"] * 51},
        {"studies": ["1.2"], "limit": 201},
        {"studies": ["1.2"], "limit": True},
        {"studies": ["1.2"], "cursor": 5},
        {"studies": ["1.2"], "who": "x"},
        {"studies": ["1.2"], "generation": 0},
    ],
)
def test_a_search_that_is_none_is_refused(bench, body):
    answer = bench.post(body)
    assert answer.status_code == 400 and answer.json()["code"] == "bad-request"


def test_fifty_patients_are_searched_at_once(bench):
    body = {
        "patients": [{"id": f"PAT-{n}", "issuer": "hospital"} for n in range(50)],
        "studies": ["1.2.3"] * 1,
    }
    assert len(bench.post(body).json()["entries"]) == 50


@pytest.mark.parametrize(
    "path", ["/entries?limit=0", "/entries?limit=201", "/entries?name=x", "/entries?from=x", "/logs?a=b"]
)
def test_a_parameter_that_is_none_is_refused(bench, path):
    assert bench.get(path).status_code == 400


def test_the_log_proves_what_it_shows(bench):
    entries = bench.written()
    note = Note.parse(bench.get("/log/checkpoint").text)
    logs = bench.get("/logs").json()["logs"]
    assert note.size == len(entries) == logs[-1]["size"] and note.origin == logs[-1]["origin"]
    assert note.signed_by(VerifierKey.parse(logs[-1]["vkeys"][-1]))
    leaves = [hashlib.sha256(b"\0" + canonical(entry)).digest() for entry in entries]
    for index in (0, 1, 255, 256, note.size - 1):
        body = bench.get(f"/log/proof/inclusion?index={index}&size={note.size}").json()
        proof = [base64.b64decode(text) for text in body["proof"]]
        assert base64.b64decode(body["leaf"]) == leaves[index]
        assert verify_inclusion(leaves[index], index, note.size, proof, note.root)
        assert index == 0 or not verify_inclusion(leaves[index - 1], index, note.size, proof, note.root)
    older = next(
        size
        for size in range(note.size - 1, 0, -1)
        if bench.get(f"/log/checkpoint?size={size}").status_code == 200
    )
    old = Note.parse(bench.get(f"/log/checkpoint?size={older}").text)
    body = bench.get(f"/log/proof/consistency?from={older}&to={note.size}").json()
    proof = [base64.b64decode(text) for text in body["proof"]]
    assert verify_consistency(older, note.size, old.root, note.root, proof)
    # Tiles, whole and in part, in both spellings.
    assert bench.get("/log/tile/0/1").content == b"".join(leaves[256:512])
    assert bench.get("/log/tile/0/001").content == b"".join(leaves[256:512])
    assert bench.get("/log/tile/0/x000/001").content == b"".join(leaves[256:512])
    last = note.size // 256
    assert bench.get(f"/log/tile/0/{last}.p/3").content == b"".join(leaves[last * 256 : last * 256 + 3])
    for path in (
        "/log/tile/0/0.p/256",
        "/log/tile/0/0.p/0",
        "/log/tile/0/9",
        "/log/tile/64/0",
        "/log/tile/x/0",
        "/log/tile/0/-1",
    ):
        assert bench.get(path).status_code == 404, path
    assert bench.get("/log/tile/entries/0.p/300").status_code == 404


def test_a_tile_is_immutable_and_says_so(bench):
    answer = bench.get("/log/tile/0/0")
    tag = answer.headers["etag"]
    assert bench.get("/log/tile/0/0", **{"If-None-Match": tag}).status_code == 304
    assert bench.get("/log/tile/0/1", **{"If-None-Match": tag}).status_code == 200
    part = bench.get("/log/tile/0/0", Range="bytes=32-63")
    assert (part.status_code, part.content) == (206, answer.content[32:64])
    assert "etag" not in bench.get("/log/tile/entries/0").headers


def test_an_entry_bundle_is_the_leaves_below_its_tile(bench):
    data, leaves = bench.get("/log/tile/entries/1").content, b""
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(json.loads(data[2 : 2 + length]))
        leaves += hashlib.sha256(b"\0" + data[2 : 2 + length]).digest()
        data = data[2 + length :]
    assert leaves == bench.get("/log/tile/0/1").content
    assert entries == bench.written()[256:512]
    assert any(entry["action"] == "audit:entry:export" for entry in bench.written())


def test_a_bundle_verifies_and_its_export_is_told(bench):
    before = len(bench.written())
    answer = bench.get("/export?from=2&to=600")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert 'filename="stmary-1-2-600.ndjson"' in answer.headers["content-disposition"]
    (log,) = bench.get("/logs").json()["logs"]
    known = Trust(log["origin"], log["vkeys"], log_key_only=True)
    found = verify(io.BytesIO(answer.content), known)
    assert (found.verdict, found.start, found.stop, found.leaves) == ("verified", 2, 600, 598)
    # Up to the newest signed head, which is checked; the export itself comes behind it.
    whole = verify(io.BytesIO(bench.get("/export").content), known)
    assert (whole.verdict, whole.stop) == ("verified", whole.size) and whole.size >= before
    told = [entry for entry in bench.written()[before:] if entry["action"] == "audit:entry:export"]
    assert told[0]["actor"]["id"] == bench.ids["administrator"]
    ends = [entry["counts"] for entry in told if entry.get("phase") == "finished"]
    assert sum(counts["results"] for counts in ends) == 598 + whole.leaves
    for query in ("from=9&to=8", "to=999999", "from=-1", "from=x", "size=3", "generation=2&to=1"):
        assert bench.get(f"/export?{query}").status_code == (404 if "generation" in query else 400), query


def test_an_export_in_another_form_is_told_too(bench):
    before = len(bench.written())
    csv = bench.get("/export?from=2&to=12&format=csv")
    assert csv.headers["content-type"].startswith("text/csv") and csv.content.count(b"\r\n") == 11
    assert csv.content.startswith(b"index,") and csv.content.count(b"index,recorded") == 1
    assert csv.headers["content-disposition"].endswith('-2-12.csv"')
    events = [json.loads(line) for line in bench.get("/export?from=2&to=12&format=fhir").content.splitlines()]
    assert len(events) >= 10 and {one["resourceType"] for one in events} == {"AuditEvent"}
    assert bench.get("/export?from=2&to=12&format=dicom").content.count(b"</AuditMessage>") >= 10
    assert bench.get("/export?format=pdf").status_code == 400
    told = [entry for entry in bench.written()[before:] if entry["action"] == "audit:entry:export"]
    assert len(told) >= 3


def test_aggregates_count_what_is_there(bench):
    entries = bench.written()
    days = sorted({entry["recorded"][:10] for entry in entries})
    body = bench.get(f"/aggregates?from={days[0]}&to=2027-06-01").json()
    counted = {(row["day"], hour): n for row in body["days"] for hour, n in enumerate(row["hours"]) if n}
    expected: dict = {}
    for entry in entries:
        key = (entry["recorded"][:10], int(entry["recorded"][11:13]))
        expected[key] = expected.get(key, 0) + 1
    assert counted == expected
    assert sum(row["entries"] for row in body["kinds"]) == len(entries)
    reads = sum(entry["action"] == ACTIONS[0] and entry["outcome"] == "denied" for entry in entries)
    body = bench.get(
        f"/aggregates?from={days[0]}&to=2027-06-01&group=read&outcome=denied&actor_kind=person"
    ).json()
    assert body["kinds"] == [{"group": "read", "actor_kind": "person", "outcome": "denied", "entries": reads}]
    span = "from=2026-01-01&to=2026-01-02"
    for query in (
        "", f"from={days[0]}", "from=2026-01-01&to=2028-01-01", "from=2026-01-02&to=2026-01-01",
        f"{span}&actor_kind=X1", f"{span}&flows=1",
    ):  # fmt: skip
        assert bench.get(f"/aggregates?{query}").status_code == 400, query


def test_flows_say_what_went_where_and_why(bench):
    entries = bench.written()
    body = bench.get(f"/aggregates?from={START.date()}&to=2027-06-01&flows=true").json()
    first = str(START.date())
    read = [entry for entry in entries if entry["action"] == ACTIONS[0] and entry["recorded"] >= first]
    reads = [entry for entry in read if entry["outcome"] not in ("denied", "failed")]
    assert body["complete"] and sum(row["entries"] for row in body["flows"]) == len(reads)
    assert {row["purpose"] for row in body["flows"]} == {"TREAT", "HRESCH", ""}
    assert {(row["direction"], row["source"], row["application"]) for row in body["flows"]} == {
        ("out", "images", "images")
    }
