"""Records from lines of a log, from NDJSON and from OTLP's JSON (opentelemetry-proto 1.x, JSON Protobuf Encoding)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from wardlight.errors import WardlightError
from wardlight.machinedata.model import ATTRIBUTES, LEVELS, MEMBERS, SEVERITIES, SOURCE, Record

#: What may stand at the begin of a line: a time as RFC 3339 or ISO 8601 has it.
_TIME: Final = re.compile(
    r"\s*\[?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?\]?\s*"
)
_SEVERITY: Final = re.compile(
    r"\b(trace|debug|info|notice|warn|error|err|crit|critical|fatal|alert)(?:ing)?\b", re.I
)
_WORDS: Final = SEVERITIES | {
    "warning": 13, "notice": 10, "err": 17, "critical": 18, "crit": 18, "alert": 19, "emergency": 21, "panic": 21,
}  # fmt: skip
#: Characters of a line in which its severity is looked for.
_HEAD: Final = 60
#: Times are of this and the next century, or they are none.
_TIMES_MS: Final = (946_684_800_000, 4_102_444_800_000)
#: No time in nanoseconds is as large; characters of an integer; characters of a name with all around it.
_LARGEST_TIME: Final = 1e20
_DIGITS: Final = 20
NAME: Final = 512
_NOT_SOURCE: Final = re.compile(r"[^A-Za-z0-9._/-]+")
#: Names under which NDJSON has what a record has.
_TIME_NAMES: Final = ("time", "timestamp", "@timestamp", "ts", "date")
_TEXT_NAMES: Final = ("text", "message", "msg", "body", "event")
_LEVEL_NAMES: Final = ("severity", "level", "lvl", "severity_text")
_SOURCE_NAMES: Final = ("source", "service", "service.name", "logger", "host")


def source_name(text: Any, usual: str) -> str:
    """A name of a service or device, of letters, digits and `._/-`."""
    name = _NOT_SOURCE.sub("-", text)[:SOURCE].strip("-") if isinstance(text, str) else ""
    return name or usual


def severity_number(level: Any) -> int:
    """A severity's number, 0 for one that is unknown."""
    if isinstance(level, int) and not isinstance(level, bool):
        return level if 0 <= level <= 24 else 0
    return _WORDS.get(level.strip().lower(), 0) if isinstance(level, str) else 0


def of_line(line: str, source: str, now_ms: int) -> Record:
    """A record of a line of text. Its time, where it has one, is taken out of it."""
    time_ms, found = now_ms, _TIME.match(line)
    if found is not None:
        parsed = _parsed(found)
        if parsed is not None:
            time_ms, line = parsed, line[found.end() :]
    level = _SEVERITY.search(line, 0, _HEAD)
    return Record(time_ms, _WORDS[level[1].lower()] if level else 0, source, line, {})


