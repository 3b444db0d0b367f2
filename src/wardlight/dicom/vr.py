"""Value representations as sets of their two-byte codes (PS3.5 section 6.2, tables 6.2-1, 7.1-1 and 7.1-2)."""

from __future__ import annotations

from typing import Final

#: VRs with two reserved bytes and a 32-bit length in explicit transfer syntaxes (PS3.5 Table 7.1-1).
LONG_VRS: Final[frozenset[bytes]] = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
#: VRs with a 16-bit length in explicit transfer syntaxes (PS3.5 Table 7.1-2).
SHORT_VRS: Final[frozenset[bytes]] = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
        *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
ALL_VRS: Final = LONG_VRS | SHORT_VRS

#: VRs whose values SpecificCharacterSet (0008,0005) governs (PS3.5 section 6.1.2.2).
CHARSET_VRS: Final[frozenset[bytes]] = frozenset((b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"))
#: Character string VRs of the default repertoire only.
ASCII_VRS: Final[frozenset[bytes]] = frozenset(
    (b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI", b"UR")
)
#: Every VR whose value is a character string.
STRING_VRS: Final = CHARSET_VRS | ASCII_VRS
#: Text VRs that hold one value in which a backslash is an ordinary character.
TEXT_VRS: Final[frozenset[bytes]] = frozenset((b"LT", b"ST", b"UT", b"UR"))
#: Strings whose values a backslash separates.
MULTI_STRING_VRS: Final = STRING_VRS - TEXT_VRS
#: VRs whose value is a stream of bytes or words (PS3.18 F.2.2: InlineBinary or BulkDataURI).
BINARY_VRS: Final[frozenset[bytes]] = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"))
#: Bytes of one value of the binary number VRs; AT is two 16-bit words.
NUMBER_SIZES: Final = dict(
    zip(
        (b"AT", b"FD", b"FL", b"SL", b"SS", b"SV", b"UL", b"US", b"UV"),
        (4, 8, 4, 4, 2, 8, 4, 2, 8),
        strict=True,
    )
)
#: Bytes of one word, for VRs that a change of byte order must swap (PS3.5 section 7.3).
WORD_SIZES: Final = {**NUMBER_SIZES, b"AT": 2, b"OD": 8, b"OF": 4, b"OL": 4, b"OV": 8, b"OW": 2}


def padding(vr: bytes) -> bytes:
    """The byte that makes a value of this VR even in length: NUL for UI and binary VRs, else a space (PS3.5 6.2)."""
    return b" " if vr in STRING_VRS and vr != b"UI" else b"\0"
