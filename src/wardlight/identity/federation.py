"""Sign-in by an institution's own OpenID provider, at which the platform is a client (R9.1).

Code with PKCE and nonce. A sign-in is bound to one browser by a cookie, from which verifier and nonce are derived, and
to one institution by its state and by a redirect address of its own: what another provider sends back fits neither.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Change, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.egress import Egress, check_url, is_loopback, reason_of
from wardlight.errors import WardlightError
from wardlight.identity import federation_store as store
from wardlight.identity.clients import ASSERTION
from wardlight.identity.federation_people import admit
from wardlight.identity.federation_store import Attempt, Federation
from wardlight.identity.federation_tokens import (
    FederationRefused,
    Metadata,
    auth_ms,
    has_value,
    parse_metadata,
    parse_tokens,
    verify,
)
from wardlight.identity.model import OPERATORS, Institution, Role
from wardlight.identity.oauth import FORM
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_request import with_parameters
from wardlight.identity.service import Identity
from wardlight.identity.sessions import WHOLE_MS, Opened
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label, bind
from wardlight.keys.wrap import KeyKind

#: How long a person may take at the provider, in milliseconds.
ATTEMPT_MS: Final = 10 * 60_000
_ASSERTION_S: Final = 60
#: Visits of one institution's people that wait for its provider at a time, in a process: of the threads that all have.
_AT_ONCE: Final = 4
_CLAIM: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}", re.ASCII)
_DISCOVERY: Final = "/.well-known/openid-configuration"
_SECRET_BYTES: Final = range(8, 513)


@dataclass(frozen=True, slots=True)
class Departure:
    """A browser leaves for the provider of an institution: where to, and the secret that it keeps meanwhile."""

    institution: str
    url: str
    secret: str = field(repr=False)


class Federations:
    """base_url: the platform's address. Every change is an audit entry, every sign-in and every refusal, too."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        denials: Denials,
        keystore: Keystore,
        identity: Identity,
        keys: TokenKeys,
        egress: Egress,
        base_url: str,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._denials = denials
        self._keystore = keystore
        self._identity = identity
        self.keys = keys
        self._egress = egress
        self._base_url = base_url
        self._turns: dict[UUID, threading.BoundedSemaphore] = {}

    # ---- configuration ----

    def set(
        self,
        institution: UUID,
        issuer: str,
        client_id: str,
        *,
        secret: str | None = None,
        login_claim: str = "preferred_username",
        required: tuple[str, str] = ("", ""),
        default_role: Role | None = None,
        by: Actor,
    ) -> Federation:
        """Let people of the institution sign in by its provider, in the place of the one before. Raises `bad-request`.

        secret: None where the platform proves itself by a signature. required: a claim, and the value that it must have
        or hold. default_role: of those who come without an invitation; None: they stay out.
        """
        _require_issuer(issuer)
        if institution == OPERATORS or default_role is Role.OPERATOR:
            raise WardlightError("bad-request", "operators sign in here only")
        if not 0 < len(client_id) <= 200 or not client_id.isprintable():
            raise WardlightError("bad-request", "client id must be 1 to 200 printable characters")
        claims = [login_claim, *(name for name in required[:1] if any(required))]
        if not all(map(_CLAIM.fullmatch, claims)) or len(required[1]) > 200:
            raise WardlightError("bad-request", "a claim is 1 to 64 of letters, digits and _ . : / -")
        if secret is not None and len(secret.encode()) not in _SECRET_BYTES:
            raise WardlightError("bad-request", "the secret must be 8 to 512 bytes")
        row = Federation(
            institution,
            issuer,
            client_id,
            self._seal(institution, secret),
            login_claim,
            *required,
            default_role.value if default_role else "",
            clock.unix_ms(),
        )
        changes = (
            Change("issuer", after=issuer),
            Change("client_id", after=client_id),
            Change("secret"),
            Change("login_claim", after=login_claim),
            Change("default_role", after=row.default_role),
        )
        with self._database.begin(institution) as tx:
            store.put(tx, row)
            event = Event(
                Action.IDENTITY_FEDERATION_CHANGE,
                by,
                target=Target("institution", id=str(institution)),
                change=changes,
            )
            self._recorder.write(tx, institution, event)
        return row

    def show(self, institution: UUID) -> Federation:
        """The institution's provider. Raises `not-found`."""
        with self._database.read(institution) as tx:
            row = store.find(tx, institution)
        if row is None:
            raise WardlightError("not-found", "the institution has no provider of its own")
        return row

    def redirect_uri(self, institution: Institution) -> str:
        """Where the provider sends browsers back to: each institution has an address of its own."""
        return f"{self._base_url}/federation/{institution.slug}/callback"

    def remove(self, institution: UUID, *, by: Actor) -> None:
        """Nobody signs in by the provider any more; who has signed in stays so. Raises `not-found`."""
        with self._database.begin(institution) as tx:
            if not store.remove(tx, institution):
                raise WardlightError("not-found", "the institution has no provider of its own")
            event = Event(
                Action.IDENTITY_FEDERATION_CHANGE,
                by,
                target=Target("institution", id=str(institution)),
                change=(Change("issuer", after=""),),
            )
            self._recorder.write(tx, institution, event)

    # ---- signing in ----

    def begin(self, slug: str, return_to: str, *, again: bool = False) -> Departure:
        """Send a browser to the provider of this institution. Raises FederationRefused, `not-found`.

        return_to: path of ours to go on at. again: the person must prove who they are, even if they just did.
        """
        institution = self._identity.institution(slug)
        config = self.show(institution.id)
        with self._turn(institution.id):
            metadata = self._metadata(config)
        try:
            entrance = check_url(metadata.authorization_endpoint)
        except OSError:
            raise FederationRefused("metadata") from None
        state, secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        row = Attempt(institution.id, _digest(secret), config.issuer, return_to, clock.unix_ms() + ATTEMPT_MS)
        with self._database.begin(institution.id) as tx:
            store.add_attempt(tx, _digest(state), row)
        parameters = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": self.redirect_uri(institution),
            "scope": "openid profile email",
            "state": state,
            "nonce": _derived(secret, "nonce", state),
            "code_challenge": base64url(sha256(_derived(secret, "verifier", state).encode()).digest()),
            "code_challenge_method": "S256",
            # Asks for `auth_time`, by which it is known how fresh the proof is.
            "max_age": str(WHOLE_MS // 1000),
            "prompt": "login" if again else None,
        }
        return Departure(institution.name, with_parameters(entrance, parameters), secret)

    def finish(
        self, slug: str, query: Mapping[str, str], secret: str, *, address: str, number: str
    ) -> tuple[Opened, str]:
        """A browser is back from the provider: its session, and the path to go on at. Raises FederationRefused."""
        institution = self._identity.institution(slug)
        try:
            with self._turn(institution.id):
                with self._database.begin(institution.id) as tx:
                    attempt = store.take_attempt(tx, institution.id, _digest(query.get("state", "")))
                claims = self._claims(institution, attempt, query, secret)
            assert attempt is not None
            return self._enter(institution, claims, address=address, number=number), attempt.return_to
        except FederationRefused as error:
            event = Event(
                Action.IDENTITY_SESSION_LOGIN,
                Actor("anonymous", "-"),
                outcome=Outcome.DENIED,
                reason=error.reason,
                address=address,
                request=number,
            )
            self._denials.record(institution.id, event)
            raise

    def sweep(self) -> int:
        """Forget sign-ins that never came back."""
        with self._database.begin(EVERYWHERE) as tx:
            return store.sweep(tx, clock.unix_ms())

    @contextmanager
    def _turn(self, institution: UUID) -> Iterator[None]:
        """A provider that keeps its people waiting keeps nobody else: they come again. Raises FederationRefused."""
        turn = self._turns.setdefault(institution, threading.BoundedSemaphore(_AT_ONCE))
        if not turn.acquire(blocking=False):
            raise FederationRefused("busy")
        try:
            yield
        finally:
            turn.release()

    def _claims(
        self, institution: Institution, attempt: Attempt | None, query: Mapping[str, str], secret: str
    ) -> dict[str, Any]:
        if attempt is None or attempt.expires_ms <= clock.unix_ms():
            raise FederationRefused("state")
        if not hmac.compare_digest(attempt.browser, _digest(secret)):
            raise FederationRefused("browser")
        config = self.show(institution.id)
        if attempt.issuer != config.issuer:
            raise FederationRefused("mix-up")
        metadata = self._metadata(config)
        # RFC 9207 section 2.4.
        if query.get("iss", "" if metadata.names_itself else config.issuer) != config.issuer:
            raise FederationRefused("mix-up")
        if "error" in query or not query.get("code"):
            raise FederationRefused("error")
        state = query["state"]
        form = {
            "grant_type": "authorization_code",
            "code": query["code"],
            "redirect_uri": self.redirect_uri(institution),
            "code_verifier": _derived(secret, "verifier", state),
        }
        token = parse_tokens(self._exchange(config, metadata, form))
        keys = self._fetch(metadata.jwks_uri)
        claims = verify(
            token,
            keys,
            issuer=config.issuer,
            client_id=config.client_id,
            nonce=_derived(secret, "nonce", state),
            now_s=clock.unix_ms() / 1000,
        )
        if config.required_claim and not has_value(claims, config.required_claim, config.required_value):
            raise FederationRefused("not-of-the-institution")
        return claims

    def _enter(
        self, institution: Institution, claims: Mapping[str, Any], *, address: str, number: str
    ) -> Opened:
        """The person of these claims has a session from now on."""
        config = self.show(institution.id)
        stepped = auth_ms(claims, clock.unix_ms())
        try:
            with self._database.begin(institution.id) as tx:
                person = admit(tx, self._recorder, institution, config, claims, address)
                opened = self._identity.sessions.open(
                    tx, institution.id, person, "federation", address, stepped_ms=stepped
                )
                event = Event(
                    Action.IDENTITY_SESSION_LOGIN,
                    Actor("person", person),
                    address=address,
                    request=number,
                    detail={"method": "federation"},
                )
                self._recorder.write(tx, institution.id, event)
        except IntegrityError:
            # Another sign-in of the same person was first.
            raise FederationRefused("other-subject") from None
        return opened

    # ---- talking to the provider ----

    def _metadata(self, config: Federation) -> Metadata:
        return parse_metadata(self._fetch(config.issuer.rstrip("/") + _DISCOVERY), config.issuer)

    def _fetch(self, url: str) -> bytes:
        try:
            reply = self._egress.send("GET", url, headers={"Accept": "application/json"})
        except OSError as error:
            raise FederationRefused(reason_of(error)) from None
        if reply.status != 200:
            raise FederationRefused(f"status-{reply.status}")
        return reply.body

    def _exchange(self, config: Federation, metadata: Metadata, form: dict[str, str]) -> bytes:
        headers = {"Accept": "application/json", "Content-Type": FORM}
        if config.secret is None:
            form |= {"client_assertion_type": ASSERTION, "client_assertion": self._assertion(config)}
            form |= {"client_id": config.client_id}
        else:
            # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
            secret = self._unseal(config.institution, config.secret)
            pair = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        try:
            reply = self._egress.send("POST", metadata.token_endpoint, urlencode(form).encode(), headers)
        except OSError as error:
            raise FederationRefused(reason_of(error)) from None
        if reply.status != 200:
            raise FederationRefused("code-refused")
        return reply.body

    def _assertion(self, config: Federation) -> str:
        """RFC 7523 section 3, made out to the issuer."""
        now = clock.unix_ms() // 1000
        claims = {
            "iss": config.client_id,
            "sub": config.client_id,
            "aud": config.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + _ASSERTION_S,
        }
        return self.keys.sign("JWT", claims)

    def _seal(self, institution: UUID, secret: str | None) -> bytes | None:
        if secret is None:
            return None
        _, key = self._keystore.institution_key(institution, KeyKind.ACCOUNT)
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(
            nonce, secret.encode(), bind(Label.CLIENT_SECRET, institution.bytes)
        )

    def _unseal(self, institution: UUID, sealed: bytes) -> str:
        _, key = self._keystore.institution_key(institution, KeyKind.ACCOUNT)
        context = bind(Label.CLIENT_SECRET, institution.bytes)
        try:
            return AESGCM(key).decrypt(sealed[:12], sealed[12:], context).decode()
        except InvalidTag:
            raise WardlightError("wrong-key", "the client secret does not open") from None


def _derived(secret: str, what: str, state: str) -> str:
    """Nonce and PKCE verifier: who has not the browser's secret cannot make them, and nobody need keep them."""
    return base64url(hmac.digest(secret.encode(), f"{what}\0{state}".encode(), "sha256"))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "replace")).digest()


def _require_issuer(issuer: str) -> None:
    try:
        check_url(issuer)
    except OSError:
        raise WardlightError("bad-request", "the issuer is not an https address") from None
    parts = urlsplit(issuer)
    if parts.query or (parts.scheme == "http" and not is_loopback(parts.hostname or "")):
        raise WardlightError("bad-request", "an issuer is https, without a query")
