"""Institutions, people, receivers, applications and the tokens by which they act."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity import store
from wardlight.identity.institutions import Institutions, printable
from wardlight.identity.model import (
    Person,
    Principal,
    PrincipalKind,
    Receiver,
    Role,
    TokenScope,
)
from wardlight.identity.people import add_person, new_person
from wardlight.identity.sessions import Sessions, log_of, person_principal, place_of
from wardlight.identity.tokens import TokenKind, new_token, token_hash, token_kind
from wardlight.keys.keystore import Keystore

#: Longest life of a person's API token, in hours (security.md section 6).
PERSON_TOKEN_HOURS: Final = 24
#: Life of a receiver's token until receivers enrol with a key of their own, in days.
RECEIVER_TOKEN_DAYS: Final = 365

#: Who acts when the machine's administrator uses the command line.
LOCAL_ADMINISTRATOR: Final = Actor("operator", "local-admin")

# Beginning of ids.
_RECEIVER: Final = "rc"
#: What a person's token may do where nothing else is asked for; the role allows less.
USUAL_SCOPES: Final = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.AUDIT_READ)
_PERSON_SCOPES: Final = frozenset(
    {*USUAL_SCOPES, TokenScope.IMAGES_UPLOAD, TokenScope.MANAGE, TokenScope.STEP_UP}
)
_OPERATOR_SCOPES: Final = frozenset({TokenScope.PLATFORM, TokenScope.STEP_UP})


class Identity(Institutions):
    """Who there is, and who holds a token. Every change is an audit entry in its transaction.

    plain_receivers: take tokens of receivers that no key is proved for, as only the demo does (security.md section 5).
    """

    def __init__(
        self, database: Database, recorder: Recorder, keystore: Keystore, *, plain_receivers: bool = False
    ) -> None:
        super().__init__(database, recorder, keystore)
        self._plain_receivers = plain_receivers
        self.sessions = Sessions(database, recorder)

    def authenticate_session(self, cookie: str, *, seen: bool = True) -> Principal | None:
        """Whom a browser's cookie stands for, or None; seen: as `Sessions.authenticate` has it."""
        return self.sessions.authenticate(cookie, seen=seen)

    def create_person(self, institution: UUID, login: str, name: str, role: Role, *, by: Actor) -> Person:
        """Add a person to an institution. Raises `bad-request`, `already-exists`."""
        row = new_person(institution, login, name, role, store.ACTIVE)
        try:
            with self._database.begin(place_of(institution)) as tx:
                add_person(tx, self._recorder, row, by=by)
        except IntegrityError:
            raise WardlightError("already-exists", "the institution has a person of this login") from None
        return row

    def people(self, institution: UUID, *, by: Actor) -> list[Person]:
        """People of an institution; that they were shown is in its trail."""
        with self._database.begin(place_of(institution)) as tx:
            found = store.people(tx, institution)
            event = Event(Action.IDENTITY_PERSON_READ, by, counts={"results": len(found)})
            self._recorder.write(tx, log_of(institution), event)
        return found

    def person(self, institution: UUID, login: str) -> Person:
        """The person of this login. Raises `not-found`."""
        with self._database.read(institution) as tx:
            rows = store.people(tx, institution, login)
        if not rows:
            raise WardlightError("not-found", "there is no such person")
        return rows[0]

    def issue_person_token(
        self,
        person: Person,
        *,
        by: Actor,
        hours: float = PERSON_TOKEN_HOURS,
        scopes: Iterable[TokenScope] | None = None,
    ) -> str:
        """A bearer token of at most 24 hours; it is shown once and stored only as a digest.

        scopes: what it may be used for, of what the person's role allows; by default as much as is usual.
        """
        operator = person.role is Role.OPERATOR
        usual = (TokenScope.PLATFORM,) if operator else USUAL_SCOPES
        wanted = frozenset(usual if scopes is None else scopes)
        allowed = _OPERATOR_SCOPES if operator else _PERSON_SCOPES
        if not 0 < hours <= PERSON_TOKEN_HOURS or not wanted or not wanted <= allowed:
            raise WardlightError(
                "bad-request", "a person's token lives at most 24 hours and has known scopes"
            )
        return self._issue(
            TokenKind.PERSON, person.institution, person.id, wanted, timedelta(hours=hours), by
        )

    def create_receiver(self, institution: UUID, name: str, *, by: Actor) -> Receiver:
        """Register a receiver of an institution. Raises `bad-request`, `already-exists`."""
        printable(name, "name")
        row = Receiver(_new_id(_RECEIVER), institution, name, store.ACTIVE, clock.unix_ms())
        event = Event(Action.IDENTITY_RECEIVER_ENROL, by, target=Target("receiver", id=row.id))
        try:
            with self._database.begin(institution) as tx:
                store.add_receiver(tx, row)
                self._recorder.write(tx, institution, event)
        except IntegrityError:
            raise WardlightError("already-exists", "the institution has a receiver of this name") from None
        return row

    def receivers(self, institution: UUID) -> list[Receiver]:
        """Receivers of an institution."""
        with self._database.read(institution) as tx:
            return store.receivers(tx, institution)

    def issue_receiver_token(
        self, receiver: Receiver, *, by: Actor, days: float = RECEIVER_TOKEN_DAYS
    ) -> str:
        """A plain bearer token of a receiver, to try things out with: only the demo takes it."""
        if not 0 < days <= RECEIVER_TOKEN_DAYS:
            raise WardlightError(
                "bad-request", f"a receiver's token lives at most {RECEIVER_TOKEN_DAYS} days"
            )
        scopes = frozenset({TokenScope.RECEIVER_STORE, TokenScope.RECEIVER_AUDIT})
        return self._issue(
            TokenKind.RECEIVER, receiver.institution, receiver.id, scopes, timedelta(days=days), by
        )

    def revoke_tokens(self, institution: UUID, holder: str, *, by: Actor) -> int:
        """End all tokens of a person or receiver at once; returns how many lived."""
        with self._database.begin(place_of(institution)) as tx:
            count = store.revoke_tokens(tx, institution, holder, clock.unix_ms())
            kind = "receiver" if holder.startswith(f"{_RECEIVER}-") else "person"
            target = Target(kind, id=holder)
            event = Event(Action.IDENTITY_TOKEN_REVOKE, by, target=target, counts={"tokens": count})
            self._recorder.write(tx, log_of(institution), event)
        return count

    def authenticate(self, token: str, jkt: bytes | None = None) -> Principal | None:
        """Whom the token stands for, or None. Looked up by digest, so timing tells nothing of stored tokens.

        jkt: thumbprint of the key by which the request is proved to be signed; it must be the token's, if it has one.
        """
        kind = token_kind(token)
        if kind is None:
            return None
        with self._database.read(EVERYWHERE) as tx:
            row = store.find_token(tx, token_hash(token))
        if row is None or row.kind != kind.name.lower() or row.revoked_ms is not None or row.jkt != jkt:
            return None
        if row.expires_ms <= clock.unix_ms() or row.institution_state != store.ACTIVE:
            return None
        if kind is TokenKind.RECEIVER and jkt is None and not self._plain_receivers:
            return None
        return _principal(kind, row)

    def _issue(
        self,
        kind: TokenKind,
        institution: UUID,
        holder: str,
        scopes: frozenset[TokenScope],
        life: timedelta,
        by: Actor,
    ) -> str:
        token = new_token(kind)
        now = clock.now()
        expires = now + life
        named = sorted(scope.value for scope in scopes)
        event = Event(
            Action.IDENTITY_TOKEN_ISSUE,
            by,
            target=Target(kind.name.lower(), id=holder),
            detail={"kind": kind.name.lower(), "scopes": named, "expires": clock.timestamp(expires)},
        )
        values = {
            "id": uuid7(),
            "hash": token_hash(token),
            "kind": kind.name.lower(),
            "institution": institution,
            "holder": holder,
            "scopes": " ".join(named),
            "created_ms": int(now.timestamp() * 1000),
            "expires_ms": int(expires.timestamp() * 1000),
        }
        with self._database.begin(place_of(institution)) as tx:
            store.add_token(tx, values)
            self._recorder.write(tx, log_of(institution), event)
        return token


