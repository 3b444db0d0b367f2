"""Tokens and seals of the vault's rows (security.md section 4): `01 | nonce 12 | AES-256-GCM(key, padded)`.

The associated data binds kind and token of the row, so a blob opens in its own row only; the padding (0x80, then zeros
to a multiple of 128 bytes) hides how long names and UIDs are.
"""

from __future__ import annotations

import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.deid.harvest import Seen
from wardlight.deid.keys import DeidKeys
from wardlight.deid.uids import identifier
from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label, bind
from wardlight.receiver.secrets import ReceiverSecrets

TOKEN_BYTES: Final = 16
_VERSION: Final = b"\x01"
_PAD_TO: Final = 128


class Kind(IntEnum):
    """What a row of the vault is about; bound into its token and its seal."""

    PERSON = 1
    ALIAS = 2
    RELEASE = 3
    STUDY = 4
    UID = 5


class VaultKeys:
    """Makes tokens, seals and opens rows. May be used by several threads."""

    def __init__(self, secrets: ReceiverSecrets) -> None:
        self._hospital = secrets.hospital
        self._lookup = derive(secrets.hospital, Label.VAULT_LOOKUP)
        self._aead = AESGCM(derive(secrets.vault, Label.VAULT_ROWS))

    def token(self, kind: Kind, value: bytes) -> bytes:
        """The 16 bytes that stand for a patient (also an alias), a pseudonym, an original study UID or a new UID."""
        return hmac.digest(self._lookup, bytes((kind,)) + value, "sha256")[:TOKEN_BYTES]

    def pseudonym(self, application: str, level: str, patient: bytes) -> bytes:
        """What stands for a patient in the releases to an application at a level."""
        return identifier(DeidKeys.derive(self._hospital, application, level).patient, patient)

    def seal(self, kind: Kind, token: bytes, content: bytes) -> bytes:
        """Seal the content of a row."""
        nonce = os.urandom(12)
        padded = content + b"\x80" + bytes(-(len(content) + 1) % _PAD_TO)
        return _VERSION + nonce + self._aead.encrypt(nonce, padded, _bound(kind, token))

    def unseal(self, kind: Kind, token: bytes, blob: bytes) -> bytes:
        """Open a row. Raises WardlightError("object-damaged") where it was altered, moved, or is of another vault."""
        try:
            padded = self._aead.decrypt(blob[1:13], blob[13:], _bound(kind, token))
        except (InvalidTag, ValueError):
            raise WardlightError("object-damaged", "a row of the vault does not open") from None
        return padded[: padded.rindex(b"\x80")]


def _bound(kind: Kind, token: bytes) -> bytes:
    return bind(Label.VAULT_ROW, bytes((kind,)) + token)


def packed(members: dict[str, Any]) -> bytes:
    """Members of a row as bytes; bytes among them as base64."""
    return json.dumps(members, default=_text, separators=(",", ":")).encode()


def unpacked(content: bytes) -> dict[str, Any]:
    """`packed` undone, but for base64."""
    members: dict[str, Any] = json.loads(content)
    return members


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return b64encode(value).decode("ascii")


def raw(text: str) -> bytes:
    """The bytes of a base64 member."""
    return b64decode(text)


def elements_of(rows: Iterable[tuple[int, str, str, str]]) -> tuple[Seen, ...]:
    """(tag, VR, value, character set) of a packed list of them."""
    return tuple((tag, raw(vr), raw(value), raw(charset)) for tag, vr, value, charset in rows)
