"""Reading the audit trail: pages of a search, counters, flows. What is read is itself an entry (audit.md section 7)."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight.access.model import Operation, Scope
from wardlight.archive.keyring import cursor_key
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.log_store import Head
from wardlight.audit.model import Event, Target
from wardlight.audit.sessions import Reading
from wardlight.audit.tables import OUTCOMES
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.trail import counts, store
from wardlight.trail.filters import GROUP_OF, Filter
from wardlight.trail.parts import Parts
from wardlight.trail.store import Row

#: Entries of a page.
USUAL_LIMIT: Final = 50
MAX_LIMIT: Final = 200
#: Patients, and studies, of one search.
MAX_IDENTIFIERS: Final = 50
#: Days of one table of counters.
MAX_DAYS: Final = 366
#: Entries that one answer on flows looks at.
MAX_FLOW_ENTRIES: Final = 5_000
DAY_MS: Final = 86_400_000

_POSITION: Final = struct.Struct(">Q")
_OUTCOME_NAMES: Final = {number: name for name, number in OUTCOMES.items()}
#: Actions that tell of data that moved: into an application's releases, or out to who asked for it.
_IN: Final = frozenset(
    {"dicomweb:study:store", "dicomweb:result:store", "machine:data:store", "app:result:create"}
)
_OUT: Final = frozenset(
    action
    for action, group in GROUP_OF.items()
    if group in ("read", "export") and action.startswith("dicomweb:")
)
_IMAGES: Final = "images"


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first. sealing: those that wait for the sealer, on the first page only.

    names: "kind:id" of the actors that are accounts of the institution, and what people call them. next: the position
    before which there may be more, None at the end. cursor: the same for who must not make one up.
    """

    log: Head
    sealing: list[dict[str, Any]]
    rows: list[Row]
    names: dict[str, str]
    next: int | None
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Whose entries are looked for: (issuer, Patient ID) of patients, Study Instance UIDs."""

    patients: tuple[tuple[str, str], ...] = ()
    studies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flows:
    """Data that moved, counted from entries. complete: nothing of the time was left out."""

    rows: list[dict[str, Any]]
    complete: bool


class Trail:
    """What an institution's people read of its trail. Every call that a scope is given for is entered in the trail."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def logs(self, institution: UUID | None) -> list[Head]:
        """The generations of the log, the newest last."""
        with self._parts.database.read(institution) as tx:
            return log_store.logs(tx, institution)

    def log(self, institution: UUID | None, generation: int = 0) -> Head:
        """One generation of the log, 0: the newest. Raises `not-found`."""
        with self._parts.database.read(institution) as tx:
            return _generation(tx, institution, generation)

    def entries(self, scope: Scope, asked: Filter, generation: int, limit: int, cursor: str) -> Page:
        """A page of the trail. Whose role shows own actions only gets those of what was asked for."""
        scope.require(Operation.AUDIT_OWN)
        shown = asked
        if scope.own_only:
            own = f"{scope.principal.kind.value}:{scope.principal.id}"
            if asked.actor not in ("", own):
                raise WardlightError("not-found")
            shown = replace(asked, actor=own)
        log = self.log(scope.institution, generation)
        reading = self.begin(scope, target_of(asked, log), query=asked.told())
        return self._page(scope, log, shown, limit, cursor, reading)

    def search(
        self, scope: Scope, whom: Identifiers, asked: Filter, generation: int, limit: int, cursor: str
    ) -> Page:
        """A page of what the trail says of patients or studies, under the keys of all epochs."""
        scope.require(Operation.AUDIT)
        asked = self.about(scope.institution, whom, asked)
        log = self.log(scope.institution, generation)
        subjects = self.subjects(scope.institution, whom)
        reading = self.begin(scope, target_of(asked, log), subjects=subjects, query=told(whom, asked))
        return self._page(scope, log, asked, limit, cursor, reading)

    def subjects(self, institution: UUID, whom: Identifiers) -> tuple[tuple[str, str], ...]:
        """Who is looked for, as the entry that tells of it names them: under the present key."""
        present = self._parts.recorder.references(institution)
        return (
            *((present.patient(id_, issuer), "") for issuer, id_ in whom.patients),
            *(("", present.study(uid)) for uid in whom.studies),
        )

    def about(self, institution: UUID, whom: Identifiers, asked: Filter) -> Filter:
        """The filter, and that an entry must speak of one of these."""
        references = self._parts.recorder.all_references(institution)
        names = {each.patient(id_, issuer) for each in references for issuer, id_ in whom.patients}
        names |= {each.study(uid) for each in references for uid in whom.studies}
        return replace(asked, subjects=tuple(sorted({*asked.subjects, *names} - {""})))

    def _page(
        self, scope: Scope, log: Head, asked: Filter, limit: int, cursor: str, reading: Reading
    ) -> Page:
        key = cursor_key(self._parts.keystore, scope.institution)
        search = b"audit\x00" + log.origin.encode() + b"\x00" + asked.digest
        before: int | None = _POSITION.unpack(key.open(cursor, search))[0] if cursor else None
        page = self.find(scope.institution, log, asked, limit, before)
        reading.count(results=len(page.rows))
        return (
            page if page.next is None else replace(page, cursor=key.seal(_POSITION.pack(page.next), search))
        )

    def find(
        self, institution: UUID | None, log: Head, asked: Filter, limit: int, before: int | None = None
    ) -> Page:
        """The page itself, without an entry in the trail: for who has written that already."""
        with self._parts.database.read(institution) as tx:
            # The size in this snapshot: each entry is sealed or waits for the sealer, none is neither or both.
            log = _generation(tx, institution, log.generation)
            found = store.page(tx, log, asked, log.size if before is None else before, limit)
            sealing = [json.loads(content) for content in store.sealing(tx, log)] if before is None else []
            sealing = [entry for entry in sealing if asked.matches(entry, _recorded_ms(entry))][:limit]
            actors = {
                (entry["actor"]["kind"], entry["actor"]["id"])
                for entry in (*sealing, *(json.loads(row.content) for row in found.rows if row.content))
            }
            names = store.names(
                tx,
                institution,
                sorted(id_ for kind, id_ in actors if kind == "person"),
                sorted(id_ for kind, id_ in actors if kind == "receiver"),
            )
        return Page(log, sealing, found.rows, names, found.next)

    def counted(self, scope: Scope, log: Head, days: range, asked: Filter, actor_kind: str) -> counts.Counted:
        """Entries by day, hour, action, kind of actor and outcome: of the filter, actions and outcomes count."""
        scope.require(Operation.AUDIT)
        reading = self.begin(scope, Target("log", id=log.origin))
        with self._parts.database.read(scope.institution) as tx:
            found = counts.counted(
                tx,
                log,
                days.start,
                days.stop,
                actions=asked.actions,
                actor_kind=actor_kind,
                outcomes=asked.outcomes,
            )
        reading.count(results=len(found.kinds))
        return found

    def flows(self, scope: Scope, log: Head, days: range) -> Flows:
        """Where data came from, why, and which application has it, from the newest entries of these days."""
        scope.require(Operation.AUDIT)
        reading = self.begin(scope, Target("log", id=log.origin))
        asked = Filter(
            from_ms=days.start * DAY_MS, to_ms=days.stop * DAY_MS, actions=tuple(sorted(_IN | _OUT))
        )
        counted: Counter[tuple[str, str, str, str]] = Counter()
        instances: Counter[tuple[str, str, str, str]] = Counter()
        complete = True
        with self._parts.database.read(scope.institution) as tx:
            for row in counts.newest(tx, log, asked, MAX_FLOW_ENTRIES):
                if row is None:
                    complete = False
                elif row.content and (flow := _flow(entry := json.loads(row.content))):
                    counted[flow] += entry.get("phase") != "finished"
                    instances[flow] += entry.get("counts", {}).get("instances", 0)
        reading.count(results=len(counted))
        members = ("direction", "source", "purpose", "application")
        rows = [
            {**dict(zip(members, flow, strict=True)), "entries": n, "instances": instances[flow]}
            for flow, n in counted.most_common()
        ]
        return Flows(rows, complete)

    def begin(
        self, scope: Scope, target: Target, *, subjects: tuple[tuple[str, str], ...] = (), query: str = ""
    ) -> Reading:
        """Enter the reading of a page run; when this returns, its entry is durable."""
        searches = query and scope.action is Action.AUDIT_ENTRY_READ
        event = Event(
            Action.AUDIT_ENTRY_SEARCH if searches else scope.action,
            actor_of(scope.principal),
            target=target,
            subjects=subjects,
            purpose=scope.purpose,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={"query": query} if query else {},
        )
        return self._parts.sessions.begin(scope.institution, event)


