"""Every label under which a key is derived or a blob is bound: one place, so that none is used twice (security.md §2).

Two uses of one label would mean two meanings of one key. The enum refuses a value that occurs twice; a test demands
that no other module spells a label itself.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final

PREFIX: Final = b"wardlight/v1/"


@unique
class Label(StrEnum):
    """What a derived key, or the associated data of a sealed blob, is for."""

    # Keys by HKDF.
    OBJECT = "object"
    ATTRIBUTE = "attribute"
    URL = "url"
    POSTING_LABEL = "posting-label"
    POSTING_BODY = "posting-body"
    UID = "uid"
    CURSOR = "cursor"
    DEID_UID = "deid-uid"
    DEID_PATIENT = "deid-patient"
    DEID_ID = "deid-id"
    DEID_DATE = "deid-date"
    DEID_TIME = "deid-time"
    AUDIT_REFERENCE = "audit-ref"
    CSRF = "csrf"
    DPOP_NONCE = "dpop-nonce"
    ENROLMENT = "enrolment"
    VAULT_LOOKUP = "vault-lookup"
    VAULT_ROWS = "vault-rows"
    VAULT_RECOVERY = "vault-recovery"
    DOMAIN = "pseudonym-domain"
    # Associated data of an AEAD.
    WRAP = "wrap"
    KEYSLOT = "keyslot"
    SEALED_ATTRIBUTES = "attr"
    ROOT = "root"
    LOG_SEED = "log-seed"
    WEBHOOK = "webhook"
    TOKEN_KEY = "token-key"  # noqa: S105 - a label
    CLIENT_SECRET = "client-secret"  # noqa: S105 - a label
    FACTOR = "factor"
    VAULT_ROW = "vault-row"
    # What an HMAC is over.
    RECOVERY = "recovery-code"


def bind(label: Label, context: bytes = b"") -> bytes:
    """`"wardlight/v1/<label>" ‖ 0x00 ‖ context`: the info of HKDF, or the associated data of an AEAD."""
    return PREFIX + label.value.encode("ascii") + b"\x00" + context
