"""The associations that one process serves, each in a thread of its own.

Threads and not asyncio, since what an association does is to block: in `recv_into`, in the encryption of the spool
and in fdatasync, all of which release the interpreter lock.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Protocol

from wardlight import log
from wardlight.receiver.gateway import Gateway
from wardlight.receiver.scp_association import Association, Tally
from wardlight.settings import ReceiverSettings


class Place(Protocol):
    """The place of one connection within the limits of the node. tally: what its association counts in."""

    @property
    def tally(self) -> Tally:
        """The counters."""

    def associate(self) -> bool:
        """Ask for the place of an association instead of a half-open one; False: there are too many."""

    def release(self) -> None:
        """Give the place back; the connection is over."""


class Associations:
    """Serves connections with `gateway` until `stop`. Thread-safe."""

    def __init__(self, gateway: Gateway, settings: ReceiverSettings, *, slow_window_s: float = 60.0) -> None:
        """slow_window_s: time over which a sender's rate is judged within an object, in seconds."""
        self._gateway = gateway
        self._settings = settings
        self._slow_window_s = slow_window_s
        self._lock = threading.Lock()
        self._running: dict[Association, threading.Thread] = {}
        self._stopping = False

    def open(self) -> int:
        """How many connections are served now."""
        return len(self._running)

    def serve(self, connection: socket.socket, address: str, place: Place) -> None:
        """Serve a connection from `address`, which has taken `place`, in a new thread."""
        association = Association(
            connection,
            address,
            self._gateway,
            self._settings,
            slow_window_s=self._slow_window_s,
            take_place=place.associate,
            tally=place.tally,
        )
        worker = threading.Thread(
            target=self._run, args=(association, place), name=f"dicom-{association.name}", daemon=True
        )
        with self._lock:
            stopping = self._stopping
            if not stopping:
                self._running[association] = worker
        if stopping:
            connection.close()
            place.release()
            return
        try:
            worker.start()
        except RuntimeError as error:  # The machine gives no more threads.
            log.error("dicom.accept_failed", error, address=address)
            connection.close()
            self._end(association, place)

    def stop(self, grace_s: float) -> int:
        """Objects in progress may finish for up to `grace_s` seconds; then abort all. Returns how many were open."""
        with self._lock:
            self._stopping = True
            running = dict(self._running)
        for association in running:
            association.stop(now=False)
        deadline = time.monotonic() + grace_s
        for worker in running.values():
            worker.join(max(0.0, deadline - time.monotonic()))
        for association, worker in running.items():
            if worker.is_alive():
                association.stop(now=True)
        for worker in running.values():
            worker.join(5.0)
        return len(running)

    def _run(self, association: Association, place: Place) -> None:
        try:
            association.run()
        finally:
            self._end(association, place)

    def _end(self, association: Association, place: Place) -> None:
        with self._lock:
            self._running.pop(association, None)
        place.release()
