"""How a receiver comes to be known: a one-time code, a key of its own, and a person who compares six digits.

The code, which an administrator hands over, holds the thumbprint of the platform's key: what the platform answers is
signed by it and names the receiver's key, so nobody in between can be taken for either. The digits stand on the
receiver's screen and on the administrator's, for a code that somebody else used first (security.md section 5).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from joserfc import jws
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity import receiver_store, store
from wardlight.identity.jose import JoseRefused, PublicKey, encode, public_key, read, thumbprint
from wardlight.identity.model import Institution, Receiver
from wardlight.identity.platform_keys import PlatformKeys

#: How long a code may be used.
CODE: Final = timedelta(minutes=30)
#: States of a receiver beside `active`.
PENDING: Final = "pending"
REVOKED: Final = "revoked"
#: `typ` of what a receiver sends with its code, and of what the platform answers.
REQUEST_TYPE: Final = "wardlight-enrolment+jwt"
ANSWER_TYPE: Final = "wardlight-enrolled+jwt"
ALGORITHM: Final = "ES256"
# 100 random bits, and the first 130 of a SHA-256 thumbprint, of which nobody finds a second key.
_CODE: Final = re.compile(r"WL1-([A-Z2-7]{20})-([A-Z2-7]{26})")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One that has not ended. state: `open`, `late`, `waiting` for its digits, `confirmed`. digits: while it waits."""

    receiver: str
    state: str
    code_expires_ms: int
    digits: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Code:
    """What an administrator hands over, in its parts."""

    secret: str = field(repr=False)
    platform: str

    @classmethod
    def parse(cls, text: str) -> Code:
        """The code, however it is spelt in capitals. Raises `bad-request`."""
        found = _CODE.fullmatch(text.strip().upper())
        if found is None:
            raise WardlightError("bad-request", "this is not a code of the form WL1-…-…")
        return cls(found[1], found[2])

    @property
    def text(self) -> str:
        """As it is handed over."""
        return f"WL1-{self.secret}-{self.platform}"

    @property
    def digest(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.secret.encode()).digest()


def platform_mark(key: PublicKey) -> str:
    """How a code names the platform's key."""
    return b32encode(thumbprint(key)).decode()[:26]


