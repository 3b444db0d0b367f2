"""The OpenID provider: partner applications sign in their users, the institutions' people, with it (R9.1).

A sign-in (`oidc_login`) begins with an authorization code and ends with its last token: by time, sign-out, withdrawn
consent, a code or refresh token that comes twice. Everything that is given away rests on it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.egress import check_url
from wardlight.errors import WardlightError
from wardlight.identity import oidc_store as store
from wardlight.identity.clients import Client
from wardlight.identity.model import Principal
from wardlight.identity.oauth import ClientRequest, OAuthError
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_model import (
    CODE_S,
    LOGIN_S,
    Consent,
    Login,
    User,
)
from wardlight.identity.oidc_request import AuthorizationError, AuthorizationRequest, origin_of
from wardlight.identity.oidc_tokens import LoginTokens, claims_of
from wardlight.identity.tokens import TokenKind, token_hash, token_kind

#: Whether people of an institution may sign in to an application: who uses none of it has nothing to do there.
MaySignIn = Callable[[Connection, UUID, str], bool]

_VERIFIER_LENGTHS: Final = range(43, 129)


class Provider:
    """issuer: the platform's address, as it stands in id tokens. Every change is an audit entry in its transaction."""

    def __init__(
        self, database: Database, recorder: Recorder, keys: TokenKeys, issuer: str, may_sign_in: MaySignIn
    ) -> None:
        self._database = database
        self._recorder = recorder
        self.keys = keys
        self.issuer = issuer
        self._tokens = LoginTokens(recorder, keys, issuer)
        self._may_sign_in = may_sign_in

    # ---- the person agrees ----

    def may_sign_in(self, institution: UUID, application: str) -> bool:
        """Whether the institution uses the application now."""
        with self._database.read(institution) as tx:
            return self._may_sign_in(tx, institution, application)

    def needs_consent(self, principal: Principal, request: AuthorizationRequest) -> bool:
        """Whether the person has not agreed yet to all that is asked."""
        with self._database.read(principal.institution) as tx:
            known = store.consent(tx, principal.id, request.client.id)
        return request.ask_consent or known is None or not known.covers(request.scopes)

    def give_consent(
        self, principal: Principal, request: AuthorizationRequest, *, by: Actor, address: str, number: str
    ) -> None:
        """The person agrees to what is asked; what they agreed to before stays agreed."""
        assert principal.institution is not None
        with self._database.begin(principal.institution) as tx:
            known = store.consent(tx, principal.id, request.client.id)
            scopes = request.scopes
            if known is not None and known.withdrawn_ms is None:
                scopes = scopes | known.scopes
            subject = known.subject if known else base64url(secrets.token_bytes(18))
            row = Consent(
                principal.id, request.client.id, principal.institution, subject, scopes, clock.unix_ms()
            )
            store.give(tx, row)
            event = Event(
                Action.IDENTITY_CONSENT_GIVE,
                by,
                target=Target("application", id=request.client.id),
                purpose=request.purpose,
                address=address,
                request=number,
                token=principal.token_ref,
                detail={"scopes": sorted(scopes)},
            )
            self._recorder.write(tx, principal.institution, event)

    def withdraw_consent(
        self,
        institution: UUID,
        person: str,
        application: str,
        *,
        by: Actor,
        address: str = "",
        number: str = "",
    ) -> bool:
        """The person does not agree any longer: what the application has for them ends now. False: there was none."""
        with self._database.begin(institution) as tx:
            now = clock.unix_ms()
            if not store.withdraw(tx, person, application, now):
                return False
            logins = store.open_logins(tx, now, person, application_id=application)
            ended = store.end_logins(tx, logins, now, tell=True)
            event = Event(
                Action.IDENTITY_CONSENT_WITHDRAW,
                by,
                target=Target("application", id=application),
                address=address,
                request=number,
                counts={"tokens": ended},
            )
            self._recorder.write(tx, institution, event)
        return True

    def consents(self, principal: Principal, *, by: Actor, address: str, number: str) -> list[Consent]:
        """What the person agreed to and has not withdrawn; that they were shown it is in the trail."""
        assert principal.institution is not None
        with self._database.begin(principal.institution) as tx:
            found = [one for one in store.consents(tx, principal.id) if one.withdrawn_ms is None]
            event = Event(
                Action.IDENTITY_PERSON_READ,
                by,
                target=Target("person", id=principal.id),
                address=address,
                request=number,
                token=principal.token_ref,
                counts={"results": len(found)},
            )
            self._recorder.write(tx, principal.institution, event)
        return found

    def auth_ms(self, principal: Principal) -> int:
        """When the holder of a session here proved last who they are, in Unix milliseconds."""
        assert principal.token is not None
        with self._database.read(principal.institution) as tx:
            return store.auth_ms(tx, principal.token)

    # ---- the code ----

    def code(
        self,
        principal: Principal,
        request: AuthorizationRequest,
        auth_ms: int,
        *,
        by: Actor,
        address: str,
        number: str,
    ) -> str:
        """An authorization code for a person who agreed: good once, for a minute, for this client and address.

        Raises AuthorizationError where their session ended meanwhile.
        """
        assert principal.institution is not None and principal.token is not None
        code = secrets.token_urlsafe(32)
        now = clock.unix_ms()
        row = Login(
            id=uuid7(),
            institution=principal.institution,
            person=principal.id,
            application=request.client.id,
            session=principal.token,
            scopes=request.scopes,
            purpose=request.purpose,
            nonce=request.nonce,
            auth_ms=auth_ms,
            code=_digest(code),
            code_expires_ms=now + CODE_S * 1000,
            code_used_ms=None,
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            created_ms=now,
            expires_ms=now + LOGIN_S * 1000,
        )
        with self._database.begin(principal.institution) as tx:
            # Who signs out meanwhile is signed out of this application, too.
            if not store.hold_session(tx, row.session):
                raise AuthorizationError("login_required", "the person must sign in")
            store.add_login(tx, row)
            self._tokens.tell(tx, row, "code", row.scopes, row.code_expires_ms, by, address, number)
        return code

    def redeem(self, client: Client, request: ClientRequest, jkt: bytes | None = None) -> dict[str, Any]:
        """Exchange a code for tokens (RFC 6749 section 4.1.3), bound to a key where there is one. Raises OAuthError.

        A code that comes twice, or with anything that does not fit, ends its sign-in: somebody else may have it.
        """
        code, now = request.required("code"), clock.unix_ms()
        uri, verifier = request.required("redirect_uri"), request.required("code_verifier")
        self.keys.ensure()
        with self._database.read(EVERYWHERE) as tx:
            login = store.login_of_code(tx, _digest(code))
        if login is None:
            raise OAuthError("invalid_grant", "", "unknown-code")
        with self._database.begin(login.institution) as tx:
            login = store.lock_login(tx, login.id) or login
            reason = _misfit(login, client.id, uri, verifier, now)
            if not store.use_code(tx, login.id, now):
                reason = "code-reused"
            user = store.user(tx, login.person, login.application)
            reason = reason or self._lost(tx, login, user)
            if not reason and user is not None:
                return self._tokens.issue(tx, login, user, login.scopes, request, jkt, now)
            self._end(tx, login, reason, client.actor, request, now)
        raise OAuthError("invalid_grant", "", reason)

    # ---- refresh ----

    def refresh(self, client: Client, request: ClientRequest, jkt: bytes | None = None) -> dict[str, Any]:
        """Exchange a refresh token, which is good once, for new tokens (RFC 6749 section 6). Raises OAuthError.

        One that comes twice ends the whole sign-in: it was stolen before it was used, or after.
        """
        token, now = request.required("refresh_token"), clock.unix_ms()
        self.keys.ensure()
        with self._database.read(EVERYWHERE) as tx:
            known = token_kind(token) is TokenKind.REFRESH
            found = store.refresh(tx, token_hash(token)) if known else None
            login = store.login(tx, found.login) if found else None
        if found is None or login is None or login.application != client.id:
            raise OAuthError("invalid_grant", "", "unknown-refresh-token")
        scopes = found.scopes
        if "scope" in request.form:
            asked = frozenset(request.form["scope"].split())
            if not asked <= scopes:
                raise OAuthError("invalid_scope", "more than was given")
            scopes = asked
        with self._database.begin(login.institution) as tx:
            # What ends it waits for us, or we see that it has ended: no token is given out in between.
            login = store.lock_login(tx, login.id) or login
            reason = "" if found.jkt == jkt else "refresh-token-of-another-key"
            if not store.use_refresh(tx, found.id, now):
                reason = "refresh-token-reused"
            user = store.user(tx, login.person, login.application)
            reason = reason or self._lost(tx, login, user)
            if not reason and user is not None:
                return self._tokens.issue(tx, login, user, scopes, request, jkt, now)
            self._end(tx, login, reason, client.actor, request, now)
        raise OAuthError("invalid_grant", "", reason)

    # ---- who the user is ----

    def userinfo(self, principal: Principal, *, number: str, address: str) -> dict[str, Any] | None:
        """What the holder of a user's access token may know of the user (Core section 5.3); None where it is over."""
        assert principal.institution is not None
        with self._database.begin(principal.institution) as tx:
            user = store.user(tx, principal.person, principal.id)
            if user is None or not user.active:
                return None
            event = Event(
                Action.IDENTITY_PERSON_READ,
                Actor("application", principal.id),
                behalf=Actor("person", principal.person),
                target=Target("person", id=principal.person),
                address=address,
                request=number,
                token=principal.token_ref,
                counts={"results": 1},
            )
            self._recorder.write(tx, principal.institution, event)
        return claims_of(user, principal.scopes)

    def knows_origin(self, origin: str) -> bool:
        """Whether pages of this origin are of an active application that can keep no secret."""
        with self._database.read() as tx:
            return any(origin_of(uri) == origin for uri in store.public_redirects(tx))

    def set_logout_uri(self, application: str, uri: str, *, by: Actor) -> None:
        """Where the application is told that a user signed out; "" for nowhere. Raises `bad-request`, `not-found`."""
        try:
            uri = check_url(uri) if uri else ""
        except OSError:
            raise WardlightError("bad-request", "the address is not an https address") from None
        with self._database.begin() as tx:
            before = store.logout_uri(tx, application)
            if not store.set_logout_uri(tx, application, uri):
                raise WardlightError("not-found", "there is no such application")
            event = Event(
                Action.IDENTITY_APPLICATION_CHANGE,
                by,
                target=Target("application", id=application),
                change=(Change("logout_uri", before, uri),),
            )
            self._recorder.write(tx, None, event)

    # ---- ends ----

    def login(self, id_: UUID) -> Login | None:
        """The sign-in of this id, as id tokens name it by `sid`."""
        with self._database.read(EVERYWHERE) as tx:
            return store.login(tx, id_)

    def end(self, login: Login, *, by: Actor, address: str, number: str) -> None:
        """The person signs out of an application, while no session of theirs is open here."""
        with self._database.begin(login.institution) as tx:
            ended = store.end_logins(tx, [login.id], clock.unix_ms(), tell=True)
            event = Event(
                Action.IDENTITY_TOKEN_REVOKE,
                by,
                target=Target("application", id=login.application),
                address=address,
                request=number,
                counts={"tokens": ended},
            )
            self._recorder.write(tx, login.institution, event)

    def sweep(self) -> int:
        """Forget sign-ins that were over a day ago, and all tokens that were."""
        with self._database.begin(EVERYWHERE) as tx:
            return store.sweep(tx, clock.unix_ms() - 24 * 3600 * 1000)

    def _lost(self, tx: Connection, login: Login, user: User | None) -> str:
        """What a sign-in has lost that it stood on, or nothing."""
        if login.ended_ms is not None or login.expires_ms <= clock.unix_ms():
            return "sign-in-ended"
        if user is None or not user.active:
            return "user-inactive"
        if not self._may_sign_in(tx, login.institution, login.application):
            return "not-subscribed"
        return ""

    def _end(
        self, tx: Connection, login: Login, reason: str, by: Actor, request: ClientRequest, now: int
    ) -> None:
        ended = store.end_logins(tx, [login.id], now, tell=False)
        event = Event(
            Action.IDENTITY_TOKEN_REVOKE,
            by,
            outcome=Outcome.DENIED,
            reason=reason,
            behalf=Actor("person", login.person),
            target=Target("application", id=login.application),
            address=request.address,
            request=request.request,
            counts={"tokens": ended},
        )
        self._recorder.write(tx, login.institution, event)


def _misfit(login: Login, client: str, uri: str, verifier: str, now_ms: int) -> str:
    """What about a code does not fit, or nothing. Everything is compared in constant time."""
    if login.application != client:
        return "code-of-another-client"
    if login.code_expires_ms <= now_ms:
        return "code-expired"
    if not secrets.compare_digest(login.redirect_uri.encode(), uri.encode()):
        return "redirect-address"
    fits = len(verifier) in _VERIFIER_LENGTHS and verifier.isascii()
    challenge = base64url(sha256(verifier.encode()).digest())
    if not (secrets.compare_digest(challenge.encode(), login.challenge.encode()) and fits):
        return "code-verifier"
    return ""


def _digest(code: str) -> bytes:
    return sha256(code.encode("utf-8", "replace")).digest()
