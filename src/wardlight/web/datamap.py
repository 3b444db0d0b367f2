"""Routes of the data map (R1.2), for administrators and privacy officers."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api.datamap import Export
from wardlight.audit.actions import Action
from wardlight.datamap.forms import FORMS
from wardlight.datamap.model import Kind
from wardlight.trail.report_forms import media_types
from wardlight.web.about import About, Parameter
from wardlight.web.routes import Manage

_ROOT: Final = "/api/v1/data-map"


def _route(path: str, kind: Kind, transaction: str, summary: str, schema: str = "") -> Manage:
    forms = Parameter("format", "The form of the file, in place of Accept.", {"enum": [*FORMS[kind]]})
    return Manage(
        path,
        Export(kind),
        Action.CLASSIFY_RECORD_EXPORT,
        Operation.CONFIGURATION,
        frozenset({PrincipalKind.PERSON}),
        frozenset({TokenScope.MANAGE}),
        About(transaction, summary, media_types(FORMS[kind]), query=(forms,), schema=schema),
    )


DATA_MAP: Final = (
    _route(
        _ROOT,
        Kind.MAP,
        "Data Map",
        "What is held of the institution, where, how much, how long, on which basis, and who may see it.",
        "DataMap",
    ),
    _route(
        f"{_ROOT}/record",
        Kind.RECORD,
        "Record of Processing",
        "The record of processing activities (GDPR Art. 30(1)).",
        "ProcessingRecord",
    ),
    _route(
        f"{_ROOT}/assessment",
        Kind.ASSESSMENT,
        "Impact Assessment",
        "The beginning of a data protection impact assessment (GDPR Art. 35(7)), to be completed.",
    ),
)
