"""Where the audit entry cannot be written, the operation fails: nothing is served and nothing has changed.

The database itself refuses the entry: a trigger on SQLite, a right that is taken away on PostgreSQL. Every route is
asked, and every method that writes an entry is called; one that is new fails here until it has a case.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import inspect, text

import delivery_cases
import notify_cases
import people_cases
import postgres
import quarantine_cases
import sharing_cases
from archive_kit import dataset, part10
from canary import Canaries
from integration.test_audit_commands import certificate
from oauth_kit import an_application
from platform_kit import STORES
from wardlight.access.model import Operation, Principal, PrincipalKind, Role, TokenScope
from wardlight.agreements.model import Level, SourceKind
from wardlight.archive.fsck import Fsck, Report
from wardlight.audit.actions import Action
from wardlight.audit.model import Event
from wardlight.audit.node import ClockCheck, NodeTrail
from wardlight.audit.note import WITNESS, VerifierKey
from wardlight.bootstrap import WORKER
from wardlight.datamap.model import Kind
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.clients import Client
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.oauth import ClientRequest, OAuthError
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.trail import export, local
from wardlight.trail.collectors import Place
from wardlight.trail.report_forms import Form
from wardlight.web.routes import DECLARATION
from web_kit import Web, a_web

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "wardlight"
STUDY, SERIES, INSTANCE = "1.2.826.0.1.78.1", "1.2.826.0.1.78.2", "1.2.826.0.1.78.3"
VALUES = ("Zeppelinfield^Ottoline", "MRN-5518842", "Thorax of Ottoline", STUDY, SERIES, INSTANCE)
CANARIES = Canaries(VALUES)
PARTNER, UNUSED = "acme_reader_prod", "acme_lens_prod"
PLACES = {"study": STUDY, "series": SERIES, "instance": INSTANCE, "frames": "1", "tags": "7FE00010"}
PLACES |= {
    "level": "0",
    "tile": "0",
    "application": "acme_reader_prod",
    "grant": "0" * 32,
    "deletion": "0" * 32,
    "person": "u-0",
    "session": "0" * 32,
    "institution": "0",
    "receiver": "rc-0",
    "kid": "k1",
    "definition": "result-ready",
}
PLACES |= dict.fromkeys(
    ("upload", "held", "result", "handover", "row", "event", "webhook", "delivery", "segment"), "0" * 32
)

#: Methods that write entries and are made to fail elsewhere, or that only pass on what a case here calls.
ELSEWHERE = {
    "audit/node.migrations": "test_migrations: the migration is one transaction with its entry",
    "audit/generations.Generations.rotate": "the sealer's tests",
    "audit/generations.Generations.go_on": "the sealer's tests",
    "audit/retention.Retention._tell": "the sealer's tests",
    "audit/sealer.Sealer._refuse": "the sealer's tests: sealing has stopped already",
    "audit/denials.Denials._end": "test_audit_recorder: the count waits for the next time",
    "access/grants.Grants.completed": "test_grants: nothing is granted, ended or shown without its entry",
    "access/grants.Grants.open": "test_grants: nothing is granted, ended or shown without its entry",
    "access/grants.Grants._end": "test_grants: nothing is granted, ended or shown without its entry",
    "access/grants.Grants.find": "test_grants: nothing is granted, ended or shown without its entry",
    "access/grants.Grants.listed": "test_grants: nothing is granted, ended or shown without its entry",
    "archive/deletion.Deletion._end": "test_deletion: not without its entry",
    "archive/deletion.Deletion.allow": "test_deletion: not without its entry",
    "archive/deletion.Deletion.shown": "test_deletion: not without its entry",
    "archive/deletion_work.DeletionWork._advance": "test_deletion: not without its entry",
    "archive/deletion_work.DeletionWork._remove": "test_deletion: not without its entry",
    "api/classify.Classifying.finish": "asked here as a route",
    "machinedata/service.MachineData.keep": "test_machine_data: nothing without its entry",
    "machinedata/service.MachineData._tell": "test_machine_data: nothing without its entry",
    "machinedata/service.MachineData.delete": "test_machine_data: nothing without its entry",
    "machinedata/subscriptions.Subscriptions.subscribe": "test_machine_data: nothing without its entry",
    "machinedata/subscriptions.Subscriptions.subscriptions": "test_machine_data: nothing without its entry",
    "machinedata/subscriptions.Subscriptions.unsubscribe": "test_machine_data: nothing without its entry",
    "machinedata/work.MachineWork.expire": "test_machine_data: nothing without its entry",
    "machinedata/work.MachineWork._end_owner": "test_machine_data: nothing without its entry",
    "machinedata/work.MachineWork._remove": "test_machine_data: nothing without its entry",
    "archive/deletion.Deletion._shown": "asked here as a route",
    "archive/deletion.Deletion.acknowledge": "asked here as a route",
    "archive/deletion_work.DeletionWork._settle": "test_deletions: the times of a roll, told again in the next round",
    "archive/deletion_work.DeletionWork.roll": "test_deletion_killed: the end of a roll, told by whoever comes next",
    "archive/deletion_work.DeletionWork._begun": "test_deletions: no roll without the entry of its beginning",
    "archive/backup.Backup.make": "the manifest, without which nobody restores, comes after the entry",
    "archive/restore.Restore._delete_group": "on a copy that is published last",
    "archive/restore.Restore._record": "on a copy that is published last",
    "archive/fsck.Fsck._bury": "the entry comes before the key's end",
    "cli/doctor.doctor": "what was found is shown after the entry",
    "archive/open_reads.OpenReads._record": "the answer has ended when it is told, whatever becomes of the telling",
    "api/agreements._read": "asked here as a route",
    "api/told.told": "asked here as a route",
    "trail/receiver_entries.store": "asked here as a route",
    "trail/application_entries.ApplicationEntries.record": "test_application_entries: such an entry is not known",
    "trail/report_service.Reports._record": "asked here as a route",
    "trail/service.Trail.begin": "asked here as a route",
    "trail/anchors.Anchors._tell": "the anchors' tests",
    "trail/witnesses.Witnesses.fail": "the witnesses' tests",
    "trail/witnesses.Witnesses._cosigned": "the witnesses' tests",
    "identity/oidc_keys.TokenKeys.rotate": "test_oidc_unwritable",
    "identity/oidc_service.Provider.give_consent": "test_oidc_unwritable",
    "identity/oidc_service.Provider.withdraw_consent": "test_oidc_unwritable",
    "identity/oidc_service.Provider.userinfo": "test_oidc_unwritable",
    "identity/oidc_service.Provider.consents": "test_oidc_unwritable",
    "identity/oidc_service.Provider.set_logout_uri": "test_oidc_unwritable",
    "identity/oidc_service.Provider.end": "test_oidc_unwritable",
    "identity/oidc_service.Provider._end": "test_oidc_unwritable",
    "identity/oidc_tokens.LoginTokens.tell": "test_oidc_unwritable",
    "identity/oidc_farewell.Farewells._mark": "test_oidc_unwritable",
    "identity/federation.Federations.set": "test_oidc_unwritable",
    "identity/federation.Federations.remove": "test_oidc_unwritable",
    "identity/federation.Federations.finish": "test_oidc_unwritable",
    "identity/federation.Federations._enter": "test_oidc_unwritable",
}


class World:
    """A platform with one study, and what may be done to it."""

    def __init__(self, web: Web) -> None:
        self.web, self.kit, self.platform = web, web.kit, web.kit.platform
        self.own = web.kit.institution
        self.identity = self.platform.identity
        self.file = part10(
            dataset(
                PatientName=VALUES[0], PatientID=VALUES[1], StudyDescription=VALUES[2],
                StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=INSTANCE,
            )
        )  # fmt: skip
        self.kit.store(self.file)
        self.person = self.identity.create_person(self.own.id, "b@x.example", "B", Role.ADMINISTRATOR, by=BY)
        self.colleague = self.identity.create_person(self.own.id, "d@x.example", "D", Role.CLINICIAN, by=BY)
        self.receiver = self.identity.create_receiver(self.own.id, "gateway", by=BY)
        for application in (PARTNER, UNUSED):
            an_application(self.platform, application, None)
        self.platform.agreements.create(
            self.own.id, PARTNER, [Level.HIGH], legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
            attested_by="Kim", by=BY,
        )  # fmt: skip
        self.platform.entitlements.subscribe(self.own.id, PARTNER, by=BY)
        self.tokens = {
            "person": self.identity.issue_person_token(
                self.person,
                by=BY,
                scopes=(
                    TokenScope.IMAGES_READ,
                    TokenScope.IMAGES_STORE,
                    TokenScope.AUDIT_READ,
                    TokenScope.MANAGE,
                    TokenScope.STEP_UP,
                ),
            ),
            "receiver": self.identity.issue_receiver_token(self.receiver, by=BY),
        }

        self.given = _give(self)

    @contextmanager
    def unwritable(self) -> Iterator[None]:
        """Meanwhile the database takes no audit entry."""
        url = self.platform.settings.database_url
        if url:
            name = urlsplit(url).path.removeprefix("/")

            def change(statement: str) -> None:
                postgres.shared().run(statement, database=name, role="owner")

            off, on = (
                "REVOKE INSERT ON audit_pending FROM serving",
                "GRANT INSERT ON audit_pending TO serving",
            )
        else:

            def change(statement: str) -> None:
                with self.platform.database.begin() as tx:
                    tx.execute(text(statement))

            off = (
                "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending "
                "BEGIN SELECT RAISE(ABORT, 'no entry can be written'); END"
            )
            on = "DROP TRIGGER no_entry"
        change(off)
        try:
            yield
        finally:
            change(on)

    def everything(self) -> dict[str, list[str]]:
        """All rows of all tables but the counts of attempts, which are counted whatever becomes of them."""
        with self.platform.database.read(EVERYWHERE) as tx:
            return {
                table: sorted(map(repr, tx.execute(text(f'SELECT * FROM "{table}"')).all()))
                for table in inspect(tx).get_table_names()
                if table != "rate"
            }


@pytest.fixture(scope="module")
def world(stores):
    with a_web() as web:
        yield World(web)


on_all = pytest.mark.parametrize("stores", STORES, indirect=True, scope="module")


#: Routes that show hashes and signed heads of the log, or configuration that names nobody: a receiver asks some of them
#: each few seconds.
HASHES = ("/audit/logs", "/log/checkpoint", "/log/tile/{level}/{tile:path}", "/log/proof/inclusion",
          "/log/proof/consistency", "/log/witness", "/receiver/agreements", "/entitlements",
          "/subscriptions")  # fmt: skip


def routes(world: World) -> list[APIRoute]:
    every = [route for route in world.web.client.app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    # Open routes write as their services do, which have cases of their own.
    return [route for route in every if "kinds" in (route.openapi_extra or {})[DECLARATION]]


def call(world: World, route: APIRoute, token: str | None) -> Any:
    path = re.sub(r"\{(\w+)(?::path)?\}", lambda match: PLACES[match[1]], route.path)
    if path.endswith("/wado"):
        path += f"?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={INSTANCE}"
    headers = {"Authorization": f"Bearer {token}"} if token else {"Authorization": "Bearer nobody"}
    body: dict[str, Any] = {}
    if route.methods & {"POST", "PUT"}:
        dicom = path.startswith("/dicom-web")
        body = {"content": part10(dataset(StudyInstanceUID=f"{STUDY}.9") if "{" not in route.path else
                                  dataset(StudyInstanceUID=STUDY)) if dicom else b"{}"}  # fmt: skip
        headers["Content-Type"] = "application/dicom" if dicom else "application/json"
    return world.web.client.request(min(route.methods), path, headers=headers, **body)


@on_all
def test_no_route_serves_or_changes_anything(world):
    world.platform.archive.complete(WORKER)
    world.platform.sessions.close()
    before = world.everything()
    with world.unwritable():
        for route in routes(world):
            kinds = (route.openapi_extra or {})[DECLARATION]["kinds"]
            if not {"person", "receiver"} & set(kinds):
                continue  # An application's or operator's: what it does has a case of its own.
            answer = call(world, route, world.tokens["person" if "person" in kinds else "receiver"])
            assert not CANARIES.find(answer.content)
            if answer.status_code == 200 and route.path.endswith(HASHES):
                continue
            assert answer.status_code == 503, (route.path, answer.status_code, answer.text[:200])
            assert answer.json()["code"] == "unavailable"
    assert world.everything() == before
    # The same calls are answered when entries can be written: it was that alone.
    asked = [route for route in routes(world) if route.path.startswith(("/dicom-web", "/api/v1/audit"))]
    answered = [call(world, route, world.tokens["person"]).status_code for route in asked]
    assert answered.count(200) > len(answered) / 2
    assert 503 not in answered


@on_all
def test_a_refusal_that_cannot_be_recorded_is_no_answer_either(world):
    """Who asks cannot find out unseen which token is valid and what it may do."""
    world.platform.denials.close()
    before = world.everything()
    with world.unwritable():
        for route in routes(world)[:10]:
            world.platform.denials._windows.clear()
            assert call(world, route, None).status_code == 503
    assert world.everything() == before


@on_all
def test_a_read_session_under_way_goes_on_and_a_new_one_does_not_begin(world):
    """What is authorised is in the trail already; its end is written when it can be."""
    path = f"/dicom-web/studies/{STUDY}"
    headers = {"Authorization": f"Bearer {world.tokens['person']}"}
    world.platform.sessions.close()
    assert world.web.client.get(path, headers=headers).status_code == 200
    with world.unwritable():
        assert world.web.client.get(path, headers=headers).status_code == 200
        assert world.web.client.get(f"{path}/metadata", headers=headers).status_code == 503
        assert world.platform.sessions.sweep(everything=True) == 0
    assert world.platform.sessions.sweep(everything=True) == 1
    assert world.kit.entries("dicomweb:study:read")[-1]["counts"]["requests"] == 2


# Methods ----------------------------------------------------------------------------------------------------------


def _orphan(world: World) -> Report:
    report = Report()
    stored = world.kit.sql("SELECT id FROM archive_segment")
    assert stored
    from uuid import uuid4

    report.findings.append(("orphan-object", uuid4()))
    return report


def _fsck(world: World) -> Fsck:
    built = world.platform
    return Fsck(built.database, built.keystore, built.objects, built.recorder)


def _skewed(world: World) -> None:
    check = ClockCheck(world.platform.database, world.platform.recorder)
    check._database = _Skewed(world.platform.database)  # type: ignore[assignment]
    check.check()


class _Skewed:
    """A database whose clock is three seconds ahead."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def clock_skew_ms(self, _: Any) -> int:
        return 3000


