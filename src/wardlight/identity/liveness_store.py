"""Whether those whose answers are open may still have them: tokens and sessions by id."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BindParameter, Connection, bindparam, exists, or_, select

from wardlight.identity.people_tables import session
from wardlight.identity.store import ACTIVE
from wardlight.identity.tables import application, institution, person, receiver, token

_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_HOLDER: Final = or_(
    exists().where(person.c.id == token.c.holder, person.c.state == ACTIVE),
    exists().where(receiver.c.id == token.c.holder, receiver.c.state == ACTIVE),
    token.c.holder == "",
)
# That a token's short life ran out while an answer was under way is no reason to end it.
_TOKENS: Final = select(token.c.id).where(
    token.c.id.in_(_IDS),
    token.c.revoked_ms.is_(None),
    exists().where(institution.c.id == token.c.institution, institution.c.state == ACTIVE),
    _HOLDER,
    or_(
        token.c.application.is_(None),
        exists().where(application.c.id == token.c.application, application.c.state == ACTIVE),
    ),
)
_SESSIONS: Final = select(session.c.id).where(
    session.c.id.in_(_IDS),
    exists().where(institution.c.id == session.c.institution, institution.c.state == ACTIVE),
    exists().where(person.c.id == session.c.person, person.c.state == ACTIVE),
)


def ended(tx: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Those of these tokens and sessions that were revoked, or whose holder or institution was suspended."""
    values = {"ids": list(ids)}
    alive = set(tx.execute(_TOKENS, values).scalars()) | set(tx.execute(_SESSIONS, values).scalars())
    return set(ids) - alive
