"""Sealed entries as the reports need them: bounded, of one institution, none beyond the signed head."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.log_store import Head
from wardlight.audit.tree import leaf_hash
from wardlight.errors import WardlightError
from wardlight.identity import application_store
from wardlight.trail import store
from wardlight.trail.filters import Filter
from wardlight.trail.parts import Parts
from wardlight.trail.report_model import Checkpoint, Found, Gap, Log, Period

_PAGE: Final = 1_000
#: Receivers and applications tell what happened so long ago at most (audit.md section 6).
_TOLD_LATE_MS: Final = 7 * 86_400_000
#: A read is closed within this time of its beginning, also where its node was lost.
_READ_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class ReportStore:
    """Reads the logs of one institution in one snapshot. applications: id → name."""

    tx: Connection
    institution: UUID
    applications: Mapping[str, str]

    def logs(self) -> list[Log]:
        """The institution's logs as far as a signed head covers them, oldest first."""
        return [Log(head, self._signed(head)) for head in log_store.logs(self.tx, self.institution)]

    def _signed(self, head: Head) -> Checkpoint | None:
        newest = log_store.newest_checkpoint(self.tx, head.log)
        if newest is None:
            return None
        root = b64encode(newest.root).decode()
        return Checkpoint(head.origin, newest.size, root, timestamp(newest.last_ms))

    def about(self, log: Log, references: Sequence[str], period: Period, limit: int) -> Iterator[Found]:
        """Entries that speak of any of the references, newest first, with those of their subjects alone.

        Raises `query-too-broad` above `limit` of them. Also those written a little before and up to seven days after
        the period, as `scan` has them.
        """
        wanted = frozenset(references)
        asked = _written(period, subjects=tuple(references))
        for count, one in enumerate(self._entries(log, asked, ())):
            if count == limit:
                raise too_many(limit)
            subjects = one.entry.get("subjects", [])
            own = [subject for subject in subjects if not wanted.isdisjoint(subject.values())]
            if len(own) < len(subjects):
                one.entry["subjects"] = own
                one = replace(one, others=len(subjects) - len(own))
            yield one

    def scan(self, log: Log, period: Period, needles: Sequence[bytes], limit: int) -> Iterator[Found]:
        """Entries of a time whose bytes hold all `needles`, newest first. Raises `query-too-broad` where more than
        `limit` have to be looked at.

        Also those written a little before it and up to seven days after its end: a receiver or application may tell
        late, and a read that began in time ends after it.
        """
        return self._entries(log, _written(period), needles, limit)

    def _entries(
        self, log: Log, asked: Filter, needles: Sequence[bytes], limit: int | None = None
    ) -> Iterator[Found]:
        before = log.signed.size if log.signed else 0
        seen = 0
        while True:
            found = store.page(self.tx, log.head, asked, before, _PAGE)
            for row in found.rows:
                if row.content is not None and all(needle in row.content for needle in needles):
                    yield Found(log.head.log, row.idx, leaf_hash(row.content), json.loads(row.content))
            seen += len(found.rows)
            if limit is not None and seen > limit:
                raise too_many(limit)
            if found.next is None:
                return
            before = found.next

    def name(self, kind: str, id_: str) -> str:
        """What people call somebody, "" where the account is gone."""
        if kind == "application":
            return self.applications.get(id_, "")
        people, receivers = ((id_,), ()) if kind == "person" else ((), (id_,))
        return store.names(self.tx, self.institution, people, receivers).get(f"{kind}:{id_}", "")

    def gaps(self, log: Log) -> list[Gap]:
        """What rules deleted from the log, by its own entries, oldest first."""
        told = log_store.of_action(self.tx, log.head.log, Action.AUDIT_ENTRIES_PRUNE)
        return [_gap(log_store.parsed(content)) for _, content in sorted(told)]


def _gap(entry: Mapping[str, Any]) -> Gap:
    detail = entry["detail"]
    return Gap(detail["before"], detail["count"], detail["rule"], entry["recorded"])


@contextmanager
def opened(parts: Parts, institution: UUID) -> Iterator[ReportStore]:
    """The institution's logs, read in one snapshot; no other institution's rows can be seen."""
    with parts.database.read(institution) as tx:
        applications = {row.id: row.name for row in application_store.applications(tx)}
        yield ReportStore(tx, institution, applications)


def too_many(limit: int) -> WardlightError:
    """More than a report can rest on."""
    return WardlightError(
        "query-too-broad", f"more than {limit:,} entries; name a shorter time", reason="entries"
    )


def _written(period: Period, subjects: tuple[str, ...] = ()) -> Filter:
    """Entries that may tell of a period, by when they were written."""
    return Filter(
        from_ms=None if period.start is None else max(0, period.start - _READ_MS),
        to_ms=None if period.end is None else period.end + _TOLD_LATE_MS,
        subjects=subjects,
    )


def timestamp(unix_ms: int) -> str:
    """Milliseconds as the trail writes times."""
    return clock.timestamp(datetime.fromtimestamp(unix_ms / 1000, UTC))


def milliseconds(moment: str) -> int:
    """A time of the trail in milliseconds. Raises ValueError."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def within(moment_ms: int, period: Period) -> bool:
    """Whether it lies within the period."""
    return (period.start is None or moment_ms >= period.start) and (
        period.end is None or moment_ms < period.end
    )
