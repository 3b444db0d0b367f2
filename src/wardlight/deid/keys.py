"""Keys of de-identification: one secret per hospital, from it separate keys for each (application, level) and purpose.

Derivation: HKDF-SHA-256 with empty salt, info = "wardlight/v1/" + label + 00 + context. The context of the
keys of a release is application + 00 + level, that of the study group is the fixed word below, so that all releases of
one original study share their group while nothing else of two applications can be linked.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

#: Shortest secret that is taken, in bytes.
MINIMUM_SECRET = 32
_STUDY_GROUP = b"study-group"


def derive(secret: bytes, label: str, context: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) of 32 bytes, as every key of Wardlight is derived."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    info = b"wardlight/v1/" + label.encode("ascii") + b"\0" + context
    return hmac.digest(extracted, info + b"\x01", "sha256")


@dataclass(frozen=True, slots=True, repr=False)
class DeidKeys:
    """The keys of one release target. Its repr shows none of them."""

    uid: bytes
    patient: bytes
    identifier: bytes
    date: bytes
    group: bytes

    @classmethod
    def derive(cls, secret: bytes, application: str, level: str) -> DeidKeys:
        """Keys for one application at one level. ValueError where the secret is shorter than 32 bytes."""
        if len(secret) < MINIMUM_SECRET:
            raise ValueError("the secret must have 32 bytes or more")
        context = application.encode("utf-8") + b"\0" + level.encode("utf-8")
        return cls(
            uid=derive(secret, "deid-uid", context),
            patient=derive(secret, "deid-patient", context),
            identifier=derive(secret, "deid-id", context),
            date=derive(secret, "deid-date", context),
            group=derive(secret, "deid-id", _STUDY_GROUP),
        )


def secret_from_key_file(content: bytes) -> bytes:
    """The secret of a key file of any length from 32 bytes: its SHA-256, so that all of a long file counts."""
    if len(content) < MINIMUM_SECRET:
        raise ValueError("the key file must have 32 bytes or more")
    return sha256(content).digest()
