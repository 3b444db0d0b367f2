"""Tables of the receiver's own database `receiver.db`; it holds no name and no UID in clear."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
    true,
)

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.receiver.own_database import version_table

metadata: Final = MetaData()
"""Apart from the index database's: the receiver may run on another machine, and has its own file."""

SCHEMA_VERSION: Final = 1

route: Final = Table(
    "route",
    metadata,
    column("called_ae", String(16), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("calling", JSON, data_class=DataClass.CONFIGURATION),
    column("networks", JSON, data_class=DataClass.CONFIGURATION),
    column("unknown_syntaxes", Boolean, server_default=false(), data_class=DataClass.CONFIGURATION),
    column("enabled", Boolean, server_default=true(), data_class=DataClass.CONFIGURATION),
    column("changed_ms", BigInteger, data_class=DataClass.STATUS),
)

route_target: Final = Table(
    "route_target",
    metadata,
    column(
        "called_ae",
        String(16),
        ForeignKey("route.called_ae", ondelete="CASCADE"),
        primary_key=True,
        data_class=DataClass.CONFIGURATION,
    ),
    column("application", String(63), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("level", String(10), primary_key=True, data_class=DataClass.CONFIGURATION),
)

# One row a spool file. durable_end: the watermark of security.md section 3. settled: the file is closed, and all its
# committed objects are in `object`, so it need not be read again at the next start.
spool_file: Final = Table(
    "spool_file",
    metadata,
    column("file_id", String(64), primary_key=True, data_class=DataClass.STATUS),
    column("durable_end", BigInteger, data_class=DataClass.STATUS),
    column("settled", Boolean, server_default=false(), data_class=DataClass.STATUS),
    column("damaged", Boolean, server_default=false(), data_class=DataClass.STATUS),
)

# One row a committed object. digest: SHA-256 of the data set, whose pixels nobody guesses. study: keyed token.
# reported: the object is counted in a `receiver:study:receive` entry of the audit trail.
spooled: Final = Table(
    "spooled",
    metadata,
    column("id", Integer, primary_key=True, autoincrement=True, data_class=DataClass.STATUS),
    column("file_id", String(64), ForeignKey("spool_file.file_id"), data_class=DataClass.STATUS),
    column("stream", BigInteger, data_class=DataClass.STATUS),
    column("offset", BigInteger, data_class=DataClass.STATUS),
    column("record", BigInteger, data_class=DataClass.STATUS),
    column("end", BigInteger, data_class=DataClass.STATUS),
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("digest", LargeBinary(32), data_class=DataClass.IMAGE_IDENTIFIED, protection="hashed"),
    column("study", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    column("route", String(16), data_class=DataClass.CONFIGURATION),
    column("calling_ae", String(16), data_class=DataClass.CONFIGURATION),
    column("address", String(64), data_class=DataClass.STATUS),
    column("sop_class", String(64), data_class=DataClass.STATUS),
    column("transfer_syntax", String(64), data_class=DataClass.STATUS),
    column("body_end", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("received_ms", BigInteger, data_class=DataClass.STATUS),
    column("reported", Boolean, server_default=false(), data_class=DataClass.STATUS),
    UniqueConstraint("file_id", "stream"),
    sqlite_autoincrement=True,
)
Index("spooled_unreported", spooled.c.received_ms, sqlite_where=text("reported = 0"))

# What is to be done with an object: one row for each release its route named.
upload: Final = Table(
    "upload",
    metadata,
    column(
        "object_id",
        Integer,
        ForeignKey("spooled.id", ondelete="CASCADE"),
        primary_key=True,
        data_class=DataClass.STATUS,
    ),
    column("application", String(63), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("level", String(10), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("state", String(12), data_class=DataClass.STATUS),
    column("attempts", Integer, server_default="0", data_class=DataClass.STATUS),
    column("not_before_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    sqlite_with_rowid=False,
)
Index("upload_pending", upload.c.object_id, sqlite_where=text("state = 'pending'"))

# reasons: codes with tags and kinds of findings, never a value. file_id and stream make a second try find the first.
quarantine: Final = Table(
    "quarantine",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("size", BigInteger, data_class=DataClass.STATUS),
    column("application", String(63), data_class=DataClass.CONFIGURATION),
    column("level", String(10), data_class=DataClass.CONFIGURATION),
    column("sop_class", String(64), data_class=DataClass.STATUS),
    column("transfer_syntax", String(64), data_class=DataClass.STATUS),
    column("reasons", JSON, data_class=DataClass.STATUS),
    column("at_ms", BigInteger, data_class=DataClass.STATUS),
    column("file_id", String(64), data_class=DataClass.STATUS),
    column("stream", BigInteger, data_class=DataClass.STATUS),
    UniqueConstraint("file_id", "stream", "application", "level"),
)

# How many objects of a study went to quarantine instead of a release: told with the next upload of it. study: as above.
held_back: Final = Table(
    "held_back",
    metadata,
    column("study", LargeBinary(16), primary_key=True, data_class=DataClass.HEALTH, protection="token"),
    column("application", String(63), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("level", String(10), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("count", Integer, data_class=DataClass.STATUS),
    sqlite_with_rowid=False,
)

# Counters by minute and kind, kept for a day: throughput and last object, when the objects' own rows are gone.
meter: Final = Table(
    "meter",
    metadata,
    column("minute", BigInteger, primary_key=True, data_class=DataClass.STATUS),
    column("kind", String(16), primary_key=True, data_class=DataClass.STATUS),
    column("count", BigInteger, data_class=DataClass.STATUS),
    column("bytes", BigInteger, data_class=DataClass.STATUS),
    column("last_ms", BigInteger, data_class=DataClass.STATUS),
    sqlite_with_rowid=False,
)

# What the platform said last that the hospital has agreed to. reason: why nothing may be taken in, "" where it may.
agreed_target: Final = Table(
    "agreed_target",
    metadata,
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("level", String(10), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("reason", String(40), data_class=DataClass.STATUS),
    sqlite_with_rowid=False,
)

# What a process last saw: `platform` → ok, unreachable, unauthenticated …; `port` → where the node listens.
state: Final = Table(
    "state",
    metadata,
    column("name", String(80), primary_key=True, data_class=DataClass.STATUS),
    column("value", String(80), data_class=DataClass.STATUS),
    column("at_ms", BigInteger, data_class=DataClass.STATUS),
)

# Entries of the receiver's own trail that wait to be shipped (audit.md section 1). `content` is what is hashed.
audit_pending: Final = Table(
    "audit_pending",
    metadata,
    column("seq", Integer, primary_key=True, autoincrement=True, data_class=DataClass.AUDIT),
    column("content", LargeBinary, data_class=DataClass.AUDIT),
    sqlite_autoincrement=True,
)

# Entries that the platform refused; a person has to look why. code: of the error catalogue.
audit_refused: Final = Table(
    "audit_refused",
    metadata,
    column("seq", Integer, primary_key=True, autoincrement=False, data_class=DataClass.AUDIT),
    column("content", LargeBinary, data_class=DataClass.AUDIT),
    column("code", String(40), data_class=DataClass.STATUS),
    column("at_ms", BigInteger, data_class=DataClass.STATUS),
)

# One row a generation of the platform's log that this receiver follows; the newest has the highest number. size, root,
# note: the largest tree that it knows, and may have cosigned. alarm: why a head that was shown does not go on from it,
# with that note: the two notes together are the proof.
followed: Final = Table(
    "followed_log",
    metadata,
    column("number", Integer, primary_key=True, autoincrement=True, data_class=DataClass.STATUS),
    column("origin", String(255), unique=True, data_class=DataClass.AUDIT),
    column("vkey", String(400), data_class=DataClass.CONFIGURATION),
    column("size", BigInteger, server_default="0", data_class=DataClass.AUDIT),
    column("root", LargeBinary(32), data_class=DataClass.AUDIT),
    column("note", String, server_default="", data_class=DataClass.AUDIT),
    column("seen_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    column("cosigned_size", BigInteger, server_default="0", data_class=DataClass.STATUS),
    column("cosigned_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    column("alarm", String(40), server_default="", data_class=DataClass.STATUS),
    column("alarm_note", String, server_default="", data_class=DataClass.AUDIT),
    column("alarm_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
)

schema_version: Final = version_table(metadata)
