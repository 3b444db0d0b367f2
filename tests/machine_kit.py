"""A hospital whose receiver, people and applications send machine data."""

from __future__ import annotations

import gzip
import json
from typing import Any

from notify_kit import Ward
from share_kit import ACME, BETA
from wardlight.access.model import Operation, Principal, Role, Scope, SystemScope
from wardlight.agreements.model import Level, classes_of
from wardlight.audit.actions import Action
from wardlight.classification.model import DataClass
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.machinedata.intake import Form
from wardlight.machinedata.search import Asked, Page

WORKER = SystemScope("worker")
MACHINE = frozenset({DataClass.LOG, DataClass.STATUS})
#: Of nobody; each is found by another detector.
PLANTED = {
    "name": "Musterfrau-Lindqvist",
    "mrn": "47118821",
    "email": "petra.lindqvist@example.org",
    "birth": "1957-03-21",
}
LINE = f"login refused for patient: {PLANTED['name']}, MRN {PLANTED['mrn']}, DOB {PLANTED['birth']}"


class Machines(Ward):
    """ACME has log files and status in its agreement, BETA has not."""

    def __init__(self, platform: Any) -> None:
        super().__init__(platform)
        classes = classes_of(tuple(Level)) | MACHINE
        platform.entitlements.request(
            ACME,
            purposes=("TREAT", "HRESCH"),
            level=Level.IDENTIFIED,
            classes=classes,
            regions=("eu",),
            declared_by="Sam Vendor",
            document="DOC-3",
            by=BY,
        )
        platform.agreements.amend(self.institution.id, ACME, {"classes": classes}, by=BY)
        self.machine = platform.machine_data

    def sending(self, who: Principal) -> Scope:
        return self.may(Action.MACHINE_DATA_STORE, who, Operation.MACHINE_SEND)

    def reading(self, who: Principal) -> Scope:
        return self.may(Action.MACHINE_DATA_QUERY, who, Operation.MACHINE)

    @property
    def administrator(self) -> Principal:
        return self.as_person(self.people[Role.ADMINISTRATOR].id, Role.ADMINISTRATOR)

    def send(self, data: bytes | str, who: Principal | None = None, name: str = "log",
             form: Form = Form.LINES, source: str = "", **options: Any) -> Any:  # fmt: skip
        """Upload; the intake, with what became of it in `body`."""
        data = data.encode() if isinstance(data, str) else data
        intake = self.machine.begin(self.sending(who or self.as_receiver), name, form, source, **options)
        try:
            for start in range(0, len(data), 1 << 20):
                intake.feed([data[start : start + (1 << 20)]])
            row = intake.finish([])
        finally:
            intake.abort()
        return row, intake.body

    def find(self, who: Principal | None = None, *names: str, **asked: Any) -> Page:
        return self.machine.find(self.reading(who or self.administrator), names, Asked(**asked), "")

    def texts(self, who: Principal | None = None, *names: str, **asked: Any) -> list[str]:
        return [one.record.text for one in self.find(who, *names, **asked).found]


def otlp_logs(*bodies: str, service: str = "pacs", severity: int = 9, **attributes: Any) -> bytes:
    """An export request of OpenTelemetry's logs."""
    listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    records = [
        {"timeUnixNano": str((1_790_000_000_000 + n) * 1_000_000), "severityNumber": severity,
         "body": {"stringValue": body}, "attributes": listed}
        for n, body in enumerate(bodies)
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    scope = {"scope": {"name": "x"}, "logRecords": records}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}).encode()


def otlp_metrics(name: str, *values: float, service: str = "gate") -> bytes:
    """An export request of OpenTelemetry's metrics: a gauge."""
    points = [
        {"timeUnixNano": str((1_790_000_000_000 + n * 1000) * 1_000_000), "asDouble": value}
        for n, value in enumerate(values)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    metrics = [{"name": name, "unit": "1", "gauge": {"dataPoints": points}}]
    return json.dumps(
        {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    ).encode()


def packed(data: bytes) -> bytes:
    return gzip.compress(data)


__all__ = ["ACME", "BETA", "LINE", "MACHINE", "PLANTED", "Machines", "otlp_logs", "otlp_metrics", "packed"]
