"""What came of sequences, remembered: the objects of a series have most of theirs in common, byte by byte.

What is remembered is what the rules made of the same bytes in the same circumstances, with all that was noted of them
on the way, so that an object whose sequences were known is searched and counted as if they had been rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wardlight.deid.state import Noted, ObjectState
from wardlight.dicom.codec import Codec

#: Bytes of a sequence that is remembered, and how many of them.
_LONGEST: Final = 4096
_MOST: Final = 1024


class Sequences:
    """For the rules of one (application, level): `dicom.rewrite.Memory`. May be used by several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[bytes | None, int, Noted]] = {}

    def __call__(
        self, state: ObjectState, element: bytes, codec: Codec, anew: Callable[[], tuple[bytes | None, int]]
    ) -> tuple[bytes | None, int]:
        """The element rewritten, and of how many elements it consists."""
        # A search, content items and lost codes make more of an element than its bytes.
        if (
            state.needles is not None
            or state.concepts is not None
            or state.lost_codes
            or len(element) > _LONGEST
        ):
            return anew()
        key = element, codec.implicit, codec.big, state.charset, state.days
        found = self._known.get(key)
        if found is not None:
            state.note(found[2])
            return found[:2]
        before = state.watch()
        new, count = anew()
        noted = state.noted(before)
        if noted is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = new, count, noted
        return new, count
