"""Bodies of requests: brought to who reads them at the pace at which they come, and given up where that is too slow."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from wardlight.errors import WardlightError
from wardlight.trail.call import MAX_BODY
from wardlight.web.threads import in_thread

_BATCH: Final = 1 << 20  # bytes of a body handed to a thread at a time
#: A body must bring so many bytes in each window of time that is spent waiting for it, or it is given up: it holds a
#: place among the store requests (security.md section 8 has the same for associations).
_SLOW_BYTES: Final = 60 * 4096
_SLOW_S: Final = 60.0


async def small_body(request: Request) -> bytes:
    """A body of at most `MAX_BODY`. Raises `too-large`, `bad-request` where it comes too slowly."""
    pace = _Pace()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await pace.receive(request)
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise WardlightError("too-large", f"the body is larger than {MAX_BODY >> 10} KiB")
        if _ends(message):
            return b"".join(parts)


class Feeds(Protocol):
    """Takes batches of a body."""

    def feed(self, batch: list[bytes], /) -> None:
        """Take one, in a thread."""


async def pump(request: Request, exchange: Feeds) -> list[bytes]:
    """Bring the body to the exchange: one batch is worked on in a thread while the next one arrives.

    The last batch is returned, so that it shares a visit to a thread with what is done at the end.
    """
    working: asyncio.Future[None] | None = None
    batch: list[bytes] = []
    size, more = 0, True
    pace = _Pace()
    try:
        while more:
            message = await pace.receive(request)
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            batch.append(message.get("body", b""))
            size += len(batch[-1])
            if size >= _BATCH and more:
                if working is not None:
                    await working
                working = asyncio.ensure_future(in_thread(partial(exchange.feed, batch)))
                batch, size = [], 0
        if working is not None:
            await working
        return batch
    finally:
        if working is not None:
            await asyncio.wait({working})


class _Pace:
    """Waits for pieces of one body, and gives up on a sender that is too slow. Our own work is not held against it."""

    __slots__ = ("_brought", "_waited")

    def __init__(self) -> None:
        self._brought = 0
        self._waited = 0.0

    async def receive(self, request: Request) -> Message:
        """The next message. Raises `bad-request` where too little came for too long."""
        while True:
            began = time.monotonic()
            message: Message | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(_SLOW_S - self._waited):
                    message = await request.receive()
            self._waited += time.monotonic() - began
            if message is not None:
                self._brought += len(message.get("body", b""))
            if self._waited >= _SLOW_S:
                if self._brought < _SLOW_BYTES and not _ends(message):
                    raise WardlightError("bad-request", "the request body comes too slowly", reason="slow")
                self._brought, self._waited = 0, 0.0
            if message is not None:
                return message


def _ends(message: Message | None) -> bool:
    """Whether nothing more of the body is to come."""
    return message is not None and not message.get("more_body", False)
