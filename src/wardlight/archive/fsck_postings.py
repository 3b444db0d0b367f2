"""Compares sealed postings with what the sealed rows say should be in them."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection

from wardlight.archive import postings_store
from wardlight.archive.keyring import posting_keys, release_keys
from wardlight.archive.postings import Token
from wardlight.archive.postings_blocks import Chains
from wardlight.archive.postings_merge import BATCH, entry_of, open_tokens
from wardlight.archive.store import ReleaseRow
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore

#: Releases whose tokens are held at once; for more, the rows are opened as often as it takes.
_AT_ONCE = 20_000


def agree(tx: Connection, keystore: Keystore, institution: UUID) -> bool:
    """Whether each release is found by its tokens and nothing else is in postings. In one state of the database."""
    state = postings_store.state(tx, institution)
    chains = [
        Chains(tx, institution, generation, posting_keys(keystore, institution, generation))
        for generation in state.read
    ]
    try:
        held = sum(_entries(tx, keystore, institution, generation) for generation in state.read)
        releases = sum(len(rows) for rows in _releases(tx, institution))
        parts = 1 + releases // _AT_ONCE
        seen = 0
        for part in range(parts):
            must, may = _expected(tx, keystore, institution, part, parts)
            found: dict[Token, set[bytes]] = defaultdict(set)
            for one in chains:
                for token, blocks in one.read(must.keys() | may.keys()).items():
                    for block in blocks:
                        found[token].update(block.entries)
                        seen += len(block.entries)
            for token in set(must) | set(may):
                # Sets that are not there are made empty: something to be found may be missing as a whole.
                if not must[token] <= found[token] <= must[token] | may[token]:
                    return False
    except WardlightError as error:
        if error.code != "object-damaged":
            raise
        return False
    return seen == held


def _entries(tx: Connection, keystore: Keystore, institution: UUID, generation: int) -> int:
    keys = posting_keys(keystore, institution, generation)
    return sum(
        len(keys.open(label, body)) for label, body in postings_store.every_block(tx, institution, generation)
    )


def _releases(tx: Connection, institution: UUID) -> Iterator[list[ReleaseRow]]:
    after = -1
    while rows := postings_store.releases_after(tx, institution, after, BATCH):
        yield rows
        after = rows[-1].number


def _expected(
    tx: Connection, keystore: Keystore, institution: UUID, part: int, parts: int
) -> tuple[dict[Token, set[bytes]], dict[Token, set[bytes]]]:
    """Entries that must be there, and such that may be: of series that wait in the tail. For one part of all tokens."""
    must: dict[Token, set[bytes]] = defaultdict(set)
    may: dict[Token, set[bytes]] = defaultdict(set)
    for rows in _releases(tx, institution):
        waiting = postings_store.still_in_tail(tx, [row.id for row in rows])
        below = postings_store.series_of(tx, [row.id for row in rows])
        keys = release_keys(keystore, rows)
        for row in rows:
            key = keys[row.id]
            # None is reported as a missing key; what waits as a whole is in no posting yet.
            if key is None or not waiting.get(row.id, True):
                continue
            opened = open_tokens(key, row, below[row.id])
            requests = may if row.id in waiting else must
            for tokens, into in ((opened.study, must), (opened.requests, requests)):
                for token in tokens:
                    if zlib.crc32(token[1]) % parts == part:
                        into[token].add(entry_of(row))
    return must, may
