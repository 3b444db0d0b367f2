"""Instances and frames in other transfer syntaxes than they are stored in, read by pydicom and DCMTK."""

from __future__ import annotations

import io
import subprocess
import tracemalloc
import warnings
from functools import cache

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

import frame_kit
import real_files
from frame_kit import EXPLICIT, ROOT
from integration.test_archive_real_files import storable
from wardlight.audit.actions import Action
from wardlight.decoding.model import (
    ENCODED,
    HTJ2K_LOSSLESS,
    HTJ2K_RPCL,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    RLE,
)
from wardlight.dicomweb import retrieve
from wardlight.dicomweb.call import Call, is_uid
from web_kit import a_web, parts

COMPRESSIONS = (RLE, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL)
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
#: What transcoding may change. Group lengths go.
CHANGED = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration", "LossyImageCompression",
           "ExtendedOffsetTable", "ExtendedOffsetTableLengths"}  # fmt: skip
#: pydicom gives no pixels of these: 12-bit JPEG (DCMTK does, in the decoders' own tests), a damaged frame, a damaged
#: number of frames.
NO_REFERENCE = ("JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000-embedded-sequence-delimiter.dcm", "badVR.dcm")


@cache
def images() -> dict[str, bytes]:
    """Real files with pixels that pydicom decodes, by name."""
    found = {}
    for path, data, item in storable():
        if path.name in NO_REFERENCE or not all(map(is_uid, (item.study_uid, item.series_uid, item.sop_uid))):
            continue
        if item.pixel is not None or item.transfer_syntax.endswith(".99"):
            found[path.name] = data
    return found


@cache
def kinds() -> dict[str, bytes]:
    """One small file of each kind: syntax, form of the pixels, number of frames."""
    found = {}
    for name, data in sorted(images().items(), key=lambda row: len(row[1])):
        ds = read(data)
        if any(keyword in ds for keyword in PIXELS):
            key = (ds.file_meta.TransferSyntaxUID, ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.BitsAllocated,
                   ds.BitsStored < ds.BitsAllocated, ds.get("PixelRepresentation"), ds.get("PlanarConfiguration"),
                   frame_kit.frame_count(ds) > 1)  # fmt: skip
            found.setdefault(key, (name, data))
    return dict(found.values())


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data), force=True)


def pixels(data_set: Dataset) -> np.ndarray:
    """The stored values; of the bits of a sample, those that are stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = data_set.pixel_array
    unused = data_set.BitsAllocated - data_set.get("BitsStored", data_set.BitsAllocated)
    return found if found.dtype.kind == "f" or data_set.BitsAllocated == 1 else (found << unused) >> unused


def url(data_set: Dataset) -> str:
    return (
        f"/studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
        f"/instances/{data_set.SOPInstanceUID}"
    )


def asked(syntax: str) -> str:
    return f"application/dicom; transfer-syntax={syntax}" if syntax else "application/dicom"


@pytest.fixture(scope="module")
def web():
    with a_web() as made:
        for data in images().values():
            made.kit.store(data)
        yield made


def check(web, data: bytes, syntax: str) -> Dataset:
    """The instance in this syntax is the stored one but for its encoding."""
    stored = read(data)
    answer = web.get(url(stored), asked(syntax))
    assert answer.status_code == 200, answer.text
    given = read(answer.content)
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={syntax or EXPLICIT}"
    assert given.file_meta.TransferSyntaxUID == (syntax or EXPLICIT)
    assert np.array_equal(pixels(given), pixels(stored))
    icon = stored.get("IconImageSequence", [{}])[0]
    if "PixelData" in icon and icon["PixelData"].is_undefined_length:
        del stored.IconImageSequence  # Its fragments are in the stored syntax.
    assert attributes(given) == attributes(stored)
    assert given.file_meta.FileMetaInformationGroupLength == length_of_meta(answer.content)
    return given


def attributes(data_set: Dataset) -> dict[str, str]:
    """Every attribute but those that transcoding changes, as pydicom shows them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            f"{element.tag} {element.VR}": plain(element)
            for element in data_set
            if element.keyword not in CHANGED and element.tag.element and element.VR != "UN"
        }


