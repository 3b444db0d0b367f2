"""What the receiver knows: routes, objects in the spool, what has to be uploaded where, quarantine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from uuid import UUID

from wardlight.agreements.model import IMAGES, Level
from wardlight.errors import WardlightError

__all__ = [
    "DEFAULT_ROUTE",
    "HANDOVERS_NOTE",
    "Level",
    "Quarantined",
    "Received",
    "Route",
    "Target",
    "UploadState",
    "Work",
]


class UploadState(StrEnum):
    """Where one object stands on its way to one application and level."""

    PENDING = "pending"
    STORED = "stored"
    """The platform has it durably, be it from this upload or from one before."""
    CONFLICT = "conflict"
    """The platform has the instance with other content and keeps the first."""
    HELD = "held"
    """The study was deleted on the platform: the object waits, encrypted, until somebody there decides about it."""
    QUARANTINED = "quarantined"
    DAMAGED = "damaged"
    """The spool file cannot be read any more; it is kept for a person to look at."""


_AE_TITLE: Final = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_AE_PATTERN: Final = re.compile(r"[ -\[\]-~]{1,16}")
_APPLICATION: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One release that a route makes: for which application, at which privacy level."""

    application: str
    level: Level

    def __str__(self) -> str:
        return f"{self.application}:{self.level}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `application:level`. Raises WardlightError("bad-request")."""
        application, _, level = text.partition(":")
        if not _APPLICATION.fullmatch(application):
            raise WardlightError("bad-request", "an application is a-z, 0-9, - and _, at most 63 of them")
        try:
            return cls(application, Level(level or Level.HIGH))
        except ValueError:
            raise WardlightError("bad-request", f"a level is one of {', '.join(Level)}") from None


@dataclass(frozen=True, slots=True)
class Route:
    """What happens with objects sent to one called AE title (R3.2).

    calling: patterns of calling AE titles that may send, with `*` and `?`; empty: any. networks: where senders may
    sit; empty: anywhere. unknown_syntaxes: private and unknown SOP classes and transfer syntaxes are taken.
    """

    called_ae: str
    targets: tuple[Target, ...]
    calling: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    unknown_syntaxes: bool = False
    enabled: bool = True

    def admits_title(self, calling_ae: str) -> bool:
        """Whether this calling AE title may send here. Titles differ by case (PS3.8 9.3.2)."""
        return not self.calling or any(
            # Only * and ? are wildcards; a bracket is a character of the title.
            fnmatchcase(calling_ae, pattern.replace("[", "[[]"))
            for pattern in self.calling
        )

    def admits_address(self, address: str) -> bool:
        """Whether a sender at this address may send here; an address that cannot be read may not."""
        if not self.networks:
            return True
        parsed = _address(address)
        return parsed is not None and any(parsed in _network(network) for network in self.networks)

    def checked(self) -> Route:
        """The same route with its networks in canonical form. Raises WardlightError("bad-request") naming the rule."""
        if not _AE_TITLE.fullmatch(self.called_ae):
            raise WardlightError(
                "bad-request", "an AE title is 1 to 16 printable ASCII characters without backslash"
            )
        if not self.targets:
            raise WardlightError("bad-request", "a route needs at least one application and level")
        if len(set(self.targets)) != len(self.targets):
            raise WardlightError("bad-request", "an application and level is named twice")
        for pattern in self.calling:
            if not _AE_PATTERN.fullmatch(pattern):
                raise WardlightError(
                    "bad-request", "a calling AE pattern is at most 16 printable ASCII characters"
                )
        try:
            networks = tuple(str(ip_network(network, strict=False)) for network in self.networks)
        except ValueError:
            raise WardlightError(
                "bad-request", "a network is written like 192.0.2.0/24 or 2001:db8::/32"
            ) from None
        return Route(
            self.called_ae, self.targets, self.calling, networks, self.unknown_syntaxes, self.enabled
        )


#: Under this name `status` finds how handing results over stands.
HANDOVERS_NOTE: Final = "handovers"
#: The route a fresh receiver has (R3.1, R4.1).
DEFAULT_ROUTE: Final = Route("TEAMPLAYISHARE", (Target(IMAGES, Level.HIGH),))


@dataclass(frozen=True, slots=True)
class Received:
    """A committed object of the spool, as the registrar enters it.

    study: keyed token of the Study Instance UID. body_end: offset in the data set of the first byte after the pixel
    data, None if not known (then the pipeline finds it). targets: the releases the route named when it came.
    """

    file_id: str
    stream: int
    offset: int
    record: int
    end: int
    length: int
    digest: bytes
    study: bytes
    route: str
    calling_ae: str
    address: str
    sop_class: str
    transfer_syntax: str
    body_end: int | None
    received_at: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """One upload to be done: an object of the spool and the release it is for."""

    object_id: int
    target: Target
    attempts: int
    file_id: str
    stream: int
    offset: int
    record: int
    end: int
    length: int
    digest: bytes
    study: bytes
    sop_class: str
    transfer_syntax: str
    body_end: int | None

    @property
    def key(self) -> tuple[int, Target]:
        """What names this work in the database."""
        return self.object_id, self.target


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An object that must not leave the hospital, and why. reasons: codes with tags and kinds, never a value."""

    id: UUID
    size: int
    target: Target
    sop_class: str
    transfer_syntax: str
    reasons: tuple[str, ...]
    at: int


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A dual-stack socket gives IPv4 peers as ::ffff:192.0.2.1; rules are written for the IPv4 address.
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
