"""Encoded data sets for the tests, made by a writer that shares nothing with the parsers, and the real files."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import pack

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF


class Writer:
    """Writes elements in one encoding: `implicit` or with VRs, `big` or little endian."""

    def __init__(self, *, implicit: bool = False, big: bool = False) -> None:
        self.implicit = implicit
        self.order = ">" if big else "<"

    def head(self, tag: int, vr: bytes, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self.implicit or group == 0xFFFE:
            return pack(self.order + "HHI", group, element, length)
        if vr in LONG:
            return pack(self.order + "HH2sHI", group, element, vr, 0, length)
        return pack(self.order + "HH2sH", group, element, vr, length)

    def element(self, tag: int, vr: bytes, value: bytes = b"") -> bytes:
        return self.head(tag, vr, len(value)) + value

    def item(self, content: bytes, *, undefined: bool = False) -> bytes:
        if undefined:
            return self.head(0xFFFEE000, b"", UNDEFINED) + content + self.head(0xFFFEE00D, b"", 0)
        return self.head(0xFFFEE000, b"", len(content)) + content

    def sequence(self, tag: int, *items: bytes, vr: bytes = b"SQ", undefined: bool = False) -> bytes:
        """items: as `item` makes them."""
        content = b"".join(items)
        if undefined:
            return self.head(tag, vr, UNDEFINED) + content + self.head(0xFFFEE0DD, b"", 0)
        return self.head(tag, vr, len(content)) + content

    def fragments(self, tag: int, *fragments: bytes) -> bytes:
        return self.sequence(tag, *map(self.item, fragments), vr=b"OB", undefined=True)


EXPLICIT = Writer()
IMPLICIT = Writer(implicit=True)
BIG = Writer(big=True)


def deflate(data: bytes) -> bytes:
    """A raw deflate stream, padded to even length as PS3.5 A.5 wants it."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) & 1)


def small(writer: Writer, *, pixels: bytes | None = b"\1\2\3\4") -> bytes:
    """A small data set with a sequence of each form, a private one, and pixel data."""
    code = writer.element(0x00080100, b"SH", b"T-1 ") + writer.element(0x00080104, b"LO", b"Chest ")
    parts = [
        writer.element(0x00080005, b"CS", b"ISO_IR 100"),
        writer.element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        writer.element(0x00080018, b"UI", b"1.2.3.4\0"),
        writer.sequence(0x00081032, writer.item(code), writer.item(code, undefined=True), undefined=True),
        writer.sequence(
            0x00081140, writer.item(writer.sequence(0x00081032, writer.item(code)), undefined=True)
        ),
        writer.element(0x00100010, b"PN", b"M\xfcller^Hans "),
        writer.element(0x00290010, b"LO", b"ACME"),
        writer.sequence(0x00291001, writer.item(code), vr=b"SQ", undefined=True),
    ]
    if pixels is not None:
        parts.append(writer.element(0x7FE00010, b"OW", pixels))
    return b"".join(parts)


@cache
def real_files() -> tuple[Path, ...]:
    """All DICOM files in pydicom's wheel, pydicom-data, deid-data and nibabel's tests."""
    found: list[Path] = []
    for package in ("pydicom", "data_store", "deid_data", "nibabel"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        for root in spec.submodule_search_locations or ():
            found += [path for path in sorted(Path(root).rglob("*")) if _is_dicom(path)]
    return tuple(found)


def _is_dicom(path: Path) -> bool:
    if not path.is_file() or path.suffix in (".py", ".pyc", ".json", ".txt", ".dump"):
        return False
    if path.suffix.lower() == ".dcm":
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def real_headers() -> Iterator[tuple[str, bytes, str]]:
    """Name, whole file, transfer syntax UID of each real file with file meta information that pydicom reads."""
    from pydicom import dcmread

    for path in real_files():
        content = path.read_bytes()
        if content[128:132] == b"DICM":
            meta = dcmread(path, stop_before_pixels=True, specific_tags=[], force=True).file_meta
            if "TransferSyntaxUID" in meta:
                yield path.name, content, str(meta.TransferSyntaxUID)
