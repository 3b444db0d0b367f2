"""Threads for blocking work, shared so that one client cannot take all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

_T = TypeVar("_T")

#: Threads that one token may have at a time, of the forty there are; its other requests wait without one.
OF_ONE_CLIENT: Final = 12
#: Threads for what needs no token, which answers quickly: whether the process is alive must not wait for anybody.
_FOR_ALL: Final = 4
#: Threads that one route may have which anybody may call, of the 32 for them: some of these wait for other servers.
OF_ONE_ROUTE: Final = 6
_THREADS: Final = ThreadPoolExecutor(40, "request")
_OPEN: Final = ThreadPoolExecutor(32, "open")
_PUBLIC: Final = ThreadPoolExecutor(_FOR_ALL, "public")


class Run(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """What the work returns."""


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run blocking work in a thread; on return the thread is done with it, also where the caller was cancelled."""
    return await _in(_THREADS, work)


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
class _Share:
    free: asyncio.Semaphore
    requests: int = 0


class Threads:
    """The threads of one application. For its event loop only."""

    def __init__(self) -> None:
        self._shares: dict[tuple[ThreadPoolExecutor, str], _Share] = {}

    async def public(self, work: Callable[[], _T]) -> _T:
        """As `in_thread`, with threads of its own."""
        return await _in(_PUBLIC, work)

    def of(self, client: str) -> Run:
        """As `in_thread`, for one client."""
        return partial(self._run, _THREADS, client, OF_ONE_CLIENT)

    def of_route(self, path: str) -> Run:
        """As `in_thread`, with threads for those whom nobody knows yet, for one route."""
        return partial(self._run, _OPEN, path, OF_ONE_ROUTE)

    async def _run(self, pool: ThreadPoolExecutor, name: str, most: int, work: Callable[[], _T]) -> _T:
        share = self._shares.setdefault((pool, name), _Share(asyncio.Semaphore(most)))
        share.requests += 1
        try:
            async with share.free:
                return await _in(pool, work)
        finally:
            share.requests -= 1
            if not share.requests:
                del self._shares[pool, name]
