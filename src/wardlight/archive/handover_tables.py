"""Table of handovers: results of one application that another one, whose agreement names it, is to have."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

handover: Final = Table(
    "archive_handover",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    # The result, in the release of who made it.
    column("release", Id, data_class=DataClass.STATUS),
    column("instance", Id, data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    # The release of who is to have it, and the grant by which.
    column("target", Id, data_class=DataClass.STATUS),
    column("recipient", String(64), data_class=DataClass.CONFIGURATION),
    column("access_grant", Id, data_class=DataClass.STATUS),
    # The receiver that makes it anew, from its vault; the platform itself where there is none.
    column("receiver", String(32), nullable=True, data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    # Why it ended without the recipient having it.
    column("reason", String(40), nullable=True, data_class=DataClass.STATUS),
    column("attempts", Integer, data_class=DataClass.STATUS),
    # Not before then is it tried (again).
    column("due_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    Index("archive_handover_state", "state", "receiver", "due_ms"),
    Index("archive_handover_release", "release"),
    Index("archive_handover_target", "target"),
)
