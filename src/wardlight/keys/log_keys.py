"""What the signer of audit logs knows: of each log its key and the last head that was signed (audit.md section 2).

It lies in the keystore's database, which is in no backup of the index: an old index that is put back meets the head
that the world has seen.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_LOAD: Final = (
    "SELECT institution, size, root, note, seed, following, both_at FROM log_signer WHERE origin = ?"
)
_SAVE: Final = (
    "INSERT OR REPLACE INTO log_signer (origin, institution, size, root, note, seed, following, both_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class SignerState:
    """One log's. note: the last one signed, empty before the first. seed, following: as `Keystore.seed` opens them.

    following: the key that comes after a rotation. both_at: the size at which both keys signed.
    """

    origin: str
    institution: UUID | None
    size: int
    root: bytes
    note: str
    seed: bytes
    following: bytes | None = None
    both_at: int | None = None


def load(connection: sqlite3.Connection, origin: str) -> SignerState | None:
    """What is known of the log of this origin."""
    found = connection.execute(_LOAD, (origin,)).fetchone()
    if found is None:
        return None
    institution, *rest = found
    return SignerState(origin, None if institution is None else UUID(bytes=institution), *rest)


def save(connection: sqlite3.Connection, state: SignerState) -> None:
    """Keep it, in the place of what was known."""
    values = (
        state.origin,
        None if state.institution is None else state.institution.bytes,
        state.size,
        state.root,
        state.note,
        state.seed,
        state.following,
        state.both_at,
    )
    connection.execute(_SAVE, values)
