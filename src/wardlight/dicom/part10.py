"""DICOM files (PS3.10 section 7): preamble, file meta information, data set; read whole or in chunks, and written."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Final

from wardlight.dicom.codec import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, Buffer, shows_vr
from wardlight.dicom.dictionary import is_known
from wardlight.dicom.elements import Element, scan_into
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    transfer_syntax,
)
from wardlight.dicom.vr import ALL_VRS, LONG_VRS, padding

PREAMBLE: Final = b"\0" * 128
PREFIX: Final = b"DICM"
#: Bytes before the file meta information.
META_OFFSET: Final = len(PREAMBLE) + len(PREFIX)
#: Bytes the file meta information may take: its private element (0002,0102) is the only large one.
_META_LIMIT: Final = 1 << 20

_GROUP_LENGTH: Final = 0x00020000
_SHORT_HEAD: Final = Struct("<HH2sH").pack
_LONG_HEAD: Final = Struct("<HH2sHI").pack
_U32: Final = Struct("<I").pack


#: (0002,0000) with its length.
_LENGTH_HEAD: Final = b"\x02\x00\x00\x00UL\x04\x00"


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information says; a UID that is not there is "".

    transfer_syntax: UID; where the file does not say it, the one its first element shows. end: offset of the data set.
    """

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    end: int


def read_meta(data: Buffer, *, lenient: bool = False, complete: bool = True) -> FileMeta:
    """The file meta information at the start of a file.

    lenient: files without preamble, or without any meta information, are taken too; else they are "not-dicom".
    complete: `data` is the whole file, so that its end may end the meta information. Raises `Truncated` where more
    input is needed, DicomError "not-dicom" where this is no DICOM file, "header" where its meta information is too
    long.
    """
    if bytes(data[128:META_OFFSET]) == PREFIX:
        p = META_OFFSET
    elif len(data) < META_OFFSET and not complete:
        raise Truncated(0, META_OFFSET)
    elif lenient:
        p = 0
    else:
        raise DicomError("not-dicom", 0)
    values, end = _read_group(data, p, complete)
    syntax = values.get(0x00020010, "")
    if not syntax:
        syntax = _guess(data, end, complete, certain=p > 0)
    return FileMeta(values.get(0x00020002, ""), values.get(0x00020003, ""), syntax, end)


def _read_group(data: Buffer, start: int, complete: bool) -> tuple[dict[int, str], int]:
    """The UIDs of group 0002 and the offset of its end.

    The end is where another group begins. The group length decides only for a deflated data set, whose first bytes
    may look like anything: where it is wrong, as in old files, the elements themselves tell.
    """
    values: dict[int, str] = {}
    settled = _settled(data, start)
    if settled is not None:
        return settled
    p, stated = start, -1
    while True:
        if p - start > _META_LIMIT:
            raise DicomError("header", start)
        if p == len(data) and complete:
            return values, p
        if p == stated and transfer_syntax(values.get(0x00020010, "")).deflated:
            return values, p
        if len(data) >= p + 2 and bytes(data[p : p + 2]) != b"\x02\x00":
            return values, p
        try:
            tag, _, value, length = EXPLICIT_LE.read(data, p)
        except StructError:
            raise Truncated(p, p + 8) from None
        if not 0 <= length <= _META_LIMIT:
            raise DicomError("length", p)
        end = value + length
        if end > len(data):
            raise Truncated(p, end)
        if tag == _GROUP_LENGTH and length == 4:
            stated = end + int.from_bytes(data[value:end], "little")
        elif tag in (0x00020002, 0x00020003, 0x00020010):
            values[tag] = bytes(data[value:end]).decode("ascii", "replace").strip("\0 ")
        p = end


def _settled(data: Buffer, start: int) -> tuple[dict[int, str], int] | None:
    """As `_read_group` where the group has the length that it says, as most have; else None, and its elements tell."""
    if bytes(data[start : start + 8]) != _LENGTH_HEAD:
        return None
    end = start + 12 + int.from_bytes(data[start + 8 : start + 12], "little")
    if end - start > _META_LIMIT or len(data) < end + 2 or bytes(data[end : end + 2]) == b"\x02\x00":
        return None
    found: dict[int, Element] = {}
    group = bytes(data[start + 12 : end])
    try:
        pixel, stop, _ = scan_into(found, group, EXPLICIT_LE, 0, None, LIMITS)
    except DicomError:
        return None
    if pixel is not None or stop != len(group) or any(tag >> 16 != 2 for tag in found):
        return None
    uids = (found.get(tag) for tag in (0x00020002, 0x00020003, 0x00020010))
    return {
        one.tag: group[one.value : one.end].decode("ascii", "replace").strip("\0 ")
        for one in uids
        if one is not None
    }, end


