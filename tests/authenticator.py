"""An authenticator in software: makes passkeys and signs with them, as WebAuthn level 2 has it or an attacker would."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def data(words: str) -> bytes:
    """The bytes of such a text."""
    return urlsafe_b64decode(words + "=" * (-len(words) % 4))


class Authenticator:
    """One device with its keys. counter: as many authenticators have it; None: none is kept.

    Whatever an answer says can be said otherwise: `origin`, `rp_id`, `flags`, `type`, `user`.
    """

    def __init__(self, origin: str, *, counter: int | None = 0) -> None:
        self.origin = origin
        self.counter = counter
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential = os.urandom(32)
        self.user = b""

    def create(
        self, options: dict, *, origin: str = "", flags: int = PRESENT | VERIFIED, rp_id: str = ""
    ) -> dict:
        """What `navigator.credentials.create` gives, in its JSON form."""
        self.user = data(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        )
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cose
        about = self._about(rp_id or options["rp"]["id"], flags | ATTESTED) + attested
        return self._answer(
            {
                "clientDataJSON": text(self._client("webauthn.create", options["challenge"], origin)),
                "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": about})),
            }
        )

    def get(
        self,
        options: dict,
        *,
        origin: str = "",
        flags: int = PRESENT | VERIFIED,
        rp_id: str = "",
        kind: str = "webauthn.get",
        user: bytes | None = None,
    ) -> dict:
        """What `navigator.credentials.get` gives, in its JSON form."""
        if self.counter is not None:
            self.counter += 1
        client = self._client(kind, options["challenge"], origin)
        about = self._about(rp_id or options["rpId"], flags)
        signature = self.key.sign(about + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": text(client),
                "authenticatorData": text(about),
                "signature": text(signature),
                "userHandle": text(self.user if user is None else user),
            }
        )

    def _about(self, rp_id: str, flags: int) -> bytes:
        return (
            hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + (self.counter or 0).to_bytes(4, "big")
        )

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        value = {"type": kind, "challenge": challenge, "origin": origin or self.origin, "crossOrigin": False}
        return json.dumps(value).encode()

    def _answer(self, response: dict) -> dict:
        return {
            "id": text(self.credential),
            "rawId": text(self.credential),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
