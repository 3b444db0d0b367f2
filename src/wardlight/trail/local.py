"""Reading a log for the administrator of the machine, who may read every log: one entry tells of each reading."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.errors import WardlightError
from wardlight.trail.filters import Filter
from wardlight.trail.parts import Parts
from wardlight.trail.service import Identifiers, Page, Trail, target_of, told
from wardlight.trail.store import Row


def find(
    parts: Parts,
    institution: UUID | None,
    whom: Identifiers,
    asked: Filter,
    generation: int,
    limit: int,
    *,
    by: Actor,
) -> Page:
    """The newest entries, at most `limit`. institution None: of the operator's log, which names no patient."""
    trail = Trail(parts)
    action = Action.AUDIT_ENTRY_READ if asked.empty else Action.AUDIT_ENTRY_SEARCH
    subjects: tuple[tuple[str, str], ...] = ()
    query = asked.told()
    if whom != Identifiers():
        if institution is None:
            raise WardlightError("bad-request", "the operator's log names no patients and no studies")
        action, query = Action.AUDIT_PATIENT_SEARCH, told(whom, asked)
        subjects = trail.subjects(institution, whom)
        asked = trail.about(institution, whom, asked)
    log = trail.log(institution, generation)
    page = trail.find(institution, log, asked, limit)
    while len(page.rows) < limit and page.next is not None:
        more = trail.find(institution, log, asked, limit - len(page.rows), page.next)
        page = replace(page, rows=page.rows + more.rows, names=page.names | more.names, next=more.next)
    event = Event(
        action,
        by,
        target=target_of(asked, log),
        subjects=subjects,
        purpose="HSYSADMIN",
        counts={"results": len(page.rows)},
        detail={"query": query} if query else {},
    )
    _tell(parts, institution, event)
    return page


def one(parts: Parts, institution: UUID | None, generation: int, index: int, *, by: Actor) -> Row:
    """The entry at a position. Raises `not-found`."""
    trail = Trail(parts)
    log = trail.log(institution, generation)
    if not 0 <= index < log.size:
        raise WardlightError("not-found", "the log has no such entry")
    page = trail.find(institution, log, Filter(), 1, index + 1)
    event = Event(
        Action.AUDIT_ENTRY_READ,
        by,
        target=Target("log", id=log.origin),
        purpose="HSYSADMIN",
        counts={"results": 1},
    )
    _tell(parts, institution, event)
    return page.rows[0]


def _tell(parts: Parts, institution: UUID | None, event: Event) -> None:
    """Before anything is shown: what cannot be written down is not shown."""
    with parts.database.begin(institution) as tx:
        parts.recorder.write(tx, institution, event)
