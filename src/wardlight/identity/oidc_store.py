"""All SQL of the OpenID provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from wardlight.db.insert import upsert
from wardlight.identity.oidc_model import Consent, Farewell, Login, Refresh, User
from wardlight.identity.oidc_tables import oidc_consent, oidc_login
from wardlight.identity.people_tables import session
from wardlight.identity.store import ACTIVE
from wardlight.identity.tables import application, institution, person, token

#: `token.kind` of refresh tokens, which open no route.
REFRESH: Final = "refresh"


# ---- consents ----


def consent(tx: Connection, person_id: str, application_id: str) -> Consent | None:
    """What the person agreed to towards this application."""
    found = consents(tx, person_id, application_id)
    return found[0] if found else None


def consents(tx: Connection, person_id: str, application_id: str | None = None) -> list[Consent]:
    """What the person agreed to, by application; withdrawn ones, too."""
    query = select(oidc_consent).where(oidc_consent.c.person == person_id)
    if application_id is not None:
        query = query.where(oidc_consent.c.application == application_id)
    return [
        Consent(
            row.person,
            row.application,
            row.institution,
            row.subject,
            frozenset(row.scopes.split()),
            row.given_ms,
            row.withdrawn_ms,
        )
        for row in tx.execute(query.order_by(oidc_consent.c.application))
    ]


def give(tx: Connection, row: Consent) -> None:
    """Record a consent; the subject of an earlier one stays."""
    values = {"scopes": " ".join(sorted(row.scopes)), "given_ms": row.given_ms, "withdrawn_ms": None}
    fixed = {
        "person": row.person,
        "application": row.application,
        "institution": row.institution,
        "subject": row.subject,
    }
    statement = upsert(tx, oidc_consent).values(**fixed, **values)
    keys = [oidc_consent.c.person, oidc_consent.c.application]
    tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def withdraw(tx: Connection, person_id: str, application_id: str, now_ms: int) -> bool:
    """End a consent; False where there is none that holds."""
    query = update(oidc_consent).where(
        oidc_consent.c.person == person_id,
        oidc_consent.c.application == application_id,
        oidc_consent.c.withdrawn_ms.is_(None),
    )
    return tx.execute(query.values(withdrawn_ms=now_ms)).rowcount == 1


# ---- sign-ins ----


def add_login(tx: Connection, row: Login) -> None:
    """Insert a sign-in with its authorization code."""
    names = (
        "id institution person application session purpose nonce auth_ms code code_expires_ms code_used_ms"
        " redirect_uri challenge created_ms expires_ms ended_ms"
    )
    values = {name: getattr(row, name) for name in names.split()}
    tx.execute(insert(oidc_login), {**values, "scopes": " ".join(sorted(row.scopes))})


def login_of_code(tx: Connection, digest: bytes) -> Login | None:
    """The sign-in that this authorization code began, whether it may still be used or not."""
    return _login(tx, oidc_login.c.code == digest)


def login(tx: Connection, id_: UUID) -> Login | None:
    """The sign-in of this id."""
    return _login(tx, oidc_login.c.id == id_)


def lock_login(tx: Connection, id_: UUID) -> Login | None:
    """The sign-in of this id as it is now; nobody ends it, or gives out tokens of it, until the transaction ends."""
    return _login(tx, oidc_login.c.id == id_, lock=True)


def use_code(tx: Connection, id_: UUID, now_ms: int) -> bool:
    """Use up the code of a sign-in; False if it was used before. Of two at once only one gets True."""
    query = update(oidc_login).where(oidc_login.c.id == id_, oidc_login.c.code_used_ms.is_(None))
    return tx.execute(query.values(code_used_ms=now_ms)).rowcount == 1


def user(tx: Connection, person_id: str, application_id: str) -> User | None:
    """The person as this application may know them, where there ever was a consent."""
    query = (
        select(
            oidc_consent.c.subject,
            institution.c.slug,
            person.c.login,
            person.c.name,
            person.c.role,
            person.c.state,
            institution.c.state.label("institution_state"),
            application.c.state.label("application_state"),
            oidc_consent.c.withdrawn_ms,
        )
        .join(person, person.c.id == oidc_consent.c.person)
        .join(institution, institution.c.id == person.c.institution)
        .join(application, application.c.id == oidc_consent.c.application)
        .where(oidc_consent.c.person == person_id, oidc_consent.c.application == application_id)
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    states = (row.state, row.institution_state, row.application_state)
    active = row.withdrawn_ms is None and all(state == ACTIVE for state in states)
    return User(row.subject, row.slug, row.login, row.name, row.role, active)


def open_logins(
    tx: Connection,
    now_ms: int,
    person_id: str,
    *,
    application_id: str | None = None,
    session_id: UUID | None = None,
    but: UUID | None = None,
) -> list[UUID]:
    """Sign-ins of a person that have not ended: to one application, of one session here, or of all but one."""
    query = select(oidc_login.c.id).where(
        oidc_login.c.person == person_id, oidc_login.c.ended_ms.is_(None), oidc_login.c.expires_ms > now_ms
    )
    if application_id is not None:
        query = query.where(oidc_login.c.application == application_id)
    if session_id is not None:
        query = query.where(oidc_login.c.session == session_id)
    if but is not None:
        query = query.where(oidc_login.c.session != but)
    return list(tx.execute(query).scalars())


def follow_session(
    tx: Connection, person_id: str, now_ms: int, session_id: UUID | None = None, but: UUID | None = None
) -> None:
    """Who signs out here is signed out of applications, which are told of it; in the transaction of that."""
    end_logins(tx, open_logins(tx, now_ms, person_id, session_id=session_id, but=but), now_ms, tell=True)


def end_logins(tx: Connection, ids: Collection[UUID], now_ms: int, *, tell: bool) -> int:
    """End sign-ins with all their tokens; returns how many tokens lived. tell: the applications are told of it."""
    if not ids:
        return 0
    of_these = oidc_login.c.id.in_(ids), oidc_login.c.ended_ms.is_(None)
    tx.execute(update(oidc_login).where(*of_these).values(ended_ms=now_ms, tell_ms=now_ms if tell else None))
    tokens = update(token).where(token.c.login.in_(ids), token.c.revoked_ms.is_(None))
    return tx.execute(tokens.values(revoked_ms=now_ms)).rowcount


def _login(tx: Connection, condition: ColumnElement[bool], *, lock: bool = False) -> Login | None:
    query = select(oidc_login).where(condition)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        return None
    return Login(
        row.id,
        row.institution,
        row.person,
        row.application,
        row.session,
        frozenset(row.scopes.split()),
        row.purpose,
        row.nonce,
        row.auth_ms,
        row.code,
        row.code_expires_ms,
        row.code_used_ms,
        row.redirect_uri,
        row.challenge,
        row.created_ms,
        row.expires_ms,
        row.ended_ms,
    )


def auth_ms(tx: Connection, session_id: UUID) -> int:
    """When the holder of a session proved last who they are; 0 where it is gone.

    A provider that does not tell it is taken to have asked when the session began.
    """
    row = tx.execute(
        select(session.c.stepped_ms, session.c.created_ms).where(session.c.id == session_id)
    ).first()
    return (row.stepped_ms or row.created_ms) if row else 0


def hold_session(tx: Connection, session_id: UUID) -> bool:
    """Whether the session here goes on; it does not end until the transaction ends."""
    query = select(session.c.id).where(session.c.id == session_id).with_for_update()
    return tx.execute(query).first() is not None


# ---- refresh tokens: rows of `token` of a kind of their own ----


def refresh(tx: Connection, digest: bytes) -> Refresh | None:
    """The refresh token of this digest."""
    query = select(token).where(token.c.hash == digest, token.c.kind == REFRESH)
    row = tx.execute(query).first()
    if row is None:
        return None
    return Refresh(row.id, row.login, frozenset(row.scopes.split()), row.expires_ms, row.revoked_ms, row.jkt)


def use_refresh(tx: Connection, id_: UUID, now_ms: int) -> bool:
    """Use up a refresh token; False if it was used or ended before. Of two at once only one gets True."""
    query = update(token).where(token.c.id == id_, token.c.revoked_ms.is_(None))
    return tx.execute(query.values(revoked_ms=now_ms)).rowcount == 1


def login_of_token(tx: Connection, id_: UUID) -> UUID | None:
    """The sign-in that a token belongs to."""
    return tx.execute(select(token.c.login).where(token.c.id == id_)).scalar()


# ---- logout ----


def logout_uri(tx: Connection, application_id: str) -> str:
    """Where the application wants to be told that somebody signed out; "" for nowhere."""
    query = select(application.c.logout_uri).where(application.c.id == application_id)
    return tx.execute(query).scalar() or ""


def set_logout_uri(tx: Connection, application_id: str, uri: str) -> bool:
    """Change it; False where there is no such application."""
    query = update(application).where(application.c.id == application_id)
    return tx.execute(query.values(logout_uri=uri)).rowcount == 1


def claim_farewells(tx: Connection, now_ms: int, lease_ms: int, limit: int) -> list[Farewell]:
    """Applications to be told now; nobody else tells them before the lease is over."""
    query = (
        select(
            oidc_login.c.id,
            oidc_login.c.institution,
            oidc_login.c.application,
            oidc_consent.c.subject,
            application.c.logout_uri,
            oidc_login.c.tried,
        )
        .join(application, application.c.id == oidc_login.c.application)
        .join(
            oidc_consent,
            (oidc_consent.c.person == oidc_login.c.person)
            & (oidc_consent.c.application == oidc_login.c.application),
        )
        .where(oidc_login.c.tell_ms <= now_ms)
        .order_by(oidc_login.c.tell_ms)
        .limit(limit)
        .with_for_update(of=oidc_login, skip_locked=True)
    )
    found = [Farewell(*row) for row in tx.execute(query)]
    mark_farewells(tx, [one.login for one in found], now_ms + lease_ms, tried=False)
    return found


def mark_farewells(tx: Connection, ids: Sequence[UUID], tell_ms: int | None, *, tried: bool = True) -> None:
    """When these are to be told, again or at last; None: not any more."""
    values: dict[str, Any] = {"tell_ms": tell_ms}
    if tried:
        values["tried"] = oidc_login.c.tried + 1
    if ids:
        tx.execute(update(oidc_login).where(oidc_login.c.id.in_(ids)).values(values))


def sweep(tx: Connection, before_ms: int) -> int:
    """Forget sign-ins whose time was over by then, with their tokens, and tokens of no sign-in; returns how many."""
    old = delete(token).where(token.c.login.is_(None), token.c.expires_ms < before_ms)
    forgotten = tx.execute(old).rowcount
    over = select(oidc_login.c.id).where(oidc_login.c.expires_ms < before_ms)
    tx.execute(delete(token).where(token.c.login.in_(over)))
    return forgotten + tx.execute(delete(oidc_login).where(oidc_login.c.expires_ms < before_ms)).rowcount


def forget(tx: Connection, person_id: str) -> None:
    """Drop all that is known of a person whose account is erased; the applications are not told who that was."""
    of_person = select(oidc_login.c.id).where(oidc_login.c.person == person_id)
    tx.execute(delete(token).where(token.c.login.in_(of_person)))
    tx.execute(delete(oidc_login).where(oidc_login.c.person == person_id))
    tx.execute(delete(oidc_consent).where(oidc_consent.c.person == person_id))


# ---- single-page applications ----


def public_redirects(tx: Connection) -> list[str]:
    """Redirect addresses of active applications that keep no secret: pages of theirs may ask for tokens."""
    query = select(application.c.redirect_uris).where(
        application.c.state == ACTIVE, application.c.auth_method == "none"
    )
    return [uri for row in tx.execute(query).scalars() for uri in row.split()]
