"""Which elements of an original study the vault keeps, so that a result can be filed beside it."""

from __future__ import annotations

from typing import Final

from wardlight.deid.harvest import Seen
from wardlight.dicom.elements import scan
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

CHARSET: Final = 0x00080005
PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
ISSUER: Final = 0x00100021
BIRTH_DATE: Final = 0x00100030
SEX: Final = 0x00100040

#: Tag → VR of what a result gets whether it has it or not: by these a PACS knows patient and study (PS3.3 C.7.1.1,
#: C.7.2.1). True: of type 2, so empty where the original had none; else left out then.
ALWAYS: Final[dict[int, tuple[bytes, bool]]] = {
    0x00080020: (b"DA", True),  # StudyDate
    0x00080030: (b"TM", True),  # StudyTime
    0x00080050: (b"SH", True),  # AccessionNumber
    0x00080090: (b"PN", True),  # ReferringPhysicianName
    PATIENT_NAME: (b"PN", True),
    PATIENT_ID: (b"LO", True),
    ISSUER: (b"LO", False),
    BIRTH_DATE: (b"DA", True),
    SEX: (b"CS", True),
    0x00200010: (b"SH", True),  # StudyID
}
#: What a result gets back only where it has it.
WHERE_THERE: Final[dict[int, bytes]] = {
    0x00081030: b"LO",  # StudyDescription
    0x00101010: b"AS",  # PatientAge
}
_WANTED: Final = frozenset({CHARSET, *ALWAYS, *WHERE_THERE})
#: Longer values are none of these.
_LONGEST: Final = 1024


def study_elements(stream: DataSetStream) -> tuple[Seen, ...]:
    """The elements of patient and study in an original header, each with the header's character set."""
    header = stream.header or b""
    syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
    found = scan(header, syntax, wanted=_WANTED).elements
    values = {tag: header[one.value : one.end] for tag, one in found.items() if 0 < one.length <= _LONGEST}
    charset = values.pop(CHARSET, b"")
    kinds = {**{tag: vr for tag, (vr, _) in ALWAYS.items()}, **WHERE_THERE}
    return tuple((tag, kinds[tag], value, charset) for tag, value in sorted(values.items())) or (
        # So that it is told from "the vault has it": the row must be there even of a study that says nothing.
        (CHARSET, b"CS", charset, charset),
    )
