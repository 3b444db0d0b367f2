"""What a handler of the trail's API is given: plain data, no framework, so that it runs in any thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from wardlight.access.model import Scope
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError

if TYPE_CHECKING:
    from wardlight.trail.parts import Parts

#: Largest body of a request, in bytes; what it holds may be nested so deep.
MAX_BODY: Final = 256 << 10
MAX_DEPTH: Final = 12
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One authorised request.

    parts: what the platform has. path: values of the path. query: the query string's values, each name once. body:
    the JSON object that was sent, {} for a GET. accept: the Accept header, "" if there is none.
    """

    parts: Parts
    scope: Scope
    path: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    accept: str = ""


def answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """`value` as JSON."""
    return Answer(json.dumps(value, ensure_ascii=False).encode(), JSON, status, headers)


def parse_body(data: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `bad-request` for anything else, also for a member that comes twice."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
        _require_shallow(value, 0)
    except (ValueError, RecursionError):
        raise WardlightError("bad-request", "the body is not a JSON object in UTF-8") from None
    if not isinstance(value, dict):
        raise WardlightError("bad-request", "the body is not a JSON object")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member comes twice")
    return members


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _require_shallow(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        for member in value.values():
            _require_shallow(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _require_shallow(member, depth + 1)
