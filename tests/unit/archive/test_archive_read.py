"""Reading: metadata before and after completion, frames, limits of scopes, the trail of it."""

import json
import struct

import pytest
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from archive_kit import dataset, incoming, part10
from wardlight.access.model import Role
from wardlight.archive import frames
from wardlight.archive.model import PixelIndex
from wardlight.archive.reading import replaced
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR


def metadata(kit, *uids):
    scope = kit.scope(Action.DICOMWEB_METADATA_READ)
    return json.loads(b"[" + b"".join(kit.archive.metadata(scope, *uids, base_url="http://h/dw")) + b"]")


def test_metadata_is_the_same_before_and_after_completion(kit):
    sets = [
        dataset(SeriesInstanceUID=f"1.2.3.4.{n % 2}", SeriesNumber=str(n % 2), InstanceNumber=str(n))
        for n in range(6)
    ]
    kit.store(*sets[:3])
    kit.store(*sets[3:])
    uids = [
        ("1.2.3.4",),
        ("1.2.3.4", "1.2.3.4.1"),
        ("1.2.3.4", "1.2.3.4.0"),
        ("1.2.3.4", "1.2.3.4.1", sets[3].SOPInstanceUID),
    ]
    before = [metadata(kit, *path) for path in uids]
    assert [len(rows) for rows in before] == [6, 3, 3, 1]
    assert kit.archive.complete(WORKER) == 1
    assert [metadata(kit, *path) for path in uids] == before
    numbers = [row["00200013"]["Value"][0] for row in before[0]]
    assert numbers == [0, 2, 4, 1, 3, 5]
    sop = sets[3].SOPInstanceUID
    assert before[3][0]["7FE00010"] == {
        "vr": "OW",
        "BulkDataURI": f"http://h/dw/studies/1.2.3.4/series/1.2.3.4.1/instances/{sop}/bulkdata/7FE00010",
    }
    assert before[3][0]["00100010"]["Value"] == [{"Alphabetic": "Müller-Lüdenscheidt^Anna"}]


def test_completed_metadata_streams_in_bounded_pieces(kit):
    comment = "a comment " * 1000
    kit.store(*(dataset(InstanceNumber=str(n), ImageComments=comment) for n in range(60)))
    before = metadata(kit, "1.2.3.4")
    kit.archive.complete(WORKER)
    scope = kit.scope(Action.DICOMWEB_METADATA_READ)
    pieces = list(kit.archive.metadata(scope, "1.2.3.4", base_url="http://h/dw"))
    assert len(pieces) >= 2 and max(map(len, pieces)) < 600 << 10
    assert json.loads(b"[%s]" % b"".join(pieces)) == before


@pytest.mark.parametrize("size", range(1, 12))
def test_marks_cut_between_pieces_are_replaced(size):
    text = b'"U":"ab"U":"aa "U" "U":"a"U":"ab"U":"'
    pieces = iter([text[start : start + size] for start in range(0, len(text), size)])
    assert b"".join(replaced(pieces, b'"U":"a', b"[X]")) == text.replace(b'"U":"a', b"[X]")


def test_values_that_look_like_our_mark_stay(kit):
    hostile = 'x"BulkDataURI":"wardlight-bulk:y'
    kit.store(dataset(StudyDescription=hostile, ImageComments="wardlight-bulk:/"))
    kit.archive.complete(WORKER)
    row = metadata(kit, "1.2.3.4")[0]
    assert row["00081030"]["Value"] == [hostile]
    assert row["00204000"]["Value"] == ["wardlight-bulk:/"]


def test_unknown_and_other_institutions_are_not_found(kit):
    kit.store(dataset())
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    kit.agree(other)
    stranger = kit.scope(Action.DICOMWEB_STUDY_READ, kit.person(Role.CLINICIAN, other))
    for scope, path in [
        (kit.retrieve, ("1.2.3.5",)),
        (kit.retrieve, ("1.2.3.4", "9.9")),
        (kit.retrieve, ("1.2.3.4", "1.2.3.4.1", "9.9")),
        (stranger, ("1.2.3.4",)),
    ]:
        with pytest.raises(WardlightError) as error:
            kit.archive.instances(scope, *path)
        assert error.value.code == "not-found"
        with pytest.raises(WardlightError) as error:
            kit.archive.metadata(scope, *path, base_url="")
        assert error.value.code == "not-found"
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    with pytest.raises(WardlightError):
        kit.archive.read(stranger, place)


def test_scopes_allow_what_they_say_and_no_more(kit):
    kit.store(dataset())
    for action in (Action.DICOMWEB_STUDY_QUERY, Action.DICOMWEB_METADATA_READ):
        with pytest.raises(WardlightError) as error:
            kit.archive.instances(kit.scope(action), "1.2.3.4")
        assert error.value.code == "forbidden"
    with pytest.raises(WardlightError):
        kit.archive.metadata(kit.query, "1.2.3.4", base_url="")


def test_ranges(kit):
    kit.store(dataset())
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    for start, end in ((-1, 3), (0, place.length + 1), (5, 4)):
        with pytest.raises(WardlightError) as error:
            kit.archive.read(kit.retrieve, place, start, end)
        assert error.value.code == "range-not-satisfiable"


def test_native_frames(kit):
    kit.store(dataset(NumberOfFrames="3", PixelData=bytes(range(96))))
    scope = kit.scope(Action.DICOMWEB_FRAME_READ)
    place = kit.archive.instances(scope, "1.2.3.4")[0]
    table = kit.archive.frames(scope, place)
    assert not table.bit_packed
    assert [b"".join(kit.archive.read(scope, place, *f[0])) for f in table.frames] == [
        bytes(range(n, n + 32)) for n in (0, 32, 64)
    ]


