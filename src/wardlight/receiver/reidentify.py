"""Results of applications, from a file to a file that the PACS can take (R3.8). Sending it there is another matter."""

from __future__ import annotations

import os
import secrets as stdlib_secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wardlight.dicom.dimse.negotiation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import META_OFFSET, read_meta, write_meta
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.errors import WardlightError
from wardlight.keys.files import sync_folder
from wardlight.receiver.body import Part, Reader, deflated_part, plain_part
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target
from wardlight.receiver.restore import (
    SOP_INSTANCE,
    STUDY_UID,
    WANTED,
    NotRestored,
    Origin,
    Restorer,
    origin_of,
)
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.vault import Vault
from wardlight.receiver.vault_study import PATIENT_ID

_CHUNK: Final = 256 << 10
#: File meta information is looked for in so many bytes.
_META_BYTES: Final = 1 << 20
_UID_CHARACTERS: Final = frozenset(b"0123456789.")


class Reidentifier:
    """Restores results, one file after the other. Each is in the trail before it is there."""

    def __init__(
        self, vault: Vault, store: ReceiverStore, entries: Entries, secrets: ReceiverSecrets
    ) -> None:
        self._vault = vault
        self._store = store
        self._entries = entries
        self._secrets = secrets

    def restore(self, file: Path, folder: Path) -> Path:
        """Write the restored result into the folder, named by its SOP Instance UID; nothing is overwritten.

        Raises NotRestored, with the refusal in the trail; OSError and WardlightError where something does not serve.
        """
        study: bytes | None = None
        target: Target | None = None
        try:
            stream, head_end = _read(file)
            origin = self._origin(stream)
            study, target = self._secrets.study_token(origin.study_uid.decode("ascii")), origin.release.target
            part, read, name = self._part(file, stream, head_end, origin)
            place = folder / f"{name}.dcm"
            if place.exists():
                raise NotRestored("already-exists")
        except DicomError as error:
            refusal = NotRestored(f"data-set:{error.code}")
            self._store.append([self._entries.reidentified(study, target, refusal.code)])
            raise refusal from None
        except NotRestored as refusal:
            self._store.append([self._entries.reidentified(study, target, refusal.code)])
            raise
        entry = self._entries.reidentified(study, target)
        _write(part, read, place, lambda: self._store.append([entry]))
        return place

    def _origin(self, stream: DataSetStream) -> Origin:
        pseudonym, study_uid = (_text(stream, tag) for tag in (PATIENT_ID, STUDY_UID))
        if not pseudonym or not study_uid:
            raise NotRestored("missing-identifier")
        return origin_of(self._vault, pseudonym, study_uid)

    def _part(
        self, file: Path, stream: DataSetStream, head_end: int, origin: Origin
    ) -> tuple[Part, Reader, str]:
        sop_class, sop_uid = _text(stream, 0x00080016), _text(stream, SOP_INSTANCE)
        if not sop_class or not sop_uid or not _UID_CHARACTERS.issuperset(sop_class + sop_uid):
            raise NotRestored("missing-identifier")
        syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
        header = Restorer(self._vault, origin).restore(stream.header or b"", syntax, stream.elements)
        meta = write_meta(
            sop_class.decode(),
            sop_uid.decode(),
            stream.syntax.uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        pixel, start, end = stream.pixel, 0, 0
        if pixel is not None:
            # What follows the pixel data is padding, or signatures that hold no more.
            start = stream.value_offset
            whole = stream.total if stream.tail_offset is None else stream.tail_offset
            end = start + pixel.length if pixel.length >= 0 else whole
        head = meta + header + (b"" if pixel is None else pixel.head)

        def read(offset: int) -> Iterator[bytes]:
            return _chunks(file, head_end + offset)

        if stream.syntax.deflated:
            return deflated_part(head, len(meta), start, end, read), read, sop_uid.decode()
        return plain_part(head, len(meta), start, end), read, sop_uid.decode()


def _read(file: Path) -> tuple[DataSetStream, int]:
    """The header of a file, followed to its end, and where the data set begins."""
    with file.open("rb") as opened:
        start = opened.read(_META_BYTES)
    if start[128:META_OFFSET] != b"DICM":
        raise NotRestored("not-dicom")
    meta = read_meta(start)
    if not _UID_CHARACTERS.issuperset(meta.transfer_syntax.encode()):
        raise NotRestored("unknown-transfer-syntax")
    stream = DataSetStream(transfer_syntax(meta.transfer_syntax), wanted=WANTED)
    for chunk in _chunks(file, meta.end):
        stream.feed(chunk)
    stream.finish()
    return stream, meta.end


def _chunks(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(offset)
        while chunk := opened.read(_CHUNK):
            yield chunk


def _text(stream: DataSetStream, tag: int) -> bytes:
    element = stream.elements.get(tag)
    if element is None or element.length <= 0 or stream.header is None:
        return b""
    return bytes(stream.header[element.value : element.end]).strip(b"\0 ")


def _write(part: Part, read: Reader, place: Path, before: Callable[[], None]) -> None:
    """The file whole and durable in its place, for its owner only, or not at all."""
    temporary = place.with_name(f".{stdlib_secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            for chunk in part.chunks(read):
                opened.write(chunk)
            opened.flush()
            os.fsync(opened.fileno())
        before()
        os.link(temporary, place)
    except FileExistsError:
        raise WardlightError("already-exists", "a file of this name is there already") from None
    finally:
        temporary.unlink()
    sync_folder(place.parent)
