"""Hostile and broken peers (security.md section 11, row 21): bounded, properly aborted, others served."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from bench.fast_store_scu import Instance, Refused, Sender

from memory_gateway import MemoryGateway, node
from wardlight import log
from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.command import Command
from wardlight.dicom.dimse.items import UserIdentity, UserInformation
from wardlight.dicom.dimse.negotiation import VERIFICATION
from wardlight.dicom.dimse.pdu import AssociateReject
from wardlight.receiver.scp import StorageScp

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
CONTEXTS = [(VERIFICATION, IMPLICIT), (CT, IMPLICIT)]
STORE = dimse.encode(Command(1, 1, sop_class=CT, sop_instance="1.2.3", priority=0, has_data_set=True))


def data_tf(context: int, flags: int, fragment: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(fragment) + 6, len(fragment) + 2, context, flags) + fragment


def connect(scp: StorageScp) -> socket.socket:
    return socket.create_connection(("127.0.0.1", scp.port), 10)


def drained(connection: socket.socket) -> bytes:
    """All until the node closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return received


def wait_for(check: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def serves(scp: StorageScp) -> bool:
    """A well-behaved sender is served now."""
    with Sender(scp.port, CONTEXTS, timeout=10) as sender:
        return sender.store(Instance(CT, "1.2.3.9", IMPLICIT, memoryview(bytes(10_000)))).status == 0


@pytest.fixture
def gateway() -> MemoryGateway:
    return MemoryGateway()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    before = log._logger
    log._logger = log.Logger("receiver", stream, 10)
    yield stream
    log._logger = before


def test_half_open_flood(gateway: MemoryGateway) -> None:
    with node(gateway, half_open_per_address=3, artim_s=0.3) as scp:
        held = [connect(scp) for _ in range(3)]
        wait_for(lambda: len(scp._here._running) == 3)
        refused = [connect(scp) for _ in range(20)]
        assert all(drained(connection) == b"" for connection in refused)
        assert scp.statistics().refused_connections == 20
        assert len(scp._here._running) == 3
        assert [drained(connection) for connection in held] == [b""] * 3  # ARTIM.
        wait_for(lambda: not scp._here._running)
        assert serves(scp)
        for connection in held + refused:
            connection.close()


def test_half_open_connections_do_not_count_once_associated(gateway: MemoryGateway) -> None:
    with node(gateway, half_open_per_address=1) as scp:
        senders = []
        for _ in range(4):
            senders.append(Sender(scp.port, CONTEXTS))
        assert serves(scp)
        for sender in senders:
            sender.release()
            sender.socket.close()


@pytest.mark.parametrize("limit", ["associations", "associations_per_address"])
def test_too_many_associations_are_rejected_for_now(gateway: MemoryGateway, limit: str) -> None:
    with node(gateway, **{limit: 2}) as scp:
        first, second = Sender(scp.port, CONTEXTS), Sender(scp.port, CONTEXTS)
        with pytest.raises(Refused) as caught:
            Sender(scp.port, CONTEXTS)
        assert caught.value.pdu == AssociateReject(2, 3, 2)
        first.release()
        first.socket.close()
        wait_for(lambda: scp.statistics().associations == 1)
        assert serves(scp)
        second.release()
        second.socket.close()


def test_request_that_comes_byte_by_byte_meets_artim(gateway: MemoryGateway) -> None:
    """Each byte is progress, and the timer runs on all the same."""
    with node(gateway, artim_s=0.3) as scp, connect(scp) as connection:
        with contextlib.suppress(ConnectionError):
            for value in pdu.HEADER.pack(1, 100_000) + bytes(100_000):
                connection.sendall(bytes([value]))
                time.sleep(0.02)
                if not scp._here._running:
                    break
        wait_for(lambda: not scp._here._running, 2)
        assert serves(scp)


def test_idle_association_is_aborted(gateway: MemoryGateway) -> None:
    with node(gateway, idle_s=0.5) as scp:
        sender = Sender(scp.port, CONTEXTS)
        assert sender.receive() == pdu.Abort(0)
        sender.socket.close()


def test_idle_in_the_middle_of_an_object(gateway: MemoryGateway) -> None:
    with node(gateway, idle_s=0.5) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(data_tf(3, 3, STORE) + data_tf(3, 0, b"half"))
        assert sender.receive() == pdu.Abort(0)
        sender.socket.close()
    assert len(gateway.aborted) == 1


def test_slow_sender_is_aborted_within_an_object(gateway: MemoryGateway) -> None:
    with node(gateway, slow_window_s=0.4, slow_bytes_per_s=100_000) as scp:
        sender = Sender(scp.port, CONTEXTS)
        time.sleep(0.6)  # Between objects a sender may take its time.
        sender.socket.sendall(data_tf(3, 3, STORE))
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                sender.socket.sendall(data_tf(3, 0, b"x"))
                time.sleep(0.01)
                if gateway.aborted:
                    break
        assert len(gateway.aborted) == 1
        assert sender.receive() == pdu.Abort(0)
        sender.socket.close()
        assert serves(scp)


def test_a_sender_within_the_rate_is_not_aborted(gateway: MemoryGateway) -> None:
    with node(gateway, slow_window_s=0.1, slow_bytes_per_s=1000) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(data_tf(3, 3, STORE))
        for _ in range(30):
            sender.socket.sendall(data_tf(3, 0, bytes(500)))
            time.sleep(0.02)
        sender.socket.sendall(data_tf(3, 2, b""))
        assert sender.response().status == 0
        sender.release()
        sender.socket.close()


def test_our_own_slowness_is_not_held_against_the_sender(gateway: MemoryGateway) -> None:
    gateway.fail_write = lambda sink: time.sleep(0.3)
    with node(gateway, slow_window_s=0.2, slow_bytes_per_s=1 << 30, idle_s=0.2) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(data_tf(3, 3, STORE) + data_tf(3, 2, bytes(5000)))
        assert sender.response().status == 0
        sender.release()
        sender.socket.close()


def test_one_byte_fragments(gateway: MemoryGateway) -> None:
    with node(gateway) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(data_tf(3, 3, STORE) + data_tf(3, 0, b"x") * 50_000)
        assert serves(scp)
        sender.socket.sendall(data_tf(3, 2, b"y"))
        assert sender.response().status == 0
        sender.release()
        sender.socket.close()
    assert sorted(len(row.data) for row in gateway.stored) == [10_000, 50_001]


def test_endless_command(gateway: MemoryGateway) -> None:
    with node(gateway) as scp:
        sender = Sender(scp.port, CONTEXTS)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                sender.socket.sendall(data_tf(1, 1, bytes(60_000)))
        assert sender.receive() in (pdu.Abort(2, 6), None)  # A reset may overtake it while we still send.
        sender.socket.close()
        assert serves(scp)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">BxI", 4, 0xFFFFFFFF),
        struct.pack(">BxI", 1, 0xFFFFFFFF),
        struct.pack(">BxIIBB", 4, 100, 0xFFFFFFFF, 3, 3),
        data_tf(3, 3, struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF)),
        data_tf(3, 3, STORE) + struct.pack(">BxIIBB", 4, 0xFFFFFFFF, 0xFFFFFFF0, 3, 0),
    ],
)
def test_lengths_of_four_gigabytes(gateway: MemoryGateway, data: bytes) -> None:
    before = psutil.Process().memory_info().rss
    with node(gateway) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(data)
        answer = sender.receive()
        assert isinstance(answer, pdu.Abort)
        sender.socket.close()
        assert serves(scp)
    assert psutil.Process().memory_info().rss - before < 32 << 20


