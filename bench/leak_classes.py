"""Files with a patient's name where names leak: one file for each way, its canary drawn afresh; and who left it in.

Each file names its patient in the elements made for that, and once more in one other place. What counts is the words
in the bytes of the whole output, whatever case and in which of the usual encodings.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bench.corpora import save, tiny, uid

_PIXELS = bytes(128)
_PIXEL_DATA = b"\xe0\x7f\x10\x00"


def _word() -> str:
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(11))


def _item(name: str) -> Dataset:
    item = Dataset()
    item.PatientName, item.CodeMeaning = name, name
    return item


def _text(ds: Dataset, name: str) -> None:
    ds.StudyDescription, ds.SeriesDescription, ds.ProtocolName = f"CT {name}", f"{name} 2.0", f"Head_{name}"


def _comments(ds: Dataset, name: str) -> None:
    ds.ImageComments, ds.PatientComments = f"seen with {name}", f"{name} called"


def _nested(ds: Dataset, name: str) -> None:
    holder = Dataset()
    holder.ModifiedAttributesSequence = Sequence([_item(name)])
    ds.OriginalAttributesSequence = Sequence([holder])
    ds.RequestAttributesSequence[0].ScheduledProcedureStepDescription = f"thorax {name}"


def _codes(ds: Dataset, name: str) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = name, f"99{name}", f"chest of {name}"
    ds.ProcedureCodeSequence = Sequence([code])


def _private(ds: Dataset, name: str) -> None:
    block = ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x02, "LO", name)
    block.add_new(0x0A, "UN", name.encode())
    block.add_new(0x10, "SQ", Sequence([_item(name)]))


def _coded(ds: Dataset, name: str) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", name]


def _unknown(ds: Dataset, name: str) -> None:
    ds.add_new(0x00189999, "LO", name)
    ds.add_new(0x00204000, "LT", f"for {name}")


def _model(ds: Dataset, name: str) -> None:
    ds.ManufacturerModelName, ds.SoftwareVersions = f"Scanner {name}", f"VA48 {name}"


def _kernel(ds: Dataset, name: str) -> None:
    ds.ConvolutionKernel, ds.ContrastBolusAgent, ds.FilterType = name, f"agent {name}", name


def _binary(ds: Dataset, name: str) -> None:
    ds.ICCProfile = name.encode("utf-16-le") * 4
    ds.add_new(0x00281201, "OW", name.encode() + b"\0")


def _curves(ds: Dataset, name: str) -> None:
    ds.add_new(0x50003000, "OW", name.encode() + b"\0")
    ds.add_new(0x60000022, "LO", name)


def _links(ds: Dataset, name: str) -> None:
    ds.RetrieveURL = f"https://pacs/{name}/1"
    ds.add_new(0x00080054, "AE", name)


def _padding(ds: Dataset, name: str) -> None:
    ds.add_new(0xFFFCFFFC, "OB", name.encode() + b"\0")


Class = Callable[[Dataset, str], None]
#: What is in the header, by what it is called.
_CLASSES: dict[str, Class] = {
    "own elements": lambda _ds, _name: None,
    "descriptions": _text,
    "comments": _comments,
    "nested items": _nested,
    "codes": _codes,
    "private elements": _private,
    "coded strings": _coded,
    "unknown and retired elements": _unknown,
    "device": _model,
    "acquisition": _kernel,
    "binary values": _binary,
    "curves and overlays": _curves,
    "links and titles": _links,
    "padding after the data set": _padding,
    # The bytes of these are changed after the file was written; and the last names another file's patient.
    "preamble": lambda _ds, _name: None,
    "bytes behind the pixels": lambda _ds, _name: None,
    "another file of the patient": _comments,
}


def make(folder: Path) -> dict[str, list[bytes]]:
    """Write the files; returns the canaries of each class as lower-case bytes."""
    found: dict[str, list[bytes]] = {}
    for number, (what, add) in enumerate(_CLASSES.items()):
        family, given, elsewhere = _word(), _word(), _word()
        ds = tiny()
        ds.PatientName, ds.PatientID = f"{family}^{given}", f"ID{family}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("leak", number), uid("leak", number, 1)
        ds.SOPInstanceUID = uid("leak", number, 2)
        for keyword in ("ImageComments", "ReferencedStudySequence"):
            delattr(ds, keyword)
        words = [family, given]
        if what == "another file of the patient":
            other = tiny()
            other.PatientID, other.StudyInstanceUID = ds.PatientID, ds.StudyInstanceUID
            other.SeriesInstanceUID, other.SOPInstanceUID = ds.SeriesInstanceUID, uid("leak", number, 3)
            other.PatientName = f"{family}^{given}"
            other.ReferringPhysicianName = f"{elsewhere}^{given}"
            save(other, _PIXELS, folder / f"{number:02d}-other.dcm")
            words.append(elsewhere)
            add(ds, elsewhere)
        else:
            add(ds, family)
        behind = what == "bytes behind the pixels"
        path = folder / f"{number:02d}.dcm"
        save(ds, _PIXELS + (family + "X").encode() * behind, path)
        if what == "preamble":
            content = path.read_bytes()
            path.write_bytes(family.encode().ljust(128, b"\0") + content[128:])
        found[what] = [
            word.lower().encode(code) for word in words for code in ("ascii", "utf-16-le", "utf-16-be")
        ]
    return found


def left(folder: Path, canaries: dict[str, list[bytes]]) -> tuple[dict[str, None], dict[str, None]]:
    """The classes whose canaries are in the headers, and those in any byte, of the files below a folder."""
    headers: dict[str, None] = {}
    anywhere: dict[str, None] = {}
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for what, words in canaries.items():
        for content in contents:
            header = content[: content.find(_PIXEL_DATA)].lower()
            if any(word in header for word in words):
                headers[what] = None
            if any(word in content.lower() for word in words):
                anywhere[what] = None
    return headers, anywhere
