"""What people can be told, and what of it they want. No text holds patient data: only `PLACEHOLDERS` vary in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from wardlight.access.model import Operation, Role
from wardlight.access.service import ROLES
from wardlight.errors import WardlightError

#: Stands for the platform where an application is named.
PLATFORM: Final = ""


class Channel(StrEnum):
    """How something can be told."""

    BELL = "bell"
    MAIL = "mail"


class Mail(StrEnum):
    """When a person wants a mail of it. DAILY: in one with all others of the day."""

    NONE = "none"
    NOW = "now"
    DAILY = "daily"


class Permission(StrEnum):
    """What a person must be allowed to be told of it (architecture.md, who may do what)."""

    ANY = "any"
    IMAGES = "images"
    STUDIES = "studies"
    RIGHTS = "rights"
    MANAGE = "manage"
    AUDIT = "audit"
    DELETE = "delete"

    @property
    def roles(self) -> frozenset[Role]:
        """Who has it."""
        return frozenset(role for role, allowed in ROLES.items() if _NEEDS[self] in allowed) - {Role.OPERATOR}

    @classmethod
    def of(cls, role: Role) -> list[Permission]:
        """What a role has."""
        return [one for one in cls if role in one.roles]


_NEEDS: Final = {
    Permission.ANY: Operation.OWN,
    Permission.IMAGES: Operation.RETRIEVE,
    Permission.STUDIES: Operation.STORE,
    Permission.RIGHTS: Operation.CONFIGURATION,
    Permission.MANAGE: Operation.CONFIGURE,
    Permission.AUDIT: Operation.AUDIT,
    Permission.DELETE: Operation.DELETE,
}


class Kind(StrEnum):
    """What a value of a placeholder is."""

    COUNT = "count"
    TIME = "time"
    ID = "id"
    NAME = "name"


#: All that can vary in a text. Names are the platform's own: nobody sends them.
PLACEHOLDERS: Final = {
    "application": Kind.NAME,
    "institution": Kind.NAME,
    "count": Kind.COUNT,
    "total": Kind.COUNT,
    "refused": Kind.COUNT,
    "version": Kind.COUNT,
    "date": Kind.TIME,
    "until": Kind.TIME,
    "id": Kind.ID,
}
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MOST_COUNT: Final = 10**9
_TITLE, _TEXT, _NAME_LENGTH = 80, 400, 40


@dataclass(frozen=True, slots=True)
class Definition:
    """Something that people can be told. application: "" for the platform's own.

    title, text: with placeholders. licence: a purpose that the application must be entitled to, "" where the
    institution's subscription is enough. bell: whether people get it there who chose nothing. gathers: several that
    nobody has read are one, with their count. version: changes with the texts; what was told keeps its own.
    """

    application: str
    name: str
    version: int
    title: str
    text: str
    permission: Permission
    licence: str = ""
    channels: frozenset[Channel] = frozenset(Channel)
    bell: bool = True
    gathers: bool = False
    created_ms: int = 0
    retired_ms: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Application and name."""
        return self.application, self.name

    def same(self, other: Definition) -> bool:
        """Whether it says the same to the same."""
        return _said(self) == _said(other)


def _said(one: Definition) -> tuple[Any, ...]:
    return one.title, one.text, one.permission, one.licence, one.channels, one.retired_ms is None


@dataclass(frozen=True, slots=True)
class Preference:
    """What a person wants of one definition."""

    bell: bool
    mail: Mail


@dataclass(frozen=True, slots=True)
class Item:
    """One row of somebody's bell. release: the study that it is about, which it goes with."""

    id: UUID
    application: str
    name: str
    version: int
    data: Mapping[str, Any]
    release: UUID | None
    created_ms: int
    read_ms: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification that is to be mailed."""

    id: UUID
    institution: UUID
    person: str
    application: str
    name: str
    version: int
    permission: Permission
    data: Mapping[str, Any]
    release: UUID | None
    digest: bool
    attempts: int
    created_ms: int
    next_ms: int


class LetterState(StrEnum):
    """What became of a mail. WITHHELD: who should get it may not, or does not want it any more. DEAD: given up."""

    PENDING = "pending"
    SENT = "sent"
    WITHHELD = "withheld"
    DEAD = "dead"


def check(one: Definition) -> Definition:
    """The definition. Raises `bad-request` for texts that are not plain, or hold a placeholder that is not listed."""
    if not _NAME.fullmatch(one.name) or len(one.name) > _NAME_LENGTH:
        raise WardlightError(
            "bad-request", f"a name is at most {_NAME_LENGTH} of a-z, 0-9, with hyphens between"
        )
    for what, text, most in (("title", one.title, _TITLE), ("text", one.text, _TEXT)):
        if not text.isprintable() or not 0 < len(text.strip()) <= len(text) <= most:
            raise WardlightError("bad-request", f"{what} is 1 to {most} printable characters")
        bare = _PLACE.sub("", text)
        if not placeholders(text) <= PLACEHOLDERS.keys() or "{" in bare or "}" in bare:
            raise WardlightError("bad-request", f"placeholders of {what} are of {', '.join(PLACEHOLDERS)}")
    if not one.channels:
        raise WardlightError("bad-request", f"channels are of {', '.join(Channel)}")
    return one


def placeholders(text: str) -> set[str]:
    """The placeholders of a text."""
    return set(_PLACE.findall(text))


def check_values(one: Definition, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an application sends for the placeholders. Raises `bad-request` unless each is there, and of its kind."""
    wanted = {name for name in placeholders(one.title + one.text) if PLACEHOLDERS[name] is not Kind.NAME}
    if values.keys() != wanted:
        raise WardlightError("bad-request", f"values are {', '.join(sorted(wanted)) or 'none'}")
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> int | str:
    kind = PLACEHOLDERS[name]
    if kind is Kind.COUNT and type(value) is int and 0 <= value <= _MOST_COUNT:
        return value
    if kind is Kind.ID and isinstance(value, str) and len(value) == 32:
        try:
            return UUID(hex=value).hex
        except ValueError:
            pass
    if kind is Kind.TIME and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None and 2000 <= moment.year < 2100:
            return int(moment.timestamp() * 1000)
    raise WardlightError(
        "bad-request", f"{name} is a {kind.value}: a number, a time with its zone, or an id's 32 digits"
    )


def filled(text: str, data: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The text with its values. names: of application and institution. What is missing is a dash."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        kind = PLACEHOLDERS.get(name)
        if kind is Kind.NAME:
            return names.get(name, "–")
        found = data.get(name)
        if found is None:
            return "–"
        return (
            _moment(int(found))
            if kind is Kind.TIME
            else f"{found:,}"
            if isinstance(found, int)
            else str(found)
        )

    return _PLACE.sub(value, text)


def _moment(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"
