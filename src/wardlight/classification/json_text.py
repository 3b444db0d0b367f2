"""The values of JSON text with their paths and places, token by token: no recursion, whatever its depth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
#: What a member of an object is usually called.
_NAME: Final = re.compile(r"[A-Za-z_$@][\w$@-]{0,60}|[0-9A-Fa-f]{8}|\d{0,3}")
#: Containers in each other.
DEEPEST: Final = 100
#: Keys that name a type or nothing: of a value, what is around it is the name.
_UNNAMED: Final = frozenset(("value", "stringValue", "intValue", "doubleValue", "arrayValue", "values"))
#: Characters of a path.
_LONGEST_PATH: Final = 400


class Value(NamedTuple):
    """One string or number. key: the nearest name. path: as `a.b[].c`. inside: the resourceType of FHIR around it."""

    path: str
    key: str
    text: str
    start: int
    inside: str


class BadJson(ValueError):
    """Text that is no JSON, or beyond a limit."""


class _Frame:
    """An object or array that is open."""

    __slots__ = ("array", "inside", "key", "named", "path", "root")

    def __init__(self, path: str, key: str, array: bool, inside: str, root: str) -> None:
        self.path = path
        self.key = key
        self.array = array
        self.inside = inside
        self.root = root
        #: Of an attribute of OTLP: {"key": "patient.name", "value": {"stringValue": …}}.
        self.named = ""


def values(text: str, start: int = 0) -> Iterator[Value]:
    """Strings and numbers in their order. Raises BadJson; what came before is well."""
    stack: list[_Frame] = []
    key: str | None = None
    waiting: str | None = None
    at = start
    for match in _TOKEN.finditer(text, start):
        if match.start() > at and text[at : match.start()].strip():
            raise BadJson("json")
        at = match.end()
        part = match[0]
        if part == ":":
            key, waiting = waiting, None
        elif part in ("{", "["):
            stack.append(_opened(stack, key, part == "["))
            key = waiting = None
            if len(stack) > DEEPEST:
                raise BadJson("json-depth")
        elif part in ("}", "]"):
            if not stack or stack.pop().array != (part == "]"):
                raise BadJson("json")
            key = waiting = None
        elif part == ",":
            key = waiting = None
        elif key is None and stack and not stack[-1].array:
            if part[0] != '"':
                raise BadJson("json")
            waiting = _string(part)
            if not _NAME.fullmatch(waiting):
                # A name that may be a value: {"jane.doe@example.org": 3}.
                yield Value(stack[-1].path, "", waiting, match.start(), "")
        else:
            if value := _value(part, match.start(), key, stack):
                yield value
            key = None
    if stack or text[at:].strip():
        raise BadJson("json")


def _opened(stack: list[_Frame], key: str | None, array: bool) -> _Frame:
    above = stack[-1] if stack else None
    if above is None:
        return _Frame("", "", array, "", "")
    name = (
        above.named
        if above.named and key in _UNNAMED
        else above.key
        if key is None or key in _UNNAMED
        else key
    )
    path = above.path if above.array or key is None else _joined(above.path, key)
    if array:
        path = f"{path}[]"[:_LONGEST_PATH]
    return _Frame(path, name, array, above.inside, above.root)


def _joined(path: str, key: str) -> str:
    return (f"{path}.{key}" if path else key)[:_LONGEST_PATH]


def _value(part: str, start: int, key: str | None, stack: list[_Frame]) -> Value | None:
    if part in ("true", "false", "null"):
        return None
    text = _string(part) if part[0] == '"' else part
    if not stack:
        return Value("", "", text, start, "")
    frame = stack[-1]
    if key == "resourceType":
        frame.inside, frame.root = text, frame.path
        return None
    path = frame.path if key is None else _joined(frame.path, key)
    if key == "key":
        frame.named = text[:_LONGEST_PATH]
    inside = frame.inside and f"{frame.inside}|{path[len(frame.root) :].lstrip('.[]')}"
    if frame.named and key in _UNNAMED:
        key = frame.named
    elif key in _UNNAMED and frame.key:
        key = None
    return Value(path, frame.key if key is None else key, text, start, inside)


def _string(part: str) -> str:
    if "\\" not in part:
        return part[1:-1]
    try:
        return str(json.loads(part, strict=False))
    except ValueError:
        return part[1:-1]
