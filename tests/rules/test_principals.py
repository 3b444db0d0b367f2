"""Security tests 18 and 26: every route × every kind of principal, over a real archive that holds a study.

Routes are read from the application, so a new one without a row of expectations fails here. Tokens are real ones,
issued and resolved by the identity service; operator and application principals, for which no token can be issued
yet, are put in front of the same decision.
"""

from __future__ import annotations

import json
import re
import uuid

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.testclient import TestClient

from archive_kit import Kit, dataset, part10
from canary import Canaries
from platform_kit import a_platform
from wardlight.access.model import Operation, Principal, PrincipalKind, Role, TokenScope
from wardlight.access.service import OPERATION
from wardlight.agreements.model import IMAGES, Level
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.service import LOCAL_ADMINISTRATOR, USUAL_SCOPES
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.routes import DECLARATION
from wardlight.web.services import Services

STUDY, SERIES, INSTANCE = "1.2.826.0.1.77.1", "1.2.826.0.1.77.2", "1.2.826.0.1.77.3"
VALUES = (
    "Zeppelinfield^Ottoline",
    "MRN-5518842",
    "ACC-5518842",
    "Thorax of Ottoline",
    STUDY,
    SERIES,
    INSTANCE,
)
CANARIES = Canaries(VALUES)
PLACES = {
    "study": STUDY, "series": SERIES, "instance": INSTANCE, "frames": "1", "tags": "7FE00010",
    "tile": "0", "level": "0",
}  # fmt: skip

#: What a route does with the archive, by what stands in its path.
SEARCH, METADATA, PIXELS, STORE, PUBLIC = "search", "metadata", "pixels", "store", "public"
#: What it does with the audit trail: entries of one's own actions, all of it, hashes and heads, a receiver's part.
OWN_ENTRIES, TRAIL, HASHES, SEND = "own entries", "trail", "hashes", "send"
TRAIL_KINDS = {
    Operation.AUDIT_OWN: OWN_ENTRIES, Operation.AUDIT: TRAIL, Operation.AUDIT_LOG: HASHES, Operation.AUDIT_SEND: SEND,
}  # fmt: skip

#: Who gets what of the institution's own study. What is not listed is refused.
ALLOWED = {
    "administrator": {SEARCH, METADATA, PIXELS, STORE, OWN_ENTRIES, TRAIL, HASHES},
    "clinician": {SEARCH, METADATA, PIXELS, STORE, OWN_ENTRIES},
    "privacy-officer": {SEARCH, METADATA, OWN_ENTRIES, TRAIL, HASHES},
    "read-only": {SEARCH, METADATA, PIXELS},
    "store-only": {STORE},
    "receiver": {STORE, HASHES, SEND},
}
#: Known, but not of this institution: sees what an empty institution sees.
ELSEWHERE = {
    "other-administrator": {SEARCH, METADATA, PIXELS, STORE, OWN_ENTRIES, TRAIL, HASHES},
    "other-receiver": {STORE, HASHES, SEND},
    # Of this institution, and shown what was granted to them: nothing.
    "researcher": {SEARCH, METADATA, PIXELS, OWN_ENTRIES},
    "application": {SEARCH, METADATA, PIXELS},
}
#: Known to the identity service, refused everywhere.
REFUSED = ("operator", "operator-with-institution", "system")
#: Nobody.
UNKNOWN = ("none", "garbage", "revoked", "suspended", "receiver-altered", "basic")


def kind_of(route: APIRoute) -> str:
    if "public" in (route.openapi_extra or {}).get(DECLARATION, {}):
        return PUBLIC
    if route.path.startswith("/api/v1/audit/"):
        return TRAIL_KINDS[OPERATION[Action(route.openapi_extra[DECLARATION]["action"])]]
    if route.methods == {"POST"}:
        return STORE
    if route.path.endswith("/metadata"):
        return METADATA
    if route.path.endswith(
        (
            *("/{study}", "/{series}", "/{instance}", "/frames/{frames}"),
            *("/bulkdata", "/bulkdata/{tags:path}", "/pixeldata", "/rendered", "/thumbnail", "/wado"),
        )
    ):
        return PIXELS
    assert route.path.endswith(("/studies", "/series", "/instances")), (
        "a route that this matrix does not know"
    )
    return SEARCH