def _target(world: World, study: str) -> Any:
    return world.platform.archive.target(world.own.id, "images", Level.IDENTIFIED, study)


def _reservation(world: World) -> None:
    world.platform.archive._sweeper._drop_reservations(2**62, BY)


def _agree(world: World) -> None:
    world.platform.agreements.create(
        world.own.id, "images", [Level.HIGH], legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
        attested_by="Kim", by=BY,
    )  # fmt: skip


def _search(world: World) -> None:
    from wardlight.archive.model import Query

    world.platform.archive.search_studies(world.kit.query, Query())


def _anchor(world: World) -> Any:
    folder = world.platform.settings.data_dir / f"anchors-{len(world.platform.anchors.active(None))}"
    return world.platform.anchors.add(None, "file", str(folder), by=BY)


def _witness(world: World) -> Any:
    name = f"w{len(world.platform.witnesses.active(None))}.example"
    key = VerifierKey.of(name, b"w" * 32, WITNESS)
    return world.platform.witnesses.add(None, key.text, "https://witness.example", by=BY)


def _collector(world: World) -> Any:
    pem = world.platform.settings.data_dir / "collector.pem"
    if not pem.exists():
        pem.write_text(certificate())
    port = 6514 + len(world.platform.collectors.of(None))
    place = Place("siem.example", port, str(pem), str(pem), str(pem))
    return world.platform.collectors.add(None, place, by=BY)


