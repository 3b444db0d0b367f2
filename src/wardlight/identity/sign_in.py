"""Signing in, proving presence again, and following an invitation (security.md section 6).

A name is looked for in all institutions and the password decides, so nobody is asked where they work. Whether a name
exists shows neither in an answer nor in the time that it takes: one hash is made of what was typed, whoever has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import factor_store, lockout, passkeys, session_store, sign_in_store, store
from wardlight.identity.factors import CHALLENGE_MS, PASSKEY, Factors
from wardlight.identity.institutions import is_within
from wardlight.identity.model import ACTIVE, OPERATORS, Person, Principal
from wardlight.identity.passkeys import Site
from wardlight.identity.passwords import SALT_BYTES, derive, normal_name, require_good
from wardlight.identity.people import INVITE, INVITED
from wardlight.identity.rates import Rates
from wardlight.identity.sessions import LIMITED, Opened, Sessions, home, log_of, place_of
from wardlight.identity.sign_in_store import Candidate
from wardlight.identity.tokens import TokenKind, token_hash, token_kind

#: Attempts with one name from one network, and with any name from it: so many at once, and again in so many seconds.
ATTEMPTS: Final = (10, 900)
NETWORK_ATTEMPTS: Final = (300, 900)
_PASSKEY_ATTEMPTS: Final = (600, 900)
_LINK_ATTEMPTS: Final = (60, 3600)

_NOBODY: Final = Actor("anonymous", "-")


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where an attempt comes from. request: trace id."""

    address: str = field(repr=False)
    request: str = ""


