"""The one sequence by which an object becomes one that may leave: refuse, de-identify, verify, pixels.

Receiver, platform and command line all go through `protect`; what each does with the bytes is its own matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wardlight.deid import pixels
from wardlight.deid.engine import Deidentified, Deidentifier, Refused
from wardlight.deid.known import Knowledge
from wardlight.deid.profile_site import site_of
from wardlight.deid.verify import verify
from wardlight.deid.verify_pixels import PixelVerifier, Unverified
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

__all__ = ["NOT_RELEASED", "Buffer", "Pass", "Protected", "protect", "reasons_of"]

Buffer = bytes | memoryview

Pass = Callable[[Iterable[Buffer]], Iterator[Buffer]]
"""What a pixel value goes through on its way out: as many bytes as came in. Raises PixelError, Unverified."""

#: What says that an object must not leave.
NOT_RELEASED: Final = (Refused, pixels.PixelError, Unverified)
#: Most reasons kept of one object: a person needs the kinds, not each of ten thousand elements.
REPORTED: Final = 20


@dataclass(frozen=True, slots=True)
class Protected:
    """An object whose header may leave, and its pixel value through `through` only.

    The cleaning of encapsulated pixel data was found by reading it to its end; what may leave of it is known only when
    `through` was taken to its end as well.
    """

    result: Deidentified
    _cleaning: pixels.Cleaning | None
    _verifier: PixelVerifier | None

    def through(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The pixel value cleaned, and verified piece by piece. Raises PixelError, Unverified."""
        if self._cleaning is None or self._verifier is None:
            return iter(chunks)
        return self._verifier.verified(self._cleaning.clean(chunks))

    def ahead(self, value: Iterable[Buffer]) -> Pass | None:
        """Verify encapsulated pixel data to its end; returns what of it still has to be blanked on the way out.

        value: the whole pixel value. None: it leaves as it is. Raises PixelError, Unverified.
        """
        if not isinstance(self._cleaning, pixels.Blanks):
            return self.through
        for _ in self.through(value):
            pass
        return self._cleaning.clean if self._cleaning.ranges else None


def protect(
    deidentifier: Deidentifier,
    stream: DataSetStream,
    value: Callable[[], Iterable[Buffer]],
    *,
    report: bool = False,
    knowledge: Knowledge | None = None,
) -> Protected:
    """De-identify an object and verify what came of it. Raises Refused, PixelError, Unverified where it stays.

    stream: has its header, and the elements of `engine.WANTED`. value: begins to read the pixel value; used only where
    that is encapsulated. report: as `Deidentifier.deidentify` has it.
    """
    header, pixel = stream.header or b"", stream.pixel
    # The header of a deflated data set comes inflated.
    syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
    profile = deidentifier.profile
    refused = pixels.refusals(header, stream.elements, pixel, stream.syntax)
    try:
        result = deidentifier.deidentify(
            header, syntax, pixel, report=report, elements=stream.elements, knowledge=knowledge
        )
    except Refused as refusal:
        raise Refused(*dict.fromkeys((*refused, *refusal.reasons))) from None
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
    if findings or refused:
        raise Refused(*dict.fromkeys((*refused, *map(str, findings))))
    if pixel is None:
        return Protected(result, None, None)
    verifier = PixelVerifier(result.header, stream.syntax.uid, result.pixel_head, result.body_length)
    cleaning: pixels.Cleaning
    if result.body_length is not None:
        # Native pixel data is large and its rule simple, so it is cleaned and verified while it passes.
        cleaning = pixels.native_of(header, stream.elements, pixel, stream.syntax)
    else:
        cleaning = pixels.check(value(), header, stream.elements, pixel, stream.syntax)
    return Protected(result, cleaning, verifier)


def reasons_of(error: Refused | pixels.PixelError | Unverified) -> tuple[str, ...]:
    """Why an object stays: codes with tags and kinds, never a value."""
    return tuple(error.reasons)[:REPORTED] if isinstance(error, Refused) else (error.code,)
