"""Tables of the keystore. Only new ones are added: a keystore of an older version gets them when it is opened."""

from __future__ import annotations

from typing import Final

# All columns are of the class "secrets" in wrapped form or "status and processing details": no patient data here.
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
