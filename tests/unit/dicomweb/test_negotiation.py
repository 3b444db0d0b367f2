"""Accept headers as clients send them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES, transfer_syntax
from wardlight.dicomweb.media import OCTETS, pixel_syntax, pixel_types
from wardlight.dicomweb.negotiation import MediaRange, json_type, ranges
from wardlight.errors import WardlightError

DICOM = "application/dicom"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", [MediaRange("*/*", True), MediaRange("*/*", False)]),
        ("*/*", [MediaRange("*/*", True), MediaRange("*/*", False)]),
        # dicomweb-client
        (
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            [MediaRange(DICOM, True, "*")],
        ),
        # OHIF: quotes missing, several members, one of them with a weight
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*;q=0.5,"
            ' multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80',
            [MediaRange("image/jls", True, "1.2.840.10008.1.2.4.80"), MediaRange(OCTETS, True, "*", 0.5)],
        ),
        (
            'multipart/related; type="a/b;c,d", text/html',
            [MediaRange("a/b;c,d", True), MediaRange("text/html", False)],
        ),
        ("text/html;q=0", []),
        (" , text/html , ", [MediaRange("text/html", False)]),
    ],
)
def test_ranges(accept: str, expected: list[MediaRange]) -> None:
    assert ranges(accept) == expected


@pytest.mark.parametrize("quality", ["5", "-1", "nan", "inf", "1.1", "0.1234", "", "1e-1"])
def test_weights_are_from_0_to_1(quality: str) -> None:
    with pytest.raises(WardlightError, match="bad-request"):
        ranges(f"text/html;q={quality}")


def test_the_most_specific_member_decides() -> None:
    everything = ranges("*/*, application/dicom;q=0")
    assert not any(row.covers(DICOM) for row in everything if not row.multipart)
    assert any(row.covers("text/html") for row in everything)
    pictures = ranges("image/*;q=0.8, image/jpeg;q=0.2")
    assert [row.weight for row in pictures if row.covers("image/jpeg")] == [0.2]
    assert [row.weight for row in pictures if row.covers("image/png")] == [0.8]
    # A member that asks for one encoding says nothing of the type in others.
    syntaxes = ranges("*/*;q=0.5, application/dicom;transfer-syntax=1.2.840.10008.1.2.4.90")
    assert [row.weight for row in syntaxes if row.covers(DICOM) and not row.multipart] == [1.0, 0.5]


def test_query_parameter_goes_first() -> None:
    assert ranges("text/html", "a=b&accept=application/dicom") == [MediaRange(DICOM, False)]


def test_json() -> None:
    for accept in (
        "",
        "*/*",
        "application/*",
        "application/dicom+json, application/json",
        "text/html, */*;q=0.1",
    ):
        assert json_type(accept) == "application/dicom+json"
    assert json_type("application/json") == "application/json"
    for accept in (
        "text/html",
        'multipart/related; type="application/dicom+xml"',
        "application/dicom+json;q=0",
    ):
        with pytest.raises(WardlightError) as caught:
            json_type(accept)
        assert caught.value.code == "not-acceptable"


@given(st.text(max_size=80))
def test_any_text_is_ranges_or_bad_request(accept: str) -> None:
    try:
        ranges(accept)
    except WardlightError as error:
        assert error.code == "bad-request"


def test_every_transfer_syntax_has_a_media_type() -> None:
    for uid in TRANSFER_SYNTAXES:
        syntax = transfer_syntax(uid)
        types = pixel_types(uid)
        assert types
        if syntax.encapsulated and not uid.endswith(".1.98"):
            assert types != (OCTETS,), uid
        native = not (syntax.encapsulated or syntax.big_endian or syntax.deflated)
        assert (pixel_syntax(uid) == "1.2.840.10008.1.2.1") is native
    assert pixel_types("1.2.3.4") == (OCTETS,)
    assert pixel_syntax("1.2.3.4") == "1.2.3.4"
    assert pixel_types("1.2.840.10008.1.2.4.201") == ("image/jphc",)
