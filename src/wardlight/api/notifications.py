"""One's own notifications, and what of them one wants; and what applications tell people (R9.2)."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields, parsed_id
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.notifications.model import Channel, Definition, Mail, Permission, Preference
from wardlight.notifications.service import Shown
from wardlight.trail.call import answer

_PAGE: Final = 30
_MOST: Final = 200
_PLATFORM: Final = "wardlight"


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/notifications: what one may be shown now, newest first, and how much is unread."""
    query = request.query
    limit = _limit(query.get("limit", ""))
    before = parsed_id(query["after"], "bad-request") if "after" in query else None
    rows, unread = request.platform.notifications.page(
        request.scope, before, limit + 1, unread=query.get("unread") == "true"
    )
    shown: dict[str, Any] = {"notifications": _rows(request, rows[:limit]), "unread": unread}
    if len(rows) > limit:
        shown["next"] = rows[limit - 1].item.id.hex
    return answer(shown)


def mark(request: ApiRequest) -> Answer:
    """POST /api/v1/notifications/read: these, or all."""
    fields = Fields(request.body, frozenset({"ids", "all"}))
    ids = None if fields.flag("all") else {parsed_id(one, "bad-request") for one in fields.words("ids")}
    if ids is not None and not 0 < len(ids) <= _MOST:
        raise WardlightError("bad-request", f"ids are 1 to {_MOST}, or all is true")
    return answer({"read": request.platform.notifications.mark(request.scope, ids)})


def preferences(request: ApiRequest) -> Answer:
    """GET /api/v1/notifications/preferences: what one may be told, and what one wants of it."""
    found = request.platform.notifications.choices(request.scope)
    rows = [
        {
            "application": one.definition.application or _PLATFORM,
            "source": one.source,
            "name": one.definition.name,
            "title": one.title,
            "text": one.text,
            "channels": sorted(one.definition.channels),
            "bell": one.preference.bell,
            "mail": one.preference.mail.value,
        }
        for one in found.choices
    ]
    return answer(
        {
            "preferences": rows,
            "mail": found.mail,
            "address": found.address,
            "confirmed": found.confirmed,
        }
    )


def prefer(request: ApiRequest) -> Answer:
    """PUT /api/v1/notifications/preferences: what one wants of one of them."""
    fields = Fields(request.body, frozenset({"application", "name", "bell", "mail"}))
    application = fields.text("application")
    wanted = Preference(fields.flag("bell"), fields.choice("mail", Mail))
    key = ("" if application == _PLATFORM else application, fields.text("name"))
    request.platform.notifications.choose(request.scope, key, wanted)
    return answer({"bell": wanted.bell, "mail": wanted.mail.value})


def set_address(request: ApiRequest) -> Answer:
    """PUT /api/v1/notifications/address: a code goes there."""
    address = Fields(request.body, frozenset({"address"})).text("address").strip()
    request.platform.notifications.set_address(request.scope, address)
    return answer({"address": address, "confirmed": False}, 202)


def confirm_address(request: ApiRequest) -> Answer:
    """POST /api/v1/notifications/address/confirm: the code came."""
    request.platform.notifications.confirm(
        request.scope, Fields(request.body, frozenset({"code"})).text("code")
    )
    return answer({"confirmed": True})


def drop_address(request: ApiRequest) -> Answer:
    """DELETE /api/v1/notifications/address: no mail any more."""
    request.platform.notifications.drop_address(request.scope)
    return answer({"address": "", "confirmed": False})


# ---- of applications ----


def definitions(request: ApiRequest) -> Answer:
    """GET /api/v1/notification-definitions: the application's own at its institution."""
    rows = request.platform.definitions.listed(request.scope)
    return answer({"definitions": [_definition(row) for row in rows]})


def register(request: ApiRequest) -> Answer:
    """POST /api/v1/notification-definitions: a new one, or a new version."""
    fields = Fields(request.body, frozenset({"name", "title", "text", "permission", "licence", "channels"}))
    channels = fields.choices("channels", Channel) if "channels" in fields else frozenset(Channel)
    wanted = Definition(
        application=request.principal.id,
        name=fields.text("name"),
        version=0,
        title=fields.text("title"),
        text=fields.text("text"),
        permission=fields.choice("permission", Permission) if "permission" in fields else Permission.ANY,
        licence=fields.text("licence", ""),
        channels=channels,
    )
    return answer(_definition(request.platform.definitions.register(request.scope, wanted)), 201)


def retire(request: ApiRequest) -> Answer:
    """DELETE /api/v1/notification-definitions/{definition}."""
    name = request.path["definition"]
    request.platform.definitions.retire(request.scope, name)
    return answer({"name": name, "retired": True})


def send(request: ApiRequest) -> Answer:
    """POST /api/v1/notification-definitions/{definition}/send: to the people of the institution who want it."""
    fields = Fields(request.body, frozenset({"values", "grant", "people"}))
    people = fields.words("people") if "people" in fields else None
    values = fields.members("values") if "values" in fields else {}
    message = request.platform.definitions.send(
        request.scope, request.path["definition"], values, fields.id("grant"), people
    )
    return answer({"id": message.hex}, 202)


def _definition(row: Definition) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "title": row.title,
        "text": row.text,
        "permission": row.permission.value,
        "licence": row.licence,
        "channels": sorted(row.channels),
        "created": clock.timestamp_ms(row.created_ms),
    }


def _rows(request: ApiRequest, rows: list[Shown]) -> list[dict[str, Any]]:
    archive = request.platform.archive
    releases = [row.item.release for row in rows if row.item.release]
    seen = archive.study_uids(request.scope, releases) if releases else {}
    groups = {row.group for row in rows if row.group is not None}
    images = {} if request.scope.granted or not groups else archive.images_uids(request.scope, sorted(groups))
    return [_row(row, seen, images) for row in rows]


def _row(row: Shown, seen: dict[UUID, tuple[str, str]], images: dict[bytes, str]) -> dict[str, Any]:
    item = row.item
    study = images.get(row.group) if row.group is not None else None
    if study is None and item.release is not None and item.release in seen:
        study = seen[item.release][0]
    id_ = item.data.get("id")
    return {
        "id": item.id.hex,
        "application": item.application or _PLATFORM,
        "source": row.source,
        "name": item.name,
        "title": row.title,
        "text": row.text,
        "created": clock.timestamp_ms(item.created_ms),
        "read": item.read_ms is not None,
        "study": study,
        "object": id_ if isinstance(id_, str) else None,
    }


def _limit(text: str) -> int:
    if not text:
        return _PAGE
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= _MOST:
        raise WardlightError("bad-request", f"limit is 1 to {_MOST}")
    return int(text)
