"""Makes a result of one application anew for another one: restored in memory, then de-identified like any object.

What was restored is never written anywhere. Its own dates, which no original has, are moved forward before
de-identification moves them back: else the recipient, who knows when it was made, would learn by how many days the
dates of the patient were moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wardlight.deid.restore import NotRestored
from wardlight.deid.result import Result, read_result
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import read_meta
from wardlight.errors import WardlightError
from wardlight.receiver.batches import Protected
from wardlight.receiver.model import Level, Target, Work
from wardlight.receiver.protect import Protector
from wardlight.receiver.reading import follow
from wardlight.receiver.restore import VaultOrigin, identified_origin, origin_of
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.sink import SOP_CLASS, STUDY, read_identifiers
from wardlight.receiver.vault import Vault

_CHUNK: Final = 256 << 10


class Maker:
    """For one thread."""

    def __init__(self, vault: Vault, secrets: ReceiverSecrets, protector: Protector) -> None:
        self._vault = vault
        self._secrets = secrets
        self._protector = protector

    def make(self, data: bytes, source: Target, recipient: Target) -> tuple[Protected, bytes]:
        """What may leave for the recipient, and the token of its original study; its way back is to be kept first.

        data: the file as the application stored it, into its own release `source`. Raises NotRestored, NotReleased.
        """
        try:
            result = read_result(lambda offset: _chunks(data, offset))
            origin = self._origin(result, source)
            made = self._protected(result, origin, recipient, 0)
            if made.way is not None and made.way.days:
                made = self._protected(result, origin, recipient, made.way.days)
        except DicomError as error:
            raise NotRestored(f"data-set:{error.code}") from None
        except WardlightError as error:
            if error.kind.http >= 500:
                raise
            raise NotRestored(error.code) from None
        return made, made.work.study

    def _origin(self, result: Result, source: Target) -> VaultOrigin:
        patient, study = result.names
        if source.level is Level.IDENTIFIED:
            return identified_origin(self._vault, source, study)
        origin = origin_of(self._vault, patient, study)
        if origin.target != source:
            raise NotRestored("another-release")
        return origin

    def _protected(self, result: Result, origin: VaultOrigin, recipient: Target, own_days: int) -> Protected:
        pieces, _ = result.restored(self._vault, origin, own_days)
        restored = b"".join(pieces)
        meta = read_meta(restored)
        body = memoryview(restored)[meta.end :]

        def read_body(offset: int) -> Iterator[memoryview]:
            yield body[offset:]

        stream = follow(read_body(0), meta.transfer_syntax, whole=True)
        identifiers = read_identifiers(stream)
        work = Work(
            object_id=0,
            target=recipient,
            attempts=0,
            file_id="",
            stream=0,
            offset=0,
            record=0,
            end=0,
            length=len(body),
            digest=b"",
            study=self._secrets.study_token(identifiers[STUDY]),
            sop_class=identifiers[SOP_CLASS],
            transfer_syntax=meta.transfer_syntax,
            body_end=stream.total if stream.tail_offset is None else stream.tail_offset,
        )
        return self._protector.protected(work, stream, identifiers, read_body)


def _chunks(data: bytes, offset: int) -> Iterator[bytes]:
    for start in range(offset, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
