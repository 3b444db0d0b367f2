"""The DICOM node: listens, limits and counts associations, shuts down gracefully.

Limits are those of security.md section 8. They are kept here for helper processes too.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wardlight import log
from wardlight.receiver.associations import Associations
from wardlight.receiver.gateway import Gateway
from wardlight.receiver.helpers import Helper
from wardlight.receiver.receiving import GRACE_S
from wardlight.receiver.scp_association import Tally
from wardlight.settings import ReceiverSettings

_HALF_OPEN: Final = 64
"""Most connections without an association over all addresses: a flood from many addresses stays bounded too."""
_ACCEPT_PAUSE_S: Final = 0.1
"""Pause when a connection cannot be taken for lack of descriptors, so that the loop does not spin."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the node did since its start; `associations` is how many are open now."""

    associations: int
    accepted: int
    rejected: int
    refused_connections: int
    stored: int
    failed: int
    bytes: int


class _Slots:
    """Counts connections and associations, whole and by address, against their limits."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._half_open: Counter[str] = Counter()
        self._associated: Counter[str] = Counter()

    def connect(self, address: str) -> bool:
        """Take a half-open place."""
        with self._lock:
            if (
                self._half_open[address] >= self._settings.half_open_per_address
                or self._half_open.total() >= _HALF_OPEN
            ):
                return False
            self._half_open[address] += 1
            return True

    def associate(self, address: str) -> bool:
        """Turn a half-open place into that of an association."""
        with self._lock:
            if (
                self._associated[address] >= self._settings.associations_per_address
                or self._associated.total() >= self._settings.associations
            ):
                return False
            _take_one(self._half_open, address)
            self._associated[address] += 1
            return True

    def release(self, address: str, *, associated: bool) -> None:
        """Give the place back."""
        with self._lock:
            _take_one(self._associated if associated else self._half_open, address)

    def associations(self) -> int:
        """Associations that are open now."""
        with self._lock:
            return self._associated.total()


def _take_one(counter: Counter[str], address: str) -> None:
    # An entry of zero would stay for every address that ever connected.
    counter[address] -= 1
    if not counter[address]:
        del counter[address]


class _Place:
    """The place of one connection. Used by one thread at a time."""

    def __init__(self, slots: _Slots, address: str, tally: Tally) -> None:
        self.tally = tally
        self._slots = slots
        self._address = address
        self._associated = False

    def associate(self) -> bool:
        """Turn it into that of an association."""
        self._associated = self._slots.associate(self._address)
        return self._associated

    def release(self) -> None:
        """Give it back."""
        self._slots.release(self._address, associated=self._associated)


class StorageScp:
    """Verification and Storage SCP. `start` listens; `stop` ends all associations. Thread-safe."""

    def __init__(
        self,
        gateway: Gateway,
        settings: ReceiverSettings,
        *,
        helpers: Sequence[Helper] = (),
        slow_window_s: float = 60.0,
    ) -> None:
        """helpers: processes that serve connections beside this one.

        slow_window_s: time over which a sender's rate is judged within an object, in seconds.
        """
        self._settings = settings
        self._slots = _Slots(settings)
        self._tally = Tally()
        self._here = Associations(gateway, settings, slow_window_s=slow_window_s)
        self._helpers = helpers
        self._refused = 0
        self._stopping = False
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use, which is a free one if the settings say 0."""
        if self._listener is None:
            raise RuntimeError("the node does not listen")
        port: int = self._listener.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen and serve. Raises OSError if the address or port cannot be had."""
        host = self._settings.dicom_host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, self._settings.dicom_port),
            family=family,
            backlog=128,
            # `::` means every address of the machine, those of IPv4 too.
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
        self._thread = threading.Thread(target=self._accept, name="dicom-accept", daemon=True)
        self._thread.start()
        log.info("dicom.listening", port=self.port)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Accept nothing more; objects in progress may finish for up to `grace_s` seconds; then abort all.

        Helpers end as well.
        """
        self._stopping = True
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        try:
            listener.shutdown(socket.SHUT_RDWR)  # Wakes the accepting thread.
        except OSError:
            pass  # Not every system lets a listening socket be shut down; closing it then does the same.
        listener.close()
        for helper in self._helpers:
            helper.stop()
        count = self._here.stop(grace_s)
        for helper in self._helpers:
            helper.join()
        thread.join(5.0)
        log.info("dicom.stopped", count=count)

    def statistics(self) -> Statistics:
        """Counters for status and metrics."""
        tally = self._tally.snapshot()
        return Statistics(
            associations=self._slots.associations(),
            accepted=tally["accepted"],
            rejected=tally["rejected"],
            refused_connections=self._refused,
            stored=tally["stored"],
            failed=tally["failed"],
            bytes=tally["bytes"],
        )

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        while not self._stopping:
            try:
                connection, peer = listener.accept()
            except OSError as error:
                if not self._stopping:
                    log.error("dicom.accept_failed", error)
                    time.sleep(_ACCEPT_PAUSE_S)
                continue
            address = _literal(str(peer[0]))
            if self._slots.connect(address):
                self._serve(connection, address)
            else:
                self._refused += 1
                connection.close()
                log.warning("dicom.connection_refused", address=address, reason="half-open-limit")

    def _serve(self, connection: socket.socket, address: str) -> None:
        """Give the connection to the process that has the fewest."""
        place = _Place(self._slots, address, self._tally)
        least = min((one for one in self._helpers if one.ready), key=Helper.open, default=None)
        if least is not None and least.open() < self._here.open():
            try:
                least.serve(connection, address, place)
            except OSError as error:
                log.error("dicom.hand_over_failed", error, address=address)
            else:
                return
        self._here.serve(connection, address, place)


def _literal(host: str) -> str:
    """The address without zone, and IPv4 as IPv4 even on a socket of both families."""
    address = ipaddress.ip_address(host.split("%", 1)[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
