"""Names in each character set of PS3.3 C.12.1.1.2, where names stand and where they do not: none survives any level."""

from __future__ import annotations

import secrets

import pytest
from pydicom.dataset import Dataset

from deid_kit import Mint, decode, deidentifier, encode, minimal, sequence, survivors
from wardlight.deid.verify import verify
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

#: Specific Character Set → Python's codec, for all but the default repertoire.
SINGLE = {
    "ISO_IR 100": "latin-1", "ISO_IR 101": "iso8859-2", "ISO_IR 109": "iso8859-3", "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5", "ISO_IR 127": "iso8859-6", "ISO_IR 126": "iso8859-7", "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9", "ISO_IR 203": "iso8859-15", "ISO_IR 166": "tis-620", "ISO_IR 192": "utf-8",
    "GB18030": "gb18030", "GBK": "gbk",
}  # fmt: skip
EXTENDED = {
    # pydicom does not write ISO 2022 IR 203.
    **{f"ISO 2022 IR {n[7:]}": codec for n, codec in SINGLE.items() if n[:8] == "ISO_IR 1" and codec[0] != "u"},
    "ISO 2022 IR 87": "iso2022_jp", "ISO 2022 IR 159": "iso2022_jp_2", "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 58": "gb2312",
}  # fmt: skip
WIDE = {
    "utf-8": "王李張劉陳кирилицаελληνικά", "gb18030": "王李张刘陈杨赵黄周吴徐孙胡朱高林",
    "gbk": "王李张刘陈杨赵黄周吴徐孙", "iso2022_jp": "山田太郎鈴木佐藤高橋田中渡辺伊藤中村",
    "iso2022_jp_2": "丂丄丅丌丒丟丣两丨丫丮丯丰丵", "euc_kr": "김희중홍길동이순신박지성",
    "gb2312": "王李张刘陈杨赵黄周吴徐孙胡朱高林",
}  # fmt: skip


def letters(codec: str) -> str:
    """Letters of a set that ASCII has not, none of which is another with a mark or in another case."""
    if codec in WIDE:
        return WIDE[codec]
    upper = [bytes([number]).decode(codec, "ignore") for number in range(0xA1, 0x100)]
    return "".join(one for one in upper if one.isalpha() and one.lower() == one)


def names(ds: Dataset, mint: Mint, alphabet: str) -> None:
    """A name where it belongs, and where it does not."""
    family = mint.text("family", alphabet, 5)
    given = mint.text("given", alphabet, 5)
    latin = mint.cased("latin")
    ds.PatientName = f"{latin}^Anna={family}^{given}"
    ds.ReferringPhysicianName = mint.text("referrer", alphabet, 5)
    ds.InstitutionName = mint.text("hospital", alphabet, 6)
    texts = f"thorax {family} {given} {latin.upper()}"
    for keyword in ("StudyDescription", "SeriesDescription", "ImageComments", "ManufacturerModelName"):
        setattr(ds, keyword, texts)
    ds.SoftwareVersions = f"VA {mint.values['hospital']}"
    ds.StationName = mint.values["hospital"]
    inner = Dataset()
    inner.RequestedProcedureDescription = texts
    inner.PatientName = family
    ds.RequestAttributesSequence = sequence(inner)


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_names_in_every_character_set(level: str) -> None:
    wrong = []
    for charset, codec in {**SINGLE, **EXTENDED}.items():
        mint = Mint()
        ds = minimal()
        ds.SpecificCharacterSet = ["", charset] if charset in EXTENDED else charset
        names(ds, mint, letters(codec))
        header = encode(ds)
        result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
        left = survivors(mint.values, result.header, decode(result.header))
        left += [
            name for name, value in mint.values.items() if value.encode(codec, "replace") in result.header
        ]
        found = verify(header, EXPLICIT_LITTLE.uid, result.header, level=level)
        if left or found:
            wrong.append((charset, left, [str(one) for one in found]))
    assert wrong == []


@pytest.mark.parametrize("level", ["high", "medium", "low"])
def test_japanese_with_two_sets_and_half_width_letters(level: str) -> None:
    """ISO_IR 13 in the first value, kanji by escape sequences (PS3.5 H.3.2)."""
    mint = Mint()
    ds = minimal()
    ds.SpecificCharacterSet = ["ISO 2022 IR 13", "ISO 2022 IR 87"]
    half = mint.text("half", "ﾔﾏﾀﾞﾀﾛｳｽｽﾞｷｻﾄ", 6)
    kanji = mint.text("kanji", WIDE["iso2022_jp"], 4)
    ds.PatientName = f"{half}^ﾀﾛｳ={kanji}^{mint.text('given', WIDE['iso2022_jp'], 3)}"
    ds.StudyDescription = f"thorax {kanji}"
    ds.SeriesDescription = f"thorax {half}"
    result = deidentifier(level).deidentify(encode(ds), EXPLICIT_LITTLE, None)
    assert survivors(mint.values, result.header, decode(result.header)) == []
    assert verify(encode(ds), EXPLICIT_LITTLE.uid, result.header, level=level) == []


@pytest.mark.parametrize("level", ["high", "medium", "low"])
@pytest.mark.parametrize("declared", ["ISO_IR 100", "", "ISO_IR 144"])
def test_a_name_in_another_set_than_the_one_declared(level: str, declared: str) -> None:
    """UTF-8 under a label that says otherwise, in a name and in a text, as many systems write it."""
    name = "".join(secrets.choice("äöüéèñçåø") for _ in range(6))
    ds = minimal()
    ds.SpecificCharacterSet = declared
    ds.PatientName, ds.StudyDescription = "FAMILY^X", "DESCRIPTION OF NO ONE"
    header = encode(ds)
    swapped = name.encode()
    header = header.replace(b"FAMILY^X", swapped[:8]).replace(
        b"DESCRIPTION OF NO ONE", (b"chest " + swapped[:8]).ljust(21)
    )
    result = deidentifier(level).deidentify(header, EXPLICIT_LITTLE, None)
    # Of some names nothing but signs is left in the declared set; then the verifier holds the object.
    found = verify(header, EXPLICIT_LITTLE.uid, result.header, level=level)
    assert bool(found) == (swapped[:8] in result.header), name
