"""From an object in the spool to what may leave: de-identified by the route's level and verified, or quarantine."""

from __future__ import annotations

from collections.abc import Iterator

from wardlight import log
from wardlight.agreements.model import Level
from wardlight.deid.burned_in import PixelReader
from wardlight.deid.engine import Deidentified, Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.patient_study import study_elements
from wardlight.deid.protect import NOT_RELEASED, Buffer, Pass, protect, reasons_of
from wardlight.deid.uids import study_group
from wardlight.dicom.errors import DicomError
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.stream import DataSetStream, cut
from wardlight.errors import WardlightError
from wardlight.receiver.batches import Protected
from wardlight.receiver.body import Part, Reader, deflated_part, inflate, plain_part
from wardlight.receiver.model import Target, Work
from wardlight.receiver.reading import follow, read_header, reference
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.shelf import Held, Shelf
from wardlight.receiver.sink import SOP_INSTANCE, STUDY, read_identifiers
from wardlight.receiver.site_profiles import BUILT_IN, SiteProfiles
from wardlight.receiver.spool import Spool
from wardlight.receiver.upload import Outgoing
from wardlight.receiver.vault import Vault, WayBack


class NotReleased(Exception):
    """The object must not leave. reasons: codes with tags and kinds, never a value. original_uid: of the instance."""

    def __init__(self, reasons: tuple[str, ...], original_uid: str) -> None:
        super().__init__(*reasons[:1])
        self.reasons = reasons
        self.original_uid = original_uid


class Protector:
    """Makes what may leave of objects. One thread uses it; one de-identifier is kept for each release target."""

    def __init__(
        self,
        spool: Spool,
        secrets: ReceiverSecrets,
        vault: Vault | None = None,
        reader: PixelReader | None = None,
        profiles: SiteProfiles = BUILT_IN,
    ) -> None:
        """vault: what is known of patients; without it no object brings its way back. reader: looks at pixels.

        profiles: what the levels do here.
        """
        self._profiles = profiles
        self._spool = spool
        self._reader = reader
        self._vault = vault
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
        return self.protected(work, *self._read(work, held), read)

    def protected(
        self, work: Work, stream: DataSetStream, identifiers: dict[int, str], read: Reader
    ) -> Protected:
        """The same for an object whose header was read. read: reads it from wherever it is. Raises as `protect`."""
        original_uid = identifiers[SOP_INSTANCE]
        if work.target.level is Level.IDENTIFIED:
            head = _meta(work.sop_class, original_uid, work.transfer_syntax)
            part, sop_uid, way = plain_part(head, len(head), 0, work.length), original_uid, None
        else:
            part, result = self._deidentify(work, stream, original_uid, read)
            sop_uid, way = result.sop_uid, self._way(work, stream, identifiers[STUDY].encode(), result)
        group = study_group(self._group_key, identifiers[STUDY].encode("ascii"))
        return Protected(work, Outgoing(part, read, sop_uid, original_uid), group, way)

    def _way(self, work: Work, stream: DataSetStream, study: bytes, result: Deidentified) -> WayBack | None:
        """The way back from what was made of an object."""
        if self._vault is None:
            return None
        return WayBack(
            target=work.target,
            patient=result.patient,
            pseudonym=result.patient_pseudonym.encode("ascii"),
            days=result.days,
            study_uid=study,
            study=() if self._vault.has_study(study) else study_elements(stream),
            uids=result.uids,
            new_uid=self._deidentifier(work.target).new_uid,
        )

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
    ) -> tuple[Part, Deidentified]:
        try:
            return self._part(work, stream, read)
        except NOT_RELEASED as refusal:
            raise NotReleased(reasons_of(refusal), original_uid) from None
        except (WardlightError, OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - logged, and the object goes to quarantine
            # A fault of ours in one object must not stop all others, and must not let this one out.
            log.error("receiver.protect_failed", error, sop_class=work.sop_class)
            raise NotReleased((f"internal:{type(error).__name__}",), original_uid) from None

    def _part(self, work: Work, stream: DataSetStream, read: Reader) -> tuple[Part, Deidentified]:
        """What is sent, and what it was made of. Raises what `protect` does where it must not be."""
        start = stream.value_offset
        through: Pass | None = None

        def value() -> Iterator[Buffer]:
            if stream.pixel is None or stream.pixel.length < 0:
                return cut(read(start), 0, (work.body_end or self._body_end(work)) - start)
            if stream.syntax.deflated:
                return cut(inflate(read(0)), start, start + stream.pixel.length)
            return cut(read(start), 0, stream.pixel.length)

        protected = protect(
            self._deidentifier(work.target), stream, value, reader=self._reader, knowledge=self._vault
        )
        result = protected.result
        meta = _meta(result.sop_class, result.sop_uid, protected.syntax_uid)
        head = b"".join((meta, result.header, result.pixel_head))
        if stream.pixel is None:
            start = end = 0
        elif result.body_length is not None:
            end = start + result.body_length
            through = protected.through
        else:
            # Encapsulated pixel data is verified to its end before any of it is sent.
            end = work.body_end or self._body_end(work)
            through = protected.ahead(value())
        if stream.syntax.deflated:
            return deflated_part(head, len(meta), start, end, read, through), result
        return plain_part(head, len(meta), start, end, through, protected.length), result

    def _body_end(self, work: Work) -> int:
        """The end of encapsulated pixel data in an object that was recovered after a crash: all of it is read."""
        stream = read_header(self._spool, reference(work), work.transfer_syntax, whole=True)
        return stream.total if stream.tail_offset is None else stream.tail_offset

    def _deidentifier(self, target: Target) -> Deidentifier:
        found = self._deidentifiers.get(target)
        if found is None:
            keys = DeidKeys.derive(self._secrets.hospital, target.application, str(target.level))
            found = self._deidentifiers[target] = Deidentifier(self._profiles.of(str(target.level)), keys)
        return found


def _meta(sop_class: str, sop_uid: str, syntax_uid: str) -> bytes:
    return write_meta(
        sop_class,
        sop_uid,
        syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION,
    )
