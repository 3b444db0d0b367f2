"""STOW upload against a real server: what is sent, what each answer means, and that nothing is given up."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import select

from stow_stub import StowStub
from wardlight import clock
from wardlight.deid.verify_pixels import Unverified
from wardlight.dicom.part10 import write_meta
from wardlight.errors import WardlightError
from wardlight.receiver import secrets, setbacks, status, tables, uploader
from wardlight.receiver.batches import Batch, Protected
from wardlight.receiver.body import Buffer, plain_part
from wardlight.receiver.connection import Address
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Level, Received, Target, Work
from wardlight.receiver.quarantine import Quarantine
from wardlight.receiver.setbacks import Backoff, Setbacks
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.upload import Outgoing, Platform, Trouble, UnreadableObject, UploadError, _Gathered
from wardlight.receiver.uploader import Holds, Uploader
from wardlight.receiver.vault import WayBack

HIGH = Target("images", Level.HIGH)
GROUP = "0" * 31 + "a"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BODY = bytes(range(256)) * 2000


def outgoing(uid: str, data: bytes = BODY) -> Outgoing:
    head = write_meta(CT, uid, EXPLICIT, implementation_class_uid="1.2", implementation_version="T")
    return Outgoing(plain_part(head, len(head), 0, len(data)), reads(data), uid, f"{uid}.9")


def reads(data: bytes) -> Callable[[int], Iterator[bytes]]:
    return lambda start: (data[at : at + 65536] for at in range(start, len(data), 65536))


@pytest.fixture
def stub() -> Iterator[StowStub]:
    with StowStub() as running:
        yield running


@pytest.fixture
def platform(stub: StowStub, tmp_path: Path) -> Iterator[Platform]:
    secrets.save_token(tmp_path / "secrets", stub.token)
    made = Platform(Address(stub.url), tmp_path / "secrets")
    yield made
    made.close()


def store(platform: Platform, *batch: Outgoing) -> dict[str, int]:
    return platform.store(HIGH, GROUP, batch, "ab" * 16)


def test_the_files_arrive_whole_with_the_headers_of_the_release(stub: StowStub, platform: Platform) -> None:
    assert store(platform, outgoing("1.1"), outgoing("1.2")) == {"1.1": 0, "1.2": 0}
    (request,) = stub.requests
    assert [file[-len(BODY) :] for file in request.files] == [BODY, BODY]
    assert request.headers["wardlight-application"] == "images"
    assert request.headers["wardlight-level"] == "high"
    assert request.headers["wardlight-study-group"] == GROUP
    assert "wardlight-quarantined" not in request.headers
    platform.store(HIGH, GROUP, [outgoing("1.3")], "ab" * 16, 7)
    assert stub.requests[-1].headers["wardlight-quarantined"] == "7"
    assert request.headers["traceparent"].split("-")[1] == "ab" * 16
    assert "transfer-encoding" not in request.headers


def test_the_connection_is_kept_and_made_anew_when_it_was_closed(stub: StowStub, platform: Platform) -> None:
    store(platform, outgoing("1.1"))
    store(platform, outgoing("1.2"))
    assert stub.connections == 1
    stub.orders.drop_connection = 1
    assert store(platform, outgoing("1.3")) == {"1.3": 0}
    assert stub.connections == 2


@pytest.mark.parametrize(
    ("status", "headers", "trouble", "wait"),
    [
        (401, {}, Trouble.UNAUTHENTICATED, 0),
        (403, {}, Trouble.FORBIDDEN, 0),
        (429, {"Retry-After": "7"}, Trouble.BUSY, 7),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, Trouble.BUSY, 0),
        (507, {}, Trouble.BUSY, 0),
        (500, {}, Trouble.REFUSED, 0),
        (400, {}, Trouble.REFUSED, 0),
        (413, {}, Trouble.REFUSED, 0),
        (302, {"Location": "http://elsewhere.example/"}, Trouble.REFUSED, 0),
    ],
)
def test_answers_to_the_whole_batch(
    stub: StowStub, platform: Platform, status: int, headers: dict[str, str], trouble: Trouble, wait: float
) -> None:
    stub.orders.answers = [(status, headers, {"code": "no-agreement"})]
    with pytest.raises(UploadError) as caught:
        store(platform, outgoing("1.1"))
    assert caught.value.trouble is trouble
    assert caught.value.wait_s == wait
    if status == 403:
        assert caught.value.code == "no-agreement"


def test_an_answer_before_the_end_of_a_large_body_is_seen(stub: StowStub, platform: Platform) -> None:
    stub.orders.early = True
    stub.orders.answers = [(403, {"Connection": "close"}, {})]
    with pytest.raises(UploadError) as caught:
        store(platform, *(outgoing(f"1.{number}") for number in range(200)))
    assert caught.value.trouble in (Trouble.FORBIDDEN, Trouble.UNREACHABLE)


def test_refusals_of_single_instances(stub: StowStub, platform: Platform) -> None:
    stub.orders.refuse = {"1.2": 0xC000}
    stub.orders.forget = {"1.3"}
    assert store(platform, outgoing("1.1"), outgoing("1.2"), outgoing("1.3")) == {"1.1": 0, "1.2": 0xC000}


def test_an_answer_that_cannot_be_read_stores_nothing(stub: StowStub, platform: Platform) -> None:
    stub.orders.answers = [(200, {}, {"00081199": {"Value": "x"}})]
    with pytest.raises(UploadError) as caught:
        store(platform, outgoing("1.1"))
    assert caught.value.trouble is Trouble.REFUSED


def test_no_platform_and_no_credential(tmp_path: Path, stub: StowStub, platform: Platform) -> None:
    secrets.save_token(tmp_path / "secrets", "another")
    with pytest.raises(UploadError) as caught:
        store(platform, outgoing("1.1"))
    assert caught.value.trouble is Trouble.UNAUTHENTICATED
    (tmp_path / "secrets" / secrets.TOKEN_FILE).unlink()
    with pytest.raises(UploadError) as caught:
        store(platform, outgoing("1.1"))
    assert caught.value.code == "no-credential"
    secrets.save_token(tmp_path / "secrets", stub.token)
    stub.stop()
    platform.close()
    with pytest.raises(UploadError) as caught:
        store(platform, outgoing("1.1"))
    assert caught.value.trouble is Trouble.UNREACHABLE


def test_an_object_that_cannot_be_read_is_named(stub: StowStub, platform: Platform) -> None:
    def broken(start: int) -> Iterator[bytes]:
        yield b"x"
        raise WardlightError("object-damaged")

    bad = Outgoing(outgoing("1.2").part, broken, "1.2", "9")
    with pytest.raises(UnreadableObject) as caught:
        store(platform, outgoing("1.1"), bad, outgoing("1.3"))
    assert caught.value.index == 1
    assert store(platform, outgoing("1.1")) == {"1.1": 0}


@pytest.mark.parametrize("sizes", [[1, 70_000, 0, 300_000, 5], [10] * 500, [2 << 20], [0], []])
def test_pieces_arrive_in_order_however_much_the_kernel_takes(sizes: list[int]) -> None:
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sent = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    got = bytearray()

    def take() -> None:
        while piece := far.recv(3000):
            got.extend(piece)

    taker = threading.Thread(target=take)
    taker.start()
    near.settimeout(10)  # As the uploader's is: a call then may take a part only.
    out = _Gathered(near)
    for piece in sent:
        out.put(memoryview(piece))
    out.flush()
    near.close()
    taker.join(10)
    far.close()
    assert bytes(got) == b"".join(sent)


def test_only_http_addresses_are_taken(tmp_path: Path) -> None:
    for url in ("", "ftp://x", "platform.example", "http://", "http://localhost:80@platform.example"):
        with pytest.raises(WardlightError):
            Platform(Address(url), tmp_path)
    connection, path = Address("https://platform.example/base/").open("/dicom-web/studies", 1)
    assert (connection.host, connection.port, path) == ("platform.example", 443, "/base/dicom-web/studies")
    assert isinstance(Address("HTTPS://Platform.Example").open("/", 1)[0], http.client.HTTPSConnection)


def test_a_platform_on_this_machine_is_verified_by_its_public_name(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
         "-addext", "subjectAltName=DNS:images.hospital.example", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def serve() -> None:
        for _ in range(3):
            try:
                listener.accept()[0].close()
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    Address(url, certificate, "images.hospital.example").open("/", 5)[0].connect()
    for wrong in (Address(url, certificate), Address(url, None, "images.hospital.example")):
        with pytest.raises(ssl.SSLCertVerificationError):
            wrong.open("/", 5)[0].connect()
    listener.close()


@dataclass
class Desk:
    """One uploader thread's surroundings, without the thread."""

    stub: StowStub
    store: ReceiverStore
    quarantine: Quarantine
    uploader: Uploader
    holds: Holds
    stop: threading.Event
    released: list[tuple[list[int], float | None]]

    def batch(self, *streams: int) -> Batch:
        works = [work for work in self.store.pending(0, 1, 0, 100) if work.stream in streams]
        batch = Batch(HIGH, GROUP, b"s" * 16)
        for work in works:
            batch.add(Protected(work, outgoing(f"1.{work.stream}"), GROUP))
        return batch

    def states(self) -> dict[int, str]:
        query = select(tables.spooled.c.stream, tables.upload.c.state).join(tables.upload)
        with self.store.database.read() as tx:
            return {row.stream: row.state for row in tx.execute(query)}

    def notes(self) -> dict[str, str]:
        with self.store.database.read() as tx:
            return {row.name: row.value for row in tx.execute(select(tables.state))}


