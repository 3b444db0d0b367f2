"""Schemas of the classifier."""

from __future__ import annotations

from typing import Any, Final

from wardlight.classification.model import DataClass

_COUNT: Final = {"type": "integer", "minimum": 0}
_CLASS: Final = {"enum": [one.value for one in DataClass]}

SCHEMAS: Final[dict[str, Any]] = {
    "Classified": {
        "type": "object",
        "required": ["findings", "classes", "bytes", "more", "refused"],
        "properties": {
            "findings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["file", "class", "detector", "confidence", "reason"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "description": "`body`, with a number within a packed one.",
                        },
                        "line": {"type": "integer", "minimum": 1},
                        "element": {
                            "type": "string",
                            "description": "Tag of a DICOM element, with its sequences.",
                        },
                        "keyword": {"type": "string"},
                        "field": {"type": "string", "description": "Path in JSON, or column of a table."},
                        "class": _CLASS,
                        "detector": {"type": "string"},
                        "confidence": {"enum": ["high", "medium", "low"]},
                        "reason": {"type": "string", "description": "Never a value that was found."},
                    },
                },
            },
            "classes": {"type": "object", "additionalProperties": _COUNT},
            "bytes": _COUNT,
            "more": {**_COUNT, "description": "Findings that are not listed."},
            "refused": {
                "type": ["string", "null"],
                "description": "Why it was not looked at to its end: a code.",
            },
        },
    }
}
PARAMETERS: Final[dict[str, Any]] = {}
