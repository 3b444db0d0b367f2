"""A data set made from the DICOM JSON Model is the one that the model was made from: pydicom reads both."""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import PersonName

from real_files import name_of, paths
from wardlight.dicom.errors import DicomError
from wardlight.dicom.from_json import Bulk, BulkValue, ModelError, encode, from_json
from wardlight.dicom.json import to_json
from wardlight.dicom.limits import Limits
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

#: Nobody can take a data set from these (docs/reference/dicom-json.md says why).
UNREADABLE = {
    "DICOMDIR-nooffset",
    "no_meta.dcm",
    "rtplan_truncated.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "MR_truncated.dcm",
}
#: What a data set must not hold, or what the encoding itself decides.
OTHER_GROUPS = (0x0002, 0x0004)


def header_of(path: Path) -> tuple[bytes, Any]:
    file = Part10Stream(lenient=True)
    file.feed(path.read_bytes())
    file.finish()
    assert file.stream is not None and file.stream.header is not None
    return file.stream.header, EXPLICIT_LITTLE if file.stream.syntax.deflated else file.stream.syntax


def read(data_set: bytes) -> Dataset:
    """The data set as pydicom has it."""
    return pydicom.dcmread(
        io.BytesIO(bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0" + data_set)
    )


def differences(ours: Dataset, original: Dataset, path: str = "") -> Iterator[str]:
    tags = {e.tag for e in ours} | {e.tag for e in original}
    for tag in sorted(tags):
        if tag.group in OTHER_GROUPS or tag.element == 0 or tag == 0x00080005 or tag.group == 0x7FE0:
            continue
        if tag not in ours or tag not in original:
            yield f"{path}{tag}: only in {'ours' if tag in ours else 'original'}"
            continue
        left, right = ours[tag], original[tag]
        if isinstance(left.value, Sequence) and isinstance(right.value, Sequence):
            if len(left.value) != len(right.value):
                yield f"{path}{tag}: items"
            for number, (a, b) in enumerate(zip(left.value, right.value, strict=False)):
                yield from differences(a, b, f"{path}{tag}[{number}]")
        elif normal(left.value) != normal(right.value):
            yield f"{path}{tag} {left.VR}: {normal(left.value)!r} is not {normal(right.value)!r}"


def normal(value: Any) -> Any:
    """The value without padding, and without the choice between nothing and one empty value."""
    if isinstance(value, PersonName):
        return str(value).rstrip("=^ \0")
    if isinstance(value, str):
        return value.strip(" \0")
    if isinstance(value, bytes):
        return value + b"\0" * (len(value) & 1)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else round(float(value), 12)
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        found = [normal(v) for v in value]
        return found if len(found) > 1 else found[0] if found else ""
    return "" if value is None else value


@pytest.mark.parametrize("path", paths(), ids=name_of)
def test_real_files_come_back(path: Path) -> None:
    if path.name in UNREADABLE:
        with pytest.raises(DicomError):
            header, syntax = header_of(path)
            to_json(header, syntax)
        return
    header, syntax = header_of(path)
    model = json.loads(json.dumps(to_json(header, syntax)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        original = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        found = list(differences(read(from_json(model)), original))
    if syntax.big_endian:
        # pydicom leaves words as they are in the file.
        found = [difference for difference in found if " OW: " not in difference]
    assert found == []


def test_pydicom_s_own_json() -> None:
    """A model that somebody else's program made, of every kind of value."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Müller^Jürgen"
    ds.PatientComments = "zwei\r\nZeilen"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.FrameIncrementPointer = [0x00181063, 0x00181065]
    ds.PatientWeight = "70.25"
    ds.InstanceNumber = "-7"
    ds.Rows = 512
    ds.add_new(0x00189219, "SS", -3)
    ds.add_new(0x00720082, "SV", [-(2**63), 2**63 - 1])
    ds.add_new(0x00720083, "UV", 2**64 - 1)
    ds.add_new(0x00221094, "OF", b"\0\0\x80?")
    ds.add_new(0x00189306, "FD", [0.1, 1e300])
    ds.add_new(0x00720076, "FL", 0.5)
    ds.add_new(0x00091001, "UN", b"abc")
    ds.add_new(0x00090010, "LO", "ACME")
    inner = Dataset()
    inner.CodeMeaning = "Kopf"
    ds.AnatomicRegionSequence = [inner, Dataset()]
    result = read(from_json(json.loads(ds.to_json())))
    assert list(differences(result, ds)) == []
    assert result.SpecificCharacterSet == "ISO_IR 192"
    assert result.PatientName == ds.PatientName


def model_of(vr: str, *values: Any, tag: str = "00091001") -> dict[str, Any]:
    return {tag: {"vr": vr, "Value": list(values)}}


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ({"0010001": {"vr": "LO"}}, "bad-tag"),
        ({"PatientName": {"vr": "PN"}}, "bad-tag"),
        ({"0008001a": {"vr": "LO"}, "0008001A": {"vr": "LO"}}, "bad-tag"),
        ({"FFFEE000": {"vr": "LO"}}, "bad-tag"),
        ({"00100020": "P1"}, "bad-value"),
        ({"00100020": {"Value": ["P1"]}}, "bad-vr"),
        ({"00100020": {"vr": "XX", "Value": ["P1"]}}, "bad-vr"),
        ({"00100020": {"vr": "LO", "Value": "P1"}}, "bad-value"),
        ({"00100020": {"vr": "LO", "Value": ["P1"], "InlineBinary": "AAAA"}}, "bad-value"),
        ({"00100020": {"vr": "LO", "BulkDataURI": "b"}}, "bulk-missing"),
        ({"00100020": {"vr": "SQ", "BulkDataURI": "b"}}, "bad-value"),
        ({"00091001": {"vr": "OB", "InlineBinary": "A"}}, "bad-value"),
        ({"00091001": {"vr": "OB", "InlineBinary": "AA-_"}}, "bad-value"),
        ({"00091001": {"vr": "LO", "InlineBinary": "AAAA"}}, "bad-value"),
        (model_of("OB", 1), "bad-value"),
        (model_of("LO", "a\\b"), "bad-value"),
        (model_of("LO", 1), "bad-value"),
        (model_of("LO", "\ud800"), "bad-value"),
        (model_of("LT", "a", "b"), "bad-value"),
        (model_of("CS", "Ä"), "bad-value"),
        (model_of("PN", {"Alphabetic": "a=b"}), "bad-value"),
        (model_of("PN", {"Alphabetic": 5}), "bad-value"),
        (model_of("PN", 5), "bad-value"),
        (model_of("US", 70000), "bad-value"),
        (model_of("US", True), "bad-value"),
        (model_of("US", 1.5), "bad-value"),
        (model_of("US", None), "bad-value"),
        (model_of("FL", 1e300), "bad-value"),
        (model_of("FD", "one"), "bad-value"),
        (model_of("AT", "0010"), "bad-value"),
        (model_of("AT", 1), "bad-value"),
        (model_of("DS", True), "bad-value"),
        (model_of("DS", [1]), "bad-value"),
        (model_of("IS", 1.5), "bad-value"),
        (model_of("IS", 10**13), "bad-value"),
        (model_of("IS", float("inf")), "bad-value"),
        (model_of("SQ", "x"), "bad-value"),
    ],
)
def test_what_is_no_model_is_refused_without_its_value(model: dict[str, Any], code: str) -> None:
    with pytest.raises(ModelError) as error:
        from_json(model)
    assert error.value.code == code
    assert str(error.value).startswith(code)
    for value in ("P1", "70000", "one", "Ä", "a=b"):
        assert value not in str(error.value)


def test_the_place_of_an_error() -> None:
    inner = model_of("US", -1, tag="00280010")
    with pytest.raises(ModelError) as error:
        from_json(model_of("SQ", {}, inner, tag="00081140"))
    assert str(error.value) == "bad-value at (0008,1140)(0028,0010)"


def test_limits() -> None:
    nested: dict[str, Any] = {}
    for _ in range(33):
        nested = model_of("SQ", nested)
    with pytest.raises(ModelError, match="depth"):
        from_json(nested)
    few = Limits(elements=5, items=3)
    with pytest.raises(ModelError, match="items"):
        from_json(model_of("SQ", *[{}] * 4), limits=few)
    with pytest.raises(ModelError, match="count"):
        from_json({f"0009{n:04X}": {"vr": "LO"} for n in range(1, 8)}, limits=few)


def test_what_belongs_to_a_file_is_discarded() -> None:
    result = encode({"00020010": {"vr": "UI", "Value": ["1.2"]}, "00100020": {"vr": "LO", "Value": ["P"]}})
    assert result.discarded and result.pieces == [b"\x10\0\x20\0LO\2\0P "]
    assert not encode({"00100000": {"vr": "UL", "Value": [8]}}).discarded


def test_long_values_are_unknown_ones() -> None:
    """PS3.5 6.2.2 note 2: what does not fit 16 bits of length."""
    result = read(from_json(model_of("DS", *[1.25] * 20_000, tag="30060050")))
    assert result["ContourData"].VR == "UN"
    assert result.ContourData.count(b"1.25") == 20_000


def test_decimal_strings_fit_their_sixteen_characters() -> None:
    for number in (1 / 3, -1 / 3, 1e-300 / 3, -1.7976931348623157e308, 123456789012345678, 2**53 + 1.0):
        (text,) = from_json(model_of("DS", number))[8:].decode().strip(" ").split("\\")
        assert len(text) <= 16
        assert math.isclose(float(text), number, rel_tol=1e-8)


def test_character_set_is_declared_where_text_needs_it() -> None:
    assert "SpecificCharacterSet" not in read(from_json(model_of("LO", "plain", tag="00100020")))
    inner = model_of("SQ", model_of("LO", "größer", tag="00080104"), tag="00082112")
    assert read(from_json(inner)).SpecificCharacterSet == "ISO_IR 192"
    empty = {"00080005": {"vr": "CS"}, "00100020": {"vr": "LO", "Value": ["plain"]}}
    assert read(from_json(empty)).SpecificCharacterSet in ("", None)


def test_bulk_values_keep_their_place() -> None:
    places = {
        "one": BulkValue((Bulk(10, 3),)),
        "frames": BulkValue((Bulk(0, 3), Bulk(3, 4)), encapsulated=True),
    }
    model = {
        "00420011": {"vr": "OB", "BulkDataURI": "one"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "frames"},
        "FFFCFFFC": {"vr": "OB", "InlineBinary": "AAA="},
    }
    pieces = encode(model, lambda uri, pixels: places[uri]).pieces
    assert [piece for piece in pieces if isinstance(piece, Bulk)] == [(10, 3), (0, 3), (3, 4)]
    store = b"abcdefghijKLM"
    data = b"".join(store[p[0] : p[0] + p[1]] if isinstance(p, Bulk) else p for p in pieces)
    result = read(data)
    assert result[0x00420011].value == b"KLM\0"
    assert list(pydicom.encaps.generate_frames(result.PixelData, number_of_frames=2)) == [b"abc\0", b"defg"]
    assert result.PixelData[:16] == b"\xfe\xff\0\xe0\x08\0\0\0\0\0\0\0\x0c\0\0\0"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\\0=^"), max_size=20).map(
    lambda t: t.strip(" \0")
)
VALUES = {
    "LO": TEXT,
    "UT": TEXT,
    "PN": st.fixed_dictionaries(
        {"Alphabetic": TEXT.filter(bool)}, optional={"Ideographic": TEXT.filter(bool)}
    ),
    "US": st.integers(0, 65535),
    "SL": st.integers(-(2**31), 2**31 - 1),
    "UV": st.integers(0, 2**64 - 1),
    "FD": st.floats(allow_nan=False, allow_infinity=False),
    "FL": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "IS": st.integers(-(2**31), 2**31 - 1),
    "DS": st.integers(-(10**14), 10**14).map(lambda n: n / 1000),
    "AT": st.integers(0, 2**32 - 1).map("{:08X}".format),
}


def attribute(model: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    found = [
        st.lists(values, min_size=1, max_size=1 if vr == "UT" else 3).map(
            lambda values, vr=vr: {"vr": vr, "Value": values}
        )
        for vr, values in VALUES.items()
    ]
    sequence = st.lists(model, max_size=3).map(
        lambda items: {"vr": "SQ", **({"Value": items} if items else {})}
    )
    return st.one_of(sequence, *found)


TAGS = st.integers(0x00091001, 0x0009_10FF).map("{:08X}".format)
MODELS = st.recursive(
    st.just({}), lambda model: st.dictionaries(TAGS, attribute(model), max_size=4), max_leaves=12
)


@given(MODELS)
def test_any_model_comes_back(model: dict[str, Any]) -> None:
    again = to_json(from_json(model), EXPLICIT_LITTLE)
    again.pop("00080005", None)
    assert slim(again) == slim(model)


def slim(model: dict[str, Any]) -> dict[str, Any]:
    """The model without the choice between no value and empty ones, in order of tags."""
    out = {}
    for tag, found in sorted(model.items()):
        values = found.get("Value", [])
        if found["vr"] == "SQ":
            values = [slim(item) for item in values]
        elif found["vr"] in ("LO", "UT"):
            values = [value or None for value in values]
            values = [] if all(value is None for value in values) else values
        out[tag] = (found["vr"], values)
    return out


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(("SQ", "PN", "OB")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("vr", "Value", "InlineBinary", "BulkDataURI", "00091001", "7FE00010")), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_holds_the_error_is_typed(value: Any) -> None:
    for model in (value, {"00091001": value}, {"00081140": {"vr": "SQ", "Value": value}}):
        try:
            from_json(model)
        except ModelError:
            pass
