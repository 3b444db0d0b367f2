"""What the keystore knows of keys that sign JSON Web Tokens: one that signs, older ones of which the public half stays.

The rows lie in the keystore's database, wrapped by the root itself: they are the operator's, no institution's.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class TokenUse(StrEnum):
    """What the tokens are; no key signs both, so that none of one use can be taken for one of the other."""

    PROVIDER = "provider"
    """Id tokens and logout tokens, for partner applications."""
    FEDERATION = "federation"
    """Our own assertions as a client of an institution's provider."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """kid: RFC 7638 thumbprint. point: public key, uncompressed (SEC 1 section 2.3.3). sealed: b"" once retired."""

    kid: str
    use: TokenUse
    point: bytes
    sealed: bytes
    created_ms: int
    retired_ms: int | None


_COLUMNS: Final = "kid, use, point, sealed, created_ms, retired_ms"


def signing(connection: sqlite3.Connection, use: TokenUse) -> TokenKey | None:
    """The key that signs now."""
    query = f"SELECT {_COLUMNS} FROM token_key WHERE use = ? AND retired_ms IS NULL"  # noqa: S608 - no value
    return _key(connection.execute(query, (use,)).fetchone())


def known(connection: sqlite3.Connection, use: TokenUse, since_ms: int) -> list[TokenKey]:
    """The key that signs and those retired since then, newest first."""
    query = (
        f"SELECT {_COLUMNS} FROM token_key WHERE use = ? AND (retired_ms IS NULL OR retired_ms >= ?)"  # noqa: S608
        " ORDER BY created_ms DESC, kid"
    )
    return [key for row in connection.execute(query, (use, since_ms)) if (key := _key(row))]


def replace(connection: sqlite3.Connection, key: TokenKey) -> None:
    """Let this key sign from now on; the one before it keeps its public half only."""
    connection.execute(
        "UPDATE token_key SET retired_ms = ?, sealed = x'' WHERE use = ? AND retired_ms IS NULL",
        (key.created_ms, key.use),
    )
    connection.execute(
        f"INSERT INTO token_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - no value
        (key.kid, key.use, key.point, key.sealed, key.created_ms, key.retired_ms),
    )


def _key(row: tuple[str, str, bytes, bytes, int, int | None] | None) -> TokenKey | None:
    return None if row is None else TokenKey(row[0], TokenUse(row[1]), *row[2:])
