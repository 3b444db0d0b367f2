"""Sealed postings: keyed labels and sealed blocks of the search index (security.md section 4).

A token's entries lie in blocks 0, 1, 2 … that hold 4, 16, then 64 entries each, so that blocks have three sizes and
nothing else to see. An entry is `u32 days since 1900-01-01 ‖ u64 study number`: its order as bytes is its order in
time. Row key: `HMAC(posting-label key, field u8 ‖ token ‖ 00 ‖ u32 n)[:16]`; body: `nonce 12 |
AES-256-GCM(posting-body key, u16 count ‖ entries ‖ zeros)` with the row key as associated data.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.errors import WardlightError
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label

LABEL_BYTES: Final = 16
ENTRY_BYTES: Final = 12
_ENTRY: Final = struct.Struct(">IQ")
_COUNT: Final = struct.Struct(">H")
_NUMBER: Final = struct.Struct(">I")
_NONCE_BYTES: Final = 12
_CAPACITIES: Final = (4, 16, 64)


def capacity(number: int) -> int:
    """Entries that block `number` of a token holds."""
    return _CAPACITIES[min(number, len(_CAPACITIES) - 1)]


def entry(days: int, study: int) -> bytes:
    """One entry. days: of the study date since 1900-01-01, 0 without one; study: the release's number."""
    return _ENTRY.pack(days, study)


def entry_values(packed: bytes) -> tuple[int, int]:
    """(days, study number) of an entry."""
    days, study = _ENTRY.unpack(packed)
    return days, study


class PostingKeys:
    """Labels and seals posting blocks of one institution and generation of its blind-index key (BIK)."""

    __slots__ = ("_body", "_label")

    def __init__(self, bik: bytes, generation: int) -> None:
        context = generation.to_bytes(2, "big")
        self._label = derive(bik, Label.POSTING_LABEL, context)
        self._body = AESGCM(derive(bik, Label.POSTING_BODY, context))

    def labels(self, field: int, token: bytes, numbers: range) -> list[bytes]:
        """The row keys of some blocks of a token."""
        base = bytes((field,)) + token + b"\x00"
        key, pack, digest = self._label, _NUMBER.pack, hmac.digest
        return [digest(key, base + pack(number), "sha256")[:LABEL_BYTES] for number in numbers]

    def seal(self, label: bytes, number: int, entries: Sequence[bytes]) -> bytes:
        """Seal the entries of block `number`; each call takes a new nonce."""
        room = capacity(number) * ENTRY_BYTES
        text = b"".join(entries)
        if len(text) > room:
            raise ValueError("more entries than the block holds")
        nonce = os.urandom(_NONCE_BYTES)
        text = _COUNT.pack(len(entries)) + text + bytes(room - len(text))
        return nonce + self._body.encrypt(nonce, text, label)

    def open(self, label: bytes, body: bytes) -> list[bytes]:
        """The entries of a block. Raises `object-damaged` for a body of another row, key or length."""
        try:
            text = self._body.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], label)
        except (InvalidTag, ValueError):  # ValueError: shorter than nonce and tag
            raise WardlightError("object-damaged", "a posting block does not open in its row") from None
        count: int = _COUNT.unpack_from(text)[0]
        start, end = _COUNT.size, _COUNT.size + count * ENTRY_BYTES
        if end > len(text):
            raise WardlightError("object-damaged", "a posting block says that it holds more than it can")
        return [text[at : at + ENTRY_BYTES] for at in range(start, end, ENTRY_BYTES)]
