"""Tables of the keystore. Only new ones are added: a keystore of an older version gets them when it is opened."""

from __future__ import annotations

from typing import Final

from wardlight.classification.model import DataClass
from wardlight.classification.values import Fields

#: The class of each column; secrets stand in wrapped or sealed form.
CLASSES: Final = Fields(
    "keystore",
    {
        DataClass.SECRET: "key.wrapped log_signer.seed log_signer.following token_key.sealed",
        DataClass.STATUS: "institution.institution institution.epoch key.key_id key.institution key.kind key.singleton"
        " key.created_ms tombstone.key_id tombstone.institution tombstone.destroyed_ms audit_reference.institution"
        " audit_reference.epoch audit_reference.key_id number.name number.value epoch_roll.institution epoch_roll.epoch"
        " epoch_roll.rewrapped_ms epoch_roll.retired_ms log_signer.institution log_signer.both_at token_key.kid"
        " token_key.use token_key.point token_key.created_ms token_key.retired_ms",
        DataClass.AUDIT: "log_signer.origin log_signer.size log_signer.root log_signer.note",
    },
    may=frozenset({DataClass.SECRET, DataClass.STATUS, DataClass.AUDIT}),
)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS institution (
  institution BLOB PRIMARY KEY CHECK (length(institution) = 16),
  epoch INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS key (
  key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
  institution BLOB NOT NULL REFERENCES institution,
  kind INTEGER NOT NULL,
  singleton INTEGER NOT NULL,
  wrapped BLOB NOT NULL CHECK (length(wrapped) = 66),
  created_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS key_singleton ON key (institution, kind) WHERE singleton = 1;
CREATE TABLE IF NOT EXISTS tombstone (
  key_id BLOB PRIMARY KEY CHECK (length(key_id) = 16),
  institution BLOB NOT NULL,
  destroyed_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS audit_reference (
  institution BLOB NOT NULL REFERENCES institution,
  epoch INTEGER NOT NULL CHECK (epoch > 1),
  key_id BLOB NOT NULL CHECK (length(key_id) = 16),
  PRIMARY KEY (institution, epoch)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS number (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS epoch_roll (
  institution BLOB NOT NULL REFERENCES institution,
  epoch INTEGER NOT NULL,
  rewrapped_ms INTEGER NOT NULL,
  retired_ms INTEGER,
  PRIMARY KEY (institution, epoch)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS log_signer (
  origin TEXT PRIMARY KEY,
  institution BLOB,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL,
  seed BLOB NOT NULL,
  following BLOB,
  both_at INTEGER
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS token_key (
  kid TEXT PRIMARY KEY,
  use TEXT NOT NULL,
  point BLOB NOT NULL CHECK (length(point) = 65),
  sealed BLOB NOT NULL,
  created_ms INTEGER NOT NULL,
  retired_ms INTEGER
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS token_key_signing ON token_key (use) WHERE retired_ms IS NULL;
"""
