"""Machine data over HTTP (docs/reference/machine-data.md): what was found, how much came, who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.archive.machine_store import HOUR_MS, Segment, Subscription
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.machinedata.intake import Body, shown
from wardlight.machinedata.model import NAMES, SEVERITIES
from wardlight.machinedata.records import parsed_time, source_name
from wardlight.machinedata.search import Asked, Found, Place
from wardlight.trail.call import answer

_PAGE: Final = 100
_MOST: Final = 1000
_TEXT: Final = 200
#: Of a chart that names no time; and the longest one, in milliseconds.
_CHART_MS: Final = 7 * 24 * HOUR_MS
_LONGEST_MS: Final = 400 * 24 * HOUR_MS
_BUCKETS: Final = 120
#: Of what a search asked for, the trail tells which, and no value.
_KINDS: Final = {"from": "range", "to": "range", "severity": "least", "source": "exact", "text": "contains"}


def search(request: ApiRequest) -> Answer:
    """GET /api/v1/machine-data: records, newest first."""
    query = request.query
    told = "&".join(f"{name}={kind}" for name, kind in _KINDS.items() if query.get(name))
    page = request.platform.machine_data.find(request.scope, _classes(query), _asked(query), told)
    rows: dict[str, Any] = {"records": [_record(one) for one in page.found]}
    if page.next is not None:
        rows["next"] = "-".join(map(str, page.next))
    return answer(rows)


def summary(request: ApiRequest) -> Answer:
    """GET /api/v1/machine-data/summary: how much came, by hour, class and source, and studies by modality."""
    from_ms, to_ms = _chart(request.query)
    machine = request.platform.machine_data
    rows = machine.hours(request.scope, _classes(request.query), from_ms, to_ms)
    body: dict[str, Any] = {
        "from": clock.timestamp_ms(from_ms),
        "to": clock.timestamp_ms(to_ms),
        "hours": [
            {
                "class": NAMES[row.data_class],
                "source": row.source,
                "hour": clock.timestamp_ms(row.hour_ms),
                "records": row.records,
                "errors": row.errors,
                "masked": row.masked,
            }
            for row in rows
        ],
        "modalities": machine.modalities(request.scope, from_ms, to_ms),
    }
    return answer(body)


def series(request: ApiRequest) -> Answer:
    """GET /api/v1/machine-data/series: a metric's points, averaged over equal times, by source."""
    query = request.query
    metric = query.get("metric", "")
    if not 0 < len(metric) <= _TEXT:
        raise WardlightError("bad-request", "name a metric", "metric")
    from_ms, to_ms = _chart(query)
    page = request.platform.machine_data.points(request.scope, metric, _source(query), from_ms, to_ms)
    step = max(1, (to_ms - from_ms) // _BUCKETS)
    kept: dict[tuple[str, int], list[float]] = {}
    for one in page.found:
        if one.record.value is not None:
            begin = from_ms + (one.record.time_ms - from_ms) // step * step
            kept.setdefault((one.record.source, begin), []).append(one.record.value)
    points = [
        {
            "source": source,
            "time": clock.timestamp_ms(begin),
            "average": sum(values) / len(values),
            "least": min(values),
            "most": max(values),
        }
        for (source, begin), values in sorted(kept.items())
    ]
    return answer({"metric": metric, "points": points, "complete": page.next is None})


def delete(request: ApiRequest) -> Answer:
    """DELETE /api/v1/machine-data/{segment}: all records that came together."""
    request.platform.machine_data.delete(request.scope, parsed_id(request.path["segment"]))
    return Answer(b"", "", 204)


def subscriptions(request: ApiRequest) -> Answer:
    """GET /api/v1/machine-data/subscription: what the application is told of."""
    return answer(_subscribed(request.platform.machine_subscriptions.subscriptions(request.scope)))


def subscribe(request: ApiRequest) -> Answer:
    """PUT /api/v1/machine-data/subscription: have the application told of new data of these classes."""
    names = sorted(Fields(request.body, frozenset({"classes"})).words("classes"))
    return answer(_subscribed(request.platform.machine_subscriptions.subscribe(request.scope, names)))


def unsubscribe(request: ApiRequest) -> Answer:
    """DELETE /api/v1/machine-data/subscription: tell it no more."""
    request.platform.machine_subscriptions.unsubscribe(request.scope, _classes(request.query))
    return Answer(b"", "", 204)


def stored(body: Body, row: Segment) -> dict[str, Any]:
    """What became of an upload."""
    return {"id": row.id.hex, "class": NAMES[row.data_class], **shown(body)}


def _subscribed(rows: Sequence[Subscription]) -> dict[str, Any]:
    return {
        "subscriptions": [
            {"class": NAMES[row.data_class], "since": clock.timestamp_ms(row.created_ms)} for row in rows
        ]
    }


def _record(found: Found) -> dict[str, Any]:
    record = found.record
    return {
        "object": found.place.segment,
        "class": NAMES[found.data_class],
        "time": clock.timestamp_ms(record.time_ms),
        "severity": record.severity,
        "source": record.source,
        "text": record.text,
        "value": record.value,
        "attributes": record.attributes,
    }


def _classes(query: Mapping[str, str]) -> list[str]:
    return [one for one in query.get("class", "").split(",") if one]


def _source(query: Mapping[str, str]) -> str:
    source = query.get("source", "")
    if source and source_name(source, "") != source:
        raise WardlightError("bad-request", "source is a name of letters, digits and ._/-", "source")
    return source


def _time(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, "")
    at = parsed_time(text, -1) if text else usual
    if at < 0:
        raise WardlightError("bad-request", f"{name} is a time such as 2026-11-24T08:00:00Z", name)
    return at


def _chart(query: Mapping[str, str]) -> tuple[int, int]:
    to_ms = _time(query, "to", clock.unix_ms() + 1)
    from_ms = _time(query, "from", to_ms - _CHART_MS)
    if not 0 < to_ms - from_ms <= _LONGEST_MS:
        raise WardlightError("bad-request", "from is before to, by at most 400 days", "from")
    return from_ms, to_ms


def _asked(query: Mapping[str, str]) -> Asked:
    usual = Asked()
    text, level = query.get("text", ""), query.get("severity", "")
    if len(text) > _TEXT or not text.isprintable():
        raise WardlightError("bad-request", f"text is at most {_TEXT} printable characters", "text")
    if level and level not in SEVERITIES:
        raise WardlightError("bad-request", f"severity is one of {', '.join(SEVERITIES)}", "severity")
    return Asked(
        _time(query, "from", usual.from_ms),
        _time(query, "to", usual.to_ms),
        SEVERITIES.get(level, 0),
        _source(query),
        text,
        after=_place(query.get("after", "")),
        limit=_limit(query.get("limit", "")),
    )


def _limit(text: str) -> int:
    if text and (not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= _MOST):
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}", "limit")
    return int(text or _PAGE)


def _place(text: str) -> Place | None:
    if not text:
        return None
    parts = text.split("-")
    numbers = (parts[0], *parts[2:])
    if len(parts) != 4 or not all(one.isascii() and one.isdigit() and len(one) < 16 for one in numbers):
        raise WardlightError("bad-request", "after is `next` of the page before", "after")
    return Place(int(parts[0]), parts[1][:32], int(parts[2]), int(parts[3]))
