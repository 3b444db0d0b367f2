"""The data classes of requirement R1.1: every persisted column, object kind and field declares one."""

from __future__ import annotations

from enum import StrEnum


class DataClass(StrEnum):
    """What kind of data a column, object or field holds. The value is the name that people see."""

    PERSONAL = "personal data"
    HEALTH = "health data"
    IMAGE_IDENTIFIED = "image data, identified"
    IMAGE_PSEUDONYMISED = "image data, pseudonymised"
    IMAGE_ANONYMISED = "image data, anonymised"
    LOG = "log files"
    STATUS = "status and processing details"
    CONFIGURATION = "configuration"
    ACCOUNT = "account data"
    AUDIT = "audit data"
    SECRET = "secrets"  # noqa: S105 - the name of a class, not a secret


#: Classes that may stand in a column in clear. All others are sealed or hashed, and the column says how.
CLEAR = frozenset(
    {DataClass.LOG, DataClass.STATUS, DataClass.CONFIGURATION, DataClass.ACCOUNT, DataClass.AUDIT}
)
#: Classes that tell of no patient and of no person's account: what a log line, an event or a webhook may hold.
MACHINE = frozenset({DataClass.LOG, DataClass.STATUS, DataClass.CONFIGURATION})
