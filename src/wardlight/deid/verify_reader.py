"""The verifier's own reader of encoded data sets: elements with their paths, and text in every character set.

Written from PS3.5 alone. It shares nothing with `wardlight.dicom`, so that one misreading cannot deceive both the
engine and the one who checks it. What it cannot read it refuses, and the object goes to quarantine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Final, TypeAlias

from wardlight.deid.standard import known_elements

#: Tags and item numbers from the top level down to a data set.
Path: TypeAlias = tuple[int, ...]
#: One element: path of its data set, tag, VR, start and end of its value in the buffer. A plain tuple, for there are
#: hundreds in each object. Sequences have none of their own; what they hold follows.
Item: TypeAlias = tuple[Path, int, bytes, int, int]

#: VRs with a 32-bit length after two reserved bytes (PS3.5 Table 7.1-1).
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
# Plain elements in C, where they were built; see `wardlight.dicom.elements`.
_read_plain: Callable[[bytes, int, int, bool, Path, list[Item], int, int], int] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.deid import _verify_plain
    except ImportError:
        pass
    else:
        _verify_plain.learn(_SHORT, _LONG - {b"SQ", b"UN"})
        _read_plain = _verify_plain.read_deep
_DEEPEST: Final = 33
_MOST: Final = 250_000
_UNDEFINED: Final = 0xFFFFFFFF

#: VR by tag, for the implicit transfer syntaxes.
VRS: Final[dict[int, bytes]] = {
    int(tag, 16): vr.encode("ascii") for vr, tags in known_elements.TAGS.items() for tag in tags.split()
}


class Unreadable(ValueError):
    """The data set is not what PS3.5 describes."""


class _Order:
    """Reads numbers of one byte order."""

    def __init__(self, sign: str) -> None:
        self.big: Final = sign == ">"
        self.explicit: Final = Struct(sign + "HH2sH").unpack_from
        self.implicit: Final = Struct(sign + "HHI").unpack_from
        self.long: Final = Struct(sign + "I").unpack_from


_LITTLE: Final = _Order("<")
_BIG: Final = _Order(">")


def read(data: bytes, syntax_uid: str) -> list[Item]:
    """Every element at every depth, in order. Raises Unreadable."""
    big = syntax_uid == "1.2.840.10008.1.2.2"
    implicit = syntax_uid in ("1.2.840.10008.1.2", "1.2.840.113619.5.2", "1.2.840.10008.1.20")
    order = _BIG if big else _LITTLE
    if implicit and _has_vr(data, 0, order):
        implicit = False
    found: list[Item] = []
    try:
        end = _data_set(data, 0, len(data), order, implicit, (), found, False)
    except StructError:
        raise Unreadable("ends early") from None
    if end != len(data):
        raise Unreadable("lengths do not fit")
    return found


def _has_vr(data: bytes, p: int, order: _Order) -> bool:
    """Whether the element at p, said to be implicit, carries the VR that its tag has."""
    if len(data) < p + 8:
        return False
    group, element, vr, _ = order.explicit(data, p)
    return vr in _SHORT | _LONG and VRS.get(group << 16 | element) == vr


def _data_set(
    data: bytes,
    p: int,
    end: int,
    order: _Order,
    implicit: bool,
    path: Path,
    found: list[Item],
    delimited: bool,
) -> int:
    """Append the elements from p on; returns the offset after the data set (and its delimiter)."""
    explicit, long, add, longs, shorts = order.explicit, order.long, found.append, _LONG, _SHORT
    if len(path) > 2 * _DEEPEST:
        raise Unreadable("too deep")
    plain = None if implicit else _read_plain
    # In a sequence that turned out not to be plain no other is tried, so that nothing is read more than twice.
    deeper = _DEEPEST if not path else 0
    while p < end:
        if plain is not None:
            p = plain(data, p, end, order.big, path, found, _MOST, deeper)
            if p == end:
                break
        group, element, vr, length = explicit(data, p)
        if not implicit and vr in shorts:
            # The common case, settled at once.
            v = p + 8
            p = v + length
            if p > end or group == 0xFFFE:
                raise Unreadable("lengths do not fit")
            add((path, group << 16 | element, vr, v, p))
            continue
        tag = group << 16 | element
        if not implicit and vr in longs:
            length = long(data, p + 8)[0]
            v = p + 12
        elif not implicit and group != 0xFFFE and vr.isalpha() and vr.isupper():
            # A VR to come has a 32-bit length, with two zero bytes before it; others are slips of short ones.
            v = p + 8 if length else p + 12
            length = length or order.long(data, p + 8)[0]
            vr = b"UN"
        else:
            length = order.implicit(data, p)[2]
            v = p + 8
            if tag == 0xFFFEE00D and (delimited or v == end):
                return v
            vr = VRS.get(tag, b"UN")
        if group == 0xFFFE or len(found) > _MOST:
            raise Unreadable("no element")
        if length == _UNDEFINED:
            if vr == b"OB" or vr == b"OW":
                p = _fragments(data, v, end, order)
                continue
            # PS3.5 6.2.2: what UN of undefined length holds is implicit little endian.
            inner = _LITTLE if vr == b"UN" and data[v : v + 1] == b"\xfe" else order
            p = _sequence(data, v, end, True, inner, implicit or vr == b"UN", (*path, tag), found)
            continue
        q = v + length
        if q > end:
            raise Unreadable("lengths do not fit")
        if vr == b"SQ":
            if _sequence(data, v, q, False, order, implicit, (*path, tag), found) != q:
                raise Unreadable("lengths do not fit")
        elif vr == b"UN" and data[v : v + 4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"):
            _hidden(data, v, q, path, tag, found)
        else:
            add((path, tag, vr, v, q))
        p = q
    if delimited:
        raise Unreadable("ends early")
    return p


def _fragments(data: bytes, p: int, end: int, order: _Order) -> int:
    """The offset after encapsulated pixel data inside a sequence."""
    while p < end:
        group, element, length = order.implicit(data, p)
        p += 8
        if group != 0xFFFE or element not in (0xE000, 0xE0DD) or p + length > end:
            raise Unreadable("no fragment")
        if element == 0xE0DD:
            return p
        p += length
    raise Unreadable("ends early")


def _hidden(data: bytes, v: int, q: int, path: Path, tag: int, found: list[Item]) -> None:
    """A value of VR UN that begins like a sequence: read as one in whichever encoding fits, else taken as it is."""
    order = _LITTLE if data[v] == 0xFE else _BIG
    for implicit in (True, False):
        inside: list[Item] = []
        try:
            if _sequence(data, v, q, False, order, implicit, (*path, tag), inside) == q:
                found.extend(inside)
                return
        except (Unreadable, StructError):
            continue
    found.append((path, tag, b"UN", v, q))


def _sequence(
    data: bytes,
    p: int,
    end: int,
    delimited: bool,
    order: _Order,
    implicit: bool,
    path: Path,
    found: list[Item],
) -> int:
    """Append what the items from p on hold; returns the offset after the sequence."""
    number = 0
    while p < end or delimited:
        group, element, length = order.implicit(data, p)
        p += 8
        if group != 0xFFFE or number > _MOST:
            raise Unreadable("no item")
        if element == 0xE0DD:
            return p
        if element != 0xE000:
            raise Unreadable("no item")
        plain = implicit and not _has_vr(data, p, order)
        inner = (*path, number)
        if length == _UNDEFINED:
            p = _data_set(data, p, end, order, plain, inner, found, True)
        else:
            if p + length > end:
                raise Unreadable("lengths do not fit")
            p = _data_set(data, p, p + length, order, plain, inner, found, False)
        number += 1
    return p


# Python codecs of the defined terms of PS3.3 C.12.1.1.2, by the number in them.
_CODECS: Final[dict[str, str]] = {
    "100": "latin-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "144": "iso8859-5",
    "127": "iso8859-6",
    "126": "iso8859-7",
    "138": "iso8859-8",
    "148": "iso8859-9",
    "203": "iso8859-15",
    "166": "tis-620",
    "13": "shift_jis",
    "87": "iso2022_jp_2",
    "159": "iso2022_jp_2",
    "149": "euc_kr",
    "58": "gb2312",
    "192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


@lru_cache(maxsize=256)
def codecs_of(charsets: tuple[bytes, ...]) -> tuple[str, ...]:
    """The Python codecs that values of (0008,0005) call for; Latin-1 and UTF-8 where they call for none."""
    names: dict[str, None] = {}
    for charset in charsets:
        declared = charset.decode("ascii", "replace").upper().replace("-", " ").replace("_", " ")
        for term in declared.split("\\"):
            name = _CODECS.get(term.strip("\0 ").split(" ")[-1])
            if name is not None:
                names[name] = None
    return tuple(names) or ("latin-1", "utf-8")


def readings(value: bytes, charsets: tuple[bytes, ...]) -> tuple[str, ...]:
    """The texts a value can be read as: one for ASCII, else one for each declared set, escapes understood."""
    if value.isascii() and b"\x1b" not in value:
        return (value.decode("ascii"),)
    texts: list[str] = []
    names = codecs_of(charsets)
    for codec in names:
        plain = value
        if codec in ("euc_kr", "gb2312"):
            plain = value.replace(b"\x1b$)C", b"").replace(b"\x1b$)A", b"").replace(b"\x1b(B", b"")
        try:
            texts.append(plain.decode(codec))
        except UnicodeDecodeError:
            continue
    if not texts:
        texts.append(value.decode(names[0], "replace"))
    if b"\x1b" in value:
        # Whoever reads the bytes without the escapes must not find more than one who reads them with.
        texts.append(re.sub(rb"\x1b[$()\-]*.", b"", value).decode("latin-1"))
    return tuple(texts)
