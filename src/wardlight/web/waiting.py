"""Those who wait for events, without a thread each: one question to the database every 400 ms for all of a process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from wardlight import log
from wardlight.identity.rates import too_many
from wardlight.web.threads import in_thread

EVERY_S: Final = 0.4
#: Open requests for events, of all and of one application at one institution.
MOST: Final = 2000
MOST_OF_ONE: Final = 32
_RETRY_S: Final = 5

#: Institution and application.
Place = tuple[UUID, str]
#: Position of the newest event of each feed of these applications.
Newest = Callable[[Collection[str]], Mapping[Place, int]]


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody who waits for events behind a position."""

    place: Place
    after: int = 0
    awake: asyncio.Event = field(default_factory=asyncio.Event)


class Waiting:
    """The waiters of one process. For its event loop only."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest
        self._waiters: set[Waiter] = set()
        self._of: Counter[Place] = Counter()
        self._asking: asyncio.Task[None] | None = None

    def enter(self, place: Place) -> Waiter:
        """One more open request; `leave` ends it. Raises `rate-limited`."""
        if self._of.total() >= MOST or self._of[place] >= MOST_OF_ONE:
            raise too_many(_RETRY_S)
        self._of[place] += 1
        return Waiter(place)

    def leave(self, waiter: Waiter) -> None:
        """The request is over."""
        self._waiters.discard(waiter)
        self._of[waiter.place] -= 1
        if not self._of[waiter.place]:
            del self._of[waiter.place]

    async def until(self, waiter: Waiter, after: int, seconds: float) -> bool:
        """Wait for an event behind this position; False where none came in time."""
        waiter.after = after
        waiter.awake.clear()
        self._waiters.add(waiter)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(seconds):
                await waiter.awake.wait()
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True

    async def _ask(self) -> None:
        while self._waiters:
            try:
                applications = {waiter.place[1] for waiter in self._waiters}
                newest = await in_thread(partial(self._newest, applications))
                for waiter in self._waiters:
                    if newest.get(waiter.place, 0) > waiter.after:
                        waiter.awake.set()
            except Exception as error:  # noqa: BLE001 - they wait on; whose access ended is ended elsewhere
                log.error("events.unanswered", error)
            await asyncio.sleep(EVERY_S)
