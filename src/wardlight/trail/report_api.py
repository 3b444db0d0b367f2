"""Handlers of the reports: POST …/audit/reports/access and …/breach. Who is asked for stands in the body alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.api import identifiers
from wardlight.trail.call import ApiCall
from wardlight.trail.filters import moment
from wardlight.trail.report_breach import Incident
from wardlight.trail.report_forms import ACCESS_FORMS, BREACH_FORMS, chosen
from wardlight.trail.report_model import Period
from wardlight.trail.report_service import Asker, Report, Reports, asker_of
from wardlight.trail.report_times import UTC_NAME
from wardlight.trail.service import Identifiers

_ACTOR: Final = re.compile(r"[a-z]{1,16}:[A-Za-z0-9@._:-]{1,200}")
_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.:]{2,45}")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
#: A page is a document of its own that may do nothing, whoever shows it.
_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; font-src data:"


def access(call: ApiCall) -> Answer:
    """Who did what with one patient's data; `patients` are the identifiers and pseudonyms of that one."""
    asker = asker_of(call.scope)
    form = chosen(call.accept, ACCESS_FORMS)
    body = call.body
    only(body, {"patients", "from", "to", "names", "timezone"})
    whom = identifiers({"patients": body.get("patients")})
    names = body.get("names", False)
    if not isinstance(names, bool):
        raise WardlightError("bad-request", "`names` is true or false")
    report = Reports(call.parts).access(asker, whom, period(body), form, names=names, zone=zone(body))
    return _answer(report)


def breach(call: ApiCall) -> Answer:
    """What an incident touched."""
    asker = asker_of(call.scope)
    form = chosen(call.accept, BREACH_FORMS)
    only(
        call.body, {"from", "to", "actor", "application", "token", "address", "studies", "aware", "timezone"}
    )
    reports = Reports(call.parts)
    incident = incident_of(reports, asker, call.body)
    return _answer(reports.breach(asker, incident, form, zone=zone(call.body)))


def incident_of(reports: Reports, asker: Asker, body: Mapping[str, Any]) -> Incident:
    """What an incident is known by. Raises `bad-request`."""
    whom = identifiers({"studies": body["studies"]}) if "studies" in body else Identifiers()
    incident = Incident(
        period=period(body),
        actor=_text(body, "actor", _ACTOR),
        application=_text(body, "application", _WORD),
        token=_text(body, "token", _WORD),
        address=_text(body, "address", _ADDRESS),
        studies=reports.study_references(asker.institution, whom.studies),
        aware=moment(body, "aware"),
    )
    if not incident.told():
        raise WardlightError("bad-request", "nothing is named that the incident is known by, not even a time")
    return incident


def only(body: Mapping[str, Any], known: set[str]) -> None:
    """Raise `bad-request` for members that nobody would look at."""
    if not body.keys() <= known:
        raise WardlightError("bad-request", f"known members are {', '.join(sorted(known))}")


def period(body: Mapping[str, Any]) -> Period:
    """`from` and `to`. Raises `bad-request`."""
    found = Period(moment(body, "from"), moment(body, "to"))
    if found.start is not None and found.end is not None and found.start >= found.end:
        raise WardlightError("bad-request", "`from` is not before `to`")
    return found


def zone(body: Mapping[str, Any]) -> str:
    """`timezone`, UTC without it. Raises `bad-request`."""
    return _text(body, "timezone", _ZONE) or UTC_NAME


def _text(body: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or (value and not form.fullmatch(value)):
        raise WardlightError("bad-request", f"`{name}` has not the form that the API's description gives")
    return value


def _answer(report: Report) -> Answer:
    headers = {
        "Content-Disposition": f'attachment; filename="{report.name}"',
        "Content-Security-Policy": _SANDBOX,
        "Vary": "Accept",
    }
    return Answer(report.data, report.media, headers=headers)
