"""What each command writes into the audit trail, or why it writes nothing (audit.md section 1).

A command that is not here fails the tests of the rules, as does one that writes something else.
"""

from __future__ import annotations

from typing import Final

from wardlight.audit.actions import Action

#: What every command that opens the platform may write: it makes or changes a schema, or its clock is off.
OPENING: Final = (Action.PLATFORM_MIGRATION_RUN, Action.PLATFORM_CLOCK_SKEW)
#: What every process that serves writes beside what it does.
SERVING: Final = (Action.PLATFORM_NODE_START, Action.PLATFORM_NODE_STOP, Action.PLATFORM_SETTING_CHANGE)
_RECEIVER: Final = (Action.PLATFORM_NODE_START, Action.PLATFORM_NODE_STOP, Action.RECEIVER_SETTING_CHANGE)

#: What a command writes that seals a log in passing, and has its head cosigned.
SEALING: Final = (
    Action.AUDIT_LOG_START,
    Action.AUDIT_LOG_HEARTBEAT,
    Action.AUDIT_LOG_ALARM,
    Action.AUDIT_WITNESS_COSIGN,
    Action.AUDIT_WITNESS_FAIL,
)

_CONFIGURATION: Final = "shows configuration, and nobody's data but names of institutions and vendors"

#: Command → its actions beside those of opening the platform, or why it has none.
COMMANDS: Final[dict[str, tuple[Action, ...] | str]] = {
    "demo": (
        *SERVING,
        Action.RECEIVER_SETTING_CHANGE,
        Action.PLATFORM_INSTITUTION_CREATE,
        Action.IDENTITY_PERSON_READ,
        Action.IDENTITY_PERSON_CREATE,
        Action.IDENTITY_RECEIVER_ENROL,
        Action.IDENTITY_TOKEN_ISSUE,
        Action.IDENTITY_PASSWORD_CHANGE,
        Action.IDENTITY_FACTOR_ADD,
        Action.IDENTITY_FACTOR_RESET,
        Action.IDENTITY_SESSION_REVOKE,
        Action.IDENTITY_APPLICATION_REGISTER,
        Action.IDENTITY_APPLICATION_APPROVE,
        Action.IDENTITY_APPLICATION_ROTATE_KEY,
        Action.AGREEMENT_AGREEMENT_CREATE,
        Action.AGREEMENT_ENTITLEMENT_REQUEST,
        Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,
        Action.RECEIVER_ROUTE_CREATE,
    ),
    "serve": (*SERVING, Action.RECEIVER_SETTING_CHANGE),
    "web": SERVING,
    "worker": SERVING,
    "migrate": (Action.PLATFORM_MIGRATION_RUN,),
    "receiver": _RECEIVER,
    "receiver enrol": "makes a key of the receiver's own; the platform writes what it makes of it",
    "receiver status": "counts of the queue and codes of errors; nobody's data",
    "receiver quarantine list": (Action.RECEIVER_QUARANTINE_VIEW,),
    "receiver quarantine purge": (Action.RECEIVER_QUARANTINE_DISCARD,),
    "admin institution create": (Action.PLATFORM_INSTITUTION_CREATE,),
    "admin institution change": (Action.PLATFORM_INSTITUTION_CHANGE,),
    "admin institution suspend": (Action.PLATFORM_INSTITUTION_SUSPEND,),
    "admin institution resume": (Action.PLATFORM_INSTITUTION_CHANGE,),
    "admin institution close": (Action.PLATFORM_INSTITUTION_CLOSE,),
    "admin institution list": _CONFIGURATION,
    "admin institution show": _CONFIGURATION,
    "admin user create": (Action.IDENTITY_PERSON_CREATE,),
    "admin user list": (Action.IDENTITY_PERSON_READ,),
    "admin user token": (Action.IDENTITY_TOKEN_ISSUE,),
    "admin user revoke": (Action.IDENTITY_TOKEN_REVOKE,),
    "admin user invite": (Action.IDENTITY_PERSON_CREATE, Action.IDENTITY_PERSON_INVITE),
    "admin user link": (Action.IDENTITY_PERSON_INVITE, Action.IDENTITY_PASSWORD_RESET),
    "admin user password": (Action.IDENTITY_PASSWORD_CHANGE, Action.IDENTITY_SESSION_REVOKE),
    "admin user totp": (Action.IDENTITY_FACTOR_ADD,),
    "admin user reset": (Action.IDENTITY_FACTOR_RESET, Action.IDENTITY_SESSION_REVOKE),
    "admin user role": (Action.IDENTITY_PERSON_ROLE,),
    "admin user suspend": (
        Action.IDENTITY_PERSON_SUSPEND,
        Action.IDENTITY_SESSION_REVOKE,
        Action.IDENTITY_TOKEN_REVOKE,
    ),
    "admin user resume": (Action.IDENTITY_PERSON_SUSPEND,),
    "admin user unlock": (Action.IDENTITY_ACCOUNT_UNLOCK,),
    "admin user delete": (
        Action.IDENTITY_PERSON_DELETE,
        Action.IDENTITY_SESSION_REVOKE,
        Action.IDENTITY_TOKEN_REVOKE,
    ),
    "admin user sessions": (Action.IDENTITY_PERSON_READ, Action.IDENTITY_SESSION_REVOKE),
    "admin application create": (Action.IDENTITY_APPLICATION_REGISTER,),
    "admin application approve": (Action.IDENTITY_APPLICATION_APPROVE,),
    "admin application suspend": (Action.IDENTITY_APPLICATION_SUSPEND,),
    "admin application delete": (Action.IDENTITY_APPLICATION_DELETE,),
    "admin application list": _CONFIGURATION,
    "admin application show": _CONFIGURATION,
    "admin application secret": (Action.IDENTITY_APPLICATION_ROTATE_KEY,),
    "admin application key add": (Action.IDENTITY_APPLICATION_ROTATE_KEY,),
    "admin application key remove": (Action.IDENTITY_APPLICATION_ROTATE_KEY,),
    "admin application key list": _CONFIGURATION,
    "admin agreement create": (
        Action.AGREEMENT_AGREEMENT_CREATE,
        Action.AGREEMENT_AGREEMENT_AMEND,
        Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,
    ),
    "admin agreement amend": (Action.AGREEMENT_AGREEMENT_AMEND,),
    "admin agreement withdraw": (Action.AGREEMENT_AGREEMENT_WITHDRAW,),
    "admin agreement diff": _CONFIGURATION,
    "admin entitlement request": (Action.AGREEMENT_ENTITLEMENT_REQUEST,),
    "admin entitlement subscribe": (Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE,),
    "admin entitlement unsubscribe": (Action.AGREEMENT_ENTITLEMENT_UNSUBSCRIBE,),
    "admin entitlement list": _CONFIGURATION,
    "admin source add": (Action.AGREEMENT_SOURCE_RECORD,),
    "admin source list": _CONFIGURATION,
    "admin agreement list": _CONFIGURATION,
    "admin agreement show": _CONFIGURATION,
    "admin receiver create": (Action.IDENTITY_RECEIVER_ENROL,),
    "admin receiver enrol": (Action.IDENTITY_RECEIVER_ENROL,),
    "admin receiver confirm": (
        Action.IDENTITY_RECEIVER_ENROL,
        Action.IDENTITY_RECEIVER_ROTATE_KEY,
        Action.IDENTITY_RECEIVER_REVOKE,
    ),
    "admin receiver witness-key": (Action.IDENTITY_RECEIVER_ENROL, Action.IDENTITY_RECEIVER_ROTATE_KEY),
    "admin receiver list": _CONFIGURATION,
    "admin receiver revoke": (Action.IDENTITY_RECEIVER_REVOKE,),
    "admin route create": (Action.RECEIVER_ROUTE_CREATE,),
    "admin route change": (Action.RECEIVER_ROUTE_CHANGE,),
    "admin route delete": (Action.RECEIVER_ROUTE_DELETE,),
    "admin route list": _CONFIGURATION,
    "admin route show": _CONFIGURATION,
    "admin audit-rotate-key": (Action.AUDIT_LOG_ROTATE_KEY,),
    "admin audit-continue": (Action.AUDIT_LOG_CONTINUE,),
    "admin audit-reference-epoch": (Action.ARCHIVE_KEY_CREATE,),
    "admin audit-witness add": (Action.AUDIT_WITNESS_CHANGE,),
    "admin audit-witness list": _CONFIGURATION,
    "admin audit-witness remove": (Action.AUDIT_WITNESS_CHANGE,),
    "admin audit-anchor add": (Action.AUDIT_ANCHOR_CHANGE,),
    "admin audit-anchor list": _CONFIGURATION,
    "admin audit-anchor remove": (Action.AUDIT_ANCHOR_CHANGE,),
    "admin audit-retention": (Action.AUDIT_RETENTION_CHANGE,),
    "admin audit-forward add": (Action.AUDIT_FORWARD_CHANGE,),
    "admin audit-forward list": _CONFIGURATION,
    "admin audit-forward remove": (Action.AUDIT_FORWARD_CHANGE,),
    "audit export": (Action.AUDIT_ENTRY_EXPORT, *SEALING),
    "audit verify": "reads a file of whoever calls it; opens no platform",
    "audit show": (Action.AUDIT_ENTRY_READ,),
    "audit search": (Action.AUDIT_ENTRY_SEARCH, Action.AUDIT_PATIENT_SEARCH),
    "audit report access": (Action.SUBJECT_REPORT_ACCESS,),
    "audit report breach": (Action.AUDIT_REPORT_CREATE,),
    "audit witness": "cosigns a peer's log with a state of its own; opens no platform",
    "audit actions": "lists what entries can say; opens no platform",
    "study delete": (
        Action.ARCHIVE_STUDY_DELETE,
        Action.ACCESS_GRANT_REVOKE,
        Action.ACCESS_GRANT_EXPIRE,
    ),
    "study deletions": "shows opaque ids, counts and times of deletions, and nobody's data",
    "study receipt": (Action.ARCHIVE_RECEIPT_ISSUE,),
    "study allow": (Action.ARCHIVE_STUDY_UNHOLD,),
    "receipt verify": "reads a file of whoever calls it; opens no platform",
    "keys roll": (Action.ARCHIVE_KEY_REWRAP, Action.ARCHIVE_RECEIPT_ISSUE),
    "deidentify": "works on files of whoever calls it: it opens no platform, and has no log to write to",
    "fsck": (Action.PLATFORM_CHECK_RUN, Action.ARCHIVE_OBJECT_REPAIR, Action.ARCHIVE_KEY_DESTROY),
}