def told(whom: Identifiers, asked: Filter) -> str:
    """What a search of identifiers asked for, without any value."""
    named = ("PatientID=exact" if whom.patients else "", "StudyInstanceUID=exact" if whom.studies else "")
    return "&".join(text for text in (*named, replace(asked, subjects=()).told()) if text)


def _generation(tx: Connection, institution: UUID | None, generation: int) -> Head:
    found = [row for row in log_store.logs(tx, institution) if generation in (0, row.generation)]
    if not found:
        raise WardlightError("not-found")
    return found[-1]


def target_of(asked: Filter, log: Head) -> Target:
    """The log, or the search: its pages are one read session, those of another search are not."""
    return Target("log", id=log.origin) if asked.empty else Target("search", id=asked.name)


def _recorded_ms(entry: Mapping[str, Any]) -> int:
    return int(datetime.fromisoformat(entry["recorded"]).astimezone(UTC).timestamp() * 1000)


def _flow(entry: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
    """(direction, source, purpose, application) of an entry. Of what did not happen, None."""
    if entry["outcome"] in ("denied", "failed"):
        return None
    actor, behalf = entry["actor"], entry.get("behalf", {})
    purpose = entry.get("purpose", "")
    if entry["action"] in _IN:
        application = entry.get("detail", {}).get("application", _IMAGES)
        return "in", f"{actor['kind']}:{actor['id']}", purpose, application
    by = next((each["id"] for each in (behalf, actor) if each.get("kind") == "application"), _IMAGES)
    return "out", _IMAGES, purpose, by


def outcome_name(number: int) -> str:
    """The outcome of this number."""
    return _OUTCOME_NAMES[number]


def kinds_of(found: counts.Counted) -> list[dict[str, Any]]:
    """Entries by group of actions, kind of actor and outcome, the most first."""
    groups: Counter[tuple[str, str, int]] = Counter()
    for (action, kind, outcome), n in found.kinds.items():
        groups[GROUP_OF.get(action, "application"), kind, outcome] += n
    return [
        {"group": group, "actor_kind": kind, "outcome": outcome_name(outcome), "entries": n}
        for (group, kind, outcome), n in groups.most_common()
    ]


def days_of(found: counts.Counted, days: Sequence[int]) -> list[dict[str, Any]]:
    """Each day with its 24 hours, in order; days without an entry too."""
    return [
        {
            "day": date_of(day),
            "hours": [found.hours.get((day, hour), 0) for hour in range(24)],
        }
        for day in days
    ]


def date_of(day: int) -> str:
    """`YYYY-MM-DD` of a day since 1970-01-01 UTC."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