def _ours(route: APIRoute) -> bool:
    """DICOMweb and the trail for people and receivers; all routes and callers are in test_access_matrix.py."""
    if route.path.startswith("/dicom-web/p/"):
        return False
    declared = (route.openapi_extra or {}).get(DECLARATION, {})
    kinds = declared.get("kinds", ())
    return (
        route.path.startswith("/dicom-web")
        or (route.path.startswith("/api/v1/audit/") and {"person", "receiver"} & set(kinds))
        or route.path in ("/healthz", "/readyz", "/metrics", "/api/openapi.json")
    )


class World:
    """The application over a platform with a study, and the credentials of everybody."""

    def __init__(self, platform, folder):
        self.kit = kit = Kit(platform, folder)
        identity = platform.identity
        self.own, self.other = (
            kit.institution,
            identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR),
        )
        for institution in (self.own, self.other):
            platform.agreements.create(
                institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
                attested_by="Kim Berg", by=LOCAL_ADMINISTRATOR,
            )  # fmt: skip
        self.file = part10(
            dataset(
                PatientName=VALUES[0],
                PatientID=VALUES[1],
                AccessionNumber=VALUES[2],
                StudyDescription=VALUES[3],
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=SERIES,
                SOPInstanceUID=INSTANCE,
            )
        )
        kit.store(self.file)
        platform.archive.complete(WORKER)
        self.principals: dict[str, Principal] = {}
        self.tokens = self._tokens(identity)
        resolve = identity.authenticate

        class WithUnissued:
            """The identity service, and principals of kinds whose tokens other issues bring."""

            def authenticate(_, token: str, jkt: bytes | None = None) -> Principal | None:
                return self.principals.get(token) or resolve(token, jkt)

        services = Services(
            platform.settings, WithUnissued(), platform.access, platform.archive,
            Ingest(platform.archive, platform.access, platform.agreements),
            DecoderPool(1), platform.parts, platform.api, None,
        )  # fmt: skip
        self.app = create_app(services)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.routes = [route for route in self.app.routes if isinstance(route, APIRoute) and _ours(route)]

    def _tokens(self, identity):
        tokens = {"none": None, "garbage": "wl_pt_" + "x" * 40, "basic": None}

        def person(name, institution, role, *scopes):
            row = identity.create_person(
                institution.id, f"{name}@x.example", name, role, by=LOCAL_ADMINISTRATOR
            )
            scopes = scopes or USUAL_SCOPES
            tokens[name] = identity.issue_person_token(row, by=LOCAL_ADMINISTRATOR, scopes=scopes)
            return row

        for role in set(Role) - {Role.OPERATOR}:
            person(role.value, self.own, role)
        person("read-only", self.own, Role.CLINICIAN, TokenScope.IMAGES_READ)
        person("store-only", self.own, Role.CLINICIAN, TokenScope.IMAGES_STORE)
        person("other-administrator", self.other, Role.ADMINISTRATOR)
        revoked = person("revoked", self.own, Role.ADMINISTRATOR)
        identity.revoke_tokens(self.own.id, revoked.id, by=LOCAL_ADMINISTRATOR)
        suspended = person("suspended", self.own, Role.ADMINISTRATOR)
        with self.kit.platform.database.begin() as tx:
            changed = tx.execute(
                text("UPDATE person SET state = 'suspended' WHERE id = :id"), {"id": suspended.id}
            )
            assert changed.rowcount == 1
        for name, institution in (("receiver", self.own), ("other-receiver", self.other)):
            row = identity.create_receiver(institution.id, name, by=LOCAL_ADMINISTRATOR)
            tokens[name] = identity.issue_receiver_token(row, by=LOCAL_ADMINISTRATOR)
        tokens["receiver-altered"] = "wl_pt_" + tokens["receiver"].removeprefix("wl_rt_")
        everything = frozenset(TokenScope)
        self.principals = {
            "t-operator": Principal(PrincipalKind.OPERATOR, "o-1", None, None, everything),
            "t-operator-with-institution": Principal(
                PrincipalKind.OPERATOR, "o-2", self.own.id, Role.ADMINISTRATOR, everything
            ),
            "t-application": Principal(
                PrincipalKind.APPLICATION, "a-1", self.own.id, Role.ADMINISTRATOR, everything
            ),
            "t-system": Principal(PrincipalKind.SYSTEM, "s-1", self.own.id, Role.ADMINISTRATOR, everything),
        }
        tokens |= {name.removeprefix("t-"): name for name in self.principals}
        return tokens

    def call(self, who: str, route: APIRoute):
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda match: PLACES[match[1]], route.path) + _query(
            route, PLACES
        )
        headers = {"Host": "ward.example"}
        if self.tokens[who]:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        if who == "basic":
            headers["Authorization"] = "Basic " + "YWRtaW46YWRtaW4="
        content = None
        if route.methods == {"POST"} and kind_of(route) in TRAIL_KINDS.values():
            content = b"{}"
            headers["Content-Type"] = "application/json"
        elif route.methods == {"POST"}:
            content = self.file
            headers["Content-Type"] = "application/dicom"
            if "receiver" in who:
                headers |= {"Wardlight-Level": "identified", "Wardlight-Application": IMAGES}
        return self.client.request(min(route.methods), path, headers=headers, content=content)

    def denied(self) -> int:
        """How many denials the audit trail tells of."""
        return sum(
            entry.get("counts", {}).get("denied", 1) for entry in self.kit.entries("access:decision:deny")
        )


