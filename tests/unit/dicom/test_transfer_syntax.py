"""The transfer syntaxes, against pydicom's and the standard's properties."""

from __future__ import annotations

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES, transfer_syntax

STANDARD = sorted(uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax")
#: Newer than pydicom's tables.
NEWER = {f"1.2.840.10008.1.2.4.11{n}" for n in range(3)} | {"1.2.840.10008.1.2.8.1"}
#: pydicom says "compressed" of everything but the plain ones; these have no pixel data in fragments.
WITHOUT_FRAGMENTS = {
    *(
        f"1.2.840.10008.1.2.{n}"
        for n in ("4.94", "4.95", "4.204", "4.205", "6.1", "6.2", "7.1", "7.2", "7.3")
    ),
    "1.2.840.10008.1.20",
}


def test_the_table_is_complete() -> None:
    assert set(TRANSFER_SYNTAXES) == set(STANDARD) | NEWER


@pytest.mark.parametrize("uid", STANDARD)
def test_properties_are_those_of_pydicom(uid: str) -> None:
    syntax, theirs = TRANSFER_SYNTAXES[uid], UID(uid)
    assert syntax.uid == uid
    assert syntax.known
    assert syntax.name == UID_dictionary[uid][0]
    assert syntax.big_endian is not theirs.is_little_endian
    assert syntax.implicit is (theirs.is_implicit_VR or uid == "1.2.840.10008.1.20")
    assert syntax.deflated is (theirs.is_deflated or uid.endswith((".4.95", ".4.205")))
    assert syntax.encapsulated is (theirs.is_compressed and uid not in WITHOUT_FRAGMENTS)


def test_private_and_unknown() -> None:
    unknown = transfer_syntax("1.2.3.4")
    assert not unknown.known
    assert not unknown.implicit
    assert not unknown.big_endian
    assert unknown.encapsulated
    assert unknown.uid == "1.2.3.4"
    general_electric = transfer_syntax("1.2.840.113619.5.2")
    assert general_electric.implicit
    assert not general_electric.known
