"""People of an institution: invited, changed, given a role, suspended, let back in and deleted (R2)."""

from __future__ import annotations

import hashlib
import os
import secrets
import unicodedata
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity import (
    federation_store,
    lockout,
    oidc_store,
    session_store,
    store,
)
from wardlight.identity.institutions import SUSPENDED, printable
from wardlight.identity.model import ACTIVE, OPERATORS, Person, Principal, Role
from wardlight.identity.sessions import Sessions, home, log_of, place_of
from wardlight.identity.tokens import TokenKind, new_token, token_hash

#: How long an invitation is good, and a way back in for somebody who lost theirs, in ms (security.md section 6).
INVITATION_MS: Final = 72 * 3600 * 1000
RESET_MS: Final = 15 * 60 * 1000
#: State of somebody who has not followed their invitation yet.
INVITED: Final = "invited"

#: Kinds of links.
INVITE: Final = "invite"
RESET: Final = "reset"

_PERSON: Final = "u"


class People:
    """Affiliation of people. Every change is an audit entry in its transaction; what it ends, ends at once."""

    def __init__(self, database: Database, recorder: Recorder, sessions: Sessions) -> None:
        self._database = database
        self._recorder = recorder
        self._sessions = sessions

    def invite(
        self, institution: UUID, login: str, name: str, role: Role, *, by: Actor
    ) -> tuple[Person, str]:
        """Add a person who is to follow a link within 72 hours; returns them and the link's token, shown once."""
        row = new_person(institution, login, name, role, INVITED)
        try:
            with self._database.begin(place_of(institution)) as tx:
                add_person(tx, self._recorder, row, by=by)
                token = self._link(tx, row, INVITE, by)
        except IntegrityError:
            raise WardlightError("already-exists", "the institution has a person of this login") from None
        return row, token

    def new_link(self, row: Person, *, by: Actor) -> str:
        """Another invitation for somebody who did not follow theirs; a way to a new password for everybody else."""
        if row.state == SUSPENDED:
            raise WardlightError("conflict", "the person is suspended")
        with self._database.begin(place_of(row.institution)) as tx:
            return self._link(tx, row, INVITE if row.state == INVITED else RESET, by)

    def person(self, institution: UUID, id_: str, *, by: Actor) -> Person:
        """One person; that they were shown is in the trail. Raises `not-found`."""
        with self._database.begin(place_of(institution)) as tx:
            row = find(tx, institution, id_)
            event = Event(Action.IDENTITY_PERSON_READ, by, target=Target("person", id=id_))
            self._recorder.write(tx, log_of(institution), event)
        return row

    def self(self, principal: Principal) -> Person:
        """The principal's own account."""
        institution = home(principal)
        with self._database.read(place_of(institution)) as tx:
            return find(tx, institution, principal.id)

    def change(
        self,
        institution: UUID,
        id_: str,
        *,
        by: Actor,
        name: str | None = None,
        role: Role | None = None,
        state: str | None = None,
    ) -> Person:
        """Change what is given. A role holds from the next request; who is suspended is out at once.

        Raises `not-found`, `bad-request`, and `conflict` where it would leave the institution without administrator.
        """
        with self._database.begin(place_of(institution)) as tx:
            row = find(tx, institution, id_, lock=True)
            if name is not None and name != row.name:
                row = self._rename(tx, row, name, by)
            if role is not None and role != row.role:
                row = self._set_role(tx, row, role, by)
            if state is not None and state != row.state:
                row = self._set_state(tx, row, state, by)
        return row

    def delete(self, institution: UUID, id_: str, *, by: Actor) -> None:
        """Erase a person's account: the trail keeps the id, and nothing that tells whose it was."""
        with self._database.begin(place_of(institution)) as tx:
            row = find(tx, institution, id_, lock=True)
            self._require_another_administrator(tx, row)
            self._end_access(tx, row, by)
            oidc_store.forget(tx, id_)
            federation_store.forget(tx, id_)
            store.delete_person(tx, institution, id_)
            event = Event(Action.IDENTITY_PERSON_DELETE, by, target=Target("person", id=id_))
            self._recorder.write(tx, log_of(institution), event)

    def unlock(self, row: Person, *, by: Actor) -> None:
        """Forget the failures that make the account's password wait."""
        with self._database.begin(place_of(row.institution)) as tx:
            lockout.unlock(tx, row.id)
            event = Event(Action.IDENTITY_ACCOUNT_UNLOCK, by, target=Target("person", id=row.id))
            self._recorder.write(tx, log_of(row.institution), event)

    def _link(self, tx: Connection, row: Person, kind: str, by: Actor) -> str:
        token = new_token(TokenKind.LINK)
        life = INVITATION_MS if kind == INVITE else RESET_MS
        values = {
            "hash": token_hash(token),
            "institution": row.institution,
            "person": row.id,
            "kind": kind,
            "expires_ms": clock.unix_ms() + life,
        }
        session_store.add_link(tx, values)
        action = Action.IDENTITY_PERSON_INVITE if kind == INVITE else Action.IDENTITY_PASSWORD_RESET
        self._recorder.write(
            tx, log_of(row.institution), Event(action, by, target=Target("person", id=row.id))
        )
        return token

    def _rename(self, tx: Connection, row: Person, name: str, by: Actor) -> Person:
        printable(name, "name")
        row = replace(row, name=unicodedata.normalize("NFC", name))
        salt = os.urandom(16)
        store.rename_person(tx, row, salt)
        _write_name(tx, self._recorder, Action.IDENTITY_PERSON_CHANGE, row, salt, by)
        return row

    def _set_role(self, tx: Connection, row: Person, role: Role, by: Actor) -> Person:
        _require_fitting(row.institution, role)
        self._require_another_administrator(tx, row)
        store.set_role(tx, row.id, role)
        change = (Change("role", row.role.value, role.value),)
        event = Event(Action.IDENTITY_PERSON_ROLE, by, target=Target("person", id=row.id), change=change)
        self._recorder.write(tx, log_of(row.institution), event)
        return replace(row, role=role)

    def _set_state(self, tx: Connection, row: Person, state: str, by: Actor) -> Person:
        if state not in (ACTIVE, SUSPENDED) or row.state == INVITED:
            raise WardlightError(
                "bad-request", "a person is active or suspended; who is invited follows a link"
            )
        if state == SUSPENDED:
            self._require_another_administrator(tx, row)
            self._end_access(tx, row, by)
        store.set_person_state(tx, row.id, state)
        change = (Change("state", row.state, state),)
        event = Event(Action.IDENTITY_PERSON_SUSPEND, by, target=Target("person", id=row.id), change=change)
        self._recorder.write(tx, log_of(row.institution), event)
        return replace(row, state=state)

    def _end_access(self, tx: Connection, row: Person, by: Actor) -> None:
        """Sessions, tokens and links; what rests on the person being active, such as grants, ends by that."""
        session_store.drop_links(tx, row.id)
        self._sessions.end_in(tx, row.institution, row.id, by=by)
        ended = store.revoke_tokens(tx, row.institution, row.id, clock.unix_ms())
        if ended:
            target = Target("person", id=row.id)
            event = Event(Action.IDENTITY_TOKEN_REVOKE, by, target=target, counts={"tokens": ended})
            self._recorder.write(tx, log_of(row.institution), event)

    def _require_another_administrator(self, tx: Connection, row: Person) -> None:
        """An institution that has an administrator keeps one: else only the operator could let anybody in."""
        if row.role is not Role.ADMINISTRATOR or row.state != ACTIVE:
            return
        if store.administrators(tx, row.institution) == [row.id]:
            raise WardlightError("conflict", "the institution's last administrator", "last-administrator")


