"""DCMTK's echoscu, storescu and dcmsend against the node, with every transfer syntax they can propose."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from memory_gateway import MemoryGateway, Stored, node

pytestmark = pytest.mark.system

SC = "1.2.840.10008.5.1.4.1.1.7"
LITTLE = "1.2.840.10008.1.2"

# Option of storescu → what it proposes first. `-x=` takes the byte order of the machine.
UNCOMPRESSED = {"-x=": LITTLE + ".1", "-xe": LITTLE + ".1", "-xb": LITTLE + ".2", "-xi": LITTLE}
COMPRESSED = {
    "-xs": ".4.70", "-xy": ".4.50", "-xx": ".4.51", "-xv": ".4.90", "-xw": ".4.91", "-xt": ".4.80", "-xu": ".4.81",
    "-xm": ".4.100", "-xh": ".4.101", "-xn": ".4.102", "-xl": ".4.103", "-x2": ".4.104", "-x3": ".4.105",
    "-xo": ".4.106", "-x4": ".4.107", "-x5": ".4.108", "-xr": ".5",
}  # fmt: skip


def tool(name: str) -> str:
    """DCMTK's program, not pynetdicom's of the same name in the virtual environment."""
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip(f"{name} of DCMTK is not installed")
    return found


def run(name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [tool(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def image(path: Path, syntax: str, number: int = 1) -> Dataset:
    """A secondary capture whose pixel data is in `syntax`, of arbitrary bytes: senders do not decode it."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = SC, f"1.2.826.0.1.3680043.10.9999.{number}"
    ds.PatientName, ds.PatientID = "Müller^Jürgen", "P1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", 64, 64
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    pixels = bytes(range(256)) * 16
    is_encapsulated = UID(syntax).is_encapsulated
    ds.PixelData = encapsulate([pixels]) if is_encapsulated else pixels
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = is_encapsulated
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.save_as(path, enforce_file_format=True)
    return pydicom.dcmread(path)


def parsed(stored: Stored) -> Dataset:
    """What was received, read by pydicom."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(stored.transfer_syntax)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = stored.sop_class, stored.sop_instance
    head = DicomBytesIO()
    head.is_little_endian, head.is_implicit_VR = True, False
    write_dataset(head, meta)
    return pydicom.dcmread(BytesIO(bytes(128) + b"DICM" + head.getvalue() + stored.data))


def values(ds: Dataset) -> dict[int, object]:
    """Values by tag: the VR of pixel data is another in implicit VR."""
    return {int(element.tag): element.value for element in ds}


def test_echoscu() -> None:
    gateway = MemoryGateway()
    with node(gateway) as scp:
        run("echoscu", "-v", "--repeat", "3", "127.0.0.1", str(scp.port))
        out = run("echoscu", "-v", "-ppc", "128", "-pts", "36", "127.0.0.1", str(scp.port))
        assert "Association Accepted" in out
        assert scp.statistics().accepted == 2


def test_echoscu_to_an_unknown_title() -> None:
    with node(MemoryGateway()) as scp:
        done = subprocess.run(
            [tool("echoscu"), "-aec", "NOBODY", "127.0.0.1", str(scp.port)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr


@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize(("option", "syntax"), UNCOMPRESSED.items())
def test_storescu_uncompressed(tmp_path: Path, option: str, syntax: str, combine: bool) -> None:
    """One context for each syntax, or all in one context: the sender's first choice is kept."""
    gateway = MemoryGateway()
    original = image(tmp_path / "a.dcm", ExplicitVRLittleEndian)
    with node(gateway) as scp:
        run("storescu", *(["+C"] if combine else []), option, "127.0.0.1", str(scp.port), tmp_path / "a.dcm")
    (stored,) = gateway.stored
    if combine or option == "-xi":
        assert stored.transfer_syntax == syntax
    assert values(parsed(stored)) == values(original)
    assert (stored.sop_class, stored.sop_instance) == (SC, original.SOPInstanceUID)
    assert stored.calling_ae == "STORESCU"


@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize(("option", "suffix"), COMPRESSED.items())
def test_storescu_compressed(tmp_path: Path, option: str, suffix: str, combine: bool) -> None:
    """The pixel encoding is never changed on the way in."""
    gateway = MemoryGateway()
    original = image(tmp_path / "a.dcm", LITTLE + suffix)
    with node(gateway) as scp:
        run(
            "storescu",
            *(["+C"] if combine else []),
            "-R",
            option,
            "127.0.0.1",
            str(scp.port),
            tmp_path / "a.dcm",
        )
    (stored,) = gateway.stored
    assert stored.transfer_syntax == LITTLE + suffix
    assert values(parsed(stored)) == values(original)


