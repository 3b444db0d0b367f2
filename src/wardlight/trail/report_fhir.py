"""The access report as a FHIR R4 Bundle of AuditEvents (type collection)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wardlight.trail import fhir
from wardlight.trail.entry import Sealed
from wardlight.trail.report_model import AccessReport, Found, Line


def bundle(report: AccessReport) -> bytes:
    """One resource for each entry of the report; an entry about several studies is several, as `fhir` has it.

    Other patients' references were left out when the entries were read. Where only roles are told, accounts have the
    numbers of the report, and nothing says from which address or with which token they came.
    """
    rows = [
        {"fullUrl": f"https://{entry.host}/fhir/AuditEvent/{event['id']}", "resource": event}
        for entry in _entries(report)
        for event in fhir.events(entry)
    ]
    resource: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "timestamp": report.created}
    # An empty list is no FHIR.
    return fhir.encoded(resource | ({"entry": rows} if rows else {}))


def _entries(report: AccessReport) -> Iterator[Sealed]:
    lines = {(line.log, index): line for line in report.lines for index in line.entries}
    for one in report.found:
        line = lines.get((one.log, one.index))
        if line:
            entry = one.entry if report.names else _without_names(one, line)
            yield Sealed(one.index, one.leaf, entry)


def _without_names(one: Found, line: Line) -> Mapping[str, Any]:
    entry = {name: value for name, value in one.entry.items() if name not in ("network", "token")}
    parties = (("actor", line.actor), ("behalf", line.behalf))
    for member, party in parties:
        if party and party.kind == "person" and member in entry:
            entry[member] = {**entry[member], "id": party.label.lower().replace(" ", "-")}
    return entry
