"""Tables of the vault `vault.db`: what leads from pseudonym to patient. Every row is sealed, and found by token only.

Tokens are HMACs under a key of the hospital's domain, so that the vaults of its receivers can be brought together;
what is sealed opens under the key of this vault alone, in its own row (security.md sections 4 and 5).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Index, LargeBinary, MetaData, SmallInteger, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import column

metadata: Final = MetaData()
"""A file of its own: it is in no backup of the platform, and of the receiver's only where the hospital makes one."""

SCHEMA_VERSION: Final = 1

# One row a patient. sealed: who it is, and what is searched in all of the patient's objects, frozen at first sight.
person: Final = Table(
    "vault_person",
    metadata,
    column("token", LargeBinary(16), primary_key=True, data_class=DataClass.PERSONAL, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.PERSONAL, protection="sealed"),
    sqlite_with_rowid=False,
)

# Patients that were merged: token of the one → token of whom it is now, sealed: who that is.
alias: Final = Table(
    "vault_alias",
    metadata,
    column("token", LargeBinary(16), primary_key=True, data_class=DataClass.PERSONAL, protection="token"),
    column("into", LargeBinary(16), data_class=DataClass.PERSONAL, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.PERSONAL, protection="sealed"),
    sqlite_with_rowid=False,
)

# One row a pseudonym, of one application and level. sealed: of whom, for which release, and by how many days moved.
release: Final = Table(
    "vault_release",
    metadata,
    column("token", LargeBinary(16), primary_key=True, data_class=DataClass.PERSONAL, protection="token"),
    column("person", LargeBinary(16), data_class=DataClass.PERSONAL, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.PERSONAL, protection="sealed"),
    sqlite_with_rowid=False,
)
Index("vault_release_person", release.c.person)

# One row an original study. sealed: its patient and study as the PACS knows them, and the day it was first seen.
study: Final = Table(
    "vault_study",
    metadata,
    column("token", LargeBinary(16), primary_key=True, data_class=DataClass.HEALTH, protection="token"),
    column("person", LargeBinary(16), data_class=DataClass.PERSONAL, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.HEALTH, protection="sealed"),
    sqlite_with_rowid=False,
)
Index("vault_study_person", study.c.person)

# New UID → the original, sealed; a row for each study whose objects name it, so that erasing one leaves the others.
uid: Final = Table(
    "vault_uid",
    metadata,
    column("token", LargeBinary(16), primary_key=True, data_class=DataClass.HEALTH, protection="token"),
    column("study", LargeBinary(16), primary_key=True, data_class=DataClass.HEALTH, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.HEALTH, protection="sealed"),
    sqlite_with_rowid=False,
)
Index("vault_uid_study", uid.c.study)

# `generation` counts erasures, merges and imports: processes then forget what they remember of the rows.
state: Final = Table(
    "vault_state",
    metadata,
    column("name", String(40), primary_key=True, data_class=DataClass.STATUS),
    column("value", BigInteger, data_class=DataClass.STATUS),
)

schema_version: Final = Table(
    "schema_version",
    metadata,
    column("version", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.STATUS),
)
