"""Routes of agreements, of what applications ask for, of subscriptions and of sources of third parties' data."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import agreements, entitlements
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Manage

_AGREEMENTS: Final = "/api/v1/agreements"
_ENTITLEMENTS: Final = "/api/v1/entitlements"
_SUBSCRIPTIONS: Final = "/api/v1/subscriptions"
_SOURCES: Final = "/api/v1/sources"

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_ASKERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION})
_OPERATORS: Final = frozenset({PrincipalKind.OPERATOR})
_RECEIVERS: Final = frozenset({PrincipalKind.RECEIVER})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_ASK: Final = frozenset({TokenScope.MANAGE, TokenScope.IMAGES_READ, TokenScope.EVENTS_READ})
_PLATFORM: Final = frozenset({TokenScope.PLATFORM})
_STORE: Final = frozenset({TokenScope.RECEIVER_STORE})

_READ: Final = Action.AGREEMENT_AGREEMENT_READ
_WRITTEN: Final = (200, 201)
_REFUSED: Final = (409, 413, 415)


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string"})


_OF_AGREEMENTS: Final = (
    Manage(
        _AGREEMENTS,
        agreements.listed,
        _READ,
        Operation.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About("List Agreements", "The newest version of each agreement.", (JSON,), schema="Agreements"),
    ),
    Manage(
        f"{_AGREEMENTS}/{{application}}",
        agreements.versions,
        _READ,
        Operation.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About(
            "Show Agreement",
            "All versions with one application, newest first, each with what it changed.",
            (JSON,),
            schema="AgreementVersions",
        ),
    ),
    Manage(
        f"{_AGREEMENTS}/{{application}}",
        agreements.agree,
        Action.AGREEMENT_AGREEMENT_AMEND,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Agree",
            "Agree, or amend: a new version in which what is not named stays as it was.",
            (JSON,),
            consumes=(JSON,),
            statuses=_WRITTEN,
            errors=_REFUSED,
            schema="Agreement",
            takes="AgreementTerms",
        ),
        method="PUT",
        beside=(Action.AGREEMENT_AGREEMENT_CREATE, Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE),
        step_up=True,
    ),
    Manage(
        f"{_AGREEMENTS}/{{application}}",
        agreements.withdraw,
        Action.AGREEMENT_AGREEMENT_WITHDRAW,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Withdraw Agreement",
            "Withdraw all versions, or one: access that rests on them is over at once.",
            (JSON,),
            errors=(409,),
            query=(Parameter("version", "This version only.", {"type": "integer", "minimum": 1}),),
            schema="Withdrawn",
        ),
        method="DELETE",
        step_up=True,
    ),
    Manage(
        "/api/v1/receiver/agreements",
        agreements.standing,
        _READ,
        Operation.STORE,
        _RECEIVERS,
        _STORE,
        About(
            "Agreements for Receivers",
            "For which releases the receiver may take data in, and why not for others.",
            (JSON,),
            schema="AgreedTargets",
        ),
    ),
)

_OF_ENTITLEMENTS: Final = (
    Manage(
        f"{_ENTITLEMENTS}/is-entitled",
        entitlements.is_entitled,
        Action.AGREEMENT_ENTITLEMENT_REQUEST,
        Operation.ENTITLEMENT,
        _ASKERS,
        _ASK,
        About(
            "Is Entitled",
            "Whether an application may get studies for this purpose at this level, and why not.",
            (JSON,),
            query=(
                _text("application", "Its id; an application asks about itself."),
                _text("purpose", "Code of HL7 v3 PurposeOfUse."),
                Parameter("level", "Privacy level.", {"enum": ["high", "medium", "low", "identified"]}),
            ),
            schema="Entitled",
        ),
    ),
    Manage(
        _ENTITLEMENTS,
        entitlements.listed,
        Action.AGREEMENT_ENTITLEMENT_REQUEST,
        Operation.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About(
            "List Entitlements",
            "What applications ask for, with their owners' declarations of compliance.",
            (JSON,),
            query=(_text("application", "All versions of this application."),),
            schema="Entitlements",
        ),
    ),
    Manage(
        f"{_ENTITLEMENTS}/{{application}}",
        entitlements.ask,
        Action.AGREEMENT_ENTITLEMENT_REQUEST,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        About(
            "Request Entitlement",
            "Record what an application asks for, and who declares for its owner that it complies.",
            (JSON,),
            consumes=(JSON,),
            statuses=_WRITTEN,
            errors=_REFUSED,
            schema="Entitlement",
            takes="EntitlementRequest",
        ),
        method="PUT",
        step_up=True,
    ),
    Manage(
        _SUBSCRIPTIONS,
        entitlements.subscriptions,
        Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,
        Operation.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About(
            "List Subscriptions",
            "Applications that the institution uses, or used.",
            (JSON,),
            schema="Subscriptions",
        ),
    ),
    Manage(
        f"{_SUBSCRIPTIONS}/{{application}}",
        entitlements.subscribe,
        Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Subscribe",
            "The institution uses the application from now on.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=_REFUSED,
            schema="Subscription",
            takes="Nothing",
        ),
        method="PUT",
        step_up=True,
    ),
    Manage(
        f"{_SUBSCRIPTIONS}/{{application}}",
        entitlements.unsubscribe,
        Action.AGREEMENT_ENTITLEMENT_UNSUBSCRIBE,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Unsubscribe",
            "The institution uses the application no longer: its access is over at once.",
            (JSON,),
            schema="Subscription",
        ),
        method="DELETE",
        step_up=True,
    ),
)

_OF_SOURCES: Final = (
    Manage(
        _SOURCES,
        agreements.sources,
        _READ,
        Operation.CONFIGURATION,
        _PEOPLE,
        _MANAGE,
        About("List Sources", "Where data of third parties is from.", (JSON,), schema="Sources"),
    ),
    Manage(
        _SOURCES,
        agreements.record_source,
        Action.AGREEMENT_SOURCE_RECORD,
        Operation.CONFIGURE,
        _PEOPLE,
        _MANAGE,
        About(
            "Record Source",
            "Record who provides data, on which legal basis, attested by whom.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=(413, 415),
            schema="Source",
            takes="SourceRecord",
        ),
        method="POST",
        step_up=True,
    ),
)

ROUTES: Final = (*_OF_AGREEMENTS, *_OF_ENTITLEMENTS, *_OF_SOURCES)
