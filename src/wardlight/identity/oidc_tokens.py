"""The tokens of one sign-in to an application: id token, access token, refresh token, and what they say of the user."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.ids import uuid7
from wardlight.identity import oidc_store as store
from wardlight.identity import store as identity_store
from wardlight.identity.oauth import ClientRequest
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_model import ACCESS_TOKEN_S, ID_TOKEN_S, Login, User
from wardlight.identity.oidc_request import IMAGES, OPENID, PROFILE
from wardlight.identity.tokens import TokenKind, new_token, token_hash


class LoginTokens:
    """Issues them within a transaction of the caller; the first signing key must be there (`TokenKeys.ensure`)."""

    def __init__(self, recorder: Recorder, keys: TokenKeys, issuer: str) -> None:
        self._recorder = recorder
        self._keys = keys
        self._issuer = issuer

    def issue(
        self,
        tx: Connection,
        login: Login,
        user: User,
        scopes: frozenset[str],
        request: ClientRequest,
        jkt: bytes | None,
        now: int,
    ) -> dict[str, Any]:
        """All of them, as RFC 6749 section 5.1 answers. jkt: thumbprint of the key that they are bound to."""
        access, refresh = new_token(TokenKind.APPLICATION), new_token(TokenKind.REFRESH)
        ends = min(now + ACCESS_TOKEN_S * 1000, login.expires_ms)
        self._add(tx, login, access, "application", scopes, jkt, now, ends)
        self._add(tx, login, refresh, store.REFRESH, login.scopes, jkt, now, login.expires_ms)
        by = Actor("application", login.application)
        self.tell(tx, login, "application", scopes, ends, by, request.address, request.request)
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "DPoP" if jkt else "Bearer",
            "expires_in": (ends - now) // 1000,
            "refresh_token": refresh,
            "scope": " ".join(sorted(scopes)),
        }
        if OPENID in scopes:
            answer["id_token"] = self._keys.sign("JWT", self._id_claims(login, user, scopes, access, now))
        return answer

    def _id_claims(
        self, login: Login, user: User, scopes: frozenset[str], access: str, now: int
    ) -> dict[str, Any]:
        """Core section 2. `sid`: this sign-in's own id, as logout tokens name it."""
        claims = {
            **claims_of(user, scopes),
            "iss": self._issuer,
            "aud": login.application,
            "iat": now // 1000,
            "exp": now // 1000 + ID_TOKEN_S,
            "auth_time": login.auth_ms // 1000,
            "sid": login.id.hex,
            "at_hash": base64url(sha256(access.encode()).digest()[:16]),
        }
        return claims | ({"nonce": login.nonce} if login.nonce else {})

    def _add(
        self,
        tx: Connection,
        login: Login,
        token: str,
        kind: str,
        scopes: frozenset[str],
        jkt: bytes | None,
        now: int,
        ends: int,
    ) -> None:
        values = {
            "id": uuid7(),
            "hash": token_hash(token),
            "kind": kind,
            "institution": login.institution,
            "holder": login.person,
            "scopes": " ".join(sorted(scopes)),
            "created_ms": now,
            "expires_ms": ends,
            "application": login.application,
            "purpose": login.purpose if IMAGES in scopes else "",
            "jkt": jkt,
            "login": login.id,
        }
        identity_store.add_token(tx, values)

    def tell(
        self,
        tx: Connection,
        login: Login,
        kind: str,
        scopes: frozenset[str],
        ends: int,
        by: Actor,
        address: str,
        number: str,
    ) -> None:
        """Say in the trail that a code, or tokens, were given out."""
        behalf = Actor("person", login.person) if by.kind == "application" else None
        event = Event(
            Action.IDENTITY_TOKEN_ISSUE,
            by,
            behalf=behalf,
            target=Target("application", id=login.application),
            purpose=login.purpose if IMAGES in scopes else "",
            address=address,
            request=number,
            detail={"kind": kind, "scopes": sorted(scopes), "expires": clock.timestamp_ms(ends)},
        )
        self._recorder.write(tx, login.institution, event)


def claims_of(user: User, scopes: frozenset[str]) -> dict[str, Any]:
    """What an application with these scopes may know of a user (docs/reference/openid.md)."""
    claims = {"sub": user.subject, "institution": user.institution}
    if PROFILE in scopes:
        claims |= {"name": user.name, "preferred_username": user.login, "role": user.role}
    return claims
