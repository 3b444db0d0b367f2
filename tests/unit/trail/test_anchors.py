"""Anchors: heads get there, each delivery is an entry, failures are told once."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from archive_kit import Kit
from platform_kit import a_platform
from rsyslog import CLIENT, Authority, Collector, wait_for
from trail_kit import seal
from wardlight import clock
from wardlight.audit.note import Note
from wardlight.audit.verifier import read_checkpoints
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import anchors
from wardlight.trail.anchors import Anchors, append_file, post_https
from wardlight.trail.collectors import Place

BY = LOCAL_ADMINISTRATOR


@pytest.fixture
def platform(stores):
    with a_platform() as built:
        yield built


@pytest.fixture
def kit(platform):
    kit = Kit(platform, platform.settings.data_dir)
    seal(platform)
    return kit


@pytest.fixture
def later(monkeypatch):
    """Moves the clock on by so many seconds."""
    moved = [0]
    real = clock.unix_ms
    monkeypatch.setattr(anchors, "clock", SimpleNamespace(unix_ms=lambda: real() + moved[0] * 1000))

    def later(seconds):
        moved[0] += seconds

    return later


def at(target):
    return SimpleNamespace(target=target)


def told(kit):
    log = kit.platform.audit_log
    head = log.logs(kit.institution.id)[-1]
    found = [json.loads(content) for _, content, _ in log.entries(head, 0, head.size)] + kit.entries()
    return [entry for entry in found if entry["action"].startswith("audit:anchor:")]


def newest(kit):
    log = kit.platform.audit_log
    return log.checkpoint(log.logs(kit.institution.id)[-1])


def test_a_file_is_only_appended_to(kit, tmp_path, later):
    file = tmp_path / "worm" / "stmary.log"
    file.parent.mkdir()
    anchor = kit.platform.anchors.add(kit.institution.id, "file", str(file), 3600, by=BY)
    notes = []
    for _ in range(3):
        seal(kit.platform)
        notes.append(newest(kit))
        assert kit.platform.anchors.deliver() == 1
        assert kit.platform.anchors.deliver() == 0
        later(3601)
    assert read_checkpoints(file) == notes
    kept = [Note.parse(note) for note in notes]
    assert [one.size for one in kept] == sorted({one.size for one in kept})
    change, *sent = told(kit)
    assert change["action"] == "audit:anchor:change"
    assert change["change"] == [
        {"path": "target", "after": f"file {file}"}, {"path": "every_s", "after": 3600},
    ]  # fmt: skip
    assert [(one["action"], one["outcome"], one["detail"]["size"]) for one in sent] == [
        ("audit:anchor:send", "success", one.size) for one in kept
    ]
    assert {one["object"]["id"] for one in sent} == {str(anchor.id)}


def test_a_day_is_the_usual_time_between_deliveries(kit, tmp_path, later):
    kit.platform.anchors.add(kit.institution.id, "file", str(tmp_path / "a"), by=BY)
    seal(kit.platform)
    assert kit.platform.anchors.deliver() == 1
    seal(kit.platform)
    later(80_000)
    assert kit.platform.anchors.deliver() == 0
    later(7_000)
    assert kit.platform.anchors.deliver() == 1


def test_a_failure_is_told_once_and_tried_again(kit, tmp_path, later):
    file = tmp_path / "absent" / "a"
    kit.platform.anchors.add(kit.institution.id, "file", str(file), by=BY)
    for _ in range(3):
        assert kit.platform.anchors.deliver() == 0
        later(301)
    assert [(one["action"], one["outcome"], one["reason"]) for one in told(kit)[1:]] == [
        ("audit:anchor:fail", "failed", "unreachable")
    ]
    (row,) = kit.platform.anchors.active(kit.institution.id)
    assert row.state == "unreachable"
    file.parent.mkdir()
    assert kit.platform.anchors.deliver() == 1
    assert told(kit)[-1]["action"] == "audit:anchor:send"
    assert kit.platform.anchors.active(kit.institution.id)[0].state == ""


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_only_a_plain_file_is_written_to(tmp_path, kind):
    target = tmp_path / "target"
    if kind == "link":
        target.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    else:
        target = "/dev/null"
    with pytest.raises(OSError):
        append_file(at(str(target)), "note\n")
    assert not (tmp_path / "elsewhere").exists()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def place():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.got, server.status = [], 204
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/anchors/stmary"
    yield server
    server.shutdown()
    server.server_close()


def test_https_gets_the_note(kit, place, later):
    kit.platform.anchors.add(kit.institution.id, "https", place.url, by=BY)
    seal(kit.platform)
    for status in (500, 302, 404):
        place.status = status
        assert kit.platform.anchors.deliver() == 0
        later(301)
    assert [one["reason"] for one in told(kit)[1:]] == ["unavailable"]
    place.status = 201
    place.got.clear()
    seal(kit.platform)
    assert kit.platform.anchors.deliver() == 1
    assert place.got == [("/anchors/stmary", newest(kit))]


def test_a_certificate_that_is_not_trusted_gets_nothing(kit, tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.got, server.status = [], 200
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}/x"
    kit.platform.anchors.add(kit.institution.id, "https", url, by=BY)
    assert kit.platform.anchors.deliver() == 0
    assert told(kit)[-1]["reason"] == "tls" and server.got == []
    post_https(at(url), "note\n", lambda: ssl.create_default_context(cafile=str(certificate)))
    assert server.got == [("/x", "note\n")]
    server.shutdown()
    server.server_close()


def test_the_operators_log_has_anchors_of_its_own(kit, tmp_path):
    kit.platform.anchors.add(None, "file", str(tmp_path / "operator"), by=BY)
    assert kit.platform.anchors.active(kit.institution.id) == []
    assert kit.platform.anchors.deliver() == 1
    (note,) = read_checkpoints(tmp_path / "operator")
    assert Note.parse(note).origin.endswith("/audit/operator/1")


def test_a_collector_gets_the_note_in_one_line(kit, tmp_path):
    authority = Authority(tmp_path)
    collector = Collector(tmp_path, authority)
    collector.start()
    try:
        certificate, key = authority.issue(CLIENT)
        name = f"localhost:{collector.port}"
        kit.platform.anchors.add(kit.institution.id, "syslog", name, by=BY)
        place = Place("localhost", collector.port, str(authority.path), str(certificate), str(key))
        assert kit.platform.anchors.deliver() == 0
        assert told(kit)[-1]["reason"] == "not-found"
        kit.platform.anchors.remove(
            kit.institution.id, kit.platform.anchors.active(kit.institution.id)[0].id, by=BY
        )
        kit.platform.collectors.add(kit.institution.id, place, by=BY)
        kit.platform.anchors.add(kit.institution.id, "syslog", name, by=BY)
        seal(kit.platform)
        note = newest(kit)
        assert kit.platform.anchors.deliver() == 1
        wait_for(collector.messages)
        (message,) = collector.messages()
    finally:
        collector.stop()
    head = Note.parse(note)
    words = re.fullmatch(
        rb"<85>1 (\S+) localhost wardlight - AUDIT-CHECKPOINT - origin=(\S+) size=(\d+) note=(\S+)", message
    )
    assert words and (words[2].decode(), int(words[3])) == (head.origin, head.size)
    assert b64decode(words[4]).decode() == note


def test_two_workers_deliver_once(kit, tmp_path):
    calls, gate = [], threading.Barrier(2)
    platform = kit.platform
    slow = Anchors(
        platform.database, platform.recorder, platform.audit_log, {"file": lambda *args: calls.append(args)}
    )
    slow.add(kit.institution.id, "file", "/x", by=BY)

    def work():
        gate.wait()
        slow.deliver()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_what_is_no_anchor(kit):
    for kind, target in (("mail", "x"), ("file", "x"), ("file", "/x\n"), ("https", "http://x.example")):
        with pytest.raises(WardlightError, match="bad-request"):
            kit.platform.anchors.add(kit.institution.id, kind, target, by=BY)
    with pytest.raises(WardlightError, match="bad-request"):
        kit.platform.anchors.add(kit.institution.id, "file", "/x", 60, by=BY)
    assert told(kit) == []
