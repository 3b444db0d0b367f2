"""The state of one object while it is rewritten: what was seen, what stays, and where the rewriter is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

from wardlight.deid.days import Day
from wardlight.deid.documents import Document
from wardlight.deid.structured import Concepts, Content, names_places
from wardlight.deid.uids import patient_of
from wardlight.dicom.codec import Codec

#: How far into an item its coding scheme is looked for; it is the second element of a code.
_AHEAD: Final = 256
Tag = tuple[tuple[bytes, Literal["little", "big"]], ...]
"""A tag as it is written in either byte order."""
_SCHEMES: Final[Tag] = ((b"\x08\x00\x02\x01", "little"), (b"\x00\x08\x01\x02", "big"))
_ISSUERS: Final[Tag] = ((b"\x10\x00\x21\x00", "little"), (b"\x00\x10\x00\x21", "big"))
Watched = tuple[tuple[int, ...], tuple[set[bytes], set[bytes], set[Day], set[bytes]], int]
"""What was noted until then: lengths of lists, and sets."""
Noted = tuple[tuple[list[Any], ...], tuple[frozenset[Any], ...]]
"""What some bytes brought: seen, texts, numbers, structural, binaries; uids, originals, moved, charsets."""
#: What is done at the top level of an object, which is in no item.
_TOP: Final = Content()


class Scrubber(Protocol):
    """Takes harvested words out of a value; the harvest gives it."""

    def scrub(self, value: bytes, vr: bytes, charset: bytes) -> bytes:
        """The value without them."""
        ...

    def in_numbers(self, value: bytes, *, structural: bool) -> bool:
        """Whether an IS or DS value is none, or holds one of the patient's identifiers."""
        ...

    def is_birth(self, day: Day) -> bool:
        """Whether it is a birth date of the patient."""
        ...

    def in_binary(self, value: bytes) -> bool:
        """Whether bytes spell something of the patient's."""
        ...


class ValueMap(Protocol):
    """The keyed replacements of one (application, level); the engine gives it, with bounded caches."""

    def uid(self, value: bytes, /) -> bytes:
        """New UIDs for those of a value."""
        ...

    def identifier(self, value: bytes, /) -> bytes:
        """A keyed identifier."""
        ...

    def of_patient(self, patient: bytes, /) -> bytes:
        """The pseudonym of a patient (`uids.patient_of`)."""
        ...

    def shift(self, value: bytes, days: int, /) -> bytes | None:
        """DA moved back."""
        ...

    def shift_datetime(self, value: bytes, days: int, keep_time: bool, /) -> bytes | None:
        """DT moved back."""
        ...


