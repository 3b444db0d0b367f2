"""The feed of events over HTTP: at once, by long poll, or as a stream (server-sent events, WHATWG HTML 9.2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from wardlight.access.model import Scope
from wardlight.archive.open_reads import OpenRead
from wardlight.delivery.feed import MOST
from wardlight.delivery.model import Page, Told
from wardlight.errors import WardlightError
from wardlight.trail.call import answer
from wardlight.web.responses import ABORT, AnswerResponse
from wardlight.web.services import Services
from wardlight.web.threads import Run
from wardlight.web.waiting import Place, Waiter, Waiting

_T = TypeVar("_T")

STREAM: Final = "text/event-stream"
#: Events of a page where nothing else is asked for, and the longest wait for them, in seconds.
USUAL: Final = 100
LONGEST_WAIT_S: Final = 30
#: A stream says at least so often that it is alive, and ends after so long: the client comes again, with a new token.
_ALIVE_S: Final = 15.0
_LONGEST_S: Final = 600.0
#: A client that does not take what it is sent in so long has gone.
_STALL_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Following:
    """One authorised request that may wait. run: for blocking work. guard: within which that is done."""

    services: Services
    scope: Scope
    request: Request = field(repr=False)
    query: Callable[[], dict[str, str]] = field(repr=False)
    run: Run
    guard: Callable[[], AbstractContextManager[None]]

    async def guarded(self, work: Callable[[], _T]) -> _T:
        """Blocking work in a thread; what fails is in the trail."""

        def within() -> _T:
            with self.guard():
                return work()

        return await self.run(within)


#: What of a stream is sent next, and the position behind it.
Piece = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class _Asked:
    after: int
    limit: int
    wait_s: int


async def events(call: Following) -> Response:
    """GET /api/v1/events: an application's events behind a position."""
    asked = await call.guarded(partial(_asked, call))
    head = call.request.method == "HEAD"
    place = (call.scope.institution, call.scope.principal.id)
    if not head and _wants_stream(call.request):
        waiter = await enter(call, call.services.waiting, place)
        return EventStream(
            call, call.services.waiting, waiter, asked.after, partial(_piece, call, asked.limit)
        )
    page = await call.guarded(partial(_page, call, asked.after, asked.limit))
    if not page.events and asked.wait_s and not head:
        waiter = await enter(call, call.services.waiting, place)
        page = await _later(call, asked, page, waiter)
    shown = {"events": [told.members() for told in page.events], "next": str(page.next)}
    return AnswerResponse(answer(shown), head=head)


async def enter(call: Following, waiting: Waiting, place: Place) -> Waiter:
    """One more who waits. Raises `rate-limited`, in the trail."""
    try:
        return waiting.enter(place)
    except WardlightError as error:
        await call.guarded(partial(_fail, error))
        raise


def _fail(error: WardlightError) -> None:
    raise error


async def _later(call: Following, asked: _Asked, page: Page, waiter: Waiter) -> Page:
    """What comes in the time that the client waits; nothing where it goes, or its access does."""
    opened = _enter(call, call.request.scope)
    gone = asyncio.ensure_future(_gone(call.request.receive))
    deadline = time.monotonic() + asked.wait_s
    try:
        while not page.events and (left := deadline - time.monotonic()) > 0:
            if not await _came(call.services.waiting, waiter, page.next, left, gone, opened):
                break
            # What came may be told no more by now: then the wait goes on.
            page = await call.guarded(partial(_page, call, page.next, asked.limit))
        return page
    finally:
        gone.cancel()
        call.services.waiting.leave(waiter)
        _leave(call, opened)


