"""Objects full of fresh canaries for tests of de-identification, encoded by pydicom and read back by it."""

from __future__ import annotations

import io
import secrets
import string
from dataclasses import dataclass, field
from functools import cache

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from wardlight.deid.engine import Deidentified, Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.verify import Finding, verify
from wardlight.dicom.stream import PixelElement
from wardlight.dicom.transfer_syntax import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, TransferSyntax

SECRET = b"a secret of the tests, 32 bytes and more"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)


@cache
def deidentifier(level: str = "high", application: str = "app", secret: bytes = SECRET) -> Deidentifier:
    """A de-identifier with the tests' secret."""
    return Deidentifier(load_profile(level), DeidKeys.derive(secret, application, level))


def encode(ds: Dataset, syntax: TransferSyntax = EXPLICIT_LITTLE) -> bytes:
    """The data set's bytes."""
    file = DicomBytesIO()
    file.is_implicit_VR = syntax.implicit
    file.is_little_endian = not syntax.big_endian
    write_dataset(file, ds)
    return file.getvalue()


def decode(data: bytes, syntax: TransferSyntax = EXPLICIT_LITTLE) -> Dataset:
    """Read by pydicom, the second opinion."""
    return read_dataset(io.BytesIO(data), syntax.implicit, not syntax.big_endian)


def pixels(ds: Dataset, syntax: TransferSyntax = EXPLICIT_LITTLE) -> PixelElement:
    """A native pixel data element of 16-bit words that fits the data set's geometry."""
    length = ds.Rows * ds.Columns * 2 * int(ds.get("NumberOfFrames", 1) or 1)
    order = "big" if syntax.big_endian else "little"
    tag = (0x7FE0).to_bytes(2, order) + (0x0010).to_bytes(2, order)
    head = tag + (b"" if syntax.implicit else b"OW\0\0") + length.to_bytes(4, order)
    return PixelElement(0x7FE00010, b"OW", head, length)


def run(
    ds: Dataset, level: str = "high", syntax: TransferSyntax = EXPLICIT_LITTLE
) -> tuple[Deidentified, list[Finding]]:
    """De-identify and verify."""
    header = encode(ds, syntax)
    result = deidentifier(level).deidentify(header, syntax, pixels(ds, syntax) if "Rows" in ds else None)
    return result, verify(header, syntax.uid, result.header, level=level)


def minimal(sop_class: str = CT, modality: str = "CT") -> Dataset:
    """A small valid image without identifiers beyond its UIDs."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = new_uid()
    ds.StudyDate = "20240317"
    ds.StudyTime = "101530"
    ds.AccessionNumber = ""
    ds.Modality = modality
    ds.ReferringPhysicianName = ""
    ds.PatientName = "Somebody^Else"
    ds.PatientID = "PID-77120-X"
    ds.PatientBirthDate = "19510203"
    ds.PatientSex = "F"
    ds.StudyInstanceUID = new_uid()
    ds.SeriesInstanceUID = new_uid()
    ds.StudyID = "S-4711-Z"
    ds.SeriesNumber = "2"
    ds.InstanceNumber = "17"
    ds.ImagePositionPatient = ["-100", "-100.5", "20"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.FrameOfReferenceUID = new_uid()
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = 8
    ds.Columns = 8
    ds.PixelSpacing = ["0.5", "0.5"]
    ds.BitsAllocated = 16
    ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelRepresentation = 0
    ds.RescaleIntercept = "-1024"
    ds.RescaleSlope = "1"
    return ds


def new_uid() -> str:
    """A UID of somebody's root."""
    return f"1.2.826.0.1.3680043.10.{10**11 + secrets.randbelow(10**11)}.{10**9 + secrets.randbelow(10**9)}"


@dataclass
class Mint:
    """Makes values nobody has seen before, and remembers them."""

    values: dict[str, str] = field(default_factory=dict)

    def word(self, name: str, length: int = 10) -> str:
        """Letters that make no word: consonants only."""
        value = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(length))
        self.values[name] = value
        return value

    def cased(self, name: str) -> str:
        """As `word`, written like a name."""
        value = self.word(name).capitalize()
        self.values[name] = value
        return value

    def digits(self, name: str, length: int = 9) -> str:
        """A number that cannot be taken for a date."""
        value = "9" + "".join(secrets.choice(string.digits) for _ in range(length - 1))
        self.values[name] = value
        return value

    def uid(self, name: str) -> str:
        """A UID."""
        self.values[name] = new_uid()
        return self.values[name]

    def text(self, name: str, alphabet: str, length: int = 6) -> str:
        """Letters of another script."""
        value = "".join(secrets.choice(alphabet) for _ in range(length))
        self.values[name] = value
        return value


def sequence(*items: Dataset) -> Sequence:
    """A sequence."""
    return Sequence(items)


def texts_of(ds: Dataset) -> list[str]:
    """Every value of an object as text, at every depth, as pydicom decodes it."""
    found: list[str] = []
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                found += texts_of(item)
        elif isinstance(element.value, bytes):
            found += [element.value.decode("latin-1"), element.value.decode("utf-8", "replace")]
        else:
            found.append(str(element.value))
            if element.VR == "PN":
                found += [str(part) for part in (element.value.components if element.value else ())]
    return found


def survivors(values: dict[str, str], data: bytes, ds: Dataset) -> list[str]:
    """Names of the canaries that are left: in raw bytes in several encodings, or in decoded text, case folded."""
    lowered = data.lower()
    texts = "\n".join(texts_of(ds)).casefold()
    left = []
    for name, value in values.items():
        forms = {
            value.encode(code, "ignore")
            for code in ("utf-8", "latin-1", "gb18030", "euc_jp", "iso8859-7", "iso8859-5", "utf-16-le")
        }
        forms |= {form.lower() for form in forms}
        if value.casefold() in texts or any(
            form in lowered or form in data for form in forms if len(form) >= 4
        ):
            left.append(name)
    return left
