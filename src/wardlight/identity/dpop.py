"""Proof of possession of a key with each request (RFC 9449): a stolen token is worth nothing without it.

The proof names the request, the token and a nonce of ours, which carries its own time under a MAC: nothing is stored,
and a proof is worth at most a minute. Within it, the same request may be repeated with the same token by whoever sees
both; TLS is against that, and what receivers send is idempotent (security.md section 5).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from wardlight import clock
from wardlight.identity.jose import JoseRefused, decode, encode, public_key, read, thumbprint

#: How old a nonce may be, in seconds; a clock between nodes may be ahead by a few.
NONCE_S: Final = 60
_AHEAD_S: Final = 5
_TAG: Final = 16
_TYPES: Final = frozenset({"dpop+jwt"})
_MEMBERS: Final = frozenset({"jwk"})
#: Algorithms of proofs.
ALGORITHMS: Final = ("ES256", "ES384")


class ProofRefused(Exception):
    """The proof is not taken. reason: a code for the trail; `nonce`: the same again with a new nonce would do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def wants_nonce(self) -> bool:
        """Whether a new nonce is all that is missing (RFC 9449 section 8)."""
        return self.reason == "nonce"


class Nonces:
    """Makes nonces and knows them again, on each node that has the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self) -> str:
        """A nonce of this moment."""
        moment = (clock.unix_ms() // 1000).to_bytes(8, "big")
        return encode(moment + self._tag(moment))

    def fresh(self, nonce: object) -> bool:
        """Whether it is one of ours, and of the last minute."""
        try:
            data = decode(nonce) if isinstance(nonce, str) else b""
        except ValueError:
            return False
        moment, tag = data[:8], data[8:]
        if not hmac.compare_digest(tag, self._tag(moment)):
            return False
        age = clock.unix_ms() // 1000 - int.from_bytes(moment, "big")
        return -_AHEAD_S <= age <= NONCE_S

    def _tag(self, moment: bytes) -> bytes:
        return hmac.digest(self._key, moment, hashlib.sha256)[:_TAG]


def check(proof: str, method: str, url: str, nonces: Nonces, *, token: str = "") -> bytes:
    """The thumbprint of the key that the request was signed with (RFC 9449 section 4.3). Raises ProofRefused.

    url: what was asked for, as the client knows it; query and fragment do not count. token: the access token that came
    along, "" at the token endpoint.
    """
    try:
        found = read(proof)
        found.require_header(types=_TYPES, members=_MEMBERS)
        key, algorithm = public_key(found.header.get("jwk", {}))
        if algorithm not in ALGORITHMS:
            raise JoseRefused("algorithm")
        claims = found.verified(key, algorithm)
    except JoseRefused as error:
        raise ProofRefused(f"proof-{error.reason}") from None
    if claims.get("htm") != method or not _same(claims.get("htu"), url):
        raise ProofRefused("proof-other-request")
    # Absent at the token endpoint, where there is no token yet.
    expected = encode(hashlib.sha256(token.encode()).digest()) if token else None
    if claims.get("ath") != expected:
        raise ProofRefused("proof-other-token")
    if not isinstance(claims.get("jti"), str) or not isinstance(claims.get("iat"), int):
        raise ProofRefused("proof-claims")
    if not nonces.fresh(claims.get("nonce")):
        raise ProofRefused("nonce")
    return thumbprint(key)


def _same(claimed: object, url: str) -> bool:
    if not isinstance(claimed, str):
        return False
    try:
        return _plain(claimed) == _plain(url)
    except ValueError:
        return False


def _plain(url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path; the usual port is none (RFC 3986 section 6.2.3)."""
    parts = urlsplit(url)
    port = parts.port if parts.port != {"http": 80, "https": 443}.get(parts.scheme) else None
    return parts.scheme, parts.hostname or "", port, parts.path
