"""From an object in the spool to what may leave: de-identified by the route's level and verified, or quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from wardlight import log
from wardlight.agreements.model import Level
from wardlight.deid import pixels
from wardlight.deid.engine import Deidentified, Deidentifier, Refused
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.uids import study_group
from wardlight.deid.verify import verify
from wardlight.deid.verify_pixels import PixelVerifier, Unverified
from wardlight.dicom.dimse.negotiation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.errors import WardlightError
from wardlight.receiver.batches import Protected
from wardlight.receiver.body import Buffer, Part, Pass, Reader, cut, deflated_part, plain_part
from wardlight.receiver.model import Target, Work
from wardlight.receiver.reading import follow, read_header, reference
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.shelf import Held, Shelf
from wardlight.receiver.sink import SOP_INSTANCE, STUDY, read_identifiers
from wardlight.receiver.spool import Spool
from wardlight.receiver.upload import Outgoing

REPORTED: Final = 20
"""Most reasons kept of one object: a person needs the kinds, not each of ten thousand elements."""


class NotReleased(Exception):
    """The object must not leave. reasons: codes with tags and kinds, never a value. original_uid: of the instance."""

    def __init__(self, reasons: tuple[str, ...], original_uid: str) -> None:
        super().__init__(*reasons[:1])
        self.reasons = reasons[:REPORTED]
        self.original_uid = original_uid


class Protector:
    """Makes what may leave of objects. One thread uses it; one de-identifier is kept for each release target."""

    def __init__(self, spool: Spool, secrets: ReceiverSecrets) -> None:
        self._spool = spool
        self._shelf = Shelf(spool)
        self._secrets = secrets
        self._group_key = DeidKeys.derive(secrets.hospital, "", "").group
        self._deidentifiers: dict[Target, Deidentifier] = {}

    def protect(self, work: Work) -> Protected:
        """The object as it may go to this work's target.

        Raises NotReleased, and WardlightError as `Spool.read` does.
        """
        held = self._shelf.take(reference(work))
        read = held or self.reader(work)
        stream, identifiers = self._read(work, held)
        original_uid = identifiers[SOP_INSTANCE]
        if work.target.level is Level.IDENTIFIED:
            head = _meta(work.sop_class, original_uid, work.transfer_syntax)
            part, sop_uid = plain_part(head, len(head), 0, work.length), original_uid
        else:
            part, sop_uid = self._deidentify(work, stream, original_uid, read)
        group = study_group(self._group_key, identifiers[STUDY].encode("ascii"))
        return Protected(work, Outgoing(part, read, sop_uid, original_uid), group)

    def reader(self, work: Work) -> Reader:
        """Reads the object as it came."""
        spool, ref = self._spool, reference(work)
        return lambda start: spool.read(ref, start)

    def _read(self, work: Work, held: Held | None) -> tuple[DataSetStream, dict[int, str]]:
        """The header and its identifiers. Both were good when the object came; if they are not now, it stays here."""
        try:
            if held is None:
                stream = read_header(self._spool, reference(work), work.transfer_syntax)
            else:
                stream = follow(held(0), work.transfer_syntax)
            return stream, read_identifiers(stream)
        except DicomError as error:
            raise NotReleased((f"data-set:{error.code}",), "") from None
        except WardlightError as error:
            if error.code != "missing-identifier":
                raise
            raise NotReleased((error.code,), "") from None

    def _deidentify(
        self, work: Work, stream: DataSetStream, original_uid: str, read: Reader
    ) -> tuple[Part, str]:
        header, pixel = stream.header or b"", stream.pixel
        syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
        level = str(work.target.level)
        refused: list[str] = []
        try:
            refused = pixels.refusals(header, stream.elements, pixel, stream.syntax)
            result = self._deidentifier(work.target).deidentify(
                header, syntax, pixel, elements=stream.elements
            )
            native = pixel is not None and not syntax.encapsulated
            findings = verify(
                header,
                syntax.uid,
                result.header,
                level=level,
                pixel_length=result.body_length if native else None,
            )
            if findings or refused:
                raise Refused(*refused, *map(str, findings))
            return self._part(work, stream, result, read), result.sop_uid
        except (pixels.PixelError, Unverified) as error:
            raise NotReleased((error.code,), original_uid) from None
        except Refused as refusal:
            raise NotReleased(tuple(dict.fromkeys((*refused, *refusal.reasons))), original_uid) from None
        except (WardlightError, OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - logged, and the object goes to quarantine
            # A fault of ours in one object must not stop all others, and must not let this one out.
            log.error("receiver.protect_failed", error, sop_class=work.sop_class)
            raise NotReleased((f"internal:{type(error).__name__}",), original_uid) from None

    def _part(self, work: Work, stream: DataSetStream, result: Deidentified, read: Reader) -> Part:
        """What is sent. Raises PixelError, Unverified where its pixels must not be."""
        meta = _meta(result.sop_class, result.sop_uid, work.transfer_syntax)
        head = b"".join((meta, result.header, result.pixel_head))
        start, end = 0, 0
        through: Pass | None = None
        if stream.pixel is not None:
            start = stream.value_offset
            verifier = PixelVerifier(result.header, stream.syntax.uid, result.pixel_head, result.body_length)
            if result.body_length is not None:
                end = start + result.body_length
                through = _native(stream, verifier)
            else:
                end = work.body_end or self._body_end(work)
                through = _fragments(stream, verifier, lambda: cut(read(start), 0, end - start))
        if stream.syntax.deflated:
            return deflated_part(head, len(meta), start, end, read, through)
        return plain_part(head, len(meta), start, end, through)

    def _body_end(self, work: Work) -> int:
        """The end of encapsulated pixel data in an object that was recovered after a crash: all of it is read."""
        stream = read_header(self._spool, reference(work), work.transfer_syntax, whole=True)
        return stream.total if stream.tail_offset is None else stream.tail_offset

    def _deidentifier(self, target: Target) -> Deidentifier:
        found = self._deidentifiers.get(target)
        if found is None:
            keys = DeidKeys.derive(self._secrets.hospital, target.application, str(target.level))
            found = self._deidentifiers[target] = Deidentifier(load_profile(str(target.level)), keys)
        return found


def _native(stream: DataSetStream, verifier: PixelVerifier) -> Pass:
    """Native pixel data is large and its rule simple, so it is cleaned and verified while it is sent."""
    assert stream.pixel is not None
    cleaning = pixels.native_of(stream.header or b"", stream.elements, stream.pixel, stream.syntax)

    def through(chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        return verifier.verified(cleaning.clean(chunks))

    return through


def _fragments(
    stream: DataSetStream, verifier: PixelVerifier, value: Callable[[], Iterator[Buffer]]
) -> Pass | None:
    """Encapsulated pixel data is read and verified to its end before any of it is sent. value: reads it."""
    assert stream.pixel is not None
    blanks = pixels.check(value(), stream.header or b"", stream.elements, stream.pixel, stream.syntax)
    for _ in verifier.verified(blanks.clean(value())):
        pass
    return blanks.clean if blanks.ranges else None


def _meta(sop_class: str, sop_uid: str, syntax_uid: str) -> bytes:
    return write_meta(
        sop_class,
        sop_uid,
        syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
