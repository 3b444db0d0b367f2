"""Processes that load a platform until they are killed, and what must be true of its trail afterwards.

`Crowd` starts them as forks of a process that has loaded the program, so that a new one is there in a moment.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import multiprocessing
import os
import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from archive_kit import CT, Kit, dataset, incoming, part10

multiprocessing.set_forkserver_preload(
    ["audit_load", "wardlight.processes", "wardlight.web.server", "wardlight.web.app", "wardlight.ingest.service",
     "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "pydicom"]
)  # fmt: skip
# The process that is forked looks for modules there only.
os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))

REASON_ROLLED_BACK = "rolled-back"


# What a process does -----------------------------------------------------------------------------------------------


def _platform(values: dict[str, Any]) -> Any:
    from wardlight import bootstrap, log
    from wardlight.settings import Settings

    log.configure("load", level="error")
    return bootstrap.platform(Settings(**values))


def write(values: dict[str, Any], institution: str) -> None:
    """Mixed operations without end, a third of them rolled back after their entry was written."""
    from uuid import UUID

    from wardlight.access.model import Principal, PrincipalKind, Role, TokenScope
    from wardlight.audit.actions import Action
    from wardlight.audit.model import Event
    from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

    platform = _platform(values)
    identity, own = platform.identity, UUID(institution)
    principal = Principal(
        PrincipalKind.PERSON, "u-1", own, Role.ADMINISTRATOR, frozenset(TokenScope), secrets.token_hex(4)
    )

    def name() -> str:
        return f"n{secrets.token_hex(8)}"

    def person() -> None:
        made = identity.create_person(own, name(), "P", Role.CLINICIAN, by=BY)
        identity.issue_person_token(made, by=BY)
        if random.random() < 0.5:
            identity.revoke_tokens(own, made.id, by=BY)

    def rolled_back() -> None:
        try:
            with platform.database.begin(own) as tx:
                event = Event(Action.IDENTITY_PERSON_CREATE, BY, reason=REASON_ROLLED_BACK)
                platform.recorder.write(tx, own, event)
                time.sleep(random.random() / 200)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    def store() -> None:
        study = f"1.2.826.0.1.90.{random.randrange(12)}"
        file = part10(dataset(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPClassUID=CT))
        target = platform.archive.target(own, "images", _identified(), study)
        writer = platform.archive.begin_segment(target)
        instance = incoming(file, writer.tell())
        writer.write(file)
        platform.archive.commit(target, writer, [instance], actor=principal, request=secrets.token_hex(16))

    def read() -> None:
        scope = platform.access.scope_for(
            principal, Action.DICOMWEB_STUDY_READ, request=secrets.token_hex(16), address="192.0.2.1"
        )
        for study in range(12):
            try:
                places = platform.archive.instances(scope, f"1.2.826.0.1.90.{study}")
                b"".join(platform.archive.read(scope, places[0]))
            except Exception:
                continue
        if random.random() < 0.3:
            platform.sessions.sweep(everything=True)

    operations = (
        person, person, rolled_back, rolled_back, rolled_back, store, store, read,
        lambda: platform.applications.register(f"a_b_{name()}", "A", "V", by=BY),
        lambda: identity.create_receiver(own, name(), by=BY),
    )  # fmt: skip
    while True:
        try:
            random.choice(operations)()
        except Exception:
            time.sleep(0.05)


def _identified() -> Any:
    from wardlight.agreements.model import Level

    return Level.IDENTIFIED


def seal(values: dict[str, Any], _: str) -> None:
    """A sealer without pauses."""
    platform = _platform(values)
    while True:
        platform.sealer.seal()
        time.sleep(0.02)


def web(values: dict[str, Any], _: str) -> None:
    """`wardlight web`."""
    from wardlight import log, processes
    from wardlight.settings import Settings

    log.configure("web", level="error")
    processes.run_web(Settings(**values))


def worker(values: dict[str, Any], _: str) -> None:
    """`wardlight worker`: completes studies, seals, ends sessions of lost nodes."""
    from wardlight import log, processes
    from wardlight.settings import Settings

    log.configure("worker", level="error")
    processes.run_worker(Settings(**values))


class Crowd:
    """Running processes, by kind; the dead are replaced when they are killed."""

    def __init__(self, values: dict[str, Any], institution: str, kinds: list[Callable[..., None]]) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._arguments = (values, institution)
        self._kinds = kinds
        self._running: list[Any] = [self._start(kind) for kind in kinds]
        self.killed: Counter[str] = Counter()

    def _start(self, kind: Callable[..., None]) -> Any:
        process = self._context.Process(target=kind, args=self._arguments, daemon=True)
        process.start()
        return process

    def kill(self, randomness: random.Random) -> None:
        """SIGKILL to one of them, and another in its place."""
        place = randomness.randrange(len(self._running))
        process = self._running[place]
        assert process.is_alive(), f"{self._kinds[place].__name__} ended by itself with {process.exitcode}"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        self.killed[self._kinds[place].__name__] += 1
        self._running[place] = self._start(self._kinds[place])

    def end(self) -> None:
        """All of them, at once and without warning."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.join()


