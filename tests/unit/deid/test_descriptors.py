"""What the vocabulary lets through, and what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.deid.descriptors import clean_code, clean_terms, clean_text, terms, vocabulary


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        (b"CT Thorax 1.0 B31f", b"CT Thorax 1.0 B31f"),
        (b"T2_SPC_SAG 3D 2mm", b"T2 SAG 3D 2mm"),
        (b"MRI of Quxley, knee left", b"MRI of knee left"),
        (b"born 12.05.1998", b""),
        (b"ID 123-456-789", b""),
        (b"phone 030 12 34 56", b""),
        (b"4711 chest", b"chest"),
        (b"B31f\\3", b"B31f\\3"),
        ("Schädel".encode("latin-1"), b""),
        (b"\x1b$B;3ED\x1b(J CT", b""),
    ],
)
def test_clean_text(value: bytes, clean: bytes) -> None:
    assert clean_text(value) == clean


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=60))
def test_only_words_of_the_vocabulary_remain(text: str) -> None:
    for word in clean_text(text.encode()).replace(b"\\", b" ").split():
        assert word.isascii()
        letters = "".join(c if c.isalpha() else " " for c in word.decode().lower()).split()
        assert all(len(piece) == 1 or piece.encode() in vocabulary() for piece in letters)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken(value: bytes) -> None:
    assert clean_text(clean_text(value)) == clean_text(value) or b"\x1b" not in value
    clean_terms(value)
    clean_code(value)


def test_coded_strings() -> None:
    assert (
        clean_terms(b"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI\\QUXLEY")
        == b"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI"
    )
    assert clean_terms(b"ORIGINAL\\QUXLEY\\AXIAL") == b"ORIGINAL\\OTHER\\AXIAL"
    assert clean_terms(b"QUXLEY") == b""
    assert clean_terms(b"CHEST") == b"CHEST"
    assert b"MONOCHROME2" in terms()


@pytest.mark.parametrize(
    "value", [b"T-D3000", b"51185008", b"113100", b"24627-2", b"RID1234", b"mm", b"SCT", b"{counts}/s"]
)
def test_published_codes_stay(value: bytes) -> None:
    assert clean_code(value) == value


@pytest.mark.parametrize(
    "value", [b"CT1234567", b"12345678", b"99HOSP", b"A0000048", b"QUXLEY", b"9123456789"]
)
def test_local_codes_go(value: bytes) -> None:
    assert clean_code(value) is None
