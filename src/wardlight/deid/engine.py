"""De-identify one object's header: the story of `wardlight.deid`, in order.

1. Look at the top level: SOP class, patient, study, what the pixels may carry. What cannot be cleaned yet is refused.
2. Rewrite every element by the rules of table, profile and SOP class (`actions`), with the patient's keyed values.
3. Search what remains for what identifies (`harvest`); where something was found, rewrite once more without it.
4. Say what was done: markers, and the pixel data's true length.

The output is not trusted: `verify` reads it again, by other code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from wardlight.deid import actions, burned_in_header, dates, quarantine, uids
from wardlight.deid.burned_in import Box, Looked
from wardlight.deid.documents import CLASSES, DOCUMENT, DocumentError, read
from wardlight.deid.handlers import PATIENT_AGE
from wardlight.deid.harvest import Harvester, Seen
from wardlight.deid.keyed_values import KeyedValues
from wardlight.deid.keys import DeidKeys
from wardlight.deid.known import Knowledge
from wardlight.deid.profile import Profile, class_uids
from wardlight.deid.profile_rules import Applied
from wardlight.deid.profile_tables import Decided, Tables
from wardlight.deid.search import MOST_CHARSETS, Needles
from wardlight.deid.standard import attributes
from wardlight.deid.state import ObjectState
from wardlight.deid.structured import Concepts, holds_content
from wardlight.dicom.codec import Codec, codec_of
from wardlight.dicom.elements import Element, scan
from wardlight.dicom.errors import DicomError
from wardlight.dicom.rewrite import Items, Rules, Trace, encode_items, rewrite
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import TransferSyntax

_CHARSET: Final = 0x00080005
_SOP_UID: Final = 0x00080018
_PATIENT_ID: Final = 0x00100020
_ISSUER: Final = 0x00100021
_BIRTH_DATE: Final = 0x00100030
_STUDY_DATE: Final = 0x00080020
_STUDY_UID: Final = 0x0020000D
_SERIES_UID: Final = 0x0020000E
#: Top-level tags the engine looks at before it rewrites; a reader may find them on its own way through the header.
WANTED: Final = quarantine.LOOKED_AT | {
    *(_CHARSET, _SOP_UID, _PATIENT_ID, _ISSUER, _STUDY_UID, _SERIES_UID),
    *(_BIRTH_DATE, _STUDY_DATE, PATIENT_AGE),
}
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+", re.ASCII)

#: CID 7050: the codes of the Basic Profile and its options.
METHODS: Final[dict[str, tuple[str, str]]] = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "graphics": ("113103", "Clean Graphics Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "safe_private": ("113111", "Retain Safe Private Option"),
    "structured": ("113104", "Clean Structured Content Option"),
    "clean_pixels": ("113101", "Clean Pixel Data Option"),
}
#: Body parts whose CT, MR and PT show a face (PS3.15 E.3.2).
_HEADS: Final = frozenset(
    (
        *("HEAD", "BRAIN", "SKULL", "FACE", "HEADNECK", "WHOLEBODY", "ORBIT"),
        *("SINUS", "JAW", "IAC", "EAR", "NECK", "MAXILLA"),
    )
)


class Refused(Exception):
    """The object is not released. reasons: stable codes, some with a tag; never a value."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons: Final = reasons


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the report: the path of tags, what was done ("change", "remove"), and which rule says so."""

    path: tuple[int, ...]
    action: str
    why: str


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A de-identified object. It is complete as header + pixel_head + the pixel value passed through.

    header: encoded data set before the pixel data, in the input's transfer syntax (inflated where that is deflated).
    pixel_head: tag, VR and length of the pixel data element, b"" without one. body_length: bytes of the pixel value
    that follow; None: all fragments with their delimiter. What the input had after that is dropped. UIDs are the new
    ones. study_group: of the original study, 32 hex digits. flags: "face-not-removed". changes: if asked for.
    boxes: blacked out in each frame; frames: looked at for text; matched: strings read that held what identifies.

    For the way back, never shown: patient: the bytes that pseudonym and offset derive from. days: that dates moved
    back, 0 where they stay. uids: originals of all that were replaced. known: what was searched of the patient besides.
    """

    header: bytes
    pixel_head: bytes
    body_length: int | None
    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str
    patient_pseudonym: str
    study_group: str
    flags: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    patient: bytes = field(default=b"", repr=False)
    days: int = field(default=0, repr=False)
    uids: frozenset[bytes] = field(default=frozenset(), repr=False)
    known: tuple[Seen, ...] = field(default=(), repr=False)
    boxes: tuple[Box, ...] = ()
    frames: int = 0
    matched: int = 0


