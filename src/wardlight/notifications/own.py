"""What the platform itself tells people."""

from __future__ import annotations

from typing import Final

from wardlight.notifications.model import PLATFORM, Definition, Permission


def _own(name: str, title: str, text: str, permission: Permission, *, gathers: bool = False) -> Definition:
    return Definition(PLATFORM, name, 1, title, text, permission, gathers=gathers)


STUDY_AVAILABLE: Final = _own(
    "study-available", "New studies have arrived", "{count} new, complete and ready to be read.",
    Permission.STUDIES, gathers=True,
)  # fmt: skip
SHARE_RECEIVED: Final = _own(
    "share-received", "A study was shared with you", "You can read it until {until}.", Permission.IMAGES
)
SHARE_ENDED: Final = _own(
    "share-ended", "A study is no longer shared with you", "Your access ended on {date}.", Permission.IMAGES
)
ACCESS_ENDED: Final = _own(
    "access-ended", "Access that you gave has ended",
    "{application} can no longer read a study that you shared, since {date}.", Permission.STUDIES,
)  # fmt: skip
UPLOAD_REFUSED: Final = _own(
    "upload-refused", "Your upload is finished, not all of it was taken",
    "{refused} of {total} files were refused or held back.", Permission.STUDIES,
)  # fmt: skip
AGREEMENT_CHANGED: Final = _own(
    "agreement-changed", "The agreement on {application} changed", "Version {version} is in force.",
    Permission.RIGHTS,
)  # fmt: skip
AGREEMENT_ENDED: Final = _own(
    "agreement-ended", "The agreement on {application} ended", "All access that rested on it has ended.",
    Permission.RIGHTS,
)  # fmt: skip
RECEIVER_SILENT: Final = _own(
    "receiver-silent", "A receiver has not been heard of", "The last sign of it came on {date}.",
    Permission.RIGHTS,
)  # fmt: skip
WEBHOOK_DEAD: Final = _own(
    "webhook-dead", "Events for {application} were given up",
    "{count} could not be delivered to its webhook.", Permission.MANAGE, gathers=True,
)  # fmt: skip
DELETION_DONE: Final = _own(
    "deletion-done", "A study is deleted for good", "Its keys and objects are destroyed; the receipt is ready.",
    Permission.DELETE,
)  # fmt: skip

OWN: Final = {
    one.name: one
    for one in (
        STUDY_AVAILABLE, SHARE_RECEIVED, SHARE_ENDED, ACCESS_ENDED, UPLOAD_REFUSED, AGREEMENT_CHANGED,
        AGREEMENT_ENDED, RECEIVER_SILENT, WEBHOOK_DEAD, DELETION_DONE,
    )
}  # fmt: skip