class ObjectState:
    """What one object brings and leaves while it is rewritten.

    charset: of the data set that is being rewritten. charsets: all that the object declares anywhere, so that text is
    searched in each of them, whatever stands where. lost_codes: code values whose coding scheme turned out not to be
    the one they were kept for. concepts: Table E.3.4-1, None where the object has no content items; content: what it
    says of the data set that is being rewritten; unclear: a content item was not what was read ahead of it.
    """

    __slots__ = (
        *("binaries", "charset", "charsets", "days", "lost_codes", "map", "needles", "numbers", "originals", "seen"),
        *("structural", "texts", "uids", "_code", "_item", "_outer", "_patients"),
        *("age", "alias", "concepts", "content", "document", "issuer", "moved", "unclear", "_fixed"),
    )  # fmt: skip

    def __init__(
        self, value_map: ValueMap, days: int, header: bytes, concepts: Concepts | None = None
    ) -> None:
        self.map = value_map
        self.days = days
        self.needles: Scrubber | None = None
        #: (tag, VR, value, character set where it stood) of what identifies and was removed
        self.seen: list[tuple[int, bytes, bytes, bytes]] = []
        self.texts: list[bytes] = []
        self.numbers: list[bytes] = []
        self.structural: list[bytes] = []
        self.binaries: list[bytes] = []
        self.uids: set[bytes] = set()
        self.originals: set[bytes] = set()
        #: days of dates in text that were moved, as they were
        self.moved: set[Day] = set()
        #: the encapsulated document, where the object has one that can be cleaned
        self.document: Document | None = None
        #: the patient's age at the study by its dates, b"" where they do not tell
        self.age = b""
        #: the issuer of the patient's ID, and who a patient is that was merged with others
        self.issuer = b""
        self.alias: Callable[[bytes], bytes] = _nobody_else
        self.charset = b""
        self.charsets: set[bytes] = {b""}
        self.lost_codes: set[bytes] = set()
        self._item = (header, 0, len(header))
        self._code: tuple[bytes, bytes] | None = None
        self.concepts = concepts
        self.content = _TOP
        self.unclear = False
        self._fixed = concepts is not None and names_places(header)
        self._outer: list[tuple[bytes, tuple[bytes, int, int], tuple[bytes, bytes] | None, Content]] = []
        #: pseudonyms given below the top level
        self._patients = 0

    def _lists(self) -> tuple[list[Any], ...]:
        return self.seen, self.texts, self.numbers, self.structural, self.binaries

    def watch(self) -> Watched:
        """From here on what is noted can be told from what was noted before."""
        before = self.uids, self.originals, self.moved, self.charsets
        self.uids, self.originals, self.moved, self.charsets = set(), set(), set(), set()
        return tuple(map(len, self._lists())), before, self._patients

    def noted(self, watched: Watched) -> Noted | None:
        """What was noted since; None where it depends on more than what was read."""
        lengths, before, patients = watched
        since = self.uids, self.originals, self.moved, self.charsets
        self.uids, self.originals, self.moved, self.charsets = before
        lists = tuple(one[length:] for one, length in zip(self._lists(), lengths, strict=True))
        noted: Noted = lists, tuple(frozenset(one) for one in since)
        self._add(noted[1])
        return None if self.lost_codes or self.unclear or self._patients != patients else noted

    def note(self, noted: Noted) -> None:
        """All of this was seen again."""
        for one, more in zip(self._lists(), noted[0], strict=True):
            if more:
                one += more
        self._add(noted[1])

    def _add(self, more: tuple[frozenset[Any], ...]) -> None:
        sets: tuple[set[Any], ...] = self.uids, self.originals, self.moved, self.charsets
        for one, others in zip(sets, more, strict=True):
            if others:
                one |= others

    def enter(self, tag: int, data: bytes, start: int, end: int, codec: Codec) -> None:
        """An item begins: it inherits the character set (PS3.3 C.12.1.1.2) and nothing else."""
        outer = self.content
        self._outer.append((self.charset, self._item, self._code, outer))
        self._item = (data, start, end)
        self._code = None
        if self.concepts is not None:
            entered = self.concepts.entered(outer, tag, data, start, end, codec, self._fixed)
            # The document's own title says what it is, and stands in no item.
            self.unclear = self.unclear or (entered is None and outer is not _TOP)
            self.content = entered or Content()

    def leave(self) -> bool:
        """The item ends; whether it goes. A code that no coding scheme followed belongs to none."""
        if self._code is not None:
            self.lost_codes.add(self._code[0])
        goes = self.content.drop
        self.charset, self._item, self._code, self.content = self._outer.pop()
        return goes

    @property
    def at_top(self) -> bool:
        """Whether the data set that is being rewritten is the object itself, and no item in it."""
        return not self._outer

    def finish(self) -> None:
        """The object ends."""
        if self._code is not None:
            self.lost_codes.add(self._code[0])
            self._code = None

    def declare(self, charset: bytes) -> None:
        """From here on the data set is in this character set."""
        self.charset = charset
        self.charsets.add(charset)

    def pseudonym(self, patient_id: bytes) -> bytes:
        """The pseudonym of whose a patient ID of the current item is.

        It is of the issuer that the item names after it, of the object's where it names none.
        """
        self._patients += 1
        data, start, end = self._item
        issuer = _ahead(data, max(data.find(patient_id, start, end), start), end, _ISSUERS) or self.issuer
        return self.map.of_patient(self.alias(patient_of(issuer, patient_id, b"")))

    def expect_scheme(self, code: bytes) -> bytes:
        """The scheme a code of the current item belongs to, as far as a look ahead can tell; `confirm` must agree."""
        scheme = _scheme_ahead(*self._item)
        self._code = (code, scheme)
        return scheme

    def confirm(self, scheme: bytes) -> None:
        """The coding scheme of the current item, as it is written."""
        if self._code is not None and self._code[1] != scheme:
            self.lost_codes.add(self._code[0])
        self._code = None


def _nobody_else(patient: bytes) -> bytes:
    """A patient who was merged with nobody."""
    return patient


def _scheme_ahead(data: bytes, start: int, end: int) -> bytes:
    """The value of the first (0008,0102) after `start`, b"" where there is none near. Only a guess, and checked."""
    return _ahead(data, start, end, _SCHEMES)


def _ahead(data: bytes, start: int, end: int, forms: Tag) -> bytes:
    """The value of the first such element near after `start`, without padding; b"" without one. Only a guess."""
    for tag, order in forms:
        place = data.find(tag, start, min(end, start + _AHEAD))
        if place >= 0:
            vr, value = data[place + 4 : place + 6], place + 8
            # Two capitals are a VR with its length after it; else the length of an implicit syntax stands there.
            length_at = place + 6 if vr.isalpha() and vr.isupper() else place + 4
            length = int.from_bytes(data[length_at:value], order)
            return data[value : min(value + length, end)].strip(b" \0")
    return b""
