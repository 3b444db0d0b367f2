"""Schemas of the data map and of the record of processing activities."""

from __future__ import annotations

from typing import Any, Final

from wardlight.classification.model import DataClass

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_MAYBE_NUMBER: Final = {"type": ["integer", "null"]}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_FLAG: Final = {"type": "boolean"}
_TIME: Final = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
_CLASS: Final = {"enum": [one.value for one in DataClass]}
_WORDS: Final = {"type": "array", "items": _TEXT}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*properties],
        "properties": properties,
        "additionalProperties": False,
    }


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


_HEAD: Final = {
    "kind": _TEXT,
    "version": _NUMBER,
    "institution": _TEXT,
    "created": _TIME,
    "region": _TEXT,
    "node_region": _TEXT,
    "objects_region": _TEXT,
}

SCHEMAS: Final[dict[str, Any]] = {
    "DataMap": _object(
        **_HEAD,
        studies={"type": "integer", "description": "Held, each copy for another application counted."},
        bytes=_NUMBER,
        grants={"type": "integer", "description": "That give access now."},
        classes=_list({"$ref": "#/components/schemas/DataMapClass"}),
        applications=_list({"$ref": "#/components/schemas/DataMapApplication"}),
        declared=_list({"$ref": "#/components/schemas/DataMapPlace"}),
    ),
    "DataMapClass": _object(
        **{"class": _CLASS},
        dpv={**_WORDS, "description": "IRIs of W3C DPV; together they say what the data is."},
        fideslang=_WORDS,
        personal={"type": "boolean", "description": "Whether the GDPR applies to it."},
        special={"type": "boolean", "description": "A special category (GDPR Art. 9)."},
        stores=_WORDS,
        amounts=_list(_object(count=_NUMBER, of=_TEXT)),
        bytes={"type": "integer", "description": "0 where they are not counted."},
        bases=_WORDS,
        purposes=_WORDS,
        kept=_WORDS,
        encryption=_TEXT,
        readers=_WORDS,
        leaves_region=_TEXT,
    ),
    "DataMapApplication": _object(
        application=_TEXT,
        name=_TEXT,
        vendor=_TEXT,
        subscribed=_FLAG,
        refused={"type": "string", "description": "Why it may see nothing new; empty where it may."},
        runs_in=_WORDS,
        agreement=_MAYBE_TEXT,
        agreement_version=_MAYBE_NUMBER,
        levels=_WORDS,
        classes=_list(_CLASS),
        purposes=_list(_object(code=_TEXT, dpv=_TEXT)),
        legal_basis=_TEXT,
        region=_TEXT,
        transfer=_TEXT,
        transfer_dpv=_TEXT,
        access_s=_MAYBE_NUMBER,
        retention_days=_MAYBE_NUMBER,
        grants=_NUMBER,
        granted_studies=_NUMBER,
        next_end=_MAYBE_TIME,
        held=_list(
            _object(
                level=_TEXT,
                **{"class": _CLASS},
                studies=_NUMBER,
                instances=_NUMBER,
                bytes=_NUMBER,
                first=_TIME,
                last=_TIME,
            )
        ),
    ),
    "DataMapPlace": _object(store=_TEXT, name=_TEXT, **{"class": _CLASS}, protection=_TEXT),
    "ProcessingRecord": _object(
        **_HEAD,
        controller=_object(name=_TEXT, contact=_MAYBE_TEXT, representative=_MAYBE_TEXT, officer=_MAYBE_TEXT),
        processor=_object(name=_MAYBE_TEXT, contact=_MAYBE_TEXT),
        activities=_list(
            _object(
                name=_TEXT,
                purposes=_WORDS,
                subjects=_WORDS,
                classes=_list(_CLASS),
                recipients=_WORDS,
                transfers=_WORDS,
                kept=_WORDS,
                bases=_WORDS,
            )
        ),
        measures=_WORDS,
    ),
}
PARAMETERS: Final[dict[str, Any]] = {}
