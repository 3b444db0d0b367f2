"""All SQL about applications, their keys and tokens, and the assertions that were taken."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from wardlight.db.ids import uuid7
from wardlight.db.insert import upsert
from wardlight.identity.application_model import Application, ApplicationKey, ApplicationKind, AuthMethod
from wardlight.identity.application_tables import application_key, client_assertion
from wardlight.identity.tables import application, institution, token

#: The algorithm of a key that is no key but a secret.
SECRET: Final = "secret"  # noqa: S105 - a word


def add(tx: Connection, row: Application) -> None:
    """Insert an application; raises IntegrityError where its id is taken."""
    tx.execute(
        insert(application),
        {
            "id": row.id,
            "name": row.name,
            "vendor": row.vendor,
            "state": row.state,
            "created_ms": row.created_ms,
            "environment": row.environment,
            "kind": row.kind.value,
            "owner": row.owner,
            "auth_method": row.auth_method.value,
            "scopes": " ".join(sorted(row.scopes)),
            "redirect_uris": " ".join(row.redirect_uris),
            "post_logout_uris": " ".join(row.post_logout_uris),
        },
    )


def applications(tx: Connection, id_: str | None = None) -> list[Application]:
    """All registered applications by id, or the one of this id; those deleted, too."""
    query = select(application).order_by(application.c.id)
    if id_ is not None:
        query = query.where(application.c.id == id_)
    return [_application(row) for row in tx.execute(query)]


def update_registration(tx: Connection, row: Application) -> None:
    """Change what may change of a registration."""
    tx.execute(
        update(application)
        .where(application.c.id == row.id)
        .values(
            name=row.name,
            owner=row.owner,
            scopes=" ".join(sorted(row.scopes)),
            redirect_uris=" ".join(row.redirect_uris),
            post_logout_uris=" ".join(row.post_logout_uris),
        )
    )


def set_state(tx: Connection, id_: str, state: str) -> None:
    """Change an application's state."""
    tx.execute(update(application).where(application.c.id == id_).values(state=state))


def add_key(tx: Connection, row: ApplicationKey, digest: bytes | None = None) -> None:
    """Insert a key, or a secret by its digest."""
    tx.execute(
        insert(application_key),
        {
            "id": uuid7(),
            "application": row.application,
            "kid": row.kid,
            "alg": row.alg,
            "jwk": row.jwk,
            "hash": digest,
            "created_ms": row.created_ms,
            "ends_ms": row.ends_ms,
        },
    )


def keys(tx: Connection, id_: str, now_ms: int) -> list[ApplicationKey]:
    """The application's keys and secrets that are not over, oldest first."""
    query = (
        select(application_key)
        .where(application_key.c.application == id_, _lives(now_ms))
        .order_by(application_key.c.id)
    )
    return [
        ApplicationKey(row.application, row.kid, row.alg, row.jwk, row.created_ms, row.ends_ms)
        for row in tx.execute(query)
    ]


def end_keys(tx: Connection, id_: str, ends_ms: int, kid: str | None = None, alg: str | None = None) -> int:
    """Let keys end then, or earlier where they would have: all, or those of this id or algorithm; returns how many."""
    query = update(application_key).where(application_key.c.application == id_, _lives(ends_ms))
    if kid is not None:
        query = query.where(application_key.c.kid == kid)
    if alg is not None:
        query = query.where(application_key.c.alg == alg)
    return tx.execute(query.values(ends_ms=ends_ms)).rowcount


def secret_fits(tx: Connection, id_: str, digest: bytes, now_ms: int) -> bool:
    """Whether this is the digest of a secret of the application that is not over."""
    query = select(application_key.c.id).where(
        application_key.c.hash == digest, application_key.c.application == id_, _lives(now_ms)
    )
    return tx.execute(query).first() is not None


def take_assertion(tx: Connection, client: str, jti: bytes, expires_ms: int) -> bool:
    """Remember an assertion of this client; False if it was taken before."""
    statement = upsert(tx, client_assertion).values(client=client, jti=jti, expires_ms=expires_ms)
    taken = statement.on_conflict_do_nothing().returning(client_assertion.c.client)
    return tx.execute(taken).first() is not None


def forget_assertions(tx: Connection, now_ms: int) -> int:
    """Drop what is too old to be taken anyway; returns how many."""
    return tx.execute(delete(client_assertion).where(client_assertion.c.expires_ms < now_ms)).rowcount


def end_tokens(tx: Connection, id_: str, now_ms: int, digest: bytes | None = None) -> int:
    """End the application's tokens, or the one of this digest; returns how many lived."""
    query = update(token).where(token.c.application == id_, token.c.revoked_ms.is_(None))
    if digest is not None:
        query = query.where(token.c.hash == digest)
    return tx.execute(query.values(revoked_ms=now_ms)).rowcount


def token_of(tx: Connection, id_: str, digest: bytes) -> Row[Any] | None:
    """The application's token of this digest, with its institution's slug."""
    query = (
        select(token, institution.c.slug)
        .join(institution, institution.c.id == token.c.institution)
        .where(token.c.application == id_, token.c.hash == digest)
    )
    return tx.execute(query).first()


def institution_of(tx: Connection, slug_or_id: str) -> UUID | None:
    """The institution of this slug or id, whatever its state."""
    try:
        query = select(institution.c.id).where(institution.c.id == UUID(slug_or_id))
    except ValueError:
        query = select(institution.c.id).where(institution.c.slug == slug_or_id)
    return tx.execute(query).scalar()


def _lives(now_ms: int) -> Any:
    return or_(application_key.c.ends_ms.is_(None), application_key.c.ends_ms > now_ms)


def _application(row: Row[Any]) -> Application:
    return Application(
        row.id,
        row.name,
        row.vendor,
        row.state,
        row.created_ms,
        row.environment,
        ApplicationKind(row.kind),
        row.owner,
        AuthMethod(row.auth_method),
        frozenset(row.scopes.split()),
        tuple(row.redirect_uris.split()),
        tuple(row.post_logout_uris.split()),
    )
