"""What people uploaded and protection holds back: one encrypted object a file, and why it is held."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

held: Final = Table(
    "archive_quarantine",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("object", Id, index=True, data_class=DataClass.STATUS),
    # Its own: with it these bytes end, and nothing else.
    column("key_id", Id, data_class=DataClass.STATUS),
    # Bytes of the file, and of its object.
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("size", BigInteger, data_class=DataClass.STATUS),
    # Which file of which upload it was: its name is nowhere.
    column("upload", Id, data_class=DataClass.STATUS),
    column("place", Integer, data_class=DataClass.STATUS),
    column("person", String(64), data_class=DataClass.ACCOUNT),
    column("role", String(32), data_class=DataClass.ACCOUNT),
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    # Of the standard, or "": a private UID says who made it.
    column("sop_class", String(64), data_class=DataClass.STATUS),
    # The original study that it is of, where its header tells; deleting that study ends it.
    column("study_group", LargeBinary(16), nullable=True, data_class=DataClass.HEALTH, protection="token"),
    # Codes with tags, one a line; never a value.
    column("reasons", Text, data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
    # When protection was last tried again, and by whose decision.
    column("tried_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("decided_by", String(64), nullable=True, data_class=DataClass.ACCOUNT),
    column("decided_role", String(32), nullable=True, data_class=DataClass.ACCOUNT),
    # Reasons that whoever decided calls false alarms, one a line; "" where protection is only tried again.
    column("accepted", Text, data_class=DataClass.STATUS),
    # Why it ended: a code.
    column("ended", String(32), data_class=DataClass.STATUS),
    # Until when the worker that has it is believed to be alive.
    column("lease_ms", BigInteger, data_class=DataClass.STATUS),
    column("request", String(32), data_class=DataClass.STATUS),
    Index("archive_quarantine_listed", "institution", "id"),
    Index("archive_quarantine_group", "institution", "study_group"),
    Index("archive_quarantine_state", "state", "lease_ms"),
    Index("archive_quarantine_expires", "expires_ms"),
)
