"""What a receiver may say in an entry of its own (audit.md section 1, "Receivers"): every member is checked.

The platform adds `log` and `recorded`, keeps `id`, `salt` and `time`, and changes nothing else. A receiver speaks of
what it did, in the actions of receivers and of its witness, of studies by references under its own key (epoch 0).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import DETAIL, Outcome
from wardlight.errors import WardlightError

#: Actions that a receiver may speak of beside `receiver:…`: what its witness saw, and that it starts and stops.
BESIDE: Final = frozenset(
    {
        Action.AUDIT_LOG_ALARM,
        Action.AUDIT_WITNESS_FAIL,
        Action.PLATFORM_NODE_START,
        Action.PLATFORM_NODE_STOP,
    }
)
#: Room for the members that the platform adds, within the limit of an entry.
_ADDED: Final = 400
_MAX_CHANGES: Final = 64
_MAX_SUBJECTS: Final = 100

_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_NODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_STUDY: Final = re.compile(r"s0\.[A-Za-z0-9_-]{21}[AQgw]")
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
#: A code, and the tags of the element that it is about.
_REASON: Final = re.compile(r"[a-z][A-Za-z0-9_:.-]{0,79}(?: (?:\([0-9a-f]{4},[0-9a-f]{4}\)){1,64})?")
_PATH: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_PEER: Final = re.compile(r"ae:[ -~]{0,16}")

_CLASSES: Final = frozenset({"image:identified", "image:pseudonymised", "image:anonymised"})
_COUNTS: Final = frozenset({"requests", "instances", "frames", "bytes", "results", "denied"})
_REQUIRED: Final = frozenset({"v", "id", "salt", "time", "node", "source", "action", "actor", "outcome"})
#: Who acts at a receiver: a DICOM peer, the receiver itself, the administrator of its machine.
_ACTORS: Final[Mapping[str, re.Pattern[str]]] = {
    "anonymous": _PEER,
    "system": _NODE,
    "operator": re.compile("local"),
}


def check(entry: object) -> UUID:
    """Return the entry's id if a receiver may say this. Raises `bad-request`, which names the member at fault."""
    if not isinstance(entry, dict):
        raise WardlightError("bad-request", "an entry is an object")
    unknown = entry.keys() - _CHECKS.keys()
    if unknown or _REQUIRED - entry.keys():
        raise WardlightError("bad-request", "an entry has a member too many or too few")
    for name, value in entry.items():
        if not _CHECKS[name](value):
            raise _refused(name)
    _detail(entry)
    try:
        if len(canonical(entry)) + _ADDED > 16_384:
            raise ValueError
    except (ValueError, RecursionError):
        raise WardlightError("bad-request", "an entry leaves the canonical form") from None
    return UUID(entry["id"])


def _refused(name: str) -> WardlightError:
    return WardlightError("bad-request", f"{name} is not what a receiver may say")


def _detail(entry: Mapping[str, Any]) -> None:
    allowed = DETAIL.get(Action(entry["action"]), {})
    for name, value in entry.get("detail", {}).items():
        if name not in allowed or type(value) is not allowed[name] or type(value) not in (str, int):
            raise _refused("detail")
        if isinstance(value, str) and len(value) > 255:
            raise _refused("detail")


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _id(value: object) -> bool:
    try:
        parsed = UUID(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return parsed is not None and str(parsed) == value and parsed.version == 7


def _time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _action(value: object) -> bool:
    try:
        action = Action(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return action is not None and (action.value.startswith("receiver:") or action in BESIDE)


def _actor(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != {"kind", "id"}:
        return False
    pattern = _ACTORS.get(value["kind"]) if isinstance(value["kind"], str) else None
    return pattern is not None and isinstance(value["id"], str) and bool(pattern.fullmatch(value["id"]))


def _behalf(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"kind", "id"}
        and value["kind"] == "application"
        and _matches(_NAME)(value["id"])
    )


def _object(value: object) -> bool:
    if not isinstance(value, dict) or not _matches(_KIND)(value.get("kind")):
        return False
    if value["kind"] in ("study", "series", "instance", "patient"):
        return value.keys() == {"kind", "ref"} and value["kind"] == "study" and _matches(_STUDY)(value["ref"])
    return value.keys() == {"kind", "id"} and _text(value["id"], 255)


def _text(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) <= length


def _subjects(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= _MAX_SUBJECTS
        and all(
            isinstance(one, dict) and one.keys() == {"study"} and _matches(_STUDY)(one["study"])
            for one in value
        )
    )


def _network(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != {"address"} or not _text(value["address"], 64):
        return False
    try:
        ipaddress.ip_address(value["address"])
    except ValueError:
        return False
    return True


def _classes(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= 8
        and all(isinstance(one, str) and one in _CLASSES for one in value)
    )


def _counts(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(name in _COUNTS and type(number) is int and number >= 0 for name, number in value.items())
    )


def _change(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= _MAX_CHANGES
        and all(
            isinstance(one, dict)
            and {"path"} <= one.keys() <= {"path", "before", "after"}
            and _matches(_PATH)(one["path"])
            and all(isinstance(one.get(name, ""), str) for name in ("before", "after"))
            for one in value
        )
    )


_CHECKS: Final[Mapping[str, Callable[[object], bool]]] = {
    "v": lambda value: type(value) is int and value == 1,
    "id": _id,
    "salt": _matches(_SALT),
    "time": _time,
    "node": _matches(_NODE),
    "source": lambda value: value == "receiver",
    "action": _action,
    "actor": _actor,
    "behalf": _behalf,
    "object": _object,
    "subjects": _subjects,
    "outcome": lambda value: isinstance(value, str) and value in {one.value for one in Outcome},
    "reason": _matches(_REASON),
    "classes": _classes,
    "network": _network,
    "request": _matches(_TRACE),
    "counts": _counts,
    "change": _change,
    "detail": lambda value: isinstance(value, dict) and bool(value),
}
