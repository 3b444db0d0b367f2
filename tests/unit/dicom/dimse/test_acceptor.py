"""The acceptor without I/O: every cut of the same bytes gives the same, and every breach ends in the right A-ABORT."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.acceptor import Acceptor, Associating, Data, Ended, Limits, Message, Released
from wardlight.dicom.dimse.command import Command
from wardlight.dicom.dimse.fsm import State
from wardlight.dicom.dimse.items import UserInformation
from wardlight.dicom.dimse.negotiation import negotiate
from wardlight.dicom.dimse.pdu import Abort, AssociateRequest, DataTransfer, DataValue, ProposedContext

CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
RQ = pdu.encode(
    AssociateRequest(
        "CALLED",
        "CALLING",
        (ProposedContext(1, "1.2.840.10008.1.1", (IMPLICIT,)), ProposedContext(3, CT, (IMPLICIT,))),
        UserInformation(16384),
    )
)
ECHO = dimse.encode(Command(dimse.C_ECHO_RQ, 1, sop_class="1.2.840.10008.1.1"))
STORE = dimse.encode(
    Command(dimse.C_STORE_RQ, 2, sop_class=CT, sop_instance="1.2.3", priority=0, has_data_set=True)
)
RELEASE = pdu.encode(pdu.ReleaseRequest())


def data_tf(*values: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF of (context, control header, fragment)."""
    return pdu.encode(
        DataTransfer(
            tuple(
                DataValue(context, bool(flags & 1), bool(flags & 2), part) for context, flags, part in values
            )
        )
    )


@dataclass
class Driver:
    """Owns an acceptor as the node does, accepts everything, and answers each message when it is complete."""

    limits: Limits = field(default_factory=lambda: Limits(pdu=4096))
    now: float = 0.0
    events: list[object] = field(default_factory=list)
    sent: bytes = b""
    objects: list[bytes] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    writes: int = 0
    _parts: bytearray = field(default_factory=bytearray)
    _message: Message | None = None

    def __post_init__(self) -> None:
        self.acceptor = Acceptor(self.limits, lambda: self.now)

    def feed(self, data: bytes, step: int = 1 << 30) -> Driver:
        """Bytes from the peer, at most `step` at a time."""
        place = 0
        while place < len(data) and not self.acceptor.ended:
            space = self.acceptor.space()
            count = min(step, len(space), len(data) - place)
            space[:count] = data[place : place + count]
            place += count
            self.take(self.acceptor.received(count))
        return self

    def take(self, events: Iterable[object]) -> None:
        for event in events:
            match event:
                case Associating(request):
                    negotiated = negotiate(request, maximum_length=self.limits.pdu, unknown_syntaxes=False)
                    self.acceptor.accept(negotiated, request.user.maximum_length)
                case Message():
                    self._message = event
                    if not event.command.has_data_set:
                        self.answer(event)
                case Data(view, last):
                    assert last or len(view)
                    self.writes += 1
                    self._parts += view
                    if last:
                        self.objects.append(bytes(self._parts))
                        self._parts.clear()
                        assert self._message is not None
                        self.answer(self._message)
                case Released():
                    self.ends.append("released")
                case Ended(code, by_peer):
                    self.ends.append(f"{code} by {'peer' if by_peer else 'us'}")
            self.sent += self.acceptor.take_output()
        self.sent += self.acceptor.take_output()

    def answer(self, message: Message) -> None:
        self.events.append(message)
        self.acceptor.respond(message.context_id, dimse.response(message.command, 0))

    def answers(self) -> list[pdu.Pdu]:
        """What was sent, decoded."""
        found, place = [], 0
        while place < len(self.sent):
            kind, length = pdu.HEADER.unpack_from(self.sent, place)
            found.append(pdu.decode(kind, self.sent[place + 6 : place + 6 + length]))
            place += 6 + length
        return found


def established(**limits: int) -> Driver:
    driver = Driver(Limits(**{"pdu": 4096, **limits})).feed(RQ)
    assert driver.acceptor.state is State.ESTABLISHED
    driver.sent = b""
    return driver


def responses(driver: Driver) -> list[Command]:
    return [
        dimse.decode(bytes(value.fragment))
        for answer in driver.answers()
        if isinstance(answer, DataTransfer)
        for value in answer.values
    ]


