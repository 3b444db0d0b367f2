"""The Merkle tree of RFC 9162 section 2.1 over C2SP tiles: roots, proofs, appending. Pure, knows no database.

A tile of level l holds up to 256 hashes, each the root of 256^l leaves; level 0 holds leaf hashes. Numbers of leaves,
sizes and indices count from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

HASH_BYTES: Final = 32
#: Hashes in a full tile.
WIDTH: Final = 256
TILE_BYTES: Final = WIDTH * HASH_BYTES
#: Root of the tree without leaves: SHA-256 of nothing.
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

#: (level, n) → the tile's bytes; it may be wider than the tree that is asked about.
TileReader = Callable[[int, int], bytes]


def leaf_hash(content: bytes) -> bytes:
    """SHA-256(0x00 ‖ content)."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(read: TileReader, size: int) -> bytes:
    """Root of the first `size` leaves. Raises ValueError where a tile is shorter than they need, as all here do."""
    return _subtree(read, 0, size) if size else EMPTY_ROOT


def inclusion(read: TileReader, index: int, size: int) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size`, the leaf's sibling first (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("the index lies outside the tree")
    proof = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_subtree(read, middle, high))
            high = middle
        else:
            proof.append(_subtree(read, low, middle))
            low = middle
    proof.reverse()
    return proof


def consistency(read: TileReader, old: int, new: int) -> list[bytes]:
    """Proof that the tree of `new` extends the one of `old` (RFC 9162 section 2.1.4.1).

    Empty where the old tree has no leaves or is the new one.
    """
    if not 0 <= old <= new:
        raise ValueError("the old tree is larger than the new one")
    if old in (0, new):
        return []
    proof = []
    low, high = 0, new
    whole = True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_subtree(read, middle, high))
            high = middle
        else:
            proof.append(_subtree(read, low, middle))
            low = middle
            whole = False
    if not whole:
        proof.append(_subtree(read, low, high))
    proof.reverse()
    return proof


def subtree(read: TileReader, low: int, high: int) -> bytes:
    """Root of the leaves from `low` to before `high`: 2^k leaves that begin at a multiple of 2^k."""
    size = high - low
    if size <= 0 or size & (size - 1) or low % size:
        raise ValueError("no subtree has these leaves")
    return _subtree(read, low, high)


def outside(read: TileReader, start: int, stop: int, size: int) -> tuple[list[bytes], list[bytes]]:
    """The largest subtrees before `start`, and from `stop` on, of the tree of `size`, each left to right.

    With the leaves between them they give the tree's root.
    """
    if not 0 <= start <= stop <= size:
        raise ValueError("the range lies outside the tree")
    left, at = [], 0
    for bit in reversed(range(start.bit_length())):
        if start >> bit & 1:
            left.append(_subtree(read, at, at + (1 << bit)))
            at += 1 << bit
    right: list[bytes] = []

    def behind(low: int, high: int) -> None:
        if low >= stop:
            right.append(_subtree(read, low, high))
        elif high > stop:
            middle = low + _split(high - low)
            behind(low, middle)
            behind(middle, high)

    if stop < size:
        behind(0, size)
    return left, right


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether `proof` leads from the leaf's hash to the root `expected` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, result = index, size - 1, leaf
    for sibling in proof:
        if not last:
            return False
        if number & 1 or number == last:
            result = node_hash(sibling, result)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        number, last = number >> 1, last >> 1
    return not last and result == expected


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `new` extends the one of `old` (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        known = EMPTY_ROOT if not old else new_root
        return not proof and old_root == known and (new > 0 or new_root == EMPTY_ROOT)
    path = [*proof] if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if number & 1 or number == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        number, last = number >> 1, last >> 1
    return not last and first == old_root and second == new_root


def append(read: TileReader, size: int, leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
    """The tiles that change, by (level, n), when these leaf hashes follow the first `size`.

    Only the right edge is read: one tile a level.
    """
    touched: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, list(leaves)
    while hashes:
        first, width = divmod(size, WIDTH)
        data = (_hashes(read, level, first, width) if width else b"") + b"".join(hashes)
        hashes = []
        for start in range(0, len(data), TILE_BYTES):
            part = data[start : start + TILE_BYTES]
            touched[level, first + start // TILE_BYTES] = part
            if len(part) == TILE_BYTES:
                hashes.append(fold(part))
        level, size = level + 1, first
    return touched


def width(level: int, n: int, size: int) -> int:
    """How many hashes tile `n` of a level has in the tree of `size`, 0 to 256."""
    return max(0, min(WIDTH, (size >> 8 * level) - n * WIDTH))


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(read: TileReader, low: int, high: int) -> bytes:
    """Root of the leaves from `low` to before `high`, where `low` is where such a subtree of a tree can begin."""
    size = high - low
    if not size & (size - 1):
        level, rest = divmod(size.bit_length() - 1, 8)
        n, place = divmod(low >> 8 * level, WIDTH)
        data = _hashes(read, level, n, place + (1 << rest))
        return fold(data[place * HASH_BYTES :])
    middle = low + _split(size)
    return node_hash(_subtree(read, low, middle), _subtree(read, middle, high))


def _hashes(read: TileReader, level: int, n: int, count: int) -> bytes:
    """The first `count` hashes of a tile."""
    data = read(level, n)
    if len(data) < count * HASH_BYTES:
        raise ValueError("a tile of the log is shorter than its tree needs")
    return data[: count * HASH_BYTES]


def fold(data: bytes) -> bytes:
    """Root over hashes that lie one after the other, as in a full tile; their number is a power of two."""
    while len(data) > HASH_BYTES:
        data = b"".join(
            hashlib.sha256(b"\x01" + data[place : place + 2 * HASH_BYTES]).digest()
            for place in range(0, len(data), 2 * HASH_BYTES)
        )
    return data