def actor_of(principal: Principal) -> Actor:
    """The principal as the audit trail names it."""
    role = principal.role.value if principal.role and not principal.person else ""
    return Actor(principal.kind.value, principal.id, role)


def behalf_of(principal: Principal) -> Actor | None:
    """The person for whom an application acts, in the role that they have."""
    if not principal.person:
        return None
    return Actor("person", principal.person, principal.role.value if principal.role else "")


def _principal(kind: TokenKind, row: store.TokenRow) -> Principal | None:
    """Whom a token that holds stands for; None where its holder does not."""
    found = Principal(
        PrincipalKind.PERSON,
        row.holder,
        row.institution,
        scopes=frozenset(row.scopes.split()),
        token_ref=base64url(hashlib.sha256(str(row.id).encode()).digest()[:16]),
        token=row.id,
    )
    if kind is TokenKind.PERSON and row.person_state == store.ACTIVE and row.role:
        return person_principal(
            row.holder,
            row.institution,
            Role(row.role),
            found.scopes,
            row.id,
            row.networks,
            step_up=TokenScope.STEP_UP in found.scopes,
        )
    if kind is TokenKind.VIEW and row.person_state == store.ACTIVE and row.role and row.study is not None:
        person = person_principal(
            row.holder, row.institution, Role(row.role), found.scopes, row.id, row.networks, step_up=False
        )
        return replace(person, purpose=row.purpose, study=row.study)
    if kind is TokenKind.RECEIVER and row.receiver_state == store.ACTIVE:
        return replace(found, kind=PrincipalKind.RECEIVER)
    user = not row.holder or row.person_state == store.ACTIVE
    if kind is TokenKind.APPLICATION and row.application and row.application_state == store.ACTIVE and user:
        role = Role(row.role) if row.holder and row.role else None
        return replace(
            found,
            kind=PrincipalKind.APPLICATION,
            id=row.application,
            role=role,
            purpose=row.purpose,
            person=row.holder,
        )
    return None


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(6)}"
