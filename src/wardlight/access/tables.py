"""Table of grants: who may read which release, for what, on which basis, from when until when."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

grant: Final = Table(
    "access_grant",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    # Exactly one of these two is there.
    column("application", String(64), nullable=True, data_class=DataClass.CONFIGURATION),
    column("person", String(32), nullable=True, data_class=DataClass.ACCOUNT),
    column("release", Id, data_class=DataClass.STATUS),
    column("study_group", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    # As the trail names patient and study, so that what ends a grant can say whose data it was about.
    column("subject_ref", String(64), data_class=DataClass.HEALTH, protection="token"),
    column("study_ref", String(64), data_class=DataClass.HEALTH, protection="token"),
    column("agreement", String(32), data_class=DataClass.CONFIGURATION),
    column("agreement_version", Integer, data_class=DataClass.CONFIGURATION),
    # Codes between spaces, sorted.
    column("purposes", Text, data_class=DataClass.CONFIGURATION),
    column("rights", String(40), data_class=DataClass.CONFIGURATION),
    column("not_before_ms", BigInteger, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # As the audit trail names an actor: `kind:id`.
    column("created_by", String(80), data_class=DataClass.ACCOUNT),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("ended_reason", String(32), nullable=True, data_class=DataClass.STATUS),
    Index("access_grant_release", "release", "ended_ms"),
    Index("access_grant_application", "institution", "application", "ended_ms"),
    Index("access_grant_person", "institution", "person", "ended_ms"),
    Index("access_grant_group", "institution", "study_group"),
    # What the job that ends grants looks through: time and basis.
    Index("access_grant_basis", "agreement", "agreement_version", "ended_ms"),
    Index("access_grant_open", "ended_ms", "expires_ms"),
)
