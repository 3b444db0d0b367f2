"""Who acts: institutions, people, receivers, applications, and the principal that a token stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

#: State of what may act.
ACTIVE: Final = "active"
#: Stands for the institution of operators, who belong to none.
OPERATORS: Final = UUID(int=0)
#: Networks that hold every address.
ANYWHERE: Final = ("0.0.0.0/0", "::/0")


class PrincipalKind(StrEnum):
    """Kind of actor, spelt as the audit trail does."""

    PERSON = "person"
    RECEIVER = "receiver"
    APPLICATION = "application"
    OPERATOR = "operator"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


class Role(StrEnum):
    """Role of a person in the institution (architecture.md, who may do what)."""

    ADMINISTRATOR = "administrator"
    CLINICIAN = "clinician"
    RESEARCHER = "researcher"
    PRIVACY_OFFICER = "privacy-officer"
    OPERATOR = "operator"
    """Runs the platform; belongs to no hospital and sees no patient data."""


class TokenScope(StrEnum):
    """What a token may be used for, beside what its holder's role allows."""

    IMAGES_READ = "images.read"
    IMAGES_STORE = "images.store"
    AUDIT_READ = "audit.read"
    RECEIVER_STORE = "receiver.store"
    RECEIVER_AUDIT = "receiver.audit"
    RECEIVER_COLLECT = "receiver.collect"
    IMAGES_RESULTS = "images.results"
    IMAGES_UPLOAD = "images.upload"
    AUDIT_WRITE = "audit.write"
    EVENTS_READ = "events.read"
    WEBHOOKS_MANAGE = "webhooks.manage"
    NOTIFICATIONS_SEND = "notifications.send"
    MACHINE_WRITE = "machine.write"
    MACHINE_READ = "machine.read"
    MANAGE = "manage"
    PLATFORM = "platform"
    OPENID = "openid"
    """An application's token for one of its users: it may know who that is."""
    STEP_UP = "step-up"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose token was accepted. `institution` is None for the operator only.

    token_ref: first 16 bytes of the SHA-256 of the token's id, base64url: how the audit trail names the token. token:
    id of the row that it was found by, of a token or a session. purpose: the one that an application's token is for; ""
    for people, whose requests name it. networks: where people of the institution may come from, as CIDRs. step_up:
    whether its holder proved presence in the last minutes. person: for whom an application acts, with `role` theirs; ""
    where it acts for itself. study: keyed token of the one study that it may see, where its token shows no other.
    """

    kind: PrincipalKind
    id: str
    institution: UUID | None
    role: Role | None = None
    scopes: frozenset[str] = frozenset()
    token_ref: str = ""
    purpose: str = ""
    token: UUID | None = None
    networks: tuple[str, ...] = ANYWHERE
    step_up: bool = False
    person: str = ""
    study: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Institution:
    """A tenant: hospital or practice, the controller of its data.

    state: `active`, `suspended` (nobody of it, and nothing of it, gets in) or `closed` (the same for good). networks:
    where its people may come from, CIDRs with spaces between.
    """

    id: UUID
    slug: str
    name: str
    region: str
    state: str
    created_ms: int
    networks: str = "0.0.0.0/0 ::/0"


@dataclass(frozen=True, slots=True)
class Person:
    """A person affiliated with an institution. `name` is account data; the audit trail knows the id only."""

    id: str
    institution: UUID
    login: str
    name: str = field(repr=False)
    role: Role
    state: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """A gateway inside the hospital network, allowed to store into its own institution only."""

    id: str
    institution: UUID
    name: str
    state: str
    created_ms: int