def new_person(institution: UUID, login: str, name: str, role: Role, state: str) -> Person:
    """A person to be added. Raises `bad-request`."""
    printable(login, "login")
    printable(name, "name")
    _require_fitting(institution, role)
    # As bundles of the trail hold it: else what commits to the name and what names it would not fit.
    name = unicodedata.normalize("NFC", name)
    id_ = f"{_PERSON}-{secrets.token_hex(6)}"
    return Person(id_, institution, login, name, role, state, clock.unix_ms())


def add_person(tx: Connection, recorder: Recorder, row: Person, *, by: Actor) -> None:
    """Insert a person and say so in the trail; raises IntegrityError where the institution has that login."""
    salt = os.urandom(16)
    store.add_person(tx, row, salt)
    _write_name(tx, recorder, Action.IDENTITY_PERSON_CREATE, row, salt, by)


def find(tx: Connection, institution: UUID, id_: str, *, lock: bool = False) -> Person:
    """The person of this id. lock: nobody else changes people of the institution until the transaction ends."""
    rows = store.people(tx, institution, id_=id_, lock=lock)
    if not rows:
        raise WardlightError("not-found", "there is no such person")
    return rows[0]


def _write_name(
    tx: Connection, recorder: Recorder, action: Action, row: Person, salt: bytes, by: Actor
) -> None:
    """The trail holds a commitment to the name, not the name, so that erasing the row forgets it."""
    commitment = base64url(hashlib.sha256(salt + row.name.encode()).digest())
    event = Event(action, by, target=Target("person", id=row.id), detail={"name": commitment})
    recorder.write(tx, log_of(row.institution), event)


def _require_fitting(institution: UUID, role: Role) -> None:
    """Operators are nobody's staff, and staff are no operators."""
    if (role is Role.OPERATOR) != (institution == OPERATORS):
        raise WardlightError("bad-request", "operators belong to no institution, and only they do")
