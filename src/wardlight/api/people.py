"""People of one's institution, and the institutions themselves (R2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from wardlight import clock
from wardlight.access.model import NOWHERE
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.model import ANYWHERE, Institution, Person, Role
from wardlight.trail.call import answer


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/people."""
    rows = request.platform.identity.people(request.scope.institution, by=request.actor)
    return answer({"people": [_person(row) for row in rows]})


def invite(request: ApiRequest) -> Answer:
    """POST /api/v1/people: the link's token is shown once, and is good for 72 hours."""
    body = Fields(request.body, frozenset({"login", "name", "role"}))
    return _invited(request, request.scope.institution, body, body.choice("role", Role))


def one(request: ApiRequest) -> Answer:
    """GET /api/v1/people/{person}."""
    row = request.platform.people.person(request.scope.institution, request.path["person"], by=request.actor)
    return answer(_person(row))


def change(request: ApiRequest) -> Answer:
    """PUT /api/v1/people/{person}: name, role and state, what is given of them."""
    body = Fields(request.body, frozenset({"name", "role", "state"}))
    row = request.platform.people.change(
        request.scope.institution,
        request.path["person"],
        by=request.actor,
        name=_optional(body, "name"),
        role=body.choice("role", Role) if "role" in body else None,
        state=_optional(body, "state"),
    )
    return answer(_person(row))


def delete(request: ApiRequest) -> Answer:
    """DELETE /api/v1/people/{person}."""
    request.platform.people.delete(request.scope.institution, request.path["person"], by=request.actor)
    return answer({"deleted": True})


def new_link(request: ApiRequest) -> Answer:
    """POST /api/v1/people/{person}/link: another invitation, or a way to a new password."""
    Fields(request.body, frozenset())
    row = _found(request)
    return answer({"link": _link(request, request.platform.people.new_link(row, by=request.actor))}, 201)


def unlock(request: ApiRequest) -> Answer:
    """POST /api/v1/people/{person}/unlock: their password need not wait any more."""
    Fields(request.body, frozenset())
    request.platform.people.unlock(_found(request), by=request.actor)
    return answer({"unlocked": True})


def reset_factors(request: ApiRequest) -> Answer:
    """DELETE /api/v1/people/{person}/factors: somebody lost theirs; their sessions end, too."""
    request.platform.factors.reset(_found(request), by=request.actor)
    return answer({"reset": True})


def end_sessions(request: ApiRequest) -> Answer:
    """DELETE /api/v1/people/{person}/sessions."""
    row = _found(request)
    ended = request.platform.identity.sessions.end(row.institution, row.id, by=request.actor)
    return answer({"ended": ended})


def institutions(request: ApiRequest) -> Answer:
    """GET /api/v1/institutions."""
    return answer({"institutions": [_institution(row) for row in request.platform.identity.institutions()]})


def create_institution(request: ApiRequest) -> Answer:
    """POST /api/v1/institutions."""
    body = Fields(request.body, frozenset({"slug", "name", "region", "networks"}))
    row = request.platform.identity.create_institution(
        body.text("slug"),
        body.text("name"),
        body.text("region"),
        _words(body, "networks") or ANYWHERE,
        by=request.actor,
    )
    return answer(_institution(row), 201)


def one_institution(request: ApiRequest) -> Answer:
    """GET /api/v1/institutions/{institution}."""
    return answer(_institution(_tenant(request)))


def change_institution(request: ApiRequest) -> Answer:
    """PUT /api/v1/institutions/{institution}: name, networks and state, what is given of them."""
    body = Fields(request.body, frozenset({"name", "networks", "state"}))
    identity = request.platform.identity
    row = identity.change_institution(
        _tenant(request), by=request.actor, name=_optional(body, "name"), networks=_words(body, "networks")
    )
    if "state" in body:
        row = identity.set_state(row, body.text("state"), by=request.actor)
    return answer(_institution(row))


def invite_administrator(request: ApiRequest) -> Answer:
    """POST /api/v1/institutions/{institution}/administrators: how an institution gets its first people."""
    body = Fields(request.body, frozenset({"login", "name"}))
    return _invited(request, _tenant(request).id, body, Role.ADMINISTRATOR)


def _invited(request: ApiRequest, institution: UUID, body: Fields, role: Role) -> Answer:
    row, token = request.platform.people.invite(
        institution, body.text("login"), body.text("name"), role, by=request.actor
    )
    return answer({"person": _person(row), "link": _link(request, token)}, 201)


def _link(request: ApiRequest, token: str) -> str:
    """Behind the `#`, which browsers send to nobody: no log and no other site sees it."""
    return f"{request.base_url}/signin#link={token}"


def _found(request: ApiRequest) -> Person:
    return request.platform.people.person(request.scope.institution, request.path["person"], by=request.actor)


def _tenant(request: ApiRequest) -> Institution:
    row = request.platform.identity.institution(request.path["institution"])
    if row.id == NOWHERE:
        raise WardlightError("not-found")
    return row


def _person(row: Person) -> dict[str, Any]:
    return {
        "id": row.id,
        "login": row.login,
        "name": row.name,
        "role": row.role.value,
        "state": row.state,
        "created": clock.timestamp_ms(row.created_ms),
    }


def _institution(row: Institution) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "slug": row.slug,
        "name": row.name,
        "region": row.region,
        "state": row.state,
        "networks": row.networks.split(),
        "created": clock.timestamp_ms(row.created_ms),
    }


def _words(body: Fields, name: str) -> tuple[str, ...] | None:
    return tuple(sorted(body.words(name))) if name in body else None


def _optional(body: Fields, name: str) -> str | None:
    return body.text(name) if name in body else None
