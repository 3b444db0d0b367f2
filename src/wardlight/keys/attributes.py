"""Sealed attributes and keyed UID tokens of the index (security.md §4).

A row's attributes are one sealed DICOM JSON blob: `01 | nonce 12 | AES-256-GCM(attribute key, padded JSON)`. The
associated data binds institution, study, level, row and schema version, so a blob opens in its own row only. The
padding (0x80, then zeros to a multiple of 128 bytes) hides the length of names.
"""

from __future__ import annotations

import hmac
import json
import os
import struct
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label, bind

TOKEN_BYTES: Final = 16
_VERSION: Final = b"\x01"
_PAD_TO: Final = 128
_PLACE: Final = struct.Struct(">16s16sB16sH")


class RowLevel(IntEnum):
    """The level of the DICOM information model (PS3.4 C.6) that a row or UID belongs to."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


class AttributeKey:
    """The attribute key of one study key. Make one for many rows of a study: the derivation costs as much as a row."""

    __slots__ = ("_aead",)

    def __init__(self, sk: bytes) -> None:
        self._aead = AESGCM(derive(sk, Label.ATTRIBUTE))

    def seal(
        self, institution: UUID, study: UUID, level: int, row: UUID, schema: int, attributes: dict[str, Any]
    ) -> bytes:
        """Seal a DICOM JSON object for one row. Rows are sealed anew, never edited: each call takes a new nonce."""
        text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
        nonce = os.urandom(12)
        padded = text + b"\x80" + bytes(-(len(text) + 1) % _PAD_TO)
        return (
            _VERSION
            + nonce
            + self._aead.encrypt(nonce, padded, _associated(institution, study, level, row, schema))
        )

    def unseal(
        self, institution: UUID, study: UUID, level: int, row: UUID, schema: int, blob: bytes
    ) -> dict[str, Any]:
        """Open a blob in its row.

        Raises `WardlightError("object-damaged")` for a blob that was altered, moved from another row, institution or
        schema version, or sealed under another key.
        """
        if blob[:1] != _VERSION:
            raise WardlightError("object-damaged", "sealed attributes are of an unknown version")
        try:
            associated = _associated(institution, study, level, row, schema)
            padded = self._aead.decrypt(blob[1:13], blob[13:], associated)
        except (InvalidTag, ValueError):  # ValueError: shorter than nonce and tag
            raise WardlightError("object-damaged", "sealed attributes do not open in this row") from None
        attributes: dict[str, Any] = json.loads(
            padded[: padded.rindex(b"\x80")].decode("utf-8", "surrogatepass")
        )
        return attributes


def seal(
    sk: bytes, institution: UUID, study: UUID, level: int, row: UUID, schema: int, attributes: dict[str, Any]
) -> bytes:
    """`AttributeKey.seal` for a single row."""
    return AttributeKey(sk).seal(institution, study, level, row, schema, attributes)


def unseal(
    sk: bytes, institution: UUID, study: UUID, level: int, row: UUID, schema: int, blob: bytes
) -> dict[str, Any]:
    """`AttributeKey.unseal` for a single row."""
    return AttributeKey(sk).unseal(institution, study, level, row, schema, blob)


class UidTokens:
    """Deterministic tokens by which UIDs are found: `HMAC-SHA-256(uid key, level ‖ UID)[:16]`.

    `generation` counts re-keyings of the institution's blind-index key (BIK).
    """

    __slots__ = ("_key",)

    def __init__(self, bik: bytes, generation: int) -> None:
        self._key = derive(bik, Label.UID, generation.to_bytes(2, "big"))

    def token(self, level: int, uid: str) -> bytes:
        """The 16 bytes that stand for a UID at this level."""
        return hmac.digest(self._key, bytes((level,)) + uid.encode("utf-8", "surrogatepass"), "sha256")[
            :TOKEN_BYTES
        ]


def uid_token(bik: bytes, generation: int, level: int, uid: str) -> bytes:
    """`UidTokens.token` for a single UID."""
    return UidTokens(bik, generation).token(level, uid)


def _associated(institution: UUID, study: UUID, level: int, row: UUID, schema: int) -> bytes:
    place = _PLACE.pack(institution.bytes, study.bytes, level, row.bytes, schema)
    return bind(Label.SEALED_ATTRIBUTES, place)
