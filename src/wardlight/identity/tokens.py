"""Opaque bearer tokens: made here, kept only as SHA-256 (security.md section 6)."""

from __future__ import annotations

import hashlib
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import StrEnum
from typing import Final


class TokenKind(StrEnum):
    """Whose token it is; the value is the prefix by which people and secret scanners recognise it."""

    PERSON = "wl_pt_"
    RECEIVER = "wl_rt_"
    APPLICATION = "wl_at_"
    REFRESH = "wl_rf_"
    SESSION = "wl_st_"
    LINK = "wl_in_"
    VIEW = "wl_vt_"
    CLIENT_SECRET = "wl_cs_"  # noqa: S105 - the beginning of a secret


# 32 random bytes and a checksum of 4: 36 bytes are 48 characters without padding.
_FORM: Final = re.compile(rf"({'|'.join(TokenKind)})([A-Za-z0-9_-]{{48}})", re.ASCII)


def new_token(kind: TokenKind) -> str:
    """A fresh token: prefix, 32 random bytes, checksum."""
    secret = os.urandom(32)
    return kind.value + urlsafe_b64encode(secret + _checksum(kind.value, secret)).decode()


def token_kind(token: str) -> TokenKind | None:
    """Kind of a well-formed token; None for anything else, so that noise costs no database query."""
    match = _FORM.fullmatch(token)
    if match is None:
        return None
    prefix, body = match.groups()
    data = urlsafe_b64decode(body)
    return TokenKind(prefix) if data[32:] == _checksum(prefix, data[:32]) else None


def token_hash(token: str) -> bytes:
    """What is stored and looked up. The token has 256 random bits, so a plain digest cannot be guessed from."""
    return hashlib.sha256(token.encode()).digest()


def _checksum(prefix: str, secret: bytes) -> bytes:
    return hashlib.sha256(prefix.encode() + secret).digest()[:4]