class SignIn:
    """The ways in. Each success and each failure is an audit entry."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        denials: Denials,
        rates: Rates,
        sessions: Sessions,
        factors: Factors,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._denials = denials
        self._rates = rates
        self._sessions = sessions
        self._factors = factors

    def by_password(
        self, login: str, password: str, code: str, attempt: Attempt, institution: str = ""
    ) -> Opened:
        """A session for name, password and code together; `limited` for somebody who has no second factor yet.

        institution: slug, where the same name and password are those of two people. Raises `sign-in-failed`,
        `rate-limited`, and `conflict` with the slugs where they are and none is given.
        """
        name = normal_name(login)
        with self._database.read(EVERYWHERE) as tx:
            salt = sign_in_store.name_salt(tx, name) or os.urandom(SALT_BYTES)
            known = sign_in_store.candidates(tx, name)
            accounts = {
                one: lockout.keys(one, attempt.address) for one in [who.person for who in known] or [name]
            }
            lockout.require_free(tx, accounts)
        with self._database.begin() as tx:
            self._take(tx, name, attempt)
            look = lockout.begin(tx, accounts)
        verifier = derive(password, salt)
        fitting = [
            one
            for one in known
            if compare_digest(one.verifier, verifier)
            and one.person in look.free
            and institution in ("", one.slug)
        ]
        if len(fitting) > 1:
            raise WardlightError("conflict", " ".join(one.slug for one in fitting), "institution")
        reason = "credentials"
        if fitting:
            reason = _bar(fitting[0], attempt.address)
            others = [accounts[one] for one in look.free if one != fitting[0].person]
            opened = None if reason else self._second_factor(fitting[0], code, name, others, attempt)
            if opened:
                return opened
        self._failed(
            [(one.institution, one.person) for one in known], reason or "code", attempt, locked=look.first
        )
        raise WardlightError("sign-in-failed")

    def passkey_options(self, site: Site, attempt: Attempt) -> dict[str, Any]:
        """Options with which a browser asks for a passkey of this site. Raises `rate-limited`."""
        return self._ask(site, None, attempt)

    def by_passkey(self, site: Site, answer: Mapping[str, Any], attempt: Attempt) -> Opened:
        """A session for the signature of a passkey: no password slows it. Raises `sign-in-failed`."""
        signed = passkeys.read(answer)
        self._factors.take_challenge(signed.challenge, None)
        with self._database.begin(EVERYWHERE) as tx:
            found = factor_store.passkey(tx, signed.credential)
            reason = "credentials"
            if found is not None:
                one, holder = found
                reason = self._factors.check_passkey(tx, site, signed, one)
                if not reason:
                    reason = _bar_states(
                        holder.state, holder.institution_state, holder.networks, attempt.address
                    )
                if not reason:
                    return self._open(tx, one.institution, one.person, PASSKEY, attempt)
        self._failed([(one.institution, one.person)] if found else [], reason, attempt)
        raise WardlightError("sign-in-failed")

    def step_up_options(self, site: Site, principal: Principal, attempt: Attempt) -> dict[str, Any]:
        """Options with which a browser asks for a passkey of somebody who is signed in."""
        return self._ask(site, principal.id, attempt)

    def step_up(
        self,
        principal: Principal,
        attempt: Attempt,
        *,
        code: str = "",
        passkey: tuple[Site, Mapping[str, Any]] | None,
    ) -> Opened:
        """The session under a new id, fresh for five minutes: its holder is there. Raises `sign-in-failed`."""
        place = home(principal)
        if passkey is not None:
            site, answer = passkey
            signed = passkeys.read(answer)
            self._factors.take_challenge(signed.challenge, principal.id)
            with self._database.begin(place_of(place)) as tx:
                found = factor_store.passkey(tx, signed.credential)
                if found is not None and found[0].person == principal.id:
                    reason = self._factors.check_passkey(tx, site, signed, found[0])
                    if not reason:
                        return self._stepped(tx, principal, PASSKEY, attempt)
                else:
                    reason = "credentials"
            self._failed([(place, principal.id)], reason, attempt)
            raise WardlightError("sign-in-failed")
        both = lockout.keys(f"step-up {principal.id}", attempt.address)
        with self._database.begin() as tx:
            look = lockout.begin(tx, {principal.id: both})
        with self._database.begin(place_of(place)) as tx:
            method = self._factors.check_code(tx, place, principal.id, code)
            if method:
                lockout.forgive(tx, both)
                return self._stepped(tx, principal, method, attempt)
        self._failed([(place, principal.id)], "code", attempt, locked=look.first)
        raise WardlightError("sign-in-failed")

    def follow_link(self, token: str, password: str, attempt: Attempt) -> Opened | None:
        """Set the password of somebody who was invited, or let back in; the link is then good no more.

        Returns a `limited` session where they have no second factor yet; who has one signs in. Raises
        `sign-in-failed`, and `bad-request` for a password that is not taken: then the link stays good.
        """
        with self._database.begin() as tx:
            limit, seconds = _LINK_ATTEMPTS
            self._rates.take(tx, f"link:{lockout.network(attempt.address)}", limit, seconds)
        row = None
        if token_kind(token) is TokenKind.LINK:
            digest = token_hash(token)
            with self._database.read(EVERYWHERE) as tx:
                row = session_store.link_person(tx, digest, clock.unix_ms())
        if row is None:
            self._failed([], "link", attempt)
            raise WardlightError("sign-in-failed")
        values = self._password_values(row, password)
        with self._database.begin(EVERYWHERE) as tx:
            taken = session_store.take_link(tx, digest, clock.unix_ms())
            if taken is None:
                raise WardlightError("sign-in-failed")
            if taken[2] == INVITE and row.state == INVITED:
                store.set_person_state(tx, row.id, ACTIVE)
            by = Actor("operator" if row.institution == OPERATORS else "person", row.id, row.role.value)
            self._set_password(tx, row, values, by)
            if self._factors.has_any(tx, row.id):
                return None
            return self._open(tx, row.institution, row.id, LIMITED, attempt)

    def change_password(
        self, principal: Principal, old: str, new: str, attempt: Attempt, *, by: Actor
    ) -> None:
        """Change one's own password, and end one's other sessions. Raises `sign-in-failed`, `bad-request`."""
        place = home(principal)
        with self._database.read(place_of(place)) as tx:
            row = store.people(tx, place, id_=principal.id)[0]
        require_good(new, row.login)
        name = normal_name(row.login)
        both = lockout.keys(row.id, attempt.address)
        with self._database.begin() as tx:
            look = lockout.begin(tx, {row.id: both})
        with self._database.read(EVERYWHERE) as tx:
            salt = sign_in_store.name_salt(tx, name) or os.urandom(SALT_BYTES)
            own = [one.verifier for one in sign_in_store.candidates(tx, name) if one.person == row.id]
        verifier = derive(old, salt)
        if not any(compare_digest(one, verifier) for one in own):
            self._failed([(place, row.id)], "credentials", attempt, locked=look.first)
            raise WardlightError("sign-in-failed")
        values = self._password_values(row, new)
        with self._database.begin(EVERYWHERE) as tx:
            lockout.forgive(tx, both)
            self._set_password(tx, row, values, by, but=principal.token)

    def give_password(self, person: Person, password: str, *, by: Actor) -> None:
        """Set somebody's password, as whoever administers the machine does. Raises `bad-request`."""
        values = self._password_values(person, password)
        with self._database.begin(EVERYWHERE) as tx:
            self._set_password(tx, person, values, by)

    def sweep(self) -> int:
        """Forget challenges and failures whose time is over."""
        with self._database.begin() as tx:
            return sign_in_store.sweep_challenges(tx, clock.unix_ms()) + lockout.sweep(tx)

    def _second_factor(
        self, who: Candidate, code: str, name: str, others: list[lockout.Pair], attempt: Attempt
    ) -> Opened | None:
        """others: who has the same name, and was not meant."""
        with self._database.begin(EVERYWHERE) as tx:
            if self._factors.has_any(tx, who.person):
                method = self._factors.check_code(tx, who.institution, who.person, code)
            else:
                method = LIMITED
            if not method:
                return None
            lockout.forgive(tx, lockout.keys(who.person, attempt.address))
            for one in others:
                lockout.take_back(tx, one)
            self._give_back(tx, name, attempt)
            return self._open(tx, who.institution, who.person, method, attempt)

    def _take(self, tx: Connection, name: str, attempt: Attempt) -> None:
        for key, (limit, seconds) in _measures(name, attempt):
            self._rates.take(tx, key, limit, seconds)

    def _give_back(self, tx: Connection, name: str, attempt: Attempt) -> None:
        """Who is who they say has used up nothing of what guesses have."""
        for key, (limit, seconds) in _measures(name, attempt):
            self._rates.give_back(tx, key, limit, seconds)

    def _ask(self, site: Site, person: str | None, attempt: Attempt) -> dict[str, Any]:
        challenge = passkeys.new_challenge()
        with self._database.begin() as tx:
            self._rates.take(tx, f"passkey:{lockout.network(attempt.address)}", *_PASSKEY_ATTEMPTS)
            expires = clock.unix_ms() + CHALLENGE_MS
            sign_in_store.add_challenge(tx, passkeys.challenge_hash(challenge), person, expires)
        return passkeys.request(site, challenge)

    def _open(self, tx: Connection, institution: UUID, person: str, method: str, attempt: Attempt) -> Opened:
        opened = self._sessions.open(tx, institution, person, method, attempt.address)
        self._tell(tx, institution, person, method, attempt)
        return opened

    def _stepped(self, tx: Connection, principal: Principal, method: str, attempt: Attempt) -> Opened:
        self._tell(tx, home(principal), principal.id, f"step-up:{method}", attempt)
        return self._sessions.renew(tx, principal, method)

    def _tell(self, tx: Connection, institution: UUID, person: str, method: str, attempt: Attempt) -> None:
        event = Event(
            Action.IDENTITY_SESSION_LOGIN,
            Actor("operator" if institution == OPERATORS else "person", person),
            address=attempt.address,
            request=attempt.request,
            detail={"method": method},
        )
        self._recorder.write(tx, log_of(institution), event)

    def _failed(
        self,
        known: list[tuple[UUID, str]],
        reason: str,
        attempt: Attempt,
        *,
        locked: frozenset[str] = frozenset(),
    ) -> None:
        """Tell of a failure in the logs of those whose name it was; in the operator's, if it was nobody's.

        Where they belong to several institutions, none is told where it came from: it was meant for one of them.
        """
        address = attempt.address if len({institution for institution, _ in known}) < 2 else ""
        for institution, person in known or [(OPERATORS, "")]:
            event = Event(
                Action.IDENTITY_SESSION_LOGIN,
                _NOBODY,
                outcome=Outcome.DENIED,
                target=Target("person", id=person) if person else None,
                reason=reason,
                address=address,
                request=attempt.request,
            )
            self._denials.record(log_of(institution), event)
            if person in locked or (locked and not person):
                lock = replace(
                    event, action=Action.IDENTITY_ACCOUNT_LOCK, outcome=Outcome.SUCCESS, reason="rate"
                )
                self._denials.record(log_of(institution), lock)

    def _password_values(self, person: Person, password: str) -> dict[str, Any]:
        """What is kept of a password, made before a transaction that must not wait for it."""
        require_good(password, person.login)
        name = normal_name(person.login)
        with self._database.begin() as tx:
            salt = sign_in_store.ensure_name(tx, name, os.urandom(SALT_BYTES))
        return {
            "person": person.id,
            "institution": person.institution,
            "name": name,
            "verifier": derive(password, salt),
            "changed_ms": clock.unix_ms(),
        }

    def _set_password(
        self, tx: Connection, person: Person, values: dict[str, Any], by: Actor, but: UUID | None = None
    ) -> None:
        sign_in_store.set_password(tx, values)
        session_store.drop_links(tx, person.id)
        lockout.unlock(tx, person.id)
        self._sessions.end_in(tx, person.institution, person.id, by=by, but=but)
        event = Event(Action.IDENTITY_PASSWORD_CHANGE, by, target=Target("person", id=person.id))
        self._recorder.write(tx, log_of(person.institution), event)


def _measures(name: str, attempt: Attempt) -> list[tuple[str, tuple[int, int]]]:
    network = lockout.network(attempt.address)
    return [
        (f"sign-in:{lockout.keys(name, attempt.address)[0]}", ATTEMPTS),
        (f"sign-in-network:{network}", NETWORK_ATTEMPTS),
    ]


def _bar(who: Candidate, address: str) -> str:
    return _bar_states(who.state, who.institution_state, who.networks, address)


def _bar_states(state: str, institution_state: str, networks: str, address: str) -> str:
    """Why somebody who is who they say does not get in, or nothing."""
    if state != ACTIVE:
        return "person-suspended"
    if institution_state != ACTIVE:
        return "institution-suspended"
    return "" if is_within(address, tuple(networks.split())) else "network"
