"""One object on its way into the spool: checked while it comes, durable when `commit` returns."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wardlight.dicom.elements import Element
from wardlight.dicom.errors import DicomError
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import transfer_syntax
from wardlight.errors import WardlightError
from wardlight.receiver.model import Received, Target
from wardlight.receiver.registrar import Registrar
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.spool import Spool, SpoolRef

SOP_CLASS: Final = 0x0008_0016
SOP_INSTANCE: Final = 0x0008_0018
STUDY: Final = 0x0020_000D
SERIES: Final = 0x0020_000E
IDENTIFIERS: Final = frozenset({SOP_CLASS, SOP_INSTANCE, STUDY, SERIES})
_UID_CHARACTERS: Final = frozenset(b"0123456789.")
_UID_LENGTH: Final = 64

#: Free space is looked at again after so many bytes of an object, and twice as many must be there. An object's length
#: is not known ahead (PS3.8 has none), so this is the part of "2 x object" (security.md section 8) that can be kept.
SPACE_STEP: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of an object before its data: the C-STORE request, where it came from, what it is for."""

    route: str
    targets: tuple[Target, ...]
    calling_ae: str
    address: str
    sop_class: str
    transfer_syntax: str
    received_at: int

    def to_meta(self) -> dict[str, str]:
        """As the BEGIN record of the spool holds it (encrypted)."""
        return {
            "route": self.route,
            "targets": " ".join(str(target) for target in self.targets),
            "calling": self.calling_ae,
            "address": self.address,
            "class": self.sop_class,
            "syntax": self.transfer_syntax,
            "at": str(self.received_at),
        }

    @classmethod
    def from_meta(cls, meta: dict[str, str]) -> Arrival:
        """Read a BEGIN record again. Raises KeyError, ValueError or WardlightError if it is none of ours."""
        targets = tuple(Target.parse(text) for text in meta["targets"].split())
        return cls(
            meta["route"],
            targets,
            meta["calling"],
            meta["address"],
            meta["class"],
            meta["syntax"],
            int(meta["at"]),
        )

    def received(self, ref: SpoolRef, study: bytes, body_end: int | None) -> Received:
        """The row of the committed object."""
        return Received(
            ref.file_id,
            ref.stream,
            ref.offset,
            ref.record,
            ref.end,
            ref.length,
            ref.sha256,
            study,
            self.route,
            self.calling_ae,
            self.address,
            self.sop_class,
            self.transfer_syntax,
            body_end,
            self.received_at,
            self.targets,
        )


class ObjectSink:
    """Implements `receiver.gateway.Sink`. A write costs one parse step, which is a counter once the header is over,
    and one spool record."""

    __slots__ = (
        "_arrival",
        "_checked",
        "_limit",
        "_next_space_check",
        "_on_refusal",
        "_registrar",
        "_secrets",
        "_share",
        "_size",
        "_sop_instance",
        "_spool_dir",
        "_stream",
        "_study",
        "_syntax",
        "_writer",
    )

    def __init__(
        self,
        arrival: Arrival,
        sop_instance: str,
        *,
        spool: Spool,
        spool_dir: Path,
        registrar: Registrar,
        secrets: ReceiverSecrets,
        free_share: float,
        object_bytes: int,
        on_refusal: Callable[[WardlightError], None],
    ) -> None:
        self._arrival = arrival
        self._sop_instance = sop_instance
        self._spool_dir = spool_dir
        self._registrar = registrar
        self._secrets = secrets
        self._share = free_share
        self._limit = object_bytes
        self._on_refusal = on_refusal
        self._syntax = transfer_syntax(arrival.transfer_syntax)
        self._stream = DataSetStream(self._syntax, wanted=IDENTIFIERS)
        self._study = ""
        self._checked = False
        self._size = 0
        self._next_space_check = SPACE_STEP
        self._writer = spool.begin(arrival.to_meta())

    def write(self, data: memoryview, /) -> None:
        """Check and spool the next bytes. Raises WardlightError for a refused object, which is audited."""
        try:
            self._take(data)
        except WardlightError as error:
            self._on_refusal(error)
            raise

    def commit(self) -> None:
        """Make the object durable, then hand its row to the registrar. Raises WardlightError if it is refused."""
        try:
            self._finish()
        except WardlightError as error:
            self._on_refusal(error)
            raise

    def abort(self) -> None:
        """Forget the object."""
        self._writer.abort()

    def _take(self, data: memoryview) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise WardlightError("too-large", reason="object-bytes")
        try:
            self._stream.feed(data)
        except DicomError as error:
            raise _bad(error) from None
        if not self._checked and self._stream.header is not None:
            self._check()
        if self._size >= self._next_space_check:
            require_space(self._spool_dir, self._share)
            self._next_space_check = self._size + SPACE_STEP
        self._writer.write(data)

    def _finish(self) -> None:
        try:
            self._stream.finish()
        except DicomError as error:
            raise _bad(error) from None
        if not self._checked:
            self._check()
        study = self._secrets.study_token(self._study)
        end = body_end(self._stream)
        # Submitted before the file can be finished: the registrar settles finished files by what it was given.
        self._writer.commit(lambda ref: self._registrar.submit(self._arrival.received(ref, study, end)))

    def _check(self) -> None:
        """The data set must be the instance that the C-STORE request named (PS3.4 B.2.3: A900)."""
        self._checked = True
        identifiers = read_identifiers(self._stream)
        if identifiers[SOP_CLASS] != self._arrival.sop_class:
            raise WardlightError("instance-mismatch", "(0008,0016)", reason="sop-class")
        if identifiers[SOP_INSTANCE] != self._sop_instance:
            raise WardlightError("instance-mismatch", "(0008,0018)", reason="sop-instance")
        self._study = identifiers[STUDY]


def read_identifiers(stream: DataSetStream) -> dict[int, str]:
    """The four UIDs that every instance has, by tag, of a stream made with `wanted=IDENTIFIERS` whose header is there.

    Raises WardlightError("missing-identifier") naming the tag.
    """
    header = stream.header or b""
    return {tag: _uid(header, stream.elements.get(tag), tag) for tag in IDENTIFIERS}


def body_end(stream: DataSetStream) -> int | None:
    """Offset in the data set after the pixel data, once the stream has ended; the end where there is none.

    None for a deflated data set, where the pipeline looks for it again.
    """
    if stream.syntax.deflated:
        return None
    return stream.total if stream.tail_offset is None else stream.tail_offset


def require_space(directory: Path, share: float) -> None:
    """Raise WardlightError("out-of-resources") unless this share of the disk and two steps of an object are free."""
    disk = os.statvfs(directory)
    if disk.f_bavail < disk.f_blocks * share or disk.f_bavail * disk.f_frsize < 2 * SPACE_STEP:
        raise WardlightError("out-of-resources", reason="free-space")


def _uid(header: bytes, element: Element | None, tag: int) -> str:
    value = b"" if element is None else header[element.value : element.end].strip(b"\0 ")
    if not value or len(value) > _UID_LENGTH or not _UID_CHARACTERS.issuperset(value):
        raise WardlightError("missing-identifier", f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
    return value.decode("ascii")


def _bad(error: DicomError) -> WardlightError:
    return WardlightError("bad-data-set", f"{error.code} at {error.offset}", reason=error.code)
