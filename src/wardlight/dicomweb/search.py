"""QIDO-RS: the query string becomes a `Query`, the page of rows becomes DICOM JSON (PS3.18 10.6)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from wardlight.access.model import Scope
from wardlight.archive.matching import Rules
from wardlight.archive.model import IMAGES, MatchKey, Page, Query, QueryLevel
from wardlight.dicom.dictionary import is_known, tag_of, vr_of
from wardlight.dicomweb.call import Answer, Call, is_uid
from wardlight.dicomweb.negotiation import json_type
from wardlight.errors import WardlightError

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_FIELDS: Final = 1000
_RETRIEVE_URL: Final = "00081190"
_MORE: Final = "There are additional results that can be requested"
#: Parameters of the query string that are no attributes. `accept` is the negotiation's; `application` is our own:
#: people see the releases of Images unless they ask for another application's; `cursor` continues a page.
#: `includedefaults` is what Weasis and dcm4chee's clients say; rows always hold the attributes that the standard lists.
_PARAMETERS: Final = frozenset(
    {
        "limit",
        "offset",
        "fuzzymatching",
        "emptyvaluematching",
        "multiplevaluematching",
        "accept",
        "application",
        "cursor",
        "includedefaults",
    }
)


@dataclass(slots=True)
class Search:
    """A parsed query string. nothing: `limit=0` asks for no rows."""

    query: Query
    nothing: bool = False


@dataclass(slots=True)
class _Parsed:
    keys: dict[tuple[int, ...], str] = field(default_factory=dict)
    include: set[int] = field(default_factory=set)
    single: dict[str, str] = field(default_factory=dict)
    include_all: bool = False


def parse(query_string: str, study_uid: str | None = None, series_uid: str | None = None) -> Search:
    """Read a query string (PS3.18 8.3.4).

    Raises `bad-request` where the grammar is broken and `matching-key-not-supported` for what is no attribute: a key
    that was silently ignored would return more than was asked for.
    """
    try:
        fields = parse_qsl(query_string, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        raise WardlightError("bad-request", "the query string is not understood") from None
    parsed = _Parsed()
    for name, value in fields:
        _take(parsed, name, value)
    limit = _count(parsed, "limit")
    _truth(parsed, "includedefaults")
    return Search(
        Query(
            keys=tuple(MatchKey(path, value) for path, value in parsed.keys.items()),
            study_uid=study_uid,
            series_uid=series_uid,
            include=frozenset(parsed.include),
            include_all=parsed.include_all,
            limit=limit,
            offset=_count(parsed, "offset"),
            application=parsed.single.get("application", IMAGES),
            rules=Rules(
                _truth(parsed, "fuzzymatching"),
                _truth(parsed, "emptyvaluematching"),
                _truth(parsed, "multiplevaluematching"),
            ),
            cursor=parsed.single.get("cursor", ""),
        ),
        nothing="limit" in parsed.single and limit == 0,
    )


def _take(parsed: _Parsed, name: str, value: str) -> None:
    if name in _PARAMETERS:
        if name in parsed.single:
            raise WardlightError("bad-request", f"{name} is given twice")
        parsed.single[name] = value
    elif name == "includefield":
        for member in value.split(","):
            if member.strip() == "all":
                parsed.include_all = True
            elif member.strip():
                # A member of a sequence comes with its whole sequence.
                parsed.include.add(_attribute(member.strip())[0])
    else:
        path = _attribute(name)
        if path not in parsed.keys:
            parsed.keys[path] = value
        elif vr_of(path[-1]) == b"UI":
            parsed.keys[path] += f",{value}"
        else:
            raise WardlightError("bad-request", "an attribute is given twice")


def _attribute(name: str) -> tuple[int, ...]:
    """Tags of `PatientID`, `00100020` or, for a member of a sequence, of two of these joined by a dot."""
    tags = []
    for part in name.split("."):
        tag = int(part, 16) if _TAG.fullmatch(part) else tag_of(part)
        if tag is None or not is_known(tag):
            raise WardlightError("matching-key-not-supported")
        tags.append(tag)
    if len(tags) > 2:
        raise WardlightError(
            "matching-key-not-supported", "a key may name one sequence and one of its members"
        )
    return tuple(tags)


def _count(parsed: _Parsed, name: str) -> int:
    value = parsed.single.get(name, "0")
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise WardlightError("bad-request", f"{name} is not a whole number from 0")
    return int(value)


def _truth(parsed: _Parsed, name: str) -> bool:
    value = parsed.single.get(name, "false")
    if value not in ("true", "false"):
        raise WardlightError("bad-request", f"{name} is neither true nor false")
    return value == "true"


def studies(call: Call) -> Answer:
    """GET /studies."""
    return _search(call, QueryLevel.STUDY, call.archive.search_studies)


def series(call: Call) -> Answer:
    """GET /series and /studies/{study}/series."""
    return _search(call, QueryLevel.SERIES, call.archive.search_series)


def instances(call: Call) -> Answer:
    """GET /instances, below a study or a series too."""
    return _search(call, QueryLevel.INSTANCE, call.archive.search_instances)


def _search(call: Call, level: QueryLevel, run: Callable[[Scope, Query], Page]) -> Answer:
    content_type = json_type(call.accept, call.query)
    search = parse(call.query, call.optional_uid("study"), call.optional_uid("series"))
    # Even where no row is wanted the search is decided on and recorded like any other.
    page = run(call.scope, replace(search.query, limit=1) if search.nothing else search.query)
    rows = [] if search.nothing else page.rows
    for row in rows:
        row[_RETRIEVE_URL] = {"vr": "UR", "Value": [_retrieve_url(call, level, row)]}
    headers = {}
    if page.more:
        # PS3.18 8.3.4.4 has the warning; the link (RFC 8288) spares counting rows.
        headers["Warning"] = f'299 {call.base_url} "{_MORE}"'
        if page.next and rows:
            headers["Link"] = f'<{_next_url(call, level, page.next)}>; rel="next"'
    return Answer(json.dumps(rows, ensure_ascii=False).encode("utf-8"), content_type, headers=headers)


def _retrieve_url(call: Call, level: QueryLevel, row: dict[str, Any]) -> str:
    url = f"{call.base_url}/studies/{_uid(row, '0020000D') or call.path.get('study', '')}"
    if level is not QueryLevel.STUDY:
        url += f"/series/{_uid(row, '0020000E') or call.path.get('series', '')}"
    if level is QueryLevel.INSTANCE:
        url += f"/instances/{_uid(row, '00080018')}"
    return url


def _uid(row: dict[str, Any], tag: str) -> str:
    values = row.get(tag, {}).get("Value") or [""]
    return values[0] if is_uid(values[0]) else ""


def _next_url(call: Call, level: QueryLevel, cursor: str) -> str:
    """This search from behind its page on: what the client sent, with a cursor for its offset."""
    url = call.base_url
    if "study" in call.path:
        url += f"/studies/{call.path['study']}"
    if "series" in call.path:
        url += f"/series/{call.path['series']}"
    url += {QueryLevel.STUDY: "/studies", QueryLevel.SERIES: "/series", QueryLevel.INSTANCE: "/instances"}[
        level
    ]
    sent = parse_qsl(call.query, keep_blank_values=True)
    kept = [(name, value) for name, value in sent if name not in ("offset", "cursor")]
    return f"{url}?{urlencode([*kept, ('cursor', cursor)], safe='*,.')}"