def _guess(data: Buffer, p: int, complete: bool, *, certain: bool) -> str:
    """The transfer syntax that the first element at p shows; certain: the prefix says that this is DICOM."""
    if len(data) < p + 8:
        if complete:
            raise DicomError("not-dicom", p)
        raise Truncated(p, p + 8)
    if shows_vr(data, p, EXPLICIT_LE):
        return EXPLICIT_LITTLE.uid
    if shows_vr(data, p, EXPLICIT_BE):
        return EXPLICIT_BIG.uid
    if certain:
        # A private group or a VR against the dictionary may come first; without any VR it is the default syntax.
        return (EXPLICIT_LITTLE if bytes(data[p + 4 : p + 6]) in ALL_VRS else IMPLICIT_LITTLE).uid
    tag, _, _, length = IMPLICIT_LE.read(data, p)
    # Groups below 8 are commands and directories, which are no data sets of instances (PS3.5 section 7.1).
    if (is_known(tag) or not tag & 0xFFFF) and 0x0008 <= tag >> 16 <= 0x0020 and length <= _META_LIMIT:
        return IMPLICIT_LITTLE.uid
    raise DicomError("not-dicom", p)


@lru_cache(maxsize=64)
def _encode(element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) & 1:
        value += padding(vr)
    if vr in LONG_VRS:
        return _LONG_HEAD(2, element, vr, 0, len(value)) + value
    return _SHORT_HEAD(2, element, vr, len(value)) + value


def write_meta(
    sop_class: str,
    sop_instance: str,
    syntax_uid: str,
    *,
    implementation_class_uid: str,
    implementation_version: str,
    source_ae: str | None = None,
) -> bytes:
    """A zero preamble, the prefix, and the file meta information of PS3.10 Table 7.1-1: all before the data set."""
    elements = [
        (0x0001, b"OB", b"\0\1"),
        (0x0002, b"UI", sop_class.encode("ascii")),
        (0x0003, b"UI", sop_instance.encode("ascii")),
        (0x0010, b"UI", syntax_uid.encode("ascii")),
        (0x0012, b"UI", implementation_class_uid.encode("ascii")),
        (0x0013, b"SH", implementation_version.encode("ascii")),
    ]
    if source_ae:
        elements.append((0x0016, b"AE", source_ae.encode("ascii")))
    group = b"".join(_encode(*element) for element in elements)
    return PREAMBLE + PREFIX + _encode(0x0000, b"UL", _U32(len(group))) + group


class Part10Stream:
    """Follows one DICOM file, fed chunk by chunk; its data set as `DataSetStream` does.

    meta, stream: None until the file meta information was seen. dataset_offset: of the data set in the file, -1 until
    then. Offsets of `stream` count from the start of the data set, those of errors too once it has begun.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        lenient: bool = False,
        wanted: Container[int] | None = frozenset(),
    ) -> None:
        self.meta: FileMeta | None = None
        self.dataset_offset = -1
        self.stream: DataSetStream | None = None
        self.total = 0
        self._limits: Final = limits
        self._lenient: Final = lenient
        self._wanted: Final = wanted
        self._buffer = bytearray()
        self._need = 0

    def feed(self, chunk: Buffer) -> None:
        """Takes the next bytes. Raises `DicomError` where they cannot be part of a DICOM file."""
        self.total += len(chunk)
        if self.stream is not None:
            self.stream.feed(chunk)
            return
        data: Buffer = chunk
        if self._buffer:
            self._buffer += chunk
            data = self._buffer
        if self.total < self._need or not self._begin(data, complete=False):
            if self.total > 2 * _META_LIMIT:
                raise DicomError("header", META_OFFSET)
            if data is chunk:
                self._buffer += chunk

    def finish(self) -> None:
        """The file has ended. Raises `DicomError` where that is too early."""
        if self.stream is None:
            self._begin(self._buffer, complete=True)
        assert self.stream is not None
        self.stream.finish()

    def _begin(self, data: Buffer, *, complete: bool) -> bool:
        try:
            meta = read_meta(data, lenient=self._lenient, complete=complete)
        except Truncated as error:
            if complete:
                raise
            self._need = error.need
            return False
        self.meta = meta
        self.dataset_offset = meta.end
        self.stream = DataSetStream(
            transfer_syntax(meta.transfer_syntax), limits=self._limits, wanted=self._wanted
        )
        self.stream.feed(memoryview(data)[meta.end :])
        self._buffer = bytearray()
        return True
