"""A store request keeps memory bounded and says what became of each file, whatever is sent and however it is cut."""

from __future__ import annotations

import hashlib

import pydicom
import pytest
from pydicom.data import get_testdata_file

from unit.web.fakes import TOKENS, Fakes, make, part10
from wardlight.agreements.model import Level
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_LITTLE
from wardlight.errors import WardlightError
from wardlight.ingest import service
from wardlight.ingest.service import Origin, StoreRequest

REQUEST = "0" * 32


@pytest.fixture
def fakes() -> Fakes:
    return make()


def begin(fakes: Fakes, **origin) -> StoreRequest:
    return fakes.services.ingest.open(Origin(TOKENS["admin"], REQUEST, "192.0.2.1", **origin))


def send(request: StoreRequest, file: bytes, step: int = 1 << 20) -> None:
    request.begin()
    for start in range(0, len(file), step):
        request.write(memoryview(file)[start : start + step])
    request.end()


@pytest.mark.parametrize("step", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "JPEG2000.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "reportsi.dcm",
    ],
)
def test_real_files_byte_by_byte(fakes: Fakes, name: str, step: int) -> None:
    with open(get_testdata_file(name), "rb") as stream:
        file = stream.read()
    request = begin(fakes)
    send(request, part10(9))  # so that the file does not start at 0
    send(request, file, step)
    outcomes = request.finish()
    assert [outcome.error for outcome in outcomes] == [None, None]
    row, stored = list(fakes.archive.instances_of.values())[-1]
    assert stored == file
    expected = pydicom.dcmread(get_testdata_file(name))
    assert row.sop_uid == expected.SOPInstanceUID
    assert row.sop_class == expected.SOPClassUID
    assert row.series_uid == expected.SeriesInstanceUID
    assert row.transfer_syntax == expected.file_meta.TransferSyntaxUID
    assert row.sha256 == hashlib.sha256(file[row.dataset_offset :]).digest()
    if row.transfer_syntax == DEFLATED.uid:
        assert (row.pixel, row.header_syntax) == (None, EXPLICIT_LITTLE)
    elif "PixelData" in expected:
        assert row.pixel is not None
        if row.pixel.length >= 0:
            assert file[row.pixel.offset :][: row.pixel.length] == expected.PixelData
        else:
            frames = [file[start : start + length] for start, length in row.pixel.fragments]
            assert frames == list(pydicom.encaps.generate_fragments(expected.PixelData))
        assert file[row.dataset_offset :].startswith(row.header)


def test_segments_are_one_a_study(fakes: Fakes) -> None:
    request = begin(fakes)
    for number in range(4):
        send(request, part10(number, study=f"1.{number % 2}", series=f"1.{number % 2}.1"))
    request.finish()
    assert fakes.archive.commits == len(fakes.archive.targets) == 2


def test_slices_bound_what_is_held(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_HELD_BYTES", 1000)
    request = begin(fakes)
    for number in range(30):
        send(request, part10(number))
        assert request._held <= 1000
    assert 1 < fakes.archive.commits < 15
    assert len(request.finish()) == len(fakes.archive.instances_of) == 30
    request = begin(fakes)
    for number in range(40):
        send(request, part10(1, study=f"2.{number}", series=f"2.{number}.1"))
        assert len(request._segments) <= 17
    request.finish()
    assert len(fakes.archive.instances_of) == 70


def test_abort_drops_everything(fakes: Fakes) -> None:
    request = begin(fakes)
    send(request, part10(1))
    request.begin()
    request.write(memoryview(part10(2))[:-2])
    request.abort()
    request.abort()
    assert fakes.archive.commits == 0
    assert all(writer.aborted for writer in fakes.archive.writers)


def test_one_study_stored_another_not(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    request = begin(fakes)
    send(request, part10(1, study="1.1"))
    send(request, part10(2, study="1.2"))
    commit = fakes.archive.commit

    def failing(target, *rest, **more):
        if target.study_uid == "1.2":
            raise WardlightError("unavailable")
        return commit(target, *rest, **more)

    monkeypatch.setattr(fakes.archive, "commit", failing)
    first, second = request.finish()
    assert first.error is None
    assert second.error is not None and second.error.kind.dicom == 0xA700
    assert [writer.aborted for writer in fakes.archive.writers] == [False, True]


def test_a_file_that_fails_leaves_no_trace(fakes: Fakes) -> None:
    request = begin(fakes)
    send(request, part10(1)[:-1])
    (outcome,) = request.finish()
    assert outcome.error is not None and outcome.error.code == "bad-data-set"
    assert fakes.archive.commits == 0
    assert fakes.archive.writers[0].aborted


def test_segment_that_cannot_be_opened(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_target: object) -> None:
        raise WardlightError("out-of-resources")

    monkeypatch.setattr(fakes.archive, "begin_segment", full)
    request = begin(fakes)
    with pytest.raises(WardlightError) as caught:
        send(request, part10(1))
    assert caught.value.code == "out-of-resources"


def test_people_store_into_images_only(fakes: Fakes) -> None:
    for origin in ({"application": "acme"}, {"level": Level.HIGH}):
        with pytest.raises(WardlightError) as caught:
            begin(fakes, **origin)
        assert caught.value.code == "forbidden"
    assert len(fakes.denials.events) == 2