def test_echo_store_release() -> None:
    driver = established()
    driver.feed(data_tf((1, 3, ECHO)) + data_tf((3, 3, STORE)) + data_tf((3, 2, b"data set")) + RELEASE)
    assert [answer.field for answer in responses(driver)] == [0x8030, 0x8001]
    assert [answer.responded_to for answer in responses(driver)] == [1, 2]
    assert driver.objects == [b"data set"]
    assert driver.ends == ["released"]
    assert driver.answers()[-1] == pdu.ReleaseReply()
    assert driver.acceptor.state is State.AWAITING_CLOSE
    driver.take(driver.acceptor.closed())
    assert driver.acceptor.ended
    assert driver.ends == ["released"]


MANY = st.lists(st.binary(max_size=200), min_size=1, max_size=6)


@given(MANY, MANY, st.integers(1, 9), st.integers(1, 300))
def test_any_fragmentation_gives_the_same(
    first: list[bytes], second: list[bytes], command_step: int, step: int
) -> None:
    """Commands and data sets in any number of PDVs, many or few in a PDU, cut anywhere; empty ones too."""
    stream = b""
    for parts in (first, second):
        pieces = [STORE[at : at + command_step] for at in range(0, len(STORE), command_step)]
        stream += b"".join(
            data_tf((3, 1 + 2 * (n == len(pieces) - 1), piece)) for n, piece in enumerate(pieces)
        )
        stream += data_tf(*((3, 2 * (n == len(parts) - 1), part) for n, part in enumerate(parts)))
    driver = established().feed(stream + data_tf((1, 3, ECHO)) + RELEASE, step)
    assert driver.objects == [b"".join(first), b"".join(second)]
    assert [answer.field for answer in responses(driver)] == [0x8001, 0x8001, 0x8030]
    assert driver.ends == ["released"]


def test_whole_message_in_one_pdu() -> None:
    driver = established().feed(data_tf((3, 1, STORE[:20]), (3, 3, STORE[20:]), (3, 0, b"ab"), (3, 2, b"cd")))
    assert driver.objects == [b"abcd"]


def test_small_fragments_become_one_write() -> None:
    driver = established(pdu=1 << 16)
    driver.feed(data_tf((3, 3, STORE)) + b"".join(data_tf((3, 0, bytes([n]) * 50)) for n in range(200)))
    driver.feed(data_tf((3, 2, b"")))
    assert driver.objects == [b"".join(bytes([n]) * 50 for n in range(200))]
    assert driver.writes == 2


def test_large_fragments_are_views_of_the_buffer() -> None:
    driver = established(pdu=1 << 17)
    acceptor = driver.acceptor
    stream = data_tf((3, 3, STORE)) + b"".join(data_tf((3, 0, bytes(60_000))) for _ in range(3))
    space = acceptor.space()
    space[: len(stream)] = stream
    views = [event.view for event in acceptor.received(len(stream)) if isinstance(event, Data)]
    assert [len(view) for view in views] == [60_000] * 3
    assert all(view.obj is space.obj for view in views)


def test_reserved_bits_of_the_control_header_are_not_looked_at() -> None:
    body = struct.pack(">IBB", len(STORE) + 2, 3, 0xFF) + STORE
    driver = established().feed(struct.pack(">BxI", 4, len(body)) + body)
    assert driver.acceptor.in_message
    body = struct.pack(">IBB", 3, 3, 0xFE) + b"x"
    assert driver.feed(struct.pack(">BxI", 4, len(body)) + body).objects == [b"x"]


@given(st.integers(1, 400))
def test_responses_keep_the_peers_maximum(maximum: int) -> None:
    request = AssociateRequest(
        "A", "B", (ProposedContext(1, "1.2.840.10008.1.1", (IMPLICIT,)),), UserInformation(maximum)
    )
    driver = Driver().feed(pdu.encode(request))
    if maximum < 8:
        assert driver.ends == ["maximum-length by us"]
        return
    driver.sent = b""
    driver.feed(data_tf((1, 3, ECHO)))
    answers = [answer for answer in driver.answers() if isinstance(answer, DataTransfer)]
    assert all(len(pdu.encode(answer)) - 6 <= maximum for answer in answers)
    values = [answer.values[0] for answer in answers]
    assert [value.last for value in values] == [False] * (len(values) - 1) + [True]
    assert dimse.decode(b"".join(bytes(value.fragment) for value in values)).status == 0


