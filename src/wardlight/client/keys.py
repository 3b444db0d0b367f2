"""The application's private key, and what it signs: assertions (RFC 7523) and proofs of possession (RFC 9449)."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

#: What a private key may be given as: the path of a PEM file, the PEM itself, or a key of `cryptography`.
KeyLike = str | Path | bytes | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: Life of an assertion in seconds: long enough for clocks that differ, well below the five minutes that are taken.
_ASSERTION_S: Final = 120
_CURVES: Final = {"secp256r1": ("ES256", "P-256", 32), "secp384r1": ("ES384", "P-384", 48)}


class SigningKey:
    """Signs JSON Web Tokens: ES256 on P-256, ES384 on P-384, RS384 with RSA of 2,048 bits or more."""

    def __init__(self, key: KeyLike) -> None:
        self._key: Final = _load(key)
        if isinstance(self._key, rsa.RSAPrivateKey):
            self.algorithm = "RS384"
        else:
            self.algorithm = _CURVES[self._key.curve.name][0]

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key on P-256."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public part (RFC 7517), with the members that its thumbprint is made of."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            numbers = self._key.public_key().public_numbers()
            return {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
        _, curve, size = _CURVES[self._key.curve.name]
        point = self._key.public_key().public_numbers()
        return {"crv": curve, "kty": "EC", "x": _number(point.x, size), "y": _number(point.y, size)}

    @property
    def thumbprint(self) -> str:
        """SHA-256 thumbprint of the public part (RFC 7638): the key's id."""
        canonical = json.dumps(self.public_jwk, sort_keys=True, separators=(",", ":"))
        return _base64url(hashlib.sha256(canonical.encode()).digest())

    def assertion(self, client_id: str, audience: str) -> str:
        """A client assertion for one token request (RFC 7523 section 3)."""
        now = int(time.time())
        claims = {
            "iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + _ASSERTION_S,
            "jti": uuid.uuid4().hex,
        }  # fmt: skip
        return self._signed({"typ": "JWT", "kid": self.thumbprint}, claims)

    def proof(self, method: str, url: str, token: str = "", nonce: str = "") -> str:
        """A DPoP proof for one request (RFC 9449 section 4.2); url without query and fragment."""
        claims: dict[str, Any] = {"jti": uuid.uuid4().hex, "htm": method, "htu": url, "iat": int(time.time())}
        if token:
            claims["ath"] = _base64url(hashlib.sha256(token.encode()).digest())
        if nonce:
            claims["nonce"] = nonce
        return self._signed({"typ": "dpop+jwt", "jwk": self.public_jwk}, claims)

    def _signed(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        text = ".".join(_encoded(part) for part in ({"alg": self.algorithm, **header}, claims))
        return f"{text}.{_base64url(self._signature(text.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA384())
        algorithm, _, size = _CURVES[self._key.curve.name]
        digest = hashes.SHA256() if algorithm == "ES256" else hashes.SHA384()
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size) + s.to_bytes(size)


def _load(key: KeyLike) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if isinstance(key, str | Path):
        key = Path(key).read_bytes()
    loaded = load_pem_private_key(key, None) if isinstance(key, bytes) else key
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in _CURVES:
        return loaded
    if isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size >= 2048:
        return loaded
    raise ValueError("a key on P-256 or P-384, or an RSA key of at least 2048 bits is needed")


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _number(value: int, size: int = 0) -> str:
    return _base64url(value.to_bytes(size or (value.bit_length() + 7) // 8))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
