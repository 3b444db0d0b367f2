"""A gateway that keeps objects in memory, for tests of the DICOM node: real, and loud about any misuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wardlight.receiver.gateway import Admission, Rejection
from wardlight.receiver.scp import StorageScp
from wardlight.settings import ReceiverSettings


@dataclass
class Stored:
    route: str
    calling_ae: str
    address: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes


@dataclass
class MemoryGateway:
    """`fail_*` are called at that point with the sink and may raise. `faults` lists every breach of the contract."""

    known: dict[str, bool] = field(default_factory=lambda: {"ANY-SCP": True, "STRICT": False})
    refused_calling: frozenset[str] = frozenset({"STRANGER"})
    fail_association: Callable[[], None] = lambda: None
    fail_begin: Callable[[MemorySink], None] = lambda sink: None
    fail_write: Callable[[MemorySink], None] = lambda sink: None
    fail_commit: Callable[[MemorySink], None] = lambda sink: None
    keep: bool = True
    stored: list[Stored] = field(default_factory=list)
    aborted: list[MemorySink] = field(default_factory=list)
    open: list[MemorySink] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def association(self, called_ae: str, calling_ae: str, address: str, /) -> Admission:
        self.fail_association()
        for title in (called_ae, calling_ae):
            if not title.strip() or title != title.strip() or len(title) > 16:
                self.fault(f"title {title!r}")
        if called_ae not in self.known:
            return Admission.reject(Rejection.CALLED_AE)
        if calling_ae in self.refused_calling:
            return Admission.reject(Rejection.CALLING_AE)
        return Admission.accept(f"route of {called_ae}", unknown_syntaxes=self.known[called_ae])

    def begin(
        self,
        route: str,
        calling_ae: str,
        address: str,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        /,
    ) -> MemorySink:
        sink = MemorySink(
            self, Stored(route, calling_ae, address, sop_class, sop_instance, transfer_syntax, b"")
        )
        self.fail_begin(sink)
        with self.lock:
            self.open.append(sink)
        return sink

    def fault(self, text: str) -> None:
        self.faults.append(text)
        raise AssertionError(text)

    def settle(self) -> None:
        """To be called when the node has stopped: nothing half kept, no breach."""
        assert self.faults == []
        assert self.open == []


@dataclass(eq=False)
class MemorySink:
    gateway: MemoryGateway
    object: Stored
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    writes: int = 0
    state: str = "open"
    thread: int = field(default_factory=threading.get_ident)

    def write(self, data: memoryview, /) -> None:
        self._require("write")
        if not isinstance(data, memoryview) or not len(data):
            self.gateway.fault("write without data")
        self.size += len(data)
        self.writes += 1
        self.gateway.fail_write(self)
        if self.gateway.keep:
            self.parts.append(bytes(data))

    def commit(self) -> None:
        self._require("commit")
        self.gateway.fail_commit(self)
        self.state = "committed"
        self.object.data = b"".join(self.parts)
        with self.gateway.lock:
            self.gateway.stored.append(self.object)
            self.gateway.open.remove(self)

    def abort(self) -> None:
        self._require("abort")
        self.state = "aborted"
        with self.gateway.lock:
            self.gateway.aborted.append(self)
            self.gateway.open.remove(self)

    def _require(self, what: str) -> None:
        if self.state != "open":
            self.gateway.fault(f"{what} of a sink that is {self.state}")
        if self.thread != threading.get_ident():
            self.gateway.fault(f"{what} by another thread")


@contextmanager
def node(
    gateway: MemoryGateway, *, slow_window_s: float = 60.0, grace_s: float = 5.0, **settings: object
) -> Iterator[StorageScp]:
    """A DICOM node on a free port of loopback, checked for leftovers at its end."""
    values = {"dicom_host": "127.0.0.1", "dicom_port": 0, **settings}
    scp = StorageScp(gateway, ReceiverSettings.model_validate(values), slow_window_s=slow_window_s)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(grace_s)
    gateway.settle()
    assert scp.statistics().associations == 0
