"""Schemas and path parameters of the JSON API, gathered from its areas (`openapi_<area>.py`, one each)."""

from __future__ import annotations

from typing import Any, Final

from wardlight.web import (
    openapi_agreements,
    openapi_classify,
    openapi_datamap,
    openapi_deletions,
    openapi_delivery,
    openapi_grants,
    openapi_ingest,
    openapi_machine_data,
    openapi_notifications,
    openapi_oauth,
    openapi_oidc,
    openapi_people,
    openapi_quarantine,
    openapi_uploads,
)

_AREAS: Final = (
    openapi_datamap,
    openapi_grants,
    openapi_deletions,
    openapi_agreements,
    openapi_ingest,
    openapi_oauth,
    openapi_oidc,
    openapi_people,
    openapi_delivery,
    openapi_classify,
    openapi_uploads,
    openapi_quarantine,
    openapi_notifications,
    openapi_machine_data,
)

#: By name, as `About.schema` and `About.takes` refer to them.
SCHEMAS: Final[dict[str, Any]] = {name: schema for area in _AREAS for name, schema in area.SCHEMAS.items()}
#: By the name in the path.
PARAMETERS: Final[dict[str, Any]] = {name: one for area in _AREAS for name, one in area.PARAMETERS.items()}
