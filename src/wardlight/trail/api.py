"""Handlers of the trail's reading routes: pages, counters, and the log with its tiles and proofs (audit.md §3, §7)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from wardlight.access.model import Operation
from wardlight.audit.log_store import Head
from wardlight.audit.model import Target
from wardlight.audit.tree import WIDTH, leaf_hash
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.dicomweb.conditional import entity_tag
from wardlight.errors import WardlightError
from wardlight.trail import witness_store
from wardlight.trail.call import ApiCall, answer
from wardlight.trail.filters import GROUPS, filter_of, moment, whole
from wardlight.trail.service import (
    DAY_MS,
    MAX_DAYS,
    MAX_IDENTIFIERS,
    MAX_LIMIT,
    USUAL_LIMIT,
    Identifiers,
    Page,
    Trail,
    date_of,
    days_of,
    kinds_of,
)

_MAX_GENERATION: Final = 1_000_000
_MAX_SIZE: Final = (1 << 53) - 1
_FILTERS: Final = frozenset(
    {"from", "to", "action", "group", "actor", "outcome", "subject", "object", "purpose", "grant"}
)
_PAGE: Final = _FILTERS | {"generation", "limit", "cursor"}
#: Most characters of an issuer or Patient ID (PS3.5 section 6.2: LO has 64).
_LONGEST: Final = 64
# A tile's number as here or as C2SP writes it (x001/x234/067), and its width where it is partial.
_TILE: Final = re.compile(r"((?:x[0-9]{3}/){0,5}[0-9]{3}|[0-9]{1,16})(?:\.p/([1-9][0-9]{0,2}))?")
_LEVEL: Final = re.compile(r"[0-9]|[1-5][0-9]|6[0-3]")
_OCTETS: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"


def entries(call: ApiCall) -> Answer:
    """GET …/audit/entries: a page of the trail, newest first."""
    _only(call.query, _PAGE)
    limit = whole(call.query, "limit", 1, MAX_LIMIT, USUAL_LIMIT)
    page = Trail(call.parts).entries(
        call.scope, filter_of(call.query), _generation(call.query), limit, call.query.get("cursor", "")
    )
    return _page(page)


def search(call: ApiCall) -> Answer:
    """POST …/audit/search: the same about patients and studies, who are named in the body and nowhere else."""
    _only(call.body, _PAGE | {"patients", "studies"})
    limit = whole(call.body, "limit", 1, MAX_LIMIT, USUAL_LIMIT)
    cursor = call.body.get("cursor", "")
    if not isinstance(cursor, str):
        raise WardlightError("bad-request", "`cursor` is no text")
    page = Trail(call.parts).search(
        call.scope, identifiers(call.body), filter_of(call.body), _generation(call.body), limit, cursor
    )
    return _page(page)


def identifiers(body: Mapping[str, Any]) -> Identifiers:
    """`patients` ({id, issuer?}) and `studies` (UIDs) of a search. Raises `bad-request`; never says a value."""
    patients, studies = body.get("patients", []), body.get("studies", [])
    if not isinstance(patients, list) or not isinstance(studies, list) or not (patients or studies):
        raise WardlightError(
            "bad-request", "`patients` and `studies` are lists, and one of them is not empty"
        )
    if max(len(patients), len(studies)) > MAX_IDENTIFIERS:
        raise WardlightError("bad-request", f"more than {MAX_IDENTIFIERS} patients or studies")
    found = []
    for patient in patients:
        if not isinstance(patient, dict) or not patient.keys() <= {"id", "issuer"} or "id" not in patient:
            raise WardlightError(
                "bad-request", "a patient has the members `id` and, where it is known, `issuer`"
            )
        pair = (patient.get("issuer", ""), patient["id"])
        if not all(isinstance(text, str) and len(text) <= _LONGEST for text in pair) or not pair[1].strip():
            raise WardlightError(
                "bad-request", f"`id` and `issuer` are texts of at most {_LONGEST} characters"
            )
        found.append(pair)
    if not all(isinstance(uid, str) and is_uid(uid) for uid in studies):
        raise WardlightError("bad-request", "a study is named by its Study Instance UID")
    return Identifiers(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(studies)))


def aggregates(call: ApiCall) -> Answer:
    """GET …/audit/aggregates: entries by day and hour, by group, kind of actor and outcome; or flows of data."""
    _only(call.query, {"from", "to", "generation", "action", "group", "actor_kind", "outcome", "flows"})
    days = _days(call.query)
    trail = Trail(call.parts)
    log = trail.log(call.scope.institution, _generation(call.query))
    span = {"from": date_of(days.start), "to": date_of(days.stop)}
    if call.query.get("flows", "false") not in ("true", "false"):
        raise WardlightError("bad-request", "`flows` is true or false")
    if call.query.get("flows") == "true":
        flows = trail.flows(call.scope, log, days)
        return answer({**_head(log), **span, "flows": flows.rows, "complete": flows.complete})
    asked = filter_of(
        {name: call.query[name] for name in ("action", "group", "outcome") if name in call.query}
    )
    kind = call.query.get("actor_kind", "")
    if kind and not re.fullmatch(r"[a-z]{1,16}", kind):
        raise WardlightError("bad-request", "there is no such kind of actor")
    found = trail.counted(call.scope, log, days, asked, kind)
    return answer(
        {**_head(log), **span, "days": days_of(found, days), "kinds": kinds_of(found), "groups": GROUPS}
    )


def logs(call: ApiCall) -> Answer:
    """GET …/audit/logs: the generations of the log, the newest, which is written, last."""
    _only(call.query, ())
    call.scope.require(Operation.AUDIT_LOG)
    log, institution = call.parts.audit_log, call.scope.institution
    rows = [
        {**_head(head)["log"], "halted": head.halted, "vkeys": log.vkeys(head)}
        for head in log.logs(institution)
    ]
    with call.parts.database.read(institution) as tx:
        witnesses = [one.vkey for one in witness_store.active(tx, institution)]
    return answer({"logs": rows, "witnesses": witnesses})


def checkpoint(call: ApiCall) -> Answer:
    """GET …/audit/log/checkpoint: the newest signed head, or the one of a size, as a C2SP note."""
    head = _log(call, {"generation", "size"})
    size = whole(call.query, "size", 0, _MAX_SIZE, 0) if "size" in call.query else None
    return Answer(call.parts.audit_log.checkpoint(head, size).encode(), _TEXT)


def tile(call: ApiCall) -> Answer:
    """GET …/audit/log/tile/L/N[.p/W]: hashes, which never change."""
    head = _log(call, {"generation"})
    if not _LEVEL.fullmatch(call.path["level"]):
        raise WardlightError("not-found")
    level = int(call.path["level"])
    n, width = _tile(call.path["tile"])
    data = call.parts.audit_log.tile(head, level, n, width)
    return Answer(data, _OCTETS, etag=entity_tag("audit-tile", head.origin, level, n, width))


def entry_tile(call: ApiCall) -> Answer:
    """GET …/audit/log/tile/entries/N[.p/W]: the entries below a tile, each after its length in two bytes.

    A pruned entry has length 0: nothing of it is left but its hash.
    """
    head = _log(call, {"generation"}, Operation.AUDIT)
    n, width = _tile(call.path["tile"])
    start = n * WIDTH
    if start + width > head.size:
        raise WardlightError("not-found", "the log has no such tile")
    reading = Trail(call.parts).begin(call.scope, Target("log", id=head.origin))
    body = bytearray()
    for _, content, _ in call.parts.audit_log.entries(head, start, start + width):
        body += len(content or b"").to_bytes(2, "big") + (content or b"")
    reading.count(results=width, bytes_=len(body))
    return Answer(bytes(body), _OCTETS)


def inclusion(call: ApiCall) -> Answer:
    """GET …/audit/log/proof/inclusion?index=&size=: that an entry is in the tree, its sibling first."""
    head = _log(call, {"generation", "index", "size"})
    size = whole(call.query, "size", 1, _MAX_SIZE, head.size)
    index = whole(call.query, "index", 0, _MAX_SIZE, -1)
    proof = call.parts.audit_log.inclusion(head, index, size)
    leaf = _leaf(call, head, index)
    return answer({**_head(head), "index": index, "size": size, "leaf": leaf, "proof": _texts(proof)})


def consistency(call: ApiCall) -> Answer:
    """GET …/audit/log/proof/consistency?from=&to=: that the later tree extends the earlier one."""
    head = _log(call, {"generation", "from", "to"})
    old = whole(call.query, "from", 0, _MAX_SIZE, -1)
    new = whole(call.query, "to", 0, _MAX_SIZE, head.size)
    proof = call.parts.audit_log.consistency(head, old, new)
    return answer({**_head(head), "from": old, "to": new, "proof": _texts(proof)})


def _page(page: Page) -> Answer:
    """The page as JSON. Contents are put in as they are: their bytes are the leaves."""
    rows = b",".join(
        b'{"index":%d,"pruned":true}' % row.idx
        if row.content is None
        else b'{"index":%d,"leaf":"%b","entry":%b}'
        % (row.idx, b64encode(leaf_hash(row.content)), row.content)
        for row in page.rows
    )
    rest = json.dumps(
        {
            **_head(page.log),
            "sealing": page.sealing,
            "actors": page.names,
            "next": page.cursor or None,
        },
        ensure_ascii=False,
    ).encode()
    return Answer(b'%b,"entries":[%b]}' % (rest[:-1], rows), "application/json")


def _head(log: Head) -> dict[str, Any]:
    return {"log": {"origin": log.origin, "generation": log.generation, "size": log.size}}


def _log(call: ApiCall, known: set[str], operation: Operation = Operation.AUDIT_LOG) -> Head:
    """The log that a request is about. Hashes and signed heads tell of no person: to read them is no entry.

    Else a witness that looks each minute would make the log grow that it watches.
    """
    _only(call.query, known)
    call.scope.require(operation)
    return Trail(call.parts).log(call.scope.institution, _generation(call.query))


def _leaf(call: ApiCall, head: Head, index: int) -> str:
    n, place = divmod(index, WIDTH)
    return b64encode(call.parts.audit_log.tile(head, 0, n, place + 1)[-32:]).decode()


def _tile(text: str) -> tuple[int, int]:
    found = _TILE.fullmatch(text)
    width = int(found[2]) if found and found[2] else WIDTH
    if found is None or (found[2] and width >= WIDTH):
        raise WardlightError("not-found")
    return int(found[1].replace("x", "").replace("/", "")), width


def _generation(given: Mapping[str, Any]) -> int:
    return whole(given, "generation", 1, _MAX_GENERATION, 1) if "generation" in given else 0


def _days(given: Mapping[str, Any]) -> range:
    """The days of [from, to); the last one whole. Raises `bad-request`."""
    first, last = moment(given, "from"), moment(given, "to")
    if first is None or last is None:
        raise WardlightError("bad-request", "`from` and `to` are needed")
    days = range(first // DAY_MS, -(-last // DAY_MS))
    if not 0 < len(days) <= MAX_DAYS:
        raise WardlightError("bad-request", f"`from` to `to` are 1 to {MAX_DAYS} days")
    return days


def _texts(hashes: list[bytes]) -> list[str]:
    return [b64encode(each).decode() for each in hashes]


def _only(given: Mapping[str, Any], known: Any) -> None:
    if not given.keys() <= set(known):
        raise WardlightError("bad-request", "a parameter or member is not known here")