def test_a_peer_that_does_not_close_after_an_abort(gateway: MemoryGateway) -> None:
    with node(gateway, artim_s=0.3) as scp:
        sender = Sender(scp.port, CONTEXTS)
        sender.socket.sendall(b"\xff" * 6)
        assert sender.receive() == pdu.Abort(2, 1)
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(400):
                sent += sender.socket.send(bytes(1000))
                time.sleep(0.005)
                if not scp._here._running:
                    break
        wait_for(lambda: not scp._here._running, 2)
        sender.socket.close()


def test_a_peer_that_does_not_read_its_answers(gateway: MemoryGateway) -> None:
    """Echo requests without end whose responses stay in its window: sending has a timeout."""
    with node(gateway, artim_s=0.5) as scp:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", scp.port))
        request = pdu.AssociateRequest(
            "ANY-SCP", "DEAF", (pdu.ProposedContext(1, VERIFICATION, (IMPLICIT,)),), UserInformation(0)
        )
        connection.sendall(pdu.encode(request))
        echo = data_tf(1, 3, dimse.encode(Command(dimse.C_ECHO_RQ, 1, sop_class=VERIFICATION)))
        connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(echo * 200)
        assert serves(scp)
        wait_for(lambda: not scp._here._running, 5)
        connection.close()


