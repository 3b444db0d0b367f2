"""How a client proves who it is at the token endpoint and its neighbours (RFC 6749 section 2.3, RFC 7523).

An application shows an assertion that it signed, or its secret; a receiver always an assertion by the key that it
enrolled. Nothing about the request is believed before that, and nothing that it says of itself chooses a key but its
`kid`, among those that the client registered.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard
from urllib.parse import unquote_plus
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.identity import application_store, receiver_store
from wardlight.identity.application_model import Application, AuthMethod
from wardlight.identity.jose import JoseRefused, Unverified, public_key, read, thumbprint
from wardlight.identity.lockout import network
from wardlight.identity.model import PrincipalKind
from wardlight.identity.oauth import ClientRequest, OAuthError
from wardlight.identity.rates import Rates
from wardlight.identity.store import ACTIVE
from wardlight.identity.tokens import token_hash

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Longest life of an assertion, in seconds, of an application and of a receiver (security.md sections 5 and 6).
ASSERTION_S: Final = 300
RECEIVER_ASSERTION_S: Final = 60
#: A client's clock may be ahead by so many seconds.
_AHEAD_S: Final = 5
#: Requests of a client in a minute; of failures, from one address for one client.
_RATE: Final = 60
_RATE_S: Final = 60
_TYPES: Final = frozenset({"", "JWT", "client-authentication+jwt"})
_MEMBERS: Final = frozenset({"kid"})
_MOST_JTI: Final = 256
#: Claims that tell from when an assertion is good.
_BEGUN: Final = ("iat", "nbf")


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who proved who it is. institution, jkt: of a receiver, its own and the thumbprint of its key.

    application: None for a receiver. public: it proved nothing, as an application that can keep no secret.
    """

    kind: PrincipalKind
    id: str
    application: Application | None = None
    institution: UUID | None = None
    jkt: bytes | None = None
    public: bool = False

    @property
    def actor(self) -> Actor:
        """The client as the audit trail names it."""
        return Actor(self.kind.value, self.id)


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that an assertion may be by."""

    client: Client
    kid: str
    jwk: Mapping[str, Any]
    algorithm: str
    seconds: int


class Clients:
    """Knows clients by their proofs. Each proof is taken once; each refusal is in the trail."""

    def __init__(self, database: Database, denials: Denials, rates: Rates) -> None:
        self._database = database
        self._denials = denials
        self._rates = rates

    def authenticate(self, request: ClientRequest) -> Client:
        """The client that the request is of. Raises OAuthError, and `rate-limited`.

        A public application is let in as one: the caller decides whether that is enough.
        """
        claimed = ""
        try:
            claimed, client = self._client(request)
        except OAuthError as error:
            self._count_failure(request, error)
            self.refuse(request, None, error)
            raise
        # Anybody may call themselves a public application: they use up what is their own network's.
        key = f"token:{claimed}:{network(request.address)}" if client.public else f"token:{claimed}"
        with self._database.begin() as tx:
            self._rates.take(tx, key, _RATE, _RATE_S)
        return client

    def refuse(self, request: ClientRequest, client: Client | None, error: OAuthError) -> None:
        """Write into the trail that a client was refused."""
        event = Event(
            Action.IDENTITY_TOKEN_REFUSE,
            client.actor if client else Actor(PrincipalKind.ANONYMOUS.value, "-"),
            outcome=Outcome.DENIED,
            reason=error.reason,
            target=Target(client.kind.value, id=client.id) if client else None,
            address=request.address,
            request=request.request,
        )
        self._denials.record(client.institution if client else None, event)

    def sweep(self) -> int:
        """Forget assertions that are too old to be taken; returns how many."""
        with self._database.begin() as tx:
            return application_store.forget_assertions(tx, clock.unix_ms())

    def _count_failure(self, request: ClientRequest, error: OAuthError) -> None:
        """So that guessing is slow, from one address: a client's own requests are not counted in it."""
        if error.error == "invalid_client":
            with self._database.begin() as tx:
                self._rates.take(tx, f"token-failure:{request.address}", _RATE, _RATE_S)

    def _client(self, request: ClientRequest) -> tuple[str, Client]:
        form = request.form
        shown = [
            "client_assertion" in form or "client_assertion_type" in form,
            bool(request.authorization),
            "client_secret" in form,
        ]
        if sum(shown) > 1:
            raise OAuthError("invalid_request", "a client proves who it is in one way only")
        if shown[0]:
            client = self._by_assertion(request)
        elif shown[1]:
            client = self._by_secret(request.authorization)
        elif "client_id" in form and not shown[2]:
            client = self._public(form["client_id"])
        else:
            raise OAuthError("invalid_client", "", "no-proof")
        if form.get("client_id", client.id) != client.id:
            raise OAuthError("invalid_client", "", "other-client")
        return client.id, client

    def _by_assertion(self, request: ClientRequest) -> Client:
        if request.required("client_assertion_type") != ASSERTION:
            raise OAuthError("invalid_client", "", "assertion-type")
        try:
            found = read(request.required("client_assertion"))
            found.require_header(types=_TYPES, members=_MEMBERS)
            claimed = found.claims.get("sub")
            if (
                not isinstance(claimed, str)
                or not claimed.isprintable()
                or found.claims.get("iss") != claimed
            ):
                raise JoseRefused("claims")
            with self._database.read(EVERYWHERE) as tx:
                known = _keys(tx, claimed)
            key = _chosen(known, found)
            verifying, _ = public_key(key.jwk)
            claims = found.verified(verifying, key.algorithm)
        except JoseRefused as error:
            raise OAuthError("invalid_client", "", f"assertion-{error.reason}") from None
        expires = _checked(claims, request.audiences, key.seconds)
        self._once(key.client.id, claims["jti"], expires)
        return key.client

    def _once(self, client: str, jti: str, expires_s: float) -> None:
        digest = hashlib.sha256(jti.encode("utf-8", "surrogatepass")).digest()
        with self._database.begin() as tx:
            # A little longer than it could be shown again.
            keep_ms = int(expires_s * 1000) + 1000
            if not application_store.take_assertion(tx, client, digest, keep_ms):
                raise OAuthError("invalid_client", "", "assertion-replayed")

    def _by_secret(self, authorization: str) -> Client:
        """RFC 6749 section 2.3.1: both parts are form-encoded before they are joined."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise OAuthError("invalid_client", "", "authorization")
        try:
            name, _, secret = b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
        except ValueError:
            raise OAuthError("invalid_client", "", "authorization") from None
        name, secret = unquote_plus(name), unquote_plus(secret)
        with self._database.read() as tx:
            found = application_store.applications(tx, name)
            fits = bool(found) and application_store.secret_fits(
                tx, name, token_hash(secret), clock.unix_ms()
            )
        if not fits or found[0].auth_method is not AuthMethod.CLIENT_SECRET_BASIC:
            raise OAuthError("invalid_client", "", "secret")
        return _application(found[0])

    def _public(self, name: str) -> Client:
        with self._database.read() as tx:
            found = application_store.applications(tx, name)
        if not found or found[0].auth_method is not AuthMethod.NONE:
            raise OAuthError("invalid_client", "", "no-proof")
        return _application(found[0], public=True)


def _application(row: Application, *, public: bool = False) -> Client:
    """An application that may act. Raises OAuthError."""
    if not row.active:
        raise OAuthError("invalid_client", "", f"application-{row.state}")
    return Client(PrincipalKind.APPLICATION, row.id, row, public=public)


def _keys(tx: Connection, claimed: str) -> list[_Key]:
    """The keys by which an assertion of this client may be signed; none for somebody unknown. Raises OAuthError."""
    if rows := receiver_store.confirmed_keys(tx, claimed):
        if any({row.receiver_state, row.institution_state} != {ACTIVE} for row in rows):
            raise OAuthError("invalid_client", "", "receiver-revoked")
        return [_receiver_key(claimed, row.institution, json.loads(row.jwk)) for row in rows]
    applications = application_store.applications(tx, claimed)
    if not applications or applications[0].auth_method is not AuthMethod.PRIVATE_KEY_JWT:
        return []
    client = _application(applications[0])
    return [
        _Key(client, row.kid, json.loads(row.jwk), row.alg, ASSERTION_S)
        for row in application_store.keys(tx, claimed, clock.unix_ms())
    ]


def _receiver_key(id_: str, institution: UUID, jwk: Mapping[str, Any]) -> _Key:
    key, algorithm = public_key(jwk)
    client = Client(PrincipalKind.RECEIVER, id_, None, institution, thumbprint(key))
    return _Key(client, str(key.thumbprint()), jwk, algorithm, RECEIVER_ASSERTION_S)


def _chosen(known: Sequence[_Key], found: Unverified) -> _Key:
    """The key that the assertion names; one that names none is by the only one that there is."""
    kid = found.header.get("kid")
    fitting = [key for key in known if kid is None or key.kid == kid]
    if len(fitting) != 1:
        raise JoseRefused("unknown-key")
    return fitting[0]


def _checked(claims: Mapping[str, Any], audiences: frozenset[str], seconds: int) -> float:
    """When the assertion's time is over, in seconds of Unix time. Raises OAuthError (RFC 7523 section 3)."""
    now = clock.unix_ms() / 1000
    audience, expires, jti = claims.get("aud"), claims.get("exp"), claims.get("jti")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str) or audience not in audiences:
        raise OAuthError("invalid_client", "", "assertion-audience")
    if not _is_time(expires) or not now < expires <= now + seconds:
        raise OAuthError("invalid_client", "", "assertion-expired")
    if any(
        name in claims and not (_is_time(claims[name]) and claims[name] <= now + _AHEAD_S) for name in _BEGUN
    ):
        raise OAuthError("invalid_client", "", "assertion-not-yet")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MOST_JTI:
        raise OAuthError("invalid_client", "", "assertion-claims")
    return float(expires)


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
