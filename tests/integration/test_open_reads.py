"""Answers under way end with the access that they rest on, by a reset of the connection (security test 12)."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import replace

import pytest

from share_kit import ACME, a_hospital, ct
from wardlight.access.model import Operation, Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.open_reads import OpenReads
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.settings import WebSettings
from wardlight.web.server import WebServer
from wardlight.web.services import Services

SIDE = 2048
BYTES = SIDE * SIDE * 2


class Served:
    """A hospital behind a real server."""

    def __init__(self, kit):
        self.kit = kit
        platform = kit.platform
        self.reads = OpenReads(platform.database, platform.recorder)
        settings = platform.settings.model_copy(update={"web": WebSettings(port=0)})
        self.pool = DecoderPool(1, allow_unsandboxed=True)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        self.server = WebServer(
            Services(
                settings, platform.identity, platform.access, platform.archive, ingest, self.pool,
                platform.parts, platform.api, self.reads,
            )
        )  # fmt: skip
        self.port = self.server.bind()
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.reads.start()

    def close(self):
        self.reads.close()
        self.server.stop()
        self.thread.join(20)
        self.pool.close()

    def begin(self, token, study, below=""):
        """A client that has asked, and read the first bytes of the answer."""
        client = socket.create_connection(("127.0.0.1", self.port), 20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        client.sendall(
            f"GET /dicom-web/studies/{study}{below} HTTP/1.1\r\nHost: ward.example\r\nAuthorization: Bearer {token}\r\n"
            "Accept: */*\r\n\r\n".encode()
        )
        first = client.recv(16384)
        assert first.startswith(b"HTTP/1.1 200"), first[:300]
        return client


def ended(client):
    """Reads to the end, slowly; how many bytes came. Fails where the answer came whole."""
    client.settimeout(20)
    received = 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            data = client.recv(8192)
        except ConnectionResetError:
            return received
        assert data, "the connection ended in order, as a whole answer does"
        received += len(data)
        assert received < BYTES, "all of it came"
        time.sleep(0.005)
    raise AssertionError("it goes on")


@pytest.fixture(scope="module")
def served():
    with a_hospital() as kit:
        served = Served(kit)
        try:
            yield served
        finally:
            served.close()


@pytest.fixture
def kit(served):
    return served.kit


_NUMBERS = itertools.count(1)


def stored(kit, application, level):
    """The UID of a new study of one large image."""
    study = f"1.2.826.0.1.89.{next(_NUMBERS)}"
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.1"}
    image = ct(**uids, Rows=SIDE, Columns=SIDE, PixelData=bytes(BYTES))
    kit.store(image, application=application, level=level)
    kit.archive.complete(WORKER)
    return study


def granted(kit):
    """A new study of the application, and its grant."""
    study = stored(kit, ACME, Level.HIGH)
    scope = kit.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
    return study, kit.platform.grants.listed(scope, application=ACME)[0]


def token(kit):
    application = replace(kit.platform.applications.show(ACME), scopes=frozenset({"images.read"}))
    tokens = AccessTokens(kit.platform.database, kit.platform.recorder)
    return tokens.give(application, kit.institution.id, purpose="TREAT", by=LOCAL_ADMINISTRATOR)


def cut(kit):
    kit.platform.denials.sweep(everything=True)
    return [entry["reason"] for entry in kit.entries("access:stream:cut")]


def revoke(kit, grant):
    kit.platform.grants.revoke(kit.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE), grant.id)


def test_a_grant_that_is_revoked(served, kit):
    study, grant = granted(kit)
    client = served.begin(token(kit), study)
    revoke(kit, grant)
    ended(client)
    assert "revoked" in cut(kit)


def test_what_waits_in_the_connection_ends_too(served, kit):
    """The server has given the answer away whole; the client is slow to take it."""
    study, grant = granted(kit)
    client = served.begin(token(kit), study, f"/series/{study}.1/instances/{study}.1.1/frames/1")
    revoke(kit, grant)
    ended(client)


def test_a_suspended_application(served, kit):
    study, _ = granted(kit)
    client = served.begin(token(kit), study)
    kit.platform.applications.suspend(ACME, by=LOCAL_ADMINISTRATOR)
    ended(client)
    kit.platform.applications.approve(ACME, by=LOCAL_ADMINISTRATOR)


def test_a_token_that_is_revoked_and_a_person_who_is_suspended(served, kit):
    identity, by = kit.platform.identity, LOCAL_ADMINISTRATOR
    people = [
        identity.create_person(kit.institution.id, f"{name}@x.example", name, Role.CLINICIAN, by=by)
        for name in ("revoked", "suspended", "stays")
    ]
    study = stored(kit, IMAGES, Level.IDENTIFIED)
    clients = [served.begin(identity.issue_person_token(person, by=by), study) for person in people]
    identity.revoke_tokens(kit.institution.id, people[0].id, by=by)
    kit.platform.people.change(kit.institution.id, people[1].id, state="suspended", by=by)
    ended(clients[0])
    ended(clients[1])
    # Nobody else's answer ends.
    received = 0
    while received < BYTES - (32 << 10):
        received += len(clients[2].recv(1 << 20))


def test_a_database_that_does_not_answer_ends_all(served, kit, monkeypatch):
    study, _ = granted(kit)
    client = served.begin(token(kit), study)
    monkeypatch.setattr(served.reads, "_lost", lambda opened: time.sleep(3) or [])
    ended(client)
    monkeypatch.undo()
    assert "unavailable" in cut(kit)


def test_what_took_long_to_make_is_asked_about_again(served, kit, monkeypatch):
    """A zip of a large study is read for its checksum first: meanwhile the access ends."""
    study, grant = granted(kit)
    slow = kit.archive.checksum

    def checksum(*arguments):
        value = slow(*arguments)
        revoke(kit, grant)
        time.sleep(0.3)
        return value

    monkeypatch.setattr(kit.archive, "checksum", checksum)
    with socket.create_connection(("127.0.0.1", served.port), 20) as client:
        client.sendall(
            f"GET /dicom-web/studies/{study} HTTP/1.1\r\nHost: ward.example\r\nAuthorization: Bearer {token(kit)}\r\n"
            "Accept: application/zip\r\n\r\n".encode()
        )
        with pytest.raises(ConnectionResetError):
            assert client.recv(1) == b"never"


def test_the_end_of_an_agreement(served, kit):
    study, _ = granted(kit)
    client = served.begin(token(kit), study)
    kit.platform.agreements.withdraw(kit.institution.id, ACME, by=LOCAL_ADMINISTRATOR)
    ended(client)


def test_the_end_of_the_agreement_and_of_the_subscription_that_people_read_under(served, kit):
    platform, own, by = kit.platform, kit.institution.id, LOCAL_ADMINISTRATOR
    study = stored(kit, IMAGES, Level.IDENTIFIED)
    person = platform.identity.create_person(own, "own@x.example", "Own", Role.CLINICIAN, by=by)
    held = platform.identity.issue_person_token(person, by=by)
    client = served.begin(held, study)
    platform.entitlements.unsubscribe(own, IMAGES, by=by)
    ended(client)
    assert "not-subscribed" in cut(kit)
    platform.entitlements.subscribe(own, IMAGES, by=by)
    client = served.begin(held, study)
    platform.agreements.withdraw(own, IMAGES, by=by)
    ended(client)
    assert "agreement-withdrawn" in cut(kit)
