"""Sends an `Answer`: small ones at once, large ones as they are read, one piece ahead of the client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from wardlight.access.model import Scope as AccessScope
from wardlight.archive.open_reads import OpenRead, OpenReads, is_fresh
from wardlight.dicomweb.call import Answer
from wardlight.web.threads import Run, in_thread

#: Bytes read in one visit to a thread: large enough for the visit not to count, small enough for a slow client to
#: hold little.
_BATCH: Final = 1 << 20
#: Bytes given to the connection at a time.
_PART: Final = 256 << 10
#: Where a server's scope has what ends the connection at once, among its `extensions`.
ABORT: Final = "wardlight.abort"
#: A client that does not take a batch in so long has gone.
_STALL_S: Final = 120.0
#: Answers without a body, whose Content-Length would be another answer's (RFC 9110 section 8.6).
_BODILESS: Final = frozenset({204, 304})


class AnswerResponse(Response):
    """An answer on its way. Build it in a thread: the first batch is read there, and its errors still get a status.

    head: only the header is sent, and the body not begun. run: for what is read later. guard: within which the body is
    read, to see its errors. reads: ends the answer when
    the access of shown_to does.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        head: bool = False,
        run: Run = in_thread,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
        reads: OpenReads | None = None,
        shown_to: AccessScope | None = None,
    ) -> None:
        self._run = run
        self._reads = reads
        self._shown_to = shown_to
        self._first: list[bytes] = []
        self._rest: Iterator[bytes] | None = None
        length = len(answer.body) if isinstance(answer.body, bytes) else answer.length
        if isinstance(answer.body, bytes) and len(answer.body) <= _BATCH:
            self._first = [] if head else [answer.body]
        elif not head:
            body = _cut(_pieces(answer), guard)
            self._first, more = _pull(body)
            if more:
                self._rest = body
            else:
                length = sum(map(len, self._first))
        self.status_code = answer.status
        self.background = None
        self.raw_headers = [
            (name.lower().encode(), _field_value(value)) for name, value in answer.headers.items()
        ]
        if answer.content_type:
            self.raw_headers.append((b"content-type", _field_value(answer.content_type)))
        if length is not None and answer.status not in _BODILESS:
            self.raw_headers.append((b"content-length", str(length).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        opened = self._enter(scope)
        whole = False
        try:
            if opened and not is_fresh(opened.scope) and not await in_thread(partial(self._stands, opened)):
                # It took so long to make that the access to it has ended meanwhile: not a byte of it leaves.
                raise ClientDisconnect
            await self._send(scope, receive, send)
            whole = True
        finally:
            self._leave(opened, gone=not whole)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if self._rest is None:
            await send({"type": "http.response.body", "body": b"".join(self._first)})
            return
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await self._stream(self._rest, gone, send)
        except TimeoutError:
            # What waits in buffers would hold the connection for as long as the client likes.
            abort = scope.get("extensions", {}).get(ABORT, {}).get("now")
            if abort is not None:
                abort()
            raise ClientDisconnect from None
        finally:
            gone.cancel()

    def _enter(self, scope: Scope) -> OpenRead | None:
        """Have the answer watched, where it shows data of somebody whose access may end."""
        connection = scope.get("extensions", {}).get(ABORT)
        if self._reads is None or self._shown_to is None or not self._shown_to.uses or connection is None:
            return None
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.call_soon_threadsafe(connection["now"])

        return self._reads.enter(self._shown_to, end, connection["left"])

    def _stands(self, opened: OpenRead) -> bool:
        return self._reads is None or self._reads.stands(opened)

    def _leave(self, opened: OpenRead | None, *, gone: bool) -> None:
        if opened is None or self._reads is None:
            return
        if gone:
            self._reads.forget(opened)
        else:
            self._reads.done(opened)

    async def _stream(self, rest: Iterator[bytes], gone: asyncio.Future[None], send: Send) -> None:
        pieces, more = self._first, True
        upcoming: asyncio.Future[tuple[list[bytes], bool]] | None = None
        try:
            while not gone.done():
                if more:
                    upcoming = asyncio.ensure_future(self._run(partial(_pull, rest)))
                async with asyncio.timeout(_STALL_S):
                    for piece in pieces:
                        for part in _parts(piece):
                            await send({"type": "http.response.body", "body": part, "more_body": True})
                if not more:
                    await send({"type": "http.response.body", "body": b""})
                    return
                assert upcoming is not None
                pieces, more = await upcoming
        finally:
            if upcoming is not None:
                # An iterator may be closed only when no thread is inside it.
                await asyncio.wait({upcoming})
            await in_thread(partial(_close, rest))


def _field_value(value: str) -> bytes:
    """A field value as it is sent; the server does not look for what would end the line (RFC 9110 section 5.5)."""
    if any(character in value for character in "\r\n\0"):
        raise ValueError("a header field holds a line break")
    return value.encode("latin-1")


def _parts(piece: bytes) -> Iterator[bytes | memoryview]:
    """The piece in parts that the connection takes one at a time, so that little is on its way."""
    if len(piece) <= _PART:
        yield piece
        return
    view = memoryview(piece)
    for start in range(0, len(piece), _PART):
        yield view[start : start + _PART]


def _pieces(answer: Answer) -> Iterator[bytes]:
    if isinstance(answer.body, bytes):
        return iter((answer.body,))
    return answer.body if isinstance(answer.body, Iterator) else answer.body(0, answer.length or 0)


def _cut(body: Iterator[bytes], guard: Callable[[], AbstractContextManager[None]]) -> Iterator[bytes]:
    """The body in pieces of at most a batch: what waits for a slow client lies in the server's buffer as a whole."""
    try:
        with guard():
            for piece in body:
                if len(piece) <= _BATCH:
                    yield piece
                else:
                    for start in range(0, len(piece), _BATCH):
                        yield piece[start : start + _BATCH]
    finally:
        _close(body)


def _pull(body: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """Read up to a batch; the second value says whether there may be more."""
    pieces: list[bytes] = []
    size = 0
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= _BATCH:
            return pieces, True
    return pieces, False


def _close(body: Iterator[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
