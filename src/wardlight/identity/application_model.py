"""Partner applications: who makes them, where they run, and how they prove who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wardlight.identity.model import TokenScope


class ApplicationKind(StrEnum):
    """Where it runs: at its vendor, or inside the hospital."""

    CLOUD = "cloud"
    ON_PREMISES = "on-premises"


class ApplicationState(StrEnum):
    """Life of a registration. A deleted one stays as a name for the trail and for what was agreed; it never returns."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class AuthMethod(StrEnum):
    """How it proves who it is at the token endpoint, as OpenID Connect Core section 9 names it."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105 - the name of a method
    NONE = "none"
    """A single-page application, which can keep no secret: it has no token of its own, only its users'."""


#: What an application may be registered for.
APPLICATION_SCOPES: Final = frozenset(
    {
        TokenScope.IMAGES_READ,
        TokenScope.IMAGES_RESULTS,
        TokenScope.IMAGES_UPLOAD,
        TokenScope.AUDIT_WRITE,
        TokenScope.EVENTS_READ,
        TokenScope.WEBHOOKS_MANAGE,
        TokenScope.NOTIFICATIONS_SEND,
        TokenScope.MACHINE_WRITE,
        TokenScope.MACHINE_READ,
    }
)
#: What it is registered for where nothing else is said: all but bringing studies of its own, and machine data.
USUAL_APPLICATION_SCOPES: Final = APPLICATION_SCOPES - {
    TokenScope.IMAGES_UPLOAD,
    TokenScope.MACHINE_WRITE,
    TokenScope.MACHINE_READ,
}


@dataclass(frozen=True, slots=True)
class Application:
    """A partner application in one environment; `images` is the institutions' own and always there.

    id: `company_app_environment`. owner: whom to ask at the company. redirect_uris: addresses that its users come back
    to after they signed in, compared letter by letter; post_logout_uris: after they signed out.
    """

    id: str
    name: str
    vendor: str
    state: str
    created_ms: int
    environment: str = ""
    kind: ApplicationKind = ApplicationKind.CLOUD
    owner: str = field(default="", repr=False)
    auth_method: AuthMethod = AuthMethod.PRIVATE_KEY_JWT
    scopes: frozenset[str] = frozenset()
    redirect_uris: tuple[str, ...] = ()
    post_logout_uris: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it may do anything."""
        return self.state == ApplicationState.ACTIVE


@dataclass(frozen=True, slots=True)
class ApplicationKey:
    """A public key, or a secret. alg: the one algorithm that it is for, or `secret`. ends_ms: when its time is over."""

    application: str
    kid: str
    alg: str
    jwk: str
    created_ms: int
    ends_ms: int | None = None
