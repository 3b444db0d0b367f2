"""The position in the feed of events, and what to do when a request fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardlight.client import calls
from wardlight.client.model import Event
from wardlight.client.webhooks import SeenIds

#: Most seconds that the platform lets a request for events wait.
LONGEST_WAIT_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class Feed:
    """Where reading stands. Knows the events of the last day, so that none is given twice."""

    def __init__(self, after: int, wait: float) -> None:
        self._after = after
        self._wait = wait
        self._seen = SeenIds()
        self._pause = _FIRST_PAUSE_S

    def call(self) -> calls.Call[tuple[list[Event], int]]:
        """The request for what comes next."""
        return calls.events(self._after, self._wait)

    def take(self, page: tuple[list[Event], int]) -> Iterator[Event]:
        """The events of a page that are new, in their order."""
        self._pause = _FIRST_PAUSE_S
        found, following = page
        for event in found:
            self._after = max(self._after, event.position)
            if self._seen.is_new(event.id):
                yield event
        # Past what the application is told no more.
        self._after = max(self._after, following)

    def pause(self, error: Exception) -> float:
        """Seconds until the next try: longer each time, to half a minute."""
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        return calls.pause_after(error, self._pause)