# Clients of the web process ----------------------------------------------------------------------------------------


class Client(threading.Thread):
    """Asks the web process until told to stop. acknowledged: (what, request) that was answered as done."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(daemon=True)
        self.port, self.token = port, token
        self.acknowledged: list[tuple[str, str]] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            what = random.choice(("search", "store", "read", "no study"))
            request = secrets.token_hex(16)
            study = f"1.2.826.0.1.91.{random.randrange(6)}"
            try:
                status = self._ask(what, study, request)
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
                continue
            if status == 200:
                self.acknowledged.append((what, request))

    def _ask(self, what: str, study: str, request: str) -> int:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "traceparent": f"00-{request}-{secrets.token_hex(8)}-01",
        }
        path = {"search": f"?StudyInstanceUID={study}", "store": "", "read": f"/{study}", "no study": "/1.1"}[
            what
        ]
        body = None
        if what == "store":
            headers["Content-Type"] = "application/dicom"
            body = part10(dataset(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1"))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST" if body else "GET", f"/dicom-web/studies{path}", body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


# What must be true afterwards --------------------------------------------------------------------------------------


class Aftermath:
    """The database after all processes are gone and everything is sealed, read by SQL alone."""

    def __init__(self, platform: Any) -> None:
        self.platform = platform
        from wardlight.db.engine import EVERYWHERE

        self._everywhere = EVERYWHERE
        while platform.sealer.seal():
            pass
        self.logs = self.sql("SELECT log, origin, size, root FROM audit_log ORDER BY log")
        self.entries: list[dict[str, Any]] = []

    def sql(self, statement: str) -> list[Any]:
        with self.platform.database.read(self._everywhere) as tx:
            return list(tx.execute(text(statement)).all())

    def check_logs(self) -> None:
        """Every log: no gap, nothing left over, the root of a rebuild, and one chain of signed heads."""
        assert self.sql("SELECT count(*) FROM audit_pending") == [(0,)]
        for log, origin, size, root in self.logs:
            rows = self.sql(f"SELECT idx, content FROM audit_entry WHERE log = {log} ORDER BY idx")
            assert [row[0] for row in rows] == list(range(size)), origin
            contents = [bytes(row[1]) for row in rows]
            leaves = [hashlib.sha256(b"\0" + content).digest() for content in contents]
            assert rebuilt(leaves) == bytes(root), origin
            read = [json.loads(content) for content in contents]
            assert {entry["log"] for entry in read} <= {origin}
            self.entries += read
            heads = self.sql(f"SELECT size, root, note FROM audit_checkpoint WHERE log = {log} ORDER BY size")
            assert not size or heads[-1][0] == size, "the last head is not signed"
            for at, signed, note in heads:
                assert rebuilt(leaves[:at]) == bytes(signed)
                lines = note.split("\n")
                assert lines[:4] == [origin, str(at), base64.b64encode(signed).decode(), ""]
                assert len([line for line in lines[4:] if line.startswith(f"\u2014 {origin} ")]) == 1
            # The signer's state, which is in another database, knows no head beside this chain.
            last = self.platform.signer.last(origin)
            assert last is None or last.size in {at for at, _, _ in heads}
        ids = [entry["id"] for entry in self.entries]
        assert len(ids) == len(set(ids))

    def of(self, action: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["action"] == action and entry["outcome"] != "failed"]

    def check_operations(self) -> Counter[str]:
        """Each row has its entry and each entry its row; returns how many of each kind there were."""
        assert not [entry for entry in self.entries if entry.get("reason") == REASON_ROLLED_BACK]
        found: Counter[str] = Counter()
        for action, rows in {
            "identity:person:create": "SELECT id FROM person",
            "identity:receiver:enrol": "SELECT id FROM receiver",
            "identity:application:register": "SELECT id FROM application",
            "identity:token:issue": "SELECT holder FROM token",
        }.items():
            there = Counter(row[0] for row in self.sql(rows))
            told = Counter(entry["object"]["id"] for entry in self.of(action))
            assert told == there, (action, told - there, there - told)
            found[action] = there.total()
        revoked = sum(entry.get("counts", {}).get("tokens", 0) for entry in self.of("identity:token:revoke"))
        assert [(revoked,)] == self.sql("SELECT count(*) FROM token WHERE revoked_ms IS NOT NULL")
        self._check_studies(found)
        self._check_reads(found)
        return found

    def _check_studies(self, found: Counter[str]) -> None:
        keys = Counter(bytes(row[0]).hex() for row in self.sql("SELECT key_id FROM archive_release"))
        told = Counter(entry["object"]["id"].replace("-", "") for entry in self.of("archive:key:create"))
        assert keys == told
        stores = self.of("dicomweb:study:store")
        instances = sum(entry.get("counts", {}).get("instances", 0) for entry in stores)
        assert [(instances,)] == self.sql("SELECT count(*) FROM archive_instance")
        # Each store that added something and each completion emits one event, in the transaction of its entry.
        added = sum(bool(entry.get("counts", {}).get("instances")) for entry in stores)
        completed = len(self.of("archive:study:complete"))
        assert [(added + completed,)] == self.sql("SELECT count(*) FROM event_outbox")
        found["dicomweb:study:store"], found["archive:study:complete"] = added, completed

    def _check_reads(self, found: Counter[str]) -> None:
        """Each session that began has one end: counted, or unknown where its process was killed."""
        reads = [entry for entry in self.entries if "phase" in entry]
        began = Counter(entry["id"] for entry in reads if entry["phase"] == "authorised")
        ended = Counter(entry["of"] for entry in reads if entry["phase"] == "finished")
        assert began == ended
        assert self.sql("SELECT count(*) FROM audit_read_session") == [(0,)]
        found["read sessions"] = began.total()
        found["read sessions of killed processes"] = sum(
            entry["outcome"] == "unknown" for entry in reads if entry["phase"] == "finished"
        )

    def check_answers(self, acknowledged: list[tuple[str, str]]) -> None:
        """What a client was told is done is in the trail once, under its request's number."""
        by_request = Counter((entry.get("request"), entry["action"]) for entry in self.entries)
        for what, request in acknowledged:
            if what in ("search", "store"):
                action = "dicomweb:study:query" if what == "search" else "dicomweb:study:store"
                assert by_request[request, action] == 1, (what, request)


