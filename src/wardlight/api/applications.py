"""Partner applications: registered and let in by operators, read by administrators who may subscribe to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.api.told import told
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.application_model import (
    USUAL_APPLICATION_SCOPES,
    Application,
    ApplicationKey,
    ApplicationKind,
    AuthMethod,
)
from wardlight.identity.applications import OVERLAP
from wardlight.trail.call import answer

_REGISTRATION: Final = frozenset(
    {"id", "name", "vendor", "owner", "kind", "auth_method", "scopes", "redirect_uris", "post_logout_uris"}
)
_CHANGE: Final = frozenset({"name", "owner", "scopes", "redirect_uris", "post_logout_uris"})
_NOTHING: Final[frozenset[str]] = frozenset()
_HOUR_S: Final = 3600


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/applications, /api/v1/platform/applications."""
    rows = request.platform.applications.list()
    told(request, len(rows))
    return answer({"applications": [application_row(row) for row in rows]})


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/platform/applications/{application}: with its keys."""
    platform, id_ = request.platform, request.path["application"]
    row, keys = platform.applications.show(id_), platform.applications.keys(id_)
    told(request, 1)
    return answer(application_row(row, keys))


def register(request: ApiRequest) -> Answer:
    """POST /api/v1/platform/applications: it waits for approval."""
    body = Fields(request.body, _REGISTRATION)
    row = request.platform.applications.register(
        body.text("id"),
        body.text("name"),
        body.text("vendor"),
        owner=body.text("owner", ""),
        kind=body.choice("kind", ApplicationKind) if "kind" in body else ApplicationKind.CLOUD,
        auth_method=body.choice("auth_method", AuthMethod)
        if "auth_method" in body
        else AuthMethod.PRIVATE_KEY_JWT,
        scopes=body.words("scopes") or USUAL_APPLICATION_SCOPES,
        redirect_uris=sorted(body.words("redirect_uris")),
        post_logout_uris=sorted(body.words("post_logout_uris")),
        by=request.actor,
    )
    return answer(application_row(row), 201)


def change(request: ApiRequest) -> Answer:
    """PUT /api/v1/platform/applications/{application}: what is not named stays as it is."""
    body = Fields(request.body, _CHANGE)
    row = request.platform.applications.change(
        request.path["application"],
        name=body.text("name") if "name" in body else None,
        owner=body.text("owner") if "owner" in body else None,
        scopes=body.words("scopes") if "scopes" in body else None,
        redirect_uris=sorted(body.words("redirect_uris")) if "redirect_uris" in body else None,
        post_logout_uris=sorted(body.words("post_logout_uris")) if "post_logout_uris" in body else None,
        by=request.actor,
    )
    return answer(application_row(row))


def approve(request: ApiRequest) -> Answer:
    """POST /api/v1/platform/applications/{application}/approve."""
    Fields(request.body, _NOTHING)
    applications = request.platform.applications
    return answer(application_row(applications.approve(request.path["application"], by=request.actor)))


def suspend(request: ApiRequest) -> Answer:
    """POST /api/v1/platform/applications/{application}/suspend: over for the next request."""
    Fields(request.body, _NOTHING)
    applications = request.platform.applications
    return answer(application_row(applications.suspend(request.path["application"], by=request.actor)))


def delete(request: ApiRequest) -> Answer:
    """DELETE /api/v1/platform/applications/{application}."""
    applications = request.platform.applications
    return answer(application_row(applications.delete(request.path["application"], by=request.actor)))


def add_key(request: ApiRequest) -> Answer:
    """POST /api/v1/platform/applications/{application}/keys: a public JWK (RFC 7517)."""
    row = request.platform.applications.add_key(request.path["application"], request.body, by=request.actor)
    return answer(_key(row), 201)


def remove_key(request: ApiRequest) -> Answer:
    """DELETE /api/v1/platform/applications/{application}/keys/{kid}."""
    id_, kid = request.path["application"], request.path["kid"]
    request.platform.applications.remove_key(id_, kid, by=request.actor, overlap=_overlap(request, 0))
    return answer({"application": id_, "kid": kid})


def new_secret(request: ApiRequest) -> Answer:
    """POST /api/v1/platform/applications/{application}/secret: shown once."""
    Fields(request.body, _NOTHING)
    overlap = _overlap(request, int(OVERLAP.total_seconds()) // _HOUR_S)
    id_ = request.path["application"]
    secret = request.platform.applications.new_secret(id_, by=request.actor, overlap=overlap)
    return answer({"application": id_, "client_secret": secret}, 201)


def application_row(row: Application, keys: Iterable[ApplicationKey] | None = None) -> dict[str, Any]:
    """An application as JSON has it."""
    shown = {
        "id": row.id,
        "name": row.name,
        "vendor": row.vendor,
        "environment": row.environment,
        "kind": row.kind.value,
        "owner": row.owner,
        "state": str(row.state),
        "auth_method": row.auth_method.value,
        "scopes": sorted(row.scopes),
        "redirect_uris": list(row.redirect_uris),
        "post_logout_uris": list(row.post_logout_uris),
        "created": clock.timestamp_ms(row.created_ms),
    }
    return shown if keys is None else shown | {"keys": [_key(key) for key in keys]}


def _key(row: ApplicationKey) -> dict[str, Any]:
    return {
        "kid": row.kid,
        "alg": row.alg,
        "created": clock.timestamp_ms(row.created_ms),
        "ends": clock.timestamp_ms(row.ends_ms) if row.ends_ms is not None else None,
    }


def _overlap(request: ApiRequest, default_hours: int) -> timedelta:
    text = request.query.get("overlap_hours", str(default_hours))
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise WardlightError("bad-request", "overlap_hours is a number")
    return timedelta(hours=int(text))