@pytest.fixture(scope="module")
def world():
    with a_platform() as platform:
        yield World(platform, platform.settings.data_dir)


def test_every_route_is_in_the_matrix(world):
    kinds = [kind_of(route) for route in world.routes]
    assert len(kinds) == len(world.routes)
    assert set(TRAIL_KINDS.values()) <= set(kinds)
    # Kinds of trail routes follow from what they declare; those of the others from their paths.
    assert {kind: kinds.count(kind) for kind in kinds if kind not in TRAIL_KINDS.values()} == {
        STORE: 2, SEARCH: 6, PIXELS: 20, METADATA: 3, PUBLIC: 8,
    }  # fmt: skip
    assert set(ALLOWED) | set(ELSEWHERE) | set(REFUSED) | set(UNKNOWN) == set(world.tokens)


@pytest.mark.parametrize("who", [*ALLOWED])
def test_who_is_allowed_gets_it_and_nothing_else(world, who):
    for route in world.routes:
        kind = kind_of(route)
        answer = world.call(who, route)
        if kind == PUBLIC:
            continue
        if kind in TRAIL_KINDS.values():
            # What an empty request gets from each route is for its own tests; here it is who gets past the decision.
            assert (answer.status_code != 403) is (kind in ALLOWED[who]), (who, route.path, answer.text)
            assert answer.status_code in (200, 400, 403, 404, 409), (who, route.path, answer.text)
            assert not CANARIES.find(answer.content), (who, route.path)
        elif kind in ALLOWED[who]:
            assert answer.status_code == 200, (who, route.path, answer.text)
            if kind != STORE:
                assert _names_nobody(route) or CANARIES.find(answer.content), (who, route.path)
        else:
            assert answer.status_code == 403, (who, route.path)
            assert not CANARIES.find(answer.content), (who, route.path)


@pytest.mark.parametrize("who", [*ELSEWHERE])
def test_another_institution_sees_nothing_of_it(world, who):
    """What is not there and what is not theirs is the same answer, to the byte."""
    before = world.kit.sql("SELECT count(*) FROM archive_instance")
    for route in world.routes:
        kind = kind_of(route)
        if kind in (PUBLIC, STORE):
            continue
        answer = world.call(who, route)
        assert not CANARIES.find(answer.content), (who, route.path)
        if kind not in ELSEWHERE[who]:
            assert answer.status_code == 403
        elif kind in TRAIL_KINDS.values():
            assert answer.status_code in (200, 400, 404, 409), (who, route.path, answer.text)
            assert not who.startswith("other") or (
                "/audit/stmary/" not in answer.text and str(world.own.id) not in answer.text
            )
        elif kind == SEARCH and "{study}" not in route.path:
            assert (answer.status_code, answer.json()) == (200, [])
        else:
            absent = world.client.get(
                re.sub(r"\{\w+(?::path)?\}", "9", route.path) + _query(route, dict.fromkeys(PLACES, "9")),
                headers={"Authorization": f"Bearer {world.tokens[who]}"},
            )
            assert answer.status_code == absent.status_code == 404
            assert _without_number(answer) == _without_number(absent)
    assert world.kit.sql("SELECT count(*) FROM archive_instance") == before


