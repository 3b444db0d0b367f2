"""Routes of people and institutions."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import people
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About
from wardlight.web.routes import Manage

PEOPLE_ROOT: Final = "/api/v1/people"
INSTITUTIONS_ROOT: Final = "/api/v1/institutions"

_PERSON: Final = f"{PEOPLE_ROOT}/{{person}}"
_INSTITUTION: Final = f"{INSTITUTIONS_ROOT}/{{institution}}"
_STAFF: Final = frozenset({PrincipalKind.PERSON})
_OPERATORS: Final = frozenset({PrincipalKind.OPERATOR})
_MANAGE: Final = frozenset({TokenScope.MANAGE})
_PLATFORM: Final = frozenset({TokenScope.PLATFORM})
_ENDS: Final = (Action.IDENTITY_SESSION_REVOKE, Action.IDENTITY_TOKEN_REVOKE)


def _about(name: str, summary: str, schema: str, takes: str = "", *, status: int = 200) -> About:
    consumes = (JSON,) if takes else ()
    errors = (404, 409, 415) if takes else (404, 409)
    return About(
        name,
        summary,
        (JSON,),
        consumes=consumes,
        statuses=(status,),
        errors=errors,
        schema=schema,
        takes=takes,
    )


PEOPLE: Final = (
    Manage(
        PEOPLE_ROOT,
        people.listed,
        Action.IDENTITY_PERSON_READ,
        Operation.CONFIGURATION,
        _STAFF,
        _MANAGE,
        _about("List People", "People of one's own institution.", "People"),
    ),
    Manage(
        PEOPLE_ROOT,
        people.invite,
        Action.IDENTITY_PERSON_INVITE,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about(
            "Invite Person", "A link that is good once, for 72 hours.", "Invited", "Invitation", status=201
        ),
        method="POST",
        beside=(Action.IDENTITY_PERSON_CREATE,),
        step_up=True,
    ),
    Manage(
        _PERSON,
        people.one,
        Action.IDENTITY_PERSON_READ,
        Operation.CONFIGURATION,
        _STAFF,
        _MANAGE,
        _about("Show Person", "One person of one's own institution.", "Person"),
    ),
    Manage(
        _PERSON,
        people.change,
        Action.IDENTITY_PERSON_CHANGE,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about(
            "Change Person",
            "Name, role and state, what is given of them; who is suspended is out at once.",
            "Person",
            "PersonChange",
        ),
        method="PUT",
        beside=(Action.IDENTITY_PERSON_ROLE, Action.IDENTITY_PERSON_SUSPEND, *_ENDS),
        step_up=True,
    ),
    Manage(
        _PERSON,
        people.delete,
        Action.IDENTITY_PERSON_DELETE,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about("Delete Person", "Erase the account; the trail keeps its id alone.", "Done"),
        method="DELETE",
        beside=_ENDS,
        step_up=True,
    ),
    Manage(
        f"{_PERSON}/link",
        people.new_link,
        Action.IDENTITY_PASSWORD_RESET,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about(
            "Send Link",
            "Another invitation, or a way to a new password for 15 minutes; earlier links are good no more.",
            "Link",
            "Nothing",
            status=201,
        ),
        method="POST",
        beside=(Action.IDENTITY_PERSON_INVITE, Action.IDENTITY_PERSON_READ),
        step_up=True,
    ),
    Manage(
        f"{_PERSON}/unlock",
        people.unlock,
        Action.IDENTITY_ACCOUNT_UNLOCK,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about("Unlock Account", "Failures of before make nobody wait any more.", "Done", "Nothing"),
        method="POST",
        beside=(Action.IDENTITY_PERSON_READ,),
    ),
    Manage(
        f"{_PERSON}/factors",
        people.reset_factors,
        Action.IDENTITY_FACTOR_RESET,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about("Reset Factors", "For somebody who lost theirs; their sessions end, too.", "Done"),
        method="DELETE",
        beside=(Action.IDENTITY_PERSON_READ, Action.IDENTITY_SESSION_REVOKE),
        step_up=True,
    ),
    Manage(
        f"{_PERSON}/sessions",
        people.end_sessions,
        Action.IDENTITY_SESSION_REVOKE,
        Operation.CONFIGURE,
        _STAFF,
        _MANAGE,
        _about("End Sessions", "All sessions of a person, at once.", "Done"),
        method="DELETE",
        beside=(Action.IDENTITY_PERSON_READ,),
    ),
    Manage(
        INSTITUTIONS_ROOT,
        people.institutions,
        Action.PLATFORM_INSTITUTION_CHANGE,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        _about("List Institutions", "Who the platform serves.", "Institutions"),
    ),
    Manage(
        INSTITUTIONS_ROOT,
        people.create_institution,
        Action.PLATFORM_INSTITUTION_CREATE,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        _about(
            "Create Institution", "With its keys and its log.", "Institution", "NewInstitution", status=201
        ),
        method="POST",
        step_up=True,
    ),
    Manage(
        _INSTITUTION,
        people.one_institution,
        Action.PLATFORM_INSTITUTION_CHANGE,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        _about("Show Institution", "One institution.", "Institution"),
    ),
    Manage(
        _INSTITUTION,
        people.change_institution,
        Action.PLATFORM_INSTITUTION_CHANGE,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        _about(
            "Change Institution",
            "Name, networks and state, what is given of them; what is closed stays so.",
            "Institution",
            "InstitutionChange",
        ),
        method="PUT",
        beside=(Action.PLATFORM_INSTITUTION_SUSPEND, Action.PLATFORM_INSTITUTION_CLOSE),
        step_up=True,
    ),
    Manage(
        f"{_INSTITUTION}/administrators",
        people.invite_administrator,
        Action.IDENTITY_PERSON_INVITE,
        Operation.PLATFORM,
        _OPERATORS,
        _PLATFORM,
        _about(
            "Invite Administrator",
            "How an institution gets its first people: a link that is good once, for 72 hours.",
            "Invited",
            "AdministratorInvitation",
            status=201,
        ),
        method="POST",
        beside=(Action.IDENTITY_PERSON_CREATE,),
        step_up=True,
    ),
)
