"""Outputs of structured documents as other programs see them: dciodvfy of dicom3tools, dsr2html of DCMTK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from dciodvfy import errors
from deid_kit import Mint, decode, encode, run
from sr_documents import DOCUMENTS
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_new_error_of_dciodvfy_and_dsr2html(name: str, tmp_path: Path) -> None:
    ds = DOCUMENTS[name](Mint())
    before = _file(decode(encode(ds)), tmp_path / "before.dcm")
    was = errors(before)
    reader = shutil.which("dsr2html")
    for level in ("high", "low"):
        after = _file(decode(run(ds, level)[0].header), tmp_path / f"{level}.dcm")
        assert errors(after) - was == set(), level
        if reader is not None:
            done = subprocess.run([reader, after], capture_output=True, check=False, timeout=60)
            assert done.returncode == 0, done.stderr.decode(errors="replace")[-500:]


def _file(ds: Dataset, path: Path) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE.uid
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path
