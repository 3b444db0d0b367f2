"""Forms in which reports are given: which one a client asks for, and those for machines, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any, Final

from wardlight.dicomweb.negotiation import ranges
from wardlight.errors import WardlightError
from wardlight.trail import report_words as words
from wardlight.trail.report_breach import AUTHORITY_MS, BreachReport, Tally
from wardlight.trail.report_model import AccessReport, Checkpoint, Gap, Line, Party, Period
from wardlight.trail.report_store import timestamp

#: First character of a cell that a spreadsheet would take for a formula (audit.md section 5).
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Form(StrEnum):
    """A form of a report; the value ends its file name."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    FHIR = "fhir.json"
    EVIDENCE = "ndjson"

    @property
    def media(self) -> str:
        """Its media type."""
        return _MEDIA[self]


_MEDIA: Final = {
    Form.JSON: "application/json",
    Form.HTML: "text/html; charset=utf-8",
    Form.PDF: "application/pdf",
    Form.CSV: "text/csv; charset=utf-8",
    Form.FHIR: "application/fhir+json",
    Form.EVIDENCE: "application/x-ndjson",
}

ACCESS_FORMS: Final = (Form.JSON, Form.HTML, Form.PDF, Form.FHIR, Form.EVIDENCE)
BREACH_FORMS: Final = (Form.JSON, Form.HTML, Form.PDF, Form.CSV)


def media_types(forms: Sequence[Form]) -> tuple[str, ...]:
    """Their media types without parameters."""
    return tuple(form.media.partition(";")[0] for form in forms)


def chosen(accept: str, forms: Sequence[Form]) -> Form:
    """The form that an Accept header asks for, the first of `forms` where it leaves the choice to us.

    Raises `not-acceptable`.
    """
    for media_range in ranges(accept):
        for form in forms:
            if not media_range.multipart and media_range.covers(form.media.partition(";")[0]):
                return form
    raise WardlightError("not-acceptable", f"reports are given as {', '.join(media_types(forms))}")


def access_json(report: AccessReport) -> bytes:
    """The access report as JSON; words beside codes."""
    return _json(
        {
            "report": "access",
            "version": 1,
            **_head(report, report.period),
            "names": report.names,
            "patients": list(report.patients),
            "studies": list(report.studies),
            "lines": [_line(line, report) for line in report.lines],
            **_rests_on(report.checkpoints, report.gaps),
        }
    )


def _line(line: Line, report: AccessReport) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": line.kind.value,
        "start": line.start,
        "end": line.end,
        "actor": _party(line.actor),
        "behalf": _party(line.behalf) if line.behalf else None,
        "action": line.action,
        "what": words.action(line.action),
        "outcome": line.outcome,
        "reason": line.reason,
        "purpose": line.purpose,
        "why": words.purpose(line.purpose),
        "basis": line.basis,
        "agreement": line.agreement,
        "grant": line.grant,
        "classes": list(line.classes),
        "counts": line.counts,
        "list": line.listed,
        "certainty": line.certainty.value,
        "source": line.source,
        "studies": list(line.studies),
        "log": report.origins[line.log],
        "entries": list(line.entries),
    }
    return {name: value for name, value in told.items() if value not in ("", None, [], {})}


def breach_json(report: BreachReport) -> bytes:
    """The breach report as JSON, with everybody who is affected."""
    incident = report.incident
    aware = None if incident.aware is None else timestamp(incident.aware)
    due = None if incident.aware is None else timestamp(incident.aware + AUTHORITY_MS)
    return _json(
        {
            "report": "breach",
            "version": 1,
            **_head(report, incident.period),
            "incident": {
                "actor": incident.actor,
                "application": incident.application,
                "token": incident.token,
                "address": incident.address,
                "studies": list(incident.studies),
                "aware": aware,
                "authority_due": due,
            },
            "patients": report.patients,
            "studies": report.studies,
            "total": _tally(report.total),
            "classes": [{"class": name, **_tally(tally)} for name, tally in report.classes],
            "days": [{"day": day, **_tally(tally)} for day, tally in report.days],
            "groups": [
                {
                    "actor": _party(group.actor),
                    **({"behalf": _party(group.behalf)} if group.behalf else {}),
                    "action": group.action,
                    "what": words.action(group.action),
                    "refused": group.refused,
                    **_tally(group.tally),
                }
                for group in report.groups
            ],
            "unknown": asdict(report.unknown),
            "affected": [asdict(one) for one in report.affected],
            **_rests_on(report.checkpoints, report.gaps),
        }
    )


def breach_csv(report: BreachReport) -> bytes:
    """Everybody who is affected, a row for each patient or lone study (RFC 4180, UTF-8)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("patient", "studies", "accesses", "first", "last"))
    for one in report.affected:
        row = (one.patient, ";".join(one.studies), str(one.accesses), one.first, one.last)
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return text.getvalue().encode()


def _head(report: AccessReport | BreachReport, period: Period) -> dict[str, Any]:
    return {
        "institution": {"slug": report.slug, "name": report.institution},
        "created": report.created,
        "from": None if period.start is None else timestamp(period.start),
        "to": None if period.end is None else timestamp(period.end),
    }


def _rests_on(checkpoints: Sequence[Checkpoint], gaps: Sequence[Gap]) -> dict[str, Any]:
    return {
        "checkpoints": [asdict(head) for head in checkpoints],
        "pruned": [asdict(gap) for gap in gaps],
    }


def _party(party: Party) -> dict[str, str]:
    return {name: value for name, value in asdict(party).items() if value}


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "accesses": tally.accesses,
        "of_unknown_extent": tally.unknown,
        "patients": len(tally.patients),
        "studies": len(tally.studies),
        "first": tally.first or None,
        "last": tally.last or None,
        "counts": tally.counts,
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
