"""Tables of shares, each with how far it is, and of results that wait for the receiver of their study."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

share: Final = Table(
    "archive_share",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("study_group", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    # The release that is shared, and the one that is made of it, which may be the same.
    column("source", Id, data_class=DataClass.STATUS),
    column("release", Id, index=True, data_class=DataClass.STATUS),
    # Exactly one of these two is there.
    column("application", String(64), nullable=True, data_class=DataClass.CONFIGURATION),
    column("person", String(32), nullable=True, data_class=DataClass.ACCOUNT),
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    column("purpose", String(16), data_class=DataClass.CONFIGURATION),
    column("until_ms", BigInteger, data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    # Why it ended without a grant.
    column("reason", String(40), nullable=True, data_class=DataClass.STATUS),
    column("total", Integer, data_class=DataClass.STATUS),
    column("stored", Integer, data_class=DataClass.STATUS),
    column("quarantined", Integer, data_class=DataClass.STATUS),
    # The last instance of the source that was looked at; they are taken in the order of their ids.
    column("cursor", Id, nullable=True, data_class=DataClass.STATUS),
    column("access_grant", Id, nullable=True, data_class=DataClass.STATUS),
    # Until when the worker that has it is believed to be alive.
    column("lease_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # As the audit trail names an actor: kind, id, role.
    column("created_by", String(80), data_class=DataClass.ACCOUNT),
    column("request", String(32), data_class=DataClass.STATUS),
    Index("archive_share_group", "institution", "study_group"),
    Index("archive_share_state", "state", "lease_ms"),
)

#: Results on their way back to the hospital that the study came from.
result: Final = Table(
    "archive_result",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("release", Id, data_class=DataClass.STATUS),
    column("instance", Id, data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.STATUS),
    column("access_grant", Id, data_class=DataClass.STATUS),
    # The only one that may have it.
    column("receiver", String(32), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("collected_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("acknowledged_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("attempts", Integer, data_class=DataClass.STATUS),
    Index("archive_result_waiting", "receiver", "acknowledged_ms", "created_ms"),
    Index("archive_result_release", "release"),
)