TOO_LONG = struct.pack(">BxI", 4, 4097)
HUGE = struct.pack(">BxI", 4, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (TOO_LONG, "pdu-length", 6),
        (HUGE, "pdu-length", 6),
        (struct.pack(">BxI", 4, 0), "pdu-length", 6),
        (struct.pack(">BxI", 4, 5), "pdu-length", 6),
        (struct.pack(">BxI", 5, 0), "pdu-length", 6),
        (struct.pack(">BxI", 1, 0xFFFFFFFF), "pdu-length", 6),
        (struct.pack(">BxI", 99, 4), "pdu-type", 1),
        (struct.pack(">BxI", 0, 0xFFFFFFFF), "pdu-type", 1),
        (RQ, "unexpected-pdu", 2),
        (pdu.encode(pdu.ReleaseReply()), "unexpected-pdu", 2),
        (pdu.encode(pdu.AssociateReject(1, 1, 1)), "unexpected-pdu", 2),
        (struct.pack(">BxIIBB", 4, 10, 0xFFFFFFFF, 1, 3), "pdv-length", 6),
        (struct.pack(">BxIIBB", 4, 10, 7, 1, 3), "pdv-length", 6),
        (struct.pack(">BxIIBB", 4, 10, 1, 1, 3), "pdv-length", 6),
        (struct.pack(">BxIIBB", 4, 10, 2, 1, 1) + bytes(10), "pdv-length", 6),
        (data_tf((5, 3, ECHO)), "context-id", 6),
        (data_tf((0, 3, ECHO)), "context-id", 6),
        (data_tf((1, 1, ECHO[:8]), (3, 3, ECHO[8:])), "context-id", 6),
        (data_tf((3, 0, b"data set without command")), "unexpected-data-set", 5),
        (data_tf((3, 3, STORE), (1, 0, b"other context")), "unexpected-data-set", 5),
        (data_tf((3, 3, STORE), (3, 3, STORE)), "command-in-data-set", 5),
        (data_tf((3, 3, STORE), (3, 0, b"abc"), (1, 3, ECHO)), "command-in-data-set", 5),
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 30])
def test_breaches_are_aborted_by_the_provider(data: bytes, code: str, reason: int, step: int) -> None:
    driver = established().feed(data, step)
    assert driver.ends == [f"{code} by us"]
    assert driver.answers()[-1] == Abort(2, reason)
    assert driver.acceptor.state is State.AWAITING_CLOSE
    assert driver.objects == []


@pytest.mark.parametrize("command", [b"", b"\0" * 7, struct.pack("<HHI", 0, 0x100, 0xFFFFFFFF) + b"x"])
def test_unreadable_commands_are_aborted_by_the_user(command: bytes) -> None:
    driver = established().feed(data_tf((1, 3, command)) + data_tf((1, 3, ECHO)))
    assert driver.ends[0].startswith("command-")
    assert driver.answers() == [Abort(0)]


def test_endless_command_is_stopped_at_its_limit() -> None:
    driver = established(command=64 << 10)
    part = data_tf((1, 1, bytes(4000)))
    fed = 0
    while not driver.ends:
        driver.feed(part)
        fed += 4000
        assert fed <= (64 << 10) + 4000
    assert driver.ends == ["command-length by us"]


def test_endless_empty_fragments_are_stopped() -> None:
    driver = established().feed(data_tf((3, 3, STORE)))
    driver.feed(data_tf((3, 0, b"")) * 999)
    assert driver.ends == []
    driver.feed(data_tf((3, 0, b"x")) + data_tf((3, 0, b"")) * 1001)
    assert driver.ends == ["empty-fragments by us"]


def test_pdu_of_exactly_the_offered_size() -> None:
    driver = established().feed(data_tf((3, 3, STORE)) + data_tf((3, 2, bytes(4090))))
    assert driver.objects == [bytes(4090)]


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (data_tf((1, 3, ECHO)), "unexpected-pdu by us"),
        (RELEASE, "unexpected-pdu by us"),
        (b"GET / HTTP/1.1\r\n\r\n", "pdu-type by us"),
        (struct.pack(">BxI", 1, (128 << 10) + 1), "pdu-length by us"),
        (struct.pack(">BxI", 1, 67) + bytes(67), "pdu-length by us"),
    ],
)
def test_before_an_association(data: bytes, end: str) -> None:
    """PS3.8 Table 9-10, state 2: AA-1, an A-ABORT of the service user."""
    driver = Driver().feed(data)
    assert driver.ends == [end]
    assert driver.answers() == [Abort(0)]


