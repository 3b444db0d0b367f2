"""What a search of the audit trail asks for: parsed, checked, and told without a value of a patient (audit.md §7)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final

from wardlight.audit.actions import LETTER, Action
from wardlight.audit.references import base64url
from wardlight.audit.tables import OUTCOMES
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind

#: Most actions that one search names, groups counted as the actions in them.
MAX_ACTIONS: Final = 200
_LATEST_MS: Final = 253_402_300_800_000  # the year 10000

_NAMES: Final = {
    "A": "application", "L": "login", "T": "token", "S": "security", "C": "configuration", "G": "rights",
    "D": "denial", "R": "read", "Q": "query", "I": "import", "P": "protection", "U": "update", "E": "export",
    "X": "deletion", "K": "keys", "V": "audit", "N": "delivery",
}  # fmt: skip

#: Action → the group in which people see it, named for its mapping letter.
GROUP_OF: Final[Mapping[str, str]] = {action.value: _NAMES[letter] for action, letter in LETTER.items()}
GROUPS: Final = tuple(_NAMES.values())

_KINDS: Final = "|".join(PrincipalKind)
_ACTOR: Final = re.compile(rf"(?:{_KINDS}):[A-Za-z0-9@._:-]{{1,200}}")
# Epoch 0 is a receiver's own.
_SUBJECT: Final = re.compile(r"[psr](?:0|[1-9][0-9]{0,5})\.[A-Za-z0-9_-]{22}")
_OBJECT: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}:[A-Za-z0-9@._:-]{1,200}")
_CODE: Final = re.compile(r"[A-Z]{1,16}")
_GRANT: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything that is named must hold; of several values of one name any.

    from_ms, to_ms: of `recorded`, from the first up to the second. actor: "kind:id". outcomes: numbers of `OUTCOMES`.
    subjects: keyed references of patients, studies and series. object: "kind:id" of what is no patient's.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    actions: tuple[str, ...] = ()
    actor: str = ""
    outcomes: tuple[int, ...] = ()
    subjects: tuple[str, ...] = field(default=(), repr=False)
    object: str = ""
    purpose: str = ""
    grant: str = ""

    @property
    def empty(self) -> bool:
        """Whether it lets everything through."""
        return self == _EVERYTHING

    @property
    def digest(self) -> bytes:
        """16 bytes that are another filter's only by chance."""
        values = [getattr(self, each.name) for each in fields(self)]
        return hashlib.sha256(json.dumps(values).encode()).digest()[:16]

    @property
    def name(self) -> str:
        """How the trail names the search; the pages of one search have one name."""
        return base64url(self.digest)

    def told(self) -> str:
        """What was asked for, without its values: `time=range&actor=exact`."""
        named = {
            "time=range": self.from_ms is not None or self.to_ms is not None,
            "action=exact": self.actions,
            "actor=exact": self.actor,
            "outcome=exact": self.outcomes,
            "subject=exact": self.subjects,
            "object=exact": self.object,
            "purpose=exact": self.purpose,
            "grant=exact": self.grant,
        }
        return "&".join(text for text, given in named.items() if given)

    def matches(self, entry: Mapping[str, Any], recorded_ms: int) -> bool:
        """Whether an entry that is not sealed yet, and so is in no index, is one of those."""
        return (
            (self.from_ms is None or recorded_ms >= self.from_ms)
            and (self.to_ms is None or recorded_ms < self.to_ms)
            and (not self.actions or entry["action"] in self.actions)
            and (not self.actor or f"{entry['actor']['kind']}:{entry['actor']['id']}" == self.actor)
            and (not self.outcomes or OUTCOMES[entry["outcome"]] in self.outcomes)
            and (not self.subjects or not _subjects(entry).isdisjoint(self.subjects))
            and (not self.object or _object(entry) == self.object)
            and (not self.purpose or entry.get("purpose") == self.purpose)
            and (not self.grant or entry.get("grant") == self.grant)
        )


_EVERYTHING: Final = Filter()


def _subjects(entry: Mapping[str, Any]) -> set[str]:
    names = {value for subject in entry.get("subjects", ()) for value in subject.values()}
    return names | {entry.get("object", {}).get("ref", "")}


def _object(entry: Mapping[str, Any]) -> str:
    target = entry.get("object", {})
    return f"{target.get('kind', '')}:{target.get('id', '')}"


def filter_of(given: Mapping[str, Any]) -> Filter:
    """The filter that these members name; lists may be lists, or text with commas. Raises `bad-request`.

    Members: from, to, action, group, actor, outcome, subject, object, purpose, grant. Others are not looked at.
    """
    actions = [_known(name, _ACTIONS, "action") for name in _several(given, "action")]
    for group in _several(given, "group"):
        _known(group, GROUPS, "group")
        actions += [action for action, name in GROUP_OF.items() if name == group]
    if len(actions) > MAX_ACTIONS:
        raise WardlightError("bad-request", f"more than {MAX_ACTIONS} actions")
    asked = Filter(
        from_ms=moment(given, "from"),
        to_ms=moment(given, "to"),
        actions=tuple(sorted(set(actions))),
        actor=_one(given, "actor", _ACTOR),
        outcomes=tuple(
            sorted({OUTCOMES[_known(name, OUTCOMES, "outcome")] for name in _several(given, "outcome")})
        ),
        subjects=tuple(sorted(set(_fitting(_several(given, "subject"), _SUBJECT, "subject")))),
        object=_one(given, "object", _OBJECT),
        purpose=_one(given, "purpose", _CODE),
        grant=_one(given, "grant", _GRANT),
    )
    if asked.from_ms is not None and asked.to_ms is not None and asked.from_ms >= asked.to_ms:
        raise WardlightError("bad-request", "`from` is not before `to`")
    return asked


_ACTIONS: Final = frozenset(Action)


def moment(given: Mapping[str, Any], name: str) -> int | None:
    """A member that is a time (RFC 3339) or a day (its beginning in UTC), in milliseconds since 1970-01-01 UTC."""
    text = given.get(name)
    if text is None:
        return None
    try:
        if not isinstance(text, str) or len(text) > 40:
            raise ValueError
        time = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            time = time.replace(tzinfo=UTC)
        if time.tzinfo is None:
            raise ValueError
        milliseconds = int(time.timestamp() * 1000)
        if not 0 <= milliseconds < _LATEST_MS:
            raise ValueError
    except (ValueError, OverflowError):
        detail = f"`{name}` is no day and no time with its zone, such as 2026-11-24T08:00:00Z"
        raise WardlightError("bad-request", detail) from None
    return milliseconds


def whole(given: Mapping[str, Any], name: str, least: int, most: int, usual: int) -> int:
    """A member that is a whole number, or `usual` without it. Raises `bad-request`."""
    value = given.get(name, usual)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise WardlightError("bad-request", f"`{name}` is no whole number from {least} to {most}")
    return value


def _several(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name, [])
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > 100 or not all(isinstance(each, str) for each in values):
        raise WardlightError("bad-request", f"`{name}` is no list of at most 100 texts")
    return values


def _one(given: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = given.get(name)
    return "" if value is None else _fitting([value], form, name)[0]


def _fitting(values: list[Any], form: re.Pattern[str], name: str) -> list[str]:
    if not all(isinstance(value, str) and form.fullmatch(value) for value in values):
        raise WardlightError("bad-request", f"`{name}` has not the form that the API's description gives")
    return values


def _known(name: str, known: Iterable[str], what: str) -> str:
    if name not in known:
        raise WardlightError("bad-request", f"there is no such {what}")
    return name
