"""What the node and a helper process say to each other, over a pair of Unix sockets that keep messages apart.

The node alone listens and counts, so the limits of security.md section 8 hold over all processes. It hands a
connection over with `TAKE`; the helper asks before it accepts an association and tells when the connection is over.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct(">BQ")
_LONGEST: Final = 1024


class Kind(IntEnum):
    """What a message says."""

    READY = 1
    """Helper: it serves. Nothing is handed over before."""
    TAKE = 2
    """Node: serve this connection; `text` is its address."""
    ASK = 3
    """Helper: may this connection become an association?"""
    YES = 4
    """Node: it may."""
    NO = 5
    """Node: there are too many."""
    ENDED = 6
    """Helper: the connection is over; `text` is what it counted, as JSON."""
    STOP = 7
    """Node: let objects in progress finish, then end. A helper whose node is gone without a word ends at once."""


class Said(NamedTuple):
    """A message. number: of the connection it is about. descriptor: of a connection that is handed over."""

    kind: Kind
    number: int = 0
    text: str = ""
    descriptor: int | None = None


class Channel:
    """One end. Any thread may `send`; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """This process's end, and the other for the helper's process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def send(self, said: Said, *, flags: int = 0, descriptors: Sequence[int] = ()) -> None:
        """Say it. Raises OSError if the other end is gone, or with MSG_DONTWAIT does not listen."""
        socket.send_fds(
            self._socket, [_HEAD.pack(said.kind, said.number) + said.text.encode()], descriptors, flags
        )

    def receive(self) -> Said | None:
        """The next message; None when the other end is gone."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._socket, _LONGEST, 1)
        except OSError:
            return None
        if len(data) < _HEAD.size or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        kind, number = _HEAD.unpack_from(data)
        return Said(Kind(kind), number, data[_HEAD.size :].decode(), descriptors[0] if descriptors else None)

    def close(self) -> None:
        """Hang up; the other end hears it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The other end was first.
        self._socket.close()