def test_large_objects_leave_memory_flat(gateway: MemoryGateway) -> None:
    gateway.keep = False
    part = data_tf(3, 0, bytes((1 << 20) - 6))
    with node(gateway) as scp:
        senders = [Sender(scp.port, CONTEXTS) for _ in range(4)]
        for sender in senders:
            sender.socket.sendall(data_tf(3, 3, STORE))
        before = psutil.Process().memory_info().rss
        for _ in range(50):
            for sender in senders:
                sender.socket.sendall(part)
        for sender in senders:
            sender.socket.sendall(data_tf(3, 2, b"end"))
            assert sender.response().status == 0
        # 4 buffers of 1 MiB, against 200 MiB that were sent.
        assert psutil.Process().memory_info().rss - before < 24 << 20
        for sender in senders:
            sender.release()
            sender.socket.close()


@pytest.mark.long
def test_twenty_senders_of_500_megabytes(gateway: MemoryGateway) -> None:
    gateway.keep = False
    data = memoryview(bytes(500_000_000))

    def work(number: int) -> None:
        with Sender(scp.port, CONTEXTS, timeout=300) as sender:
            assert sender.store(Instance(CT, f"1.2.{number}", IMPLICIT, data)).status == 0

    with node(gateway, associations_per_address=20, half_open_per_address=20) as scp:
        before = psutil.Process().memory_info().rss
        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        peak = before
        while any(thread.is_alive() for thread in threads):
            peak = max(peak, psutil.Process().memory_info().rss)
            time.sleep(0.02)
        assert peak - before < 64 << 20
    assert len(gateway.stored) == 20


def test_logs_hold_no_uid_and_no_identity(gateway: MemoryGateway, lines: io.StringIO) -> None:
    canary = "1.2.276.0.777777"
    identity = UserInformation(0, identity=UserIdentity(2, True, b"canary-user", b"canary-password"))
    with node(gateway, artim_s=0.3) as scp:
        with Sender(scp.port, CONTEXTS, user=identity) as sender:
            assert sender.store(Instance(CT, canary, IMPLICIT, memoryview(b"canary data"))).status == 0
            gateway.fail_commit = lambda sink: 1 / 0  # type: ignore[assignment, return-value]
            assert sender.store(Instance(CT, canary, IMPLICIT, memoryview(b"canary data"))).status == 0x0110
        with pytest.raises(Refused):
            Sender(scp.port, CONTEXTS, called_ae="EVIL\n{}\x1b[0m")
    text = lines.getvalue()
    assert canary not in text
    assert "canary" not in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["called_ae"] for row in rows if row["event"] == "dicom.association_rejected"] == [
        "EVIL?{}?[0m"
    ]
    assert {row["event"] for row in rows} >= {
        "dicom.listening",
        "dicom.association_closed",
        "dicom.store_failed",
    }
    assert not log.dropped
