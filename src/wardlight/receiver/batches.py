"""Gathers protected objects into batches, one study of one release each, and says when a batch goes out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from wardlight.receiver.model import Target, Work
from wardlight.receiver.upload import Outgoing
from wardlight.receiver.vault import WayBack

#: A batch that is not full waits so long for further objects of its study, in seconds.
LINGER_S: Final = 0.15
#: Headers held in open batches, in bytes, beyond which all of them go out.
_HELD_BYTES: Final = 24 << 20
#: An upload that failed so often goes out alone, so that it cannot hold up its neighbours.
_ALONE_AFTER: Final = 2


@dataclass(frozen=True, slots=True)
class Protected:
    """An object that may leave: de-identified and verified, or on a route without change. group: of its study.

    way: back from it, to be in the vault before it leaves; None on a route without change.
    """

    work: Work
    outgoing: Outgoing
    group: str
    way: WayBack | None = None


@dataclass(slots=True)
class Batch:
    """Objects of one study for one release."""

    target: Target
    group: str
    study: bytes
    items: list[Protected] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)
    uids: set[str] = field(default_factory=set, repr=False)

    def add(self, item: Protected) -> None:
        """Put an object in."""
        self.items.append(item)
        self.size += item.outgoing.part.length
        self.uids.add(item.outgoing.sop_uid)

    @property
    def works(self) -> list[Work]:
        """What the batch does."""
        return [item.work for item in self.items]

    @property
    def ways(self) -> list[WayBack]:
        """The ways back of its objects."""
        return [item.way for item in self.items if item.way is not None]


class Batcher:
    """Open batches of one pipeline process. Not thread-safe."""

    def __init__(self, batch_bytes: int, batch_instances: int) -> None:
        self._bytes = batch_bytes
        self._instances = batch_instances
        self._open: dict[tuple[Target, str, int], Batch] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, item: Protected) -> list[Batch]:
        """Take an object; returns the batches that are to go out now."""
        work = item.work
        key = (item.work.target, item.group, work.object_id if work.attempts >= _ALONE_AFTER else -1)
        ready = []
        # Two copies of an instance cannot be told apart in one answer.
        if key in self._open and item.outgoing.sop_uid in self._open[key].uids:
            ready.append(self._take(key))
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = Batch(work.target, item.group, work.study)
        batch.add(item)
        self._held += len(item.outgoing.part.head)
        if batch.size >= self._bytes or len(batch.items) >= self._instances or key[2] >= 0:
            ready.append(self._take(key))
        if self._held > _HELD_BYTES:
            ready += self.due(0.0)
        return ready

    def due(self, linger_s: float = LINGER_S) -> list[Batch]:
        """Batches that have waited for so long."""
        before = time.monotonic() - linger_s
        return [self._take(key) for key, batch in list(self._open.items()) if batch.since <= before]

    def _take(self, key: tuple[Target, str, int]) -> Batch:
        batch = self._open.pop(key)
        self._held -= sum(len(item.outgoing.part.head) for item in batch.items)
        return batch
