"""Schemas of sharing, of results on their way back, and of links."""

from __future__ import annotations

from typing import Any, Final

_TIME: Final = {"type": "string", "format": "date-time"}
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TEXT: Final = {"type": "string"}
_OPTIONAL: Final = {"type": ["string", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}
_LEVEL: Final = {"enum": ["high", "medium", "low", "identified"]}

_MEASURED: Final = {
    "series": _TEXT,
    "instance": {**_TEXT, "description": "SOP Instance UID of the image."},
}
_MEASUREMENTS: Final[dict[str, Any]] = {
    "Measurement": {
        "type": "object",
        "required": ["kind", "series", "instance", "points", "values"],
        "properties": {
            "kind": {"enum": ["length", "angle", "ellipse", "rectangle", "polygon"]},
            **_MEASURED,
            "frame": {"type": "integer", "minimum": 0, "description": "From 1; 0 where there is one."},
            "points": {
                "type": "array",
                "minItems": 2,
                "maxItems": 1000,
                "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}},
                "description": "Column and row of each, (0, 0) the outer corner of the first pixel. Of an ellipse"
                " the ends of the major axis, then of the minor one.",
            },
            "values": {
                "type": "array",
                "minItems": 1,
                "maxItems": 5,
                "items": {
                    "type": "object",
                    "required": ["quantity", "value", "unit"],
                    "properties": {
                        "quantity": {
                            "enum": ["length", "angle", "area", "mean", "deviation", "minimum", "maximum"]
                        },
                        "value": {"type": "number"},
                        "unit": {"enum": ["mm", "mm2", "deg", "HU", "px", "px2", "1"]},
                    },
                    "additionalProperties": False,
                },
            },
            "tracking": {**_TEXT, "description": "UID that it keeps through all versions."},
        },
        "additionalProperties": False,
    },
    "MeasurementsWish": {
        "type": "object",
        "required": ["measurements"],
        "properties": {
            "measurements": {
                "type": "array",
                "maxItems": 200,
                "items": {"$ref": "#/components/schemas/Measurement"},
            },
            "replaces": {
                "type": "object",
                "required": ["series", "instance"],
                "properties": {"series": _TEXT, "instance": _TEXT},
                "additionalProperties": False,
                "description": "The report that this one takes the place of.",
            },
            "version": {"type": "integer", "minimum": 1, "maximum": 100000, "default": 1},
        },
        "additionalProperties": False,
    },
    "MeasurementsWritten": {
        "type": "object",
        "required": ["series", "instance", "version"],
        "properties": {"series": _TEXT, "instance": _TEXT, "version": _COUNT},
    },
}

SCHEMAS: Final[dict[str, Any]] = {
    "ShareWish": {
        "type": "object",
        "required": ["purpose"],
        "properties": {
            "application": {"type": "string", "description": "Id of an application; or `person`."},
            "person": {"type": "string", "description": "Id of a person of the institution."},
            "level": {**_LEVEL, "description": "The strictest that is agreed where it is left out."},
            "purpose": {"type": "string", "description": "Code of HL7 v3 PurposeOfUse."},
            "until": {**_TIME, "description": "As long as the agreement lets it where it is left out."},
        },
        "additionalProperties": False,
    },
    "Share": {
        "type": "object",
        "required": ["id", "level", "purpose", "until", "state", "total", "stored", "quarantined"],
        "properties": {
            "id": _ID,
            "application": _OPTIONAL,
            "person": _OPTIONAL,
            "level": _LEVEL,
            "purpose": _TEXT,
            "until": _TIME,
            "state": {"enum": ["copying", "waiting", "granted", "ended"]},
            "reason": {**_OPTIONAL, "description": "Why it ended without a grant."},
            "total": {**_COUNT, "description": "Instances of the study that is shared."},
            "stored": {**_COUNT, "description": "Of them, those in the release that is made."},
            "quarantined": {
                **_COUNT,
                "description": "Of them, those that could not be protected and stay out.",
            },
            "study": {**_OPTIONAL, "description": "Study Instance UID that whoever it is shared with sees."},
            "grant": _OPTIONAL,
            "created": _TIME,
            "created_by": _TEXT,
        },
    },
    "Shares": {
        "type": "object",
        "required": ["shares"],
        "properties": {"shares": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}}},
    },
    "Recipients": {
        "type": "object",
        "required": ["recipients"],
        "properties": {
            "recipients": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "name", "purposes", "levels", "access_s"],
                    "properties": {
                        "id": _TEXT,
                        "name": _TEXT,
                        "purposes": {"type": "array", "items": _TEXT},
                        "levels": {
                            "type": "array",
                            "items": {"enum": ["high", "medium", "low", "identified"]},
                            "description": "Strictest first.",
                        },
                        "access_s": {**_COUNT, "description": "Longest access, in seconds."},
                    },
                },
            }
        },
    },
    "LinkWish": {
        "type": "object",
        "properties": {
            "instance": {**_TEXT, "description": "SOP Instance UID; the whole study where it is left out."},
            "seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 300},
            "network": {**_TEXT, "description": "CIDR from which alone it opens."},
        },
        "additionalProperties": False,
    },
    "Link": {
        "type": "object",
        "required": ["url", "expires_at"],
        "properties": {"url": {"type": "string", "format": "uri"}, "expires_at": _TIME},
    },
    "ViewerLinkWish": {
        "type": "object",
        "required": ["viewer"],
        "properties": {
            "viewer": {"enum": ["ohif", "weasis", "slicer"]},
            "seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 900},
            "purpose": {**_TEXT, "description": "Code of HL7 v3 PurposeOfUse.", "default": "TREAT"},
        },
        "additionalProperties": False,
    },
    "ViewerLink": {
        "type": "object",
        "required": ["url", "expires_at"],
        "properties": {"url": {"type": "string", "format": "uri"}, "expires_at": _TIME},
    },
    "LinksEnded": {"type": "object", "required": ["ended"], "properties": {"ended": _COUNT}},
    **_MEASUREMENTS,
    "Results": {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "application", "study", "instance", "bytes", "handed_out"],
                    "properties": {
                        "id": _ID,
                        "application": {**_TEXT, "description": "Who made it."},
                        "release_application": {**_TEXT, "description": "For whom its release was made."},
                        "level": _LEVEL,
                        "study": _TEXT,
                        "series": _TEXT,
                        "instance": _TEXT,
                        "sop_class": _TEXT,
                        "bytes": _COUNT,
                        "created": _TIME,
                        "handed_out": {"type": "boolean", "description": "It waits to be acknowledged."},
                    },
                },
            }
        },
    },
    "ResultReceipt": {
        "type": "object",
        "required": ["received"],
        "properties": {"received": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "ResultReceived": {
        "type": "object",
        "required": ["id", "received"],
        "properties": {"id": _ID, "received": {"type": "boolean"}},
    },
    "Handovers": {
        "type": "object",
        "required": ["handovers"],
        "properties": {
            "handovers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": [
                        "id",
                        "application",
                        "release_level",
                        "recipient",
                        "level",
                        "study",
                        "instance",
                        "bytes",
                        "handed_out",
                    ],
                    "properties": {
                        "id": _ID,
                        "application": {**_TEXT, "description": "Who made it."},
                        "release_level": _LEVEL,
                        "recipient": {**_TEXT, "description": "Who is to have it."},
                        "level": _LEVEL,
                        "study": {**_TEXT, "description": "As who made it sees the study."},
                        "instance": _TEXT,
                        "bytes": _COUNT,
                        "created": _TIME,
                        "handed_out": {"type": "boolean"},
                    },
                },
            }
        },
    },
    "HandoverSettlement": {
        "type": "object",
        "properties": {"reason": {**_TEXT, "description": "A code; it is tried again without one."}},
        "additionalProperties": False,
    },
    "HandoverSettled": {
        "type": "object",
        "required": ["id", "reason"],
        "properties": {"id": _ID, "reason": _TEXT},
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "row": {
        "name": "row",
        "in": "path",
        "required": True,
        "description": "Our own id of an instance, as the link has it.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "handover": {
        "name": "handover",
        "in": "path",
        "required": True,
        "description": "Id of a result that another application is to have.",
        "schema": _ID,
    },
    "result": {
        "name": "result",
        "in": "path",
        "required": True,
        "description": "Id of a result that waits for a receiver.",
        "schema": _ID,
    },
}
