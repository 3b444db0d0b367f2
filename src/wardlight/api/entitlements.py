"""What applications ask for, which of them the institution uses, and whether one may ask for a study at all."""

from __future__ import annotations

from typing import Any, Final

from wardlight import clock
from wardlight.access.model import PrincipalKind
from wardlight.agreements.model import Entitlement, Level, Subscription
from wardlight.agreements.purposes import PURPOSES
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.classification.model import DataClass
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_REQUEST: Final = frozenset({"purposes", "level", "regions", "classes", "declared_by", "document"})


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/entitlements: what each application asks for now; of one, all versions."""
    application = request.query.get("application")
    rows = request.platform.entitlements.list(application)
    if application is None:
        rows = list({row.application: row for row in reversed(rows)}.values())
    return answer({"entitlements": [_row(row) for row in rows]})


def ask(request: ApiRequest) -> Answer:
    """PUT /api/v1/entitlements/{application}: a new version, with the owner's declaration that it complies."""
    body = Fields(request.body, _REQUEST)
    row = request.platform.entitlements.request(
        request.path["application"],
        purposes=body.words("purposes"),
        level=body.choice("level", Level),
        regions=body.words("regions"),
        classes=body.choices("classes", DataClass),
        declared_by=body.text("declared_by"),
        document=body.text("document"),
        by=request.actor,
    )
    return answer(_row(row), 201 if row.version == 1 else 200)


def is_entitled(request: ApiRequest) -> Answer:
    """GET /api/v1/entitlements/is-entitled: whether, and every reason why not.

    An application asks about itself, for the purpose of its token where it names none.
    """
    query, principal, platform = request.query, request.principal, request.platform
    application, purpose = query.get("application", ""), query.get("purpose", "")
    if principal.kind is PrincipalKind.APPLICATION:
        if application not in ("", principal.id):
            raise WardlightError("not-found")
        application, purpose = principal.id, purpose or principal.purpose
    if not application or purpose not in PURPOSES:
        raise WardlightError("bad-request", "application and a PurposeOfUse code are needed")
    try:
        level = Level(query.get("level", Level.HIGH))
    except ValueError:
        raise WardlightError("bad-request", f"level is one of {', '.join(Level)}") from None
    institution = request.scope.institution
    with platform.database.read(institution) as tx:
        reasons = [
            platform.entitlements.why_not(tx, institution, application, purpose, level),
            platform.agreements.why_not(tx, institution, application, purpose, level),
        ]
        agreement = platform.agreements.current(tx, institution, application)
    found = [reason for reason in reasons if reason]
    return answer(
        {
            "entitled": not found,
            "reasons": found,
            "application": application,
            "purpose": purpose,
            "level": level.value,
            "agreement": {"id": agreement.id, "version": agreement.version} if agreement else None,
        }
    )


def subscriptions(request: ApiRequest) -> Answer:
    """GET /api/v1/subscriptions: applications that the institution uses, or used."""
    rows = request.platform.entitlements.subscriptions(request.scope.institution)
    return answer({"subscriptions": [_subscription(row) for row in rows]})


def subscribe(request: ApiRequest) -> Answer:
    """PUT /api/v1/subscriptions/{application}."""
    Fields(request.body, frozenset())
    row = request.platform.entitlements.subscribe(
        request.scope.institution, request.path["application"], by=request.actor
    )
    return answer(_subscription(row), 201)


def unsubscribe(request: ApiRequest) -> Answer:
    """DELETE /api/v1/subscriptions/{application}: access of the application is over."""
    row = request.platform.entitlements.unsubscribe(
        request.scope.institution, request.path["application"], by=request.actor
    )
    return answer(_subscription(row))


def _row(row: Entitlement) -> dict[str, Any]:
    return {
        "application": row.application,
        "version": row.version,
        "purposes": [{"code": code, "dpv": PURPOSES.get(code, "")} for code in sorted(row.purposes)],
        "classes": [one.value for one in DataClass if one in row.classes],
        "level": row.level.value,
        "regions": sorted(row.regions),
        "declared_by": row.declared_by,
        "document": row.document,
        "created": clock.timestamp_ms(row.created_ms),
    }


def _subscription(row: Subscription) -> dict[str, Any]:
    return {
        "application": row.application,
        "active": row.ended_ms is None,
        "created": clock.timestamp_ms(row.created_ms),
        "ended": clock.timestamp_ms(row.ended_ms) if row.ended_ms is not None else None,
    }
