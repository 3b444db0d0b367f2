"""Threads for blocking work, shared so that one client cannot take all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from anyio import CapacityLimiter, to_thread

_T = TypeVar("_T")

#: Threads that one token may have at a time, of the forty there are; its other requests wait without one.
OF_ONE_CLIENT: Final = 12
#: Threads for what needs no token, which answers quickly: whether the process is alive must not wait for anybody.
_FOR_ALL: Final = 4


class Run(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """What the work returns."""


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run blocking work in a thread; on return the thread is done with it, also where the caller was cancelled."""
    return await to_thread.run_sync(work)


@dataclass(slots=True)
class _Client:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OF_ONE_CLIENT))
    requests: int = 0


class Threads:
    """The threads of one application. For its event loop only."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._public = CapacityLimiter(_FOR_ALL)

    async def public(self, work: Callable[[], _T]) -> _T:
        """As `in_thread`, with threads of its own."""
        return await to_thread.run_sync(work, limiter=self._public)

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