async def _came(
    waiting: Waiting,
    waiter: Waiter,
    after: int,
    seconds: float,
    gone: asyncio.Future[Any],
    opened: OpenRead | None,
) -> bool:
    """Whether an event came in time. Raises ClientDisconnect where the client went, or its access did."""
    came: asyncio.Future[Any] = asyncio.ensure_future(waiting.until(waiter, after, seconds))
    try:
        await asyncio.wait({came, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() or (opened is not None and opened.ended.is_set()):
            raise ClientDisconnect
        return bool(came.result())
    finally:
        came.cancel()


class EventStream(Response):
    """Events as they come, until the client goes, its access ends, or ten minutes are over."""

    def __init__(
        self,
        call: Following,
        waiting: Waiting,
        waiter: Waiter,
        after: int,
        piece: Callable[[int], Awaitable[Piece]],
    ) -> None:
        self._call = call
        self._waiting = waiting
        self._waiter = waiter
        self._after = after
        self._piece = piece
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"content-type", f"{STREAM}; charset=utf-8".encode()),
            (b"cache-control", b"no-store"),
            # For proxies: each event is for now.
            (b"x-accel-buffering", b"no"),
        ]

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Send them."""
        opened = _enter(self._call, scope)
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._follow(gone, opened, send)
        except TimeoutError:
            abort = scope.get("extensions", {}).get(ABORT, {}).get("now")
            if abort is not None:
                abort()
            raise ClientDisconnect from None
        finally:
            gone.cancel()
            self._waiting.leave(self._waiter)
            _leave(self._call, opened)

    async def _follow(self, gone: asyncio.Future[None], opened: OpenRead | None, send: Send) -> None:
        after = self._after
        deadline = time.monotonic() + _LONGEST_S
        piece = b"retry: 3000\n\n"
        while True:
            async with asyncio.timeout(_STALL_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece, after = await self._piece(after)
            if piece:
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                await send({"type": "http.response.body", "body": b""})
                return
            if not await _came(self._waiting, self._waiter, after, min(_ALIVE_S, left), gone, opened):
                piece = b": \n\n"


async def _piece(call: Following, limit: int, after: int) -> Piece:
    page = await call.guarded(partial(_page, call, after, limit))
    return b"".join(_as_sent(told) for told in page.events), page.next


def _page(call: Following, after: int, limit: int) -> Page:
    return still_known(call, partial(call.services.platform.feed.page, call.scope, after, limit))


def still_known(call: Following, work: Callable[[], _T]) -> _T:
    """Work that finds out whether the caller's token or session has ended since: then that is in the trail."""
    try:
        return work()
    except WardlightError as error:
        if error.kind.http == 401:
            scope, access = call.scope, call.services.access
            access.deny(
                scope.principal,
                scope.action,
                error.reason,
                request=scope.request,
                address=scope.address,
                status=401,
            )
        raise


def _as_sent(told: Told) -> bytes:
    text = json.dumps(told.members(), separators=(",", ":"))
    return f"id: {told.seq}\nevent: {told.kind.value}\ndata: {text}\n\n".encode()


def _asked(call: Following) -> _Asked:
    query = call.query()
    after = call.request.headers.get("last-event-id") or query.get("after", "")
    return _Asked(
        _number("after", after, 0, 10**12),
        _number("limit", query.get("limit", ""), USUAL, MOST, least=1),
        _number("wait", query.get("wait", ""), 0, LONGEST_WAIT_S),
    )


def _number(name: str, text: str, usual: int, most: int, least: int = 0) -> int:
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 15 or not least <= int(text) <= most:
        raise WardlightError("bad-request", f"{name} is {least} to {most}")
    return int(text)


def _wants_stream(request: Request) -> bool:
    return any(
        one.partition(";")[0].strip().lower() == STREAM
        for one in request.headers.get("accept", "").split(",")
    )


def _enter(call: Following, connection: Any) -> OpenRead | None:
    """Have the open answer watched: it ends with the token, the application and the institution."""
    means = connection.get("extensions", {}).get(ABORT)
    if call.services.open_reads is None or means is None:
        return None
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.call_soon_threadsafe(means["now"])

    return call.services.open_reads.enter(call.scope, end, means["left"])


def _leave(call: Following, opened: OpenRead | None) -> None:
    if opened is not None and call.services.open_reads is not None:
        call.services.open_reads.forget(opened)


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