def test_more_frames_than_bytes_is_an_error(kit):
    kit.store(dataset(NumberOfFrames="4", PixelData=bytes(96)))
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    with pytest.raises(WardlightError) as error:
        kit.archive.frames(kit.retrieve, place)
    assert error.value.code == "not-acceptable"


def compressed(number, extended=False, bot=True, fragments=1):
    values = [b"\xff\xd8" + bytes([n]) * 6 + b"\xff\xd9" for n in range(number)]
    ds = dataset(NumberOfFrames=str(number))
    if extended:
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(values)
    else:
        ds.PixelData = encapsulate(values, fragments_per_frame=fragments, has_bot=bot)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return values, part10(ds, JPEGBaseline8Bit)


@pytest.mark.parametrize(
    "options", [{}, {"bot": False}, {"extended": True}, {"fragments": 2}, {"fragments": 3, "bot": False}]
)
def test_encapsulated_frames(kit, options):
    values, file = compressed(4, **options)
    kit.store(file)
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    table = kit.archive.frames(kit.retrieve, place)
    read = [
        b"".join(b"".join(kit.archive.read(kit.retrieve, place, *piece)) for piece in pieces)
        for pieces in table.frames
    ]
    assert read == values
    assert kit.archive.metadata(kit.scope(Action.DICOMWEB_METADATA_READ), "1.2.3.4", base_url="")


def test_extended_offsets_over_several_fragments():
    pixel = PixelIndex(0x7FE00010, 0, -1, ((8, 0), (16, 4), (28, 4), (40, 4)))
    table = frames.encapsulated(pixel, 2, struct.pack("<2Q", 0, 24), lambda a, b: b"")
    assert table.frames == (((16, 20), (28, 32)), ((40, 44),))


def test_frames_that_cannot_be_told_apart():
    pixel = PixelIndex(0x7FE00010, 0, -1, ((8, 0), (16, 4), (28, 4), (40, 4)))
    with pytest.raises(WardlightError) as error:
        frames.encapsulated(pixel, 2, b"", lambda a, b: bytes(b - a))
    assert error.value.code == "not-acceptable"
    video = frames.encapsulated(PixelIndex(0x7FE00010, 0, -1, ((8, 0), (16, 4))), 900, b"", lambda a, b: b"")
    assert video.frames == (((16, 20),),)


def test_bit_packed_frames():
    table = frames.native(PixelIndex(0x7FE00010, 100, 2), 3, 5)
    assert table.bit_packed
    assert tuple(table.frames) == (((100, 101),), ((100, 102),), ((101, 102),))
    assert table.frames[-1] == ((101, 102),) and table.frames[:1] == (((100, 101),),)
    with pytest.raises(IndexError):
        table.frames[3]


def test_deflated_data_sets_give_metadata(kit):
    file = part10(dataset(), DeflatedExplicitVRLittleEndian)
    kit.store(file)
    assert metadata(kit, "1.2.3.4")[0]["00100020"]["Value"] == ["PAT-0042"]
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    assert b"".join(kit.archive.read(kit.retrieve, place)) == file
    assert place.sop_uid == incoming(file, 0).sop_uid


def test_five_hundred_frames_are_two_entries(kit):
    kit.store(dataset(NumberOfFrames="500", PixelData=bytes(500 * 32)))
    before = len(kit.entries())
    for number in range(500):
        scope = kit.scope(Action.DICOMWEB_FRAME_READ)
        place = kit.archive.instances(scope, "1.2.3.4")[0]
        ((start, end),) = kit.archive.frames(scope, place).frames[number]
        if number == 0:
            # Authorised is committed before the first byte.
            assert kit.entries()[-1]["phase"] == "authorised"
        b"".join(kit.archive.read(scope, place, start, end))
    kit.platform.sessions.close()
    authorised, finished = kit.entries()[before:]
    assert authorised["action"] == finished["action"] == "dicomweb:frame:read"
    assert finished["of"] == authorised["id"] and finished["phase"] == "finished"
    assert finished["counts"] == {"requests": 500, "frames": 500, "bytes": 16000}
    references = kit.platform.recorder.references(kit.institution.id)
    assert finished["detail"]["series"] == [
        {"ref": references.series("1.2.3.4.1"), "instances": 0, "frames": 500}
    ]
    assert "request" not in finished and finished["subjects"] == authorised["subjects"]


def test_nothing_is_served_where_the_entry_cannot_be_written(kit, monkeypatch):
    kit.store(dataset())

    def fail(*_, **__):
        raise WardlightError("unavailable")

    monkeypatch.setattr(kit.platform.recorder, "entry", fail)
    with pytest.raises(WardlightError):
        kit.archive.instances(kit.retrieve, "1.2.3.4")
    with pytest.raises(WardlightError):
        kit.archive.metadata(kit.scope(Action.DICOMWEB_METADATA_READ), "1.2.3.4", base_url="")


def test_a_destroyed_key_ends_reading(kit):
    kit.store(dataset())
    place = kit.archive.instances(kit.retrieve, "1.2.3.4")[0]
    kit.platform.keystore.destroy_key(kit.institution.id, place.key_id)
    for call in (
        lambda: kit.archive.read(kit.retrieve, place),
        lambda: kit.archive.instances(kit.retrieve, "1.2.3.4"),
    ):
        with pytest.raises(WardlightError) as error:
            call()
        assert error.value.code == "key-destroyed"
