"""Sessions of people in browsers: opaque, on the server, ended by a row (security.md section 6)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.audit.references import base64url
from wardlight.db.engine import EVERYWHERE, Database, Everywhere
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity import oidc_store
from wardlight.identity import session_store as store
from wardlight.identity.model import ACTIVE, OPERATORS, Principal, PrincipalKind, Role, TokenScope
from wardlight.identity.session_store import Session
from wardlight.identity.tokens import TokenKind, new_token, token_hash, token_kind
from wardlight.keys.labels import Label, bind

#: A session ends after so long without a request, and after so long in all, in ms.
IDLE_MS: Final = 30 * 60 * 1000
WHOLE_MS: Final = 12 * 3600 * 1000
#: How long a proof of presence lasts, in ms.
STEP_UP_MS: Final = 5 * 60 * 1000
# That a session is in use is written at most so often, in ms: reads must not each cost a write.
_SEEN_MS: Final = 60 * 1000
_SWEEP: Final = 500

#: A session of somebody without a second factor: it may give itself one, and nothing else.
LIMITED: Final = "limited"

# The role decides; a session narrows nothing.
_STAFF: Final = frozenset(
    {
        TokenScope.IMAGES_READ,
        TokenScope.IMAGES_STORE,
        TokenScope.IMAGES_UPLOAD,
        TokenScope.AUDIT_READ,
        TokenScope.MANAGE,
    }
)
_OPERATOR: Final = frozenset({TokenScope.PLATFORM})


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has begun or got a new id. cookie: shown once."""

    cookie: str = field(repr=False)
    person: str
    institution: UUID
    method: str


