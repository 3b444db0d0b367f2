"""Institutions, people, receivers, applications and the tokens by which they act."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import OPERATOR, Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity import store
from wardlight.identity.model import (
    Application,
    Institution,
    Person,
    Principal,
    PrincipalKind,
    Receiver,
    Role,
    TokenScope,
)
from wardlight.identity.tokens import TokenKind, new_token, token_hash, token_kind
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind

#: Longest life of a person's API token, in hours (security.md section 6).
PERSON_TOKEN_HOURS: Final = 24
#: Life of a receiver's token until receivers enrol with a key of their own, in days.
RECEIVER_TOKEN_DAYS: Final = 365

#: Who acts when the machine's administrator uses the command line.
LOCAL_ADMINISTRATOR: Final = Actor("operator", "local-admin")

# Beginnings of ids.
_PERSON: Final = "u"
_RECEIVER: Final = "rc"
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_APPLICATION_ID: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
#: What a person's token may do where nothing else is asked for; the role allows less.
USUAL_SCOPES: Final = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.AUDIT_READ)
_PERSON_SCOPES: Final = frozenset({*USUAL_SCOPES, TokenScope.STEP_UP})


class Identity:
    """Who there is, and who holds a token. Every change is an audit entry in its transaction."""

    def __init__(self, database: Database, recorder: Recorder, keystore: Keystore) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore

    def create_institution(self, slug: str, name: str, region: str, *, by: Actor) -> Institution:
        """Make a tenant with its keys and its audit log. Raises `bad-request`, `already-exists`."""
        if not _SLUG.fullmatch(slug) or slug == OPERATOR:
            raise WardlightError("bad-request", "a slug is 1 to 40 of a-z, 0-9 and inner hyphens")
        _printable(name, "name")
        row = Institution(uuid4(), slug, name, region, store.ACTIVE, clock.unix_ms())
        # Keys come first: a row must never name an institution whose data could not be sealed.
        self._keystore.ensure_institution(row.id)
        for kind in (KeyKind.BLIND_INDEX, KeyKind.AUDIT_REFERENCE):
            self._keystore.institution_key(row.id, kind)
        event = Event(
            Action.PLATFORM_INSTITUTION_CREATE,
            by,
            target=Target("institution", id=str(row.id)),
            request=secrets.token_hex(16),
            detail={"region": region},
        )
        try:
            with self._database.begin(EVERYWHERE) as tx:
                store.add_institution(tx, row)
                self._recorder.open_log(tx, row.id, slug)
                self._recorder.write_to_all(tx, (row.id, None), event)
        except IntegrityError:
            raise WardlightError("already-exists", "an institution has this slug") from None
        return row

    def institution(self, slug_or_id: str) -> Institution:
        """The institution of this slug or id. Raises `not-found`."""
        with self._database.read(EVERYWHERE) as tx:
            try:
                rows = store.institutions(tx, id_=UUID(slug_or_id))
            except ValueError:
                rows = store.institutions(tx, slug=slug_or_id)
        if not rows:
            raise WardlightError("not-found", "there is no such institution")
        return rows[0]

    def institutions(self) -> list[Institution]:
        """All institutions."""
        with self._database.read(EVERYWHERE) as tx:
            return store.institutions(tx)

    def create_person(self, institution: UUID, login: str, name: str, role: Role, *, by: Actor) -> Person:
        """Add a person to an institution. Raises `bad-request`, `already-exists`."""
        _printable(login, "login")
        _printable(name, "name")
        # As bundles of the trail hold it: else what commits to the name and what names it would not fit.
        name = unicodedata.normalize("NFC", name)
        row = Person(_new_id(_PERSON), institution, login, name, role, store.ACTIVE, clock.unix_ms())
        salt = os.urandom(16)
        # The trail holds a commitment to the name, not the name, so that erasing the row forgets it.
        commitment = base64url(hashlib.sha256(salt + name.encode()).digest())
        event = Event(
            Action.IDENTITY_PERSON_CREATE, by, target=Target("person", id=row.id), detail={"name": commitment}
        )
        try:
            with self._database.begin(institution) as tx:
                store.add_person(tx, row, salt)
                self._recorder.write(tx, institution, event)
        except IntegrityError:
            raise WardlightError("already-exists", "the institution has a person of this login") from None
        return row

    def people(self, institution: UUID, *, by: Actor) -> list[Person]:
        """People of an institution; that they were shown is in its trail."""
        with self._database.begin(institution) as tx:
            found = store.people(tx, institution)
            event = Event(Action.IDENTITY_PERSON_READ, by, counts={"results": len(found)})
            self._recorder.write(tx, institution, event)
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
        scopes: Iterable[TokenScope] = USUAL_SCOPES,
    ) -> str:
        """A bearer token of at most 24 hours; it is shown once and stored only as a digest."""
        wanted = frozenset(scopes)
        if not 0 < hours <= PERSON_TOKEN_HOURS or not wanted or not wanted <= _PERSON_SCOPES:
            raise WardlightError(
                "bad-request", "a person's token lives at most 24 hours and has known scopes"
            )
        return self._issue(
            TokenKind.PERSON, person.institution, person.id, wanted, timedelta(hours=hours), by
        )

    def create_receiver(self, institution: UUID, name: str, *, by: Actor) -> Receiver:
        """Register a receiver of an institution. Raises `bad-request`, `already-exists`."""
        _printable(name, "name")
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
        """A token with which a receiver may store into its own institution, and send its part of the audit trail."""
        if not 0 < days <= RECEIVER_TOKEN_DAYS:
            raise WardlightError(
                "bad-request", f"a receiver's token lives at most {RECEIVER_TOKEN_DAYS} days"
            )
        scopes = frozenset({TokenScope.RECEIVER_STORE, TokenScope.RECEIVER_AUDIT})
        return self._issue(
            TokenKind.RECEIVER, receiver.institution, receiver.id, scopes, timedelta(days=days), by
        )

    def create_application(self, id_: str, name: str, vendor: str, *, by: Actor) -> Application:
        """Register a partner application. Raises `bad-request`, `already-exists`."""
        if not _APPLICATION_ID.fullmatch(id_):
            raise WardlightError("bad-request", "an application id is 1 to 64 of a-z, 0-9, _ . -")
        _printable(name, "name")
        _printable(vendor, "vendor")
        row = Application(id_, name, vendor, store.ACTIVE, clock.unix_ms())
        event = Event(Action.IDENTITY_APPLICATION_REGISTER, by, target=Target("application", id=id_))
        try:
            with self._database.begin() as tx:
                store.add_application(tx, row)
                self._recorder.write(tx, None, event)
        except IntegrityError:
            raise WardlightError("already-exists", "an application has this id") from None
        return row

    def applications(self) -> list[Application]:
        """All registered applications."""
        with self._database.read() as tx:
            return store.applications(tx)

    def revoke_tokens(self, institution: UUID, holder: str, *, by: Actor) -> int:
        """End all tokens of a person or receiver at once; returns how many lived."""
        with self._database.begin(institution) as tx:
            count = store.revoke_tokens(tx, institution, holder, clock.unix_ms())
            kind = "receiver" if holder.startswith(f"{_RECEIVER}-") else "person"
            target = Target(kind, id=holder)
            event = Event(Action.IDENTITY_TOKEN_REVOKE, by, target=target, counts={"tokens": count})
            self._recorder.write(tx, institution, event)
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
        with self._database.begin(institution) as tx:
            store.add_token(tx, values)
            self._recorder.write(tx, institution, event)
        return token


def actor_of(principal: Principal) -> Actor:
    """The principal as the audit trail names it."""
    return Actor(principal.kind.value, principal.id, principal.role.value if principal.role else "")


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
        return replace(found, role=Role(row.role))
    if kind is TokenKind.RECEIVER and row.receiver_state == store.ACTIVE:
        return replace(found, kind=PrincipalKind.RECEIVER)
    user = not row.holder or row.person_state == store.ACTIVE
    if kind is TokenKind.APPLICATION and row.application and row.application_state == store.ACTIVE and user:
        return replace(found, kind=PrincipalKind.APPLICATION, id=row.application, purpose=row.purpose)
    return None


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(6)}"


def _printable(text: str, what: str) -> None:
    if not 0 < len(text) <= 200 or not text.isprintable():
        raise WardlightError("bad-request", f"{what} must be 1 to 200 printable characters")
