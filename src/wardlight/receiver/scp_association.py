"""One association of the DICOM node: socket, timers, and the way of each object into its sink."""

from __future__ import annotations

import secrets
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from wardlight import log
from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse.acceptor import (
    Acceptor,
    AcceptorEvent,
    Associating,
    Data,
    Ended,
    Limits,
    Message,
    Released,
)
from wardlight.dicom.dimse.fsm import State
from wardlight.dicom.dimse.negotiation import VERIFICATION, negotiate
from wardlight.dicom.dimse.pdu import AssociateReject, AssociateRequest
from wardlight.errors import WardlightError
from wardlight.receiver.gateway import Admission, Gateway, Rejection, Sink
from wardlight.settings import ReceiverSettings

_TICK_S: Final = 1.0
"""A blocked receive wakes so often to look at the timers, in seconds."""
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
_TIMEVAL: Final = struct.Struct("@ll")


class Tally:
    """Counters of all associations of a node. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        """Add to the named counters."""
        with self._lock:
            self._counts.update(counts)

    def snapshot(self) -> Counter[str]:
        """A copy of the counters."""
        with self._lock:
            return self._counts.copy()


@dataclass(slots=True)
class _Transfer:
    """A message whose data set is under way. sink: None once it is refused; then the data set is drained."""

    context_id: int
    command: dimse.Command
    sink: Sink | None
    size: int = 0
    status: int = dimse.SUCCESS
    comment: str = ""


class Association:
    """Serves one connection in `run`. Other threads may call `stop` only."""

    def __init__(
        self,
        connection: socket.socket,
        address: str,
        gateway: Gateway,
        settings: ReceiverSettings,
        *,
        slow_window_s: float,
        take_place: Callable[[], bool],
        tally: Tally,
    ) -> None:
        """take_place: asks for the place of an association, when one is to be accepted; False: too many."""
        self.name = secrets.token_hex(4)
        self.address = address
        self.associated = False
        self._socket = connection
        self._gateway = gateway
        self._settings = settings
        self._slow_window_s = slow_window_s
        self._take_place = take_place
        self._tally = tally
        self._acceptor = Acceptor(Limits(pdu=settings.pdu_bytes, artim=settings.artim_s), time.monotonic)
        self._calling_ae = ""
        self._route = ""
        self._transfer: _Transfer | None = None
        self._stored = self._failed = self._bytes = 0
        self._stopping = False
        self._silent_s = 0.0  # Time waited for the peer since its last byte.
        self._paced_s = 0.0  # Time waited for the peer within a message, and the bytes that came in it.
        self._paced_bytes = 0

    def stop(self, *, now: bool) -> None:
        """Abort; not before the object in progress is stored, unless `now`."""
        self._stopping = True
        if now or self._transfer is None:
            try:
                self._socket.shutdown(socket.SHUT_RD)  # Wakes the thread from its receive.
            except OSError:
                pass  # Closed already.

    def run(self) -> None:
        """Serve until the transport connection is closed. Does not raise for what the peer does."""
        began = time.monotonic()
        try:
            self._configure()
            self._serve()
        except OSError as error:
            # The connection broke while something was sent: nobody is there to be told.
            log.info("dicom.connection_lost", association=self.name, error_type=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - the thread's edge: logged, and the object is dropped below
            log.error("dicom.association_failed", error, association=self.name)
        finally:
            self._drop()
            self._socket.close()
            if self.associated:
                log.info(
                    "dicom.association_closed",
                    association=self.name,
                    instances=self._stored,
                    count=self._failed,
                    bytes=self._bytes,
                    duration_ms=round((time.monotonic() - began) * 1000),
                )

    def _configure(self) -> None:
        connection = self._socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Timeouts of the kernel and not `settimeout`, which costs a poll before each receive.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(*_seconds(_TICK_S)))
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(*_seconds(self._settings.artim_s))
        )

    def _serve(self) -> None:
        acceptor, connection = self._acceptor, self._socket
        while not acceptor.ended:
            space = acceptor.space()
            in_message = acceptor.in_message
            began = time.monotonic()
            try:
                count = connection.recv_into(space)
            except BlockingIOError:
                count = -1  # The tick.
            except OSError:
                count = 0  # Reset by the peer.
            self._pace(time.monotonic() - began, count, in_message)
            if count > 0:
                # A message that came at once is acknowledged by its answer.
                if in_message:
                    self._acknowledge()
                self._handle(acceptor.received(count))
                if not in_message and acceptor.in_message:
                    self._acknowledge()
            elif count == 0:
                if self._stopping:
                    self._handle(acceptor.abort("shutdown"))
                self._handle(acceptor.closed())
                return
            self._watch()
            if self._stopping and acceptor.state is State.AWAITING_CLOSE:
                return  # The peer may take until ARTIM to close; a shutdown does not wait for that.

    def _acknowledge(self) -> None:
        """Senders that leave Nagle's algorithm on wait for our acknowledgement before the rest of a message.

        The kernel forgets the option, so it is set after each receive.
        """
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _pace(self, waited_s: float, count: int, in_message: bool) -> None:
        """Add up the time that the peer let us wait; our own time, in the sink, is not held against it."""
        self._silent_s = self._silent_s + waited_s if count <= 0 else 0.0
        if in_message:
            self._paced_s += waited_s
            self._paced_bytes += max(count, 0)
        else:
            self._paced_s, self._paced_bytes = 0.0, 0

    def _watch(self) -> None:
        """The timers: ARTIM, idle, slow sender, shutdown."""
        acceptor = self._acceptor
        self._handle(acceptor.tick())
        if acceptor.state is not State.ESTABLISHED:
            return
        if self._stopping and self._transfer is None:
            self._handle(acceptor.abort("shutdown"))
        elif self._silent_s >= self._settings.idle_s:
            self._handle(acceptor.abort("idle"))
        elif self._paced_s >= self._slow_window_s:
            if self._paced_bytes < self._settings.slow_bytes_per_s * self._slow_window_s:
                self._handle(acceptor.abort("slow"))
            self._paced_s, self._paced_bytes = 0.0, 0

    def _handle(self, events: Iterable[AcceptorEvent]) -> None:
        for event in events:
            match event:
                case Data(view, last):
                    self._data(view, last)
                case Message():
                    self._message(event)
                case Associating(request):
                    self._associate(request)
                case Released():
                    self._drop()
                case Ended(code, by_peer):
                    self._ended(code, by_peer)
            self._flush()
        self._flush()

    def _flush(self) -> None:
        output = self._acceptor.take_output()
        if output:
            self._socket.sendall(output)

    def _ended(self, code: str, by_peer: bool) -> None:
        if self._transfer is not None:
            self._failed += 1
            self._tally.add(failed=1)
        self._drop()
        if code == "rejected":
            self._tally.add(rejected=1)
        level = log.info if by_peer or code in ("shutdown", "artim") else log.warning
        level("dicom.association_ended", association=self.name, address=self.address, code=code)

    def _drop(self) -> None:
        """Forget the object in progress, if there is one."""
        transfer, self._transfer = self._transfer, None
        if transfer is not None and transfer.sink is not None:
            transfer.sink.abort()

    def _associate(self, request: AssociateRequest) -> None:
        admission = self._admission(request)
        if admission.rejection is None and not self._take_place():
            admission = Admission.reject(Rejection.LOCAL_LIMIT)
        if admission.rejection is not None:
            self._tally.add(rejected=1)
            self._acceptor.reject(AssociateReject(*admission.rejection.value))
            log.warning(
                "dicom.association_rejected",
                association=self.name,
                address=self.address,
                called_ae=_printable(request.called_ae),
                calling_ae=_printable(request.calling_ae),
                reason=admission.rejection.name.lower(),
            )
            return
        self.associated = True
        self._calling_ae = request.calling_ae
        self._route = admission.route
        negotiated = negotiate(
            request, maximum_length=self._settings.pdu_bytes, unknown_syntaxes=admission.unknown_syntaxes
        )
        self._acceptor.accept(negotiated, request.user.maximum_length)
        self._tally.add(accepted=1)
        log.info(
            "dicom.association_accepted",
            association=self.name,
            address=self.address,
            called_ae=_printable(request.called_ae),
            calling_ae=_printable(request.calling_ae),
            route=self._route,
            count=len(negotiated.contexts),
        )

    def _admission(self, request: AssociateRequest) -> Admission:
        for title, rejection in (
            (request.called_ae, Rejection.CALLED_AE),
            (request.calling_ae, Rejection.CALLING_AE),
        ):
            # PS3.5 Table 6.2-1, AE: the default repertoire without backslash and control characters, not only spaces.
            if not title or title != _printable(title) or "\\" in title:
                return Admission.reject(rejection)
        try:
            return self._gateway.association(request.called_ae, request.calling_ae, self.address)
        except WardlightError as error:
            log.warning("dicom.association_failed", association=self.name, code=error.code)
        except Exception as error:  # noqa: BLE001 - whatever fails there, nobody is let in, and it is logged
            log.error("dicom.association_failed", error, association=self.name)
        return Admission.reject(Rejection.LOCAL_LIMIT)

    def _message(self, message: Message) -> None:
        command = message.command
        if command.field == dimse.C_CANCEL_RQ:
            # Nothing that could be cancelled is ever under way (PS3.7 section 9.3.2.3); it has no response.
            if command.has_data_set:
                self._handle(self._acceptor.abort("cancel-with-data-set"))
        elif command.field & dimse.RESPONSE:
            self._handle(self._acceptor.abort("unexpected-response"))
        elif command.message_id is None:
            self._handle(self._acceptor.abort("message-id"))
        elif command.has_data_set:
            self._transfer = self._begin(message)
        else:
            status = _answer_at_once(message)
            self._acceptor.respond(message.context_id, dimse.response(command, status))

    def _begin(self, message: Message) -> _Transfer:
        """A message with a data set: open the sink, or note why it is refused and drain it."""
        command, context = message.command, message.context
        transfer = _Transfer(message.context_id, command, None)
        if command.field != dimse.C_STORE_RQ:
            transfer.status = dimse.UNRECOGNIZED_OPERATION
        elif context.abstract_syntax == VERIFICATION or command.sop_class != context.abstract_syntax:
            transfer.status = dimse.SOP_CLASS_NOT_SUPPORTED
        elif not dimse.is_uid(command.sop_instance):
            transfer.status = dimse.INVALID_INSTANCE
        else:
            self._attempt(transfer, lambda: self._open(transfer, context.transfer_syntax))
        return transfer

    def _open(self, transfer: _Transfer, transfer_syntax: str) -> None:
        transfer.sink = self._gateway.begin(
            self._route,
            self._calling_ae,
            self.address,
            transfer.command.sop_class,
            transfer.command.sop_instance,
            transfer_syntax,
        )

    def _data(self, view: memoryview, last: bool) -> None:
        transfer = self._transfer
        if transfer is None:
            return  # Of a message that ended the association.
        transfer.size += len(view)
        sink = transfer.sink
        if sink is not None:
            if transfer.size > self._settings.object_bytes:
                self._refuse(transfer, WardlightError("too-large"))
            elif view:
                self._attempt(transfer, lambda: sink.write(view))
        elif transfer.size > 2 * self._settings.object_bytes:
            self._handle(self._acceptor.abort("too-large"))
            return
        if last:
            if transfer.sink is not None:
                self._attempt(transfer, transfer.sink.commit)
            self._finish(transfer)

    def _finish(self, transfer: _Transfer) -> None:
        """The data set is complete, and durable or refused: answer."""
        self._transfer = None
        if transfer.status == dimse.SUCCESS:
            self._stored += 1
            self._bytes += transfer.size
            self._tally.add(stored=1, bytes=transfer.size)
        else:
            self._failed += 1
            self._tally.add(failed=1)
        response = dimse.response(transfer.command, transfer.status, transfer.comment)
        self._acceptor.respond(transfer.context_id, response)

    def _attempt(self, transfer: _Transfer, step: Callable[[], None]) -> None:
        """Do a step of the gateway; if it fails the object is refused and the association goes on."""
        try:
            step()
        except WardlightError as error:
            self._refuse(transfer, error)
        except Exception as error:  # noqa: BLE001 - logged, and the sender hears of a processing failure
            log.error("dicom.store_failed", error, association=self.name)
            self._refuse(transfer, WardlightError("internal"))

    def _refuse(self, transfer: _Transfer, error: WardlightError) -> None:
        sink, transfer.sink = transfer.sink, None
        transfer.status = error.kind.dicom
        transfer.comment = str(error)
        if sink is not None:
            sink.abort()
        log.warning(
            "dicom.store_refused",
            association=self.name,
            route=self._route,
            code=error.code,
            reason=error.reason,
            status=transfer.status,
        )


def _answer_at_once(message: Message) -> int:
    """Status for a request without a data set."""
    if message.command.field == dimse.C_ECHO_RQ:
        is_verification = message.context.abstract_syntax == VERIFICATION
        return dimse.SUCCESS if is_verification else dimse.SOP_CLASS_NOT_SUPPORTED
    if message.command.field == dimse.C_STORE_RQ:
        return dimse.CANNOT_UNDERSTAND  # There is nothing to store.
    return dimse.UNRECOGNIZED_OPERATION


def _printable(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _seconds(value: float) -> tuple[int, int]:
    whole = int(value)
    return whole, int((value - whole) * 1_000_000)