def _parsed(found: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    time_ms = int(at.timestamp()) * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 60 + int(zone[-2:])
        time_ms -= (offset if zone[0] == "+" else -offset) * 60_000
    return time_ms if _TIMES_MS[0] <= time_ms < _TIMES_MS[1] else None


def parsed_time(value: Any, usual: int) -> int:
    """Unix milliseconds of a text, or of a number of seconds, milliseconds, microseconds or nanoseconds."""
    if isinstance(value, str):
        found = _TIME.match(value)
        if found is not None:
            at = _parsed(found)
            return usual if at is None else at
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_TIME:
        for times, over in ((1, 1), (1000, 1), (1, 1000), (1, 1_000_000)):
            # Whole numbers stay whole: nanoseconds are more than a float can tell apart.
            at = int(value * times) // over
            if _TIMES_MS[0] <= at < _TIMES_MS[1]:
                return at
    return usual


def of_json(line: str, source: str, now_ms: int) -> Record:
    """A record of one line of NDJSON: an object, whose other members are attributes. Raises `bad-request`."""
    value = loads(line)
    if not isinstance(value, dict):
        raise WardlightError("bad-request", "a line of NDJSON is an object")
    check(value)
    rest = dict(value)
    text = _taken(rest, _TEXT_NAMES)
    named = source_name(_taken(rest, _SOURCE_NAMES), source)
    level = severity_number(_taken(rest, _LEVEL_NAMES))
    at = parsed_time(_taken(rest, _TIME_NAMES), now_ms)
    inner = rest.pop("attributes", None)
    if isinstance(inner, dict):
        rest = {**rest, **inner}
    number = rest.pop("value", None)
    if isinstance(number, bool) or not isinstance(number, int | float):
        if number is not None:
            rest["value"] = number
        number = None
    return Record(at, level, named, text if isinstance(text, str) else _text(text), flat(rest), number)


def _taken(members: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first member of these names that is a plain value, taken out."""
    for name in names:
        if isinstance(members.get(name), str | int | float):
            return members.pop(name)
    return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def loads(text: str | bytes) -> Any:
    """Parsed JSON. Raises `bad-request`, also for a number that is none and for what is nested too deeply."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_bounded)
    except (ValueError, RecursionError):
        raise WardlightError("bad-request", "this is not JSON") from None


def _no_number(_: str) -> float:
    raise ValueError("no number")


def _finite(text: str) -> float:
    """1e999 is no number either: nobody could write it as JSON again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no number")
    return number


def _bounded(text: str) -> int:
    """Of 64 bits, as other readers have them."""
    number = int(text) if len(text) <= _DIGITS else 1 << 64
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("too large")
    return number


def check(value: Any, levels: int = LEVELS) -> None:
    """Raise `bad-request` for what is nested too deeply, or has too many members."""
    if levels < 0:
        raise WardlightError("bad-request", f"a record has at most {LEVELS} levels")
    if isinstance(value, dict | list):
        if len(value) > ATTRIBUTES:
            raise WardlightError("bad-request", f"a record has at most {ATTRIBUTES} members at a level")
        for one in value.values() if isinstance(value, dict) else value:
            if isinstance(one, dict | list):
                check(one, levels - 1)


def flat(members: dict[str, Any]) -> dict[str, Any]:
    """Members of members as one level, `patient.id`: what stands around a value says what it is.

    Lists of plain values stay lists. Raises `bad-request` for too many.
    """
    found: dict[str, Any] = {}
    _flatten(members, "", found)
    return found


def size_of(record: Record) -> int:
    """Characters of a record, with the names of its attributes."""
    return len(record.text) + sum(len(name) + len(str(one)) for name, one in record.attributes.items())


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    if isinstance(value, dict):
        pairs: Any = value.items()
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        pairs = enumerate(value)
    else:
        found[path] = value
        if len(found) > MEMBERS:
            raise WardlightError("bad-request", f"a record has at most {MEMBERS} members")
        return
    for name, one in pairs:
        # Each member would have the whole path: a long one over many members is many times what came.
        if len(path) + len(str(name)) >= NAME:
            raise WardlightError("bad-request", f"a name is at most {NAME} characters, with those around it")
        _flatten(one, f"{path}.{name}" if path else str(name), found)


# ---- OTLP ----


def of_otlp_logs(body: Any, source: str, now_ms: int) -> Iterator[Record]:
    """Records of an ExportLogsServiceRequest. Raises `bad-request`."""
    for resource, scope, kept in _scopes(body, "resourceLogs", "scopeLogs"):
        named = source_name(resource.get("service.name"), source)
        for one in _objects(kept, "logRecords"):
            at = parsed_time(one.get("timeUnixNano"), 0) or parsed_time(
                one.get("observedTimeUnixNano"), now_ms
            )
            level = severity_number(one.get("severityNumber")) or severity_number(one.get("severityText"))
            text = _text(_value(one.get("body"), LEVELS))
            yield Record(at, level, named, text, flat({**resource, **scope, **_attributes(one)}))


def of_otlp_metrics(body: Any, source: str, now_ms: int) -> Iterator[Record]:
    """A record for each point of an ExportMetricsServiceRequest: its name as text. Raises `bad-request`.

    Of histograms and summaries the value is the sum, and the count an attribute.
    """
    for resource, scope, kept in _scopes(body, "resourceMetrics", "scopeMetrics"):
        named = source_name(resource.get("service.name"), source)
        for metric in _objects(kept, "metrics"):
            name, unit = _text(metric.get("name"))[:200], metric.get("unit")
            about = {"unit": unit} if isinstance(unit, str) and unit else {}
            for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
                data = metric.get(kind)
                for point in _objects(data, "dataPoints") if isinstance(data, dict) else ():
                    at = parsed_time(point.get("timeUnixNano"), now_ms)
                    number = _number(point.get("asDouble", point.get("asInt", point.get("sum"))))
                    count = _number(point.get("count"))
                    counted = {"count": count} if count is not None else {}
                    held = {**resource, **scope, **about, **counted, **_attributes(point)}
                    yield Record(at, 0, named, name, flat(held), number)


def _number(value: Any) -> float | None:
    """64-bit integers are texts in JSON (proto3 JSON mapping)."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _scopes(
    body: Any, outer: str, inner: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    if not isinstance(body, dict) or not isinstance(body.get(outer), list):
        raise WardlightError("bad-request", f"an OTLP request has {outer}")
    for resource in _objects(body, outer):
        about = resource.get("resource")
        attributes = _attributes(about) if isinstance(about, dict) else {}
        for scope in _objects(resource, inner):
            name = scope["scope"].get("name") if isinstance(scope.get("scope"), dict) else None
            yield attributes, {"scope": name} if isinstance(name, str) and name else {}, scope


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    listed = holder.get(name) or []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise WardlightError("bad-request", f"{name} is a list of objects")
    return listed


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    listed = _objects(holder, "attributes")
    if len(listed) > ATTRIBUTES:
        raise WardlightError("bad-request", f"a record has at most {ATTRIBUTES} attributes")
    return {_text(one.get("key"))[:200]: _value(one.get("value"), LEVELS) for one in listed}


def _value(value: Any, levels: int) -> Any:
    """An AnyValue as a plain one. Bytes are not kept: nobody can look into them."""
    if levels < 0:
        raise WardlightError("bad-request", f"a record has at most {LEVELS} levels")
    if not isinstance(value, dict):
        return value if isinstance(value, str | int | float | bool) else None
    for name in ("stringValue", "boolValue", "doubleValue"):
        if isinstance(value.get(name), str | bool | int | float):
            return value[name]
    if "intValue" in value:
        number = value["intValue"]
        if isinstance(number, str) and re.fullmatch(r"-?\d{1,19}", number):
            return int(number)
        return number if isinstance(number, int) else None
    if isinstance(value.get("arrayValue"), dict):
        return [_value(one, levels - 1) for one in _objects(value["arrayValue"], "values")[:ATTRIBUTES]]
    if isinstance(value.get("kvlistValue"), dict):
        listed = _objects(value["kvlistValue"], "values")[:ATTRIBUTES]
        return {_text(one.get("key"))[:200]: _value(one.get("value"), levels - 1) for one in listed}
    return "[bytes]" if "bytesValue" in value else None
