"""Tells applications that somebody signed out here: OpenID Connect Back-Channel Logout 1.0.

The tokens have ended with the sign-out; this is for what the application keeps itself, its own session.
"""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import urlencode

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.egress import Egress, reason_of
from wardlight.identity import oidc_store as store
from wardlight.identity.oauth import FORM
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_model import ID_TOKEN_S, Farewell

_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_AT_ONCE: Final = 20
#: Nobody else tries meanwhile; longer than a whole round of requests that time out.
_LEASE_MS: Final = 5 * 60_000
#: Pauses before the next try, in milliseconds; after the last one it is given up.
_PAUSES_MS: Final = (5_000, 30_000, 120_000, 600_000)
_DONE: Final = (200, 204)
#: Beginning of the reason where an answer came.
_STATUS: Final = "status-"
_BY: Final = Actor("system", "worker")


class Farewells:
    """One round is `tell`. issuer: the platform's address, as it stands in id tokens."""

    def __init__(
        self, database: Database, recorder: Recorder, keys: TokenKeys, egress: Egress, issuer: str
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._keys = keys
        self._egress = egress
        self._issuer = issuer

    def tell(self) -> int:
        """Tell those that are due; returns how many were told."""
        with self._database.begin(EVERYWHERE) as tx:
            due = store.claim_farewells(tx, clock.unix_ms(), _LEASE_MS, _AT_ONCE)
        told, silent = 0, dict[str, str]()
        for one in due:
            reason = silent.get(one.application) or (self._send(one) if one.uri else "")
            # One time-out an application: the others wait for their turn meanwhile.
            if reason and not reason.startswith(_STATUS):
                silent[one.application] = reason
            told += bool(one.uri and not reason)
            self._mark(one, reason)
        return told

    def _send(self, one: Farewell) -> str:
        """Why it could not be told, or nothing."""
        now = clock.unix_ms() // 1000
        claims = {
            "iss": self._issuer,
            "sub": one.subject,
            "aud": one.application,
            "iat": now,
            "exp": now + ID_TOKEN_S,
            "jti": secrets.token_urlsafe(16),
            "sid": one.login.hex,
            "events": {_EVENT: {}},
        }
        body = urlencode({"logout_token": self._keys.sign("logout+jwt", claims)}).encode()
        try:
            reply = self._egress.send("POST", one.uri, body, {"Content-Type": FORM}, wanted=False)
        except OSError as error:
            return reason_of(error)
        return "" if reply.status in _DONE else f"{_STATUS}{reply.status}"

    def _mark(self, one: Farewell, reason: str) -> None:
        again = bool(reason) and one.tried < len(_PAUSES_MS)
        pause = _PAUSES_MS[one.tried] if again else 0
        with self._database.begin(one.institution) as tx:
            store.mark_farewells(tx, [one.login], clock.unix_ms() + pause if again else None)
            if one.uri and not again:
                event = Event(
                    Action.EVENTS_NOTIFICATION_FAIL if reason else Action.EVENTS_NOTIFICATION_DELIVER,
                    _BY,
                    outcome=Outcome.FAILED if reason else Outcome.SUCCESS,
                    reason=reason,
                    target=Target("application", id=one.application),
                )
                self._recorder.write(tx, one.institution, event)
