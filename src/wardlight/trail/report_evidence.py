"""The evidence of an access report: a bundle in which others' entries are hashes alone (audit.md section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from wardlight.errors import WardlightError
from wardlight.trail.bundle import Bundle, Range
from wardlight.trail.parts import Parts
from wardlight.trail.report_model import AccessReport, Found, Log

#: Leaves of one bundle: some 130 MB.
MAX_LEAVES: Final = 1_000_000


def lines(parts: Parts, log: Log, report: AccessReport) -> Iterator[bytes]:
    """A bundle from the report's first entry in this log to its last. Entries with other subjects are withheld.

    Entries are whole in it, with accounts and addresses of staff: only for a report with names. Raises
    `query-too-broad` where the entries lie too far apart.
    """
    if log.signed is None:
        raise WardlightError("not-found", "the log has no signed state yet")
    shown = {(line.log, index) for line in report.lines for index in line.entries}
    found = [one for one in report.found if one.log == log.head.log and (one.log, one.index) in shown]
    size = log.signed.size
    start, stop = (found[0].index, found[-1].index + 1) if found else (size, size)
    if stop - start > MAX_LEAVES:
        raise WardlightError(
            "query-too-broad", f"more than {MAX_LEAVES:,} entries lie between; name a shorter time"
        )
    own = frozenset((*report.patients, *report.studies))
    kept = {one.entry["id"] for one in found if _alone(one, own)}

    def withheld(entry: dict[str, Any]) -> bool:
        return entry["id"] not in kept

    return Bundle(parts.database, parts.audit_log, log.head).lines(
        Range(start, stop, size), created=report.created, withhold=withheld
    )


def _alone(one: Found, own: frozenset[str]) -> bool:
    """Whether an entry speaks of nobody but this patient."""
    subjects = {value for subject in one.entry.get("subjects", ()) for value in subject.values()}
    return not one.others and subjects <= own and one.entry.get("object", {}).get("ref", "") in own | {""}
