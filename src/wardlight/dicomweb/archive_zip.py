"""A study, series or instance as one zip file (PS3.18 section 8.6.1.3), streamed and of known length.

Files are stored and not deflated, as ISO/IEC 21320-1 has zip containers: pixel data is compressed already or does not
gain, and so the length is known ahead and the work is copying. Their names are our own numbers in the order of
retrieval: nothing that a peer sent becomes a path. There is no DICOMDIR, which the standard does not ask for here.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wardlight.access.model import Scope
from wardlight.archive.model import InstanceLocation
from wardlight.archive.service import Archive
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.media import ZIP
from wardlight.dicomweb.negotiation import ranges
from wardlight.errors import WardlightError

#: A file up to this size is read once: its checksum stands before it. A larger one is read twice.
_HELD: Final = 4 << 20
_LIMIT_32: Final = 0xFFFFFFFF
_LIMIT_16: Final = 0xFFFF
_PLAIN, _ZIP64 = 20, 45  # versions needed to extract: folders; sizes of 64 bits
#: 1980-01-01 00:00, the first day of the format: no date of the data leaves by its container.
_TIME, _DATE = 0, 0x0021
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END: Final = struct.Struct("<4s4H2LH")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file of the container. offset: of its local header."""

    name: bytes
    size: int
    offset: int

    def local(self, checksum: int) -> bytes:
        """The header before the file."""
        extra = b""
        size = self.size
        if size >= _LIMIT_32:
            extra, size = struct.pack("<2H2Q", 1, 16, size, size), _LIMIT_32
        version = _ZIP64 if extra else _PLAIN
        head = _LOCAL.pack(
            b"PK\3\4", version, 0, 0, _TIME, _DATE, checksum, size, size, len(self.name), len(extra)
        )
        return head + self.name + extra

    def central(self, checksum: int) -> bytes:
        """The entry of the directory at the end."""
        size, offset, large = self.size, self.offset, []
        if size >= _LIMIT_32:
            large += [size, size]
            size = _LIMIT_32
        if offset >= _LIMIT_32:
            large.append(offset)
            offset = _LIMIT_32
        extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        version = _ZIP64 if extra else _PLAIN
        head = _CENTRAL.pack(
            b"PK\1\2", version, version, 0, 0, _TIME, _DATE, checksum, size, size,
            len(self.name), len(extra), 0, 0, 0, 0, offset,
        )  # fmt: skip
        return head + self.name + extra


def instances(call: Call) -> Answer:
    """GET of a study, a series or an instance as a zip of DICOM files in their stored transfer syntaxes."""
    accepted = [media_range for media_range in ranges(call.accept, call.query) if media_range.covers(ZIP)]
    locations = call.archive.instances(
        call.scope, call.uid("study"), call.optional_uid("series"), call.optional_uid("instance")
    )
    syntaxes = {media_range.transfer_syntax for media_range in accepted if not media_range.multipart}
    if syntaxes.isdisjoint(("", "*")) and any(
        location.transfer_syntax not in syntaxes for location in locations
    ):
        raise WardlightError(
            "not-acceptable", "the files of a zip are given in their stored transfer syntax only"
        )
    level = "instance" if "instance" in call.path else "series" if "series" in call.path else "study"
    return zipped(call.archive, call.scope, locations, level)


def zipped(archive: Archive, scope: Scope, locations: Sequence[InstanceLocation], level: str) -> Answer:
    """These instances in one container that is named after their level."""
    entries = list(_entries(locations))
    tag = entity_tag("zip", b"".join(location.row.bytes for location in locations))
    headers = {"Content-Disposition": f'attachment; filename="{level}.zip"'}
    return Answer(
        _body(archive, scope, locations, entries), ZIP, headers=headers, length=_length(entries), etag=tag
    )


def _entries(locations: Sequence[InstanceLocation]) -> Iterator[_Entry]:
    """The files in the order of retrieval, `series-001/instance-00001.dcm`."""
    series: dict[str, int] = {}
    counts: dict[str, int] = {}
    offset = 0
    for location in locations:
        uid = location.series_uid
        number = series.setdefault(uid, len(series) + 1)
        counts[uid] = counts.get(uid, 0) + 1
        name = f"series-{number:03}/instance-{counts[uid]:05}.dcm".encode("ascii")
        entry = _Entry(name, location.length, offset)
        yield entry
        offset += len(entry.local(0)) + location.length


def _body(
    archive: Archive, scope: Scope, locations: Sequence[InstanceLocation], entries: Sequence[_Entry]
) -> Iterator[bytes]:
    checksums = array("I")
    for location, entry in zip(locations, entries, strict=True):
        if location.length <= _HELD:
            held = b"".join(archive.read(scope, location))
            checksums.append(zlib.crc32(held))
            yield entry.local(checksums[-1])
            yield held
        else:
            checksums.append(archive.checksum(scope, location))
            yield entry.local(checksums[-1])
            yield from archive.read(scope, location)
    size = 0
    for entry, checksum in zip(entries, checksums, strict=True):
        head = entry.central(checksum)
        size += len(head)
        yield head
    yield _end(len(entries), size, _end_of_files(entries))


def _end_of_files(entries: Sequence[_Entry]) -> int:
    last = entries[-1]
    return last.offset + len(last.local(0)) + last.size


def _end(count: int, size: int, offset: int) -> bytes:
    """What follows the directory; in its 64-bit form too where a number does not fit the old one."""
    end = b""
    if count >= _LIMIT_16 or size >= _LIMIT_32 or offset >= _LIMIT_32:
        end = _END_64.pack(b"PK\6\6", _END_64.size - 12, _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
        end += _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
    few = min(count, _LIMIT_16)
    return end + _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _LIMIT_32), min(offset, _LIMIT_32), 0)


def _length(entries: Sequence[_Entry]) -> int:
    size, offset = sum(len(entry.central(0)) for entry in entries), _end_of_files(entries)
    return offset + size + len(_end(len(entries), size, offset))
