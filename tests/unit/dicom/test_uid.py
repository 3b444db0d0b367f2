"""UID syntax and the storage SOP classes."""

from __future__ import annotations

import pytest
from pynetdicom.sop_class import _STORAGE_CLASSES

from wardlight.dicom.uid import STORAGE_SOP_CLASSES, is_valid_uid, uid_name


@pytest.mark.parametrize(
    ("uid", "valid"),
    [
        ("1.2.840.10008.1.2", True),
        ("2.25.0", True),
        ("0.1", True),
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),
        ("1.02", False),
        ("1..2", False),
        ("1.2.", False),
        ("", False),
        ("1", False),
        ("1.2\n", False),
        ("1.٢", False),
        ("1.2.840.10008.5.1.4.1.1.2 ", False),
    ],
)
def test_syntax(uid: str, valid: bool) -> None:
    assert is_valid_uid(uid) is valid


def test_every_storage_class_that_pynetdicom_knows() -> None:
    assert set(_STORAGE_CLASSES.values()) <= set(STORAGE_SOP_CLASSES)
    assert all(map(is_valid_uid, STORAGE_SOP_CLASSES))
    assert "1.2.840.10008.1.20.1" not in STORAGE_SOP_CLASSES


def test_names() -> None:
    assert uid_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uid_name("1.2.840.10008.1.1") == "Verification SOP Class"
    assert uid_name("1.2.840.10008.1.2.5") == "RLE Lossless"
    assert uid_name("1.2.3") == ""
