"""What an incident touched, from the sealed entries (R10.4): patients, studies, data classes, accesses, the unknown.

It holds counts and references, never entries, so that an incident of a million entries fits in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from wardlight.audit.actions import LETTER, Action
from wardlight.trail.report_access import Parties
from wardlight.trail.report_model import KNOWN, PLATFORM, Checkpoint, Found, Gap, Log, Party, Period
from wardlight.trail.report_store import ReportStore, milliseconds, too_many, within

#: Entries that are looked at, and patients and studies that are held, at most.
MAX_LOOKED_AT: Final = 1_000_000
MAX_AFFECTED: Final = 200_000
#: What the 72 hours of GDPR Art. 33(1) and the 60 days of HIPAA § 164.404(b) are in milliseconds.
AUTHORITY_MS: Final = 72 * 3_600_000
HIPAA_MS: Final = 60 * 86_400_000
#: From so many patients on, HIPAA §§ 164.406 and 164.408 ask for more.
HIPAA_LARGE: Final = 500

#: Letters of actions by which data is reached or changed. The others speak of a patient without touching data.
_TOUCHING: Final = frozenset("RQEIPUX")
_AMOUNTS: Final = frozenset({"requests", "instances", "frames", "bytes", "results"})


@dataclass(frozen=True, slots=True)
class Incident:
    """What is looked for; everything that is named must hold.

    actor: "kind:id", as the one who acted or on whose behalf. studies: references. aware: when the institution became
    aware, in milliseconds.
    """

    period: Period = field(default_factory=Period)
    actor: str = ""
    application: str = ""
    token: str = ""
    address: str = ""
    studies: tuple[str, ...] = field(default=(), repr=False)
    aware: int | None = None

    def told(self) -> str:
        """What was looked for, without its values."""
        named = {
            "time=range": self.period != Period(),
            "actor=exact": self.actor,
            "application=exact": self.application,
            "token=exact": self.token,
            "address=exact": self.address,
            "StudyInstanceUID=exact": self.studies,
        }
        return "&".join(text for text, given in named.items() if given)

    def needles(self) -> list[bytes]:
        """Texts that stand in every entry that `covers` lets through; looking for them spares most of the parsing."""
        values = (self.actor.partition(":")[2], self.application, self.token, self.address)
        return [json.dumps(value, ensure_ascii=False).encode() for value in values if value]

    def covers(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry is of the incident, its time aside."""
        parties = [f"{one['kind']}:{one['id']}" for one in (entry["actor"], entry.get("behalf")) if one]
        return (
            (not self.actor or self.actor in parties)
            and (not self.application or f"application:{self.application}" in parties)
            and (not self.token or entry.get("token") == self.token)
            and (not self.address or self.address in entry.get("network", {}).values())
        )


#: References of a patient and of a study; either may be empty.
Subject: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """One access: when it began, how much it took. unknown: it may have been all of it. times: refusals are counted."""

    moment: str
    counts: Mapping[str, int]
    unknown: bool
    times: int = 1


@dataclass(slots=True)
class Tally:
    """Accesses of one group. patients and studies are references."""

    accesses: int = 0
    unknown: int = 0
    first: str = ""
    last: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set, repr=False)
    studies: set[str] = field(default_factory=set, repr=False)

    def add(self, access: Access, subjects: Sequence[Subject]) -> None:
        """One more access, of these subjects."""
        self.accesses += access.times
        self.unknown += access.unknown
        self._spread(access.moment, access.moment, access.counts)
        self.patients.update(patient for patient, _ in subjects if patient)
        self.studies.update(study for _, study in subjects if study)

    def merge(self, other: Tally) -> None:
        """All of another group, whose accesses are none of this one's."""
        self.accesses += other.accesses
        self.unknown += other.unknown
        self._spread(other.first, other.last, other.counts)
        self.patients |= other.patients
        self.studies |= other.studies

    def _spread(self, first: str, last: str, counts: Mapping[str, int]) -> None:
        self.first = min(self.first or first, first)
        self.last = max(self.last, last)
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value


@dataclass(frozen=True, slots=True)
class Group:
    """What somebody did, for whom, of one action."""

    actor: Party
    behalf: Party | None
    action: str
    refused: bool
    tally: Tally


