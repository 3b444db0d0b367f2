"""Meshes written anew from their numbers: STL (binary and ASCII), Wavefront OBJ and its materials (MTL).

Nothing but numbers and keyed names is taken over. Statements that are none of the format's are refused, for they could
say anything; comments and names of files are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from wardlight.deid.documents_errors import DocumentError

_STL_HEAD: Final = 80
#: Bytes of a facet: twelve numbers, and an attribute.
_FACET_SIZE: Final = 50
_SHORT: Final = 64
_FLOAT: Final = re.compile(rb"[+-]?(?:[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,3})?")
_INDEX: Final = re.compile(rb"(-?[0-9]{1,9})(?:/(-?[0-9]{1,9})?(?:/(-?[0-9]{1,9})?)?)?")
#: Whole numbers below this are what they seem.
_LONG_NUMBER: Final = 100_000
#: How many numbers each statement takes.
_VERTICES: Final = {b"v": (3, 7), b"vt": (1, 3), b"vn": (3, 3), b"vp": (1, 3)}
_FACES: Final = frozenset((b"f", b"l", b"p"))
#: Statements that say nothing of the shape, or name files.
_LEFT_OUT: Final = frozenset(
    b"mtllib usemap maplib bevel c_interp d_interp lod shadow_obj trace_obj ctech stech".split()
)
_COLOURS: Final = frozenset(b"Ka Kd Ks Ke Tf".split())
_FACTORS: Final = frozenset(b"Ns Ni d Tr sharpness illum Pr Pm Ps Pc Pcr aniso anisor".split())
_MAPS: Final = re.compile(rb"map_[A-Za-z_]{1,16}|bump|disp|decal|refl|norm")


@dataclass(frozen=True, slots=True)
class Naming:
    """name: stands for a name. is_number: whether a number of a DS value is an identifier of the patient."""

    name: Callable[[bytes], bytes]
    is_number: Callable[[bytes], bool]


def stl(data: bytes, _naming: Naming) -> bytes:
    """An STL with its header and attributes zero (binary), or without its name (ASCII)."""
    count = int.from_bytes(data[_STL_HEAD : _STL_HEAD + 4], "little")
    start, size = _STL_HEAD + 4, count * _FACET_SIZE
    if len(data) >= start and len(data) - start - size in (0, 1):
        import numpy as np  # Takes a while to load, and few objects are meshes.

        facet = np.dtype([("numbers", "<f4", 12), ("attribute", "<u2")])
        facets = np.frombuffer(data, facet, count, start).copy()
        if not np.isfinite(facets["numbers"]).all():
            raise DocumentError("document-damaged")
        facets["attribute"] = 0
        return bytes(_STL_HEAD) + count.to_bytes(4, "little") + facets.tobytes()
    return _ascii_stl(data)


_TRIPLE: Final = (rb"\s+(" + _FLOAT.pattern + rb")") * 3
_ASCII_FACET: Final = re.compile(
    rb"\s*facet\s+normal" + _TRIPLE + rb"\s+outer\s+loop" + (rb"\s+vertex" + _TRIPLE) * 3 + rb"\s+endloop\s+endfacet\b",
    re.IGNORECASE,
)  # fmt: skip


def _ascii_stl(data: bytes) -> bytes:
    head = re.match(rb"\s*solid\b[^\n]*\n", data, re.IGNORECASE)
    if head is None or len(data) > 16 << 20:
        raise DocumentError("document-damaged")
    parts = [b"solid\n"]
    place = head.end()
    while (match := _ASCII_FACET.match(data, place)) is not None:
        numbers = [_number(one) for one in match.groups()]
        lines = (numbers[at : at + 3] for at in range(0, 12, 3))
        normal, *corners = (b" ".join(line) for line in lines)
        parts.append(b"facet normal %s\nouter loop\n" % normal)
        parts += [b"vertex %s\n" % corner for corner in corners]
        parts.append(b"endloop\nendfacet\n")
        place = match.end()
    if re.fullmatch(rb"\s*endsolid[^\n]*[\s\0]*", data[place:], re.IGNORECASE) is None:
        raise DocumentError("document-damaged")
    return b"".join((*parts, b"endsolid\n"))


def obj(data: bytes, naming: Naming) -> bytes:
    """An OBJ of vertices, faces, lines and points, with keyed names of groups, objects and materials."""
    mesh = _Obj(naming)
    for words in _statements(data):
        mesh.add(words)
    mesh.check()
    return b"".join(mesh.lines)


@dataclass(slots=True)
class _Obj:
    """An OBJ as it is written. counts: of v, vt, vn; farthest: the largest index into each."""

    naming: Naming
    lines: list[bytes] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    farthest: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, words: list[bytes]) -> None:
        kind, *rest = words
        if kind in _VERTICES:
            low, high = _VERTICES[kind]
            if not low <= len(rest) <= high:
                raise DocumentError("document-damaged")
            if kind != b"vp":
                self.counts[(b"v", b"vt", b"vn").index(kind)] += 1
            self.lines.append(_line(kind, _coordinates(rest, self.naming)))
        elif kind in _FACES and rest:
            self.lines.append(_line(kind, [self._index(one) for one in rest]))
        elif (
            kind == b"s"
            and len(rest) == 1
            and (rest[0] == b"off" or (rest[0].isdigit() and len(rest[0]) < 4))
        ):
            self.lines.append(_line(kind, rest))
        elif kind in (b"g", b"o", b"usemtl"):
            names = rest if kind == b"g" else [b" ".join(rest)] if rest else []
            self.lines.append(_line(kind, [_named(name, self.naming) for name in names]))
        elif kind not in _LEFT_OUT:
            raise DocumentError("document-statement")

    def _index(self, word: bytes) -> bytes:
        match = _INDEX.fullmatch(word)
        if match is None:
            raise DocumentError("document-damaged")
        made = []
        for at, part in enumerate(match.groups()):
            number = int(part or 0)
            if number < -self.counts[at]:
                raise DocumentError("document-damaged")
            self.farthest[at] = max(self.farthest[at], number)
            made.append(b"%d" % number if part else b"")
        return b"/".join(made).rstrip(b"/")

    def check(self) -> None:
        """Every index is one of a vertex, so that none says anything else."""
        if not self.counts[0] or any(
            far > count for far, count in zip(self.farthest, self.counts, strict=True)
        ):
            raise DocumentError("document-damaged")


def mtl(data: bytes, naming: Naming) -> bytes:
    """Materials under keyed names, with their colours and factors; without textures, which are files."""
    lines: list[bytes] = []
    for kind, *rest in _statements(data):
        if kind == b"newmtl" and rest:
            lines.append(_line(kind, [_named(b" ".join(rest), naming)]))
        elif kind in _COLOURS and len(rest) in (1, 3):
            lines.append(_line(kind, _coordinates(rest, naming)))
        elif kind in _FACTORS and rest and len(rest) <= 2:
            halo = rest[:1] if rest[0] == b"-halo" and kind == b"d" else []
            lines.append(_line(kind, halo + _coordinates(rest[len(halo) :], naming)))
        elif not _MAPS.fullmatch(kind):
            raise DocumentError("document-statement")
    if not lines:
        raise DocumentError("document-damaged")
    return b"".join(lines)


def _statements(data: bytes) -> Iterator[list[bytes]]:
    """The words of each statement, without comments; a line that ends in a backslash goes on."""
    for line in data.rstrip(b"\0").replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        words = line.partition(b"#")[0].split()
        if words:
            yield words


def _named(name: bytes, naming: Naming) -> bytes:
    """A keyed name; "default" and "off" are words of the format."""
    return name if name in (b"default", b"off", b"(null)") else b"n" + naming.name(name)


def _line(kind: bytes, words: list[bytes]) -> bytes:
    return b" ".join((kind, *words)) + b"\n"


def _coordinates(words: list[bytes], naming: Naming) -> list[bytes]:
    made = [_number(word) for word in words]
    for one in made:
        if abs(number := float(one)) >= _LONG_NUMBER and number == int(number) and naming.is_number(one):
            raise DocumentError("document-number")
    return made


def _number(word: bytes) -> bytes:
    """A number in its shortest form, so that no digits stand in it but its own."""
    if len(word) > _SHORT or _FLOAT.fullmatch(word) is None:
        raise DocumentError("document-damaged")
    number = float(word)
    if not math.isfinite(number):
        raise DocumentError("document-damaged")
    return repr(number).encode("ascii").removesuffix(b".0")
