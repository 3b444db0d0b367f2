"""What one person is told, and what of it they want (R9.2): the bell, preferences, where mail goes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access.model import Operation, Role, Scope
from wardlight.audit.model import Change, Event
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import liveness_store
from wardlight.identity.rates import Rates
from wardlight.identity.service import actor_of
from wardlight.notifications import definition_store, letters, mail_store, store
from wardlight.notifications.model import Channel, Definition, Item, Mail, Permission, Preference
from wardlight.notifications.names import Names
from wardlight.notifications.own import OWN
from wardlight.notifications.telling import default
from wardlight.smtp import Post, is_address

#: A code that shows that mail arrives is good for so long, and for so many tries.
CODE_MS: Final = 30 * 60_000
TRIES: Final = 5
_CODES: Final = 5
_CODES_S: Final = 3600
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the bell as a person reads it. source: name of the application, "" for the platform."""

    item: Item
    title: str
    text: str
    source: str
    group: bytes | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a person may be told, and what they want of it."""

    definition: Definition
    title: str
    text: str
    source: str
    preference: Preference


@dataclass(frozen=True, slots=True)
class Choices:
    """All of them. mail: whether the platform sends any. address: "" where there is none."""

    choices: list[Choice]
    mail: bool
    address: str
    confirmed: bool


class Notifications:
    """One's own notifications. post: None where the operator has set no mail server."""

    def __init__(
        self, database: Database, recorder: Recorder, rates: Rates, post: Post | None, base_url: str
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._rates = rates
        self._post = post
        self._base_url = base_url

    def page(
        self, scope: Scope, before: UUID | None, limit: int, *, unread: bool = False
    ) -> tuple[list[Shown], int]:
        """What the person may be shown now, newest first, and how many of all they have not read."""
        role = _role(scope)
        now = clock.unix_ms()
        with self._database.begin(scope.institution) as tx:
            rows = store.items(
                tx,
                scope.institution,
                scope.principal.id,
                role,
                now,
                before=before,
                unread=unread,
                limit=limit,
            )
            count = store.unread(tx, scope.institution, scope.principal.id, role, now)
            found = self._shown(tx, scope, rows)
            self._write(tx, scope, counts={"results": len(rows)})
        return found, count

    def follow(self, scope: Scope) -> None:
        """Somebody looks on from now on: an entry of the trail."""
        scope.require(Operation.OWN)
        with self._database.begin(scope.institution) as tx:
            self._write(tx, scope)

    def unread(self, scope: Scope) -> int:
        """How many the person has not read. Raises `unauthenticated` where their session has ended since."""
        role, token = _role(scope), scope.principal.token
        with self._database.read(scope.institution) as tx:
            if token is not None and liveness_store.ended(tx, [token]):
                raise WardlightError("unauthenticated", reason="invalid-token")
            return store.unread(tx, scope.institution, scope.principal.id, role, clock.unix_ms())

    def pulses(self, people: Collection[str]) -> dict[tuple[UUID, str], tuple[int, int]]:
        """How often the bell of each of these people changed, and the studies of their institution."""
        with self._database.read(EVERYWHERE) as tx:
            return store.pulses(tx, people)

    def mark(self, scope: Scope, ids: Collection[UUID] | None) -> int:
        """The person has read these, or all; returns how many they had not."""
        scope.require(Operation.OWN)
        with self._database.begin(scope.institution) as tx:
            count = store.mark(tx, scope.institution, scope.principal.id, ids, clock.unix_ms())
            if count:
                store.beat(tx, scope.institution, [scope.principal.id])
            self._write(tx, scope, counts={"results": count})
        return count

    # ---- preferences ----

    def choices(self, scope: Scope) -> Choices:
        """All that the person may be told, the platform's first."""
        with self._database.begin(scope.institution) as tx:
            chosen = store.preferences_of(tx, scope.institution, scope.principal.id)
            known = self._may_choose(tx, scope)
            names = Names(tx, scope.institution, {one.application for one in known})
            found = [
                Choice(
                    one,
                    names.sample(one.title),
                    names.sample(one.text),
                    names.application(one.application) if one.application else "",
                    chosen.get(one.key, default(one)),
                )
                for one in known
            ]
            address = store.address_of(tx, scope.institution, scope.principal.id)
            self._write(tx, scope, counts={"results": len(found)})
        confirmed = address is not None and address.confirmed_ms is not None
        return Choices(found, self._post is not None, address.address if address else "", confirmed)

    def choose(self, scope: Scope, key: tuple[str, str], wanted: Preference) -> None:
        """Want it so from now on. Raises `not-found` for what the person is not told; `bad-request`."""
        with self._database.begin(scope.institution) as tx:
            definition = next((one for one in self._may_choose(tx, scope) if one.key == key), None)
            if definition is None:
                raise WardlightError("not-found")
            if (wanted.bell and Channel.BELL not in definition.channels) or (
                wanted.mail is not Mail.NONE and Channel.MAIL not in definition.channels
            ):
                raise WardlightError("bad-request", "it is not told in this way")
            before = store.preferences_of(tx, scope.institution, scope.principal.id).get(
                key, default(definition)
            )
            store.prefer(tx, scope.institution, scope.principal.id, key, wanted)
            changes = (
                Change("bell", int(before.bell), int(wanted.bell)),
                Change("mail", before.mail.value, wanted.mail.value),
            )
            self._write(tx, scope, change=changes, detail={"application": key[0], "name": key[1]})

    def set_address(self, scope: Scope, address: str) -> None:
        """Have a code sent there, which `confirm` takes. Raises `bad-request`, `rate-limited`, `unavailable`."""
        scope.require(Operation.OWN)
        if self._post is None:
            raise WardlightError("unavailable", "this platform sends no mail")
        if not is_address(address):
            raise WardlightError("bad-request", "address is not a plain e-mail address")
        person = scope.principal.id
        code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
        with self._database.begin(scope.institution) as tx:
            self._rates.take(tx, f"notify-address:{person}", _CODES, _CODES_S)
            mail_store.drop_person(tx, scope.institution, person, clock.unix_ms())
            store.set_address(
                tx,
                scope.institution,
                person,
                address=address,
                code=_hash(person, code),
                code_ms=clock.unix_ms(),
                tries=TRIES,
                confirmed_ms=None,
            )
            # Where goes nowhere but to the mail server.
            self._write(tx, scope, change=(Change("address"),))
        letter = letters.code(code, self._base_url, self._post.sender, address)
        try:
            self._post.send(letter, address)
        except OSError:
            raise WardlightError("unavailable", "the mail server did not take the mail") from None

    def confirm(self, scope: Scope, code: str) -> None:
        """Mail arrives there: it is sent from now on. Raises `bad-request` for a wrong or old code."""
        scope.require(Operation.OWN)
        person = scope.principal.id
        with self._database.begin(scope.institution) as tx:
            found = store.address_of(tx, scope.institution, person)
            good = (
                found is not None
                and found.code is not None
                and found.tries > 0
                and clock.unix_ms() < found.code_ms + CODE_MS
                and hmac.compare_digest(found.code, _hash(person, code.strip().upper()))
            )
            if good:
                store.change_address(tx, scope.institution, person, code=None, confirmed_ms=clock.unix_ms())
                self._write(tx, scope, change=(Change("address-confirmed"),))
            elif found is not None:
                store.change_address(tx, scope.institution, person, tries=max(found.tries - 1, 0))
        if not good:
            raise WardlightError("bad-request", "the code is wrong, or too old")

    def drop_address(self, scope: Scope) -> None:
        """No mail any more, not what waits either."""
        scope.require(Operation.OWN)
        with self._database.begin(scope.institution) as tx:
            store.drop_address(tx, scope.institution, scope.principal.id)
            mail_store.drop_person(tx, scope.institution, scope.principal.id, clock.unix_ms())
            self._write(tx, scope, change=(Change("address"),))

    def _may_choose(self, tx: Connection, scope: Scope) -> list[Definition]:
        allowed = set(Permission.of(_role(scope)))
        subscribed = definition_store.subscribed(tx, scope.institution)
        theirs = [
            one
            for one in definition_store.definitions(tx, scope.institution)
            if one.application in subscribed
        ]
        return [one for one in (*OWN.values(), *theirs) if one.permission in allowed]

    def _shown(self, tx: Connection, scope: Scope, rows: list[Item]) -> list[Shown]:
        versions = definition_store.versions(tx, scope.institution, {row.application for row in rows})
        named = {str(row.data.get("application", "")) for row in rows} | {row.application for row in rows}
        names = Names(tx, scope.institution, named)
        groups = store.groups(tx, scope.institution, {row.release for row in rows if row.release})
        found = []
        for row in rows:
            definition = versions.get((row.application, row.name, row.version))
            if definition is None:
                continue
            found.append(
                Shown(
                    row,
                    names.title(definition, row.data),
                    names.text(definition, row.data),
                    names.application(row.application) if row.application else "",
                    groups.get(row.release) if row.release else None,
                )
            )
        return found

    def _write(self, tx: Connection, scope: Scope, **more: Any) -> None:
        event = Event(
            scope.action,
            actor_of(scope.principal),
            purpose=scope.purpose,
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            **more,
        )
        self._recorder.write(tx, scope.institution, event)


def _role(scope: Scope) -> Role:
    scope.require(Operation.OWN)
    if scope.principal.role is None:
        raise WardlightError("forbidden", reason="role")
    return scope.principal.role


def _hash(person: str, code: str) -> bytes:
    return hashlib.sha256(f"{person}:{code}".encode()).digest()
