"""Keyed references: how the trail names patients, studies and series without holding who they are (audit.md §1)."""

from __future__ import annotations

import hmac
import struct
import unicodedata
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

_PATIENT: Final = b"wardlight/audit/patient/v1\x00"
_STUDY: Final = b"wardlight/audit/study/v1\x00"
_SERIES: Final = b"wardlight/audit/series/v1\x00"


@dataclass(frozen=True, slots=True)
class References:
    """Makes references under one institution's audit-reference key of one epoch."""

    key: bytes = field(repr=False)
    epoch: int

    def patient(self, patient_id: str, issuer: str = "") -> str:
        """`p<epoch>.…` over issuer and Patient ID; empty where there is no Patient ID."""
        return self._reference("p", _PATIENT, issuer, patient_id) if patient_id.strip() else ""

    def study(self, study_uid: str) -> str:
        """`s<epoch>.…` over the Study Instance UID."""
        return self._reference("s", _STUDY, study_uid)

    def series(self, series_uid: str) -> str:
        """`r<epoch>.…` over the Series Instance UID."""
        return self._reference("r", _SERIES, series_uid)

    def _reference(self, letter: str, label: bytes, *parts: str) -> str:
        message = bytearray(label)
        for part in parts:
            data = unicodedata.normalize("NFC", part).strip(" ").encode("utf-8", "replace")[:0xFFFF]
            message += struct.pack(">H", len(data)) + data
        digest = hmac.digest(self.key, message, "sha256")[:16]
        return f"{letter}{self.epoch}.{base64url(digest)}"


def base64url(data: bytes) -> str:
    """Base64 with - and _, without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