def plain(element: pydicom.DataElement) -> str:
    if element.VR == "SQ":
        return str([attributes(item) for item in element.value])
    if element.VR == "OW":  # pydicom leaves the byte order of words to its caller.
        return str(sorted(element.value))
    return repr(element.value)


def length_of_meta(data: bytes) -> int:
    """Bytes of group 0002 after its length element."""
    file = io.BytesIO(data)
    pydicom.filereader.read_preamble(file, False)
    pydicom.filereader._read_file_meta_info(file)
    return file.tell() - 144


@pytest.mark.parametrize("name", sorted(kinds()))
def test_explicit_little_endian_is_the_default_and_keeps_everything(web, name):
    data = kinds()[name]
    check(web, data, "")
    check(web, data, EXPLICIT)


@pytest.mark.parametrize(
    "name",
    # The largest is one of several of many frames.
    [
        pytest.param(name, marks=pytest.mark.long if name == "ultrasound-multiframe.dcm" else ())
        for name in sorted(kinds())
    ],
)
def test_each_kind_of_image_in_each_lossless_syntax(web, name):
    data = kinds()[name]
    stored = read(data)
    frame = frame_kit.describe(stored)
    for syntax in COMPRESSIONS:
        if syntax == stored.file_meta.TransferSyntaxUID:
            assert web.get(url(stored), asked(syntax)).content == data
        elif frame.bits_allocated in ENCODED[syntax] and not frame.floating:
            given = check(web, data, syntax)
            if frame.samples == 3:
                described(given)
        else:
            assert web.get(url(stored), asked(syntax)).status_code == 406


def described(given: Dataset) -> None:
    """PS3.5 8.2.2 to 8.2.4: how colour is described in each syntax."""
    syntax = given.file_meta.TransferSyntaxUID
    assert given.PlanarConfiguration == (1 if syntax == RLE else 0)
    if syntax in (JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS, HTJ2K_RPCL):
        assert given.PhotometricInterpretation in ("YBR_RCT", "YBR_FULL")


@pytest.mark.long
@pytest.mark.parametrize("syntax", ["", *COMPRESSIONS])
def test_every_real_image_in_every_syntax(web, syntax):
    for data in images().values():
        stored = read(data)
        if not any(keyword in stored for keyword in PIXELS):
            continue
        frame = frame_kit.describe(stored)
        possible = frame.bits_allocated in ENCODED.get(syntax, (1, 8, 16, 32, 64))
        if possible and syntax != stored.file_meta.TransferSyntaxUID:
            check(web, data, syntax)


@pytest.mark.system
@pytest.mark.parametrize(
    ("syntax", "program"),
    [
        (JPEG_LS_LOSSLESS, "dcmdjpls"),
        pytest.param(RLE, "dcmdrle", marks=pytest.mark.long),
        pytest.param(EXPLICIT, "dcmconv", marks=pytest.mark.long),
    ],
)
def test_dcmtk_reads_what_is_given(web, syntax, program, tmp_path):
    read_by_dcmtk = 0
    for name, data in kinds().items():
        stored = read(data)
        answer = web.get(url(stored), asked(syntax))
        if answer.status_code == 406:
            continue
        (tmp_path / "in.dcm").write_bytes(answer.content)
        done = subprocess.run(
            [program, tmp_path / "in.dcm", tmp_path / "out.dcm"], capture_output=True, text=True
        )
        assert done.returncode == 0, (name, done.stderr)
        assert np.array_equal(pixels(pydicom.dcmread(tmp_path / "out.dcm")), pixels(stored)), name
        read_by_dcmtk += 1
    assert read_by_dcmtk > 20


