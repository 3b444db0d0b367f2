"""The node's side of its helper processes: one interpreter lock bounds what a process receives, so others serve too."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from typing import Final

from wardlight import log
from wardlight.receiver.associations import Place
from wardlight.receiver.channel import Channel, Kind, Said

_STOP_S: Final = 16.0
"""A helper that was told to stop may take so long, in seconds; its objects in progress have 10 of them."""


class Helper:
    """One process that serves connections which the node accepted. Thread-safe."""

    def __init__(self, lock: int, on_end: Callable[[], None]) -> None:
        """Start the process. lock: descriptor of the node's lock, which the helper holds for as long as it lives.

        on_end: called if it ends by itself; the node then ends too, as what it left behind is found at the start.
        """
        self._on_end = on_end
        self._places: dict[int, Place] = {}
        self._numbers = count(1)
        self._ready = self._stopping = False
        self._channel, theirs = Channel.pair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "wardlight.receiver.helper", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), lock),
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._listen, name="helper", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self._ready and not self._stopping

    def open(self) -> int:
        """How many connections it serves now."""
        return len(self._places)

    def serve(self, connection: socket.socket, address: str, place: Place) -> None:
        """Hand a connection over. Raises OSError, with nothing done, if the helper does not listen."""
        number = next(self._numbers)
        self._places[number] = place
        try:
            self._channel.send(
                Said(Kind.TAKE, number, address),
                flags=socket.MSG_DONTWAIT,
                descriptors=(connection.fileno(),),
            )
        except OSError:
            if self._places.pop(number, None) is not None:
                raise
            # It has just ended, and with it the place was given back.
        connection.close()

    def stop(self) -> None:
        """Tell it to stop; returns at once. `join` waits."""
        self._stopping = True
        try:
            self._channel.send(Said(Kind.STOP))
        except OSError:
            pass  # It has ended already.

    def join(self) -> None:
        """Wait until it has ended, and end it if it does not."""
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._channel.close()
        self._thread.join()

    def _listen(self) -> None:
        while (said := self._channel.receive()) is not None:
            if said.kind is Kind.READY:
                self._ready = True
            elif said.kind is Kind.ASK:
                place = self._places[said.number]
                self._answer(Said(Kind.YES if place.associate() else Kind.NO, said.number))
            elif said.kind is Kind.ENDED:
                place = self._places.pop(said.number)
                place.tally.add(**json.loads(said.text))
                place.release()
        self._ready = False
        while self._places:
            self._places.popitem()[1].release()
        if not self._stopping:
            log.error("receiver.helper_ended")
            self._on_end()

    def _answer(self, said: Said) -> None:
        try:
            self._channel.send(said)
        except OSError:
            pass  # It has ended: the next receive says so.
