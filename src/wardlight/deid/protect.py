"""The one sequence by which an object becomes one that may leave: refuse, look, de-identify, verify, pixels.

Receiver, platform and command line all go through `protect`; what each does with the bytes is its own matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.deid import false_alarms, pixels, quarantine
from wardlight.deid.burned_in import Looked, NotRead, PixelReader
from wardlight.deid.burned_in_frames import Anew
from wardlight.deid.engine import Deidentified, Deidentifier, Refused
from wardlight.deid.known import Knowledge
from wardlight.deid.pixels_object import Cleaning, PixelsOf
from wardlight.deid.profile import Profile
from wardlight.deid.profile_site import site_of
from wardlight.deid.verify import verify
from wardlight.deid.verify_pixels import PixelVerifier, Unverified
from wardlight.dicom.elements import text
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

__all__ = ["NOT_RELEASED", "Buffer", "Pass", "Protected", "protect", "reasons_of"]

Buffer = bytes | memoryview

Pass = Callable[[Iterable[Buffer]], Iterator[Buffer]]
"""What a pixel value goes through on its way out. Raises PixelError, Unverified."""

#: What says that an object must not leave.
NOT_RELEASED: Final = (Refused, pixels.PixelError, Unverified)
#: Most reasons kept of one object: a person needs the kinds, not each of ten thousand elements.
REPORTED: Final = 20


@dataclass(frozen=True, slots=True)
class Protected:
    """An object whose header may leave, and its pixel value through `through` only.

    syntax_uid: the output's transfer syntax, which is another where compressed frames were encoded anew. The cleaning
    of encapsulated pixel data was found by reading it to its end; what may leave of it is known only when `through`
    was taken to its end as well.
    """

    result: Deidentified
    syntax_uid: str
    _clean: Cleaning | None
    _verifier: PixelVerifier | None

    def through(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The pixel value cleaned, and verified piece by piece. Raises PixelError, Unverified."""
        if self._clean is None or self._verifier is None:
            return iter(chunks)
        if isinstance(self._clean, Anew):
            # Frame by frame the reader has compared what it was with what it is.
            return self._verifier.verified(self._clean.clean(chunks))
        return self._verifier.verified(chunks, self._clean.clean)

    def ahead(self, value: Iterable[Buffer]) -> Pass | None:
        """Verify encapsulated pixel data to its end; returns what of it still has to be done on the way out.

        value: the whole pixel value. None: it leaves as it is. Raises PixelError, Unverified.
        """
        if not isinstance(self._clean, pixels.Blanks | Anew):
            return self.through
        for _ in self.through(value):
            pass
        if isinstance(self._clean, pixels.Blanks) and not self._clean.ranges:
            return None
        return self._clean.clean

    @property
    def length(self) -> int | None:
        """Bytes of the pixel value that leaves, once `through` was taken to its end; None: as many as came in."""
        return self._clean.length if isinstance(self._clean, Anew) else None


def protect(
    deidentifier: Deidentifier,
    stream: DataSetStream,
    value: Callable[[], Iterable[Buffer]],
    *,
    report: bool = False,
    reader: PixelReader | None = None,
    knowledge: Knowledge | None = None,
    accepted: Collection[str] = (),
) -> Protected:
    """De-identify an object and verify what came of it. Raises Refused, PixelError, Unverified where it stays.

    stream: has its header, and the elements of `engine.WANTED`. value: begins to read the pixel value, inflated; used
    where that is encapsulated or has to be looked at. report, knowledge: as `Deidentifier.deidentify` has them. reader:
    looks at pixels; without one, whose may hold text stays. accepted: findings of the verifier that a person calls
    false alarms, as `Finding` writes them; all others count as ever.
    """
    header, pixel = stream.header or b"", stream.pixel
    # The header of a deflated data set comes inflated.
    syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
    profile = deidentifier.profile
    refused = pixels.refusals(header, stream.elements, pixel, stream.syntax)
    own = None if pixel is None else PixelsOf(stream, pixel, value)
    looked = None if refused or own is None else _looked(profile, stream, own, reader)
    try:
        result = deidentifier.deidentify(
            header,
            syntax,
            pixel,
            report=report,
            elements=stream.elements,
            knowledge=knowledge,
            looked=looked,
        )
    except Refused as refusal:
        # With a reader it was something else that kept it from being looked at.
        reasons = [one for one in refusal.reasons if reader is None or one != "detector-unavailable"]
        raise Refused(*dict.fromkeys((*refused, *reasons))) from None
    findings = verify(
        header,
        syntax.uid,
        result.header,
        level=profile.level,
        # What an institution's own profile says of the object is not held against its level.
        site=site_of(profile, deidentifier.applied(header, stream.elements)),
        pixel_length=result.body_length if pixel is not None and not syntax.encapsulated else None,
        known=result.known,
    )
    findings = [
        one for one in findings if one.code not in false_alarms.ANSWERABLE or str(one) not in accepted
    ]
    if findings or refused:
        raise Refused(*dict.fromkeys((*refused, *map(str, findings))))
    syntax_uid = looked.syntax if looked is not None and looked.anew else stream.syntax.uid
    if own is None:
        return Protected(result, syntax_uid, None, None)
    boxes = () if looked is None else looked.boxes
    verifier = PixelVerifier(result.header, syntax_uid, result.pixel_head, result.body_length, boxes)
    return Protected(result, syntax_uid, own.cleaning(looked, reader), verifier)


def _looked(
    profile: Profile, stream: DataSetStream, own: PixelsOf, reader: PixelReader | None
) -> Looked | None:
    """What came of looking at the pixels; None where that is not needed, or cannot help. Raises Refused."""
    header, elements, big = stream.header or b"", stream.elements, stream.syntax.big_endian
    looks = quarantine.looks(header, elements, stream.pixel, big, profile)
    sop_class = text(header, elements.get(quarantine.SOP_CLASS))
    if reader is None or not looks:
        return None
    if quarantine.reasons(header, elements, sop_class, stream.pixel, big, profile):
        return None
    try:
        return own.look(reader)
    except NotRead as error:
        raise Refused(*looks, error.code) from None


def reasons_of(error: Refused | pixels.PixelError | Unverified) -> tuple[str, ...]:
    """Why an object stays: codes with tags and kinds, never a value."""
    return tuple(error.reasons)[:REPORTED] if isinstance(error, Refused) else (error.code,)
