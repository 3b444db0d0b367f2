"""Corpora and giants are what they say, by pydicom."""

import io

import pydicom
import pytest
from bench import giants
from bench.corpora import canaries, corpus
from bench.deidentification import found_canaries


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("corpora"), "b", 3)


def test_a_corpus_is_the_same_each_time(small, tmp_path):
    again = corpus(tmp_path, "b", 3)
    files = sorted(small.glob("*.dcm"))
    assert len(files) == 3
    assert [path.read_bytes() for path in files] == [
        path.read_bytes() for path in sorted(again.glob("*.dcm"))
    ]


def test_a_file_is_what_a_scanner_sends(small):
    ds = pydicom.dcmread(sorted(small.glob("*.dcm"))[0])
    assert len(list(ds.iterall())) > 100
    assert ds.pixel_array.shape == (160, 160)
    assert any(element.tag.is_private for element in ds)


def test_every_canary_is_in_the_corpus_and_none_in_an_emptied_file(small, tmp_path):
    files = sorted(small.glob("*.dcm"))
    assert found_canaries(files) == set(canaries())
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.PixelData = b"\0\0"
    ds["PixelData"].VR = "OW"
    ds.save_as(tmp_path / "x.dcm")
    assert found_canaries([tmp_path / "x.dcm"]) == set()


@pytest.mark.parametrize("encapsulated", [False, True])
def test_a_giant_is_a_file_of_its_frames(tmp_path, encapsulated):
    giant = giants.multi_frame(tmp_path, 3, encapsulated=encapsulated)
    content = b"".join(giant.pieces)
    assert len(content) == giant.size
    ds = pydicom.dcmread(io.BytesIO(content))
    assert ds.NumberOfFrames == 3 and ds.SOPInstanceUID == giant.names.instance
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1" + ".98" * encapsulated
    if encapsulated:
        frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=3))
    else:
        size = giants.FRAME_BYTES
        frames = [ds.PixelData[at : at + size] for at in range(0, len(ds.PixelData), size)]
    assert frames == [frames[0]] * 3 and len(frames[0]) == giants.FRAME_BYTES
    assert not list(tmp_path.iterdir())


def test_a_crowd_is_one_study_of_instances_that_all_differ(tmp_path):
    rows = list(giants.crowd(tmp_path, 1001))
    read = [pydicom.dcmread(io.BytesIO(content)) for _, content in rows[-2:]]
    assert [str(ds.SeriesInstanceUID) for ds in read] == [row[0].series for row in rows[-2:]]
    assert read[0].SeriesInstanceUID != read[1].SeriesInstanceUID
    assert [ds.file_meta.MediaStorageSOPInstanceUID for ds in read] == [row[0].instance for row in rows[-2:]]
    assert len({names.instance for names, _ in rows}) == 1001
    assert {names.study for names, _ in rows} == {str(read[0].StudyInstanceUID)}
    assert int(read[1].InstanceNumber) == int(read[0].InstanceNumber) + 1


def test_a_population_is_found_by_what_its_persons_say(tmp_path):
    rows = list(giants.population(tmp_path, [0, 41, 999]))
    assert len({names.instance for names, _ in rows}) == 3 * giants.PER_STUDY
    for number, (names, content) in zip((0, 41, 999), rows[:: giants.PER_STUDY], strict=True):
        ds, who = pydicom.dcmread(io.BytesIO(content)), giants.person(number)
        assert (ds.StudyInstanceUID, ds.PatientID, ds.PatientName, ds.StudyDate) == (
            who.study,
            who.patient_id,
            who.name,
            who.date,
        )
        assert ds.SOPInstanceUID == names.instance == giants.as_sent(names, content).sop_instance
    sent = giants.as_sent(*rows[0])
    assert bytes(sent.data) == rows[0][1][-len(sent.data) :]
