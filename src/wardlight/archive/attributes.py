"""Which attributes the index keeps at which level, and what is read from them (PS3.18 section 10.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from wardlight.archive.tables import NO_NUMBER

Attributes = dict[str, Any]
"""A DICOM JSON object: eight hexadecimal digits → {"vr": …, "Value": […]}."""

#: Version of what a sealed blob holds; bound into its associated data.
SCHEMA: Final = 1

STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SOP_UID: Final = 0x00080018
SOP_CLASS: Final = 0x00080016
STUDY_DATE: Final = 0x00080020
MODALITY: Final = 0x00080060
MODALITIES_IN_STUDY: Final = 0x00080061
INSTANCE_AVAILABILITY: Final = 0x00080056
PATIENT_ID: Final = 0x00100020
ISSUER_OF_PATIENT_ID: Final = 0x00100021
SERIES_NUMBER: Final = 0x00200011
INSTANCE_NUMBER: Final = 0x00200013
STUDY_SERIES: Final = 0x00201206
STUDY_INSTANCES: Final = 0x00201208
SERIES_INSTANCES: Final = 0x00201209
REQUEST_ATTRIBUTES: Final = 0x00400275

#: Sealed in the study's row: patient and study modules, and what describes the visit.
STUDY_TAGS: Final = frozenset(
    {
        STUDY_DATE,
        0x00080030,  # Study Time
        0x00080050,  # Accession Number
        0x00080051,  # Issuer of Accession Number Sequence
        0x00080080,  # Institution Name
        0x00080090,  # Referring Physician's Name
        0x00080201,  # Timezone Offset From UTC
        0x00081030,  # Study Description
        0x00081032,  # Procedure Code Sequence
        0x00081048,  # Physician(s) of Record
        0x00081060,  # Name of Physician(s) Reading Study
        0x00081080,  # Admitting Diagnoses Description
        0x00100010,  # Patient's Name
        PATIENT_ID,
        ISSUER_OF_PATIENT_ID,
        0x00100030,  # Patient's Birth Date
        0x00100032,  # Patient's Birth Time
        0x00100040,  # Patient's Sex
        0x00101000,  # Other Patient IDs
        0x00101001,  # Other Patient Names
        0x00101002,  # Other Patient IDs Sequence
        0x00101010,  # Patient's Age
        0x00101020,  # Patient's Size
        0x00101030,  # Patient's Weight
        0x00102160,  # Ethnic Group
        0x00102180,  # Occupation
        0x001021B0,  # Additional Patient History
        0x00104000,  # Patient Comments
        0x00120062,  # Patient Identity Removed
        STUDY_UID,
        0x00200010,  # Study ID
    }
)

#: Sealed in the series' row.
SERIES_TAGS: Final = frozenset(
    {
        0x00080021,  # Series Date
        0x00080031,  # Series Time
        MODALITY,
        0x00080068,  # Presentation Intent Type
        0x00080070,  # Manufacturer
        0x00081010,  # Station Name
        0x0008103E,  # Series Description
        0x00081040,  # Institutional Department Name
        0x00081050,  # Performing Physician's Name
        0x00081070,  # Operators' Name
        0x00081090,  # Manufacturer's Model Name
        0x00180015,  # Body Part Examined
        0x00181000,  # Device Serial Number
        0x00181030,  # Protocol Name
        0x00185100,  # Patient Position
        SERIES_UID,
        SERIES_NUMBER,
        0x00200052,  # Frame of Reference UID
        0x00200060,  # Laterality
        0x00400244,  # Performed Procedure Step Start Date
        0x00400245,  # Performed Procedure Step Start Time
        REQUEST_ATTRIBUTES,
    }
)

#: Sealed in the instance's row.
INSTANCE_TAGS: Final = frozenset(
    {
        0x00080008,  # Image Type
        0x00080012,  # Instance Creation Date
        0x00080013,  # Instance Creation Time
        SOP_CLASS,
        SOP_UID,
        0x00080022,  # Acquisition Date
        0x00080023,  # Content Date
        0x0008002A,  # Acquisition DateTime
        0x00080032,  # Acquisition Time
        0x00080033,  # Content Time
        0x00200012,  # Acquisition Number
        INSTANCE_NUMBER,
        0x00204000,  # Image Comments
        0x00280002,  # Samples per Pixel
        0x00280004,  # Photometric Interpretation
        0x00280008,  # Number of Frames
        0x00280010,  # Rows
        0x00280011,  # Columns
        0x00280100,  # Bits Allocated
        0x0040A043,  # Concept Name Code Sequence
        0x0040A491,  # Completion Flag
        0x0040A493,  # Verification Flag
        0x00420010,  # Document Title
        0x00700080,  # Content Label
        0x00700081,  # Content Description
    }
)

ALL_TAGS: Final = STUDY_TAGS | SERIES_TAGS | INSTANCE_TAGS

#: Returned without being asked for: PS3.18 Tables 10.6.3-3 to 10.6.3-5, and the descriptions people look for.
STUDY_DEFAULT: Final = frozenset(
    {
        STUDY_DATE,
        0x00080030,
        0x00080050,
        INSTANCE_AVAILABILITY,
        MODALITIES_IN_STUDY,
        0x00080090,
        0x00080201,
        0x00081030,
        0x00100010,
        PATIENT_ID,
        0x00100030,
        0x00100040,
        STUDY_UID,
        0x00200010,
        STUDY_SERIES,
        STUDY_INSTANCES,
    }
)
SERIES_DEFAULT: Final = frozenset(
    {
        MODALITY,
        0x00080201,
        0x0008103E,
        0x00180015,
        SERIES_UID,
        SERIES_NUMBER,
        SERIES_INSTANCES,
        0x00400244,
        0x00400245,
        REQUEST_ATTRIBUTES,
    }
)
INSTANCE_DEFAULT: Final = frozenset(
    {
        SOP_CLASS,
        SOP_UID,
        INSTANCE_AVAILABILITY,
        0x00080201,
        INSTANCE_NUMBER,
        0x00280008,
        0x00280010,
        0x00280011,
        0x00280100,
    }
)

# VR of the attributes that are computed from rows.
_COMPUTED_VR: Final = {
    MODALITIES_IN_STUDY: "CS",
    INSTANCE_AVAILABILITY: "CS",
    STUDY_SERIES: "IS",
    STUDY_INSTANCES: "IS",
    SERIES_INSTANCES: "IS",
}


def key_of(tag: int) -> str:
    """A tag as DICOM JSON names it: eight upper-case hexadecimal digits."""
    return f"{tag:08X}"


def only(attributes: Mapping[str, Any], tags: frozenset[int]) -> Attributes:
    """The members whose tag is in `tags`."""
    return {name: value for name, value in attributes.items() if int(name, 16) in tags}


def first_text(attributes: Mapping[str, Any], tag: int) -> str:
    """The first value of an attribute as text; empty where there is none."""
    value = _first(attributes, tag)
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def first_number(attributes: Mapping[str, Any], tag: int, default: int = 0) -> int:
    """The first value as an integer; `default` where there is none or it is not one."""
    value = _first(attributes, tag)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _first(attributes: Mapping[str, Any], tag: int) -> Any:
    values = attributes.get(key_of(tag), {}).get("Value") or (None,)
    return values[0]


def study_date(attributes: Mapping[str, Any]) -> int:
    """Study Date as a number YYYYMMDD; 0 where it is absent, no day of the calendar, or before 1900."""
    text = first_text(attributes, STUDY_DATE).replace(".", "")
    if not (len(text) == 8 and text.isascii() and text.isdigit() and text >= "1900"):
        return 0
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return 0
    return int(text)


def order_number(attributes: Mapping[str, Any], tag: int) -> int:
    """A Series or Instance Number by which rows are ordered; beyond 32 bits it counts as absent."""
    number = first_number(attributes, tag, NO_NUMBER)
    return number if -(2**31) <= number < NO_NUMBER else NO_NUMBER


def frame_bits(attributes: Mapping[str, Any]) -> int:
    """Bits of one frame of native pixel data (PS3.5 section 8.1.1); 0 where an attribute for it is missing.

    YBR_FULL_422 and its kin hold two chrominance samples for two pixels, so two samples a pixel (PS3.3 C.7.6.3.1.2).
    """
    samples = first_number(attributes, 0x00280002, 1)
    if first_text(attributes, 0x00280004) in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        samples = 2
    bits = 1
    for factor in (
        samples,
        first_number(attributes, 0x00280010),
        first_number(attributes, 0x00280011),
        first_number(attributes, 0x00280100),
    ):
        bits *= max(factor, 0)
    return bits if bits < 2**62 else 0


def computed(values: Mapping[int, list[str] | int]) -> Attributes:
    """DICOM JSON of attributes that are computed from rows."""
    return {
        key_of(tag): {"vr": _COMPUTED_VR[tag], "Value": value if isinstance(value, list) else [value]}
        for tag, value in values.items()
    }
