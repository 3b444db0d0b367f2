"""What an application gets and gives: events, grants, entries of the audit trail."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event for the application (CloudEvents 1.0), without any data of patients.

    id: its own, the same however often it comes. type: `study.available`, `study.changed`, `access.revoked`,
    `study.deleted` or `agreement.changed`. position: in the application's feed; `after` of the next request, 0 in a
    webhook that does not tell. grant: whose study it is about, "" where it is about none. data: all of its members.
    """

    id: str
    type: str
    time: str
    position: int = 0
    grant: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> Event:
        """From JSON. Raises ValueError, KeyError or TypeError where it is no event."""
        members = json.loads(body)
        if not isinstance(members, dict):
            raise ValueError("an event is an object")
        return cls.of(members)

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Event:
        """From the members of a CloudEvent."""
        data = dict(members.get("data") or {})
        return cls(
            str(members["id"]),
            str(members["type"]),
            str(members["time"]),
            int(members.get("sequence") or 0),
            str(data.get("grant", "")),
            data,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """What the application may do with one study, and until when.

    study: Study Instance UID by which this application finds it. not_before, expires_at: RFC 3339.
    members: all that the platform tells.
    """

    id: str
    study: str
    purpose: str
    not_before: str
    expires_at: str
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Grant:
        """From the platform's answer."""
        id_, study, purpose, begins, ends = (
            str(members[name]) for name in ("id", "study", "purpose", "not_before", "expires_at")
        )
        return cls(id_, study, purpose, begins, ends, members)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Definition:
    """Something that people of an institution can be told by the application.

    title, text: with placeholders of `{application}`, `{institution}`, `{count}`, `{total}`, `{refused}`, `{version}`,
    `{date}`, `{until}`, `{id}`, and never anything of a patient. permission: what a person must be allowed to be told:
    `any`, `images`, `studies`, `rights`, `manage`, `audit`, `delete`. licence: a purpose that the application must be
    entitled to. channels: of `bell` and `mail`.
    """

    name: str
    title: str
    text: str
    permission: str = "any"
    licence: str = ""
    channels: tuple[str, ...] = ("bell", "mail")
    version: int = 0

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Definition:
        """From the platform's answer."""
        return cls(
            name=str(members["name"]),
            title=str(members["title"]),
            text=str(members["text"]),
            permission=str(members["permission"]),
            licence=str(members["licence"]),
            channels=tuple(members["channels"]),
            version=int(members["version"]),
        )

    def members(self) -> dict[str, Any]:
        """As it is registered."""
        names = ("name", "title", "text", "permission", "licence")
        return {**{name: getattr(self, name) for name in names}, "channels": list(self.channels)}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What the application says for the institution's audit trail, without free text.

    action: `app:…`, such as `app:study:process`. grant, study: which study, by the grant and by the UID that this
    application sees. user: of the application's own people, {"id": …} one that the platform knows, {"local": …} one
    that only the application knows. code, params: as registered by `define_audit`. id: sent again with the same id, an
    entry is recorded once. time: RFC 3339 with milliseconds, when it happened.
    """

    action: str
    grant: str = ""
    study: str = ""
    user: Mapping[str, str] | None = None
    purpose: str = ""
    outcome: str = "success"
    reason: str = ""
    code: str = ""
    params: Mapping[str, str | int | bool] = field(default_factory=dict)
    id: str = field(default_factory=_new_id)
    time: str = field(default_factory=_now)

    def members(self) -> dict[str, Any]:
        """As it is sent: without what is empty."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in found.items()
            if value
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of an entry. status: `recorded`, `duplicate` or `refused`. entry: its id there. error: a code."""

    id: str
    status: str
    entry: str = ""
    error: str = ""

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Recorded:
        """From the platform's answer."""
        error = (members.get("error") or {}).get("code", "")
        return cls(
            str(members.get("id", "")), str(members["status"]), str(members.get("entry", "")), str(error)
        )
