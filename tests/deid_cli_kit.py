"""Files for tests of `wardlight deidentify`, the command itself, and what it wrote."""

from __future__ import annotations

import zlib
from pathlib import Path

from pydicom.dataset import Dataset
from typer import Typer
from typer.testing import CliRunner, Result

from deid_kit import encode, minimal
from wardlight.cli.deidentify import deidentify
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.transfer_syntax import DEFLATED, EXPLICIT_LITTLE

app = Typer(add_completion=False)
app.command()(deidentify)
# Twelve bits stored: the upper half of each odd byte is not used.
PIXELS = bytes(n & 0xF if n % 2 else n for n in range(128))
NAME = "Quxley^Wilhelmina"


def part10(
    ds: Dataset,
    syntax: str = EXPLICIT_LITTLE.uid,
    tail: bytes = b"",
    preamble: bytes = b"",
    pixels: bytes = PIXELS,
) -> bytes:
    """A file as it comes from anywhere."""
    body = encode(ds) + b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels + tail
    if syntax == DEFLATED.uid:
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(body) + packer.flush()
    meta = write_meta(
        ds.SOPClassUID,
        ds.SOPInstanceUID,
        syntax,
        implementation_class_uid="1.2.3",
        implementation_version="QUXLEY",
    )
    return (preamble or meta[:128]) + meta[128:] + body


def image(number: int = 1) -> Dataset:
    ds = minimal()
    ds.PatientName = NAME
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.826.0.1.3680043.10.9.1", "1.2.826.0.1.3680043.10.9.2"
    ds.SOPInstanceUID = f"1.2.826.0.1.3680043.10.9.3.{number}"
    return ds


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def outputs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def tree(folder: Path) -> dict[str, bytes]:
    """Places and contents of all files in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in outputs(folder)}
