"""Signed tokens from outside (RFC 7515): read strictly, and only against a key and an algorithm that are known before.

What a token says of itself never chooses anything but one of the keys that its sender registered: no `jku`, `x5u`,
`crit`, no algorithm of its own, no member twice.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

PublicKey = ECKey | RSAKey

#: Algorithms by what a key is: curve, or RSA, whose key says which of the two it is for.
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384"}
_RSA: Final = ("RS384", "PS256")
ALGORITHMS: Final = (*_CURVES.values(), *_RSA)
_RSA_BITS: Final = range(2048, 4097)
#: Members of a JWK that only a private or a symmetric key has (RFC 7518 section 6).
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
#: Longest token, in characters.
_MAX: Final = 8192


class JoseRefused(Exception):
    """The token or key is not taken. reason: a code for the trail."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token's own words, of which nothing is known to be true yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def require_header(self, *, types: frozenset[str], members: frozenset[str]) -> None:
        """Raise unless the header has one of these types ("" for none) and no member that is not expected."""
        if not self.header.keys() <= {"alg", "typ", *members}:
            raise JoseRefused("header")
        if self.header.get("typ", "") not in types:
            raise JoseRefused("type")

    def verified(self, key: PublicKey, algorithm: str) -> Mapping[str, Any]:
        """The claims, once the signature is known to be by this key in this algorithm."""
        if self.header.get("alg") != algorithm:
            raise JoseRefused("algorithm")
        try:
            jws.deserialize_compact(self.text, key, algorithms=[algorithm])
        except (JoseError, ValueError):
            raise JoseRefused("signature") from None
        return self.claims


def read(text: str) -> Unverified:
    """A compact token, not verified. Raises JoseRefused."""
    parts = text.split(".")
    if len(text) > _MAX or len(parts) != 3 or not text.isascii():
        raise JoseRefused("form")
    return Unverified(text, _object(parts[0]), _object(parts[1]))


def public_key(jwk: Mapping[str, Any]) -> tuple[PublicKey, str]:
    """The key of a public JWK (RFC 7517), and the one algorithm that it is for. Raises JoseRefused.

    An RSA key is for RS384 unless its `alg` says PS256 (SMART App Launch takes RS384).
    """
    if not isinstance(jwk, Mapping) or not _PRIVATE.isdisjoint(jwk):
        raise JoseRefused("private-key")
    try:
        key, algorithm = _key(jwk)
    except (JoseError, ValueError, KeyError, TypeError, OverflowError):
        raise JoseRefused("key") from None
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise JoseRefused("key")
    return key, algorithm


def thumbprint(key: PublicKey) -> bytes:
    """SHA-256 thumbprint of the public key (RFC 7638), 32 bytes."""
    return decode(key.thumbprint())


def encode(data: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of base64url without padding. Raises ValueError for any other spelling of them."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not base64url")
    return data


def _key(jwk: Mapping[str, Any]) -> tuple[PublicKey, str]:
    # Made anew from its numbers: a thumbprint must not depend on how they are spelt.
    if jwk["kty"] == "EC":
        key = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
        return ECKey.import_key(key.public_key), _CURVES[key.curve_name]
    if jwk["kty"] != "RSA":
        raise ValueError("no such kind of key")
    rsa = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
    if rsa.public_key.key_size not in _RSA_BITS or rsa.public_key.public_numbers().e != 65537:
        raise ValueError("weak key")
    algorithm = jwk.get("alg", _RSA[0])
    if algorithm not in _RSA:
        raise ValueError("no such algorithm")
    return RSAKey.import_key(rsa.public_key), algorithm


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(decode(part), object_pairs_hook=_members)
    except (ValueError, RecursionError):
        raise JoseRefused("form") from None
    if not isinstance(value, dict):
        raise JoseRefused("form")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member comes twice")
    return members
