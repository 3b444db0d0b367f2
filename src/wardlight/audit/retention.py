"""How long entries are kept, and their pruning: content goes, its salted hash stays (audit.md section 3).

Entries about keys and about pruning are kept as long as the log: without them nobody could verify the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.audit import log_store as store
from wardlight.audit import prune_store
from wardlight.audit.actions import Action
from wardlight.audit.log_store import Columns, Head
from wardlight.audit.model import Actor, Change, Event
from wardlight.audit.recorder import Recorder
from wardlight.audit.sealer import BATCH
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.errors import WardlightError

#: Ten years. The operator's own log is always kept so long.
DEFAULT_DAYS: Final = 3_653
SHORTEST_DAYS: Final = 365
LONGEST_DAYS: Final = 36_525
#: Ranges that one entry tells of; there are several where kept entries lie between those that were pruned.
MOST_RANGES: Final = 400

KEPT: Final = frozenset(
    {
        Action.AUDIT_ENTRIES_PRUNE,
        Action.AUDIT_LOG_START,
        Action.AUDIT_LOG_CONTINUE,
        Action.AUDIT_LOG_ROTATE_KEY,
    }
)
_WORKER: Final = Actor("system", "worker")


@dataclass(frozen=True, slots=True)
class Rule:
    """What an institution has decided. hold: a legal hold, nothing is pruned."""

    days: int = DEFAULT_DAYS
    hold: bool = False


class Retention:
    """The decisions of institutions, and the job that carries them out."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def rule(self, institution: UUID) -> Rule:
        """What holds for an institution."""
        with self._database.read(institution) as tx:
            return _rule(tx, institution)

    def change(
        self, institution: UUID, *, by: Actor, days: int | None = None, hold: bool | None = None
    ) -> Rule:
        """Set days, legal hold, or both. Raises `bad-request`."""
        if days is not None and not SHORTEST_DAYS <= days <= LONGEST_DAYS:
            raise WardlightError("bad-request", f"entries are kept {SHORTEST_DAYS} to {LONGEST_DAYS} days")
        with self._database.begin(institution) as tx:
            old = _rule(tx, institution)
            new = Rule(old.days if days is None else days, old.hold if hold is None else hold)
            changes = tuple(
                Change(name, int(before), int(after))
                for name, before, after in (("days", old.days, new.days), ("hold", old.hold, new.hold))
                if before != after
            )
            if changes:
                prune_store.set_rule(tx, institution, new.days, hold=new.hold)
                self._recorder.write(
                    tx, institution, Event(Action.AUDIT_RETENTION_CHANGE, by, change=changes)
                )
        return new

    def prune(self) -> int:
        """Prune what is older than its institution keeps it; returns how many entries. Any number may do this."""
        with self._database.read(EVERYWHERE) as tx:
            heads = [one.head for one in store.overview(tx)]
        return sum(self._log(head) for head in heads)

    def _log(self, head: Head) -> int:
        done = 0
        while True:
            with self._database.begin(EVERYWHERE) as tx:
                count, more = self._batch(tx, head.log)
            done += count
            if not more:
                return done

    def _batch(self, tx: Connection, number: int) -> tuple[int, bool]:
        """One transaction: (entries pruned, whether there may be more)."""
        head = store.lock(tx, number)
        if head is None or head.halted == store.REFUSED:
            return 0, False  # What was refused is evidence.
        rule = _rule(tx, head.institution) if head.institution else Rule()
        if rule.hold:
            return 0, False
        # Whole days, so that an idle log does not tell each hour of one entry.
        today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        before = today - timedelta(days=rule.days)
        limit = BATCH[tx.dialect.name]
        rows = prune_store.older(tx, head, int(before.timestamp() * 1000), limit)
        if not rows:
            return 0, False
        pruned = [one for one in _columns(number, rows) if one.row["action"] not in KEPT]
        ranges = _ranges([one.row["idx"] for one in pruned])
        up_to = rows[-1][0] + 1
        if len(ranges) > MOST_RANGES:
            up_to = ranges[MOST_RANGES][0]
            del ranges[MOST_RANGES:]
            pruned = [one for one in pruned if one.row["idx"] < up_to]
        prune_store.prune(tx, number, ranges, pruned)
        store.count(
            tx, number, Counter({hour: -n for hour, n in Counter(one.hour for one in pruned).items()})
        )
        prune_store.looked_at(tx, head, up_to)
        if pruned:
            self._tell(tx, head, rule, clock.timestamp(before), ranges, len(pruned))
        return len(pruned), len(rows) == limit or up_to <= rows[-1][0]

    def _tell(
        self, tx: Connection, head: Head, rule: Rule, before: str, ranges: list[list[int]], count: int
    ) -> None:
        """The entry by which a verifier knows what was pruned. Those of an ended generation stand in the next."""
        detail = {"before": before, "ranges": ranges, "count": count, "rule": f"days:{rule.days}"}
        if head.halted == store.CLOSED:
            detail["origin"] = head.origin
        event = Event(Action.AUDIT_ENTRIES_PRUNE, _WORKER, counts={"entries": count}, detail=detail)
        self._recorder.write(tx, head.institution, event)


def _columns(number: int, rows: list[tuple[int, bytes | None]]) -> list[Columns]:
    return [
        store.columns(number, idx, content, store.parsed(content))
        for idx, content in rows
        if content is not None
    ]


def _rule(tx: Connection, institution: UUID) -> Rule:
    found = prune_store.rule(tx, institution)
    return Rule(*found) if found else Rule()


def _ranges(indices: list[int]) -> list[list[int]]:
    """Half-open ranges [a, b) of rising indices."""
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and ranges[-1][1] == index:
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    return ranges
