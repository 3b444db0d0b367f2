"""Who did what with one patient's data, from the sealed entries (audit.md section 7, access report)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from wardlight.errors import WardlightError
from wardlight.trail import report_words as words
from wardlight.trail.report_model import (
    PLATFORM,
    Certainty,
    Found,
    Kind,
    Line,
    Log,
    Party,
    Period,
    kind_of,
)
from wardlight.trail.report_store import ReportStore, milliseconds, too_many, within

#: Entries and studies that one report may rest on: some 200 pages.
MAX_ENTRIES: Final = 10_000
MAX_STUDIES: Final = 1_000
#: A read whose end is missing for so long has lost its node, or the entry of its end.
_OPEN_MS: Final = 600_000


class Parties:
    """What the report calls those who acted. Without names, people of a role are numbered as they come."""

    def __init__(self, name: Callable[[str, str], str], *, people: bool) -> None:
        """name: what people call the one of a kind and id, "" where nobody knows. people: whether staff is named."""
        self._name = name
        self._people = people
        self._known: dict[tuple[str, str, str], Party] = {}
        self._numbers: dict[str, int] = {}

    def party(self, actor: Mapping[str, Any]) -> Party:
        """The one who is meant by `actor` or `behalf` of an entry."""
        key = actor["kind"], actor["id"], actor.get("role", "")
        if key not in self._known:
            self._known[key] = self._party(*key)
        return self._known[key]

    def _party(self, kind: str, id_: str, role: str) -> Party:
        if kind not in ("person", "application", "receiver"):
            return Party(kind, words.KINDS.get(kind, kind))
        if kind != "person":
            return Party(kind, self._name(kind, id_) or id_, id=id_)
        spoken = words.role(role) if role else words.KINDS["person"]
        if self._people:
            return Party(kind, self._name(kind, id_) or id_, role=spoken, id=id_)
        number = self._numbers[spoken] = self._numbers.get(spoken, 0) + 1
        return Party(kind, f"{spoken} {number}", role=spoken)


def entries_of(
    store: ReportStore, logs: Sequence[Log], patients: Sequence[str], period: Period
) -> list[Found]:
    """All entries about these patients: those that name them, and those that name only a study of theirs.

    Raises `query-too-broad` where there are more than a report can hold.
    """
    named = _about(store, logs, patients, period)
    studies = studies_of(named, patients)
    if len(studies) > MAX_STUDIES:
        raise WardlightError("query-too-broad", f"more than {MAX_STUDIES:,} studies; name a shorter time")
    found = {(one.log, one.index): one for one in named}
    for one in _about(store, logs, studies, period) if studies else ():
        found.setdefault((one.log, one.index), one)
    if len(found) > MAX_ENTRIES:
        raise too_many(MAX_ENTRIES)
    return [found[key] for key in sorted(found)]


def _about(store: ReportStore, logs: Sequence[Log], references: Sequence[str], period: Period) -> list[Found]:
    return [one for log in logs for one in reversed(list(store.about(log, references, period, MAX_ENTRIES)))]


def studies_of(found: Iterable[Found], patients: Sequence[str]) -> tuple[str, ...]:
    """The studies that entries name as these patients', as they come."""
    own = set(patients)
    named = (
        subject["study"]
        for one in found
        for subject in one.entry.get("subjects", ())
        if subject.get("patient") in own and "study" in subject
    )
    return tuple(dict.fromkeys(named))


def lines_of(
    found: Sequence[Found], studies: Sequence[str], period: Period, parties: Parties, now_ms: int
) -> tuple[Line, ...]:
    """One line for each thing that happened, newest first. A read and its end are one, as are parts of one list."""
    own = frozenset(studies)
    ends = {
        one.entry["of"]: one for one in found if one.entry.get("phase") == "finished" and "of" in one.entry
    }
    lines = (_line(group, ends.get(group[0].entry["id"]), own, parties, now_ms) for group in _grouped(found))
    kept = [line for line in lines if within(milliseconds(line.start), period)]
    return tuple(sorted(kept, key=lambda line: (milliseconds(line.start), line.entries), reverse=True))


def _grouped(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Entries that make one line: alone, or the parts of a list with more than 100 rows.

    Ends of known reads are left out; one whose beginning was deleted is a line of its own.
    """
    begun = {one.entry["id"] for one in found}
    groups: dict[tuple[object, ...], list[Found]] = {}
    for one in found:
        entry = one.entry
        if entry.get("phase") == "finished" and entry.get("of") in begun:
            continue
        part = "request" in entry and kind_of(entry["action"], entry["outcome"]) is Kind.LISTED
        key = (entry["request"], entry["action"]) if part else (one.log, one.index)
        groups.setdefault(key, []).append(one)
    yield from groups.values()


def _line(
    group: Sequence[Found], end: Found | None, own: frozenset[str], parties: Parties, now_ms: int
) -> Line:
    first = group[0]
    entry = first.entry
    last = end or first
    used = [*group, *([end] if end else [])]
    agreement = entry.get("agreement")
    return Line(
        kind=kind_of(entry["action"], entry["outcome"]),
        start=first.moment,
        end=last.moment if end else "",
        actor=parties.party(entry["actor"]),
        behalf=parties.party(entry["behalf"]) if "behalf" in entry else None,
        action=entry["action"],
        outcome=last.entry["outcome"],
        reason=last.entry.get("reason", ""),
        purpose=entry.get("purpose", ""),
        basis=entry.get("basis", ""),
        agreement=f"{agreement['id']}, version {agreement['version']}" if agreement else "",
        grant=entry.get("grant", ""),
        classes=tuple(entry.get("classes", ())),
        counts=dict(last.entry.get("counts", {})),
        listed=_listed(group, entry),
        certainty=_certainty(first, end, now_ms),
        source=entry.get("source", PLATFORM),
        studies=_named(used, own),
        entries=tuple(one.index for one in used),
        log=first.log,
    )


def _listed(group: Sequence[Found], entry: Mapping[str, Any]) -> int:
    """Rows of the list in which the patient stood; 0 where it is no list, or the list was empty."""
    if kind_of(entry["action"], entry["outcome"]) is not Kind.LISTED:
        return 0
    results = entry.get("counts", {}).get("results")
    return (
        int(results)
        if results is not None
        else sum(len(one.entry.get("subjects", ())) + one.others for one in group)
    )


def _certainty(first: Found, end: Found | None, now_ms: int) -> Certainty:
    if first.entry.get("phase") != "authorised":
        return Certainty.UNKNOWN if first.entry["outcome"] == "unknown" else Certainty.WHOLE
    if end is None:
        return (
            Certainty.OPEN if now_ms - milliseconds(first.entry["recorded"]) < _OPEN_MS else Certainty.UNKNOWN
        )
    return Certainty.UNKNOWN if end.entry["outcome"] == "unknown" else Certainty.WHOLE


def _named(used: Sequence[Found], own: frozenset[str]) -> tuple[str, ...]:
    """The patient's studies that these entries name; never another patient's."""
    named = {subject.get("study", "") for one in used for subject in one.entry.get("subjects", ())}
    named |= {one.entry.get("object", {}).get("ref", "") for one in used}
    return tuple(sorted(named & own))
