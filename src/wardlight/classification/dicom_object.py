"""A DICOM object: its elements by the standard's table, its identifiability with the evidence, its pixels.

What says that it was de-identified (PS3.3 C.12.1.1.9: PatientIdentityRemoved and its method codes) is believed only as
far as its elements bear it out. It is never called anonymised: that is a person's decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from wardlight.classification.dicom_elements import OPTIONS, Row, reason_of, row_of
from wardlight.classification.fields import labelled_hits, spaced
from wardlight.classification.found import RANK, Confidence, Finding
from wardlight.classification.model import DataClass
from wardlight.deid import quarantine
from wardlight.deid.profile import load_profile
from wardlight.deid.standard.safe_private import SAFE_PRIVATE
from wardlight.dicom.charset import DEFAULT, CharacterSets, character_sets, decode
from wardlight.dicom.dictionary import keyword_of
from wardlight.dicom.elements import Element, text, walk
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

WANTED: Final = frozenset((*quarantine.LOOKED_AT, 0x00080005, 0x00120062))
_CHARSET: Final = 0x00080005
_REMOVED: Final = 0x00120062
_METHODS: Final = 0x00120064
_CODE: Final = 0x00080100
_MARKERS: Final = frozenset((_REMOVED, 0x00120063, _METHODS, 0x00280303, 0x00280302))
_TEXT: Final = frozenset((b"LO", b"LT", b"SH", b"ST", b"UC", b"UT", b"PN", b"AE", b"UR", b"UN"))
_HEADS: Final = frozenset(
    "HEAD BRAIN SKULL FACE HEADNECK WHOLEBODY ORBIT SINUS JAW IAC EAR NECK MAXILLA CSPINE".split()  # noqa: SIM905
)
_HEAD_WORDS: Final = (
    "head",
    "brain",
    "skull",
    "schädel",
    "kopf",
    "tête",
    "crâne",
    "cerebr",
    "cráneo",
    "cranio",
    "hoved",
)
_SAFE_CREATORS: Final = frozenset(row[0] for row in SAFE_PRIVATE)
_VALUE_LIMIT: Final = 64 << 10
#: Elements that the summary names.
_NAMED: Final = 5

Look = Callable[[DataSetStream], "int | str"]
"""Looks at the pixels of the object: how many boxes of text there are, or a code of why it could not."""


def findings(name: str, stream: DataSetStream, look: Look | None = None) -> Iterator[Finding]:
    """All of one object. stream: has its header, and the elements of `WANTED`. Raises DicomError."""
    reading = _Reading(name, stream)
    yield from reading.elements()
    yield from reading.private()
    summary = reading.summary()
    yield summary
    if stream.pixel is not None:
        yield from reading.pixels(summary.data_class, look)


def damaged(name: str) -> Finding:
    """Of an object that cannot be read to the end of its elements: what is not known is taken for identified."""
    why = "damaged: its elements cannot be read to their end, so it may hold anything"
    return Finding(name, DataClass.IMAGE_IDENTIFIED, "dicom-identifiability", Confidence.MEDIUM, why)


class _Reading:
    """One object, read once."""

    def __init__(self, name: str, stream: DataSetStream) -> None:
        self._name = name
        self._stream = stream
        self._header = stream.header or b""
        # The header of a deflated data set comes inflated.
        self._syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
        self._charsets = self._charset()
        self._marked = self._text(_REMOVED).upper() == "YES"
        self._kept = self._options() if self._marked else frozenset()
        self._creators: Counter[tuple[str, str]] = Counter()
        self._direct: list[str] = []
        self._indirect = 0
        self._left: list[str] = []

    def _text(self, tag: int) -> str:
        return text(self._header, self._stream.elements.get(tag))

    def _charset(self) -> CharacterSets:
        element = self._stream.elements.get(_CHARSET)
        return character_sets(self._header[element.value : element.end]) if element else DEFAULT

    def _options(self) -> frozenset[str]:
        """Columns of the table that the object says were applied."""
        found = set()
        for path, element in walk(self._header, self._syntax):
            if element.tag == _CODE and path and path[0] == _METHODS:
                found.add(OPTIONS.get(text(self._header, element), ""))
            if not path and element.tag > _METHODS:
                break
        return frozenset(found - {""})

    def elements(self) -> Iterator[Finding]:
        """Each element that the table names, and what is in the text of the others."""
        creators: dict[tuple[tuple[int, ...], int, int], str] = {}
        for path, element in walk(self._header, self._syntax):
            tag = element.tag
            if (
                element.vr == b"SQ"
                or element.length <= 0
                or tag in _MARKERS
                or (path and path[0] == _METHODS)
            ):
                continue
            value = self._header[element.value : element.end]
            if not value.strip(b"\0 "):
                continue
            if tag & 0x10000:
                low = tag & 0xFFFF
                if 0x10 <= low <= 0xFF:
                    creators[path, tag >> 16, low] = text(self._header, element)
                    continue
                creator = creators.get((path, tag >> 16, low >> 8), "")
                known = "listed in Table E.3.10-1" if creator in _SAFE_CREATORS else "not in Table E.3.10-1"
                self._creators[f"({tag >> 16:04X},eeee)", known] += 1
                yield from self._in_text(path, element, value)
                continue
            row = row_of(tag, element.vr)
            if row is not None:
                if finding := self._of_row(path, element, row):
                    yield finding
            else:
                yield from self._in_text(path, element, value)

    def _of_row(self, path: tuple[int, ...], element: Element, row: Row) -> Finding | None:
        keyword = keyword_of(element.tag) or row.name
        sure = row.confidence
        if self._marked:
            if row.kept & self._kept:
                return None
            if row.action != "X":
                if not row.direct:
                    return None
                # What stands there may be a pseudonym; nobody can tell by looking.
                sure = Confidence.LOW
            else:
                self._left.append(keyword)
        elif row.direct:
            self._direct.append(keyword)
        else:
            self._indirect += 1
        return Finding(
            self._name,
            row.data_class,
            row.detector,
            sure,
            reason_of(row, self._marked and row.action == "X"),
            element=_place(path, element.tag),
            keyword=keyword,
        )

    def _in_text(self, path: tuple[int, ...], element: Element, value: bytes) -> Iterator[Finding]:
        vr = element.vr
        if vr not in _TEXT or (vr == b"UN" and not value.rstrip(b"\0 ").isascii()):
            return
        keyword = keyword_of(element.tag)
        label = spaced(keyword)
        read = decode(value[:_VALUE_LIMIT], self._charsets, vr).strip("\0 ")
        for line in read.splitlines() or [read]:
            for hit in labelled_hits(label, line):
                if hit.data_class is not DataClass.SECRET and RANK[hit.confidence]:
                    self._indirect += 1
                yield Finding(
                    self._name,
                    hit.data_class,
                    hit.detector,
                    hit.confidence,
                    f"{hit.reason}, in the text of {keyword or 'a private element'}",
                    element=_place(path, element.tag),
                    keyword=keyword,
                )

    def private(self) -> Iterator[Finding]:
        """Private elements, by group."""
        for (group, known), count in sorted(self._creators.items()):
            if known.startswith("listed") and "safe_private" in self._kept:
                continue
            yield Finding(
                self._name,
                DataClass.PERSONAL,
                "dicom-private",
                Confidence.LOW if known.startswith("listed") else Confidence.MEDIUM,
                f"{count} private elements of a creator that is {known}; what they hold is not known",
                element=group,
            )

    def summary(self) -> Finding:
        """Identifiability, and what it rests on: after all elements were looked at."""
        if not self._marked:
            image = DataClass.IMAGE_IDENTIFIED
            why = "no marker of de-identification"
            if self._direct:
                named = list(dict.fromkeys(self._direct))
                why += f"; {len(named)} direct identifiers ({', '.join(named[:_NAMED])}{' …' * (len(named) > _NAMED)})"
            else:
                why += "; no direct identifier"
            why += f", {self._indirect} others"
        elif self._left:
            image = DataClass.IMAGE_IDENTIFIED
            named = list(dict.fromkeys(self._left))
            why = f"marked as de-identified, but {', '.join(named[:_NAMED])}{' …' * (len(named) > _NAMED)} is there"
        else:
            image = DataClass.IMAGE_PSEUDONYMISED
            why = "marked as de-identified, and nothing is there that its profile removes"
        sure = (
            Confidence.MEDIUM
            if image is DataClass.IMAGE_IDENTIFIED and not (self._direct or self._left)
            else Confidence.HIGH
        )
        return Finding(self._name, image, "dicom-identifiability", sure, why)

    def pixels(self, image: DataClass, look: Look | None) -> Iterator[Finding]:
        """Faces, and text that may be burned in or was found to be."""
        modality, part = self._text(quarantine.MODALITY), self._text(quarantine.BODY_PART).upper()
        series = self._text(quarantine.SERIES_DESCRIPTION).casefold()
        if modality in ("CT", "MR", "PT"):
            if part in _HEADS:
                why = (
                    f"{modality} of a head or neck by BodyPartExamined: its face can be drawn (PS3.15 E.3.2)"
                )
                yield Finding(self._name, image, "dicom-face", Confidence.HIGH, why, keyword="PixelData")
            elif any(word in series for word in _HEAD_WORDS):
                why = f"{modality} of a head by its description: its face can be drawn (PS3.15 E.3.2)"
                yield Finding(self._name, image, "dicom-face", Confidence.MEDIUM, why, keyword="PixelData")
        pixel = self._stream.pixel
        likely = quarantine.looks(
            self._header, self._stream.elements, pixel, self._syntax.big_endian, load_profile("high")
        )
        said = self._text(quarantine.BURNED_IN).upper()
        if look is None or pixel is None:
            if said == "YES":
                why = "BurnedInAnnotation says that there is text in the pixels"
                yield Finding(self._name, image, "burned-in-text", Confidence.HIGH, why, keyword="PixelData")
            elif likely and not (self._marked and said == "NO"):
                why = f"objects of this kind often have text in their pixels ({likely[0]}); not looked at"
                yield Finding(self._name, image, "burned-in-text", Confidence.LOW, why, keyword="PixelData")
            return
        found = look(self._stream)
        if isinstance(found, str):
            why = f"pixels could not be looked at ({found})"
            yield Finding(self._name, image, "burned-in-text", Confidence.LOW, why, keyword="PixelData")
        elif found:
            why = f"text found in {found} places of the pixels"
            yield Finding(self._name, image, "burned-in-text", Confidence.HIGH, why, keyword="PixelData")


def _place(path: tuple[int, ...], tag: int) -> str:
    """`(0040,A730)[0].(0040,A160)`."""
    pairs = zip(path[::2], path[1::2], strict=True)
    before = "".join(f"({t >> 16:04X},{t & 0xFFFF:04X})[{item}]." for t, item in pairs)
    return f"{before}({tag >> 16:04X},{tag & 0xFFFF:04X})"
