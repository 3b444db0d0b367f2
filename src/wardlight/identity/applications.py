"""Registration of partner applications: one for each environment, approved by the operator, with keys that rotate."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Change, Event, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.identity import application_store as store
from wardlight.identity.application_model import (
    APPLICATION_SCOPES,
    USUAL_APPLICATION_SCOPES,
    Application,
    ApplicationKey,
    ApplicationKind,
    ApplicationState,
    AuthMethod,
)
from wardlight.identity.jose import JoseRefused, encode, public_key, thumbprint
from wardlight.identity.tokens import TokenKind, new_token, token_hash

#: How long an old secret, or key, goes on beside its successor, unless it is said.
OVERLAP: Final = timedelta(hours=24)
_MOST_OVERLAP: Final = timedelta(days=30)
_MOST_KEYS: Final = 10
_MOST_URIS: Final = 20
_ID: Final = re.compile(r"[a-z0-9-]{1,20}_[a-z0-9-]{1,20}_([a-z0-9-]{1,20})")
_KID: Final = re.compile(r"[A-Za-z0-9._~:+=-]{1,128}")
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

# Which states an operator may bring an application to, and from where.
_FROM: Final = {
    ApplicationState.ACTIVE: (ApplicationState.PENDING, ApplicationState.SUSPENDED),
    ApplicationState.SUSPENDED: (ApplicationState.PENDING, ApplicationState.ACTIVE),
    ApplicationState.DELETED: (
        ApplicationState.PENDING,
        ApplicationState.ACTIVE,
        ApplicationState.SUSPENDED,
    ),
}


class Applications:
    """What applications there are. Every change is an audit entry of the operator's log, in its transaction."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder

    def register(
        self,
        id_: str,
        name: str,
        vendor: str,
        *,
        by: Actor,
        owner: str = "",
        kind: ApplicationKind = ApplicationKind.CLOUD,
        auth_method: AuthMethod = AuthMethod.PRIVATE_KEY_JWT,
        scopes: Collection[str] = USUAL_APPLICATION_SCOPES,
        redirect_uris: Sequence[str] = (),
        post_logout_uris: Sequence[str] = (),
    ) -> Application:
        """Register an application; it waits for the operator's approval. Raises `bad-request`, `already-exists`."""
        parts = _ID.fullmatch(id_)
        if parts is None:
            raise WardlightError(
                "bad-request", "an application's id is company_app_environment of a-z, 0-9 and hyphens"
            )
        row = Application(
            id_,
            name,
            vendor,
            ApplicationState.PENDING.value,
            clock.unix_ms(),
            parts[1],
            kind,
            owner,
            auth_method,
            frozenset(map(str, scopes)),
            tuple(redirect_uris),
            tuple(post_logout_uris),
        )
        _check(row)
        changes = (
            Change("kind", after=kind.value),
            Change("auth_method", after=auth_method.value),
            Change("scopes", after=" ".join(sorted(row.scopes))),
            Change("redirect_uris", after=len(redirect_uris)),
        )
        try:
            with self._database.begin() as tx:
                store.add(tx, row)
                self._write(tx, Action.IDENTITY_APPLICATION_REGISTER, id_, by, changes)
        except IntegrityError:
            raise WardlightError("already-exists", "an application has this id") from None
        return row

    def list(self) -> list[Application]:
        """All applications but those deleted."""
        with self._database.read() as tx:
            return [row for row in store.applications(tx) if row.state != ApplicationState.DELETED]

    def show(self, id_: str) -> Application:
        """The application of this id. Raises `not-found`."""
        with self._database.read() as tx:
            return _known(tx, id_)

    def keys(self, id_: str) -> Sequence[ApplicationKey]:
        """Its keys and secrets that hold; of a secret there is nothing but its id."""
        with self._database.read() as tx:
            _known(tx, id_)
            return store.keys(tx, id_, clock.unix_ms())

    def change(
        self,
        id_: str,
        *,
        by: Actor,
        name: str | None = None,
        owner: str | None = None,
        scopes: Collection[str] | None = None,
        redirect_uris: Sequence[str] | None = None,
        post_logout_uris: Sequence[str] | None = None,
    ) -> Application:
        """Change what is named; where it loses a scope its tokens end. Raises as `register`, and `conflict`."""
        # Its tokens are in every institution.
        with self._database.begin(EVERYWHERE) as tx:
            before = _known(tx, id_)
            if before.state == ApplicationState.DELETED:
                raise WardlightError("conflict", "the application is deleted")
            row = replace(
                before,
                name=before.name if name is None else name,
                owner=before.owner if owner is None else owner,
                scopes=before.scopes if scopes is None else frozenset(map(str, scopes)),
                redirect_uris=before.redirect_uris if redirect_uris is None else tuple(redirect_uris),
                post_logout_uris=before.post_logout_uris
                if post_logout_uris is None
                else tuple(post_logout_uris),
            )
            _check(row)
            store.update_registration(tx, row)
            ended = 0 if before.scopes <= row.scopes else store.end_tokens(tx, id_, clock.unix_ms())
            # Whom to ask is a person's: that it changed is told, not to what.
            changes = [
                Change(what, " ".join(sorted(old)), " ".join(sorted(new)))
                for what, old, new in (
                    ("scopes", before.scopes, row.scopes),
                    ("redirect_uris", before.redirect_uris, row.redirect_uris),
                    ("post_logout_uris", before.post_logout_uris, row.post_logout_uris),
                )
                if set(old) != set(new)
            ]
            if before.name != row.name:
                changes.append(Change("name", before.name, row.name))
            if before.owner != row.owner:
                changes.append(Change("owner"))
            counts = {"tokens": ended} if ended else {}
            self._write(tx, Action.IDENTITY_APPLICATION_CHANGE, id_, by, tuple(changes), counts)
        return row

    def approve(self, id_: str, *, by: Actor) -> Application:
        """Let a new or suspended application in. Raises `not-found`, `conflict`."""
        return self._bring(id_, ApplicationState.ACTIVE, Action.IDENTITY_APPLICATION_APPROVE, by)

    def suspend(self, id_: str, *, by: Actor) -> Application:
        """Keep an application out, at once and with the tokens that it has. Raises `not-found`, `conflict`."""
        return self._bring(id_, ApplicationState.SUSPENDED, Action.IDENTITY_APPLICATION_SUSPEND, by)

    def delete(self, id_: str, *, by: Actor) -> Application:
        """End an application for good; its id is never given again. Raises `not-found`, `conflict`."""
        return self._bring(id_, ApplicationState.DELETED, Action.IDENTITY_APPLICATION_DELETE, by)

    def add_key(self, id_: str, jwk: Mapping[str, Any], *, by: Actor) -> ApplicationKey:
        """Take a public key; the older ones go on until they are removed. Raises `bad-request`, `already-exists`.

        Its id is its `kid`, or its thumbprint (RFC 7638) where it has none.
        """
        try:
            key, algorithm = public_key(jwk)
        except JoseRefused as error:
            raise WardlightError(
                "bad-request",
                "not a public key on P-256 or P-384, or of RSA with 2048 to 4096 bits",
                error.reason,
            ) from None
        kid = jwk.get("kid", encode(thumbprint(key)))
        if not isinstance(kid, str) or not _KID.fullmatch(kid):
            raise WardlightError("bad-request", "kid must be 1 to 128 plain characters")
        row = ApplicationKey(id_, kid, algorithm, json.dumps(key.as_dict()), clock.unix_ms())
        self._add(row, AuthMethod.PRIVATE_KEY_JWT, by)
        return row

    def remove_key(self, id_: str, kid: str, *, by: Actor, overlap: timedelta = timedelta(0)) -> None:
        """Let a key or secret end, now or after a time. Raises `not-found`, `bad-request`."""
        if not timedelta(0) <= overlap <= _MOST_OVERLAP:
            raise WardlightError("bad-request", "an old key goes on for at most 30 days")
        with self._database.begin() as tx:
            _known(tx, id_)
            if not store.end_keys(tx, id_, _after(overlap), kid=kid):
                raise WardlightError("not-found", "the application has no such key")
            self._write(tx, Action.IDENTITY_APPLICATION_ROTATE_KEY, id_, by, (Change("key", before=kid),))

    def new_secret(self, id_: str, *, by: Actor, overlap: timedelta = OVERLAP) -> str:
        """A secret in the place of the one that it has, which goes on for a time. It is shown once.

        Raises `not-found`, `bad-request`, `conflict` for an application that shows a key instead.
        """
        if not timedelta(0) <= overlap <= _MOST_OVERLAP:
            raise WardlightError("bad-request", "an old secret goes on for at most 30 days")
        secret = new_token(TokenKind.CLIENT_SECRET)
        row = ApplicationKey(id_, f"s-{secrets.token_hex(6)}", store.SECRET, "", clock.unix_ms())

        def end_others(tx: Connection) -> None:
            store.end_keys(tx, id_, _after(overlap), alg=store.SECRET)

        self._add(row, AuthMethod.CLIENT_SECRET_BASIC, by, token_hash(secret), end_others)
        return secret

    def _add(
        self,
        row: ApplicationKey,
        method: AuthMethod,
        by: Actor,
        digest: bytes | None = None,
        before: Callable[[Connection], None] | None = None,
    ) -> None:
        with self._database.begin() as tx:
            found = _known(tx, row.application)
            if found.state == ApplicationState.DELETED or found.auth_method is not method:
                raise WardlightError(
                    "conflict", "the application is registered to prove itself in another way"
                )
            if before is not None:
                before(tx)
            known = store.keys(tx, row.application, row.created_ms)
            if len(known) >= _MOST_KEYS:
                raise WardlightError("conflict", f"an application has at most {_MOST_KEYS} keys at a time")
            if any(one.kid == row.kid for one in known):
                raise WardlightError("already-exists", "the application has a key of this id")
            store.add_key(tx, row, digest)
            change = (Change("key", after=row.kid),)
            self._write(tx, Action.IDENTITY_APPLICATION_ROTATE_KEY, row.application, by, change)

    def _bring(self, id_: str, state: ApplicationState, action: Action, by: Actor) -> Application:
        # Its tokens are in every institution.
        with self._database.begin(EVERYWHERE) as tx:
            found = _known(tx, id_)
            if found.state not in _FROM[state]:
                raise WardlightError("conflict", f"the application is {found.state}")
            store.set_state(tx, id_, state.value)
            now = clock.unix_ms()
            ended = store.end_tokens(tx, id_, now) if state is not ApplicationState.ACTIVE else 0
            if state is ApplicationState.DELETED:
                store.end_keys(tx, id_, now)
            change = (Change("state", found.state, state.value),)
            self._write(tx, action, id_, by, change, {"tokens": ended} if ended else {})
            return _known(tx, id_)

    def _write(
        self,
        tx: Connection,
        action: Action,
        id_: str,
        by: Actor,
        change: tuple[Change, ...] = (),
        counts: Mapping[str, int] = {},
    ) -> None:
        target = Target("application", id=id_)
        self._recorder.write(tx, None, Event(action, by, target=target, change=change, counts=counts))


