"""Folding of names and identifiers, and that tokens never lose what the rules of matching find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.archive import names
from wardlight.archive.matching import Rules, is_universal, matcher
from wardlight.archive.postings import (
    PATIENT_NAME,
    Field,
    day_bounds,
    days_of,
    fuzzy_words,
    key_tokens,
    series_tokens,
    study_tokens,
)

ID, ACCESSION = 0x00100020, 0x00080050


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Müller-Lüdenscheidt", ["muller", "ludenscheidt"]),
        ("Straße", ["strasse"]),
        ("STRASSE", ["strasse"]),
        ("Mu\u0308ller^Jo\u0308rg", ["muller", "jorg"]),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", ["ヤマダ", "タロウ"]),
        ("やまだ^たろう", ["ヤマダ", "タロウ"]),
        ("ヤマタ", ["ヤマタ"]),
        (
            "Ægir Þór Łukasz Đoko Ørsted Œuvre ıd",
            ["aegir", "thor", "lukasz", "doko", "orsted", "oeuvre", "id"],
        ),
        ("O'Neill^Mary Ann", ["o", "neill", "mary", "ann"]),
        ("홍^길동", ["홍", "길동"]),
        ("Петров^Иван", ["петров", "иван"]),
        ("^^^", []),
    ],
)
def test_words(name, expected):
    assert names.words(name) == expected


def test_prefixes_by_script():
    assert list(names.prefixes("ludenscheidt")) == ["lu", "lud", "lude", "ludens", "ludensch"]
    assert list(names.prefixes("li")) == ["li"]
    assert list(names.prefixes("ヤマダ")) == ["ヤ", "ヤマ", "ヤマダ"]
    assert list(names.prefixes("山田")) == ["山", "山田"]
    assert list(names.prefixes("홍")) == ["홍"]
    assert names.longest("mulle", names.LATIN_PREFIXES) == "mull"
    assert names.longest("m", names.LATIN_PREFIXES) == ""


def test_phonetic_codes_are_double_metaphone():
    assert names.phonetic("smith") == ("SM0", "XMT")
    assert set(names.phonetic("schmidt")) & set(names.phonetic("smith")) == {"XMT"}
    assert names.phonetic("山田") == ()


def study(**values):
    """Attributes by tag of `ID`s and the name."""
    found = {}
    for tag, value in values.items():
        vr = "PN" if isinstance(value, dict) else "LO"
        found[tag.lstrip("t")] = {"vr": vr, "Value": [value]}
    return found


def test_tokens_of_a_study_by_field():
    tokens = study_tokens(
        {
            "00100010": {
                "vr": "PN", "Value": [{"Alphabetic": "Smith^Jo", "Ideographic": "山田", "Phonetic": "やまだ"}],
            },
            "00100020": {"vr": "LO", "Value": [" Pat-0042 "]},
            "00101000": {"vr": "LO", "Value": ["OTHER1", "OTHER2"]},
            "00101002": {"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["OTHER3"]}}]},
            "00080050": {"vr": "SH", "Value": ["ACC77"]},
            "00200010": {"vr": "SH", "Value": ["S1"]},
            "00100030": {"vr": "DA", "Value": ["1970.02.03"]},
            "00080090": {"vr": "PN", "Value": [{"Alphabetic": "House^Gregory"}]},
        }
    )  # fmt: skip

    def of(field):
        return {value.decode() for number, value in tokens if number == field}

    assert of(Field.PN_FULL) == {"smith jo", "山田", "ヤマダ"}
    assert of(Field.PN_WORD) == {"smith", "jo", "山田", "ヤマダ"}
    assert of(Field.PN_PREFIX) == {"sm", "smi", "smit", "jo", "山", "山田", "ヤ", "ヤマ", "ヤマダ"}
    assert of(Field.PN_PHONETIC) == {"SM0", "XMT", "J", "A"}
    assert of(Field.PATIENT_ID) == {"pat-0042"}
    assert of(Field.PATIENT_ID_PREFIX) == {"pat", "pat-", "pat-00", "pat-0042"}
    assert of(Field.OTHER_ID) == {"other1", "other2", "other3"}
    assert of(Field.ACCESSION) == {"acc77"} and of(Field.ACCESSION_PREFIX) == {"acc7"}
    assert of(Field.STUDY_ID) == {"s1"} and of(Field.BIRTH_DATE) == {"19700203"}
    assert of(Field.REFERRING_WORD) == {"house", "gregory"}
    assert of(Field.REFERRING_PREFIX) >= {"ho", "hou", "gregor"}
    item = {"00400009": {"vr": "SH", "Value": ["SPS-9"]}, "00401001": {"vr": "SH", "Value": ["RP-1"]}}
    assert series_tokens({"00400275": {"vr": "SQ", "Value": [item]}}) == {(14, b"rp-1"), (15, b"sps-9")}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Smith^John", [[(1, b"smith john")]]),
        ("smith*", [[(3, b"smit")]]),
        ("Smith^Jo*", [[(2, b"smith"), (3, b"jo")]]),
        ("S*^Anna", [[(2, b"anna")]]),
        ("S*Anna", []),
        ("*son", []),
        ("?a*", []),
        ("sm?th", [[(3, b"sm")]]),
        ("*^Anna", [[(2, b"anna")]]),
        ("Müller-Lü*", [[(2, b"muller"), (3, b"lu")]]),
        ("山*", [[(3, "山".encode())]]),
        ("Yamada^Tarou=山田*", [[(1, b"yamada tarou"), (3, "山田".encode())]]),
        ("^^", []),
        ("ﾔﾏﾀ*", [[(3, "ヤマ".encode())]]),
        ("ﾔﾏﾀﾞ*", [[(3, "ヤマダ".encode())]]),
        ("ﾔﾏﾀﾞ^ﾀ*", [[(2, "ヤマダ".encode())]]),
    ],
)
def test_keys_of_names(key, expected):
    assert key_tokens((PATIENT_NAME,), key, fuzzy=False) == expected


def test_keys_of_identifiers_and_fuzzy_keys():
    assert key_tokens((ID,), "PAT-0042", fuzzy=False) == [[(5, b"pat-0042")]]
    assert key_tokens((ID,), "PAT-00*", fuzzy=False) == [[(6, b"pat-00")]]
    assert key_tokens((ID,), "PA*", fuzzy=False) == key_tokens((ID,), "*42", fuzzy=False) == []
    assert key_tokens((ACCESSION,), "ACC-77*", fuzzy=False) == [[(9, b"acc-77")]]
    assert key_tokens((0x00400275, 0x00400009), "SPS-9", fuzzy=False) == [[(15, b"sps-9")]]
    assert key_tokens((0x00100030,), "19700101-19701231", fuzzy=False) == []
    assert key_tokens((PATIENT_NAME,), "Smith", fuzzy=True) == [[(2, b"smith")], [(4, b"SM0")], [(4, b"XMT")]]


LETTERS = st.text(st.sampled_from("aAbßéÉe\u0301^ -'=山ヤやﾔﾀﾞㄱㅏ1"), max_size=8)


@given(st.lists(LETTERS, min_size=1, max_size=3), st.data())
def test_what_matches_has_the_tokens_of_its_key(parts, data):
    """Keys are cut out of the value, so that many match; whatever matches must be among the candidates."""
    value = "".join(parts)
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("="), strict=False))
    attribute = {"vr": "PN", "Value": [groups]}
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, len(value)))
    key = value[:start] + data.draw(st.sampled_from(["*", "?", "", "*?"])) + value[end:]
    key += data.draw(st.sampled_from(["", "*", "?"]))
    for rules in (Rules(), Rules(fuzzy=True)):
        alternatives = key_tokens((PATIENT_NAME,), key, fuzzy=rules.fuzzy)
        if is_universal(key) or not alternatives or (rules.fuzzy and not fuzzy_words(key)):
            continue
        if matcher("PN", key, rules)(attribute):
            tokens = study_tokens({"00100010": attribute})
            assert any(set(all_of) <= tokens for all_of in alternatives), (key, value)


@given(st.text("aAßé1- .", max_size=10), st.integers(0, 10), st.sampled_from(["", "*", "?*"]))
def test_identifiers_that_match_have_the_tokens_of_their_key(value, length, wild):
    key = value[:length] + wild if wild else value
    alternatives = key_tokens((ID,), key, fuzzy=False)
    attribute = {"vr": "LO", "Value": [value]}
    if alternatives and matcher("LO", key)(attribute):
        assert any(set(all_of) <= study_tokens({"00100020": attribute}) for all_of in alternatives)


def test_days():
    assert days_of(0) == 0 and days_of(19000102) == 1 and days_of(20260102) == 46022
    assert day_bounds(20260102, 20260102) == (46022, 46022)
    assert day_bounds(20260132, 20260100) == (46052, 46020)
    assert day_bounds(1, 99999999)[0] == 1
    assert day_bounds(20261301, 20261399) == (46386, 46385)