class Enrolments:
    """Enrolments and revocations of receivers. Every change is an audit entry in its transaction."""

    def __init__(self, database: Database, recorder: Recorder, keys: PlatformKeys) -> None:
        self._database = database
        self._recorder = recorder
        self._keys = keys

    def open(self, institution: Institution, name: str, *, by: Actor) -> tuple[Receiver, str]:
        """A code for a new receiver, or for a new key of one that is known; it is shown once.

        A receiver that works goes on with its old key until the new one is confirmed. Raises `bad-request`.
        """
        if not 0 < len(name) <= 200 or not name.isprintable():
            raise WardlightError("bad-request", "name must be 1 to 200 printable characters")
        code = Code(b32encode(secrets.token_bytes(13)).decode()[:20], platform_mark(self._keys.enrolment()))
        now = clock.unix_ms()
        try:
            with self._database.begin(institution.id) as tx:
                known = [one for one in store.receivers(tx, institution.id) if one.name == name]
                row = known[0] if known else _new(institution.id, name, now)
                if not known:
                    store.add_receiver(tx, row)
                # One code at a time: an older one that nobody confirmed ends.
                for other in receiver_store.enrolments(tx, institution.id, row.id):
                    if other.confirmed_ms is None:
                        receiver_store.end_one(tx, other.id, now)
                receiver_store.add(
                    tx,
                    {
                        "id": uuid7(),
                        "institution": institution.id,
                        "receiver": row.id,
                        "code_hash": code.digest,
                        "code_expires_ms": now + int(CODE.total_seconds() * 1000),
                        "jwk": "",
                        "digits": "",
                    },
                )
                self._write(tx, Action.IDENTITY_RECEIVER_ENROL, row, by, "open")
        except IntegrityError:
            raise WardlightError("conflict", "the receiver was enrolled at the same moment") from None
        return row, code.text

    def use(self, signed: str, *, issuer: str, address: str = "", request: str = "") -> str:
        """Take a receiver's code and key; returns the platform's signed answer. Raises `enrolment-refused`.

        signed: a token by the receiver's new key, which it holds in its header. issuer: this platform's address.
        """
        try:
            found = read(signed)
            found.require_header(types=frozenset({REQUEST_TYPE}), members=frozenset({"jwk"}))
            key, algorithm = public_key(found.header.get("jwk", {}))
            if algorithm != ALGORITHM:
                raise JoseRefused("algorithm")
            code = Code.parse(str(found.verified(key, algorithm).get("code", "")))
        except (JoseRefused, WardlightError):
            raise WardlightError("enrolment-refused", reason="form") from None
        mine = self._keys.enrolment()
        if code.platform != platform_mark(mine):
            raise WardlightError("enrolment-refused", reason="other-platform")
        digits = f"{secrets.randbelow(1_000_000):06}"
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            row = receiver_store.by_code(tx, code.digest)
            if row is None or not receiver_store.use_code(tx, row.id, now, json.dumps(key.as_dict()), digits):
                raise WardlightError("enrolment-refused", reason="code")
            receiver = Receiver(row.receiver, row.institution, row.name, PENDING, now)
            by = Actor("receiver", receiver.id)
            self._write(tx, Action.IDENTITY_RECEIVER_ENROL, receiver, by, "waiting", address, request)
        claims = {
            "iss": issuer,
            "receiver": receiver.id,
            "name": receiver.name,
            "institution": row.slug,
            "jkt": encode(thumbprint(key)),
            "digits": digits,
        }
        header = {"alg": ALGORITHM, "typ": ANSWER_TYPE, "jwk": mine.as_dict()}
        return jws.serialize_compact(header, json.dumps(claims), mine)

    def list(self, institution: UUID) -> list[Enrolment]:
        """Enrolments of an institution's receivers that have not ended."""
        now = clock.unix_ms()
        with self._database.read(institution) as tx:
            rows = receiver_store.enrolments(tx, institution)
        return [
            Enrolment(
                row.receiver, _state(row, now), row.code_expires_ms, "" if row.confirmed_ms else row.digits
            )
            for row in rows
        ]

    def seen(self, institution: UUID) -> dict[str, int]:
        """Receiver → when it got its newest token, Unix, ms: it renews them every few minutes while it works."""
        with self._database.read(institution) as tx:
            return receiver_store.seen(tx, institution)

    def confirm(self, institution: UUID, receiver: str, digits: str, *, by: Actor) -> Receiver:
        """Let a receiver in whose screen shows these digits; with others its enrolment ends at once.

        From now on only the new key counts. Raises `not-found`, `conflict` where nothing waits, `enrolment-refused`.
        """
        now = clock.unix_ms()
        with self._database.begin(institution) as tx:
            row = _known(tx, institution, receiver)
            waiting = [
                one
                for one in receiver_store.enrolments(tx, institution, row.id)
                if one.used_ms is not None and one.confirmed_ms is None
            ]
            if not waiting:
                raise WardlightError("conflict", "no receiver waits for its digits")
            fits = secrets.compare_digest(digits.encode(), waiting[-1].digits.encode())
            if fits:
                others = receiver_store.end(tx, row.id, now, but=waiting[-1].id)
                receiver_store.confirm(tx, waiting[-1].id, now)
                receiver_store.set_state(tx, row.id, store.ACTIVE)
                # Tokens that an older key got end with it.
                store.revoke_tokens(tx, institution, row.id, now)
                action = Action.IDENTITY_RECEIVER_ROTATE_KEY if others else Action.IDENTITY_RECEIVER_ENROL
                self._write(tx, action, row, by, "confirmed")
                row = replace(row, state=store.ACTIVE)
            else:
                receiver_store.end_one(tx, waiting[-1].id, now)
                self._write(tx, Action.IDENTITY_RECEIVER_REVOKE, row, by, "other-digits")
        if not fits:
            raise WardlightError("enrolment-refused", reason="digits")
        return row

    def revoke(self, institution: UUID, receiver: str, *, by: Actor) -> int:
        """End a receiver's keys, codes and tokens at once; returns how many tokens lived. Raises `not-found`."""
        now = clock.unix_ms()
        with self._database.begin(institution) as tx:
            row = _known(tx, institution, receiver)
            receiver_store.end(tx, row.id, now)
            receiver_store.set_state(tx, row.id, REVOKED)
            tokens = store.revoke_tokens(tx, institution, row.id, now)
            event = Event(
                Action.IDENTITY_RECEIVER_REVOKE,
                by,
                target=Target("receiver", id=row.id),
                counts={"tokens": tokens},
            )
            self._recorder.write(tx, institution, event)
        return tokens

    def _write(
        self,
        tx: Connection,
        action: Action,
        row: Receiver,
        by: Actor,
        state: str,
        address: str = "",
        request: str = "",
    ) -> None:
        event = Event(
            action,
            by,
            target=Target("receiver", id=row.id),
            change=(Change("enrolment", after=state),),
            address=address,
            request=request,
        )
        self._recorder.write(tx, row.institution, event)


def answer_of(signed: str, code: Code, key: PublicKey) -> dict[str, Any]:
    """What the platform answered to a receiver's code, once it is known to come from the platform of the code and to be
    about this key. Raises `enrolment-refused`."""
    try:
        found = read(signed)
        found.require_header(types=frozenset({ANSWER_TYPE}), members=frozenset({"jwk"}))
        platform, algorithm = public_key(found.header.get("jwk", {}))
        if platform_mark(platform) != code.platform:
            raise WardlightError("enrolment-refused", reason="other-platform")
        claims = found.verified(platform, algorithm)
    except JoseRefused:
        raise WardlightError("enrolment-refused", reason="form") from None
    if claims.get("jkt") != encode(thumbprint(key)):
        raise WardlightError("enrolment-refused", reason="other-key")
    return dict(claims)


def _known(tx: Connection, institution: UUID, receiver: str) -> Receiver:
    for row in store.receivers(tx, institution):
        if receiver in (row.id, row.name):
            return row
    raise WardlightError("not-found", "the institution has no such receiver")


def _new(institution: UUID, name: str, now: int) -> Receiver:
    return Receiver(f"rc-{secrets.token_hex(6)}", institution, name, PENDING, now)


def _state(row: Any, now: int) -> str:
    if row.confirmed_ms is not None:
        return "confirmed"
    if row.used_ms is not None:
        return "waiting"
    return "open" if row.code_expires_ms > now else "late"