def _export(world: World) -> Any:
    built = world.platform
    return export.export(built.parts, built.witnesses, built.sealer.seal, world.own.id, "csv", by=BY)


def _define(world: World) -> Any:
    principal = Principal(
        PrincipalKind.APPLICATION, PARTNER, world.own.id, scopes=frozenset({TokenScope.AUDIT_WRITE})
    )
    scope = world.platform.access.scope_for(
        principal, Action.AUDIT_DEFINITION_CHANGE, operation=Operation.ENTRIES, request="0" * 32
    )
    return world.platform.api.application_entries.define(scope, {"codes": ["done"]})


def _give(world: World) -> Any:
    tokens = AccessTokens(world.platform.database, world.platform.recorder)
    partner = world.platform.applications.show(PARTNER)
    return tokens.give(partner, world.own.id, purpose="TREAT", by=BY)


#: A request of a client, as far as the trail tells of it.
ASKED = ClientRequest({}, "", "", "", frozenset(), "", "0" * 32)


def _revoke(w: World) -> None:
    client = Client(PrincipalKind.APPLICATION, PARTNER)
    w.platform.api.access_tokens.revoke(client, w.given, request=ASKED)


#: What is not done again to see that it then goes through: it has no end of its own, or waits for a witness.
ONCE = ("ClockCheck.check", "export.export")

