"""Key derivation: HKDF-SHA-256 (RFC 5869) with the labels of `labels` (security.md §2)."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wardlight.keys.labels import Label, bind


def derive(ikm: bytes, label: Label, context: bytes = b"", *, salt: bytes = b"", length: int = 32) -> bytes:
    """Derive `length` bytes from the key `ikm` for one purpose.

    `context` tells keys of one purpose apart (a header, a grant's id, a generation). The salt is empty unless the
    format says otherwise; RFC 5869 then takes zeros.
    """
    return HKDF(SHA256(), length, salt or None, bind(label, context)).derive(ikm)