@pytest.mark.system
def test_what_was_jpeg_is_what_dcmtk_makes_of_it(web, tmp_path):
    """Lossy pixels as they come out of a decoder: of grey, the same; of colour, as near as two decoders are."""
    for name in ("JPEG-LL.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_dcmtk_+eb+cr.dcm", "examples_ybr_color.dcm"):
        data = images()[name]
        (tmp_path / "in.dcm").write_bytes(data)
        subprocess.run(["dcmdjpeg", tmp_path / "in.dcm", tmp_path / "out.dcm"], check=True)
        other = pydicom.dcmread(tmp_path / "out.dcm")
        given = read(web.get(url(other), asked("")).content)
        assert given.PhotometricInterpretation == other.PhotometricInterpretation, name
        difference = np.abs(given.pixel_array.astype(int) - other.pixel_array.astype(int))
        assert np.percentile(difference, 99) <= 3, name
        if given.get("LossyImageCompression") != "01":
            assert not difference.any(), name


def test_lossy_pixels_say_so_even_if_the_stored_object_does_not(web):
    data = images()["SC_rgb_jpeg_dcmtk.dcm"]
    assert "LossyImageCompression" in check(web, data, "")
    stored = read(data)
    for syntax in COMPRESSIONS:
        given = read(web.get(url(stored), asked(syntax)).content)
        assert given.LossyImageCompression == "01"


def test_a_study_mixes_what_can_be_compressed_and_what_cannot(web):
    mixed = [read(images()[name]) for name in ("CT_small.dcm", "liver_1frame.dcm")]
    report = Dataset()
    report.update({"PatientName": "A^B"})
    study = pydicom.uid.generate_uid()
    files = []
    for number, stored in enumerate(mixed):
        stored.StudyInstanceUID, stored.SOPInstanceUID = study, f"{study}.{number}"
        stored.file_meta.MediaStorageSOPInstanceUID = stored.SOPInstanceUID
        buffer = io.BytesIO()
        stored.save_as(buffer)
        files.append(buffer.getvalue())
    for file in files:
        web.kit.store(file)
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={HTJ2K_RPCL}'
    answer = web.get(f"/studies/{study}", accept)
    assert answer.status_code == 200
    found = {read(body).SOPInstanceUID: headers["content-type"] for headers, body in parts(answer)}
    assert found == {
        f"{study}.0": f"application/dicom; transfer-syntax={HTJ2K_RPCL}",
        f"{study}.1": f"application/dicom; transfer-syntax={EXPLICIT}",
    }


def test_the_best_of_several_syntaxes_is_given(web):
    stored = read(images()["CT_small.dcm"])
    for accept, syntax in (
        (f"{asked(RLE)}; q=0.5, {asked(HTJ2K_RPCL)}; q=0.9", HTJ2K_RPCL),
        (f"{asked(ROOT + '4.50')}, {asked(RLE)}; q=0.1", RLE),
        (f"{asked('*')}, {asked(RLE)}; q=0.1", EXPLICIT),
        (f"{asked(RLE)}; q=0, */*", EXPLICIT),
    ):
        answer = web.get(url(stored), accept)
        given = (
            answer.content
            if answer.headers["content-type"].startswith("application")
            else parts(answer)[0][1]
        )
        assert read(given).file_meta.TransferSyntaxUID == syntax, accept
    assert web.get(url(stored), asked(ROOT + "4.50")).status_code == 406
    assert web.get(url(stored), asked(ROOT + "4.51")).status_code == 406