def _check(row: Application) -> None:
    """Raise `bad-request` for what is not registered."""
    _printable(row.name, "name")
    _printable(row.vendor, "vendor")
    if row.owner:
        _printable(row.owner, "owner")
    if not row.scopes or not row.scopes <= APPLICATION_SCOPES:
        raise WardlightError("bad-request", "scopes are missing, or not for applications")
    for uris in (row.redirect_uris, row.post_logout_uris):
        if len(uris) > _MOST_URIS or not all(map(_is_address, uris)):
            raise WardlightError(
                "bad-request", "an address is https, or http on loopback, without fragment or user"
            )


def _known(tx: Connection, id_: str) -> Application:
    rows = store.applications(tx, id_)
    if not rows:
        raise WardlightError("not-found", "there is no such application")
    return rows[0]


def _after(overlap: timedelta) -> int:
    return clock.unix_ms() + int(overlap.total_seconds() * 1000)


def _printable(text: str, what: str) -> None:
    if not 0 < len(text) <= 200 or not text.isprintable():
        raise WardlightError("bad-request", f"{what} must be 1 to 200 printable characters")


def _is_address(uri: str) -> bool:
    """Whether users may be sent there: nothing that two readers could take differently (RFC 9700 section 4.1)."""
    if len(uri) > 500 or not uri.isascii() or not uri.isprintable() or any(one in uri for one in ' \\#*"<>'):
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    plain = parts.hostname and port != 0 and "@" not in parts.netloc and ".." not in parts.path.split("/")
    return bool(plain) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )
