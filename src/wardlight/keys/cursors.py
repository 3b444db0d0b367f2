"""Search cursors: where a page ended, sealed, so that its continuation costs what the first page does.

`nonce 12 | AES-256-GCM(cursor key, place)`, as base64url; the search is bound as associated data. A cursor shows
nothing of the row that it stands at, and none can be made without the key or used for another search.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label

_NONCE_BYTES: Final = 12
_MOST_CHARACTERS: Final = 256


class CursorKey:
    """Seals and opens cursors of one institution."""

    __slots__ = ("_aead",)

    def __init__(self, bik: bytes) -> None:
        self._aead = AESGCM(derive(bik, Label.CURSOR))

    def seal(self, place: bytes, search: bytes) -> str:
        """The cursor at a place of a search."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._aead.encrypt(nonce, place, search)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def open(self, cursor: str, search: bytes) -> bytes:
        """The place. Raises `bad-request` for a cursor of another search or institution, or none at all."""
        try:
            if len(cursor) > _MOST_CHARACTERS:
                raise ValueError
            sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], search)
        except (InvalidTag, ValueError):  # UnicodeEncodeError and binascii.Error are ValueErrors
            raise WardlightError("bad-request", "the cursor is none of this search") from None