def test_storescu_deflated(tmp_path: Path) -> None:
    gateway = MemoryGateway()
    original = image(tmp_path / "a.dcm", DeflatedExplicitVRLittleEndian)
    with node(gateway) as scp:
        run("storescu", "-xd", "127.0.0.1", str(scp.port), tmp_path / "a.dcm")
    (stored,) = gateway.stored
    assert stored.transfer_syntax == DeflatedExplicitVRLittleEndian
    assert values(parsed(stored)) == values(original)


@pytest.mark.parametrize(
    "options",
    [
        ("--max-send-pdu", "4096"),
        ("--max-send-pdu", "131072", "-pdu", "4096"),
        ("-usr", "user", "-pwd", "password"),
        ("-usr", "user", "-epw"),
        ("--repeat", "3", "+IR", "2"),
        ("--repeat", "5", "+II"),
    ],
)
def test_storescu_options(tmp_path: Path, options: tuple[str, ...]) -> None:
    gateway = MemoryGateway()
    image(tmp_path / "a.dcm", ExplicitVRLittleEndian)
    with node(gateway) as scp:
        run("storescu", "-aet", "MODALITY", *options, "127.0.0.1", str(scp.port), tmp_path / "a.dcm")
    assert len(gateway.stored) == int(options[1]) if options[0] == "--repeat" else 1
    assert {row.calling_ae for row in gateway.stored} == {"MODALITY"}


def test_storescu_that_aborts(tmp_path: Path) -> None:
    gateway = MemoryGateway()
    image(tmp_path / "a.dcm", ExplicitVRLittleEndian)
    with node(gateway) as scp:
        run("storescu", "--abort", "127.0.0.1", str(scp.port), tmp_path / "a.dcm")
    assert len(gateway.stored) == 1


def test_storescu_hears_of_a_failure(tmp_path: Path) -> None:
    from wardlight.errors import WardlightError

    def fail(sink: object) -> None:
        raise WardlightError("out-of-resources")

    gateway = MemoryGateway(fail_commit=fail)
    image(tmp_path / "a.dcm", ExplicitVRLittleEndian)
    with node(gateway) as scp:
        done = subprocess.run(
            [tool("storescu"), "-v", "127.0.0.1", str(scp.port), str(tmp_path / "a.dcm")],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert "Refused: OutOfResources" in done.stdout + done.stderr
    assert gateway.stored == []


def sendable(folder: Path) -> list[Path]:
    """pydicom's files that dcmsend can read: with file meta information, whole, of a storage class."""
    chosen = []
    for path in sorted(folder.glob("*.dcm")):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        if (
            ds.get("SOPInstanceUID")
            and ds.get("SOPClassUID")
            and getattr(ds.file_meta, "TransferSyntaxUID", "")
            and "truncated" not in path.name
        ):
            chosen.append(path)
    return chosen


def test_dcmsend_with_every_syntax_at_once(tmp_path: Path) -> None:
    """dcmsend opens as many associations as its files need."""
    for number, suffix in enumerate(["", ".1", ".2", ".1.99", *COMPRESSED.values()], 1):
        image(tmp_path / f"{number}.dcm", LITTLE + suffix, number)
    gateway = MemoryGateway()
    with node(gateway) as scp:
        run("dcmsend", "-v", "-dn", "+sd", "127.0.0.1", str(scp.port), tmp_path)
    received = {row.sop_instance: row for row in gateway.stored}
    assert len(received) == len(list(tmp_path.iterdir()))
    for path in tmp_path.iterdir():
        original = pydicom.dcmread(path)
        stored = received[original.SOPInstanceUID]
        # Among the uncompressed ones dcmsend chooses itself.
        if ".1.2.4." in original.file_meta.TransferSyntaxUID:
            assert stored.transfer_syntax == original.file_meta.TransferSyntaxUID
        assert values(parsed(stored)) == values(original)


def test_dcmsend_with_real_files() -> None:
    found = get_testdata_file("CT_small.dcm")
    assert isinstance(found, str)
    paths = sendable(Path(found).parent)
    assert len(paths) > 40
    gateway = MemoryGateway()
    with node(gateway) as scp:
        done = subprocess.run(
            [tool("dcmsend"), "-v", "-dn", "-nh", "-nuc", "127.0.0.1", str(scp.port), *map(str, paths)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        # Of some files dcmsend negotiates the class in the file meta information and then sends that of the data set:
        # a message whose class is not that of its presentation context is refused.
        differing = (done.stdout + done.stderr).count("SOP Class UID in dataset differs")
        assert scp.statistics().failed == differing
    originals = {
        str(ds.SOPInstanceUID) for ds in (pydicom.dcmread(path, stop_before_pixels=True) for path in paths)
    }
    assert {row.sop_instance for row in gateway.stored} <= originals
    assert len({row.sop_instance for row in gateway.stored}) > 30