def test_among_equals_the_stored_encoding_is_given(web):
    """A client that takes several encodings alike gets the one that costs nothing and loses nothing."""
    stored = next(
        found
        for found in map(read, images().values())
        if found.file_meta.TransferSyntaxUID == ROOT + "4.50" and found.get("NumberOfFrames", 1) == 1
    )
    accept = f"{asked(ROOT + '4.90')}, {asked(RLE)}, {asked(ROOT + '4.50')}"
    assert read(web.get(url(stored), accept).content).file_meta.TransferSyntaxUID == ROOT + "4.50"
    accept = f"image/jp2; transfer-syntax={ROOT}4.90, image/jpeg; transfer-syntax={ROOT}4.50"
    answer = web.get(f"{url(stored)}/frames/1", accept)
    assert answer.content[:3] == b"\xff\xd8\xff"
    accept = f"image/jp2; transfer-syntax={ROOT}4.90, image/jpeg; transfer-syntax={ROOT}4.50; q=0.9"
    assert web.get(f"{url(stored)}/frames/1", accept).content[:4] == b"\xff\x4f\xff\x51"


def test_any_syntax_is_the_stored_one_but_never_implicit_or_big_endian(web):
    for name, data in kinds().items():
        stored = read(data)
        syntax = str(stored.file_meta.TransferSyntaxUID)
        answer = web.get(url(stored), asked("*"))
        if syntax in (ROOT.rstrip("."), ROOT + "2"):
            assert read(answer.content).file_meta.TransferSyntaxUID == EXPLICIT, name
            assert web.get(url(stored), asked(syntax)).content == data
        else:
            assert answer.content == data, name


def test_a_frame_that_cannot_be_decoded_is_given_as_it_is_to_who_names_no_syntax(web):
    _, data, _ = next(row for row in storable() if row[0].name == NO_REFERENCE[2])
    web.kit.store(data)
    stored = read(data)
    assert web.get(url(stored), asked("")).content == data
    answer = web.get(url(stored), asked(EXPLICIT))
    assert (answer.status_code, answer.json()["code"]) == (406, "cannot-decode")
    answer = web.get(f"{url(stored)}/frames/1", "application/octet-stream")
    assert (answer.status_code, answer.json()["code"]) == (406, "cannot-decode")
    assert (
        web.get(f"{url(stored)}/frames/1", "application/octet-stream; transfer-syntax=*").status_code == 200
    )


# ---- frames ----


@pytest.mark.parametrize("name", sorted(kinds()))
def test_frames_as_octets_are_what_the_metadata_describes(web, name):
    """Native pixels in little endian, with the colour space and the order of planes that the instance has."""
    stored = read(kinds()[name])
    frame = frame_kit.describe(stored)
    count = frame_kit.frame_count(stored)
    answer = web.get(f"{url(stored)}/frames/{count}", "application/octet-stream")
    if frame.bits_allocated == 1 and stored.file_meta.TransferSyntaxUID.endswith("99"):
        return
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert int(answer.headers["content-length"]) == len(answer.content)
    if frame.native and stored.file_meta.TransferSyntaxUID != ROOT + "2":
        assert answer.content == frame_kit.frame_bytes(stored, count - 1)[: frame.size]
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = pydicom.pixels.get_decoder(stored.file_meta.TransferSyntaxUID)
        expected, _ = decoder.as_array(stored, index=count - 1, raw=True)
    if frame.bits_allocated == 1:
        assert np.array_equal(
            np.unpackbits(np.frombuffer(answer.content, np.uint8), bitorder="little"), expected.ravel()
        )
        return
    if frame.planar and frame.samples > 1:
        expected = np.moveaxis(expected, -1, 0)
    assert np.array_equal(np.frombuffer(answer.content, expected.dtype.newbyteorder("<")), expected.ravel())


