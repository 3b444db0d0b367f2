"""Single values of stored instances: found without the whole data set, in little endian, in any range."""

from __future__ import annotations

import io
import json

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from archive_kit import dataset
from wardlight.archive import values
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError

#: Places within one instance are the same on every store.
pytestmark = pytest.mark.embedded

WORDS = bytes(range(256)) * 16  # 4 KiB: above what JSON has inline
PIXELS = 0x7FE00010
CURVE, ICON, PRIVATE = 0x50003000, 0x00880200, 0x00091010
ENCODINGS = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def swapped(data: bytes, size: int) -> bytes:
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


def encoded(ds: Dataset, syntax) -> bytes:
    """The file, its binary values being little endian before and in the byte order of the syntax after."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(
        buffer, ds, enforce_file_format=True,
        implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian,
    )  # fmt: skip
    return buffer.getvalue()


def example(syntax) -> Dataset:
    big = not syntax.is_little_endian
    ds = dataset(Rows=32, Columns=64, PixelData=swapped(WORDS, 2) if big else WORDS)
    ds["PixelData"].VR = "OW"
    icon = Dataset()
    icon.Rows = icon.Columns = 4
    icon.PixelData = swapped(WORDS, 2) if big else WORDS
    icon["PixelData"].VR = "OW"
    inner = Dataset()
    inner.add_new(0x00091010, "OB", WORDS)
    icon.add_new(0x0040A730, "SQ", Sequence([Dataset(), inner]))
    ds.IconImageSequence = [icon]
    ds.add_new(0x00091010, "OF", swapped(WORDS, 4) if big else WORDS)
    ds.add_new(0x00091011, "UN", WORDS)
    ds.add_new(0x00091012, "OB", bytes(values._WINDOW))  # longer than what is looked at in one go
    ds.add_new(0x00091013, "OB", WORDS)
    return ds


def stored(kit, data):
    assert kit.store(data) == ["stored"]
    return kit.archive.instances(kit.retrieve, "1.2.3.4")[0]


def read(kit, location, place, start=0, end=None):
    end = place.length if end is None else end
    return b"".join(kit.archive.read_value(kit.retrieve, location, place, start, end))


PATHS = (
    (PIXELS,),
    (ICON, 0, PIXELS),
    (ICON, 0, 0x0040A730, 1, PRIVATE),
    (PRIVATE,),
    (0x00091011,),
    (0x00091013,),
)


@pytest.mark.parametrize("syntax", ENCODINGS, ids=lambda uid: uid.name)
def test_values_of_each_encoding_come_in_little_endian(kit, syntax) -> None:
    location = stored(kit, encoded(example(syntax), syntax))
    for path in PATHS:
        place = kit.archive.value(kit.retrieve, location, path)
        assert (place.path, place.length, place.encapsulated) == (path, len(WORDS), False)
        assert read(kit, location, place) == WORDS, path
        for start, end in ((0, 0), (0, 1), (1, 2), (3, 9), (4095, 4096), (17, 4001)):
            assert read(kit, location, place, start, end) == WORDS[start:end], (path, start, end)
    long = kit.archive.value(kit.retrieve, location, (0x00091012,))
    assert read(kit, location, long) == bytes(values._WINDOW)


@pytest.mark.parametrize("syntax", ENCODINGS, ids=lambda uid: uid.name)
def test_what_metadata_refers_to_is_all_there(kit, syntax) -> None:
    location = stored(kit, encoded(example(syntax), syntax))
    places = kit.archive.values(kit.retrieve, location)
    found = {place.path for place in places}
    assert set(PATHS) <= found
    kit.archive.complete(WORKER)
    (row,) = json.loads(b"[%s]" % b"".join(kit.archive.metadata(kit.retrieve, "1.2.3.4", base_url="")))
    assert row["7FE00010"]["BulkDataURI"].endswith("/bulkdata/7FE00010")
    for place in places:
        assert place == kit.archive.value(kit.retrieve, location, place.path)


def test_fragments_are_joined_without_the_offset_table(kit) -> None:
    icon = Dataset()
    icon.PixelData = encapsulate([b"\xff\xd8icon\xff\xd9"])
    icon["PixelData"].is_undefined_length = True
    ds = dataset(PixelData=encapsulate([b"\xff\xd8frame\xff\xd9" * 400], fragments_per_frame=3))
    ds["PixelData"].is_undefined_length = True
    ds.IconImageSequence = [icon]
    location = stored(kit, encoded(ds, JPEGBaseline8Bit))
    place = kit.archive.value(kit.retrieve, location, (PIXELS,))
    assert place.encapsulated and len(place.spans) == 3
    whole = read(kit, location, place)
    assert whole.rstrip(b"\0") == b"\xff\xd8frame\xff\xd9" * 400
    assert read(kit, location, place, 1200, 2700) == whole[1200:2700]
    place = kit.archive.value(kit.retrieve, location, (ICON, 0, PIXELS))
    assert place.encapsulated
    assert read(kit, location, place).rstrip(b"\0") == b"\xff\xd8icon\xff\xd9"


@pytest.mark.parametrize(
    "path",
    [
        (0x7FE00008,),
        (0x00091099,),
        (ICON,),
        (ICON, 1, PIXELS),
        (ICON, 0, 0x0040A730),
        (ICON, 0, 0x0040A730, 0, PRIVATE),
        (0x00100010, 0, PIXELS),
        (0x00091013, 0, PIXELS),
    ],
)
@pytest.mark.parametrize("syntax", ENCODINGS, ids=lambda uid: uid.name)
def test_what_is_not_there_is_not_found(kit, syntax, path) -> None:
    location = stored(kit, encoded(example(syntax), syntax))
    with pytest.raises(WardlightError) as error:
        kit.archive.value(kit.retrieve, location, path)
    assert error.value.code == "not-found"


def test_a_range_outside_is_refused_and_bytes_are_counted(kit) -> None:
    location = stored(kit, encoded(example(ExplicitVRLittleEndian), ExplicitVRLittleEndian))
    place = kit.archive.value(kit.retrieve, location, (PIXELS,))
    for start, end in ((-1, 5), (5, 4), (0, 4097)):
        with pytest.raises(WardlightError) as error:
            read(kit, location, place, start, end)
        assert error.value.code == "range-not-satisfiable"
    read(kit, location, place, 10, 110)
    kit.platform.sessions.close()
    (entry,) = [row for row in kit.entries("dicomweb:study:read") if row.get("phase") == "finished"]
    assert entry["counts"]["bytes"] == 100  # what was looked at on the way does not count