class Sessions:
    """Opens, knows and ends sessions. Each change is an audit entry in its transaction."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def open(
        self,
        tx: Connection,
        institution: UUID,
        person: str,
        method: str,
        address: str,
        *,
        stepped_ms: int | None = None,
    ) -> Opened:
        """A new session; the caller writes that into the trail.

        stepped_ms: when its holder proved who they are, if that was not just now.
        """
        cookie = new_token(TokenKind.SESSION)
        now = clock.unix_ms()
        values = {
            "id": uuid7(),
            "hash": token_hash(cookie),
            "institution": institution,
            "person": person,
            "method": method,
            "address": address,
            "created_ms": now,
            "seen_ms": now,
            "expires_ms": now + WHOLE_MS,
            "stepped_ms": now if stepped_ms is None else stepped_ms,
        }
        store.add(tx, values)
        return Opened(cookie, person, institution, method)

    def authenticate(self, cookie: str, *, seen: bool = True) -> Principal | None:
        """Whom the cookie stands for, or None. Each request asks anew: what was ended is ended.

        seen: it shows that somebody is there, which what a page asks for by itself does not.
        """
        if token_kind(cookie) is not TokenKind.SESSION:
            return None
        now = clock.unix_ms()
        with self._database.read(EVERYWHERE) as tx:
            row = store.find(tx, token_hash(cookie))
        if row is None or row.seen_ms <= now - IDLE_MS or row.expires_ms <= now:
            return None
        if row.person_state != ACTIVE or row.institution_state != ACTIVE:
            return None
        if seen and row.seen_ms < now - _SEEN_MS:
            with self._database.begin(place_of(row.institution)) as tx:
                store.see(tx, row.id, now)
        scopes = _OPERATOR if row.institution == OPERATORS else _STAFF
        return person_principal(
            row.person,
            row.institution,
            Role(row.role),
            frozenset() if row.method == LIMITED else scopes,
            row.id,
            row.networks,
            step_up=row.stepped_ms > now - STEP_UP_MS and row.method != LIMITED,
        )

    def renew(self, tx: Connection, principal: Principal, method: str) -> Opened:
        """A new cookie for a session whose holder proved presence again; the old one is good no more."""
        assert principal.token is not None
        cookie = new_token(TokenKind.SESSION)
        if not store.renew(tx, principal.token, token_hash(cookie), method, clock.unix_ms()):
            raise WardlightError("unauthenticated", reason="session")
        return Opened(cookie, principal.id, home(principal), method)

    def of(self, principal: Principal) -> list[Session]:
        """One's own sessions, newest first."""
        with self._database.read(place_of(home(principal))) as tx:
            return store.sessions(tx, principal.id)

    def of_person(self, institution: UUID, person: str, *, by: Actor) -> list[Session]:
        """Somebody's sessions, newest first; that they were shown is in the trail."""
        with self._database.begin(place_of(institution)) as tx:
            event = Event(Action.IDENTITY_PERSON_READ, by, target=Target("person", id=person))
            self._recorder.write(tx, log_of(institution), event)
            return store.sessions(tx, person)

    def logout(self, principal: Principal, *, by: Actor, address: str = "", request: str = "") -> None:
        """End the session that was used."""
        assert principal.token is not None
        with self._database.begin(place_of(home(principal))) as tx:
            store.end(tx, principal.id, principal.token)
            oidc_store.follow_session(tx, principal.id, clock.unix_ms(), principal.token)
            event = Event(
                Action.IDENTITY_SESSION_LOGOUT,
                by,
                address=address,
                request=request,
                token=principal.token_ref,
            )
            self._recorder.write(tx, principal.institution, event)

    def end(
        self, institution: UUID, person: str, id_: UUID | None = None, *, by: Actor, but: UUID | None = None
    ) -> int:
        """End one session of a person, or all (but one); returns how many there were."""
        with self._database.begin(place_of(institution)) as tx:
            return self.end_in(tx, institution, person, id_, by=by, but=but)

    def end_in(
        self,
        tx: Connection,
        institution: UUID,
        person: str,
        id_: UUID | None = None,
        *,
        by: Actor,
        but: UUID | None = None,
    ) -> int:
        """`end` within a transaction that has begun."""
        ended = store.end(tx, person, id_, but=but)
        oidc_store.follow_session(tx, person, clock.unix_ms(), id_, but)
        if ended:
            target = Target("person", id=person)
            event = Event(Action.IDENTITY_SESSION_REVOKE, by, target=target, counts={"sessions": ended})
            self._recorder.write(tx, log_of(institution), event)
        return ended

    def sweep(self) -> int:
        """End sessions that are over by time."""
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            ended = store.end_old(tx, now - IDLE_MS, now, _SWEEP)
            for institution, person in ended:
                event = Event(
                    Action.IDENTITY_SESSION_EXPIRE,
                    Actor("system", "worker"),
                    target=Target("person", id=person),
                )
                self._recorder.write(tx, log_of(institution), event)
            store.sweep_links(tx, now)
        return len(ended)


def csrf_token(cookie: str) -> str:
    """What an unsafe request with this cookie must bring in `X-CSRF`: who cannot read the cookie cannot make it."""
    return base64url(hmac.digest(cookie.encode(), bind(Label.CSRF), "sha256"))


def csrf_fits(cookie: str, given: str) -> bool:
    """Whether it is this cookie's."""
    return secrets.compare_digest(csrf_token(cookie).encode(), given.encode("utf-8", "replace"))


def person_principal(
    person: str,
    institution: UUID,
    role: Role,
    scopes: frozenset[str],
    row: UUID,
    networks: str,
    *,
    step_up: bool,
) -> Principal:
    """The principal of a person, or of an operator, by a token or session of that row."""
    operator = institution == OPERATORS
    return Principal(
        PrincipalKind.OPERATOR if operator else PrincipalKind.PERSON,
        person,
        None if operator else institution,
        role,
        scopes,
        base64url(hashlib.sha256(str(row).encode()).digest()[:16]),
        token=row,
        networks=tuple(networks.split()),
        step_up=step_up,
    )


def home(principal: Principal) -> UUID:
    """The institution whose rows hold the principal's account: for operators the one that stands for them."""
    return principal.institution or OPERATORS


def place_of(institution: UUID) -> UUID | Everywhere:
    """Which rows a transaction about its people must see: operators have theirs and the operator's log."""
    return EVERYWHERE if institution == OPERATORS else institution


def log_of(institution: UUID) -> UUID | None:
    """Whose log tells of it: operators' is the operator's own."""
    return None if institution == OPERATORS else institution
