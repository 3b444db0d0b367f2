"""Access tokens of clients: given out for one institution and one purpose, asked about, and ended.

They are opaque and short (security.md section 6): whoever serves a request looks its token up, so that what ends it
ends it for the next request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.identity import application_store, oidc_store, store
from wardlight.identity.application_model import Application
from wardlight.identity.clients import Client
from wardlight.identity.jose import encode
from wardlight.identity.model import PrincipalKind, TokenScope
from wardlight.identity.oauth import ClientRequest, OAuthError
from wardlight.identity.tokens import TokenKind, new_token, token_hash, token_kind

#: Lives of access tokens (security.md section 6).
APPLICATION_TOKEN: Final = timedelta(minutes=10)
RECEIVER_TOKEN: Final = timedelta(minutes=5)
#: Of one that whoever administers the machine gives out.
GIVEN_TOKEN: Final = timedelta(hours=24)
#: What a receiver's token is for, unless it is for collecting: no token both writes and reads (security.md section 5).
RECEIVER_SCOPES: Final = frozenset({TokenScope.RECEIVER_STORE.value, TokenScope.RECEIVER_AUDIT.value})
_COLLECT: Final = frozenset({TokenScope.RECEIVER_COLLECT.value})


class AccessTokens:
    """Issues tokens to clients that have proved who they are; each is an entry in its institution's trail."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def issue(
        self,
        client: Client,
        institution: UUID,
        *,
        scopes: Iterable[str],
        purpose: str,
        jkt: bytes | None,
        request: ClientRequest,
        person: str = "",
    ) -> tuple[str, int]:
        """A new token and its life in seconds. jkt: thumbprint of the key that it is bound to. person: whose it is, if
        a user's of the application."""
        receiver = client.kind is PrincipalKind.RECEIVER
        kind = TokenKind.RECEIVER if receiver else TokenKind.APPLICATION
        life = RECEIVER_TOKEN if receiver else APPLICATION_TOKEN
        event = Event(
            Action.IDENTITY_TOKEN_ISSUE,
            client.actor,
            target=Target("person", id=person) if person else Target(client.kind.value, id=client.id),
            purpose=purpose,
            address=request.address,
            request=request.request,
        )
        holder, application = (client.id, None) if receiver else (person, client.id)
        return self._add(kind, institution, holder, application, scopes, jkt, life, event)

    def give(self, application: Application, institution: UUID, *, purpose: str, by: Actor) -> str:
        """A plain bearer token of a day for all that the application may, to try things out with."""
        target = Target(PrincipalKind.APPLICATION.value, id=application.id)
        event = Event(Action.IDENTITY_TOKEN_ISSUE, by, target=target, purpose=purpose)
        kind, scopes = TokenKind.APPLICATION, application.scopes
        return self._add(kind, institution, "", application.id, scopes, None, GIVEN_TOKEN, event)[0]

    def _add(
        self,
        kind: TokenKind,
        institution: UUID,
        holder: str,
        application: str | None,
        scopes: Iterable[str],
        jkt: bytes | None,
        life: timedelta,
        event: Event,
    ) -> tuple[str, int]:
        """event: of the issuing, in which only what is said of the token is missing."""
        now = clock.now()
        token, named = new_token(kind), sorted(scopes)
        row = {
            "id": uuid7(),
            "hash": token_hash(token),
            "kind": kind.name.lower(),
            "institution": institution,
            "holder": holder,
            "scopes": " ".join(named),
            "created_ms": int(now.timestamp() * 1000),
            "expires_ms": int((now + life).timestamp() * 1000),
            "application": application,
            "purpose": event.purpose,
            "jkt": jkt,
        }
        told = {"kind": kind.name.lower(), "scopes": named, "expires": clock.timestamp(now + life)}
        with self._database.begin(institution) as tx:
            store.add_token(tx, row)
            self._recorder.write(tx, institution, replace(event, detail=told))
        return token, int(life.total_seconds())

    def introspect(self, client: Client, token: str) -> dict[str, Any]:
        """What the client's own token stands for (RFC 7662 section 2.2); of any other it learns nothing."""
        row = user = None
        if token_kind(token) is TokenKind.APPLICATION:
            with self._database.read(EVERYWHERE) as tx:
                row = application_store.token_of(tx, client.id, token_hash(token))
                user = oidc_store.user(tx, row.holder, client.id) if row and row.holder else None
        if row is None or row.revoked_ms is not None or row.expires_ms <= clock.unix_ms():
            return {"active": False}
        if row.holder and not (user and user.active):
            return {"active": False}
        found = {
            "active": True,
            "client_id": client.id,
            # A user is known by the name that only this application has for them.
            "sub": user.subject if user else client.id,
            "scope": row.scopes,
            "token_type": "DPoP" if row.jkt else "Bearer",
            "iat": row.created_ms // 1000,
            "exp": row.expires_ms // 1000,
            "institution": row.slug,
            "purpose_of_use": row.purpose,
        }
        return found | ({"cnf": {"jkt": encode(row.jkt)}} if row.jkt else {})

    def revoke(self, client: Client, token: str, *, request: ClientRequest) -> None:
        """End the client's own token; any other is left alone, and nothing tells the difference (RFC 7009)."""
        digest = token_hash(token)
        with self._database.begin(EVERYWHERE) as tx:
            row = application_store.token_of(tx, client.id, digest)
            now = clock.unix_ms()
            if row is not None and row.login:
                oidc_store.lock_login(tx, row.login)  # First, as whoever gives out tokens of it does.
            if row is None or not application_store.end_tokens(tx, client.id, now, digest):
                return
            if row.login:
                # The user is signed out of the application, whichever of its tokens came back (RFC 7009 section 2.1).
                oidc_store.end_logins(tx, [row.login], now, tell=False)
            event = Event(
                Action.IDENTITY_TOKEN_REVOKE,
                client.actor,
                target=Target("application", id=client.id),
                address=request.address,
                request=request.request,
                counts={"tokens": 1},
            )
            self._recorder.write(tx, row.institution, event)


def application_scopes(client: Client, asked: str) -> frozenset[str]:
    """The scopes of an application's token: what it asks for, or all that it is registered for. Raises OAuthError."""
    assert client.application is not None
    allowed = client.application.scopes
    wanted = frozenset(asked.split()) or allowed
    if not wanted or not wanted <= allowed:
        raise OAuthError("invalid_scope", "the application is not registered for all of these scopes")
    return wanted


def receiver_scopes(asked: str) -> frozenset[str]:
    """The scopes of a receiver's token: storing and its part of the trail, or collecting. Raises OAuthError."""
    wanted = frozenset(asked.split()) or RECEIVER_SCOPES
    if wanted != _COLLECT and not wanted <= RECEIVER_SCOPES:
        raise OAuthError("invalid_scope", "a receiver's token stores, or it collects")
    return wanted
