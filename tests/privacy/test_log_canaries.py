"""Security test 25: values of every class through every error path, at debug level; none is in a log or an answer.

A whole installation runs with faults put into it: code of each process raises a stranger's exception whose text holds
what it was working on, as libraries' exceptions do. What all processes print, the metrics, every problem+json answer,
the command line and everything on disk are searched afterwards, in five encodings.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from bench.fast_store_scu import Instance, Refused, Sender

import live
import wardlight
from canary import Canaries
from small_objects import CT, EXPLICIT_LITTLE, element
from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.items import UserIdentity, UserInformation
from wardlight.dicom.part10 import write_meta

SR = "1.2.840.10008.5.1.4.1.1.88.11"
ROOT = "1.2.826.0.1.3680043.8.498.25."

#: Class of data → its value in this test. UIDs stand in each object, with a number at the end.
VALUES = {
    "patient name": "Zeppelinfield^Ottoline",
    "patient id": "MRN-5518842-Q",
    "birth date": "19371119",
    "address": "Nachtigallenweg 41 Quakenbrueck",
    "phone": "+49-5431-778899",
    "accession": "ACC-991-QQ",
    "study description": "Thorax wegen Zwerchfellparese",
    "physician": "Quastenflosser^Hedwig",
    "hospital": "Klinikum Quakenbrueck Sued",
    "uid": ROOT,
    "free text": "Lebertransplantation am Freitag",
    "password": "hunter2-Quakenbrueck",
    "token": "wl_pt_QuakenbrueckQuakenbrueckQuakenbrueckQ",
}
CANARIES = Canaries(VALUES.values())

#: Loaded by every Python process of the installation before its own code: faults, each asked for by a mark in the data.
FAULTS = '''
import sys

arguments = getattr(sys, "orig_argv", [])


def stranger(data, kind=ValueError):
    """What a library raises: an exception with the value in its text, its arguments and its cause."""
    text = bytes(data).decode("latin-1")
    try:
        raise KeyError(text)
    except KeyError as cause:
        raise kind(text, {"row": text}) from cause


if "wardlight.receiver.node" in arguments:
    from wardlight.receiver.registrar import Registrar
    from wardlight.receiver.sink import ObjectSink

    take, check = ObjectSink._take, ObjectSink._check

    def faulty_take(self, data):
        if b"FAULT-WRITE" in bytes(data):
            stranger(data)
        take(self, data)

    def faulty_check(self):
        check(self)
        if b"FAULT-COMMIT" in self._stream.header:
            stranger(self._stream.header, RuntimeError)

    ObjectSink._take, ObjectSink._check = faulty_take, faulty_check

if "wardlight.receiver.pipeline" in arguments:
    import threading
    import warnings

    from wardlight.deid.engine import Deidentifier

    deidentify = Deidentifier.deidentify

    def faulty_deidentify(self, header, *rest, **named):
        if b"FAULT-DEID" in header:
            warnings.warn(header.decode("latin-1"), UserWarning)
            threading.Thread(target=stranger, args=(header,)).start()
            stranger(header, IndexError)
        return deidentify(self, header, *rest, **named)

    Deidentifier.deidentify = faulty_deidentify

if "web" in arguments[-2:]:
    from sqlalchemy.exc import IntegrityError, OperationalError

    from wardlight.archive.reading import Reader
    from wardlight.archive.search import Search
    from wardlight.ingest.part import IncomingPart

    search, read, write = Search.search, Reader.read, IncomingPart.write

    def faulty_search(self, scope, level, query):
        found = search(self, scope, level, query)
        text = repr(found.rows)
        for key in query.keys:
            if key.value == "FAULT-SEARCH":
                stranger(text.encode())
            if key.value == "FAULT-INTEGRITY":
                raise IntegrityError("INSERT INTO x VALUES (?)", {"name": text}, ValueError(text))
            if key.value == "FAULT-OPERATIONAL":
                raise OperationalError("SELECT ?", {"name": repr(query)}, ValueError(text))
        return found

    def faulty_read(self, scope, location, *rest):
        for piece in read(self, scope, location, *rest):
            yield piece
            if b"FAULT-READ" in piece:
                stranger(piece)

    def faulty_write(self, data):
        if b"FAULT-STOW" in bytes(data):
            stranger(data, LookupError)
        write(self, data)

    Search.search, Reader.read, IncomingPart.write = faulty_search, faulty_read, faulty_write
'''


def data_set(number: int, comment: str = "", *, sop_class: str = CT, leave_out: int = 0) -> bytes:
    rows = {
        0x00080005: ("CS", "ISO_IR 192"),
        0x00080016: ("UI", sop_class),
        0x00080018: ("UI", f"{ROOT}3.{number}"),
        0x00080020: ("DA", "20250310"),
        0x00080050: ("SH", VALUES["accession"]),
        0x00080060: ("CS", "CT"),
        0x00080080: ("LO", VALUES["hospital"]),
        0x00080081: ("ST", VALUES["address"]),
        0x00080090: ("PN", VALUES["physician"]),
        0x00081030: ("LO", VALUES["study description"]),
        0x00100010: ("PN", VALUES["patient name"]),
        0x00100020: ("LO", VALUES["patient id"]),
        0x00100030: ("DA", VALUES["birth date"]),
        0x00102154: ("SH", VALUES["phone"]),
        0x00104000: ("LT", f"{VALUES['free text']} {comment}"),
        0x0020000D: ("UI", f"{ROOT}1.{number}"),
        0x0020000E: ("UI", f"{ROOT}2.{number}"),
        0x00200013: ("IS", "1"),
    }
    rows.pop(leave_out, None)
    return b"".join(element(tag, vr, value) for tag, (vr, value) in rows.items())


def instance(number: int, comment: str = "", **changes) -> Instance:
    data = data_set(number, comment, **changes)
    sop_class = changes.get("sop_class", CT)
    return Instance(sop_class, f"{ROOT}3.{number}", EXPLICIT_LITTLE, memoryview(data))


def nested(depth: int) -> bytes:
    """Patient names in sequences within sequences."""
    head = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return (head + element(0x00100010, "PN", VALUES["patient name"])) * depth


class World:
    """The installation and what it was seen to say."""

    def __init__(self, wardlight: live.Installation) -> None:
        self.wardlight = wardlight
        self.said: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}

    def store(self, what: str, one: Instance, level: str = "identified", **options) -> None:
        pair = (one.sop_class, one.transfer_syntax)
        title = self.wardlight.ae_titles.get(level, level)
        try:
            with Sender(self.wardlight.dicom_port, [pair], called_ae=title, **options) as sender:
                answer = sender.store(one)
                self.statuses[what] = answer.status
                self.said[what] = repr(answer).replace(one.sop_instance, "").encode()
        except (Refused, ConnectionError) as error:
            self.statuses[what] = -1
            self.said[what] = repr(error).encode()

    def http(
        self, what: str, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> int:
        """One request below /; the whole answer is searched unless it is data that was asked for (2xx)."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Authorization", f"Bearer {self.wardlight.token()}")
        connection = http.client.HTTPConnection("127.0.0.1", self.wardlight.web_port, timeout=30)
        try:
            connection.putrequest(method, path.replace(" ", "%20"), skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            status = answer.status
            try:
                content = answer.read()
            except http.client.IncompleteRead as broken:
                content, status = broken.partial, -status
            if status >= 400:
                self.said[what] = str(answer.headers).encode() + content
            self.statuses[what] = status
            return status
        except (ConnectionError, http.client.HTTPException) as error:
            self.statuses[what] = -1
            self.said[what] = type(error).__name__.encode()
            return -1
        finally:
            connection.close()

    def raw(self, what: str, port: int, data: bytes) -> None:
        """Bytes that are no request; what comes back is searched."""
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while piece := connection.recv(65536):
                    received += piece
            except OSError:
                pass
        self.said[what] = received


def dicom_errors(world: World) -> None:
    good = instance(1)
    world.store("identified", good)
    world.store("high", instance(2), "high")
    world.store("conflict", instance(1, "other content"))
    world.store("cut", Instance(CT, f"{ROOT}3.3", EXPLICIT_LITTLE, memoryview(data_set(3)[:-9])))
    world.store(
        "no vr", Instance(CT, f"{ROOT}3.4", EXPLICIT_LITTLE, memoryview(data_set(4) + b"\x99\x99\x10\x00??"))
    )
    world.store("mismatch", Instance(CT, f"{ROOT}3.5", EXPLICIT_LITTLE, memoryview(data_set(6))))
    world.store("no study", instance(7, leave_out=0x0020000D))
    world.store("depth", Instance(CT, f"{ROOT}3.8", EXPLICIT_LITTLE, memoryview(data_set(8) + nested(40))))
    world.store("fault in write", instance(9, "FAULT-WRITE"))
    world.store("fault in commit", instance(10, "FAULT-COMMIT"))
    world.store("fault in deid", instance(11, "FAULT-DEID"), "high")
    world.store("report", instance(12, sop_class=SR), "high")
    world.store("fault in read", instance(13, "FAULT-READ"))
    tail = element(0xFFFCFFFC, "OB", f"FAULT-READ {VALUES['patient name']}")
    large = data_set(19) + element(0x7FE00010, "OW", bytes(3 << 20)) + tail
    world.store("large", Instance(CT, f"{ROOT}3.19", EXPLICIT_LITTLE, memoryview(large)))
    world.store("unknown title", good, "QUAKENBRUECK")
    user = UserInformation(
        1 << 20, "1.2.3", "V", identity=UserIdentity(2, True, b"u", VALUES["password"].encode())
    )
    world.store("password", instance(14), user=user)
    pair = (CT, EXPLICIT_LITTLE)
    with Sender(world.wardlight.dicom_port, [pair], called_ae="WARD_IDENTIFIED") as sender:
        head = pdu.HEADER.pack(pdu.DATA_TF, 10**6) + data_set(15)
        sender.socket.sendall(head)
        sender.socket.shutdown(socket.SHUT_WR)
        sender.receive()
        sender.socket.close()
        sender.release = lambda: None  # type: ignore[method-assign]
    with Sender(world.wardlight.dicom_port, [pair], called_ae="WARD_IDENTIFIED") as sender:
        # A command set that is none.
        value = pdu.PDV_HEADER.pack(len(data_set(16)) + 2, 1, 3) + data_set(16)
        sender.socket.sendall(pdu.HEADER.pack(pdu.DATA_TF, len(value)) + value)
        world.said["command"] = repr(sender.receive()).encode()
        sender.release = lambda: None  # type: ignore[method-assign]
    world.raw("no pdu", world.wardlight.dicom_port, data_set(17))
    world.raw("endless pdu", world.wardlight.dicom_port, b"\x01\0\xff\xff\xff\xff" + data_set(18))


def http_errors(world: World) -> None:
    canary = VALUES["patient name"]
    study = f"/dicom-web/studies/{ROOT}1.1"
    for number, (field, value) in enumerate(VALUES.items()):
        name = f"search {field}"
        world.http(name, f"/dicom-web/studies?PatientID={value}&PatientName={canary}")
        world.http(f"{name} as key", f"/dicom-web/series?{value}=1")
        world.http(f"{name} as date", f"/dicom-web/studies?StudyDate={value}")
        world.http(f"{name} as number", f"/dicom-web/instances?InstanceNumber={value}")
        world.http(f"{name} as uid", f"/dicom-web/instances?SOPInstanceUID={value}x")
        world.http(f"{name} as limit", f"/dicom-web/studies?limit={value}")
        world.http(f"{name} as path", f"/dicom-web/studies/{value}/series/{number}")
        world.http(f"{name} as place", f"/{value}")
        world.http(f"{name} as method", f"{study}/metadata", method="BREW-" + field.upper().replace(" ", "-"))
        world.http(f"{name} as accept", study, Accept=f"application/{value}; type={value}")
        world.http(f"{name} as type", "/dicom-web/studies", method="POST", body=b"x", Content_Type=value)
        world.http(f"{name} as host", f"{study}/metadata?x={value}", Host=value.replace(" ", "."))
        world.http(f"{name} as frame", f"{study}/series/{ROOT}2.1/instances/{ROOT}3.1/frames/{value}")
        world.http(f"{name} as token", study, Authorization=f"Bearer {value}")
        world.http(f"{name} as scheme", study, Authorization=f"{value} x")
        world.http(f"{name} as release", "/dicom-web/studies", method="POST", body=b"x",
                   Content_Type="application/dicom", Wardlight_Application=value, Wardlight_Level=value)  # fmt: skip
        world.http(f"{name} as trace", study + "/nothing", traceparent=value)
        world.http(f"{name} as forwarded", "/metrics", X_Forwarded_For=value)
    world.http("long", "/dicom-web/studies?PatientName=" + canary * 1000)
    world.http("percent", f"/dicom-web/studies?PatientName={canary}%ff%zz")
    meta = write_meta(
        CT, f"{ROOT}3.20", EXPLICIT_LITTLE, implementation_class_uid="1.2", implementation_version="T"
    )
    bodies = {
        "cut file": meta + data_set(20)[:-7],
        "no study": meta + data_set(21, leave_out=0x0020000D),
        "depth": meta + data_set(22) + nested(40),
        "no file": VALUES["free text"].encode() * 50,
        "fault": meta + data_set(23, "FAULT-STOW"),
        "conflict": meta + data_set(1, "third content"),
    }
    for name, body in bodies.items():
        world.http(
            f"stow {name}", "/dicom-web/studies", method="POST", body=body, Content_Type="application/dicom"
        )
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    part = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    for name, body in {
        "preamble": VALUES["patient name"].encode() * 200 + part,
        "header": b"--b\r\n" + VALUES["patient name"].encode() + b"\r\n\r\n" + data_set(24),
        "end": part + data_set(25) + b"\r\n--b",
        "fault": part + meta + data_set(26, "FAULT-STOW") + b"\r\n--b--",
    }.items():
        world.http(f"multipart {name}", "/dicom-web/studies", method="POST", body=body, Content_Type=kind)
    for fault in ("FAULT-SEARCH", "FAULT-INTEGRITY", "FAULT-OPERATIONAL"):
        world.http(fault, f"/dicom-web/studies?StudyDescription={fault}&PatientName={canary}")
        world.http(
            f"{fault} rows", f"/dicom-web/instances?PatientID={VALUES['patient id']}&StudyDescription={fault}"
        )
    world.http(
        "fault while reading",
        f"/dicom-web/studies/{ROOT}1.13",
        Accept='multipart/related; type="application/dicom"',
    )
    world.http(
        "fault in mid-stream",
        f"/dicom-web/studies/{ROOT}1.19",
        Accept='multipart/related; type="application/dicom"',
    )
    world.raw("no http", world.wardlight.web_port, f"GET /{canary} SPDY/9\r\n{canary}\r\n\r\n".encode())
    world.raw(
        "no header", world.wardlight.web_port, f"GET / HTTP/1.1\r\nHost: x\r\n{canary}\r\n\r\n".encode()
    )
    world.raw("no length", world.wardlight.web_port,
              f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: {canary}\r\n\r\n".encode())  # fmt: skip


def command_errors(world: World) -> None:
    """Commands of this installation, good and bad; what they print is searched."""
    for arguments in (
        ("receiver", "status"),
        ("receiver", "quarantine", "list", "--json"),
        ("fsck", "--deep", "--json"),
        ("admin", "user", "list", "demo"),
    ):
        done = world.wardlight.wardlight(*arguments, check=False)
        world.said["wardlight " + " ".join(arguments)] = (done.stdout + done.stderr).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "faults").mkdir()
    (folder / "faults" / "sitecustomize.py").write_text(FAULTS)
    environment = {
        "PYTHONPATH": f"{folder / 'faults'}:{os.environ.get('PYTHONPATH', '')}",
        "WARDLIGHT_LOG_LEVEL": "debug",
        "TMPDIR": str(tmp_path_factory.mktemp("temporary")),
    }
    with live.installation(folder, "--no-samples", environment=environment) as wardlight:
        world = World(wardlight)
        dicom_errors(world)
        live.wait_until(lambda: wardlight.receiver_status()["queue"]["objects"] == 0, 60, "uploads")
        http_errors(world)
        command_errors(world)
        world.http("metrics", "/metrics")
        with urllib.request.urlopen(f"http://127.0.0.1:{wardlight.web_port}/metrics") as answer:
            world.said["metrics"] = answer.read()
        world.limits = {
            process.pid: Path(f"/proc/{process.pid}/limits").read_text()
            for process in wardlight.processes()
        }  # fmt: skip
        wardlight.stop()
        yield world


def events(world: World) -> list[dict]:
    return [json.loads(line) for line in world.wardlight.log.read_text().splitlines() if line.startswith("{")]


def test_the_error_paths_were_taken(world):
    """Else the searches below show nothing."""
    status = world.statuses
    assert status["identified"] == status["high"] == status["conflict"] == status["fault in read"] == 0
    assert status["fault in deid"] == status["report"] == 0
    assert status["cut"] == status["no vr"] == status["no study"] == status["depth"] == 0xC000
    assert status["mismatch"] == 0xA900
    assert status["fault in write"] == status["fault in commit"] == 0x0110
    assert status["unknown title"] == -1
    assert status["FAULT-SEARCH rows"] == 500
    assert status["FAULT-INTEGRITY rows"] == status["FAULT-OPERATIONAL rows"] == 503
    assert status["stow fault"] == status["multipart fault"] == 500
    assert status["fault while reading"] == 500
    assert status["fault in mid-stream"] == -200, (
        "the answer had begun: it ends early and is not taken for whole"
    )
    assert {status[f"stow {name}"] for name in ("cut file", "no study", "depth", "no file", "conflict")} == {
        409
    }
    seen = {row["event"] for row in events(world)}
    assert seen >= {
        "web.request", "web.failed", "receiver.refused", "receiver.rejected", "receiver.quarantined",
        "receiver.protect_failed", "dicom.store_failed", "ingest.refused", "uncaught",
    }  # fmt: skip


def test_no_value_is_in_any_log(world):
    content = world.wardlight.log.read_bytes()
    assert len(content) > 20_000
    assert not CANARIES.find(content)
    assert b"Traceback" not in content and b"FAULT-" not in content


def test_every_line_is_a_structured_one(world):
    """Whatever a library prints past our log would stand out here."""
    text = world.wardlight.log.read_text()
    before, ready, rest = text.partition("ready\n")
    printed, end, after = rest.partition("Ctrl-C stops the demo.\n")
    assert ready and end and "Try next" in printed
    assert not [line for line in (before + after).splitlines() if line and not line.startswith("{")]


def test_faults_are_logged_by_type_and_our_own_line(world):
    kinds = {row["error_type"] for row in events(world) if "error_type" in row}
    assert kinds >= {"ValueError", "RuntimeError", "IndexError", "LookupError", "IntegrityError"}
    assert all(
        ".py:" in row["error_at"] or row["error_at"] == "outside"
        for row in events(world)
        if "error_at" in row
    )


def test_no_value_is_in_any_answer_of_an_error(world):
    assert len(world.said) > 100
    found = {what: values for what, said in world.said.items() if (values := CANARIES.find(said))}
    # The answer to a store names the instances by the UIDs that were sent (PS3.18 Table I.2-1).
    found = {what: values - {ROOT} if what.startswith("stow ") else values for what, values in found.items()}
    assert not {what: values for what, values in found.items() if values}


def test_problems_are_of_the_catalogue(world):
    bodies = [
        said.partition(b"\n\n")[2] for said in world.said.values() if b"application/problem+json" in said
    ]
    assert len(bodies) > 100
    for body in bodies:
        assert set(json.loads(body)) <= {"type", "title", "status", "code", "request", "detail", "reason"}


def test_no_value_is_on_any_disk(world):
    """Index, objects, spool, quarantine, receiver database; names of files too."""
    found = CANARIES.search(world.wardlight.data)
    assert not found


def test_no_process_leaves_a_core(world):
    assert len(world.limits) >= 5
    for limits in world.limits.values():
        line = next(row for row in limits.splitlines() if row.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], line


LOUD = """
import asyncio, concurrent.futures, gc, logging, sys, threading, warnings
from wardlight import log
log.configure("test", level="debug")
canary = "Zeppelinfield^Ottoline"

for name in ("", "pydicom", "pydicom.filereader", "pynetdicom", "pynetdicom.acse", "uvicorn", "uvicorn.error",
             "uvicorn.access", "sqlalchemy", "sqlalchemy.engine.Engine", "sqlalchemy.pool", "asyncio", "httptools",
             "concurrent.futures", "multiprocessing", "anyio", "fastapi", "starlette", "PIL", "something.new"):
    logger = logging.getLogger(name)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "patient %s", canary)
        child = logging.getLogger((name + "." if name else "") + "child")
        child.setLevel(logging.DEBUG)
        child.log(level, "patient %s", canary)
    logger.setLevel(logging.DEBUG)
    logger.critical(canary)
    try:
        raise ValueError(canary)
    except ValueError:
        logger.exception(canary)
logging.basicConfig()
logging.warning(canary)
warnings.warn(canary)
warnings.warn(canary, DeprecationWarning)
warnings.warn_explicit(canary, UserWarning, canary + ".py", 1)

def fail():
    raise ValueError(canary)

thread = threading.Thread(target=fail, name=canary)
thread.start()
thread.join()

class Dying:
    def __del__(self):
        fail()

Dying()
gc.collect()

async def forgotten():
    fail()

async def main():
    task = asyncio.ensure_future(forgotten())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)

asyncio.run(main())
with concurrent.futures.ThreadPoolExecutor() as pool:
    future = pool.submit(fail)
    future.add_done_callback(lambda done: fail())
import uvicorn, pydicom, pynetdicom, sqlalchemy  # their loggers' own handlers come with them
for name in ("pydicom", "pynetdicom", "uvicorn.error", "sqlalchemy.engine"):
    logging.getLogger(name).error(canary)
engine = sqlalchemy.create_engine("sqlite://", echo=True)
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT :name"), {"name": canary}).all()
raise RuntimeError(canary)
"""


def test_third_party_loggers_warnings_and_tracebacks_say_nothing(tmp_path):
    """Everything that Python and the libraries print by themselves, after `log.configure`, at every level."""
    done = subprocess.run(
        [sys.executable, "-c", LOUD], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert not [line for line in output.splitlines() if not line.startswith("{")]
    assert "Zeppelinfield" not in output and "Ottoline" not in output
    kinds = [json.loads(line).get("error_type") for line in output.splitlines()]
    assert kinds.count("ValueError") >= 1 and "RuntimeError" in kinds


POOL_FAULT = """
import wardlight.cli.deidentify_file as module

def boom(self, item):
    raise ValueError(item.path.read_bytes().decode("latin-1"))

module.Worker.process = boom
"""


def test_a_child_process_of_the_command_line_that_fails_says_its_type_only(tmp_path):
    """`wardlight deidentify` with a fault in its worker processes: their tracebacks hold the file's content."""
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults" / "sitecustomize.py").write_text(POOL_FAULT)
    (tmp_path / "in").mkdir()
    meta = write_meta(
        CT, f"{ROOT}3.1", EXPLICIT_LITTLE, implementation_class_uid="1.2", implementation_version="T"
    )
    for number in range(30):
        (tmp_path / "in" / f"{VALUES['patient name']}-{number}.dcm").write_bytes(meta + data_set(number))
    done = subprocess.run(
        [sys.executable, "-m", "wardlight", "deidentify", "in", "out", "--workers", "2", "--report", "report.json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'faults'}:{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    assert done.returncode == 1
    assert not CANARIES.find((done.stdout + done.stderr).encode())
    assert "ValueError" in done.stderr and "Traceback" not in done.stderr
    assert not CANARIES.search(tmp_path / "out")
    assert not (tmp_path / "report.json").exists()


def test_no_process_is_started_in_a_way_that_prints_tracebacks():
    """`multiprocessing.Process` prints the traceback of its target past every hook; a pool hands it to the caller."""
    source = Path(wardlight.__file__).parent
    users = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "multiprocessing" in path.read_text() or "os.fork" in path.read_text()
    }
    assert users == {"cli/deidentify_pool.py"}
    assert ".Process(" not in (source / "cli" / "deidentify_pool.py").read_text()