def rebuilt(leaves: list[bytes]) -> bytes:
    """The root by the definition of RFC 9162 section 2.1.1, level by level."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = leaves
    while len(level) > 1:
        paired = [
            hashlib.sha256(b"\1" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)
        ]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def prepared(folder: Path, database_url: str, port: int) -> tuple[dict[str, Any], Kit, str]:
    """Settings, an institution with an agreement and an administrator, and her token."""
    from wardlight import bootstrap
    from wardlight.access.model import Role, TokenScope
    from wardlight.agreements.model import IMAGES, Level
    from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
    from wardlight.settings import Settings, WebSettings

    values = {
        "data_dir": folder / "data", "demo": True, "completion_quiet_s": 0.2, "database_url": database_url,
        "database_connections": 4, "decoders": 1, "log_level": "error",
        "web": WebSettings(host="127.0.0.1", port=port),
    }  # fmt: skip
    kit = Kit(bootstrap.platform(Settings(**values), migrate=True), folder)
    kit.platform.agreements.create(
        kit.institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",), attested_by="Kim", by=BY
    )  # fmt: skip
    person = kit.platform.identity.create_person(kit.institution.id, "a", "A", Role.ADMINISTRATOR, by=BY)
    scopes = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE)
    return values, kit, kit.platform.identity.issue_person_token(person, by=BY, scopes=scopes)
