"""Tables of the vault `vault.db`: what leads from pseudonym to patient. Every row is sealed, and found by token only.

Tokens are HMACs under a key of the hospital's domain, so that the vaults of its receivers can be brought together;
what is sealed opens under the key of this vault alone, in its own row (security.md sections 4 and 5).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.receiver.own_database import version_table

metadata: Final = MetaData()
"""A file of its own: it is in no backup of the platform, and of the receiver's only where the hospital makes one."""

SCHEMA_VERSION: Final = 1


def _token(name: str, data_class: DataClass, *, primary_key: bool = False) -> Column[Any]:
    return column(name, LargeBinary(16), primary_key=primary_key, data_class=data_class, protection="token")


def _sealed(data_class: DataClass) -> Column[Any]:
    return column("sealed", LargeBinary, data_class=data_class, protection="sealed")


# One row a patient. sealed: who it is, and what is searched in all of the patient's objects, frozen at first sight.
person: Final = Table(
    "vault_person",
    metadata,
    _token("token", DataClass.PERSONAL, primary_key=True),
    _sealed(DataClass.PERSONAL),
    sqlite_with_rowid=False,
)

# Patients that were merged: token of the one → token of whom it is now, sealed: who that is.
alias: Final = Table(
    "vault_alias",
    metadata,
    _token("token", DataClass.PERSONAL, primary_key=True),
    _token("into", DataClass.PERSONAL),
    _sealed(DataClass.PERSONAL),
    sqlite_with_rowid=False,
)

# One row a pseudonym, of one application and level. sealed: of whom, for which release, and by how many days moved.
release: Final = Table(
    "vault_release",
    metadata,
    _token("token", DataClass.PERSONAL, primary_key=True),
    _token("person", DataClass.PERSONAL),
    _sealed(DataClass.PERSONAL),
    sqlite_with_rowid=False,
)
Index("vault_release_person", release.c.person)

# One row an original study. sealed: its patient and study as the PACS knows them, and the day it was first seen.
study: Final = Table(
    "vault_study",
    metadata,
    _token("token", DataClass.HEALTH, primary_key=True),
    _token("person", DataClass.PERSONAL),
    _sealed(DataClass.HEALTH),
    sqlite_with_rowid=False,
)
Index("vault_study_person", study.c.person)

# New UID → the original, sealed; a row for each study whose objects name it, so that erasing one leaves the others.
uid: Final = Table(
    "vault_uid",
    metadata,
    _token("token", DataClass.HEALTH, primary_key=True),
    _token("study", DataClass.HEALTH, primary_key=True),
    _sealed(DataClass.HEALTH),
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

schema_version: Final = version_table(metadata)
