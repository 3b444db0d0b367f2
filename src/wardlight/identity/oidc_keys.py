"""Keys with which the platform signs JSON Web Tokens: ES256, made and kept in the keystore, rotated with an overlap."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from wardlight import clock, log
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys import oidc_keys
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label
from wardlight.keys.oidc_keys import TokenKey, TokenUse

#: The one algorithm (RFC 7518 section 3.4).
ALGORITHM: Final = "ES256"
#: How long a retired key is still shown, in milliseconds: the life of its last token (5 min) and as much for clocks.
OVERLAP_MS: Final = 10 * 60_000

#: Who makes the first key.
_SYSTEM: Final = Actor("system", "token-keys")


class TokenKeys:
    """The keys of one use. Nothing is cached: after a rotation no process signs with the old key."""

    def __init__(self, database: Database, recorder: Recorder, keystore: Keystore, use: TokenUse) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._use = use

    def rotate(self, *, by: Actor) -> str:
        """Sign with a new key from now on; the old one's private half is destroyed. Returns the new key's id."""
        key = self._made()
        event = Event(Action.ARCHIVE_KEY_CREATE, by, target=Target("token-key", id=key.kid))
        with self._database.begin() as tx:
            self._recorder.write(tx, None, event)
            with self._keystore.transaction() as kept:
                oidc_keys.replace(kept, key)
        try:
            self._keystore.wipe()
        except WardlightError as error:
            # The old key is deleted; only the database's log may hold it for a while. The next destruction wipes it.
            log.error("oidc.key.wipe", error)
        return key.kid

    def ensure(self) -> None:
        """Make the first key where there is none: to be called before a transaction in which something is signed."""
        self._signing()

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """A token of this `typ` with these claims."""
        key = self._signing()
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": kind}
        private = ECKey.import_key({**public_jwk(key), "d": base64url(self._scalar(key))})
        return jwt.encode(header, dict(claims), private, [ALGORITHM], default_type=None)

    def public(self) -> dict[str, Any]:
        """The JWK set (RFC 7517 section 5): what signs now, and what signed tokens that still live."""
        self._signing()  # The set is never empty.
        with self._keystore.reading() as kept:
            rows = oidc_keys.known(kept, self._use, clock.unix_ms() - OVERLAP_MS)
        return {"keys": [public_jwk(row) for row in rows]}

    def read(self, token: str, kind: str) -> dict[str, Any] | None:
        """The claims of a token that this platform signed at any time, as this `typ`; its life may be over."""
        with self._keystore.reading() as kept:
            rows = oidc_keys.known(kept, self._use, 0)
        try:
            keys = KeySet([ECKey.import_key(public_jwk(row)) for row in rows])
            found = jwt.decode(token, keys, [ALGORITHM])
        except (JoseError, ValueError, UnicodeError):
            return None
        return found.claims if found.header.get("typ") == kind and "kid" in found.header else None

    def _signing(self) -> TokenKey:
        with self._keystore.reading() as kept:
            key = oidc_keys.signing(kept, self._use)
        if key is None:
            self.rotate(by=_SYSTEM)
            return self._signing()
        return key

    def _made(self) -> TokenKey:
        while True:
            scalar = secrets.token_bytes(32)
            try:
                private = derive_private_key(int.from_bytes(scalar, "big"), SECP256R1())
                break
            except ValueError:  # Zero, or beyond the order of the group: once in 2^32.
                continue
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        kid = thumbprint(point)
        sealed = self._keystore.wrap_own(Label.TOKEN_KEY, self._context(kid), scalar)
        return TokenKey(kid, self._use, point, sealed, clock.unix_ms(), None)

    def _scalar(self, key: TokenKey) -> bytes:
        return self._keystore.unwrap_own(Label.TOKEN_KEY, self._context(key.kid), key.sealed)

    def _context(self, kid: str) -> bytes:
        return f"{self._use}/{kid}".encode()


def public_jwk(key: TokenKey) -> dict[str, Any]:
    """The public half as a JWK (RFC 7518 section 6.2.1)."""
    return {**_coordinates(key.point), "kid": key.kid, "use": "sig", "alg": ALGORITHM}


def thumbprint(point: bytes) -> str:
    """RFC 7638 section 3 of a P-256 key."""
    members = json.dumps(_coordinates(point), sort_keys=True, separators=(",", ":"))
    return base64url(sha256(members.encode()).digest())


def _coordinates(point: bytes) -> dict[str, str]:
    return {"crv": "P-256", "kty": "EC", "x": base64url(point[1:33]), "y": base64url(point[33:])}