def test_frames_in_other_syntaxes_by_media_type_or_parameter(web):
    stored = read(next(path for path in real_files.paths() if path.name == "emri_small_RLE.dcm").read_bytes())
    stored.SOPInstanceUID = stored.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    stored.save_as(buffer := io.BytesIO())
    web.kit.store(buffer.getvalue())
    for accept, media, syntax in (
        ("image/jls", "image/jls", JPEG_LS_LOSSLESS),
        ("image/jp2", "image/jp2", JPEG_2000_LOSSLESS),
        ("image/jphc", "image/jphc", HTJ2K_LOSSLESS),
        (f"image/jphc; transfer-syntax={HTJ2K_RPCL}", "image/jphc", HTJ2K_RPCL),
        ("image/dicom-rle", "image/dicom-rle", RLE),
        (f"application/octet-stream; transfer-syntax={HTJ2K_RPCL}", "application/octet-stream", HTJ2K_RPCL),
        ("application/octet-stream; transfer-syntax=*", "application/octet-stream", RLE),
        (
            f"image/jpeg, application/octet-stream; transfer-syntax={EXPLICIT}; q=0.1",
            "application/octet-stream",
            EXPLICIT,
        ),
        ("*/*", "image/dicom-rle", RLE),
    ):
        multipart = ", ".join(
            f'multipart/related; type="{member.partition(";")[0]}"; {member.partition(";")[2]}'.rstrip("; ")
            for member in accept.split(", ")
        )
        answer = web.get(f"{url(stored)}/frames/3,1,10", multipart if "/*" not in accept else accept)
        assert answer.status_code == 200, (accept, answer.text)
        for number, (headers, body) in zip((3, 1, 10), parts(answer), strict=True):
            assert headers["content-type"] == f"{media}; transfer-syntax={syntax}"
            assert headers["content-location"].endswith(f"/frames/{number}")
            found = decoded(stored, syntax, body)
            assert np.array_equal(found, stored.pixel_array[number - 1]), (accept, number)
    for accept in ("image/jpeg", "image/jpx", "image/jxl", "video/mp4", asked("*"),
                   f"application/octet-stream; transfer-syntax={ROOT}4.50"):  # fmt: skip
        assert web.get(f"{url(stored)}/frames/1", accept).status_code == 406, accept


def decoded(stored: Dataset, syntax: str, body: bytes) -> np.ndarray:
    one = Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
                    "HighBit", "PixelRepresentation"):  # fmt: skip
        setattr(one, keyword, stored[keyword].value)
    one.PixelData = body if syntax == EXPLICIT else pydicom.encaps.encapsulate([body])
    one["PixelData"].VR = "OW" if syntax == EXPLICIT else "OB"
    one["PixelData"].is_undefined_length = syntax != EXPLICIT
    return one.pixel_array


# ---- memory ----


def a_large_image(frames: int) -> bytes:
    """A multi-frame of half a megabyte a frame, in JPEG-LS."""
    stored = read(images()["CT_small.dcm"])
    random = np.random.default_rng(0)
    from imagecodecs import jpegls_encode

    one = (np.add.outer(np.arange(512), np.arange(512)) + random.integers(0, 50, (512, 512))).astype("<u2")
    stored.Rows = stored.Columns = 512
    stored.PixelRepresentation, stored.NumberOfFrames = 0, frames
    stored.SOPInstanceUID = stored.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    stored.file_meta.TransferSyntaxUID = JPEG_LS_LOSSLESS
    stored.PixelData = pydicom.encaps.encapsulate([bytes(jpegls_encode(one))] * frames)
    stored["PixelData"].VR = "OB"
    stored["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    stored.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("target", [EXPLICIT, RLE])
def test_memory_does_not_grow_with_the_number_of_frames(web, target):
    peaks = []
    for frames in (4, 60):
        data = a_large_image(frames)
        web.kit.store(data)
        stored = read(data)
        path = {
            "study": stored.StudyInstanceUID,
            "series": stored.SeriesInstanceUID,
            "instance": stored.SOPInstanceUID,
        }
        archive = web.services.archive
        scope = web.kit.scope(Action.DICOMWEB_STUDY_READ)
        call = Call(archive, web.services.decoders, scope, "", path, "", asked(target))
        del data, stored
        tracemalloc.start()
        total = sum(len(piece) for piece in retrieve.instances(call).body)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total > frames * 150_000
    assert peaks[1] < peaks[0] + (1 << 20), peaks
    assert peaks[1] < 8 << 20, peaks
