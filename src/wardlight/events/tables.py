"""Table of the outbox."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Integer, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

outbox: Final = Table(
    "event_outbox",
    metadata,
    # SQLite numbers rows by itself only where the key is spelt INTEGER.
    column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, data_class=DataClass.STATUS
    ),
    column("id", Id, unique=True, data_class=DataClass.STATUS),
    column("institution", Id, data_class=DataClass.STATUS),
    column("kind", String(64), data_class=DataClass.STATUS),
    column("payload", Text, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
)
