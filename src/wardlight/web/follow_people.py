"""What changes for one person, as a stream: how much is unread, and that there are other studies (server-sent events).

Pages ask for it by themselves: it keeps no session from ending, and ends with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from starlette.responses import Response

from wardlight.access.model import Role
from wardlight.errors import WardlightError
from wardlight.trail.call import answer
from wardlight.web.follow import STREAM, EventStream, Following, Piece, enter, still_known
from wardlight.web.responses import AnswerResponse

#: Roles whose list of studies is the institution's.
_SEE_ALL: Final = frozenset({Role.ADMINISTRATOR, Role.CLINICIAN})


@dataclass(slots=True)
class _Seen:
    """What the client was told last; None at first."""

    unread: int | None = None
    studies: int | None = None


@dataclass(slots=True)
class _Watch:
    call: Following
    seen: _Seen = field(default_factory=_Seen)

    def piece(self) -> Piece:
        """What is other than the client knows; raises `unauthenticated` where the session is over."""
        call = self.call
        scope, notifications = call.scope, call.services.platform.notifications
        place = (scope.institution, scope.principal.id)
        own, studies = notifications.pulses([scope.principal.id]).get(place, (0, 0))
        unread = still_known(call, partial(notifications.unread, scope))
        pieces = []
        if unread != self.seen.unread:
            pieces.append(_event("unread", {"unread": unread}))
        if (
            self.seen.studies is not None
            and studies != self.seen.studies
            and scope.principal.role in _SEE_ALL
        ):
            pieces.append(_event("studies", {}))
        self.seen.unread, self.seen.studies = unread, studies
        return b"".join(pieces), own + studies


async def watch(call: Following) -> Response:
    """GET /api/v1/notifications/stream: `unread` with the number, at once and when it changes; `studies` likewise."""
    if call.request.method == "HEAD":
        return AnswerResponse(answer({}), head=True)
    if not _takes_stream(call.request.headers.get("accept", "")):
        await call.guarded(_not_acceptable)
    waiting = call.services.people_waiting
    await call.guarded(partial(call.services.platform.notifications.follow, call.scope))
    waiter = await enter(call, waiting, (call.scope.institution, call.scope.principal.id))
    one = _Watch(call)

    async def piece(_after: int) -> Piece:
        return await call.guarded(one.piece)

    return EventStream(call, waiting, waiter, 0, piece)


def _takes_stream(accept: str) -> bool:
    # Asked for by name, as browsers do: whoever takes anything would wait for the end of what has none.
    return STREAM in {one.partition(";")[0].strip().lower() for one in accept.split(",")}


def _not_acceptable() -> None:
    raise WardlightError("not-acceptable", f"this is given as {STREAM}")


def _event(name: str, data: dict[str, int]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
