"""What the web process needs of the rest; filled by `bootstrap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from wardlight.access.service import Access
from wardlight.api.parts import ApiParts
from wardlight.archive.open_reads import OpenReads
from wardlight.archive.service import Archive
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.service import Identity
from wardlight.ingest.service import Ingest
from wardlight.settings import Settings
from wardlight.trail.parts import Parts
from wardlight.web.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the routes.

    checks: by name, what must not raise for this process to be ready to serve (database, object store, keystore).
    """

    settings: Settings
    identity: Identity
    access: Access
    archive: Archive
    ingest: Ingest
    decoders: DecoderPool
    parts: Parts
    platform: ApiParts
    open_reads: OpenReads | None
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    waiting: Waiting = field(init=False)
    people_waiting: Waiting = field(init=False)

    def __post_init__(self) -> None:
        """Those who wait for events wait in this process."""
        waiting = Waiting(lambda applications: self.platform.feed.newest(applications))
        object.__setattr__(self, "waiting", waiting)
        people = Waiting(lambda people: _counted(self.platform.notifications.pulses(people)))
        object.__setattr__(self, "people_waiting", people)


def _counted(pulses: Mapping[tuple[UUID, str], tuple[int, int]]) -> dict[tuple[UUID, str], int]:
    """What changed for each person as one number, which grows with either."""
    return {place: own + studies for place, (own, studies) in pulses.items()}
