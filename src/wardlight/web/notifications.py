"""Routes of notifications to people (docs/reference/notifications.md)."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import Operation, PrincipalKind, TokenScope
from wardlight.api import notifications
from wardlight.audit.actions import Action
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.follow import STREAM
from wardlight.web.follow_people import watch
from wardlight.web.routes import Follow, Manage

_ROOT: Final = "/api/v1/notifications"
_ADDRESS: Final = f"{_ROOT}/address"
_PREFERENCES: Final = f"{_ROOT}/preferences"
_DEFINITIONS: Final = "/api/v1/notification-definitions"
_DEFINITION: Final = f"{_DEFINITIONS}/{{definition}}"

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_OWN: Final = frozenset({TokenScope.MANAGE})
_APPLICATIONS: Final = frozenset({PrincipalKind.APPLICATION})
_SEND: Final = frozenset({TokenScope.NOTIFICATIONS_SEND})
_READ: Final = Action.NOTIFY_BELL_READ
_CHOOSE: Final = Action.NOTIFY_PREFERENCE_CHANGE

_BELL: Final = (
    Manage(
        _ROOT,
        notifications.listed,
        _READ,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "List Notifications",
            "One's own, newest first: those that one may be shown now.",
            (JSON,),
            query=(
                Parameter("after", "`next` of the page before.", {"type": "string"}),
                Parameter("limit", "Most of them.", {"type": "integer", "minimum": 1, "maximum": 200}),
                Parameter("unread", "Only those that one has not read.", {"enum": ["true", "false"]}),
            ),
            schema="Notifications",
        ),
    ),
    Follow(
        f"{_ROOT}/stream",
        watch,
        _READ,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "Follow Notifications",
            "Events `unread`, with the number in `unread`, and `studies` where there are others than before.",
            (STREAM,),
            errors=(406, 429),
        ),
        by_itself=True,
    ),
    Manage(
        f"{_ROOT}/read",
        notifications.mark,
        _READ,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "Mark Notifications Read",
            "These, or all.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415),
            schema="MarkedRead",
            takes="ToMarkRead",
        ),
        method="POST",
    ),
)

_CHOICES: Final = (
    Manage(
        _PREFERENCES,
        notifications.preferences,
        _READ,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "List Notification Preferences",
            "What one may be told, what one wants of it, and where mail goes.",
            (JSON,),
            schema="NotificationPreferences",
        ),
    ),
    Manage(
        _PREFERENCES,
        notifications.prefer,
        _CHOOSE,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "Choose Notifications",
            "In the bell or not; mail at once, daily, or none.",
            (JSON,),
            consumes=(JSON,),
            errors=(404, 413, 415),
            schema="NotificationChoice",
            takes="ToChoose",
        ),
        method="PUT",
    ),
    Manage(
        _ADDRESS,
        notifications.set_address,
        _CHOOSE,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "Set Mail Address",
            "A code is sent there; nothing else is before it was confirmed.",
            (JSON,),
            consumes=(JSON,),
            statuses=(202,),
            errors=(413, 415, 429),
            schema="MailAddress",
            takes="NewMailAddress",
        ),
        method="PUT",
    ),
    Manage(
        f"{_ADDRESS}/confirm",
        notifications.confirm_address,
        _CHOOSE,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About(
            "Confirm Mail Address",
            "The code that came there.",
            (JSON,),
            consumes=(JSON,),
            errors=(413, 415),
            schema="MailConfirmed",
            takes="MailCode",
        ),
        method="POST",
    ),
    Manage(
        _ADDRESS,
        notifications.drop_address,
        _CHOOSE,
        Operation.OWN,
        _PEOPLE,
        _OWN,
        About("Remove Mail Address", "No mail any more, nor what waits.", (JSON,), schema="MailAddress"),
        method="DELETE",
    ),
)

_OF_APPLICATIONS: Final = (
    Manage(
        _DEFINITIONS,
        notifications.definitions,
        Action.NOTIFY_DEFINITION_READ,
        Operation.NOTIFY,
        _APPLICATIONS,
        _SEND,
        About(
            "List Notification Definitions",
            "What the application may tell people of the institution.",
            (JSON,),
            schema="NotificationDefinitions",
        ),
    ),
    Manage(
        _DEFINITIONS,
        notifications.register,
        Action.NOTIFY_DEFINITION_CHANGE,
        Operation.NOTIFY,
        _APPLICATIONS,
        _SEND,
        About(
            "Register Notification Definition",
            "A new one, or a new version of one; the same again changes nothing.",
            (JSON,),
            consumes=(JSON,),
            statuses=(201,),
            errors=(409, 413, 415, 429),
            schema="NotificationDefinition",
            takes="NewNotificationDefinition",
        ),
        method="POST",
    ),
    Manage(
        _DEFINITION,
        notifications.retire,
        Action.NOTIFY_DEFINITION_CHANGE,
        Operation.NOTIFY,
        _APPLICATIONS,
        _SEND,
        About(
            "Retire Notification Definition",
            "Nobody is told of it any more.",
            (JSON,),
            errors=(404,),
            schema="NotificationRetired",
        ),
        method="DELETE",
    ),
    Manage(
        f"{_DEFINITION}/send",
        notifications.send,
        Action.NOTIFY_MESSAGE_SEND,
        Operation.NOTIFY,
        _APPLICATIONS,
        _SEND,
        About(
            "Notify People",
            "Tell the people of the institution who may be told and want it.",
            (JSON,),
            consumes=(JSON,),
            statuses=(202,),
            errors=(404, 413, 415, 429),
            schema="NotificationSent",
            takes="ToNotify",
        ),
        method="POST",
    ),
)

NOTIFICATIONS: Final = (*_BELL, *_CHOICES, *_OF_APPLICATIONS)