class Deidentifier:
    """De-identifies objects for one (application, level). May be used by several threads."""

    def __init__(self, profile: Profile, keys: DeidKeys) -> None:
        self.profile: Final = profile
        self._values: Final = KeyedValues(keys)
        self._harvester: Final = Harvester()
        self._tables: Final = Tables(profile)
        self._concepts: Final = Concepts(profile)
        self._markers: Final = lru_cache(16)(self._make_markers)

    def applied(self, header: bytes, elements: Mapping[int, Element]) -> Applied:
        """The profile's overrides that hold in an object; as `deidentify` has them."""
        of = (_text(header, elements, tag) for tag in (quarantine.SOP_CLASS, quarantine.MODALITY))
        return self._tables.decided(*of).applied

    def new_uid(self, uid: bytes) -> bytes:
        """What stands for one UID in everything that this makes; both without padding."""
        made: bytes = self._values.uid(uid)
        return made.rstrip(b"\0")

    def deidentify(
        self,
        header: bytes,
        syntax: TransferSyntax,
        pixel: PixelElement | None,
        *,
        report: bool = False,
        elements: Mapping[int, Element] | None = None,
        knowledge: Knowledge | None = None,
        looked: Looked | None = None,
    ) -> Deidentified:
        """The object without what identifies. Raises Refused where it must not be released.

        header: encoded elements before the pixel data (all of them where there is none), inflated where the syntax is
        deflated. report: also list every change. elements: those of `WANTED` at the top level, where the caller has
        them already (`DataSetStream(wanted=WANTED).elements`). knowledge: of the patient besides the object; what it
        raises is passed on. looked: what came of looking at its pixels; without that, who may have text in them is
        refused. Malformed input is refused as "data-set:<code>".
        """
        try:
            if elements is None:
                elements = scan(header, syntax, wanted=WANTED).elements
            return self._deidentify(header, syntax, pixel, elements, report, knowledge, looked)
        except DicomError as error:
            raise Refused(f"data-set:{error.code}") from None
        except DocumentError as error:
            raise Refused(error.code) from None

    def _deidentify(
        self,
        header: bytes,
        syntax: TransferSyntax,
        pixel: PixelElement | None,
        elements: Mapping[int, Element],
        report: bool,
        knowledge: Knowledge | None,
        looked: Looked | None,
    ) -> Deidentified:
        big = syntax.big_endian
        sop_class = _text(header, elements, quarantine.SOP_CLASS)
        identity = [_value(header, elements, tag) for tag in (_SOP_UID, _STUDY_UID, _SERIES_UID)]
        if not _UID.fullmatch(sop_class) or not all(
            one.strip(b"\0 ") and b"\\" not in one for one in identity
        ):
            raise Refused("missing-identifier")
        if not syntax.implicit and not header[4:6].isalpha():
            # Elements without VR where they must have one: what is rewritten of it would be a mixture nobody can read.
            raise Refused("data-set:bad-vr")
        reasons = quarantine.reasons(header, elements, sop_class, pixel, big, self.profile)
        if self.profile.quarantine_faces and _shows_face(header, elements):
            reasons.append("face")
        if looked is None and (looks := quarantine.looks(header, elements, pixel, big, self.profile)):
            reasons += [*looks, "detector-unavailable"]
        pixel_head, length = b"", None
        if pixel is not None:
            try:
                length = quarantine.body_length(header, elements, pixel, big, syntax.encapsulated)
            except ValueError:
                reasons.append("pixel-geometry-unknown")
            else:
                pixel_head = _pixel_head(pixel, length, big)
        if reasons:
            raise Refused(*reasons)

        issuer, patient_id = _value(header, elements, _ISSUER), _value(header, elements, _PATIENT_ID)
        values = self._values
        patient = uids.patient_of(issuer, patient_id, identity[1])
        if knowledge is not None:
            patient = knowledge.alias(patient)
        pseudonym = values.of_patient(patient)
        days = values.offset(patient)
        modality = _text(header, elements, quarantine.MODALITY)
        decided, rules = self._tables.decided(sop_class, modality), self._tables.rules(sop_class, modality)
        flags = ("face-not-removed",) if self.profile.faces and _shows_face(header, elements) else ()
        concepts = self._concepts if holds_content(header) else None
        state = ObjectState(values, days, header, concepts)
        if sop_class in CLASSES:
            state.document = read(sop_class, _value(header, elements, DOCUMENT), big)
        state.issuer = issuer
        if knowledge is not None:
            state.alias = knowledge.alias
        state.age = dates.age_at(_value(header, elements, _BIRTH_DATE), _value(header, elements, _STUDY_DATE))
        told = PATIENT_AGE in elements or PATIENT_AGE not in decided.kept
        age = b"" if told else dates.coarse_age(state.age, self.profile.ages == "bands") or b""
        trace: Trace | None = [] if report else None
        instead = burned_in_header.written(looked, elements, syntax.uid)
        rules = burned_in_header.without(rules, looked, instead)
        new = self._rewrite(header, syntax, rules, state, (pseudonym, age), flags, trace, instead)
        if len(state.charsets) > MOST_CHARSETS:
            raise Refused("character-sets")
        if state.unclear:
            raise Refused("content-item")
        # Dates that stay as they are cannot give themselves away; the rest has moved, and its originals are searched.
        known = () if knowledge is None else self._known(knowledge, patient, state, decided)
        needles = Needles(
            self._harvester.harvest([*state.seen, *known], syntax),
            state.uids,
            state.originals,
            state.charsets,
        )
        if state.lost_codes or needles.find(state):
            again = ObjectState(values, days, header, concepts)
            again.needles, again.lost_codes = needles, set(state.lost_codes)
            again.age, again.document = state.age, state.document
            again.issuer, again.alias = state.issuer, state.alias
            trace = [] if report else None
            new = self._rewrite(header, syntax, rules, again, (pseudonym, age), flags, trace, instead)
            if again.lost_codes != state.lost_codes or needles.find(again):
                raise Refused("identifier-left")
        kind = sop_class.encode("ascii")
        if kind not in class_uids():
            kind = values.uid(kind)
        made = [one.rstrip(b"\0").decode("ascii") for one in (kind, *map(values.uid, identity))]
        return Deidentified(
            header=new,
            pixel_head=pixel_head,
            body_length=length,
            sop_class=made[0],
            sop_uid=made[1],
            study_uid=made[2],
            series_uid=made[3],
            patient_pseudonym=pseudonym.decode("ascii"),
            study_group=values.group(identity[1]),
            flags=flags,
            changes=() if trace is None else tuple(_change(path, what, decided) for path, what in trace),
            patient=patient,
            days=days if "modified_dates" in self.profile.options else 0,
            uids=frozenset(one.strip(b"\0 ") for value in state.uids for one in value.split(b"\\")) - {b""},
            known=known,
            boxes=() if looked is None else looked.boxes,
            frames=0 if looked is None else looked.frames,
            matched=burned_in_header.matched(looked, needles),
        )

    def _known(
        self, knowledge: Knowledge, patient: bytes, state: ObjectState, decided: Decided
    ) -> tuple[Seen, ...]:
        """What is known besides the object, but for what the profile keeps on purpose."""
        known = knowledge.learn(patient, state.seen)
        return tuple(one for one in known if one[0] not in decided.kept)

    def _rewrite(
        self,
        header: bytes,
        syntax: TransferSyntax,
        rules: Rules,
        state: ObjectState,
        patient: tuple[bytes, bytes],
        flags: tuple[str, ...],
        trace: Trace | None,
        instead: burned_in_header.Written,
    ) -> bytes:
        """The header by the rules. patient: the pseudonym, and the age where it is told anew."""
        pseudonym, age = patient
        insert = (
            (actions.PATIENT_NAME, b"PN", pseudonym),
            (actions.PATIENT_ID, b"LO", pseudonym),
            *(((PATIENT_AGE, b"AS", age),) if age else ()),
            *self._markers(codec_of(syntax, header, 0), flags, state.concepts is not None, bool(instead)),
        )
        if instead:
            insert = tuple(sorted((*insert, *instead)))
        new = rewrite(header, syntax, rules, state, insert=insert, trace=trace)
        state.finish()
        return new

    def _make_markers(
        self, codec: Codec, flags: tuple[str, ...], structured: bool, looked: bool
    ) -> tuple[tuple[int, bytes, bytes], ...]:
        """The elements every output carries (PS3.15 E.1.1, PS3.3 C.7.1.1, C.12.1).

        structured: the object has content items, so that 113104 says something of it. looked: its pixels were looked
        at, so that 113101 does.
        """
        profile = self.profile
        options = profile.options if structured else profile.options - {"structured"}
        options |= {"clean_pixels"} if looked else set()
        applied = ["basic", *sorted(options, key=lambda option: METHODS[option][0])]
        codes = [
            Items(
                (
                    (0x00080100, b"SH", METHODS[o][0].encode()),
                    (0x00080102, b"SH", b"DCM"),
                    (0x00080104, b"LO", METHODS[o][1].encode()),
                )
            )
            for o in applied
        ]
        method = f"Wardlight {profile.name}, PS3.15 {attributes.EDITION}".encode("ascii", "replace")
        dated = b"UNMODIFIED" if "full_dates" in profile.options else b"MODIFIED"
        if not profile.options & {"full_dates", "modified_dates"}:
            dated = b"REMOVED"
        markers: list[tuple[int, bytes, bytes]] = [
            (0x00120062, b"CS", b"YES"),
            (0x00120063, b"LO", method),
            (0x00120064, b"SQ", encode_items(codec, codes)),
        ]
        if "face-not-removed" in flags:
            markers.append((0x00280302, b"CS", b"YES"))
        markers.append((0x00280303, b"CS", dated))
        return tuple(markers)


def _change(path: tuple[int, ...], what: str, decided: Decided) -> Change:
    tag = path[-1]
    if tag & 0x10000:
        return Change(path, what, "private")
    planned = decided.plans.get(tag)
    return Change(path, what, planned.why if planned is not None else "not in the standard")


def _value(header: bytes, elements: Mapping[int, Element], tag: int) -> bytes:
    element = elements.get(tag)
    return b"" if element is None or element.length <= 0 else header[element.value : element.end]


def _text(header: bytes, elements: Mapping[int, Element], tag: int) -> str:
    return _value(header, elements, tag).decode("ascii", "replace").strip("\0 ")


def _shows_face(header: bytes, elements: Mapping[int, Element]) -> bool:
    """Whether it is CT, MR or PT of a head: its face can be recognized."""
    if _text(header, elements, quarantine.MODALITY) not in ("CT", "MR", "PT"):
        return False
    return _text(header, elements, quarantine.BODY_PART) in _HEADS


def _pixel_head(pixel: PixelElement, length: int | None, big: bool) -> bytes:
    """The head of the pixel data element with the length its value is cut to."""
    if length is None or length == pixel.length:
        return pixel.head
    return pixel.head[:-4] + length.to_bytes(4, "big" if big else "little")
