"""The tree against the recursive definition of RFC 9162 section 2.1, and the vectors of the format."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import audit_vectors
from wardlight.audit.tree import (
    EMPTY_ROOT,
    append,
    consistency,
    inclusion,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
    width,
)

MOST = 1500
LEAVES = [leaf_hash(b"%d" % index) for index in range(MOST)]


# ---- the definition, as the standard writes it: over ranges of the leaves ----


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def k(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


@functools.lru_cache(maxsize=100_000)
def mth(low: int, high: int) -> bytes:
    if high - low == 0:
        return h()
    if high - low == 1:
        return LEAVES[low]
    middle = low + k(high - low)
    return h(b"\x01", mth(low, middle), mth(middle, high))


def path(index: int, low: int, high: int) -> list[bytes]:
    if high - low == 1:
        return []
    middle = low + k(high - low)
    if index < middle:
        return [*path(index, low, middle), mth(middle, high)]
    return [*path(index, middle, high), mth(low, middle)]


def subproof(old: int, low: int, high: int, *, whole: bool) -> list[bytes]:
    if old == high:
        return [] if whole else [mth(low, high)]
    middle = low + k(high - low)
    if old <= middle:
        return [*subproof(old, low, middle, whole=whole), mth(middle, high)]
    return [*subproof(old, middle, high, whole=False), mth(low, middle)]


def tiles(leaves: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
    """Tiles by their definition: hash i of level l is the root of leaves 256^l·i to 256^l·(i+1)."""
    found: dict[tuple[int, int], bytes] = {}
    level = 0
    while len(leaves) >> 8 * level:
        step = 256**level
        hashes = [mth(step * i, step * (i + 1)) for i in range(len(leaves) // step)]
        for n in range(0, len(hashes), 256):
            found[level, n // 256] = b"".join(hashes[n : n + 256])
        level += 1
    return found


ALL = tiles(LEAVES)


def read(level: int, n: int) -> bytes:
    return ALL[level, n]


sizes = st.integers(0, MOST)


@given(sizes)
@example(0)
@example(1)
@example(255)
@example(256)
@example(257)
@example(512)
@example(1500)
def test_roots(size: int) -> None:
    assert root(read, size) == mth(0, size)


@given(st.data())
def test_inclusion_of_any_leaf_in_any_size(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, MOST))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(read, index, size)
    assert proof == path(index, 0, size)
    assert verify_inclusion(LEAVES[index], index, size, proof, mth(0, size))
    other = data.draw(st.integers(0, MOST).filter(lambda n: n != index))
    assert not verify_inclusion(LEAVES[index], other, size, proof, mth(0, size))
    assert not verify_inclusion(leaf_hash(b"other"), index, size, proof, mth(0, size))
    assert not verify_inclusion(LEAVES[index], index, size, [*proof, EMPTY_ROOT], mth(0, size))
    if proof:
        assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], mth(0, size))


@given(st.data())
def test_consistency_of_any_two_sizes(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(0, new))
    proof = consistency(read, old, new)
    assert proof == (subproof(old, 0, new, whole=True) if old else [])
    before, after = mth(0, old), mth(0, new)
    assert verify_consistency(old, new, before, after, proof)
    assert not verify_consistency(old, new, before, after, [*proof, EMPTY_ROOT])
    assert not verify_consistency(new + 1, new, before, after, proof)
    if 0 < old < new:
        assert not verify_consistency(old, new, before, leaf_hash(b""), proof)
        assert not verify_consistency(old, new, leaf_hash(b""), after, proof)
        assert not verify_consistency(old, new, before, after, proof[:-1])
        changed = [*proof]
        place = data.draw(st.integers(0, len(proof) - 1))
        changed[place] = leaf_hash(changed[place])
        assert not verify_consistency(old, new, before, after, changed)


@given(st.lists(st.integers(1, 700), max_size=12))
@example([256, 256, 1])
@example([255, 1, 1])
def test_appending_gives_the_tiles_of_the_definition(steps: list[int]) -> None:
    kept: dict[tuple[int, int], bytes] = {}
    size = 0
    for step in steps:
        step = min(step, MOST - size)
        touched = append(lambda level, n, kept=kept: kept[level, n], size, LEAVES[size : size + step])
        kept |= touched
        size += step
    assert kept == tiles(LEAVES[:size])


@given(sizes)
def test_an_old_size_is_read_from_wider_tiles_as_from_its_own(size: int) -> None:
    own = tiles(LEAVES[:size])
    assert {place: len(data) // 32 for place, data in own.items()} == {
        place: width(*place, size) for place in ALL if width(*place, size)
    }
    for (level, n), data in own.items():
        assert ALL[level, n].startswith(data)


def test_four_levels_of_sixteen_million_leaves() -> None:
    """Deeper than leaves can be tried: all leaves alike, so that each subtree's root is known."""
    alike = [leaf_hash(b"same")]
    for _ in range(25):
        alike.append(h(b"\x01", alike[-1], alike[-1]))
    size = 256**3 + 256**2 + 256 + 1

    def same(level: int, n: int) -> bytes:
        return alike[8 * level] * width(level, n, size)

    expected = alike[0]
    for power in (8, 16, 24):
        expected = h(b"\x01", alike[power], expected)
    assert root(same, size) == expected
    for index in (0, 256**3 - 1, 256**3, size - 1):
        assert verify_inclusion(alike[0], index, size, inclusion(same, index, size), expected)
    old = 256**3 + 5
    assert verify_consistency(old, size, root(same, old), expected, consistency(same, old, size))


def test_outside_the_tree_there_is_no_proof() -> None:
    for index, size in ((5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="outside"):
            inclusion(read, index, size)
        assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(ValueError, match="larger"):
        consistency(read, 6, 5)


def test_a_cut_tile_is_an_error_and_no_other_root() -> None:
    with pytest.raises(ValueError, match="shorter"):
        root(lambda level, n: ALL[level, n][:-32], 1500)
    with pytest.raises(ValueError, match="shorter"):
        append(lambda level, n: b"", 3, LEAVES[:1])


def test_the_vectors_of_the_format() -> None:
    leaves = [leaf_hash(line) for line in audit_vectors.ENTRIES]
    assert [base64.b64encode(leaf).decode() for leaf in leaves] == audit_vectors.LEAVES
    kept = append(read, 0, leaves)
    assert kept == {(0, 0): b"".join(leaves)}
    found = [base64.b64encode(root(lambda level, n: kept[level, n], size)).decode() for size in range(6)]
    assert found == audit_vectors.ROOTS

    def encoded(proof: list[bytes]) -> list[str]:
        return [base64.b64encode(one).decode() for one in proof]

    assert encoded(inclusion(lambda level, n: kept[level, n], 2, 5)) == audit_vectors.INCLUSION_2_IN_5
    assert encoded(consistency(lambda level, n: kept[level, n], 3, 5)) == audit_vectors.CONSISTENCY_3_TO_5
    assert h() == EMPTY_ROOT
