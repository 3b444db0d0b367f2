"""Reads what an institution's own provider says: metadata, keys, id tokens (OpenID Connect Core, Discovery).

Pure: what was fetched comes in, what may be believed goes out. An id token is believed by a key of the fetched set and
an algorithm of our list; what it says of itself chooses nothing but the key's id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from wardlight.identity.jose import JoseRefused, PublicKey, read

#: Signature algorithms that are believed, by kind of key. No MAC: its key would be our own secret.
ALGORITHMS: Final = {
    "RS256": "RSA",
    "RS384": "RSA",
    "PS256": "RSA",
    "ES256": "EC",
    "ES384": "EC",
}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}
_RSA_BITS: Final = range(2048, 4097)
_TYPES: Final = frozenset({"", "JWT"})
_MEMBERS: Final = frozenset({"kid", "x5t", "x5t#S256"})
#: Seconds by which the provider's clock may differ from ours.
_LEEWAY_S: Final = 60
_LONGEST_SUBJECT: Final = 255


class FederationRefused(Exception):
    """The provider's answer is not believed. reason: a code for the trail."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = f"federation-{reason}"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is used of a provider's metadata (Discovery section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    """It puts `iss` into its authorization responses (RFC 9207)."""


def parse_metadata(body: bytes, issuer: str) -> Metadata:
    """The metadata of this very issuer. Raises FederationRefused."""
    found = _object(body, "metadata")
    if found.get("issuer") != issuer:
        raise FederationRefused("issuer")
    places = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if not all(isinstance(place, str) and place for place in places):
        raise FederationRefused("metadata")
    authorization, token, keys = map(str, places)
    names_itself = found.get("authorization_response_iss_parameter_supported") is True
    return Metadata(issuer, authorization, token, keys, names_itself)


def parse_tokens(body: bytes) -> str:
    """The id token of a token response (Core section 3.1.3.3). Raises FederationRefused."""
    token = _object(body, "token-response").get("id_token")
    if not isinstance(token, str):
        raise FederationRefused("token-response")
    return token


def verify(
    token: str, keys: bytes, *, issuer: str, client_id: str, nonce: str, now_s: float
) -> dict[str, Any]:
    """The claims of an id token for us, of this sign-in (Core section 3.1.3.7). Raises FederationRefused.

    keys: the JWK set as it was fetched.
    """
    try:
        found = read(token)
        found.require_header(types=_TYPES, members=_MEMBERS)
        algorithm = found.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise JoseRefused("algorithm")
        claims = found.verified(_key(keys, found.header.get("kid"), algorithm), algorithm)
    except JoseRefused as error:
        raise FederationRefused(f"token-{error.reason}") from None
    audience = claims.get("aud")
    if audience not in (client_id, [client_id]) or claims.get("azp", client_id) != client_id:
        raise FederationRefused("token-audience")
    if claims.get("iss") != issuer:
        raise FederationRefused("token-issuer")
    expires, issued = claims.get("exp"), claims.get("iat")
    if not _is_time(expires) or not _is_time(issued):
        raise FederationRefused("token-times")
    if expires + _LEEWAY_S <= now_s or issued - _LEEWAY_S > now_s:
        raise FederationRefused("token-times")
    said = claims.get("nonce")
    if not isinstance(said, str) or not secrets.compare_digest(said.encode(), nonce.encode()):
        raise FederationRefused("token-nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise FederationRefused("token-subject")
    return dict(claims)


def has_value(claims: Mapping[str, Any], name: str, value: str) -> bool:
    """Whether a claim is this value, or a list that holds it."""
    said = claims.get(name)
    return said == value or (isinstance(said, list) and value in said)


def auth_ms(claims: Mapping[str, Any], now_ms: int) -> int:
    """When the person proved who they are to the provider, in Unix milliseconds; 0 where it does not say."""
    said = claims.get("auth_time")
    return max(0, min(int(said * 1000), now_ms)) if _is_time(said) else 0


def _key(keys: bytes, kid: object, algorithm: str) -> PublicKey:
    """The one key of the set that the token can be by."""
    rows = _object(keys, "keys").get("keys")
    if not isinstance(rows, list):
        raise FederationRefused("keys")
    fitting = [row for row in rows if isinstance(row, dict) and _fits(row, kid, algorithm)]
    if len(fitting) != 1:
        raise JoseRefused("unknown-key")
    row = fitting[0]
    try:
        if row["kty"] == "EC":
            return ECKey.import_key({name: row[name] for name in ("kty", "crv", "x", "y")})
        key = RSAKey.import_key({name: row[name] for name in ("kty", "n", "e")})
    except (JoseError, ValueError, KeyError, TypeError, OverflowError):
        raise JoseRefused("key") from None
    if key.public_key.key_size not in _RSA_BITS:
        raise JoseRefused("key")
    return key


def _fits(row: Mapping[str, Any], kid: object, algorithm: str) -> bool:
    kind = ALGORITHMS[algorithm]
    return (
        row.get("kty") == kind
        and (kind == "RSA" or row.get("crv") == _CURVES[algorithm])
        and (kid is None or row.get("kid") == kid)
        and row.get("use", "sig") == "sig"
        and row.get("alg", algorithm) == algorithm
    )


def _object(body: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise FederationRefused(what) from None
    if not isinstance(value, dict):
        raise FederationRefused(what)
    return value


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
