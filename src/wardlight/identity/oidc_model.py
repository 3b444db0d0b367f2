"""What the OpenID provider hands about: consents, sign-ins to applications, and the tokens of one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

#: Lives in seconds (security.md section 6). A sign-in, with its refresh tokens, lasts 8 hours, however often renewed.
CODE_S: Final = 60
ID_TOKEN_S: Final = 300
ACCESS_TOKEN_S: Final = 600
LOGIN_S: Final = 8 * 3600


@dataclass(frozen=True, slots=True)
class Consent:
    """subject: the person's name towards this application alone. withdrawn_ms: None while it holds."""

    person: str
    application: str
    institution: UUID
    subject: str
    scopes: frozenset[str]
    given_ms: int
    withdrawn_ms: int | None = None

    def covers(self, scopes: frozenset[str]) -> bool:
        """Whether it holds for all of these."""
        return self.withdrawn_ms is None and scopes <= self.scopes


@dataclass(frozen=True, slots=True)
class Login:
    """A person signed in to an application. Times are Unix milliseconds; session: where the person signed in here."""

    id: UUID
    institution: UUID
    person: str
    application: str
    session: UUID
    scopes: frozenset[str]
    purpose: str
    nonce: str = field(repr=False)
    auth_ms: int
    code: bytes = field(repr=False)
    code_expires_ms: int
    code_used_ms: int | None
    redirect_uri: str
    challenge: str
    created_ms: int
    expires_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class User:
    """The person of a sign-in as its application may know them."""

    subject: str
    institution: str
    login: str
    name: str = field(repr=False)
    role: str
    active: bool


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token. used_ms: when it was exchanged, which happens once. jkt: key that it is bound to (RFC 9449)."""

    id: UUID
    login: UUID
    scopes: frozenset[str]
    expires_ms: int
    used_ms: int | None
    jkt: bytes | None


@dataclass(frozen=True, slots=True)
class Farewell:
    """An application to be told that a sign-in ended (OpenID Connect Back-Channel Logout 1.0)."""

    login: UUID
    institution: UUID
    application: str
    subject: str
    uri: str
    tried: int
