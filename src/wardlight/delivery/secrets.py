"""Secrets of webhooks: how they look, how they lie in the database, and what they sign (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import hmac
import os
from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label, bind
from wardlight.keys.wrap import KeyKind

_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Secrets:
    """Makes secrets, and seals them for one webhook under a key of its institution's."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore

    def new(self, institution: UUID, webhook: UUID) -> tuple[str, bytes]:
        """A new secret as it is shown once (`whsec_…`), and sealed."""
        secret, nonce = os.urandom(_BYTES), os.urandom(_NONCE_BYTES)
        sealed = nonce + self._aead(institution).encrypt(nonce, secret, _place(institution, webhook))
        return f"whsec_{b64encode(secret).decode()}", sealed

    def open(self, institution: UUID, webhook: UUID, sealed: bytes) -> bytes:
        """The secret. Raises `object-damaged` for one that is another webhook's."""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._aead(institution).decrypt(nonce, rest, _place(institution, webhook))
        except (InvalidTag, ValueError):
            raise WardlightError("object-damaged", "a webhook's secret does not open") from None

    def _aead(self, institution: UUID) -> AESGCM:
        return AESGCM(self._keystore.institution_key(institution, KeyKind.WEBHOOK)[1])


def signature_headers(secrets: Iterable[bytes], event: str, now_s: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery; each secret signs."""
    signed = f"{event}.{now_s}.".encode() + body
    made = (b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in secrets)
    return {
        "webhook-id": event,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }


def _place(institution: UUID, webhook: UUID) -> bytes:
    return bind(Label.WEBHOOK, institution.bytes + webhook.bytes)