def test_rejected_by_the_provider() -> None:
    driver = Driver().feed(RQ[:6] + struct.pack(">H", 2) + RQ[8:])
    assert driver.ends == ["rejected by us"]
    assert driver.answers() == [pdu.AssociateReject(1, 2, 2)]
    assert driver.acceptor.state is State.AWAITING_CLOSE


def test_abort_of_the_peer_in_the_middle() -> None:
    driver = established().feed(data_tf((3, 3, STORE)) + data_tf((3, 0, b"half")) + pdu.encode(Abort(0)))
    assert driver.ends == ["aborted by peer"]
    assert driver.acceptor.ended
    assert driver.answers() == []
    assert driver.objects == []


def test_disconnect_in_the_middle() -> None:
    driver = established().feed(data_tf((3, 3, STORE)) + data_tf((3, 0, b"half"))[:-2])
    driver.take(driver.acceptor.closed())
    assert driver.ends == ["disconnected by peer"]
    assert driver.acceptor.ended


def test_release_in_the_middle_of_a_data_set() -> None:
    driver = established().feed(data_tf((3, 3, STORE)) + data_tf((3, 0, b"half")) + RELEASE)
    assert driver.ends == ["released"]
    assert driver.objects == []


def test_nothing_is_read_after_the_owner_aborts() -> None:
    driver = established()
    acceptor = driver.acceptor
    stream = data_tf((3, 3, STORE)) + data_tf((3, 2, b"data set")) + data_tf((1, 3, ECHO))
    acceptor.space()[: len(stream)] = stream
    seen = []
    for event in acceptor.received(len(stream)):
        seen.append(event)
        if isinstance(event, Message):
            seen += list(acceptor.abort("enough"))
    assert [type(event) for event in seen] == [Message, Ended]
    assert acceptor.take_output() == pdu.encode(Abort(0))
    assert list(acceptor.received(4096)) == []
    assert len(acceptor.space()) >= 4096
    assert list(acceptor.abort("again")) == []


def test_artim() -> None:
    """30 s for the request, from the connection on; then again for the peer to close, after an abort."""
    driver = Driver(Limits(artim=30.0))
    driver.now = 29.9
    driver.feed(RQ[:-1])
    driver.take(driver.acceptor.tick())
    assert driver.ends == []
    driver.now = 30.0
    driver.take(driver.acceptor.tick())
    assert driver.ends == ["artim by us"]
    assert driver.acceptor.ended
    assert driver.sent == b""

    driver = established()
    driver.now = 1000.0
    driver.take(driver.acceptor.tick())
    assert driver.ends == []
    driver.feed(HUGE)
    driver.now = 1029.0
    driver.take(driver.acceptor.tick())
    assert not driver.acceptor.ended
    driver.now = 1031.0
    driver.take(driver.acceptor.tick())
    assert driver.acceptor.ended


def test_after_a_reject_data_is_ignored_and_a_second_request_aborted() -> None:
    """State 13: AA-6 and AA-7."""
    acceptor = Acceptor(Limits(), lambda: 0.0)
    acceptor.space()[: len(RQ)] = RQ
    for event in acceptor.received(len(RQ)):
        assert isinstance(event, Associating)
        acceptor.reject(pdu.AssociateReject(1, 1, 7))
    assert acceptor.take_output() == pdu.encode(pdu.AssociateReject(1, 1, 7))
    for data, output in ((data_tf((1, 3, ECHO)), b""), (RELEASE, b""), (RQ, pdu.encode(Abort(2, 2)))):
        acceptor.space()[: len(data)] = data
        assert list(acceptor.received(len(data))) == []
        assert acceptor.take_output() == output
    data = pdu.encode(Abort(0))
    acceptor.space()[: len(data)] = data
    assert list(acceptor.received(len(data))) == []
    assert acceptor.ended


PIECES = st.sampled_from([RQ, RELEASE, data_tf((1, 3, ECHO)), data_tf((3, 3, STORE)), b"\4", HUGE])


@given(st.lists(PIECES | st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_any_bytes_end_well(parts: list[bytes], step: int) -> None:
    stream = b"".join(parts)
    whole, cut = Driver().feed(stream), Driver().feed(stream, step)
    assert whole.ends == cut.ends
    assert whole.sent == cut.sent
    assert whole.objects == cut.objects
