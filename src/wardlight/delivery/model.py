"""Events as applications get them, webhooks, and what became of each delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.events.outbox import Kind

#: Kinds of event that a webhook may be for.
KINDS: Final = tuple(kind for kind in Kind if kind is not Kind.TEST)


class State(StrEnum):
    """What became of a delivery. WITHHELD: its grant had ended. DEAD: given up. DROPPED: its webhook is no more."""

    PENDING = "pending"
    DELIVERED = "delivered"
    WITHHELD = "withheld"
    DEAD = "dead"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Told:
    """One event of an application's feed. seq: its position there. data: ids, counts and codes."""

    institution: UUID
    application: str
    seq: int
    id: UUID
    kind: Kind
    grant: UUID | None
    data: Mapping[str, Any]
    created_ms: int

    def members(self) -> dict[str, Any]:
        """As a CloudEvent (CloudEvents 1.0.2, JSON format): the same in the feed and in a webhook's body."""
        data = dict(self.data)
        if self.grant is not None:
            data["grant"] = self.grant.hex
        return {
            "specversion": "1.0",
            "id": self.id.hex,
            "source": f"/institutions/{self.institution}",
            "type": self.kind.value,
            "time": clock.timestamp_ms(self.created_ms),
            # The extension of this name wants texts that order as their numbers do.
            "sequence": f"{self.seq:012d}",
            "datacontenttype": "application/json",
            "data": data,
        }

    def body(self) -> bytes:
        """The same in bytes, alike at each try."""
        return json.dumps(self.members(), separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Page:
    """Events behind a position. next: the position to go on from, also where some in between are told no more."""

    events: list[Told]
    next: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where an application wants an institution's events sent to. kinds: empty for all.

    failures: since the last success. next_ms: until when nothing is tried.
    """

    id: UUID
    institution: UUID
    application: str
    url: str
    kinds: tuple[Kind, ...]
    secret: bytes = field(repr=False)
    old_secret: bytes | None = field(repr=False)
    old_until_ms: int
    created_ms: int
    failures: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one event at one webhook. status, reason: of the last try."""

    id: UUID
    webhook: UUID
    event: UUID
    kind: str
    state: State
    attempts: int
    created_ms: int
    next_ms: int
    tried_ms: int | None
    ended_ms: int | None
    status: int | None
    reason: str

    @property
    def took_ms(self) -> int | None:
        """How long the try took that ended it, in milliseconds; None where none did."""
        if self.state not in (State.DELIVERED, State.DEAD) or self.tried_ms is None or self.ended_ms is None:
            return None
        return max(0, self.ended_ms - self.tried_ms)
