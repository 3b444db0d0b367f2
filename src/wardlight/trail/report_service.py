"""Makes reports from the trail. Each is entered there before its first byte is given away (audit.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.errors import WardlightError
from wardlight.identity.service import actor_of
from wardlight.trail import (
    report_access_pages,
    report_breach,
    report_breach_pages,
    report_evidence,
    report_fhir,
    report_forms,
    report_html,
    report_pdf,
)
from wardlight.trail.parts import Parts
from wardlight.trail.report_access import Parties, entries_of, lines_of, studies_of
from wardlight.trail.report_breach import BreachReport, Incident
from wardlight.trail.report_document import Document
from wardlight.trail.report_forms import Form
from wardlight.trail.report_model import AccessReport, Checkpoint, Gap, Log, Period
from wardlight.trail.report_store import ReportStore, milliseconds, opened
from wardlight.trail.report_times import UTC_NAME, clockwork
from wardlight.trail.service import Identifiers

#: Why a patient's report is made, and one of an incident (v3 PurposeOfUse).
_PATIENT_ASKS: Final = "PATRQT"
_LEGAL: Final = "HLEGAL"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a report, of which institution's trail."""

    institution: UUID
    actor: Actor
    address: str = field(default="", repr=False)
    request: str = ""
    token: str = ""


def asker_of(scope: Scope) -> Asker:
    """The one behind a request. Raises `forbidden` where the decision was not for the whole trail."""
    scope.require(Operation.AUDIT)
    principal = scope.principal
    return Asker(scope.institution, actor_of(principal), scope.address, scope.request, principal.token_ref)


@dataclass(frozen=True, slots=True)
class Report:
    """A report as a file, in one piece or several. name: for the file; it says nothing of a patient."""

    data: bytes | Iterator[bytes] = field(repr=False)
    media: str
    name: str


class Reports:
    """The reports of one platform."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def access(
        self, asker: Asker, whom: Identifiers, period: Period, form: Form, *, names: bool, zone: str
    ) -> Report:
        """Who did what with a patient's data. `whom`: all identifiers and pseudonyms of the one patient.

        names: whether staff are named, or only their roles. zone: in which times are told, such as `Europe/Berlin`.
        Raises `query-too-broad` where there are more entries than a report can hold.
        """
        clockwork(zone)  # A zone that is not known must not cost a search.
        if form is Form.EVIDENCE and not names:
            raise WardlightError("bad-request", "the evidence names staff: entries are whole in it", "names")
        now = clock.now()
        references = self._parts.recorder.all_references(asker.institution)
        patients = [each.patient(id_, issuer) for each in references for issuer, id_ in whom.patients]
        patients = list(dict.fromkeys(patients))
        now_ms = int(now.timestamp() * 1000)
        with opened(self._parts, asker.institution) as store:
            logs = store.logs()
            found = entries_of(store, logs, patients, period)
            studies = studies_of(found, patients)
            lines = lines_of(found, studies, period, Parties(store.name, people=names), now_ms)
            heads, gaps = _rests_on(store, logs)
        institution = self._parts.identity.institution(str(asker.institution))
        report = AccessReport(
            institution=institution.name,
            slug=institution.slug,
            created=clock.timestamp(now),
            zone=zone,
            names=names,
            period=period,
            patients=tuple(patients),
            studies=studies,
            lines=lines,
            origins={log.head.log: log.head.origin for log in logs},
            checkpoints=heads,
            gaps=gaps,
            found=tuple(found),
        )
        self._record(
            asker,
            Action.SUBJECT_REPORT_ACCESS,
            Target("patient", ref=patients[0]),
            tuple((patient, "") for patient in patients),
            _PATIENT_ASKS,
            len(report.lines),
            {"format": form.value, "names": names},
        )
        return _file("access", form, now, self._access_data(report, form, logs))

    def breach(self, asker: Asker, incident: Incident, form: Form, *, zone: str = UTC_NAME) -> Report:
        """What an incident touched. Raises `query-too-broad` where it is too large for a report."""
        clockwork(zone)
        now = clock.now()
        with opened(self._parts, asker.institution) as store:
            logs = store.logs()
            counter = report_breach.counted(store, logs, incident, Parties(store.name, people=True))
            heads, gaps = _rests_on(store, logs)
        institution = self._parts.identity.institution(str(asker.institution))
        report = BreachReport(
            institution=institution.name,
            slug=institution.slug,
            created=clock.timestamp(now),
            zone=zone,
            incident=incident,
            total=counter.total,
            groups=counter.groups(),
            classes=tuple(sorted(counter.classes.items(), key=lambda row: (not row[0], -row[1].accesses))),
            days=tuple(sorted(counter.days.items())),
            affected=counter.affected(),
            unknown=counter.unknown(),
            checkpoints=heads,
            gaps=_of_the_time(gaps, incident.period),
        )
        self._record(
            asker,
            Action.AUDIT_REPORT_CREATE,
            Target("report", id="breach"),
            tuple(("", study) for study in incident.studies),
            _LEGAL,
            report.total.accesses,
            {"format": form.value, "query": incident.told()},
        )
        return _file("breach", form, now, _breach_data(report, form))

    def _access_data(self, report: AccessReport, form: Form, logs: Sequence[Log]) -> bytes | Iterator[bytes]:
        if form is Form.JSON:
            return report_forms.access_json(report)
        if form is Form.FHIR:
            return report_fhir.bundle(report)
        if form is Form.EVIDENCE:
            return report_evidence.lines(self._parts, logs[-1], report)
        return _page(report_access_pages.document(report), form)

    def study_references(self, institution: UUID, uids: Sequence[str]) -> tuple[str, ...]:
        """References of studies under the keys of all epochs."""
        references = self._parts.recorder.all_references(institution)
        return tuple(dict.fromkeys(each.study(uid) for each in references for uid in uids))

    def _record(
        self,
        asker: Asker,
        action: Action,
        target: Target,
        subjects: tuple[tuple[str, str], ...],
        purpose: str,
        results: int,
        detail: dict[str, str | bool],
    ) -> None:
        event = Event(
            action,
            asker.actor,
            target=target,
            subjects=subjects,
            purpose=purpose,
            address=asker.address,
            request=asker.request,
            token=asker.token,
            counts={"results": results},
            detail=detail,
        )
        with self._parts.database.begin(asker.institution) as tx:
            self._parts.recorder.write(tx, asker.institution, event)


def _rests_on(store: ReportStore, logs: Sequence[Log]) -> tuple[tuple[Checkpoint, ...], tuple[Gap, ...]]:
    heads = tuple(log.signed for log in logs if log.signed)
    return heads, tuple(gap for log in logs for gap in store.gaps(log))


def _of_the_time(gaps: Sequence[Gap], period: Period) -> tuple[Gap, ...]:
    """Gaps that may have held entries of the time: those up to a day after its beginning."""
    return tuple(gap for gap in gaps if period.start is None or milliseconds(gap.before) > period.start)


def _file(kind: str, form: Form, now: datetime, data: bytes | Iterator[bytes]) -> Report:
    return Report(data, form.media, f"{kind}-report-{now.astimezone(UTC):%Y-%m-%d}.{form.value}")


def _breach_data(report: BreachReport, form: Form) -> bytes:
    if form is Form.JSON:
        return report_forms.breach_json(report)
    if form is Form.CSV:
        return report_forms.breach_csv(report)
    return _page(report_breach_pages.document(report), form)


def _page(document: Document, form: Form) -> bytes:
    return report_pdf.render(document) if form is Form.PDF else report_html.render(document)
