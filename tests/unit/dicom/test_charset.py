"""Character sets: the examples of PS3.5 Annexes H to K, every defined term, and no exception for any bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wardlight.dicom.charset import character_sets, decode, encode

#: Term, bytes of (0008,0005), encoded value, text.
STANDARD = {
    "H.3.1": (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "H.3.2": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "I.2": (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "J.1": (
        b"ISO_IR 192",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東=",
    ),
    "J.2": (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    "K.2": (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
}


@pytest.mark.parametrize("name", STANDARD)
def test_examples_of_the_standard_both_ways(name: str) -> None:
    term, value, text = STANDARD[name]
    charsets = character_sets(term)
    assert decode(value, charsets, b"PN") == text
    assert encode(text, charsets, b"PN") == value


#: Every defined term of PS3.3 Tables C.12-2 and C.12-3 with a word only it can write.
SINGLE = {
    "100": "Müller",
    "101": "Wałęsa",
    "109": "ħobża",
    "110": "Ķēniņš",
    "144": "Люкceмбypг",
    "127": "قباني",
    "126": "Διονυσιος",
    "138": "שרון",
    "148": "Çavuşoğlu",
    "203": "Œuvre €",
    "166": "นามสกุล",
    "13": "ﾔﾏﾀﾞ",
}


@pytest.mark.parametrize("number", SINGLE)
@pytest.mark.parametrize(
    "form", ["ISO_IR {}", "ISO 2022 IR {}", "\\ISO 2022 IR {}", "ISO-IR {}", "ISO_IR_{}"]
)
def test_single_byte_sets(number: str, form: str) -> None:
    charsets = character_sets(form.format(number).encode())
    for text in (SINGLE[number], f"A {SINGLE[number]}^B^{SINGLE[number]}=c"):
        encoded = encode(text, charsets, b"PN")
        assert decode(encoded, charsets, b"PN") == text
        assert (b"\x1b" in encoded) is form.startswith("\\")


def test_jis_supplement_and_several_sets_in_one_value() -> None:
    charsets = character_sets(
        b"ISO 2022 IR 6\\ISO 2022 IR 87\\ISO 2022 IR 159\\ISO 2022 IR 100\\ISO 2022 IR 144"
    )
    text = "丂山 Müller Люк 亜"
    encoded = encode(text, charsets, b"LO")
    assert b"\x1b$(D0!" in encoded
    assert decode(encoded, charsets, b"LO") == text


def test_gbk_whose_second_bytes_may_be_a_backslash() -> None:
    charsets = character_sets(b"GBK")
    encoded = encode("乗誠", charsets, b"LO")
    assert b"\\" in encoded
    assert decode(encoded, charsets, b"LO") == "乗誠"


def test_delimiters_end_the_effect_of_escapes() -> None:
    charsets = character_sets(b"ISO 2022 IR 100\\ISO 2022 IR 144")
    value = b"\x1b-L\xd0^\xe4\\\xe4"
    assert decode(value, charsets, b"PN") == "а^ä\\ä"
    assert decode(value, charsets, b"LO") == "а^ф\\ä"
    assert decode(b"\x1b-L\xd0\\\xd0\r\n\xe4", charsets, b"LT") == "а\\а\r\nä"


def test_undeclared_and_misused() -> None:
    assert decode(b"M\xfcller", character_sets(b""), b"PN") == "Müller"
    assert decode(b"M\xfcller", character_sets(b"no such set"), b"PN") == "Müller"
    # An escape of a set that is not declared, an unknown escape, half a character.
    assert decode(b"\x1b$B;3\x1b(B", character_sets(b"ISO_IR 100"), b"PN") == "山"
    assert decode(b"a\x1b%Gb", character_sets(b"\\ISO 2022 IR 87"), b"PN").startswith("a\ufffd")
    assert "\ufffd" in decode(b"\x1b$)C\xb1", character_sets(b"\\ISO 2022 IR 149"), b"PN")
    assert decode(b"\xff\xfe", character_sets(b"ISO_IR 192"), b"PN") == "\ufffd\ufffd"
    # Two-byte sets as value 1.
    assert decode(b"a\x1b$B;3\x1b(B", character_sets(b"ISO 2022 IR 87"), b"PN") == "a山"
    assert decode(b"\xb1\xe8", character_sets(b"ISO 2022 IR 149"), b"PN") == "김"


def test_vrs_of_the_default_repertoire() -> None:
    assert decode(b"\xfc", character_sets(b"ISO_IR 144"), b"CS") == "ü"
    assert encode("ü", character_sets(b"ISO_IR 100"), b"CS") == b"?"


def test_what_cannot_be_encoded() -> None:
    assert encode("山", character_sets(b"ISO_IR 100"), b"PN") == b"?"
    assert encode("山", character_sets(b"\\ISO 2022 IR 144"), b"PN") == b"?"


DECLARED = [b"", b"GBK", b"GB18030", b"ISO_IR 192", b"ISO_IR 100", b"x\xff"]
DECLARED += [f"ISO 2022 IR {number}".encode() for number in (*SINGLE, "87", "159", "149", "58")]
TERMS = st.lists(st.sampled_from(DECLARED), max_size=4).map(b"\\".join)
VRS = st.sampled_from([b"PN", b"LO", b"LT", b"UT", b"CS"])


@settings(max_examples=300)
@given(
    st.lists(st.one_of(st.binary(max_size=8), st.just(b"\x1b"), st.just(b"\x1b$B")), max_size=8), TERMS, VRS
)
def test_any_bytes_decode(parts: list[bytes], terms: bytes, vr: bytes) -> None:
    decode(b"".join(parts), character_sets(terms), vr).encode("utf-8")


@settings(max_examples=300)
@example("ﾔ", b"ISO 2022 IR 87", b"PN")  # EUC-JP has half-width katakana, JIS X 0208 has not
@given(st.text(alphabet="a^=\\ \r\nüЛ山김ﾔ丂", max_size=12), TERMS, VRS)
def test_what_is_encoded_decodes_to_the_same(text: str, terms: bytes, vr: bytes) -> None:
    charsets = character_sets(terms)
    encoded = encode(text, charsets, vr)
    if b"?" not in encoded:
        assert decode(encoded, charsets, vr) == text
