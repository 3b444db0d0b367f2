"""The receiver's part of handovers: what it does with each answer of a platform, over HTTP as in service."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from archive_kit import part10
from deid_kit import decode
from vault_kit import CAME, open_vault, report, secrets_of, series, way_of
from wardlight.agreements.model import Level
from wardlight.receiver import secrets
from wardlight.receiver.anew import Maker
from wardlight.receiver.connection import Address
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.handing import PATH, SCOPE, Handing
from wardlight.receiver.model import Target
from wardlight.receiver.protect import Protector
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending
from wardlight.receiver.upload import Platform, UploadError

A, B = Target("acme", Level.HIGH), Target("beta", Level.HIGH)
ID = "ab" * 16


class Desk(BaseHTTPRequestHandler):
    """A platform with one handover. `script` of the server says what it answers to a store request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server: Any = self.server
        if self.path == PATH:
            self._answer(200, json.dumps({"handovers": server.rows}).encode())
        else:
            self._answer(200, server.file, "application/dicom")

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.seen.append((self.path, dict(self.headers), body))
        if self.path.startswith(PATH):
            self._answer(200, json.dumps({"id": ID, "reason": ""}).encode())
            return
        status, failure = server.script
        if status != 200:
            self._answer(status, json.dumps({"code": "forbidden"}).encode())
            return
        start = body.index(b"\r\n\r\n") + 4
        sent = pydicom.dcmread(io.BytesIO(body[start : body.rindex(b"\r\n--")]))
        server.sent.append(sent)
        uid = str(sent.SOPInstanceUID)
        item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
        if failure:
            item["00081197"] = {"vr": "US", "Value": [failure]}
        tag = "00081198" if failure else "00081199"
        self._answer(200, json.dumps({tag: {"vr": "SQ", "Value": [item]}}).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class World:
    """A receiver that hands results over, and the platform that it talks to."""

    def __init__(self, folder: Path) -> None:
        self.server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.vault = open_vault(folder, CAME)
        keys = secrets_of(folder)
        image = series(1)[0]
        way, header = way_of(self.vault, image, A, keys.hospital)
        self.vault.keep([way])
        self.original = image
        self.server.file = part10(report(decode(header)))
        self.server.script, self.server.seen, self.server.sent = (200, 0), [], []
        self.row: dict[str, Any] = {
            "id": ID, "application": "acme", "release_level": "high", "recipient": "beta", "level": "high",
            "study": "2.25.1", "instance": "2.25.2", "bytes": len(self.server.file), "handed_out": False,
        }  # fmt: skip
        self.server.rows = [self.row]
        secrets.save_token(folder / "secrets", "wl_t")
        self.store = ReceiverStore(folder / "receiver.db")
        address = Address(f"http://127.0.0.1:{self.server.server_port}")
        maker = Maker(self.vault, keys, Protector(None, keys, self.vault))  # type: ignore[arg-type]
        place = folder / "secrets"
        self.handing = Handing(
            Exchange(address, place, SCOPE), Platform(address, place), maker, self.vault, self.store,
            Entries("node-1"), threading.Event(), place,
        )  # fmt: skip

    @property
    def settled(self) -> list[dict[str, str]]:
        return [json.loads(body) for path, _, body in self.server.seen if path.endswith("/settle")]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        with self.store.database.read() as tx:
            rows = [json.loads(row) for row in tx.execute(select(audit_pending.c.content)).scalars()]
        return [(row["action"], row["outcome"], row.get("reason", "")) for row in rows]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.store.close()
        self.vault.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_what_can_be_made_is_told_before_it_leaves(world: World) -> None:
    assert world.handing.work() == 1 and world.settled == []
    (path, headers, _), (sent,) = world.server.seen[0], world.server.sent
    assert path == "/dicom-web/studies" and headers["Wardlight-Handover"] == ID
    assert (headers["Wardlight-Application"], headers["Wardlight-Level"]) == ("beta", "high")
    assert (
        sent.PatientID != world.original.PatientID
        and sent.StudyInstanceUID != world.original.StudyInstanceUID
    )
    assert world.told == [
        ("receiver:result:reidentify", "success", ""),
        ("receiver:study:upload", "success", ""),
    ]
    # A result of the recipient on what it got finds its way home, too.
    found = world.vault.original(str(sent.StudyInstanceUID).encode())
    assert found is not None and found[0] == str(world.original.StudyInstanceUID).encode()
    assert world.vault.whose(str(sent.PatientID).encode()) == world.vault.study(found[0]).person


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((403, 0), "forbidden"),
        ((400, 0), "400"),
        ((200, 0x0111), "instance-conflict"),
        ((200, 0xC000), "platform-c000"),
    ],
)
def test_what_the_platform_refuses_is_over(world: World, script: tuple[int, int], reason: str) -> None:
    world.server.script = script
    world.handing.work()
    assert world.settled == [{"reason": reason}]
    assert ("receiver:study:upload", "success", "") not in world.told


def test_what_the_platform_has_no_time_for_waits(world: World) -> None:
    world.server.script = (503, 0)
    with pytest.raises(UploadError):
        world.handing.work()
    assert world.settled == []
    # The next time it is handed out already, is put back, and comes again.
    world.row["handed_out"], world.server.script = True, (200, 0)
    world.handing.work()
    assert world.settled == [{}] and len(world.server.sent) == 0


def test_what_is_no_result_of_that_application_is_refused(world: World) -> None:
    """The pseudonym is of the release that acme has; whoever says otherwise would get it restored for another."""
    world.row["application"] = "somebody_else"
    world.handing.work()
    assert world.settled == [{"reason": "another-release"}] and world.server.sent == []
    assert world.told == [("receiver:result:reidentify", "denied", "another-release")]


def test_what_cannot_be_restored_is_refused(world: World) -> None:
    world.server.file = b"no DICOM"
    world.handing.work()
    assert world.settled == [{"reason": "not-dicom"}]


def test_what_was_erased_is_not_restored(world: World) -> None:
    world.vault.erase_study(str(world.original.StudyInstanceUID).encode())
    world.handing.work()
    assert world.settled == [{"reason": "study-unknown"}] and world.server.sent == []


def test_what_is_too_large_for_memory_is_not_fetched(world: World) -> None:
    world.row["bytes"] = 1 << 40
    world.handing.work()
    assert world.settled == [{"reason": "too-large"}] and world.told == []


@pytest.mark.parametrize("row", [{}, {"id": "../etc"}, {"id": "zz" * 16}, {"level": "none"}])
def test_an_answer_that_is_none_does_nothing(world: World, row: dict[str, str]) -> None:
    world.server.rows = [{**world.row, **row} if row else {}]
    with pytest.raises(ExchangeError):
        world.handing.work()
    assert world.server.seen == []


def test_nothing_leaves_without_its_entry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(world.store, "append", unwritable)
    with pytest.raises(OSError):
        world.handing.work()
    assert world.server.seen == []
