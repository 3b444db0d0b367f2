"""Codes of an authenticator application: TOTP with SHA-1, six digits, 30 seconds (RFC 6238, RFC 4226)."""

from __future__ import annotations

import hmac
import os
from base64 import b32encode
from typing import Final
from urllib.parse import quote

SECRET_BYTES: Final = 20
DIGITS: Final = 6
STEP_S: Final = 30


def new_secret() -> bytes:
    """A secret as long as the hash, as RFC 4226 section 4 recommends."""
    return os.urandom(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """The secret as people type it."""
    return b32encode(secret).decode()


def address(secret: bytes, login: str) -> str:
    """The `otpauth` address that authenticators read from a QR code."""
    return f"otpauth://totp/Wardlight:{quote(login)}?secret={shown(secret)}&issuer=Wardlight"


def code(secret: bytes, step: int) -> str:
    """The code of one step of 30 seconds since 1970."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, given: str, now_ms: int) -> int | None:
    """The step that a code is of: this one, the one before or the one after; None where it is of none of them."""
    now = now_ms // (STEP_S * 1000)
    found = None
    for step in (now - 1, now, now + 1):  # All are compared, so that time tells nothing of which it was.
        if hmac.compare_digest(code(secret, step).encode(), given.encode("utf-8", "replace")):
            found = step
    return found
