"""Search bytes for many values at once: what a thief of a file, or a reader of an output, would find.

Every value is looked for in five encodings. numpy compares the first two bytes of all patterns with every offset of
the data, and the first five where those agree, so that thousands of values over hundreds of megabytes take seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import numpy as np

_PREFIX = 5


def encodings(value: str) -> set[bytes]:
    """A value as UTF-8, Latin-1, UTF-16 little and big endian, hexadecimal, and base64 at each of three alignments."""
    plain = value.encode()
    forms = {plain, value.encode("utf-16-le"), value.encode("utf-16-be"), plain.hex().encode()}
    try:
        forms.add(value.encode("latin-1"))
    except UnicodeEncodeError:
        pass
    for shift in range(3):
        # The characters that depend on the value's neighbours are cut off.
        coded = base64.b64encode(b"\0" * shift + plain)
        forms.add(coded[(8 * shift + 5) // 6 : (8 * (shift + len(plain))) // 6])
    return {form for form in forms if len(form) >= _PREFIX}


class Canaries:
    """Values to look for. Values under five bytes are left out: they occur in random bytes."""

    def __init__(self, values: Iterable[str]) -> None:
        self.patterns: dict[int, list[tuple[bytes, str]]] = {}
        self.count = 0
        for value in {row for row in values if len(row.encode()) >= _PREFIX}:
            self.count += 1
            for form in encodings(value):
                self.patterns.setdefault(int.from_bytes(form[:_PREFIX], "little"), []).append((form, value))
        self._heads = np.array(sorted(self.patterns), dtype=np.uint64)
        self._pairs = np.zeros(1 << 16, dtype=bool)
        self._pairs[(self._heads & np.uint64(0xFFFF)).astype(np.intp)] = True

    def find(self, data: bytes) -> set[str]:
        """The values found in `data`."""
        found: set[str] = set()
        step = 8 << 20
        for start in range(0, len(data), step):
            found |= self._find(data[start : start + step + 512])
        return found

    def _find(self, data: bytes) -> set[str]:
        if len(data) < _PREFIX or not len(self._heads):
            return set()
        octets = np.frombuffer(data, dtype=np.uint8)
        size = len(octets) - _PREFIX + 1
        pairs = octets[:size].astype(np.uint16)
        pairs |= octets[1 : size + 1].astype(np.uint16) << np.uint16(8)
        near = np.flatnonzero(self._pairs[pairs])
        heads = np.zeros(len(near), dtype=np.uint64)
        for index in range(_PREFIX):
            heads |= octets[near + index].astype(np.uint64) << np.uint64(8 * index)
        places = np.searchsorted(self._heads, heads)
        places[places == len(self._heads)] = 0
        hits = self._heads[places] == heads
        found = set()
        for offset, head in zip(near[hits].tolist(), heads[hits].tolist(), strict=True):
            for form, value in self.patterns[head]:
                if data.startswith(form, offset):
                    found.add(value)
        return found

    def search(self, root: Path) -> dict[str, set[str]]:
        """File name below `root` → values found, in contents and in names."""
        result = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            found = self.find(name.encode())
            if path.is_file() and not path.is_symlink():
                found |= self.find(path.read_bytes())
            if found:
                result[name] = found
        return result
