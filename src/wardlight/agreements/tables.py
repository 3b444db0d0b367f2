"""Table of agreements; a row is one version."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

agreement: Final = Table(
    "agreement",
    metadata,
    column("id", String(32), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("version", Integer, primary_key=True, autoincrement=False, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.CONFIGURATION),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("levels", Text, data_class=DataClass.CONFIGURATION),
    column("legal_basis", String(100), data_class=DataClass.CONFIGURATION),
    column("purposes", Text, data_class=DataClass.CONFIGURATION),
    column("attested_by", String(200), data_class=DataClass.ACCOUNT),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    UniqueConstraint("institution", "application", "version"),
)
