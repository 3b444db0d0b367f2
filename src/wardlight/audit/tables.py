"""Tables of the audit trail that writers use (audit.md section 2); the sealer's tables come with sealing."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Table

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