@dataclass(frozen=True, slots=True)
class Affected:
    """One patient, or "" where entries name only a study, and what was reached of theirs."""

    patient: str
    studies: tuple[str, ...]
    accesses: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the trail does not tell: reads without end, entries without patient or class, the word of others."""

    sessions: int
    without_patient: int
    without_class: int
    claimed: int


@dataclass(frozen=True, slots=True)
class BreachReport:
    """What an incident touched. patients, studies: how many; `affected` has all of them."""

    institution: str
    slug: str
    created: str
    zone: str
    incident: Incident
    total: Tally
    groups: tuple[Group, ...]
    classes: tuple[tuple[str, Tally], ...]
    days: tuple[tuple[str, Tally], ...]
    affected: tuple[Affected, ...]
    unknown: Unknown
    checkpoints: tuple[Checkpoint, ...]
    gaps: tuple[Gap, ...]

    @property
    def patients(self) -> int:
        """How many patients are named."""
        return len(self.total.patients)

    @property
    def studies(self) -> int:
        """How many studies are named."""
        return len(self.total.studies)


class Counter:
    """Counts accesses. Entries come newest first, so the end of a read before its beginning."""

    def __init__(self, incident: Incident, parties: Parties) -> None:
        self._incident = incident
        self._parties = parties
        self._ends: dict[str, Found] = {}
        self._groups: dict[tuple[object, ...], Group] = {}
        self._patients: dict[str, Tally] = {}
        self._lone_studies: dict[str, Tally] = {}
        self._known: dict[str, str] = {}  # so that a reference that comes often is held once
        self._without_class = self._claimed = 0
        self.total = Tally()
        self.classes: dict[str, Tally] = {}
        self.days: dict[str, Tally] = {}

    def add(self, found: Iterable[Found]) -> None:
        """Count these. Raises `query-too-broad` where more is affected than a report can hold."""
        for one in found:
            entry = one.entry
            if not self._incident.covers(entry):
                continue
            if entry.get("phase") == "finished" and "of" in entry:
                self._ends[entry["of"]] = one
            else:
                self._count(one, self._ends.pop(entry["id"], None))
            if max(len(self._known), len(self._ends)) > MAX_AFFECTED:
                raise too_many(MAX_AFFECTED)

    def close(self) -> None:
        """Count the ends whose beginning was not found, and give studies to the patients that others name for them."""
        for one in self._ends.values():
            self._count(one, None)
        self._ends.clear()
        owners = {study: tally for tally in self._patients.values() for study in tally.studies}
        for study in [study for study in self._lone_studies if study in owners]:
            owners[study].merge(self._lone_studies.pop(study))

    def _count(self, one: Found, end: Found | None) -> None:
        entry, moment = one.entry, one.moment
        letter = LETTER[Action(entry["action"])] if entry["action"] in KNOWN else "N"
        refused = entry["outcome"] == "denied" or letter == "D"
        touched = letter in _TOUCHING and entry["outcome"] != "failed"
        if not (refused or touched) or not within(milliseconds(moment), self._incident.period):
            return
        last = end or one
        begun = entry.get("phase") == "authorised" and end is None
        unknown = not refused and (begun or last.entry["outcome"] == "unknown")
        subjects = [self._held(subject) for subject in entry.get("subjects", ())]
        tallies = [self._group(entry, refused).tally]
        if not refused:
            tallies += [self.total, self.days.setdefault(moment[:10], Tally())]
            tallies += [
                self.classes.setdefault(name, Tally()) for name in entry.get("classes") or ("",) if subjects
            ]
            self._without_class += bool(subjects) and not entry.get("classes")
            self._claimed += entry.get("source", PLATFORM) != PLATFORM
        times = max(1, entry.get("counts", {}).get("denied", 1)) if refused else 1
        access = Access(moment, entry_counts(last.entry), unknown, times)
        for tally in tallies:
            tally.add(access, subjects)
        if not refused:
            self._affect(access, subjects)

    def _held(self, subject: Mapping[str, str]) -> Subject:
        patient, study = subject.get("patient", ""), subject.get("study", "")
        return self._known.setdefault(patient, patient), self._known.setdefault(study, study)

    def _group(self, entry: Mapping[str, Any], refused: bool) -> Group:
        actor, behalf = entry["actor"], entry.get("behalf")
        on_behalf = (behalf["kind"], behalf["id"]) if behalf else None
        key = (actor["kind"], actor["id"], on_behalf, entry["action"], refused)
        if key not in self._groups:
            named = self._parties.party
            self._groups[key] = Group(
                named(actor), named(behalf) if behalf else None, entry["action"], refused, Tally()
            )
        return self._groups[key]

    def _affect(self, access: Access, subjects: Sequence[Subject]) -> None:
        of_patient: dict[str, list[Subject]] = {}
        for subject in subjects:
            if subject[0]:
                of_patient.setdefault(subject[0], []).append(subject)
            else:
                self._lone_studies.setdefault(subject[1], Tally()).add(access, [subject])
        for patient, own in of_patient.items():
            self._patients.setdefault(patient, Tally()).add(access, own)

    def groups(self) -> tuple[Group, ...]:
        """Who did what, those with most accesses first."""
        return tuple(sorted(self._groups.values(), key=lambda group: -group.tally.accesses))

    def affected(self) -> tuple[Affected, ...]:
        """Each patient, then studies of which nobody says whose they are; those with most accesses first."""
        named = [*self._patients.items(), *(("", tally) for tally in self._lone_studies.values())]
        rows = (
            Affected(patient, tuple(sorted(tally.studies)), tally.accesses, tally.first, tally.last)
            for patient, tally in named
        )
        return tuple(sorted(rows, key=lambda row: (not row.patient, -row.accesses, row.patient, row.studies)))

    def unknown(self) -> Unknown:
        """What the entries do not tell."""
        alone = sum(tally.accesses for tally in self._lone_studies.values())
        return Unknown(self.total.unknown, alone, self._without_class, self._claimed)


def entry_counts(entry: Mapping[str, Any]) -> dict[str, int]:
    """How much an entry tells of."""
    return {name: value for name, value in entry.get("counts", {}).items() if name in _AMOUNTS}


def counted(store: ReportStore, logs: Sequence[Log], incident: Incident, parties: Parties) -> Counter:
    """Count the accesses of an incident. Raises `query-too-broad` where it is too large for a report."""
    counter = Counter(incident, parties)
    for log in reversed(logs):
        if incident.studies:
            counter.add(store.about(log, incident.studies, incident.period, MAX_LOOKED_AT))
        else:
            counter.add(store.scan(log, incident.period, incident.needles(), MAX_LOOKED_AT))
    counter.close()
    return counter
