"""What people prove themselves with beside a password: codes of an authenticator, passkeys, recovery codes.

Each belongs to one person. An authenticator's secret is sealed under a key of the institution that is not in the
database, and bound to its row; of a recovery code only a keyed digest is kept (security.md section 6).
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import b32encode
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity import factor_store as store
from wardlight.identity import passkeys, sign_in_store, totp
from wardlight.identity import store as identity_store
from wardlight.identity.factor_store import Factor
from wardlight.identity.institutions import printable
from wardlight.identity.model import Person, Principal
from wardlight.identity.passkeys import Signed, Site
from wardlight.identity.sessions import Opened, Sessions, home, log_of, place_of
from wardlight.keys.keystore import Keystore
from wardlight.keys.labels import Label, bind
from wardlight.keys.wrap import KeyKind

TOTP: Final = "totp"
PASSKEY: Final = "passkey"
RECOVERY: Final = "recovery"

#: Recovery codes that somebody has at a time, each of 100 random bits.
CODES: Final = 10
_CODE_LETTERS: Final = 20
#: Factors that somebody may have.
MOST: Final = 20
#: How long an authenticator may take to answer, in ms.
CHALLENGE_MS: Final = 5 * 60 * 1000


class Factors:
    """Adds, checks and removes factors. Each change is an audit entry in its transaction."""

    def __init__(
        self, database: Database, recorder: Recorder, keystore: Keystore, sessions: Sessions
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._keystore = keystore
        self._sessions = sessions

    def of(self, principal: Principal) -> tuple[list[Factor], int]:
        """One's own factors, and how many recovery codes are left."""
        with self._database.read(place_of(home(principal))) as tx:
            return store.factors(tx, principal.id), store.recovery_codes_left(tx, principal.id)

    def begin_totp(self, principal: Principal, name: str) -> bytes:
        """A secret for an authenticator; it counts once a code of it has been confirmed."""
        printable(name, "name")
        secret = totp.new_secret()
        with self._database.begin(place_of(home(principal))) as tx:
            self._require_whole(tx, principal)
            store.remove_unconfirmed(tx, principal.id)
            self._add_totp(tx, home(principal), principal.id, name, secret)
        return secret

    def confirm_totp(self, principal: Principal, code: str, *, by: Actor) -> tuple[Opened, list[str]]:
        """Count the authenticator from now on: its code shows that it has the secret.

        Returns the session under a new id, and recovery codes where the person had no second factor before. Raises
        `sign-in-failed`.
        """
        with self._database.begin(place_of(home(principal))) as tx:
            self._require_whole(tx, principal)
            waiting = [
                one for one in store.factors(tx, principal.id, confirmed=False) if not one.confirmed_ms
            ]
            step = totp.step_of(self._secret(waiting[-1]), code, clock.unix_ms()) if waiting else None
            if step is None:
                raise WardlightError("sign-in-failed", reason="code")
            store.confirm(tx, waiting[-1].id, step, clock.unix_ms())
            return self._added(tx, principal, TOTP, by)

    def give_totp(self, person: Person, *, by: Actor) -> bytes:
        """An authenticator's secret, made by whoever administers the machine; it counts at once."""
        secret = totp.new_secret()
        with self._database.begin(place_of(person.institution)) as tx:
            id_ = self._add_totp(tx, person.institution, person.id, "given by the operator", secret)
            store.confirm(tx, id_, 0, clock.unix_ms())
            self._tell(tx, Action.IDENTITY_FACTOR_ADD, person.institution, person.id, TOTP, by)
        return secret

    def begin_passkey(self, principal: Principal, site: Site, login: str, name: str) -> dict[str, Any]:
        """Options with which a browser makes a passkey."""
        challenge = passkeys.new_challenge()
        with self._database.begin(place_of(home(principal))) as tx:
            known = [one.credential for one in store.factors(tx, principal.id) if one.credential]
            expires = clock.unix_ms() + CHALLENGE_MS
            sign_in_store.add_challenge(tx, passkeys.challenge_hash(challenge), principal.id, expires)
        return passkeys.creation(site, principal.id, login, name, challenge, known)

    def add_passkey(
        self, principal: Principal, site: Site, answer: Mapping[str, Any], name: str, *, by: Actor
    ) -> tuple[Opened, list[str]]:
        """Keep the passkey that a browser made; otherwise as `confirm_totp`."""
        printable(name, "name")
        challenge = passkeys.challenge_of(answer)
        self.take_challenge(challenge, principal.id)
        made = passkeys.registered(site, answer, challenge)
        now = clock.unix_ms()
        try:
            with self._database.begin(place_of(home(principal))) as tx:
                values = _values(home(principal), principal.id, PASSKEY, name, made.counter)
                values |= {"credential": made.credential, "public_key": made.public_key, "confirmed_ms": now}
                self._require_whole(tx, principal)
                self._require_room(tx, principal.id)
                store.add(tx, values)
                return self._added(tx, principal, PASSKEY, by)
        except IntegrityError:
            raise WardlightError("already-exists", "the passkey is known already") from None

    def remove(self, principal: Principal, id_: UUID, *, by: Actor) -> None:
        """Remove one's own factor; the last one stays. Raises `not-found`, `conflict`."""
        with self._database.begin(place_of(home(principal))) as tx:
            self._require_whole(tx, principal)
            found = {one.id: one.kind for one in store.factors(tx, principal.id)}
            if id_ not in found:
                raise WardlightError("not-found")
            if len(found) == 1:
                raise WardlightError("conflict", "the last second factor stays: add another one first")
            store.remove(tx, principal.id, id_)
            self._tell(tx, Action.IDENTITY_FACTOR_REMOVE, home(principal), principal.id, found[id_], by)

    def new_codes(self, principal: Principal, *, by: Actor) -> list[str]:
        """Recovery codes in place of those of before; shown once. Raises `conflict` where they stand in for nothing."""
        with self._database.begin(place_of(home(principal))) as tx:
            self._require_whole(tx, principal)
            if not self.has_any(tx, principal.id):
                raise WardlightError("conflict", "recovery codes stand in for a second factor: add one first")
            codes = self._codes(tx, home(principal), principal.id)
            self._tell(tx, Action.IDENTITY_FACTOR_ADD, home(principal), principal.id, RECOVERY, by)
        return codes

    def reset(self, person: Person, *, by: Actor) -> None:
        """Take all factors and sessions from somebody who lost theirs: their next sign-in gives itself new ones."""
        with self._database.begin(place_of(person.institution)) as tx:
            removed = store.remove_all(tx, person.id)
            self._sessions.end_in(tx, person.institution, person.id, by=by)
            event = Event(
                Action.IDENTITY_FACTOR_RESET,
                by,
                target=Target("person", id=person.id),
                counts={"factors": removed},
            )
            self._recorder.write(tx, log_of(person.institution), event)

    def check_code(self, tx: Connection, institution: UUID, person: str, code: str) -> str:
        """Use a code, of an authenticator or for recovery: which of both it was, or nothing. None serves twice."""
        given = "".join(code.split())
        now = clock.unix_ms()
        for one in store.factors(tx, person):
            if one.kind == TOTP:
                step = totp.step_of(self._secret(one), given, now)
                if step is not None:
                    return TOTP if store.use(tx, one.id, step, now) else ""
        if store.take_recovery_code(tx, person, self._code_hash(institution, person, given)):
            return RECOVERY
        return ""

    def has_any(self, tx: Connection, person: str) -> bool:
        """Whether the person has a second factor."""
        return bool(store.factors(tx, person))

    def take_challenge(self, challenge: bytes, person: str | None) -> None:
        """Use a challenge, whatever comes of it. Raises `sign-in-failed` where it is not (or no more) to be used."""
        with self._database.begin() as tx:
            digest = passkeys.challenge_hash(challenge)
            good = sign_in_store.take_challenge(tx, digest, person, clock.unix_ms())
        if not good:
            raise WardlightError("sign-in-failed", reason="challenge")

    def check_passkey(self, tx: Connection, site: Site, signed: Signed, found: Factor) -> str:
        """Why an answer is not this passkey's, or nothing. One whose counter goes back may be a copy."""
        if signed.user is not None and signed.user != found.person.encode():
            return "credentials"
        assert found.public_key is not None
        try:
            counter = passkeys.verified(site, signed, found.public_key)
        except WardlightError:
            return "credentials"
        if (counter or found.counter) and counter <= found.counter:
            return "passkey-counter"
        return "" if store.use(tx, found.id, counter, clock.unix_ms()) else "passkey-counter"

    def _added(self, tx: Connection, principal: Principal, kind: str, by: Actor) -> tuple[Opened, list[str]]:
        institution = home(principal)
        self._tell(tx, Action.IDENTITY_FACTOR_ADD, institution, principal.id, kind, by)
        first = store.recovery_codes_left(tx, principal.id) == 0
        codes = self._codes(tx, institution, principal.id) if first else []
        return self._sessions.renew(tx, principal, kind), codes

    def _add_totp(self, tx: Connection, institution: UUID, person: str, name: str, secret: bytes) -> UUID:
        self._require_room(tx, person)
        values = _values(institution, person, TOTP, name, 0)
        values["secret"] = self._seal(institution, values["id"], secret)
        store.add(tx, values)
        id_: UUID = values["id"]
        return id_

    def _require_whole(self, tx: Connection, principal: Principal) -> None:
        """Raise `conflict` for a limited session whose person has a second factor by now: it has not shown it.

        Nobody else changes factors of the institution's people until the transaction ends.
        """
        identity_store.people(tx, home(principal), id_=principal.id, lock=True)
        if not principal.scopes and self.has_any(tx, principal.id):
            raise WardlightError("conflict", "there is a second factor by now: sign in with it")

    def _require_room(self, tx: Connection, person: str) -> None:
        if len(store.factors(tx, person, confirmed=False)) >= MOST:
            raise WardlightError("conflict", f"a person has at most {MOST} factors")

    def _codes(self, tx: Connection, institution: UUID, person: str) -> list[str]:
        codes = [b32encode(os.urandom(13)).decode().lower()[:_CODE_LETTERS] for _ in range(CODES)]
        hashes = [self._code_hash(institution, person, code) for code in codes]
        store.set_recovery_codes(tx, institution, person, hashes)
        return ["-".join(code[at : at + 5] for at in range(0, _CODE_LETTERS, 5)) for code in codes]

    def _code_hash(self, institution: UUID, person: str, code: str) -> bytes:
        plain = code.replace("-", "").lower().encode("utf-8", "replace")
        _, key = self._keystore.institution_key(institution, KeyKind.ACCOUNT)
        return hmac.digest(key, bind(Label.RECOVERY, person.encode() + b"\0" + plain), "sha256")

    def _seal(self, institution: UUID, id_: UUID, secret: bytes) -> bytes:
        _, key = self._keystore.institution_key(institution, KeyKind.ACCOUNT)
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(key).encrypt(nonce, secret, bind(Label.FACTOR, institution.bytes + id_.bytes))

    def _secret(self, row: Factor) -> bytes:
        _, key = self._keystore.institution_key(row.institution, KeyKind.ACCOUNT)
        assert row.secret is not None
        place = bind(Label.FACTOR, row.institution.bytes + row.id.bytes)
        try:
            return AESGCM(key).decrypt(row.secret[:12], row.secret[12:], place)
        except InvalidTag:
            raise WardlightError("wrong-key") from None

    def _tell(
        self, tx: Connection, action: Action, institution: UUID, person: str, kind: str, by: Actor
    ) -> None:
        event = Event(action, by, target=Target("person", id=person), detail={"factor": kind})
        self._recorder.write(tx, log_of(institution), event)


def _values(institution: UUID, person: str, kind: str, name: str, counter: int) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "institution": institution,
        "person": person,
        "kind": kind,
        "name": name,
        "counter": counter,
        "created_ms": clock.unix_ms(),
    }
