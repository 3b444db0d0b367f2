"""What an application may say in an entry (audit.md section 6): every member is checked, and none is free text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from wardlight.agreements.purposes import PURPOSES
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Outcome
from wardlight.errors import WardlightError

#: Most bytes of an entry, in its canonical form.
MAX_BYTES: Final = 4096
#: An entry is taken so long after what it tells of, and so much before, in milliseconds.
LATE_MS: Final = 7 * 24 * 3600 * 1000
EARLY_MS: Final = 60 * 1000

_MAX_CODES: Final = 64
_MAX_PARAMS: Final = 16
_MAX_VALUES: Final = 64

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_GRANT: Final = re.compile(r"[0-9a-f]{32}")
_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PERSON: Final = re.compile(r"[a-z0-9-]{1,32}")
_LOCAL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")

_REQUIRED: Final = frozenset({"id", "action", "time"})
_OPTIONAL: Final = frozenset({"grant", "study", "user", "purpose", "outcome", "reason", "code", "params"})
#: Actions on data that only a grant can have given.
_OF_DATA: Final = ("app:study:", "app:result:", "app:data:")


@dataclass(frozen=True, slots=True)
class Definition:
    """What an application registered: its codes, and each parameter as `integer`, `boolean` or its values."""

    codes: frozenset[str] = frozenset()
    params: Mapping[str, str | frozenset[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, members: Mapping[str, Any]) -> Definition:
        """From JSON. Raises `bad-request`, which names the member at fault."""
        if members.keys() - {"codes", "params"}:
            raise WardlightError("bad-request", "a definition has codes and params, and nothing else")
        codes, params = members.get("codes", []), members.get("params", {})
        if not isinstance(params, dict) or len(params) > _MAX_PARAMS:
            raise WardlightError("bad-request", f"params is an object of at most {_MAX_PARAMS} members")
        found: dict[str, str | frozenset[str]] = {}
        for name, kind in params.items():
            if not _NAME.fullmatch(name):
                raise WardlightError("bad-request", "the name of a param is made of a-z, 0-9 and _")
            found[name] = kind if kind in ("integer", "boolean") else _values(kind, "a param", _MAX_VALUES)
        return cls(_values(codes, "codes", _MAX_CODES), found)

    def members(self) -> dict[str, Any]:
        """As JSON, sorted."""
        params = {name: kind if isinstance(kind, str) else sorted(kind) for name, kind in self.params.items()}
        return {"codes": sorted(self.codes), "params": params}

    def allows(self, name: str, value: object) -> bool:
        """Whether an entry may have this param."""
        kind = self.params.get(name)
        if kind == "integer":
            return type(value) is int
        if kind == "boolean":
            return type(value) is bool
        return kind is not None and isinstance(value, str) and value in kind


def _values(value: object, what: str, most: int) -> frozenset[str]:
    if (
        not isinstance(value, list)
        or len(value) > most
        or not all(isinstance(one, str) and _CODE.fullmatch(one) for one in value)
    ):
        raise WardlightError("bad-request", f"{what} is a list of at most {most} codes of A-Z a-z 0-9 . _ -")
    return frozenset(value)


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry whose form is good. grant: None where it is about no study; study: the UID of the application's view."""

    id: UUID
    action: Action
    time: str
    time_ms: int
    outcome: Outcome
    grant: UUID | None
    study: str = field(repr=False)
    purpose: str
    person: str
    detail: Mapping[str, Any] = field(repr=False)


def parse(one: object, definition: Definition) -> Claim:
    """The entry, if its application may say this. Raises `bad-request`, which names the member at fault."""
    if not isinstance(one, dict):
        raise WardlightError("bad-request", "an entry is an object")
    if one.keys() - _REQUIRED - _OPTIONAL or _REQUIRED - one.keys():
        raise WardlightError("bad-request", "an entry has a member too many or too few")
    try:
        if len(canonical(one)) > MAX_BYTES:
            raise WardlightError("too-large", f"an entry has at most {MAX_BYTES} bytes")
    except (ValueError, RecursionError):
        raise WardlightError("bad-request", "an entry leaves the canonical form") from None
    id_, action, time = _text(one, "id", _ID), _action(one["action"]), _text(one, "time", _TIME)
    grant, study = _text(one, "grant", _GRANT), _text(one, "study", _UID)
    if bool(grant) != bool(study) or (action.value.startswith(_OF_DATA) and not grant):
        raise WardlightError("bad-request", "grant and study belong together, and to what is done with data")
    purpose = _text(one, "purpose", _CODE)
    if purpose and purpose not in PURPOSES:
        raise _refused("purpose")
    person, user = _user(one.get("user"))
    detail: dict[str, Any] = {"id": id_, **user}
    for name in ("code", "reason"):
        if value := _text(one, name, _CODE):
            if value not in definition.codes:
                raise _refused(name)
            detail[name] = value
    if params := _params(one.get("params", {}), definition):
        detail["params"] = params
    return Claim(
        UUID(id_), action, time, _milliseconds(time), _outcome(one.get("outcome", "success")),
        UUID(grant) if grant else None, study, purpose, person, detail,
    )  # fmt: skip


def _refused(name: str) -> WardlightError:
    return WardlightError("bad-request", f"{name} is not what this application may say")


def _text(one: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """A member that fits the pattern; empty where it is absent."""
    if name not in one:
        return ""
    value = one[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _refused(name)
    return value


def _action(value: object) -> Action:
    try:
        action = Action(value) if isinstance(value, str) else None
    except ValueError:
        action = None
    if action is None or not action.value.startswith("app:"):
        raise _refused("action")
    return action


def _outcome(value: object) -> Outcome:
    try:
        return Outcome(value) if isinstance(value, str) else Outcome[""]
    except (ValueError, KeyError):
        raise _refused("outcome") from None


def _milliseconds(time: str) -> int:
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        raise _refused("time") from None


def _user(value: object) -> tuple[str, dict[str, str]]:
    """The person's id, where it is one of the institution's, and what the claim says of another."""
    if value is None:
        return "", {}
    if isinstance(value, dict) and value.keys() == {"id"}:
        return _text(value, "id", _PERSON), {}
    if isinstance(value, dict) and value.keys() == {"local"}:
        return "", {"user": _text(value, "local", _LOCAL)}
    raise _refused("user")


def _params(value: object, definition: Definition) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(definition.allows(name, one) for name, one in value.items()):
        raise _refused("params")
    return value
