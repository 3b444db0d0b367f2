"""Tables of the audit trail (audit.md section 2): what writers insert into, and what the sealer makes of it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

_SEQUENCE: Final = BigInteger().with_variant(Integer, "sqlite")

log: Final = Table(
    "audit_log",
    metadata,
    column("log", Integer, primary_key=True, data_class=DataClass.AUDIT),
    # Empty for the operator's own log.
    column("institution", Id, nullable=True, index=True, data_class=DataClass.AUDIT),
    column("origin", String(255), unique=True, data_class=DataClass.AUDIT),
    column("generation", Integer, data_class=DataClass.AUDIT),
    column("size", BigInteger, data_class=DataClass.AUDIT),
    column("root", LargeBinary(32), data_class=DataClass.AUDIT),
    # 1 once the signer has refused its head: nothing is sealed into it any more.
    column("halted", SmallInteger, default=0, server_default="0", data_class=DataClass.AUDIT),
    # Entries before this index have been looked at for pruning.
    column("pruned", BigInteger, default=0, server_default="0", data_class=DataClass.AUDIT),
)

pending: Final = Table(
    "audit_pending",
    metadata,
    column("seq", _SEQUENCE, primary_key=True, data_class=DataClass.AUDIT),
    column("log", Integer, ForeignKey("audit_log.log"), data_class=DataClass.AUDIT),
    column("content", LargeBinary, data_class=DataClass.AUDIT),
)

#: Read sessions that are open on some node: `content` is the authorised entry, from which its end is written.
read_session: Final = Table(
    "audit_read_session",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column("log", Integer, ForeignKey("audit_log.log"), data_class=DataClass.AUDIT),
    column("started_ms", BigInteger, index=True, data_class=DataClass.AUDIT),
    column("content", LargeBinary, data_class=DataClass.AUDIT),
)

#: Sealed entries. All but `log` and `idx` is empty once an entry is pruned. The searchable columns repeat what stands
#: in `content`, whose bytes are the leaf; long ones are cut there. outcome: a number of `OUTCOMES`.
entry: Final = Table(
    "audit_entry",
    metadata,
    column("log", Integer, ForeignKey("audit_log.log"), primary_key=True, data_class=DataClass.AUDIT),
    column("idx", BigInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("id", Id, nullable=True, data_class=DataClass.AUDIT),
    column("recorded_ms", BigInteger, nullable=True, data_class=DataClass.AUDIT),
    column("action", String(64), nullable=True, data_class=DataClass.AUDIT),
    # "kind:id".
    column("actor", String(255), nullable=True, data_class=DataClass.AUDIT),
    # A keyed reference, or "kind:id".
    column("object", String(255), nullable=True, data_class=DataClass.AUDIT),
    column("outcome", SmallInteger, nullable=True, data_class=DataClass.AUDIT),
    column("purpose", String(16), nullable=True, data_class=DataClass.AUDIT),
    column("grant_id", String(64), nullable=True, data_class=DataClass.AUDIT),
    column("content", LargeBinary, nullable=True, data_class=DataClass.AUDIT),
    Index("audit_entry_actor", "log", "actor", "idx"),
    Index("audit_entry_action", "log", "action", "idx"),
    Index("audit_entry_outcome", "log", "outcome", "idx"),
    Index("audit_entry_id", "log", "id", unique=True),
    sqlite_with_rowid=False,
)

#: Outcome → its number in `audit_entry` and `audit_day`.
OUTCOMES: Final = {"success": 0, "partial": 1, "unknown": 2, "denied": 3, "failed": 4}

#: Which entries speak of a patient or study, by keyed reference.
subject: Final = Table(
    "audit_subject",
    metadata,
    column("log", Integer, ForeignKey("audit_log.log"), primary_key=True, data_class=DataClass.AUDIT),
    column("ref", String(64), primary_key=True, data_class=DataClass.AUDIT),
    column("idx", BigInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    sqlite_with_rowid=False,
)

#: Hashes of the tree, 256 to a tile of 8,192 bytes (C2SP tlog-tiles); those of the right edge have fewer.
tile: Final = Table(
    "audit_tile",
    metadata,
    column("log", Integer, ForeignKey("audit_log.log"), primary_key=True, data_class=DataClass.AUDIT),
    column("level", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("n", BigInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("data", LargeBinary, data_class=DataClass.AUDIT),
)

#: Signed heads. `note` is the text as the log's key signed it, with the witnesses' lines appended later.
checkpoint: Final = Table(
    "audit_checkpoint",
    metadata,
    column("log", Integer, ForeignKey("audit_log.log"), primary_key=True, data_class=DataClass.AUDIT),
    column("size", BigInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("root", LargeBinary(32), data_class=DataClass.AUDIT),
    column("note", String, data_class=DataClass.AUDIT),
    # Times of the entries since the checkpoint before.
    column("first_recorded_ms", BigInteger, data_class=DataClass.AUDIT),
    column("last_recorded_ms", BigInteger, data_class=DataClass.AUDIT),
)

#: How many entries, by day (days since 1970-01-01 UTC) and hour of `recorded`.
day: Final = Table(
    "audit_day",
    metadata,
    column("log", Integer, ForeignKey("audit_log.log"), primary_key=True, data_class=DataClass.AUDIT),
    column("day", Integer, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("hour", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("action", String(64), primary_key=True, data_class=DataClass.AUDIT),
    column("actor_kind", String(16), primary_key=True, data_class=DataClass.AUDIT),
    column("outcome", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("n", BigInteger, data_class=DataClass.AUDIT),
    sqlite_with_rowid=False,
)

#: How long an institution keeps entries, where it is not the default; hold 1: a legal hold, nothing is pruned.
retention: Final = Table(
    "audit_retention",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.AUDIT),
    column("days", Integer, data_class=DataClass.AUDIT),
    column("hold", SmallInteger, data_class=DataClass.AUDIT),
)

#: Who cosigns an institution's heads; institution empty: those of the operator's log. url: of a witness that is pushed
#: to. receiver: whose key it is, which pulls. ended_ms: it is not asked any more; what it cosigned stays good.
witness: Final = Table(
    "audit_witness",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column(
        "institution",
        Id,
        ForeignKey("institution.id"),
        nullable=True,
        index=True,
        data_class=DataClass.AUDIT,
    ),
    column("name", String(255), data_class=DataClass.CONFIGURATION),
    column("vkey", String(400), data_class=DataClass.CONFIGURATION),
    column("url", String(400), nullable=True, data_class=DataClass.CONFIGURATION),
    column(
        "receiver", String(32), ForeignKey("receiver.id"), nullable=True, data_class=DataClass.CONFIGURATION
    ),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # The head that it cosigned last, and when.
    column("log", Integer, nullable=True, data_class=DataClass.STATUS),
    column("size", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    column("cosigned_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    # What the trail said of it last: empty, `cosigned`, or why it did not.
    column("state", String(64), default="", server_default="", data_class=DataClass.STATUS),
    column("tried_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    # Somebody waits for a cosignature since then.
    column("wanted_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
)

#: Places outside the platform that get signed heads. target: path, URL or address, by kind.
anchor: Final = Table(
    "audit_anchor",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column(
        "institution",
        Id,
        ForeignKey("institution.id"),
        nullable=True,
        index=True,
        data_class=DataClass.AUDIT,
    ),
    column("kind", String(8), data_class=DataClass.CONFIGURATION),
    column("target", String(1000), data_class=DataClass.CONFIGURATION),
    column("every_s", Integer, data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("log", Integer, nullable=True, data_class=DataClass.STATUS),
    column("size", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    column("sent_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    # Empty, or why the last try failed; `tried_ms` is when that was.
    column("state", String(64), default="", server_default="", data_class=DataClass.STATUS),
    column("tried_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
)

#: Entries that receivers sent, by the id they gave: a second copy is known as such. digest: of the entry as it was
#: sent; its salt makes that say nothing of what the entry holds.
foreign: Final = Table(
    "audit_foreign",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.AUDIT),
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column("digest", LargeBinary(32), data_class=DataClass.AUDIT, protection="hashed"),
    sqlite_with_rowid=False,
)

#: The settings that each node last started with, as JSON, without what is secret: the next start tells what changed.
node: Final = Table(
    "audit_node",
    metadata,
    column("name", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("settings", String, data_class=DataClass.CONFIGURATION),
)

#: Collectors that get a log's entries by syslog. Certificates are files of the worker's machine.
collector: Final = Table(
    "audit_collector",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column(
        "institution",
        Id,
        ForeignKey("institution.id"),
        nullable=True,
        index=True,
        data_class=DataClass.AUDIT,
    ),
    column("host", String(255), data_class=DataClass.CONFIGURATION),
    column("port", Integer, data_class=DataClass.CONFIGURATION),
    column("ca", String(1000), data_class=DataClass.CONFIGURATION),
    column("certificate", String(1000), data_class=DataClass.CONFIGURATION),
    column("key", String(1000), data_class=DataClass.CONFIGURATION),
    column("msgid", String(32), data_class=DataClass.CONFIGURATION),
    # 1: messages begin with a byte order mark; entries that tell of deliveries are sent, too.
    column("bom", SmallInteger, data_class=DataClass.CONFIGURATION),
    column("deliveries", SmallInteger, data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # The generation that is being sent, the index of the next entry, and the first that was wanted of it.
    column("log", Integer, data_class=DataClass.STATUS),
    column("cursor", BigInteger, data_class=DataClass.STATUS),
    column("first", BigInteger, data_class=DataClass.STATUS),
    column("sent_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
    # Empty, or what the trail said of it last: why nothing gets there, or that it lags.
    column("state", String(64), default="", server_default="", data_class=DataClass.STATUS),
    # The worker that sends, and until when it may without asking again.
    column("holder", String(32), default="", server_default="", data_class=DataClass.STATUS),
    column("held_ms", BigInteger, default=0, server_default="0", data_class=DataClass.STATUS),
)
