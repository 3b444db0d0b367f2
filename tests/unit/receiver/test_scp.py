"""The DICOM node over real sockets: what it stores, what it answers, what it leaves behind."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from bench.fast_store_scu import Instance, Refused, Sender

from memory_gateway import MemoryGateway, MemorySink, Stored, node
from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.command import Command
from wardlight.dicom.dimse.items import UserInformation
from wardlight.dicom.dimse.negotiation import VERIFICATION
from wardlight.dicom.dimse.pdu import AssociateReject, AssociateRequest, ProposedContext
from wardlight.errors import WardlightError

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
CONTEXTS = [(VERIFICATION, IMPLICIT), (CT, EXPLICIT), (MR, IMPLICIT)]


def instance(number: int = 1, size: int = 1000, sop_class: str = CT, syntax: str = EXPLICIT) -> Instance:
    return Instance(sop_class, f"1.2.3.{number}", syntax, memoryview(bytes([number % 256]) * size))


def wait_for(check: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def gateway() -> MemoryGateway:
    return MemoryGateway()


def test_echo(gateway: MemoryGateway) -> None:
    with node(gateway) as scp, Sender(scp.port, CONTEXTS) as sender:
        answer = sender.echo()
        assert (answer.field, answer.responded_to, answer.status) == (0x8030, 1, 0)
        assert answer.sop_class == VERIFICATION


def test_store(gateway: MemoryGateway) -> None:
    with node(gateway) as scp:
        with Sender(scp.port, CONTEXTS, calling_ae="SCANNER 1") as sender:
            answer = sender.store(instance(7, 3_000_000))
            assert (answer.field, answer.status, answer.error_comment) == (0x8001, 0, "")
            assert (answer.sop_class, answer.sop_instance) == (CT, "1.2.3.7")
            assert sender.store(instance(8, 1, MR, IMPLICIT)).status == 0
            assert sender.echo().status == 0
        wait_for(lambda: scp.statistics().associations == 0)
        counted = scp.statistics()
        assert (counted.accepted, counted.stored, counted.failed, counted.bytes) == (1, 2, 0, 3_000_001)
    assert gateway.stored == [
        Stored("route of ANY-SCP", "SCANNER 1", "127.0.0.1", CT, "1.2.3.7", EXPLICIT, bytes([7]) * 3_000_000),
        Stored("route of ANY-SCP", "SCANNER 1", "127.0.0.1", MR, "1.2.3.8", IMPLICIT, bytes([8])),
    ]


@pytest.mark.parametrize("pdu_bytes", [4096, 16384, 1 << 20])
def test_many_associations_at_once(gateway: MemoryGateway, pdu_bytes: int) -> None:
    def work(number: int) -> None:
        with Sender(scp.port, CONTEXTS, pdu_bytes=pdu_bytes) as sender:
            for index in range(10):
                assert sender.store(instance(number * 100 + index, 300_000 + number)).status == 0

    with node(gateway) as scp:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(gateway.stored) == 40
    for row in gateway.stored:
        number = int(row.sop_instance.rsplit(".", 1)[1])
        assert row.data == bytes([number % 256]) * (300_000 + number // 100)


def test_the_offered_size_is_kept(gateway: MemoryGateway) -> None:
    with node(gateway, pdu_bytes=4096) as scp, Sender(scp.port, CONTEXTS) as sender:
        assert sender.accept.user.maximum_length == 4096
        assert sender.store(instance(1, 100_000)).status == 0
        sender.socket.sendall(pdu.HEADER.pack(4, 4097))
        assert sender.receive() == pdu.Abort(2, 6)
        sender.release = lambda: None  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("called", "calling", "reason"),
    [
        ("NOBODY", "SCANNER", (1, 1, 7)),
        ("", "SCANNER", (1, 1, 7)),
        ("ANY\nSCP", "SCANNER", (1, 1, 7)),
        ("ANY-SCP", "STRANGER", (1, 1, 3)),
        ("ANY-SCP", "", (1, 1, 3)),
        ("ANY-SCP", "A\\B", (1, 1, 3)),
        ("ANY-SCP", "MÜLLER", (1, 1, 3)),
    ],
)
def test_titles(gateway: MemoryGateway, called: str, calling: str, reason: tuple[int, int, int]) -> None:
    with node(gateway) as scp:
        with pytest.raises(Refused) as caught:
            Sender(scp.port, CONTEXTS, called_ae=called, calling_ae=calling)
        assert caught.value.pdu == AssociateReject(*reason)
        wait_for(lambda: scp.statistics().rejected == 1)


def test_the_route_decides_on_unknown_syntaxes(gateway: MemoryGateway) -> None:
    private = [("1.3.12.2.1107.5.9.1", "1.2.840.113619.5.2"), (CT, "1.2.840.113619.5.2")]
    with node(gateway) as scp:
        with Sender(scp.port, private) as sender:
            assert [row.result for row in sender.accept.contexts] == [0, 0]
        with Sender(scp.port, private, called_ae="STRICT") as sender:
            assert [row.result for row in sender.accept.contexts] == [3, 4]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("out-of-resources", 0xA700),
        ("bad-data-set", 0xC000),
        ("instance-mismatch", 0xA900),
        ("sop-class-not-allowed", 0x0122),
        ("no-agreement", 0x0124),
        ("internal", 0x0110),
    ],
)
@pytest.mark.parametrize("where", ["fail_begin", "fail_write", "fail_commit"])
def test_refusals_are_answered_and_the_association_goes_on(
    gateway: MemoryGateway, where: str, code: str, status: int
) -> None:
    def fail(sink: MemorySink) -> None:
        if sink.object.sop_instance == "1.2.3.1":
            raise WardlightError(code, "(0010,0010)")

    setattr(gateway, where, fail)
    with node(gateway) as scp, Sender(scp.port, CONTEXTS) as sender:
        answer = sender.store(instance(1, 2_500_000))
        assert answer.status == status
        assert answer.error_comment == f"{code}: (0010,0010)"
        assert sender.store(instance(2)).status == 0
        assert (scp.statistics().failed, scp.statistics().stored) == (1, 1)
    assert [row.sop_instance for row in gateway.stored] == ["1.2.3.2"]
    assert len(gateway.aborted) == (0 if where == "fail_begin" else 1)
    if where == "fail_write":
        assert gateway.aborted[0].writes == 1  # The rest was drained, not written.


@pytest.mark.parametrize("where", ["fail_begin", "fail_write", "fail_commit"])
def test_a_bug_behind_the_gateway_is_a_processing_failure(gateway: MemoryGateway, where: str) -> None:
    def fail(sink: MemorySink) -> None:
        raise ZeroDivisionError("Müller^Hans")

    setattr(gateway, where, fail)
    with node(gateway) as scp, Sender(scp.port, CONTEXTS) as sender:
        answer = sender.store(instance())
        assert answer.status == 0x0110
        assert "ller" not in answer.error_comment
        assert sender.echo().status == 0


@pytest.mark.parametrize("error", [WardlightError("unavailable"), ZeroDivisionError()])
def test_a_gateway_that_cannot_decide_lets_nobody_in(gateway: MemoryGateway, error: Exception) -> None:
    def fail() -> None:
        raise error

    gateway.fail_association = fail
    with node(gateway) as scp, pytest.raises(Refused) as caught:
        Sender(scp.port, CONTEXTS)
    assert caught.value.pdu == AssociateReject(2, 3, 2)


def test_object_larger_than_the_limit(gateway: MemoryGateway) -> None:
    with node(gateway, object_bytes=100_000) as scp, Sender(scp.port, CONTEXTS) as sender:
        assert sender.store(instance(1, 100_000)).status == 0
        answer = sender.store(instance(2, 100_001))
        assert (answer.status, answer.error_comment[:9]) == (0xA700, "too-large")
        assert sender.store(instance(3, 5)).status == 0
        with pytest.raises(Refused) as caught:  # Draining has its limit too.
            sender.store(instance(4, 5_000_000))
        assert caught.value.pdu == pdu.Abort(0)
        sender.release = lambda: None  # type: ignore[method-assign]
    assert [row.sop_instance for row in gateway.stored] == ["1.2.3.1", "1.2.3.3"]


def send_command(sender: Sender, context: int, command: Command, data: bytes | None = None) -> Command:
    values = [pdu.DataValue(context, True, True, dimse.encode(command))]
    if data is not None:
        values.append(pdu.DataValue(context, False, True, data))
    sender.socket.sendall(pdu.encode(pdu.DataTransfer(tuple(values))))
    return sender.response()


@pytest.mark.parametrize(
    ("context", "command", "data", "status"),
    [
        (1, Command(0x0020, 5, sop_class="1.2.840.10008.5.1.4.1.2.2.1", has_data_set=True), b"query", 0x0211),
        (1, Command(0x0130, 5), None, 0x0211),  # N-ACTION
        (3, Command(0x0030, 5, sop_class=VERIFICATION), None, 0x0122),
        (3, Command(0x0001, 5, sop_class=MR, sop_instance="1.2", has_data_set=True), b"x", 0x0122),
        (1, Command(0x0001, 5, sop_class=VERIFICATION, sop_instance="1.2", has_data_set=True), b"x", 0x0122),
        (3, Command(0x0001, 5, sop_class=CT, sop_instance="", has_data_set=True), b"x", 0x0117),
        (3, Command(0x0001, 5, sop_class=CT, sop_instance="a.b", has_data_set=True), b"x", 0x0117),
        (3, Command(0x0001, 5, sop_class=CT, sop_instance="1.2"), None, 0xC000),
    ],
)
def test_statuses_of_the_node_itself(
    gateway: MemoryGateway, context: int, command: Command, data: bytes | None, status: int
) -> None:
    with node(gateway) as scp, Sender(scp.port, CONTEXTS) as sender:
        answer = send_command(sender, context, command, data)
        assert answer.status == status
        assert answer.field == command.field | 0x8000
        assert answer.responded_to == 5
        assert sender.echo().status == 0
    assert gateway.stored == []


def test_cancel_is_ignored(gateway: MemoryGateway) -> None:
    with node(gateway) as scp, Sender(scp.port, CONTEXTS) as sender:
        value = pdu.DataValue(1, True, True, dimse.encode(Command(dimse.C_CANCEL_RQ, responded_to=3)))
        sender.socket.sendall(pdu.encode(pdu.DataTransfer((value,))))
        assert sender.echo().status == 0


@pytest.mark.parametrize(
    "command", [Command(0x8001, responded_to=1, status=0), Command(0x0030), Command(0xFFFF, 1)]
)
def test_messages_that_make_no_sense_are_aborted(gateway: MemoryGateway, command: Command) -> None:
    with node(gateway) as scp:
        sender = Sender(scp.port, CONTEXTS)
        value = pdu.DataValue(1, True, True, dimse.encode(command))
        sender.socket.sendall(pdu.encode(pdu.DataTransfer((value,))))
        assert sender.receive() == pdu.Abort(0)
        sender.socket.close()


def test_a_batch_in_one_segment_is_served_in_order(gateway: MemoryGateway) -> None:
    """A requestor that does not wait: request, objects and release come in one piece."""
    contexts = (ProposedContext(1, CT, (EXPLICIT,)),)
    request = AssociateRequest("ANY-SCP", "EAGER", contexts, UserInformation(0))
    stream = pdu.encode(request)
    for number in range(5):
        command = Command(
            1, number + 1, sop_class=CT, sop_instance=f"1.2.{number}", priority=0, has_data_set=True
        )
        values = (
            pdu.DataValue(1, True, True, dimse.encode(command)),
            pdu.DataValue(1, False, True, bytes(100)),
        )
        stream += pdu.encode(pdu.DataTransfer(values))
    stream += pdu.encode(pdu.ReleaseRequest())
    with node(gateway) as scp, socket.create_connection(("127.0.0.1", scp.port)) as connection:
        connection.sendall(stream)
        connection.settimeout(10)
        received = b""
        while not received.endswith(pdu.encode(pdu.ReleaseReply())):
            received += connection.recv(65536)
    assert [row.sop_instance for row in gateway.stored] == [f"1.2.{number}" for number in range(5)]


@pytest.mark.parametrize("end", ["abort", "close", "reset", "release"])
def test_the_peer_leaves_in_the_middle_of_an_object(gateway: MemoryGateway, end: str) -> None:
    with node(gateway) as scp:
        sender = Sender(scp.port, CONTEXTS)
        command = Command(1, 1, sop_class=CT, sop_instance="1.2.3", priority=0, has_data_set=True)
        values = (
            pdu.DataValue(3, True, True, dimse.encode(command)),
            pdu.DataValue(3, False, False, bytes(5000)),
        )
        sender.socket.sendall(pdu.encode(pdu.DataTransfer(values)))
        wait_for(lambda: gateway.open and gateway.open[0].size == 5000)
        if end == "abort":
            sender.socket.sendall(pdu.encode(pdu.Abort(0)))
        elif end == "release":
            sender.release()
        elif end == "reset":
            sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sender.socket.close()
        else:
            sender.socket.close()
        wait_for(lambda: len(gateway.aborted) == 1)
        sender.socket.close()
        with Sender(scp.port, CONTEXTS) as other:
            assert other.store(instance()).status == 0
    assert [row.sop_instance for row in gateway.stored] == ["1.2.3.1"]


def test_stop_lets_the_object_in_progress_finish(gateway: MemoryGateway) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(sink: MemorySink) -> None:
        started.set()
        assert go_on.wait(10)

    gateway.fail_commit = slow
    with node(gateway) as scp:
        idle = Sender(scp.port, CONTEXTS)
        sender = Sender(scp.port, CONTEXTS)
        answers: list[Command] = []
        storing = threading.Thread(target=lambda: answers.append(sender.store(instance())))
        storing.start()
        assert started.wait(10)
        stopping = threading.Thread(target=scp.stop)
        stopping.start()
        assert idle.receive() == pdu.Abort(0)  # At once: nothing is in progress there.
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", scp.port), 1).close()
            Sender(scp.port, CONTEXTS, timeout=1)
        go_on.set()
        storing.join(10)
        assert answers[0].status == 0
        assert sender.receive() == pdu.Abort(0)
        stopping.join(10)
        idle.socket.close()
        sender.socket.close()
    assert len(gateway.stored) == 1


def test_stop_does_not_wait_for_ever(gateway: MemoryGateway) -> None:
    with node(gateway, grace_s=0.2) as scp:
        sender = Sender(scp.port, CONTEXTS)
        command = Command(1, 1, sop_class=CT, sop_instance="1.2.3", priority=0, has_data_set=True)
        values = (
            pdu.DataValue(3, True, True, dimse.encode(command)),
            pdu.DataValue(3, False, False, bytes(5000)),
        )
        sender.socket.sendall(pdu.encode(pdu.DataTransfer(values)))
        wait_for(lambda: gateway.open and gateway.open[0].size == 5000)
    assert sender.receive() == pdu.Abort(0)
    sender.socket.close()
    assert len(gateway.aborted) == 1


def test_ipv6(gateway: MemoryGateway) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with node(gateway, dicom_host="::") as scp:
        for host, seen in (("::1", "::1"), ("127.0.0.1", "127.0.0.1")):
            with Sender(scp.port, CONTEXTS, host=host) as sender:
                assert sender.store(instance()).status == 0
            assert gateway.stored[-1].address == seen