def test_another_institution_stores_beside_and_not_into(world):
    """The same UIDs in two institutions are two studies; neither sees, blocks or changes the other's."""
    route = next(route for route in world.routes if kind_of(route) == STORE)
    own = world.kit.sql("SELECT id, digest FROM archive_instance ORDER BY id")
    assert world.call("other-receiver", route).status_code == 200
    assert set(own) < set(world.kit.sql("SELECT id, digest FROM archive_instance"))
    fetched = world.call("administrator", next(r for r in world.routes if r.path.endswith("/{instance}")))
    assert world.file in fetched.content


@pytest.mark.parametrize("who", REFUSED)
def test_operator_and_others_are_refused_everywhere(world, who):
    world.kit.platform.denials.sweep(everything=True)
    before = world.denied()
    guarded = [route for route in world.routes if kind_of(route) != PUBLIC]
    for route in guarded:
        answer = world.call(who, route)
        assert answer.status_code == 403, (who, route.path)
        assert not CANARIES.find(answer.content)
    # Many of one kind are written as a count (audit.md section 1): none is lost.
    world.kit.platform.denials.sweep(everything=True)
    assert world.denied() == before + len(guarded)


@pytest.mark.parametrize("who", UNKNOWN)
def test_nobody_gets_in(world, who):
    for route in world.routes:
        answer = world.call(who, route)
        if kind_of(route) == PUBLIC:
            continue
        assert answer.status_code == 401, (who, route.path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert not CANARIES.find(answer.content)


def test_public_routes_show_nothing_of_anybody(world):
    world.call("administrator", next(route for route in world.routes if kind_of(route) == PIXELS))
    for route in world.routes:
        if kind_of(route) == PUBLIC:
            answer = world.call("none", route)
            found = CANARIES.find(answer.content)
            assert not found
            assert "stmary" not in answer.text and str(world.own.id) not in answer.text


def test_a_person_cannot_name_another_release_or_level(world):
    """What leaves for an application is protected by a receiver first: no role stores there directly."""
    for headers in (
        {"Wardlight-Level": "high"}, {"Wardlight-Application": "acme"}, {"Wardlight-Study-Group": "0" * 32},
    ):  # fmt: skip
        answer = world.client.post(
            "/dicom-web/studies", content=world.file,
            headers={"Authorization": f"Bearer {world.tokens['administrator']}",
                     "Content-Type": "application/dicom", **headers},
        )  # fmt: skip
        assert answer.status_code == 400
    answer = world.client.get(
        "/dicom-web/studies?application=acme",
        headers={"Authorization": f"Bearer {world.tokens['administrator']}"},
    )
    assert answer.json() == []


def test_a_forged_token_of_the_right_shape_is_nobody(world):
    """Other letters, other kinds, a digest in place of the token: no look-up succeeds."""
    own = world.tokens["administrator"]
    stored = world.kit.sql("SELECT hash FROM token")
    forged = {own[:-1], own + "A", own.swapcase(), own.replace("wl_pt_", "wl_at_"), str(uuid.uuid4())}
    forged |= {bytes(row[0]).hex() for row in stored} | {"wl_pt_" + bytes(row[0]).hex() for row in stored}
    for token in forged:
        answer = world.client.get("/dicom-web/studies", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token


def _names_nobody(route: APIRoute) -> bool:
    """Whether an answer of this route is pixels."""
    return route.path.endswith(
        ("/frames/{frames}", "/bulkdata/{tags:path}", "/rendered", "/thumbnail", "/wado")
    )


def _query(route: APIRoute, places: dict[str, str]) -> str:
    """What WADO-URI has in the place of a path."""
    if not route.path.endswith("/wado"):
        return ""
    return "?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}".format(**places)


def _without_number(answer) -> dict:
    body = json.loads(answer.content)
    body.pop("request", None)
    # Of the own people, where a study is named; the same for all studies that they do not see.
    assert body.pop("reason", "no-grant") == "no-grant"
    return body
