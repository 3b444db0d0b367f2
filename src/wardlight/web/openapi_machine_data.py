"""Schemas of machine data."""

from __future__ import annotations

from typing import Any, Final

from wardlight.machinedata.model import CLASSES

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_AMOUNT: Final = {"type": "number"}
_TIME: Final = {"type": "string", "format": "date-time"}
_CLASS: Final = {"enum": [*CLASSES]}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*properties],
        "properties": properties,
        "additionalProperties": False,
    }


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


_PAGE: Final = _object(
    records=_list(
        _object(
            object={**_TEXT, "description": "What came together, as it can be deleted."},
            **{"class": _CLASS},
            time=_TIME,
            severity={**_NUMBER, "description": "SeverityNumber of OpenTelemetry; 0: unknown."},
            source=_TEXT,
            text=_TEXT,
            value={"type": ["number", "null"], "description": "Of a metric's point, whose name is `text`."},
            attributes={"type": "object", "additionalProperties": True},
        )
    ),
    next={**_TEXT, "description": "For `after`; absent at the end."},
)
_PAGE["required"] = ["records"]

SCHEMAS: Final[dict[str, Any]] = {
    "MachineDataExport": {
        "type": "object",
        "description": "ExportLogsServiceRequest or ExportMetricsServiceRequest (opentelemetry-proto 1.x).",
        "additionalProperties": True,
    },
    "MachineDataExported": {"type": "object", "additionalProperties": False},
    "MachineDataStored": _object(
        id=_TEXT,
        **{"class": _CLASS},
        records=_NUMBER,
        masked={**_NUMBER, "description": "Records in which something was masked."},
        detectors={"type": "object", "additionalProperties": _NUMBER},
        bytes=_NUMBER,
    ),
    "MachineDataPage": _PAGE,
    "MachineDataSummary": _object(
        **{"from": _TIME},
        to=_TIME,
        hours=_list(
            _object(
                **{"class": _CLASS}, source=_TEXT, hour=_TIME, records=_NUMBER, errors=_NUMBER, masked=_NUMBER
            )
        ),
        modalities={"type": "object", "additionalProperties": _NUMBER},
    ),
    "MachineDataSeries": _object(
        metric=_TEXT,
        points=_list(_object(source=_TEXT, time=_TIME, average=_AMOUNT, least=_AMOUNT, most=_AMOUNT)),
        complete={"type": "boolean", "description": "Whether all points of this time are in it."},
    ),
    "MachineDataSubscriptions": _object(subscriptions=_list(_object(**{"class": _CLASS}, since=_TIME))),
    "MachineDataSubscribe": _object(classes=_list(_CLASS)),
}

PARAMETERS: Final[dict[str, Any]] = {
    "segment": {
        "name": "segment",
        "in": "path",
        "required": True,
        "description": "`id` of an upload, `object` of a record.",
        "schema": _TEXT,
    },
}
