"""The verifier's walks over all elements of an object, in C where it was built (`_verify_plain`), else here.

Each only picks out what the rules have to look at; what is wrong with that is said elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from typing import Final

from wardlight.deid.verify_reader import Item, Path


def looked_at(
    items: list[Item], checks: Mapping[int, int], filled: int, always: int
) -> tuple[list[Item], list[Path]]:
    """Elements to look at, and the paths of all data sets, one for each.

    checks: by tag; without one an element is looked at. filled: those that need a value; always: those that do not.
    """
    found: list[Item] = []
    paths: list[Path] = []
    last: Path | None = None
    get = checks.get
    for item in items:
        if item[0] is not last:
            # All elements of an item share one path object.
            last = item[0]
            paths.append(last)
        check = get(item[1])
        if check is None or check & always or (check & filled and item[3] != item[4]):
            found.append(item)
    return found, paths


def of_tags(items: list[Item], tags: Container[int], vr: bytes) -> list[Item]:
    """Elements of these tags, or of this VR."""
    return [item for item in items if item[1] in tags or item[2] == vr]


def values_of(items: list[Item], data: bytes, tags: Container[int]) -> dict[tuple[Path, int], bytes]:
    """The values of these tags by path and tag; the last where one comes twice."""
    return {(item[0], item[1]): data[item[3] : item[4]] for item in items if item[1] in tags}


def at_top(items: list[Item]) -> tuple[dict[int, Item], set[int]]:
    """Elements of the top level by tag, and its sequences that have elements in them."""
    return {item[1]: item for item in items if not item[0]}, {item[0][0] for item in items if item[0]}


def by_kind(
    items: list[Item],
    data: bytes,
    lists: Mapping[bytes, list[bytes]],
    texts: Container[bytes],
    vrs: Mapping[int, bytes],
) -> tuple[list[Item], list[Item]]:
    """Put values into the list of their VR; gives the elements that have none, and texts under a tag of another VR."""
    others: list[Item] = []
    misplaced: list[Item] = []
    for item in items:
        values = lists.get(item[2])
        if values is None:
            others.append(item)
            continue
        values.append(data[item[3] : item[4]])
        if item[2] in texts and vrs.get(item[1]) != item[2]:
            misplaced.append(item)
    return others, misplaced


#: The same in Python, for tests that compare.
IN_PYTHON: Final = {
    "looked_at": looked_at,
    "of_tags": of_tags,
    "values_of": values_of,
    "at_top": at_top,
    "by_kind": by_kind,
}
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.deid._verify_plain import at_top, by_kind, looked_at, of_tags, values_of
    except ImportError:
        pass
