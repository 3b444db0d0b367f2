"""New UIDs, pseudonyms and identifiers: keyed, so the same input gives the same output on any machine and day."""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final

#: UIDs of PS3.6 that name one well-known thing everywhere: frames of reference (Table A-2), palettes (A-1), UTC. They
#: say nothing about anybody, and readers look for them.
WELL_KNOWN: Final = re.compile(rb"1\.2\.840\.10008\.(?:1\.4\.[1-4]\.[0-9]{1,2}|1\.5\.[0-9]{1,2}|15\.1\.1)")
_VERSION: Final = 8 << 76
_VARIANT: Final = 2 << 62
_CLEAR: Final = ~((0xF << 76) | (3 << 62))
#: Longest value of VR SH, in characters.
SHORT_STRING: Final = 16


def new_uid(key: bytes, uid: bytes) -> bytes:
    """`2.25.` and the decimal of a UUID of version 8 (RFC 9562) from the HMAC of the UID, padded to even length.

    uid: one value without padding. A well-known UID of the standard is given back.
    """
    if WELL_KNOWN.fullmatch(uid):
        made = uid
    else:
        number = int.from_bytes(hmac.digest(key, uid, "sha256")[:16], "big")
        made = b"2.25.%d" % (number & _CLEAR | _VERSION | _VARIANT)
    return made + b"\0" if len(made) & 1 else made


def map_uids(key: bytes, value: bytes) -> bytes:
    """`new_uid` for each of the values of a UI element; empty values stay empty."""
    if b"\\" not in value:
        stripped = value.strip(b"\0 ")
        return new_uid(key, stripped) if stripped else b""
    made = [
        new_uid(key, one).rstrip(b"\0") if one else b""
        for one in (v.strip(b"\0 ") for v in value.split(b"\\"))
    ]
    joined = b"\\".join(made)
    return joined + b"\0" if len(joined) & 1 else joined


def identifier(key: bytes, value: bytes) -> bytes:
    """Sixteen characters A-Z, 2-7 in place of an identifier: legal in SH, LO, CS, AE, PN."""
    return b32encode(hmac.digest(key, value.strip(b"\0 "), "sha256")[:10])


def patient_of(issuer: bytes, patient_id: bytes, study_uid: bytes) -> bytes:
    """The bytes that stand for a patient in derivations."""
    trimmed = patient_id.strip(b"\0 ")
    if not trimmed:
        return b"study\0" + study_uid.strip(b"\0 ")
    return b"patient\0" + issuer.strip(b"\0 ") + b"\0" + trimmed


def study_group(key: bytes, study_uid: bytes) -> str:
    """32 hex digits shared by all releases of one original study."""
    return hmac.digest(key, study_uid.strip(b"\0 "), "sha256")[:16].hex()
