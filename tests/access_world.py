"""Everybody who may ask, and what each route answers them: the measured side of docs/reference/access-matrix.md.

`python tests/access_world.py` writes the page anew; `rules/test_access_matrix.py` compares it with what is measured.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.testclient import TestClient

from archive_kit import dataset, part10
from canary import Canaries
from share_kit import ACME, CANARIES, a_hospital, ct
from wardlight.access.model import Operation, Role
from wardlight.agreements.model import IMAGES, Level, Terms
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.model import OPERATORS, TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.routes import DECLARATION
from wardlight.web.services import Services

PAGE = Path(__file__).parents[1] / "docs/reference/access-matrix.md"
BY = LOCAL_ADMINISTRATOR
TERMS = Terms(
    levels=frozenset(Level),
    legal_basis="gdpr:6.1.e+9.2.h",
    purposes=frozenset({"TREAT"}),
    attested_by="Kim Berg",
    document="DOC-1",
)
#: Applications by what they lack. Each has a release of a study of its own; `other` asks for the valid one's.
APPLICATIONS = (
    "no-subscription", "no-agreement", "no-purpose", "no-grant", "expired", "revoked", "withdrawn", "valid", "other",
)  # fmt: skip
PEOPLE = ("administrator", "clinician", "researcher", "privacy-officer")
#: In the order of the page's columns.
PRINCIPALS = (
    "anonymous", "expired-token", "other-institution", "other-network", *PEOPLE, "operator", "receiver",
    *(f"app-{name}" for name in APPLICATIONS),
)  # fmt: skip
INSIDE, OUTSIDE = "192.0.2.10", "203.0.113.9"
_VISIBLE = {401: "401", 403: "403", 404: "404"}


def application_id(name):
    return f"acme_{name}_prod"


class World:
    """The application over an institution with everything in it."""

    def __init__(self, kit):
        self.kit, platform = kit, kit.platform
        self.platform = platform
        #: (who, route) of answers with a value of a study that the caller may not see.
        self.leaks = []
        self.grants, self.studies, self.tokens = {}, {}, {"anonymous": None}
        number = iter(range(1, 100))

        def stored(application, level):
            study = f"1.2.826.0.1.77.{next(number)}"
            uids = {
                "StudyInstanceUID": study,
                "SeriesInstanceUID": f"{study}.1",
                "SOPInstanceUID": f"{study}.1.1",
            }
            # That of `other` is not the one whose values are looked for.
            image = dataset(**uids) if application == application_id("other") else ct(**uids)
            kit.store(image, application=application, level=level)
            kit.archive.complete(WORKER)
            return study

        self.studies["images"] = stored(IMAGES, Level.IDENTIFIED)
        for name in APPLICATIONS:
            self._application(name, stored)
        self._end()
        self._people()
        with platform.database.begin(kit.institution.id) as tx:
            tx.execute(text("UPDATE institution SET networks = '192.0.2.0/24' WHERE slug = 'stmary'"))
        pool = DecoderPool(1, allow_unsandboxed=True)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        self.pool = pool
        self.app = create_app(
            Services(
                platform.settings, platform.identity, platform.access, platform.archive, ingest, pool, platform.parts,
                platform.api, None,
            )
        )  # fmt: skip
        self.clients = {
            address: TestClient(
                self.app, raise_server_exceptions=False, client=(address, 50000), follow_redirects=False
            )
            for address in (INSIDE, OUTSIDE)
        }
        self.routes = [route for route in self.app.routes if isinstance(route, APIRoute)]

    def close(self):
        self.pool.close()

    def _application(self, name, stored):
        platform, id_ = self.platform, application_id(name)
        own = self.kit.institution.id
        platform.applications.register(id_, id_, "Vendor", by=BY)
        platform.applications.approve(id_, by=BY)
        platform.entitlements.request(
            id_, purposes=("TREAT",), level=Level.IDENTIFIED, regions=("eu",), declared_by="Sam Vendor",
            document="DOC-2", by=BY,
        )  # fmt: skip
        if name != "no-agreement":
            platform.agreements.record(own, id_, TERMS, by=BY)
        if name != "no-subscription":
            platform.entitlements.subscribe(own, id_, by=BY)
        if name != "no-grant":
            self.studies[name] = stored(id_, Level.HIGH)
            scope = self.kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
            for grant in platform.grants.listed(scope, application=id_):
                self.grants[name] = grant.id
        scopes = frozenset(scope.value for scope in TokenScope if scope not in _NOT_FOR_APPLICATIONS)
        application = replace(platform.applications.show(id_), scopes=scopes)
        purpose = "TRAIN" if name == "no-purpose" else "TREAT"
        tokens = AccessTokens(platform.database, platform.recorder)
        self.tokens[f"app-{name}"] = tokens.give(application, own, purpose=purpose, by=BY)

    def _end(self):
        """What expires, is revoked or withdrawn."""
        platform, own = self.platform, self.kit.institution.id
        scope = self.kit.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE)
        platform.grants.revoke(scope, self.grants["revoked"])
        platform.agreements.withdraw(own, application_id("withdrawn"), by=BY)
        with platform.database.begin(own) as tx:
            changed = tx.execute(
                text("UPDATE access_grant SET expires_ms = 1 WHERE application = :a"),
                {"a": application_id("expired")},
            )
            assert changed.rowcount == 1

    def _people(self):
        platform, kit = self.platform, self.kit
        identity = platform.identity
        other = identity.create_institution("other", "Other", "eu", by=BY)
        platform.agreements.record(other.id, IMAGES, TERMS, by=BY)
        everything = frozenset({scope for scope in TokenScope if scope in _PEOPLES})

        def person(name, institution, role):
            row = identity.create_person(institution, f"{name}@x.example", name, role, by=BY)
            return identity.issue_person_token(row, by=BY, scopes=everything)

        for role in PEOPLE:
            self.tokens[role] = person(role, kit.institution.id, Role(role))
        self.tokens["other-network"] = self.tokens["administrator"]
        self.tokens["other-institution"] = person("elsewhere", other.id, Role.ADMINISTRATOR)
        self.tokens["expired-token"] = person("late", kit.institution.id, Role.ADMINISTRATOR)
        operator = identity.create_person(OPERATORS, "op@x.example", "Op", Role.OPERATOR, by=BY)
        self.tokens["operator"] = identity.issue_person_token(
            operator, by=BY, scopes=frozenset({TokenScope.PLATFORM, TokenScope.STEP_UP})
        )
        with platform.database.begin(kit.institution.id) as tx:
            tx.execute(
                text(
                    "UPDATE token SET expires_ms = 1 WHERE holder IN (SELECT id FROM person WHERE name = 'late')"
                )
            )
        self.tokens["receiver"] = identity.issue_receiver_token(kit.receiver, by=BY)

    def places(self, who, route):
        """What stands in the path: what the principal would ask for; on routes that change, what is not there."""
        name = who.removeprefix("app-") if who.startswith("app-") else "images"
        study = self.studies["valid" if name in ("no-grant", "other") else name]
        grant = self.grants.get("valid" if name in ("images", "other", "no-grant") else name)
        there = {
            "study": study, "series": f"{study}.1", "instance": f"{study}.1.1", "frames": "1", "tags": "7FE00010",
            "tile": "0", "level": "0", "grant": grant.hex if grant else "0" * 32, "application": ACME,
            "institution": "stmary",
        }  # fmt: skip
        harmless = route.path.endswith(("/urls", "/test")) or route.path.startswith("/dicom-web/")
        if who == "other-institution" and "GET" not in route.methods:
            # It stores for itself.
            there |= {"study": "1.2.826.0.1.99.1"}
        if "GET" not in route.methods and not harmless:
            there |= {
                "study": "9.9.9",
                "grant": "0" * 32,
                "application": "zz_none_prod",
                "institution": "none",
            }
        return there

    def ask(self, who, route):
        """The answer to one request."""
        there = self.places(who, route)
        path = re.sub(r"\{(\w+)(?::path)?\}", lambda match: there.get(match[1], "1"), route.path)
        if path == "/dicom-web/wado":
            path += "?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}".format(
                **there
            )
        headers = {"Host": "ward.example"}
        if self.tokens[who]:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        content = None
        method = min(route.methods)
        if method in ("POST", "PUT"):
            content, headers["Content-Type"] = b"{}", "application/json"
            if route.path.startswith("/dicom-web/studies"):
                content, headers["Content-Type"] = (
                    part10(dataset(StudyInstanceUID=there["study"])),
                    "application/dicom",
                )
                if who == "receiver":
                    headers |= {"Wardlight-Level": "identified", "Wardlight-Application": IMAGES}
        client = self.clients[OUTSIDE if who == "other-network" else INSIDE]
        return client.request(method, path, headers=headers, content=content)

    def measured(self):
        """Route → outcome of each principal: ✓, or the status that says no."""
        rows = {}
        for route in self.routes:
            declared = (route.openapi_extra or {}).get(DECLARATION, {})
            name = f"{min(route.methods)} {route.path}"
            if "public" in declared or "open" in declared:
                rows[name] = ["open"] * len(PRINCIPALS)
                continue
            answers = [self.ask(who, route) for who in PRINCIPALS]
            rows[name] = [_VISIBLE.get(answer.status_code, "✓") for answer in answers]
            for who, answer in zip(PRINCIPALS, answers, strict=True):
                assert answer.status_code < 500, (who, name, answer.text)
                if who not in _SEE and _CANARIES.find(answer.content):
                    self.leaks.append((who, name))
        return rows


#: Who may see something of the study that they ask for.
_SEE = {"administrator", "clinician", "privacy-officer", "app-valid"}
_CANARIES = Canaries(tuple(CANARIES.values()))
_PEOPLES = {
    TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.AUDIT_READ, TokenScope.MANAGE, TokenScope.STEP_UP,
}  # fmt: skip
_NOT_FOR_APPLICATIONS = {
    TokenScope.RECEIVER_STORE, TokenScope.RECEIVER_AUDIT, TokenScope.RECEIVER_COLLECT, TokenScope.PLATFORM,
    TokenScope.MANAGE, TokenScope.STEP_UP, TokenScope.AUDIT_READ,
}  # fmt: skip


@contextmanager
def a_world():
    with a_hospital() as kit:
        world = World(kit)
        try:
            yield world
        finally:
            world.close()


def page(rows):
    """The page of a measured table."""
    head = "| route | " + " | ".join(PRINCIPALS) + " |"
    lines = [head, "|" + "---|" * (len(PRINCIPALS) + 1)]
    lines += [
        f"| `{name}` | " + " | ".join(outcomes) + " |" for name, outcomes in sorted(rows.items(), key=_order)
    ]
    return _INTRODUCTION + "\n".join(lines) + "\n"


def _order(row):
    method, path = row[0].split(" ", 1)
    return path, method


def table(page_text):
    """Route → outcomes of a page."""
    rows = {}
    for line in page_text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(PRINCIPALS) + 1 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[1:]
    return rows


_INTRODUCTION = """# Who gets what: every route and every kind of caller

Measured by `tests/rules/test_access_matrix.py`, which asks each route of the application as each of these callers and
fails where an answer differs from this table, where a route is not in it, or where a rule below is broken. To write it
anew after a change: `.venv/bin/python tests/access_world.py`; read the difference before you keep it.

- `✓`: past the decision (the answer may still ask for a better request). `401`: nobody we know. `403`: known, and may
  not; people of the institution are told the reason. `404`: there is nothing here that the caller may see, which is the
  same answer as for what does not exist. `open`: a route before anybody is known (sign-in, tokens, public facts).
- People, from the institution's networks but for `other-network`; `other-institution` is another one's administrator.
- Each application (`app-…`) has a registration, a token with every scope that applications can have, and all that an
  access stands on but for what its name says. It asks for its own release; `app-other` has a live grant on a study of
  its own and asks for that of `app-valid`, as does `app-no-grant`.
- Routes that change something are asked about things that do not exist, so that a refusal is seen and nothing changes:
  `404` there means that the caller was let through.

"""

if __name__ == "__main__":
    with a_world() as world:
        PAGE.write_text(page(world.measured()))