CASES: dict[str, Callable[[World], object]] = {
    "trail/application_entries.ApplicationEntries.define": _define,
    "identity/issuing.AccessTokens._add": _give,
    "access/service.Access.deny": lambda w: w.platform.access.deny(
        w.kit.principal, Action.DICOMWEB_STUDY_READ, "case", request="0" * 32
    ),
    "access/service.Access._write": lambda w: w.platform.access.fail(
        w.kit.principal, Action.DICOMWEB_STUDY_READ, "not-found", request="0" * 32
    ),
    "audit/denials.Denials.record": lambda w: w.platform.access.refuse(
        w.kit.principal, {"bad-data-set": 1}, request="0" * 32
    ),
    "agreements/service.Agreements._add": _agree,
    "agreements/service.Agreements._end": lambda w: w.platform.agreements.withdraw(w.own.id, PARTNER, by=BY),
    "agreements/service.subscribe": lambda w: w.platform.entitlements.subscribe(w.own.id, UNUSED, by=BY),
    "agreements/entitlements.Entitlements.unsubscribe": lambda w: w.platform.entitlements.unsubscribe(
        w.own.id, PARTNER, by=BY
    ),
    "agreements/entitlements.Entitlements.request": lambda w: w.platform.entitlements.request(
        PARTNER, purposes=["TREAT"], level=Level.HIGH, regions=["eu"], declared_by="K", document="D", by=BY
    ),
    "datamap/service.DataMaps.show": lambda w: w.platform.data_maps.show(
        w.own.id, Kind.MAP, Form.JSON, by=BY
    ),
    "agreements/sources.Sources.record": lambda w: w.platform.sources.record(
        w.own.id, SourceKind.OWN, "S", legal_basis="gdpr:6.1.e+9.2.h", attested_by="K", document="D", by=BY
    ),
    "archive/completion.Completion._publish": lambda w: w.platform.archive.complete(WORKER) or _fail(),
    "archive/fsck.Fsck.repair": lambda w: _fsck(w).repair(_orphan(w), BY),
    "archive/fsck.Fsck.record": lambda w: _fsck(w).record(Report(), BY, deep=False, repair=False),
    "archive/intake.Intake._reserve": lambda w: _target(w, f"{STUDY}.77"),
    "archive/intake.Intake._record": lambda w: w.kit.store(part10(dataset(StudyInstanceUID=STUDY))),
    "archive/reading.Reader._begin": lambda w: w.platform.archive.instances(w.kit.retrieve, STUDY),
    "archive/search.Search._record": _search,
    "archive/sweeping.Sweeper.remove_objects": lambda w: w.platform.archive._sweeper.remove_objects(
        [_orphan(w).findings[0][1]], BY
    ),
    "archive/sweeping.Sweeper._drop_reservations": _reservation,
    "audit/node.NodeTrail.start": lambda w: NodeTrail(w.platform.database, w.platform.recorder, "web").start(
        {"node": "changed"}, frozenset()
    ),
    "audit/node.NodeTrail.stop": lambda w: NodeTrail(w.platform.database, w.platform.recorder, "web").stop(),
    "audit/node.ClockCheck.check": _skewed,
    "audit/retention.Retention.change": lambda w: w.platform.retention.change(w.own.id, days=4000, by=BY),
    "trail/local._tell": lambda w: local.one(w.platform.parts, w.own.id, 0, 0, by=BY),
    "trail/export.export": _export,
    "trail/collectors.Collectors.add": _collector,
    "trail/collectors.Collectors.tell": lambda w: w.platform.collectors.tell(
        w.platform.collectors.of(None)[0], "broken", Event(Action.AUDIT_FORWARD_FAIL, BY)
    ),
    "trail/collectors.Collectors.remove": lambda w: w.platform.collectors.remove(
        None, w.platform.collectors.of(None)[0].place.name, by=BY
    ),
    "trail/anchors.Anchors.add": _anchor,
    "trail/anchors.Anchors.remove": lambda w: w.platform.anchors.remove(
        None, w.platform.anchors.active(None)[0].id, by=BY
    ),
    "trail/witnesses.Witnesses.add": _witness,
    "trail/witnesses.Witnesses.remove": lambda w: w.platform.witnesses.remove(
        None, w.platform.witnesses.active(None)[0].name, by=BY
    ),
    "trail/witnesses.Witnesses.enrol": lambda w: w.platform.witnesses.enrol(
        w.own, w.receiver, VerifierKey.of("any", b"r" * 32, WITNESS).public, by=BY
    ),
    "identity/service.Identity.people": lambda w: w.identity.people(w.own.id, by=BY),
    "identity/service.Identity.create_receiver": lambda w: w.identity.create_receiver(w.own.id, "g2", by=BY),
    "identity/service.Identity.revoke_tokens": lambda w: w.identity.revoke_tokens(
        w.own.id, w.receiver.id, by=BY
    ),
    "identity/applications.Applications._write": lambda w: w.platform.applications.register(
        "acme_new_prod", "A", "V", by=BY
    ),
    "identity/clients.Clients.refuse": lambda w: w.platform.api.clients.refuse(
        ASKED, None, OAuthError("invalid_client")
    ),
    "identity/issuing.AccessTokens.revoke": _revoke,
    "identity/enrolments.Enrolments._write": lambda w: w.platform.enrolments.open(w.own, "g3", by=BY),
    "identity/enrolments.Enrolments.revoke": lambda w: w.platform.enrolments.revoke(w.own.id, "g3", by=BY),
    "identity/service.Identity._issue": lambda w: w.identity.issue_receiver_token(w.receiver, by=BY),
}


