"""The error catalogue: stable code, text without patient data, HTTP status, DICOM status.

Every error that leaves the process is one of these. `detail` may name tags, counts, limits and codes; it never
holds a value from a data set, a path, or the text of somebody else's exception.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the catalogue.

    code: stable, kebab-case, part of the API. title: one sentence for people. http: status of the answer.
    dicom: C-STORE status (PS3.4 Table B.2-1) where the error can end a C-STORE, else 0x0110 (processing failure).
    """

    code: str
    title: str
    http: int
    dicom: int = 0x0110


_KINDS: Final = (
    ErrorKind("bad-request", "The request is not understood.", 400),
    ErrorKind("matching-key-not-supported", "A search names an attribute that cannot be matched.", 400),
    ErrorKind("query-too-broad", "The search leaves too many candidates; add a key.", 413),
    ErrorKind("unauthenticated", "A valid bearer token is needed.", 401),
    ErrorKind("sign-in-failed", "The name, the password or the code is not right.", 401),
    ErrorKind("forbidden", "The token does not allow this operation.", 403),
    ErrorKind("enrolment-refused", "This enrolment of a receiver is not taken; ask for a new code.", 403),
    ErrorKind("no-agreement", "No agreement of the institution covers this data.", 403, 0x0124),
    ErrorKind("agreement-withdrawn", "The agreement that covered this data was withdrawn or has ended.", 403, 0x0124),
    ErrorKind("not-subscribed", "The institution does not subscribe to this application.", 403, 0x0124),
    ErrorKind("level-not-agreed", "The agreement does not allow data at this privacy level.", 403, 0x0124),
    ErrorKind("region-not-agreed", "The agreement does not allow data in the region where it would be.", 403, 0x0124),
    ErrorKind("not-found", "There is nothing here that you may see.", 404),
    ErrorKind("method-not-allowed", "This method is not offered here.", 405),
    ErrorKind("not-acceptable", "None of the accepted media types or transfer syntaxes can be given.", 406),
    ErrorKind("cannot-decode", "The stored image cannot be decoded; its stored transfer syntax can be asked for.", 406),
    ErrorKind("conflict", "The stored state does not allow this.", 409),
    ErrorKind("checksum-mismatch", "The bytes are not those that the checksum is of; send them again.", 460),
    ErrorKind("study-deleted", "This study was deleted; a person has to decide whether it may come again.", 409, 0xC002),
    ErrorKind("instance-conflict", "This SOP instance is stored already with other content; the first is kept.", 409, 0x0111),
    ErrorKind("audit-id-reused", "Another entry of the audit trail has this id.", 409),
    ErrorKind("precondition-failed", "What is stored is not what the request's condition names.", 412),
    ErrorKind("too-large", "The request is larger than the limit.", 413, 0xA700),
    ErrorKind("unsupported-media-type", "This content type is not taken here.", 415),
    ErrorKind("range-not-satisfiable", "The requested range lies outside the object.", 416),
    ErrorKind("rate-limited", "Too many requests; try again later.", 429, 0xA700),
    ErrorKind("bad-data-set", "The data set cannot be parsed.", 400, 0xC000),
    ErrorKind("instance-mismatch", "The data set names another SOP instance or class than the message.", 400, 0xA900),
    ErrorKind("missing-identifier", "The data set lacks a UID that every instance must have.", 400, 0xC000),
    ErrorKind("not-deidentified", "The object is not de-identified as its privacy level demands.", 422, 0xC001),
    ErrorKind("personal-data", "There is personal data in this, and the sender wants it refused then.", 422),
    ErrorKind("sop-class-not-allowed", "The route does not take this SOP class.", 400, 0x0122),
    ErrorKind("transfer-syntax-not-supported", "Pixel data in this media type or transfer syntax is not taken.", 415, 0xC122),
    ErrorKind("out-of-resources", "There is not enough free space to keep this object safely.", 507, 0xA700),
    ErrorKind("object-damaged", "Stored data is damaged; it was not released.", 500),
    ErrorKind("wrong-key", "The key does not fit this object.", 500),
    ErrorKind("key-destroyed", "The key of this data was destroyed.", 410),
    ErrorKind("audit-fork", "The audit log is not the one whose head was signed; its sealing has stopped.", 500),
    ErrorKind("settings-unsafe", "The settings are not safe to start with.", 500),
    ErrorKind("already-exists", "Something of this name exists already.", 409),
    ErrorKind("unavailable", "The service cannot answer now; try again.", 503, 0xA700),
    ErrorKind("internal", "Something failed here; it is logged under the request's number.", 500),
)  # fmt: skip

CATALOGUE: Final[dict[str, ErrorKind]] = {kind.code: kind for kind in _KINDS}


@dataclass(eq=False)
class WardlightError(Exception):
    """An error of the catalogue. `reason` is a finer machine-readable code, as the access decision gives it.

    told: such a code for the audit trail alone, where the answer may not say it.
    """

    code: str
    detail: str = ""
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    told: str = ""

    def __post_init__(self) -> None:
        super().__init__(self.code)
        if self.code not in CATALOGUE:
            raise KeyError(f"error code {self.code!r} is not in the catalogue")

    @property
    def kind(self) -> ErrorKind:
        """The catalogue row."""
        return CATALOGUE[self.code]

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or self.kind.title}"
