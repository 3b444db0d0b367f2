"""The closed list of what the audit trail can say, and the mapping letter of each (audit.md §1, §5).

An action is `source:subject:verb`. Nothing outside this list can be written.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """Every action, spelt as in the entry."""

    PLATFORM_NODE_START = "platform:node:start"
    PLATFORM_NODE_STOP = "platform:node:stop"
    PLATFORM_SETTING_CHANGE = "platform:setting:change"
    PLATFORM_MIGRATION_RUN = "platform:migration:run"
    PLATFORM_BACKUP_CREATE = "platform:backup:create"
    PLATFORM_BACKUP_RESTORE = "platform:backup:restore"
    PLATFORM_INSTITUTION_CREATE = "platform:institution:create"
    PLATFORM_INSTITUTION_CHANGE = "platform:institution:change"
    PLATFORM_INSTITUTION_SUSPEND = "platform:institution:suspend"
    PLATFORM_INSTITUTION_CLOSE = "platform:institution:close"
    PLATFORM_CLOCK_SKEW = "platform:clock:skew"
    PLATFORM_LOCK_BREAK = "platform:lock:break"
    IDENTITY_SESSION_LOGIN = "identity:session:login"
    IDENTITY_SESSION_LOGOUT = "identity:session:logout"
    IDENTITY_SESSION_EXPIRE = "identity:session:expire"
    IDENTITY_SESSION_REVOKE = "identity:session:revoke"
    IDENTITY_ACCOUNT_LOCK = "identity:account:lock"
    IDENTITY_ACCOUNT_UNLOCK = "identity:account:unlock"
    IDENTITY_FACTOR_ADD = "identity:factor:add"
    IDENTITY_FACTOR_REMOVE = "identity:factor:remove"
    IDENTITY_FACTOR_RESET = "identity:factor:reset"
    IDENTITY_PASSWORD_CHANGE = "identity:password:change"  # noqa: S105 - an action, not a secret
    IDENTITY_PASSWORD_RESET = "identity:password:reset"  # noqa: S105 - an action, not a secret
    IDENTITY_PERSON_INVITE = "identity:person:invite"
    IDENTITY_PERSON_CREATE = "identity:person:create"
    IDENTITY_PERSON_CHANGE = "identity:person:change"
    IDENTITY_PERSON_ROLE = "identity:person:role"
    IDENTITY_PERSON_SUSPEND = "identity:person:suspend"
    IDENTITY_PERSON_DELETE = "identity:person:delete"
    IDENTITY_APPLICATION_REGISTER = "identity:application:register"
    IDENTITY_APPLICATION_APPROVE = "identity:application:approve"
    IDENTITY_APPLICATION_CHANGE = "identity:application:change"
    IDENTITY_APPLICATION_ROTATE_KEY = "identity:application:rotate_key"
    IDENTITY_APPLICATION_SUSPEND = "identity:application:suspend"
    IDENTITY_APPLICATION_DELETE = "identity:application:delete"
    IDENTITY_RECEIVER_ENROL = "identity:receiver:enrol"
    IDENTITY_RECEIVER_ROTATE_KEY = "identity:receiver:rotate_key"
    IDENTITY_RECEIVER_REVOKE = "identity:receiver:revoke"
    IDENTITY_TOKEN_ISSUE = "identity:token:issue"  # noqa: S105 - an action, not a secret
    IDENTITY_TOKEN_REFUSE = "identity:token:refuse"  # noqa: S105 - an action, not a secret
    IDENTITY_TOKEN_REVOKE = "identity:token:revoke"  # noqa: S105 - an action, not a secret
    IDENTITY_FEDERATION_CHANGE = "identity:federation:change"
    IDENTITY_CONSENT_GIVE = "identity:consent:give"
    IDENTITY_CONSENT_WITHDRAW = "identity:consent:withdraw"
    AGREEMENT_AGREEMENT_CREATE = "agreement:agreement:create"
    AGREEMENT_AGREEMENT_AMEND = "agreement:agreement:amend"
    AGREEMENT_AGREEMENT_WITHDRAW = "agreement:agreement:withdraw"
    AGREEMENT_AGREEMENT_EXPIRE = "agreement:agreement:expire"
    AGREEMENT_ENTITLEMENT_REQUEST = "agreement:entitlement:request"
    AGREEMENT_ENTITLEMENT_SUBSCRIBE = "agreement:entitlement:subscribe"
    AGREEMENT_ENTITLEMENT_UNSUBSCRIBE = "agreement:entitlement:unsubscribe"
    AGREEMENT_SOURCE_RECORD = "agreement:source:record"
    ACCESS_GRANT_CREATE = "access:grant:create"
    ACCESS_GRANT_SHARE = "access:grant:share"
    ACCESS_GRANT_CHANGE = "access:grant:change"
    ACCESS_GRANT_EXPIRE = "access:grant:expire"
    ACCESS_GRANT_REVOKE = "access:grant:revoke"
    ACCESS_DECISION_DENY = "access:decision:deny"
    ACCESS_STREAM_CUT = "access:stream:cut"
    ACCESS_URL_CREATE = "access:url:create"
    EVENTS_WEBHOOK_CREATE = "events:webhook:create"
    EVENTS_WEBHOOK_CHANGE = "events:webhook:change"
    EVENTS_WEBHOOK_DELETE = "events:webhook:delete"
    EVENTS_WEBHOOK_TEST = "events:webhook:test"
    EVENTS_NOTIFICATION_SEND = "events:notification:send"
    EVENTS_NOTIFICATION_DELIVER = "events:notification:deliver"
    EVENTS_NOTIFICATION_FAIL = "events:notification:fail"
    EVENTS_NOTIFICATION_DEAD = "events:notification:dead"
    EVENTS_NOTIFICATION_REDELIVER = "events:notification:redeliver"
    EVENTS_NOTIFICATION_ACKNOWLEDGE = "events:notification:acknowledge"
    EVENTS_FEED_READ = "events:feed:read"
    NOTIFY_DEFINITION_CHANGE = "notify:definition:change"
    NOTIFY_PREFERENCE_CHANGE = "notify:preference:change"
    NOTIFY_MAIL_SEND = "notify:mail:send"
    NOTIFY_MAIL_FAIL = "notify:mail:fail"
    RECEIVER_ASSOCIATION_ACCEPT = "receiver:association:accept"
    RECEIVER_ASSOCIATION_REJECT = "receiver:association:reject"
    RECEIVER_STUDY_RECEIVE = "receiver:study:receive"
    RECEIVER_OBJECT_REFUSE = "receiver:object:refuse"
    RECEIVER_STUDY_PROTECT = "receiver:study:protect"
    RECEIVER_STUDY_VERIFY = "receiver:study:verify"
    RECEIVER_STUDY_QUARANTINE = "receiver:study:quarantine"
    RECEIVER_QUARANTINE_VIEW = "receiver:quarantine:view"
    RECEIVER_QUARANTINE_RELEASE = "receiver:quarantine:release"
    RECEIVER_QUARANTINE_DISCARD = "receiver:quarantine:discard"
    RECEIVER_STUDY_UPLOAD = "receiver:study:upload"
    RECEIVER_PACS_QUERY = "receiver:pacs:query"
    RECEIVER_PACS_RETRIEVE = "receiver:pacs:retrieve"
    RECEIVER_RESULT_REIDENTIFY = "receiver:result:reidentify"
    RECEIVER_RESULT_SEND = "receiver:result:send"
    RECEIVER_COMMITMENT_CONFIRM = "receiver:commitment:confirm"
    RECEIVER_VAULT_READ = "receiver:vault:read"
    RECEIVER_VAULT_EXPORT = "receiver:vault:export"
    RECEIVER_VAULT_ERASE = "receiver:vault:erase"
    RECEIVER_ROUTE_CREATE = "receiver:route:create"
    RECEIVER_ROUTE_CHANGE = "receiver:route:change"
    RECEIVER_ROUTE_DELETE = "receiver:route:delete"
    RECEIVER_PROFILE_LOAD = "receiver:profile:load"
    RECEIVER_PACS_CREATE = "receiver:pacs:create"
    RECEIVER_PACS_CHANGE = "receiver:pacs:change"
    RECEIVER_PACS_DELETE = "receiver:pacs:delete"
    RECEIVER_SETTING_CHANGE = "receiver:setting:change"
    INGEST_UPLOAD_START = "ingest:upload:start"
    INGEST_UPLOAD_FINISH = "ingest:upload:finish"
    INGEST_UPLOAD_ABANDON = "ingest:upload:abandon"
    INGEST_STUDY_PROTECT = "ingest:study:protect"
    INGEST_STUDY_VERIFY = "ingest:study:verify"
    INGEST_STUDY_QUARANTINE = "ingest:study:quarantine"
    INGEST_OBJECT_REFUSE = "ingest:object:refuse"
    INGEST_CLASS_ANONYMISED = "ingest:class:anonymised"
    ARCHIVE_STUDY_STORE = "archive:study:store"
    ARCHIVE_STUDY_COMPLETE = "archive:study:complete"
    ARCHIVE_STUDY_CHANGE = "archive:study:change"
    ARCHIVE_STUDY_DELETE = "archive:study:delete"
    ARCHIVE_STUDY_EXPIRE = "archive:study:expire"
    ARCHIVE_STUDY_ERASE = "archive:study:erase"
    ARCHIVE_STUDY_HOLD = "archive:study:hold"
    ARCHIVE_STUDY_UNHOLD = "archive:study:unhold"
    ARCHIVE_KEY_CREATE = "archive:key:create"
    ARCHIVE_KEY_REWRAP = "archive:key:rewrap"
    ARCHIVE_KEY_DESTROY = "archive:key:destroy"
    ARCHIVE_RECEIPT_ISSUE = "archive:receipt:issue"
    ARCHIVE_RECEIPT_ACKNOWLEDGE = "archive:receipt:acknowledge"
    ARCHIVE_OBJECT_REPAIR = "archive:object:repair"
    DICOMWEB_STUDY_QUERY = "dicomweb:study:query"
    DICOMWEB_STUDY_READ = "dicomweb:study:read"
    DICOMWEB_METADATA_READ = "dicomweb:metadata:read"
    DICOMWEB_FRAME_READ = "dicomweb:frame:read"
    DICOMWEB_RENDERED_READ = "dicomweb:rendered:read"
    DICOMWEB_THUMBNAIL_READ = "dicomweb:thumbnail:read"
    DICOMWEB_BULKDATA_READ = "dicomweb:bulkdata:read"
    DICOMWEB_STUDY_EXPORT = "dicomweb:study:export"
    DICOMWEB_STUDY_STORE = "dicomweb:study:store"
    DICOMWEB_RESULT_STORE = "dicomweb:result:store"
    MACHINE_DATA_STORE = "machine:data:store"
    MACHINE_DATA_READ = "machine:data:read"
    MACHINE_DATA_QUERY = "machine:data:query"
    MACHINE_DATA_DELETE = "machine:data:delete"
    MACHINE_SUBSCRIPTION_CREATE = "machine:subscription:create"
    MACHINE_SUBSCRIPTION_DELETE = "machine:subscription:delete"
    SUBJECT_REQUEST_OPEN = "subject:request:open"
    SUBJECT_REQUEST_CLOSE = "subject:request:close"
    SUBJECT_REQUEST_EXTEND = "subject:request:extend"
    SUBJECT_DATA_FIND = "subject:data:find"
    SUBJECT_DATA_EXPORT = "subject:data:export"
    SUBJECT_DATA_ERASE = "subject:data:erase"
    SUBJECT_DATA_RESTRICT = "subject:data:restrict"
    SUBJECT_DATA_RECTIFY = "subject:data:rectify"
    SUBJECT_REPORT_ACCESS = "subject:report:access"
    CLASSIFY_ITEM_CLASSIFY = "classify:item:classify"
    CLASSIFY_RECORD_EXPORT = "classify:record:export"
    CLASSIFY_RETENTION_CHANGE = "classify:retention:change"
    AUDIT_ENTRY_READ = "audit:entry:read"
    AUDIT_ENTRY_SEARCH = "audit:entry:search"
    AUDIT_ENTRY_STORE = "audit:entry:store"
    AUDIT_PATIENT_SEARCH = "audit:patient:search"
    AUDIT_ENTRY_EXPORT = "audit:entry:export"
    AUDIT_REPORT_CREATE = "audit:report:create"
    AUDIT_LOG_READ = "audit:log:read"
    AUDIT_LOG_START = "audit:log:start"
    AUDIT_LOG_HEARTBEAT = "audit:log:heartbeat"
    AUDIT_LOG_CONTINUE = "audit:log:continue"
    AUDIT_LOG_END = "audit:log:end"
    AUDIT_LOG_ROTATE_KEY = "audit:log:rotate_key"
    AUDIT_LOG_ALARM = "audit:log:alarm"
    AUDIT_ANCHOR_CHANGE = "audit:anchor:change"
    AUDIT_ANCHOR_SEND = "audit:anchor:send"
    AUDIT_ANCHOR_FAIL = "audit:anchor:fail"
    AUDIT_WITNESS_COSIGN = "audit:witness:cosign"
    AUDIT_WITNESS_FAIL = "audit:witness:fail"
    AUDIT_ENTRIES_PRUNE = "audit:entries:prune"
    AUDIT_RETENTION_CHANGE = "audit:retention:change"
    AUDIT_FORWARD_CHANGE = "audit:forward:change"
    AUDIT_FORWARD_FAIL = "audit:forward:fail"
    APP_STUDY_VIEW = "app:study:view"
    APP_STUDY_PROCESS = "app:study:process"
    APP_STUDY_EXPORT = "app:study:export"
    APP_STUDY_DELETE = "app:study:delete"
    APP_RESULT_CREATE = "app:result:create"
    APP_USER_LOGIN = "app:user:login"
    APP_USER_LOGOUT = "app:user:logout"
    APP_USER_DENY = "app:user:deny"
    APP_SETTING_CHANGE = "app:setting:change"
    APP_DATA_SEND = "app:data:send"
    APP_RECORD_NOTE = "app:record:note"


_LETTERS: Final[dict[str, str]] = {
    "A": (
        "platform:node:start platform:node:stop audit:log:start audit:log:heartbeat audit:log:continue "
        "audit:log:end"
    ),
    "C": (
        "platform:setting:change platform:migration:run platform:backup:create platform:backup:restore "
        "platform:institution:create platform:institution:change platform:institution:suspend "
        "platform:institution:close events:webhook:create events:webhook:change events:webhook:delete "
        "events:webhook:test notify:definition:change notify:preference:change receiver:route:create "
        "receiver:route:change receiver:route:delete receiver:profile:load receiver:pacs:create "
        "receiver:pacs:change receiver:pacs:delete receiver:setting:change machine:subscription:create "
        "machine:subscription:delete subject:request:open subject:request:close subject:request:extend "
        "classify:retention:change audit:anchor:change audit:retention:change audit:forward:change "
        "audit:forward:fail app:setting:change"
    ),
    "S": (
        "platform:clock:skew platform:lock:break identity:factor:add identity:factor:remove "
        "identity:factor:reset identity:password:change identity:password:reset identity:person:invite "
        "identity:person:create identity:person:change identity:person:role identity:person:suspend "
        "identity:person:delete identity:application:register identity:application:approve "
        "identity:application:change identity:application:rotate_key identity:application:suspend "
        "identity:application:delete identity:receiver:enrol identity:receiver:rotate_key "
        "identity:receiver:revoke identity:federation:change receiver:association:accept "
        "audit:log:rotate_key audit:log:alarm"
    ),
    "L": (
        "identity:session:login identity:session:logout identity:session:expire identity:session:revoke "
        "identity:account:lock identity:account:unlock app:user:login app:user:logout"
    ),
    "T": ("identity:token:issue identity:token:refuse identity:token:revoke"),
    "G": (
        "identity:consent:give identity:consent:withdraw agreement:agreement:create "
        "agreement:agreement:amend agreement:agreement:withdraw agreement:agreement:expire "
        "agreement:entitlement:request agreement:entitlement:subscribe agreement:entitlement:unsubscribe "
        "agreement:source:record access:grant:create access:grant:share access:grant:change "
        "access:grant:expire access:grant:revoke access:url:create"
    ),
    "D": (
        "access:decision:deny access:stream:cut receiver:association:reject receiver:object:refuse "
        "ingest:object:refuse app:user:deny"
    ),
    "N": (
        "events:notification:send events:notification:deliver events:notification:fail "
        "events:notification:dead events:notification:redeliver events:notification:acknowledge "
        "events:feed:read notify:mail:send notify:mail:fail receiver:commitment:confirm "
        "audit:anchor:send audit:anchor:fail audit:witness:cosign audit:witness:fail app:data:send "
        "app:record:note"
    ),
    "I": (
        "receiver:study:receive receiver:study:upload receiver:pacs:retrieve ingest:upload:start "
        "ingest:upload:finish ingest:upload:abandon archive:study:store archive:study:complete "
        "dicomweb:study:store dicomweb:result:store machine:data:store app:result:create audit:entry:store"
    ),
    "P": (
        "receiver:study:protect receiver:study:verify receiver:study:quarantine "
        "receiver:quarantine:release receiver:quarantine:discard receiver:result:reidentify "
        "ingest:study:protect ingest:study:verify ingest:study:quarantine ingest:class:anonymised "
        "app:study:process"
    ),
    "R": (
        "receiver:quarantine:view receiver:vault:read dicomweb:study:read dicomweb:metadata:read "
        "dicomweb:frame:read dicomweb:rendered:read dicomweb:thumbnail:read dicomweb:bulkdata:read "
        "machine:data:read app:study:view"
    ),
    "Q": ("receiver:pacs:query dicomweb:study:query machine:data:query subject:data:find"),
    "E": (
        "receiver:result:send receiver:vault:export dicomweb:study:export subject:data:export "
        "subject:report:access classify:record:export audit:entry:export audit:report:create "
        "app:study:export"
    ),
    "X": (
        "receiver:vault:erase archive:study:delete archive:study:expire archive:study:erase "
        "machine:data:delete subject:data:erase audit:entries:prune app:study:delete"
    ),
    "U": (
        "archive:study:change archive:study:hold archive:study:unhold archive:object:repair "
        "subject:data:restrict subject:data:rectify classify:item:classify"
    ),
    "K": (
        "archive:key:create archive:key:rewrap archive:key:destroy archive:receipt:issue "
        "archive:receipt:acknowledge"
    ),
    "V": ("audit:entry:read audit:entry:search audit:patient:search audit:log:read"),
}

#: Mapping letter of each action: A application activity, L login, T token, S security, C configuration, G rights,
#: D denial, R read, Q query, I import, P protection, U update, E export, X deletion, K keys, V audit trail, N delivery.
LETTER: Final[dict[Action, str]] = {
    Action(name): letter for letter, names in _LETTERS.items() for name in names.split()
}
