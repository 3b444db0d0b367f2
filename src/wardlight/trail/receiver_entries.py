"""Takes in the entries of receivers' own trails: POST /api/v1/audit/receiver/entries.

Each is recorded once, however often it comes: a receiver sends until it has a durable answer. Its id and the digest of
what was sent stay, so that other content under a known id is refused. All that is recorded is so in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select

from wardlight.access.model import Operation
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Event, Outcome, Target
from wardlight.audit.tables import entry, foreign, log
from wardlight.db.insert import upsert
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.trail.call import ApiCall, answer
from wardlight.trail.receiver_entry import check

#: Most entries of a request.
MAX_ENTRIES: Final = 100

_RECORDED: Final = "recorded"
_DUPLICATE: Final = "duplicate"
_REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class _Sent:
    """An entry that a receiver may say."""

    place: int
    id: UUID
    digest: bytes
    entry: dict[str, Any]


def store(call: ApiCall) -> Answer:
    """Record what is new; answers for each entry, in its order, whether it is recorded, a duplicate, or refused."""
    scope = call.scope
    scope.require(Operation.AUDIT_SEND)
    entries = call.body.get("entries")
    if call.body.keys() != {"entries"} or not isinstance(entries, list) or not entries:
        raise WardlightError("bad-request", "the body holds a list of entries, and nothing else")
    if len(entries) > MAX_ENTRIES:
        raise WardlightError("too-large", f"more than {MAX_ENTRIES} entries in one request")
    results: list[dict[str, Any]] = [{} for _ in entries]
    sent: list[_Sent] = []
    for place, one in enumerate(entries):
        try:
            sent.append(_Sent(place, check(one), hashlib.sha256(canonical(one)).digest(), one))
        except WardlightError as error:
            results[place] = _refused(one, error)
    with call.parts.database.begin(scope.institution) as tx:
        new = _settle(tx, scope.institution, sent, results)
        call.parts.recorder.write_foreign(tx, scope.institution, [one.entry for one in new])
        refused = [result for result in results if result["status"] == _REFUSED]
        if refused:
            call.parts.recorder.write(tx, scope.institution, _refusals(call, len(entries), refused))
    return answer({"entries": results})


def _settle(
    tx: Connection, institution: UUID, sent: Sequence[_Sent], results: list[dict[str, Any]]
) -> list[_Sent]:
    """Decide on each; returns those to be recorded."""
    first: dict[UUID, _Sent] = {}
    for one in sent:
        first.setdefault(one.id, one)
    # In the order of ids, so that two requests with the same entries wait for each other and do not deadlock.
    added: set[UUID] = set()
    for id_ in sorted(first.keys() - _of_others(tx, institution, list(first))):
        row = {"institution": institution, "id": id_, "digest": first[id_].digest}
        new_row = upsert(tx, foreign).values(row).on_conflict_do_nothing().returning(foreign.c.id)
        if tx.execute(new_row).first() is not None:
            added.add(id_)
    known: dict[UUID, bytes] = {
        id_: digest
        for id_, digest in tx.execute(
            select(foreign.c.id, foreign.c.digest).where(
                foreign.c.institution == institution, foreign.c.id.in_(list(first))
            )
        )
    }
    new = []
    for one in sent:
        if known.get(one.id) != one.digest:
            results[one.place] = _refused(one.entry, WardlightError("audit-id-reused"))
        elif one.id in added:
            added.discard(one.id)
            new.append(one)
            results[one.place] = {"id": str(one.id), "status": _RECORDED}
        else:
            results[one.place] = {"id": str(one.id), "status": _DUPLICATE}
    return new


def _of_others(tx: Connection, institution: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that are sealed already, and did not come from a receiver."""
    if not ids:
        return set()
    sealed = (
        select(entry.c.id)
        .join(log, log.c.log == entry.c.log)
        .where(log.c.institution == institution, entry.c.id.in_(ids))
        .except_(select(foreign.c.id).where(foreign.c.institution == institution, foreign.c.id.in_(ids)))
    )
    return set(tx.execute(sealed).scalars())


def _refused(one: object, error: WardlightError) -> dict[str, Any]:
    id_ = one.get("id") if isinstance(one, dict) else None
    named = {"id": id_} if isinstance(id_, str) and len(id_) <= 36 else {}
    detail = error.detail or error.kind.title
    return {**named, "status": _REFUSED, "error": {"code": error.code, "detail": detail}}


def _refusals(call: ApiCall, count: int, refused: Sequence[dict[str, Any]]) -> Event:
    """The platform's own word on what it did not take."""
    return Event(
        Action.AUDIT_ENTRY_STORE,
        actor_of(call.scope.principal),
        outcome=Outcome.DENIED if len(refused) == count else Outcome.PARTIAL,
        target=Target("receiver", id=call.scope.principal.id),
        reason=refused[0]["error"]["code"],
        address=call.scope.address,
        request=call.scope.request,
        token=call.scope.principal.token_ref,
        counts={"denied": len(refused)},
    )
