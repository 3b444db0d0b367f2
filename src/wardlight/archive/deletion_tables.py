"""Tables of deletions: what was deleted, by whom, how far it is, who was told. They stay when the study is gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

deletion: Final = Table(
    "archive_deletion",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    # As the audit trail names an actor: `kind:id`, and the role acted in.
    column("deleted_by", String(80), data_class=DataClass.ACCOUNT),
    column("role", String(32), data_class=DataClass.ACCOUNT),
    # The audit entry of the end of access.
    column("entry", Id, data_class=DataClass.AUDIT),
    column("access_ended_ms", BigInteger, data_class=DataClass.STATUS),
    column("key_destroyed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("removed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # Since when no backup can be read: the end of the roll.
    column("unreadable_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # Since when the study may come again, if somebody has decided that.
    column("allowed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # 1 while all postings of the institution have to be made anew, as these could not be taken out one by one.
    column("rebuild", SmallInteger, data_class=DataClass.STATUS),
    Index("archive_deletion_page", "institution", "id"),
    Index("archive_deletion_state", "state"),
)

#: Tombstones of the index: one a release. By group and reference a study that comes again is known.
deleted: Final = Table(
    "archive_deleted_release",
    metadata,
    column("release", Id, primary_key=True, data_class=DataClass.STATUS),
    column("deletion", Id, ForeignKey("archive_deletion.id"), index=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    column("key_id", Id, index=True, data_class=DataClass.STATUS),
    column("study_group", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    # As the audit trail names the study; empty where it could not be opened any more.
    column("study_ref", String(64), data_class=DataClass.HEALTH, protection="token"),
    column("instances", Integer, data_class=DataClass.STATUS),
    column("bytes", BigInteger, data_class=DataClass.STATUS),
    column("objects", Integer, data_class=DataClass.STATUS),
    Index("archive_deleted_group", "institution", "study_group"),
    Index("archive_deleted_ref", "institution", "study_ref"),
)

#: Rolls whose end is not in the trail yet: one an institution, written before anything of it is done.
roll: Final = Table(
    "archive_roll",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.STATUS),
    # The audit entry of its beginning, and the epoch that it ends.
    column("entry", Id, data_class=DataClass.AUDIT),
    column("epoch", Integer, data_class=DataClass.STATUS),
    column("begun_ms", BigInteger, data_class=DataClass.STATUS),
)

#: Applications that had a grant on any of the releases, and what they said.
told: Final = Table(
    "archive_deletion_told",
    metadata,
    column("deletion", Id, ForeignKey("archive_deletion.id"), primary_key=True, data_class=DataClass.STATUS),
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("event", Id, data_class=DataClass.STATUS),
    column("acknowledged_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)
