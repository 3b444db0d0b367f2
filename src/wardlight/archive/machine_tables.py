"""Machine data: one encrypted segment of records a row, hours as charts need them, and who wants to be told.

The tables are here, below the slice that fills them, since the sweep, `fsck` and `restore` ask which objects and keys
are named (docs/decisions/0018).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

segment: Final = Table(
    "machine_segment",
    metadata,
    # The object's name, too.
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("key_id", Id, index=True, data_class=DataClass.STATUS),
    # The application whose it is, and the agreement that it rests on; "" and none for a receiver's.
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("agreement", String(32), data_class=DataClass.CONFIGURATION),
    column("version", Integer, data_class=DataClass.CONFIGURATION),
    # Who brought it: `kind:id`.
    column("sender", String(100), data_class=DataClass.ACCOUNT),
    column("data_class", String(40), data_class=DataClass.CONFIGURATION),
    # Names of services and devices, one a line; "" where there are too many.
    column("sources", Text, data_class=DataClass.CONFIGURATION),
    # Bytes of the object, and of the records before they were compressed.
    column("size", BigInteger, data_class=DataClass.STATUS),
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("records", Integer, data_class=DataClass.STATUS),
    column("masked", Integer, data_class=DataClass.STATUS),
    # Of the records in it, Unix milliseconds, and the most severe of them.
    column("first_ms", BigInteger, data_class=DataClass.STATUS),
    column("last_ms", BigInteger, data_class=DataClass.STATUS),
    column("severity", Integer, data_class=DataClass.STATUS),
    # Where its blocks are, as `machinedata.blocks` has it.
    column("directory", LargeBinary, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # When it ended: key, object and row are to go. Nobody sees it from then on.
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    Index("machine_segment_time", "institution", "last_ms"),
    Index("machine_segment_created", "created_ms"),
    Index("machine_segment_ended", "ended_ms"),
)

key: Final = Table(
    "machine_key",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.STATUS),
    # Whose, which class, and the month in which it came: what ends together.
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("data_class", String(40), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("month", String(7), primary_key=True, data_class=DataClass.STATUS),
    column("key_id", Id, unique=True, data_class=DataClass.STATUS),
)

hour: Final = Table(
    "machine_hour",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.STATUS),
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("data_class", String(40), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("source", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    # Begin of the hour, Unix milliseconds.
    column("hour_ms", BigInteger, primary_key=True, autoincrement=False, data_class=DataClass.STATUS),
    column("records", BigInteger, data_class=DataClass.STATUS),
    # Of severity ERROR and above.
    column("errors", BigInteger, data_class=DataClass.STATUS),
    column("masked", BigInteger, data_class=DataClass.STATUS),
)

subscription: Final = Table(
    "machine_subscription",
    metadata,
    column(
        "institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.CONFIGURATION
    ),
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("data_class", String(40), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # What came up to here was told, and when it was.
    column("told_to_ms", BigInteger, data_class=DataClass.STATUS),
    column("told_ms", BigInteger, data_class=DataClass.STATUS),
)
