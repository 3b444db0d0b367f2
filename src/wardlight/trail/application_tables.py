"""Tables of applications' own entries: what was taken in already, and what each application may say."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: Entries by the id that the application gave: a second copy is known as such. digest: of the entry as it was sent.
#: entry: its id in the trail.
claim: Final = Table(
    "audit_claim",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.AUDIT),
    column("application", String(64), primary_key=True, data_class=DataClass.AUDIT),
    column("id", Id, primary_key=True, data_class=DataClass.AUDIT),
    column("digest", LargeBinary(32), data_class=DataClass.AUDIT, protection="hashed"),
    column("entry", Id, data_class=DataClass.AUDIT),
    sqlite_with_rowid=False,
)

#: The codes and parameters of an application's entries at one institution, as JSON.
definition: Final = Table(
    "audit_definition",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.AUDIT),
    column("application", String(64), primary_key=True, data_class=DataClass.AUDIT),
    column("content", Text, data_class=DataClass.CONFIGURATION),
    column("changed_ms", BigInteger, data_class=DataClass.STATUS),
)
