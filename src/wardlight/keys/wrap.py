"""The 66-byte wrap of one key under an institution's epoch key (security.md §2).

`01 | epoch u32 | kind u8 | nonce 12 | AES-256-GCM(key 32) + tag 16`; the associated data binds institution, epoch,
kind and key id, so that a row of the keystore cannot be moved to another place. Integers are big-endian.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.labels import Label, bind

KEY_BYTES: Final = 32
WRAP_BYTES: Final = 66
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BIB")
_NONCE_END: Final = _HEAD.size + 12


class KeyKind(IntEnum):
    """What a key of the keystore is for. The number is part of the wrap and never changes its meaning."""

    STUDY = 1
    BLIND_INDEX = 2
    PSEUDONYM = 3
    AUDIT_REFERENCE = 4
    OBJECT = 5
    SIGNING = 6
    ACCOUNT = 7
    PLATFORM = 8
    WEBHOOK = 9
    QUARANTINE = 10
    MACHINE = 11


def wrap(iek: bytes, institution: UUID, epoch: int, kind: KeyKind, key_id: UUID, key: bytes) -> bytes:
    """Wrap a key of 32 bytes under the institution's epoch key."""
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 32 bytes")
    nonce = os.urandom(12)
    sealed = AESGCM(iek).encrypt(nonce, key, _associated(institution, epoch, kind, key_id))
    return _HEAD.pack(_VERSION, epoch, kind) + nonce + sealed


def unwrap(iek: bytes, institution: UUID, key_id: UUID, blob: bytes) -> bytes:
    """Open a wrap. Raises `WardlightError("wrong-key")` when key, institution, epoch, kind or id do not fit."""
    if len(blob) != WRAP_BYTES or blob[0] != _VERSION:
        raise WardlightError("wrong-key", "not a wrapped key of version 1")
    _, epoch, kind = _HEAD.unpack_from(blob)
    try:
        associated = _associated(institution, epoch, kind, key_id)
        return AESGCM(iek).decrypt(blob[_HEAD.size : _NONCE_END], blob[_NONCE_END:], associated)
    except InvalidTag:
        raise WardlightError("wrong-key", "a wrapped key does not open") from None


def epoch_of(blob: bytes) -> int:
    """The epoch whose key opens this wrap."""
    if len(blob) != WRAP_BYTES or blob[0] != _VERSION:
        raise WardlightError("wrong-key", "not a wrapped key of version 1")
    epoch: int = _HEAD.unpack_from(blob)[1]
    return epoch


def _associated(institution: UUID, epoch: int, kind: int, key_id: UUID) -> bytes:
    context = institution.bytes + epoch.to_bytes(4, "big") + bytes((kind,)) + key_id.bytes
    return bind(Label.WRAP, context)
