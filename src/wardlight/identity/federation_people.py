"""Whom a provider's claims are: a person of the institution, found, joining by their invitation, or new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.model import Actor
from wardlight.audit.recorder import Recorder
from wardlight.errors import WardlightError
from wardlight.identity import federation_store, session_store, store
from wardlight.identity.federation_store import Federation
from wardlight.identity.federation_tokens import FederationRefused
from wardlight.identity.institutions import is_within
from wardlight.identity.model import ACTIVE, Institution, Person, Role
from wardlight.identity.people import INVITED, add_person, new_person

#: Who adds people that come without an invitation.
_BY = Actor("system", "federation")
# Some providers spell it as a string.
_VERIFIED = (True, "true")


def admit(
    tx: Connection,
    recorder: Recorder,
    institution: Institution,
    config: Federation,
    claims: Mapping[str, Any],
    address: str,
) -> str:
    """The id of the person, who may sign in from this address now. Raises FederationRefused.

    The subject decides once it is known; the login only the first time, and only for somebody whom no other subject is.
    """
    subject = str(claims["sub"])
    known = federation_store.person_of(tx, institution.id, subject)
    person = _by_id(tx, institution, known) if known else _by_login(tx, recorder, institution, config, claims)
    if person.state not in (ACTIVE, INVITED):
        raise FederationRefused("person-suspended")
    if institution.state != ACTIVE:
        raise FederationRefused("institution-suspended")
    if not is_within(address, tuple(institution.networks.split())):
        raise FederationRefused("network")
    if not known:
        if federation_store.is_known(tx, person.id):
            raise FederationRefused("other-subject")
        federation_store.bind(tx, institution.id, subject, person.id, clock.unix_ms())
    if person.state == INVITED:
        # The institution's provider says who they are, as following the link would.
        store.set_person_state(tx, person.id, ACTIVE)
        session_store.drop_links(tx, person.id)
    return person.id


def _by_id(tx: Connection, institution: Institution, id_: str) -> Person:
    found = store.people(tx, institution.id, id_=id_)
    if not found:
        raise FederationRefused("unknown-person")
    return found[0]


def _by_login(
    tx: Connection,
    recorder: Recorder,
    institution: Institution,
    config: Federation,
    claims: Mapping[str, Any],
) -> Person:
    login = claims.get(config.login_claim)
    if not isinstance(login, str) or not login:
        raise FederationRefused("no-login")
    # Some providers say nothing of it, and let people write any address into their account.
    if config.login_claim == "email" and claims.get("email_verified") not in _VERIFIED:
        raise FederationRefused("email-not-verified")
    found = store.people(tx, institution.id, login)
    if found:
        return found[0]
    if not config.default_role:
        raise FederationRefused("not-affiliated")
    name = claims.get("name")
    try:
        shown = name if isinstance(name, str) and name else login
        row = new_person(institution.id, login, shown[:200], Role(config.default_role), ACTIVE)
    except WardlightError:
        raise FederationRefused("no-login") from None
    add_person(tx, recorder, row, by=_BY)
    return row
