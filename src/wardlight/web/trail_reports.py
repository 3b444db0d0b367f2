"""Routes of the reports from the audit trail, and what they say of themselves (docs/reference/audit-api.md)."""

from __future__ import annotations

from typing import Final

from wardlight.audit.actions import Action
from wardlight.trail import report_api
from wardlight.trail.report_forms import ACCESS_FORMS, BREACH_FORMS, media_types
from wardlight.web.about import JSON, About
from wardlight.web.routes import Api
from wardlight.web.trail import PEOPLE, READ, ROOT

_ACCESS: Final = About(
    "Access Report",
    "Who did what with one patient's data, in words for the patient, who is named in the body.",
    media_types(ACCESS_FORMS),
    consumes=(JSON,),
    errors=(413, 415),
    schema="AuditReport",
    takes="AccessReportRequest",
)
_BREACH: Final = About(
    "Incident Report",
    "What an incident touched: patients, studies, data classes, accesses, what is unknown, deadlines.",
    media_types(BREACH_FORMS),
    consumes=(JSON,),
    errors=(413, 415),
    schema="AuditReport",
    takes="BreachReportRequest",
)

REPORTS: Final = (
    Api(
        f"{ROOT}/reports/access",
        report_api.access,
        Action.SUBJECT_REPORT_ACCESS,
        PEOPLE,
        READ,
        _ACCESS,
        method="POST",
    ),
    Api(
        f"{ROOT}/reports/breach",
        report_api.breach,
        Action.AUDIT_REPORT_CREATE,
        PEOPLE,
        READ,
        _BREACH,
        method="POST",
    ),
)