@pytest.fixture
def desk(
    stub: StowStub, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setattr(setbacks, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(setbacks, "LONGEST_WAIT_S", 0.05)
    opened = ReceiverStore(tmp_path / "receiver.db")
    entries = Entries("node-1")
    now = clock.unix_ms()
    opened.register(
        [
            Received(
                "f", n, n, n, n, len(BODY), bytes(32), b"s" * 16, "R", "CT", "", CT, EXPLICIT, 1, now, (HIGH,)
            )
            for n in range(1, 6)
        ]
    )
    quarantine = Quarantine(opened, tmp_path / "quarantine", secrets.load(tmp_path / "secrets"), entries)
    holds, stop, released = Holds(), threading.Event(), list[tuple[list[int], float | None]]()

    def note(works: Sequence[Work], again: float | None) -> None:
        released.append(([work.stream for work in works], again))

    made = Uploader(
        platform, opened, Setbacks(opened, quarantine), entries, holds, stop, lambda ways: None, note
    )
    yield Desk(stub, opened, quarantine, made, holds, stop, released)
    opened.close()


def test_a_taken_batch_is_done(desk: Desk) -> None:
    desk.uploader.deliver(desk.batch(1, 2))
    assert desk.states() == {1: "stored", 2: "stored", 3: "pending", 4: "pending", 5: "pending"}
    assert desk.released == [([1, 2], None)]
    assert desk.notes() == {"platform": "ok"}
    with desk.store.database.read() as tx:
        rows = [row.decode() for row in tx.execute(select(tables.audit_pending.c.content)).scalars()]
    assert [
        action for row in rows for action in ("protect", "verify", "upload") if f"study:{action}" in row
    ] == [
        "protect",
        "verify",
        "upload",
    ]


def test_what_belongs_to_a_deleted_study_is_held_until_somebody_decides(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.stub.orders.refuse = {"1.1": 0xC002}
    desk.uploader.deliver(desk.batch(1, 2))
    assert desk.states()[1] == "held" and desk.states()[2] == "stored"
    assert desk.released == [([2], None), ([1], 600.0)]
    desk.store.settle("f")
    assert desk.store.finished_files() == [], "its file stays"
    assert status._from_database(desk.store)["held_deleted"]["uploads"] == 1
    assert desk.store.take_up_held() == 0, "not yet"
    later = clock.unix_ms() + 601_000
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    assert desk.store.take_up_held() == 1
    desk.stub.orders.refuse = {}
    desk.uploader.deliver(desk.batch(1))
    assert desk.states()[1] == "stored"


def test_nothing_is_sent_before_its_way_back_is_kept(desk: Desk) -> None:
    def full(ways: Sequence[WayBack]) -> None:
        raise WardlightError("out-of-resources")

    desk.uploader._keep = full
    desk.uploader.deliver(desk.batch(1, 2))
    assert desk.stub.requests == [] and desk.states()[1] == desk.states()[2] == "pending"
    assert desk.released == [([1, 2], 1.0)]
    desk.uploader._keep = lambda ways: None
    desk.uploader.deliver(desk.batch(1, 2))
    assert desk.states()[1] == desk.states()[2] == "stored"


def test_each_instance_gets_its_own_end(desk: Desk) -> None:
    desk.stub.orders.refuse = {"1.1": 0x0111, "1.2": 0xC000, "1.3": 0xA700}
    desk.stub.orders.forget = {"1.4"}
    desk.uploader.deliver(desk.batch(1, 2, 3, 4, 5))
    assert desk.states() == {1: "conflict", 2: "quarantined", 3: "pending", 4: "pending", 5: "stored"}
    (entry,) = desk.store.quarantined()
    assert entry.reasons == ("platform-c000",)
    content = desk.quarantine.read(entry)
    assert content.endswith(BODY)
    assert b"1.2.9" in content
    time.sleep(0.1)
    desk.stub.orders.refuse, desk.stub.orders.forget = {}, set()
    desk.uploader.deliver(desk.batch(3, 4))
    assert desk.states()[3] == desk.states()[4] == "stored"


def test_an_outage_is_waited_out(desk: Desk) -> None:
    desk.stub.stop()
    timer = threading.Timer(0.3, desk.stub.start)
    timer.start()
    desk.uploader.deliver(desk.batch(1))
    assert desk.states()[1] == "stored"
    assert desk.notes() == {"platform": "ok"}


def test_a_missing_credential_is_said_and_waited_for(desk: Desk, tmp_path: Path) -> None:
    secrets.save_token(tmp_path / "secrets", "revoked")
    worker = threading.Thread(target=desk.uploader.deliver, args=(desk.batch(1),))
    worker.start()
    deadline = time.monotonic() + 5
    while desk.notes().get("platform") != "unauthenticated" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert desk.notes() == {"platform": "unauthenticated"}
    assert desk.states()[1] == "pending"
    secrets.save_token(tmp_path / "secrets", desk.stub.token)
    worker.join(5)
    assert desk.states()[1] == "stored"


def test_a_refused_target_is_held_and_others_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than any machine needs to look; then time is moved.
    monkeypatch.setattr(setbacks, "FIRST_WAIT_S", 600.0)
    monkeypatch.setattr(setbacks, "LONGEST_WAIT_S", 600.0)
    desk.stub.orders.answers = [(403, {}, {"code": "level-not-agreed"})]
    desk.uploader.deliver(desk.batch(1))
    assert desk.holds.held() == [HIGH]
    assert desk.notes() == {"target:images:high": "level-not-agreed"}
    assert desk.states()[1] == "pending"
    assert desk.batch(1).items == []
    moment, wall = time.monotonic(), clock.unix_ms()
    monkeypatch.setattr(uploader.time, "monotonic", lambda: moment + 600)
    monkeypatch.setattr(clock, "unix_ms", lambda: wall + 600_000)
    assert desk.holds.held() == []
    assert [work.attempts for work in desk.batch(1).works] == [0]
    desk.uploader.deliver(desk.batch(1))
    assert desk.notes() == {"platform": "ok"}


def test_what_an_earlier_process_noted_of_a_target_is_forgotten_once_it_is_taken(desk: Desk) -> None:
    desk.store.note("target:images:high", "level-not-agreed")
    desk.uploader.deliver(desk.batch(1))
    assert desk.notes() == {"platform": "ok"}


def test_a_batch_that_fails_is_put_back_so_that_others_pass(desk: Desk) -> None:
    desk.stub.orders.answers = [(500, {}, {})]
    desk.uploader.deliver(desk.batch(1, 2))
    assert desk.released[0][0] == [1, 2]
    assert desk.released[0][1] is not None
    desk.uploader.deliver(desk.batch(3))
    assert desk.states()[3] == "stored"


def test_a_processing_failure_that_stays_ends_in_quarantine(desk: Desk) -> None:
    desk.stub.orders.refuse = {"1.1": 0x0110}
    for _ in range(11):
        time.sleep(0.06)
        desk.uploader.deliver(desk.batch(1))
    assert desk.states()[1] == "quarantined"


def test_stopping_ends_the_wait(desk: Desk) -> None:
    desk.stub.orders.always = (503, {"Retry-After": "300"}, {})
    worker = threading.Thread(target=desk.uploader.deliver, args=(desk.batch(1),))
    worker.start()
    time.sleep(0.2)
    desk.stop.set()
    worker.join(5)
    assert not worker.is_alive()
    assert desk.states()[1] == "pending"


def test_an_unreadable_object_does_not_hold_up_its_batch(desk: Desk) -> None:
    def broken(start: int) -> Iterator[bytes]:
        raise WardlightError("object-damaged")
        yield b""

    batch = desk.batch(1, 2)
    item = batch.items[0]
    batch.items[0] = Protected(item.work, Outgoing(item.outgoing.part, broken, "1.1", "9"), GROUP)
    desk.uploader.deliver(batch)
    assert desk.states()[1] == "damaged"
    assert ([2], 0.0) in desk.released


def test_content_that_proves_wrong_while_it_is_sent_goes_to_quarantine(desk: Desk) -> None:
    batch = desk.batch(1, 2)
    item = batch.items[0]

    def through(chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        raise Unverified("unused-bits")
        yield b""

    part = replace(item.outgoing.part, through=through)
    batch.items[0] = Protected(item.work, replace(item.outgoing, part=part), GROUP)
    desk.uploader.deliver(batch)
    assert desk.states()[1] == "quarantined"
    (entry,) = desk.store.quarantined()
    assert entry.reasons == ("unused-bits",)
    assert ([2], 0.0) in desk.released


def test_back_off_doubles_to_its_limit_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    backoff = Backoff()
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.next(at_least=90) == 90
    backoff.reset()
    assert backoff.next() == 1


def test_quarantine_discards_purges_and_sweeps(desk: Desk, tmp_path: Path) -> None:
    (work,) = [work for work in desk.store.pending(0, 1, 0, 100) if work.stream == 1]
    desk.quarantine.put(work, reads(BODY), "1.2.3", ("harvest:(0008,103E)",))
    desk.quarantine.put(work, reads(BODY), "1.2.3", ("harvest:(0008,103E)",))
    (entry,) = desk.store.quarantined()
    stored = [
        file for file in (tmp_path / "quarantine").rglob("*") if file.is_file() and file.suffix != ".lock"
    ]
    assert len(stored) == 1
    assert BODY[:64] not in stored[0].read_bytes()
    with desk.quarantine._objects.create(bytes(32), entry.id, 5) as orphan:  # type: ignore[arg-type]
        orphan.commit()
    holder = Quarantine(desk.store, tmp_path / "quarantine", secrets.load(tmp_path / "secrets"), Entries("n"))
    holder.share()
    assert desk.quarantine.sweep() == 0
    assert desk.quarantine.purge(entry.at) == 0
    assert desk.quarantine.purge(entry.at + 1) == 1
    assert desk.store.quarantined() == []
