"""Chains of posting blocks within one transaction: read, append to, remove from, compare (security.md section 4)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight.archive import postings_store
from wardlight.archive.postings import Token
from wardlight.keys.postings import PostingKeys, capacity

#: Blocks asked for in the first visits to a chain; most chains end within the first.
_FIRST: Final = 3
_MOST_AT_ONCE: Final = 512
_shuffle: Final = random.SystemRandom().shuffle


@dataclass(slots=True)
class Block:
    """One block as read."""

    number: int
    label: bytes
    entries: list[bytes]


class Chains:
    """The chains of one institution and generation. Writes happen at `write`, in an order that tells nothing."""

    def __init__(self, tx: Connection, institution: UUID, generation: int, keys: PostingKeys) -> None:
        self._tx = tx
        self._place = (institution, generation)
        self._keys = keys
        self._changed: dict[bytes, Block] = {}

    def read(self, tokens: Iterable[Token]) -> dict[Token, list[Block]]:
        """All blocks of these tokens, in order."""
        found: dict[Token, list[Block]] = {token: [] for token in tokens}
        open_, width = list(found), _FIRST
        while open_:
            asked: dict[Token, list[bytes]] = {}
            for token in open_:
                start = len(found[token])
                asked[token] = self._keys.labels(*token, range(start, start + width))
            labels = [label for part in asked.values() for label in part]
            bodies = postings_store.blocks(self._tx, *self._place, labels)
            still = []
            for token, part in asked.items():
                chain = found[token]
                for label in part:
                    body = bodies.get(label)
                    if body is None:
                        break
                    chain.append(Block(len(chain), label, self._keys.open(label, body)))
                else:
                    still.append(token)
            open_, width = still, min(width * 4, _MOST_AT_ONCE)
        return found

    def entries(self, tokens: Iterable[Token]) -> dict[Token, set[bytes]]:
        """The entries of tokens."""
        return {
            token: {entry for block in chain for entry in block.entries}
            for token, chain in self.read(tokens).items()
        }

    def append(self, additions: Mapping[Token, Iterable[bytes]]) -> None:
        """Add entries that are known to be new."""
        last = self._last(list(additions))
        labels = {
            token: self._keys.labels(*token, range(number, number + 1))[0]
            for token, number in last.items()
            if number >= 0
        }
        bodies = postings_store.blocks(self._tx, *self._place, list(labels.values()))
        for token, entries in additions.items():
            number = last[token]
            block = (
                Block(number, labels[token], self._keys.open(labels[token], bodies[labels[token]]))
                if number >= 0
                else self._fresh(token, 0)
            )
            self._fill(token, block, entries)

    def append_missing(self, additions: Mapping[Token, Iterable[bytes]]) -> None:
        """Add those entries that are not there yet; reads whole chains."""
        for token, chain in self.read(additions).items():
            known = {entry for block in chain for entry in block.entries}
            missing = [entry for entry in additions[token] if entry not in known]
            if missing:
                self._fill(token, chain[-1] if chain else self._fresh(token, 0), missing)

    def remove(self, tokens: Iterable[Token], entry: bytes) -> None:
        """Take an entry out of chains; emptied blocks stay."""
        for chain in self.read(tokens).values():
            for block in chain:
                if entry in block.entries:
                    block.entries = [one for one in block.entries if one != entry]
                    self._changed[block.label] = block

    def write(self) -> None:
        """Seal and write what was changed, shuffled: neighbours in the log of writes tell of no study."""
        changed = list(self._changed.values())
        _shuffle(changed)
        bodies = [
            (block.label, self._keys.seal(block.label, block.number, block.entries)) for block in changed
        ]
        postings_store.put_blocks(self._tx, *self._place, bodies)
        self._changed.clear()

    def _fresh(self, token: Token, number: int) -> Block:
        return Block(number, self._keys.labels(*token, range(number, number + 1))[0], [])

    def _fill(self, token: Token, block: Block, entries: Iterable[bytes]) -> None:
        for entry in entries:
            if len(block.entries) >= capacity(block.number):
                block = self._fresh(token, block.number + 1)
            block.entries.append(entry)
            self._changed[block.label] = block

    def _last(self, tokens: list[Token]) -> dict[Token, int]:
        """The last block of each chain, -1 without any: by doubling steps, then by halves."""
        low = dict.fromkeys(tokens, -1)
        high: dict[Token, int] = {}
        open_ = tokens
        while open_:
            probes: dict[Token, int] = {}
            for token in open_:
                if token in high:
                    probes[token] = (low[token] + high[token]) // 2
                else:
                    probes[token] = low[token] + 1 if low[token] < 1 else low[token] * 2
            labels = {
                token: self._keys.labels(*token, range(number, number + 1))[0]
                for token, number in probes.items()
            }
            there = postings_store.present(self._tx, *self._place, list(labels.values()))
            for token, label in labels.items():
                if label in there:
                    low[token] = probes[token]
                else:
                    high[token] = probes[token]
            open_ = [token for token in open_ if high.get(token, low[token] + 2) > low[token] + 1]
        return low
