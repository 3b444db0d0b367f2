"""What a file holds besides its data set, and a data set besides its image: none of it is in an output.

Preamble, group 0002 with its private and its sender's elements, group 0004, trailing padding, bytes after the data set,
pixel data longer than its geometry, fragments after their delimiter, names of files and folders.
"""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from deid_cli_kit import call, outputs
from deid_kit import Mint, minimal, survivors
from wardlight.cli.deidentify_media import write_dicomdir
from wardlight.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    TransferSyntax,
)

RLE = "1.2.840.10008.1.2.5"


def file_of(ds: Dataset, syntax_uid: str, mint: Mint) -> bytes:
    """A DICOM file with a canary in each place outside its data set."""
    ds.file_meta = meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax_uid
    meta.ImplementationVersionName = mint.word("implementation")
    meta.SourceApplicationEntityTitle = mint.word("source AE")
    meta.SendingApplicationEntityTitle = mint.word("sending AE")
    meta.ReceivingApplicationEntityTitle = mint.word("receiving AE")
    meta.PrivateInformationCreatorUID = mint.uid("private creator")
    meta.PrivateInformation = mint.word("private information").encode()
    ds.preamble = mint.word("preamble").encode().ljust(128, b"!")
    file = io.BytesIO()
    pydicom.dcmwrite(file, ds, enforce_file_format=True)
    return file.getvalue()


def image(mint: Mint) -> Dataset:
    ds = minimal()
    ds.PatientName = mint.cased("family")
    ds.DataSetTrailingPadding = mint.word("trailing padding").encode()
    return ds


def released(folder: Path, content: bytes, mint: Mint, *options: str) -> list[Path]:
    """The outputs of a folder that holds the file under a telling name."""
    source = folder / mint.word("folder") / mint.word("file")
    source.parent.mkdir()
    source.write_bytes(content)
    key = folder / "key"
    key.write_bytes(b"k" * 40)
    result = call(source.parent, folder / "out", "--key-file", key, *options)
    assert result.exit_code == 0, result.output
    return outputs(folder / "out")


def check(paths: list[Path], mint: Mint) -> None:
    assert paths
    for path in paths:
        data = path.read_bytes()
        assert data[:128] == bytes(128)
        assert survivors(mint.values, data + str(path.name).encode(), pydicom.dcmread(path)) == [], path.name
        # What this project says of itself stands in the file meta information, and nothing else.
        assert {element.tag.element for element in pydicom.filereader.read_file_meta_info(path)} <= {
            *(0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x0012, 0x0013)
        }


@pytest.mark.parametrize("level", ["high", "low"])
@pytest.mark.parametrize(
    "syntax", [EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED], ids=lambda one: one.name
)
def test_native_pixel_data_that_is_too_long(tmp_path: Path, level: str, syntax: TransferSyntax) -> None:
    mint = Mint()
    ds = image(mint)
    ds.PixelData = bytes(128) + mint.word("beyond the image").encode()
    content = file_of(ds, syntax.uid, mint)
    if not syntax.deflated:
        content += mint.word("after the data set").encode()
    paths = released(tmp_path, content, mint, "--level", level)
    check(paths, mint)
    assert pydicom.dcmread(paths[0]).PixelData == bytes(128)


@pytest.mark.parametrize("level", ["high", "low"])
def test_what_follows_the_fragments(tmp_path: Path, level: str) -> None:
    mint = Mint()
    ds = image(mint)
    ds.PixelData = encapsulate([rle_of_zeros(mint.word("after the segment").encode())])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    content = file_of(ds, RLE, mint) + mint.word("after the data set").encode()
    check(released(tmp_path, content, mint, "--level", level), mint)


def rle_of_zeros(surplus: bytes) -> bytes:
    """8 x 8 samples of 16 bits, all zero, in two segments (PS3.5 G), and bytes behind the last."""
    segment = bytes((257 - 64, 0))
    head = b"".join(n.to_bytes(4, "little") for n in (2, 64, 66)).ljust(64, b"\0")
    return head + segment + segment + surplus


def test_a_directory_record_in_an_image_goes(tmp_path: Path) -> None:
    mint = Mint()
    ds = image(mint)
    ds.PixelData = bytes(128)
    content = file_of(ds, EXPLICIT_LITTLE.uid, mint)
    place = content.index(b"\x08\x00\x05\x00CS")
    value = mint.word("file set").encode()
    content = (
        content[:place] + b"\x04\x00\x30\x11CS" + len(value).to_bytes(2, "little") + value + content[place:]
    )
    check(released(tmp_path, content, mint), mint)


def test_a_medium_of_outputs_names_nobody(tmp_path: Path) -> None:
    """From a medium with a DICOMDIR to one of the outputs: records, file names and folders."""
    mint = Mint()
    ds = image(mint)
    ds.StudyDescription = ds.SeriesDescription = f"chest {mint.values['family']}"
    ds.AccessionNumber = mint.word("accession")
    ds.PixelData = bytes(128)
    original = tmp_path / "PATIENT"
    original.write_bytes(file_of(ds, EXPLICIT_LITTLE.uid, mint))
    source = write_dicomdir([original], tmp_path / mint.word("medium"))
    assert mint.values["family"].encode() in source.read_bytes()
    key = tmp_path / "key"
    key.write_bytes(b"k" * 40)
    result = call(source, tmp_path / "out", "--key-file", key)
    assert result.exit_code == 0, result.output
    made = write_dicomdir(
        [path for path in outputs(tmp_path / "out") if path.suffix == ".dcm"], tmp_path / "media"
    )
    check([path for path in made.parent.rglob("*") if path.is_file()], mint)
    assert pydicom.dcmread(made).file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
