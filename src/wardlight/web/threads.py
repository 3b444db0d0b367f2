"""Threads for blocking work, shared so that one client cannot take all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol, TypeVar

_T = TypeVar("_T")

#: Threads that one token may have at a time, of the forty there are; its other requests wait without one.
OF_ONE_CLIENT: Final = 12
#: Threads for what needs no token, which answers quickly: whether the process is alive must not wait for anybody.
_FOR_ALL: Final = 4
#: Threads of each route that anybody may call: some of these wait for other servers, and keep no other route waiting.
_OF_ONE_ROUTE: Final = 6
_THREADS: Final = ThreadPoolExecutor(40, "request")
_PUBLIC: Final = ThreadPoolExecutor(_FOR_ALL, "public")


class Run(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """What the work returns."""


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run blocking work in a thread; on return the thread is done with it, also where the caller was cancelled."""
    return await _in(_THREADS, work)


def of_route() -> Run:
    """As `in_thread`, with threads of its own, for one route."""
    return partial(_in, ThreadPoolExecutor(_OF_ONE_ROUTE, "open"))


async def _in(pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    job = pool.submit(work)
    future = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # What no thread has begun is not begun any more.
        if not job.cancel():
            await _ended(future)
        raise


async def _ended(future: asyncio.Future[Any]) -> None:
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future})
    if not future.cancelled():
        future.exception()


@dataclass(slots=True)
class _Client:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OF_ONE_CLIENT))
    requests: int = 0


class Threads:
    """The threads of one application. For its event loop only."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}

    async def public(self, work: Callable[[], _T]) -> _T:
        """As `in_thread`, with threads of its own."""
        return await _in(_PUBLIC, work)

    def of(self, client: str) -> Run:
        """As `in_thread`, for one client."""
        return partial(self._run, client)

    async def _run(self, name: str, work: Callable[[], _T]) -> _T:
        client = self._clients.setdefault(name, _Client())
        client.requests += 1
        try:
            async with client.free:
                return await in_thread(work)
        finally:
            client.requests -= 1
            if not client.requests:
                del self._clients[name]