# Definitions first: a case of the platform's own ends the partner's subscription.
CASES = notify_cases.CASES | CASES | people_cases.CASES | quarantine_cases.CASES
ELSEWHERE |= notify_cases.ELSEWHERE | quarantine_cases.ELSEWHERE
CASES |= sharing_cases.CASES | delivery_cases.CASES
ELSEWHERE |= sharing_cases.ELSEWHERE | delivery_cases.ELSEWHERE


def _fail() -> None:
    """What a job does that goes on with the next after an error which it has logged."""
    raise RuntimeError("nothing was done")


def writers() -> set[str]:
    """Every function that hands an entry to the recorder, the read sessions or the denials."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        module = str(file.relative_to(SOURCE).with_suffix(""))
        if module == "audit/recorder":
            continue
        tree = ast.parse(file.read_text())
        for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
            for function in [node for node in owner.body if isinstance(node, ast.FunctionDef)]:
                for node in ast.walk(function):
                    called = node.func if isinstance(node, ast.Call) else None
                    named = called.attr if isinstance(called, ast.Attribute) else ""
                    # Spelling out each call takes long.
                    name = ast.unparse(called) if named.startswith(("write", "begin", "record")) else ""
                    if re.search(r"recorder\.write\w*$|\b_?sessions\.begin$|_denials\.record$", name):
                        place = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
                        found.add(f"{module}.{place}{function.name}")
    return found


def test_every_method_that_writes_an_entry_has_a_case():
    assert writers() == {*CASES, *ELSEWHERE}


@on_all
@pytest.mark.parametrize("name", CASES)
def test_no_method_does_anything(world, name):
    if name.endswith("_publish"):
        world.kit.store(part10(dataset(StudyInstanceUID=f"{STUDY}.5")))
    if name.endswith("_drop_reservations"):
        _target(world, f"{STUDY}.66")
    world.platform.sessions.close()
    world.platform.denials.close()
    world.platform.sealer.seal()
    before = world.everything()
    with world.unwritable(), pytest.raises(Exception) as failure:
        CASES[name](world)
    assert not isinstance(failure.value, AttributeError | TypeError), failure.value
    world.platform.recorder.clock_off = False
    assert world.everything() == before
    # It was that alone: the same goes through when entries can be written.
    world.platform.denials.close()
    world.platform.archive._completion._waiting.clear()
    if not name.endswith(ONCE):
        CASES[name](world)
