"""The accepting side of an association without I/O: bytes in, events and bytes out, driven by the table of PS3.8 9.2.

The owner receives into `space()`, calls `received(count)` and handles the events; what is to be sent lies in
`take_output()`. Data set fragments are views into the receive buffer: they are never copied, except that fragments
of small PDVs are moved together inside the buffer, so that a sender of small PDUs does not cost a write for each.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse import fsm, pdu
from wardlight.dicom.dimse.command import Command
from wardlight.dicom.dimse.errors import AbortReason, CommandError, PduError
from wardlight.dicom.dimse.fsm import Event, State, Timer
from wardlight.dicom.dimse.negotiation import AcceptedContext, Negotiated, check_request

_MOVED: Final = 32 << 10
"""Fragments up to this size, in bytes, are moved up to the one before: cheaper than a write of their own."""
_EMPTY_FRAGMENTS: Final = 1000
"""Empty fragments in a row, each legal, after which they are taken as an attack."""
_PDU_EVENTS: Final[Mapping[int, Event]] = {
    pdu.ASSOCIATE_RQ: Event.ASSOCIATE_RQ_RECEIVED,
    pdu.ASSOCIATE_AC: Event.ASSOCIATE_AC_RECEIVED,
    pdu.ASSOCIATE_RJ: Event.ASSOCIATE_RJ_RECEIVED,
    pdu.DATA_TF: Event.DATA_RECEIVED,
    pdu.RELEASE_RQ: Event.RELEASE_RQ_RECEIVED,
    pdu.RELEASE_RP: Event.RELEASE_RP_RECEIVED,
    pdu.ABORT: Event.ABORT_RECEIVED,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """pdu: largest P-DATA-TF variable field, as offered; associate: largest A-ASSOCIATE PDU; command: largest command
    set, all in bytes. contexts: most presentation contexts. artim: the ARTIM timer in seconds.
    """

    pdu: int = 1 << 20
    associate: int = 128 << 10
    command: int = 64 << 10
    contexts: int = 128
    artim: float = 30.0


class Associating(NamedTuple):
    """A-ASSOCIATE indication: the owner answers by `accept` or `reject`."""

    request: pdu.AssociateRequest


class Message(NamedTuple):
    """A command set is complete; if it has a data set, `Data` follows before the next message."""

    context_id: int
    context: AcceptedContext
    command: Command


class Data(NamedTuple):
    """The next bytes of the data set, valid until the next event is asked for; empty only where `last`."""

    view: memoryview
    last: bool


class Released(NamedTuple):
    """The peer released the association; the answer is in the output. A data set in progress is lost."""


class Ended(NamedTuple):
    """The association ended otherwise; a data set in progress is lost. by_peer: A-ABORT or disconnect, not our doing.

    code: what happened, kebab-case, for logs.
    """

    code: str
    by_peer: bool


AcceptorEvent = Associating | Message | Data | Released | Ended


class Acceptor:
    """One association from the transport connection on. Not thread-safe; memory is bounded by `Limits`."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        """clock: monotonic seconds, for the ARTIM timer."""
        self._limits = limits
        self._clock = clock
        # An anonymous mapping, since its pages cost memory only once the peer has filled them.
        self._buffer = mmap.mmap(-1, max(limits.pdu, limits.associate + (64 << 10)))
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # The part of the buffer that is received and not yet read.
        self._pdu_left = 0  # Bytes of the current P-DATA-TF after the current fragment.
        self._skip = 0  # Bytes of a P-DATA-TF that the state machine ignores.
        self._in_fragment = False
        self._fragment_left = 0
        self._is_command = self._is_last = False
        self._fragment_context = 0
        self._empty = 0
        self._command = bytearray()
        self._command_context = 0
        self._data_context = 0  # Context of the data set that must come next; 0: none.
        self._contexts: Mapping[int, AcceptedContext] = {}
        self._peer_maximum = 0
        self._lost = False  # Framing is lost: what still comes is thrown away.
        self._output = bytearray()
        self._deadline: float | None = None
        self.state = State.IDLE
        self._apply(Event.TRANSPORT_INDICATED)

    @property
    def ended(self) -> bool:
        """The transport connection is to be closed, or is closed."""
        return self.state is State.IDLE

    @property
    def in_message(self) -> bool:
        """A PDU, command set or data set has begun and is not complete."""
        return bool(self._end or self._pdu_left or self._in_fragment or self._command or self._data_context)

    def space(self) -> memoryview:
        """Where to receive into; never empty. All events of the bytes before must have been taken."""
        return self._view[self._end :]

    def take_output(self) -> bytes:
        """What is to be sent now."""
        if not self._output:
            return b""
        output = bytes(self._output)
        self._output.clear()
        return output

    def received(self, count: int) -> Iterator[AcceptorEvent]:
        """Read `count` bytes that were received into `space()`. Never raises for what the peer sent."""
        self._end += count
        try:
            if not self._lost:
                yield from self._read()
        except PduError as error:
            self._lost = True
            yield from self._wire(Event.INVALID_PDU, error.reason, error.code)
        except CommandError as error:
            yield from self.abort(f"command-{error.code}")
        if self._lost:
            self._start = self._end = 0

    def tick(self) -> Iterator[AcceptorEvent]:
        """Let the ARTIM timer expire, if it is time."""
        if self._deadline is not None and self._clock() >= self._deadline:
            self._apply(Event.ARTIM_EXPIRED)
            yield Ended("artim", by_peer=False)

    def closed(self) -> Iterator[AcceptorEvent]:
        """The peer closed the transport connection, or it broke."""
        if self.state is not State.IDLE:
            was = self.state
            self._apply(Event.TRANSPORT_CLOSED)
            if was is not State.AWAITING_CLOSE:
                yield Ended("disconnected", by_peer=True)

    def accept(self, negotiated: Negotiated, peer_maximum: int | None) -> None:
        """Answer the indication by A-ASSOCIATE-AC. peer_maximum: what the peer takes in a PDU; 0, None: no limit."""
        self._apply(Event.ASSOCIATE_ACCEPT)
        self._contexts = negotiated.contexts
        self._peer_maximum = peer_maximum or 0
        self._output += pdu.encode(negotiated.accept)

    def reject(self, rejection: pdu.AssociateReject) -> None:
        """Answer the indication by A-ASSOCIATE-RJ."""
        self._apply(Event.ASSOCIATE_REJECT)
        self._output += pdu.encode(rejection)

    def respond(self, context_id: int, response: Command) -> None:
        """Send a response without data set, in as many P-DATA-TF as the peer's maximum length asks for."""
        data = dimse.encode(response)
        step = self._peer_maximum - 6 if self._peer_maximum else len(data)
        for start in range(0, len(data), step):
            self._apply(Event.DATA_REQUEST)
            value = pdu.DataValue(context_id, True, start + step >= len(data), data[start : start + step])
            self._output += pdu.encode(pdu.DataTransfer((value,)))

    def abort(self, code: str) -> Iterator[AcceptorEvent]:
        """Abort as the service user (PS3.8 7.3); where no association exists yet or any more, nothing is sent."""
        if (self.state, Event.ABORT_REQUEST) in fsm.TRANSITIONS:
            yield from self._wire(Event.ABORT_REQUEST, AbortReason.NOT_SPECIFIED, code)
        self._lost = True

    def _apply(self, event: Event, branch: int = 0) -> str:
        """Do the transition; returns the name of the action."""
        action = fsm.transition(self.state, event)
        self.state = action.next[branch]
        if action.timer is Timer.START or (action.name == "AE-6" and branch):
            self._deadline = self._clock() + self._limits.artim
        elif action.timer is Timer.STOP:
            self._deadline = None
        return action.name

    def _wire(self, event: Event, reason: AbortReason, code: str) -> Iterator[AcceptorEvent]:
        """The transition for what cannot go on; its A-ABORT into the output."""
        action = self._apply(event)
        if action == "AA-1":
            self._output += pdu.encode(pdu.Abort(0))
        elif action in ("AA-7", "AA-8"):
            self._output += pdu.encode(pdu.Abort(2, reason))
        if action in ("AA-1", "AA-8"):
            yield Ended(code, by_peer=False)

    def _read(self) -> Iterator[AcceptorEvent]:
        """All that is complete in the buffer; the incomplete rest, a header or control PDU, moves to its front."""
        view = self._view
        # An owner that aborts while it handles an event sets `_lost`: nothing after that event is read.
        run = run_end = 0  # Data set bytes found and not yet handed out; empty if equal.
        while not self._lost:
            if self._in_fragment:
                start = self._start
                taken = min(self._fragment_left, self._end - start)
                self._start += taken
                self._fragment_left -= taken
                if self._is_command:
                    self._add_command(start, taken)
                elif run == run_end:
                    run, run_end = start, start + taken
                elif taken <= _MOVED:
                    view[run_end : run_end + taken] = view[start : start + taken]
                    run_end += taken
                else:
                    yield Data(view[run:run_end], False)
                    run, run_end = start, start + taken
                if self._fragment_left:
                    break
                self._in_fragment = False
                if not self._is_last:
                    continue
                if self._is_command:
                    yield self._message()
                else:
                    self._data_context = 0
                    yield Data(view[run:run_end], True)
                    run = run_end = 0
            elif self._pdu_left:
                if not self._begin_fragment():
                    break
            elif self._skip:
                taken = min(self._skip, self._end - self._start)
                self._start += taken
                self._skip -= taken
                if self._skip:
                    break
            elif self._end - self._start < pdu.HEADER.size:
                break
            else:
                kind, length = pdu.HEADER.unpack_from(self._buffer, self._start)
                if kind == pdu.DATA_TF:
                    yield from self._begin_transfer(length)
                else:
                    body = self._control_body(kind, length)
                    if body is None:
                        break
                    yield from self._control(kind, body)
                if self.state is State.IDLE:
                    self._lost = True
        if self._lost:
            return
        if run != run_end:
            yield Data(view[run:run_end], False)
        left = self._end - self._start
        if left and self._start:
            view[:left] = view[self._start : self._end]
        self._start, self._end = 0, left

    def _begin_transfer(self, length: int) -> Iterator[AcceptorEvent]:
        """The header of a P-DATA-TF (PS3.8 section 9.3.5)."""
        self._start += pdu.HEADER.size
        if self.state is State.ESTABLISHED:
            if not pdu.PDV_HEADER.size <= length <= self._limits.pdu:
                raise PduError("pdu-length")
            self._apply(Event.DATA_RECEIVED)
            self._pdu_left = length
        else:
            yield from self._wire(Event.DATA_RECEIVED, AbortReason.UNEXPECTED_PDU, "unexpected-pdu")
            self._skip = length

    def _begin_fragment(self) -> bool:
        """The header of a presentation data value; False while it is incomplete."""
        if self._pdu_left < pdu.PDV_HEADER.size:
            raise PduError("pdv-length")
        if self._end - self._start < pdu.PDV_HEADER.size:
            return False
        length, context, control = pdu.PDV_HEADER.unpack_from(self._buffer, self._start)
        if length < 2 or length + 4 > self._pdu_left:
            raise PduError("pdv-length")
        is_command = bool(control & 1)
        if context not in self._contexts:
            raise PduError("context-id")
        if is_command:
            if self._data_context:
                raise PduError("command-in-data-set", reason=AbortReason.UNEXPECTED_PARAMETER)
            if self._command and context != self._command_context:
                raise PduError("context-id")
            self._command_context = context
        elif context != self._data_context:
            raise PduError("unexpected-data-set", reason=AbortReason.UNEXPECTED_PARAMETER)
        self._empty = self._empty + 1 if length == 2 else 0
        if self._empty > _EMPTY_FRAGMENTS:
            raise PduError("empty-fragments")
        self._start += pdu.PDV_HEADER.size
        self._pdu_left -= length + 4
        self._in_fragment = True
        self._fragment_left = length - 2
        self._is_command = is_command
        self._is_last = bool(control & 2)
        return True

    def _add_command(self, start: int, count: int) -> None:
        if len(self._command) + count > self._limits.command:
            raise PduError("command-length")
        self._command += self._view[start : start + count]

    def _message(self) -> Message:
        command = dimse.decode(self._command)
        self._command.clear()
        if command.has_data_set:
            self._data_context = self._command_context
        return Message(self._command_context, self._contexts[self._command_context], command)

    def _control_body(self, kind: int, length: int) -> bytes | None:
        """The body of a PDU that is not P-DATA-TF, once it is there. Its size is checked before it is awaited."""
        if kind not in _PDU_EVENTS:
            raise PduError("pdu-type", reason=AbortReason.UNRECOGNIZED_PDU)
        if length > self._limits.associate or (
            length != 4 and kind not in (pdu.ASSOCIATE_RQ, pdu.ASSOCIATE_AC)
        ):
            raise PduError("pdu-length")
        start = self._start + pdu.HEADER.size
        if self._end < start + length:
            return None
        self._start = start + length
        return bytes(self._view[start : start + length])

    def _control(self, kind: int, body: bytes) -> Iterator[AcceptorEvent]:
        """A complete PDU other than P-DATA-TF."""
        event = _PDU_EVENTS[kind]
        if event is Event.ASSOCIATE_RQ_RECEIVED and self.state is State.AWAITING_ASSOCIATE_RQ:
            request = pdu.decode(kind, body)
            assert isinstance(request, pdu.AssociateRequest)
            rejection = check_request(request, self._limits.contexts)
            self._apply(event, 0 if rejection is None else 1)
            if rejection is None:
                yield Associating(request)
            else:
                self._output += pdu.encode(rejection)
                yield Ended("rejected", by_peer=False)
        elif event is Event.RELEASE_RQ_RECEIVED and self.state is State.ESTABLISHED:
            self._apply(event)
            self._apply(Event.RELEASE_RESPONSE)
            self._output += pdu.encode(pdu.ReleaseReply())
            yield Released()
        elif event is Event.ABORT_RECEIVED:
            was = self.state
            self._apply(event)
            if was is not State.AWAITING_CLOSE:
                yield Ended("aborted", by_peer=True)
        else:
            yield from self._wire(event, AbortReason.UNEXPECTED_PDU, "unexpected-pdu")
