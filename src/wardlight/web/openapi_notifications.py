"""Schemas of notifications to people."""

from __future__ import annotations

from typing import Any, Final

from wardlight.notifications.model import PLACEHOLDERS, Channel, Mail, Permission

_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_NAME: Final = {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": 40}
_MAIL: Final = {"enum": [one.value for one in Mail]}
_CHANNELS: Final = {"type": "array", "items": {"enum": [one.value for one in Channel]}}
_PERMISSION: Final = {
    "enum": [one.value for one in Permission],
    "description": "What a person must be allowed to be told of it.",
}
_APPLICATION: Final = {
    "type": "string",
    "description": "Id of the application; `wardlight` for the platform.",
}
_SOURCE: Final = {"type": "string", "description": "Name of the application; empty for the platform."}
_HOLDERS: Final = f"Placeholders in braces are of {', '.join(PLACEHOLDERS)}."


def _object(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required or properties), "properties": properties}


def _taken(required: tuple[str, ...], /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_DEFINED: Final[dict[str, Any]] = {
    "name": _NAME,
    "title": {"type": "string", "maxLength": 80, "description": _HOLDERS},
    "text": {"type": "string", "maxLength": 400, "description": _HOLDERS},
    "permission": _PERMISSION,
    "licence": {"type": "string", "description": "A purpose that the application must be entitled to."},
    "channels": _CHANNELS,
}

SCHEMAS: Final[dict[str, Any]] = {
    "Notification": _object(
        id=_ID,
        application=_APPLICATION,
        source=_SOURCE,
        name=_NAME,
        title=_TEXT,
        text=_TEXT,
        created=_TIME,
        read=_FLAG,
        study={"type": ["string", "null"], "description": "UID of the study that it is about."},
        object={"type": ["string", "null"], "description": "Id of what it is about."},
    ),
    "Notifications": _object(
        ("notifications", "unread"),
        notifications=_list("Notification"),
        unread={"type": "integer", "description": "How many of all are not read."},
        next={"type": "string", "description": "`after` of the next page."},
    ),
    "ToMarkRead": _taken((), ids={"type": "array", "items": _ID, "maxItems": 200}, all=_FLAG),
    "MarkedRead": _object(read={"type": "integer"}),
    "NotificationPreference": _object(
        application=_APPLICATION,
        source=_SOURCE,
        name=_NAME,
        title=_TEXT,
        text=_TEXT,
        channels=_CHANNELS,
        bell=_FLAG,
        mail=_MAIL,
    ),
    "NotificationPreferences": _object(
        preferences=_list("NotificationPreference"),
        mail={"type": "boolean", "description": "Whether this platform sends mail."},
        address={"type": "string", "description": "Where mail goes; empty: nowhere."},
        confirmed=_FLAG,
    ),
    "ToChoose": _taken(
        ("application", "name", "bell", "mail"), application=_APPLICATION, name=_NAME, bell=_FLAG, mail=_MAIL
    ),
    "NotificationChoice": _object(bell=_FLAG, mail=_MAIL),
    "NewMailAddress": _taken(("address",), address={"type": "string", "maxLength": 200}),
    "MailAddress": _object(address=_TEXT, confirmed=_FLAG),
    "MailCode": _taken(("code",), code={"type": "string", "maxLength": 40}),
    "MailConfirmed": _object(confirmed=_FLAG),
    "NewNotificationDefinition": _taken(("name", "title", "text"), **_DEFINED),
    "NotificationDefinition": _object(**_DEFINED, version={"type": "integer"}, created=_TIME),
    "NotificationDefinitions": _object(definitions=_list("NotificationDefinition")),
    "NotificationRetired": _object(name=_NAME, retired=_FLAG),
    "ToNotify": _taken(
        (),
        values={
            "type": "object",
            "description": "One for each placeholder that is no name: a number, a time, or an id.",
            "additionalProperties": {"type": ["string", "integer"]},
        },
        grant={**_ID, "description": "Whose study it is about: it is told to who may see that."},
        people={"type": "array", "items": _TEXT, "maxItems": 500, "description": "Only these people, by id."},
    ),
    "NotificationSent": _object(id=_ID),
}

PARAMETERS: Final[dict[str, Any]] = {
    "definition": {
        "name": "definition",
        "in": "path",
        "required": True,
        "description": "Name of a definition.",
        "schema": _NAME,
    },
}
