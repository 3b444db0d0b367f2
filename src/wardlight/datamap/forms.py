"""The documents as files: HTML and PDF for people, JSON and CSV for machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wardlight import clock
from wardlight.agreements.purposes import PURPOSES
from wardlight.classification.regions import TRANSFERS
from wardlight.classification.rules import HANDLING
from wardlight.datamap import assessment, pages
from wardlight.datamap.declared import Place
from wardlight.datamap.model import ApplicationRow, ClassRow, DataMap, Kind
from wardlight.trail import report_html, report_pdf
from wardlight.trail.report_document import Document
from wardlight.trail.report_forms import Form

#: Forms of each document, the one for who asks for none first.
FORMS: Final[dict[Kind, tuple[Form, ...]]] = {
    Kind.MAP: (Form.JSON, Form.HTML, Form.PDF, Form.CSV),
    Kind.RECORD: (Form.JSON, Form.HTML, Form.PDF, Form.CSV),
    # A page for people to go on writing.
    Kind.ASSESSMENT: (Form.HTML, Form.PDF),
}
#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def render(found: DataMap, kind: Kind, form: Form, places: Sequence[Place]) -> bytes:
    """The document in this form."""
    if form is Form.JSON:
        shown = plain(found, places) if kind is Kind.MAP else record(found)
        return json.dumps(shown, ensure_ascii=False, indent=1).encode()
    if form is Form.CSV:
        return _csv(_map_rows(found) if kind is Kind.MAP else _record_rows(found))
    page = _PAGES[kind](found)
    return report_html.render(page) if form is Form.HTML else report_pdf.render(page)


def _assessment(found: DataMap) -> Document:
    return assessment.page(found)


_PAGES: Final = {Kind.MAP: pages.data_map, Kind.RECORD: pages.record, Kind.ASSESSMENT: _assessment}


def plain(found: DataMap, places: Sequence[Place] = ()) -> dict[str, Any]:
    """The map as JSON has it."""
    return {
        "kind": Kind.MAP.value,
        "version": 1,
        **_head(found),
        "studies": found.studies,
        "bytes": found.bytes,
        "grants": found.grants,
        "classes": [_class(row) for row in found.classes],
        "applications": [_application(row) for row in found.applications],
        "declared": [
            {
                "store": one.store,
                "name": one.name,
                "class": one.data_class.value,
                "protection": one.protection,
            }
            for one in places
        ],
    }


def record(found: DataMap) -> dict[str, Any]:
    """The record of processing activities by the letters of GDPR Art. 30(1); null: for the controller to say."""
    return {
        "kind": Kind.RECORD.value,
        "version": 1,
        **_head(found),
        "controller": {"name": found.institution, "contact": None, "representative": None, "officer": None},
        "processor": {"name": None, "contact": None},
        "activities": [
            {
                "name": one.name,
                "purposes": list(one.purposes),
                "subjects": list(one.subjects),
                "classes": [each.value for each in one.classes],
                "recipients": list(one.recipients),
                "transfers": list(one.transfers),
                "kept": list(one.kept),
                "bases": list(one.bases),
            }
            for one in pages.activities(found)
        ],
        "measures": list(pages.MEASURES),
    }


def _head(found: DataMap) -> dict[str, Any]:
    return {
        "institution": found.institution,
        "created": clock.timestamp_ms(found.created_ms),
        "region": found.region,
        "node_region": found.node_region,
        "objects_region": found.objects_region,
    }


def _class(row: ClassRow) -> dict[str, Any]:
    rules = HANDLING[row.data_class]
    return {
        "class": row.data_class.value,
        "dpv": list(rules.dpv),
        "fideslang": list(rules.fideslang),
        "personal": rules.personal,
        "special": rules.special,
        "stores": list(row.stores),
        "amounts": [{"count": count, "of": what} for count, what in row.amounts],
        "bytes": row.bytes,
        "bases": list(row.bases),
        "purposes": list(row.purposes),
        "kept": list(row.kept),
        "encryption": rules.encryption,
        "readers": list(rules.readers),
        "leaves_region": rules.export.value,
    }


def _application(row: ApplicationRow) -> dict[str, Any]:
    agreement, asked = row.agreement, row.asked
    return {
        "application": row.application.id,
        "name": row.application.name,
        "vendor": row.application.vendor,
        "subscribed": row.subscribed,
        "refused": row.refused,
        "runs_in": sorted(asked.regions) if asked else [],
        "agreement": agreement.id if agreement else None,
        "agreement_version": agreement.version if agreement else None,
        "levels": sorted(agreement.levels) if agreement else [],
        "classes": sorted(agreement.classes) if agreement else [],
        "purposes": [
            {"code": code, "dpv": PURPOSES.get(code, "")}
            for code in sorted(agreement.purposes if agreement else ())
        ],
        "legal_basis": agreement.legal_basis if agreement else "",
        "region": agreement.region if agreement else "",
        "transfer": agreement.transfer if agreement else "",
        "transfer_dpv": TRANSFERS.get(agreement.transfer, "") if agreement else "",
        "access_s": agreement.access_s if agreement else None,
        "retention_days": agreement.retention_days if agreement else None,
        "grants": row.grants,
        "granted_studies": row.studies,
        "next_end": clock.timestamp_ms(row.next_end_ms) if row.next_end_ms is not None else None,
        "held": [
            {
                "level": one.level,
                "class": one.data_class.value,
                "studies": one.studies,
                "instances": one.instances,
                "bytes": one.bytes,
                "first": clock.timestamp_ms(one.first_ms),
                "last": clock.timestamp_ms(one.last_ms),
            }
            for one in row.holdings
        ],
    }


def _map_rows(found: DataMap) -> Iterable[Sequence[str]]:
    """A line for each class; then one for each application, its columns after those of the classes."""
    yield (
        "row", "name", "where", "amount", "bytes", "legal_basis", "purposes", "kept", "encryption", "readers",
        "leaves_region", "dpv", "fideslang", "agreement", "levels", "classes", "region", "transfer", "grants",
        "refused",
    )  # fmt: skip
    for row in found.classes:
        rules = HANDLING[row.data_class]
        amounts = ";".join(f"{count} {what}" for count, what in row.amounts)
        yield (
            "class", row.data_class.value, ";".join(row.stores), amounts, str(row.bytes), ";".join(row.bases),
            ";".join(row.purposes), ";".join(row.kept), rules.encryption, ";".join(rules.readers), rules.export.value,
            ";".join(rules.dpv), ";".join(rules.fideslang), "", "", "", "", "", "", "",
        )  # fmt: skip
    for one in found.applications:
        terms = one.agreement
        yield (
            "application", one.application.id, "", f"{sum(each.studies for each in one.holdings)} studies",
            str(sum(each.bytes for each in one.holdings)), terms.legal_basis if terms else "",
            ";".join(sorted(terms.purposes)) if terms else "",
            "" if terms is None or terms.retention_days is None else f"{terms.retention_days} days", "", "", "", "", "",
            f"{terms.id} v{terms.version}" if terms else "", ";".join(sorted(terms.levels)) if terms else "",
            ";".join(sorted(terms.classes)) if terms else "", terms.region if terms else "",
            terms.transfer if terms else "", str(one.grants), one.refused,
        )  # fmt: skip


def _record_rows(found: DataMap) -> Iterable[Sequence[str]]:
    yield (
        "activity",
        "purposes",
        "legal_bases",
        "subjects",
        "classes",
        "recipients",
        "transfers",
        "kept",
        "measures",
    )
    for one in pages.activities(found):
        yield (
            one.name, ";".join(one.purposes), ";".join(one.bases), ";".join(one.subjects),
            ";".join(each.value for each in one.classes), ";".join(one.recipients), ";".join(one.transfers),
            ";".join(one.kept), ";".join(pages.MEASURES),
        )  # fmt: skip


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    """RFC 4180, safe to open in a spreadsheet."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow("'" + cell if cell.startswith(_FORMULA) else cell for cell in row)
    return text.getvalue().encode()
