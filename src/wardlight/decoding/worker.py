"""The decoder process: takes jobs from the pool over a socket, data through two shared memory files.

It begins with all libraries loaded, gives up everything else (`sandbox`), and only then takes a job. It holds no key
and sees no environment. What it says is checked by `pool`, which trusts none of it.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
import weakref
from collections.abc import Sequence
from typing import Any, Final

from wardlight.decoding import sandbox
from wardlight.decoding.jobs import JOBS, JobError, load

#: A mapping up to this size is kept for the next job.
_KEPT: Final = 16 << 20
_MAP_FAILED: Final = ctypes.c_void_p(-1).value
_LIBRARY: Final = ctypes.CDLL(None)
_LIBRARY.mmap.restype = ctypes.c_void_p
_LIBRARY.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_LIBRARY.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class _Window:
    """A mapping of the start of a shared file, made larger when a job needs more.

    By the C library itself, as Python's `mmap` would duplicate the descriptor, which the sandbox refuses.
    """

    def __init__(self, descriptor: int, *, write: bool) -> None:
        self._descriptor = descriptor
        self._protection = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        self._size = 0
        self._view: memoryview | None = None

    def view(self, size: int) -> memoryview:
        if self._view is None or self._size < size:
            self._view = None  # Goes before the new one comes: there is room in memory for one.
            self._size = -(-max(size, 1 << 20) // mmap.PAGESIZE) * mmap.PAGESIZE
            self._view = self._map()
        return self._view[:size]

    def _map(self) -> memoryview:
        address = _LIBRARY.mmap(None, self._size, self._protection, mmap.MAP_SHARED, self._descriptor, 0)
        if address == _MAP_FAILED:
            raise MemoryError
        array = (ctypes.c_ubyte * self._size).from_address(address)
        weakref.finalize(array, _LIBRARY.munmap, address, self._size)  # When no view is left.
        return memoryview(array).cast("B")

    def tidy(self) -> None:
        if self._size > _KEPT:
            self._view = None


def main(arguments: Sequence[str]) -> None:
    """Serve until the pool hangs up.

    Arguments: `sandboxed` or `open`; numbers of the descriptors for messages, data in, data out; modules with jobs.
    """
    channel = int(arguments[1])
    inbox, outbox = _Window(int(arguments[2]), write=False), _Window(int(arguments[3]), write=True)
    load(arguments[4:])
    sandbox.limits()
    if arguments[0] == "sandboxed":
        sandbox.lock_down()
    _send(channel, {"ready": True})
    while (request := _receive(channel)) is not None:
        _send(channel, _work(request, inbox, outbox))
        inbox.tidy()
        outbox.tidy()


def _work(request: dict[str, Any], inbox: _Window, outbox: _Window) -> dict[str, Any]:
    try:
        given = _cut(inbox.view(sum(request["sizes"])), request["sizes"])
        result, data = JOBS[request["job"]](request["arguments"], given)
        sizes = [len(piece) for piece in data]
        for place, piece in zip(_cut(outbox.view(sum(sizes)), sizes), data, strict=True):
            place[:] = piece
        return {"result": result, "sizes": sizes}
    except JobError as error:
        return {"failed": error.reason}
    except MemoryError:
        return {"failed": "killed"}
    except Exception:  # noqa: BLE001 - a codec raises what it likes about a damaged frame
        return {"failed": "damaged"}


def _cut(view: memoryview, sizes: Sequence[int]) -> list[memoryview]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(view[start : start + size])
        start += size
    return pieces


def _receive(channel: int) -> dict[str, Any] | None:
    head = _exactly(channel, 4)
    body = None if head is None else _exactly(channel, struct.unpack("<I", head)[0])
    return None if body is None else json.loads(body)


def _exactly(channel: int, size: int) -> bytes | None:
    pieces = []
    while size:
        piece = os.read(channel, size)
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _send(channel: int, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    data = struct.pack("<I", len(body)) + body
    while data:
        data = data[os.write(channel, data) :]
