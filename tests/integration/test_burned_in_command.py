"""`wardlight deidentify` on images with a name in their pixels, looked at by the real detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset

from deid_cli_kit import call, outputs
from pixel_kit import J2K
from reader_kit import burned_in
from receiver_data import ct

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", J2K])
def test_a_name_in_the_second_frame_goes_from_all(tmp_path: Path, syntax: str) -> None:
    plate, (left, top, right, bottom) = burned_in(160, 320, "QUILLFEATHER^AMBROSE")
    empty = plate.copy()
    empty[:100] = 60
    frames = np.repeat(np.stack([empty, plate])[..., np.newaxis], 3, axis=3)
    shape: dict[str, Any] = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
    }
    ds = ct(SOPClassUID=ULTRASOUND, Modality="US", Rows=160, Columns=320, NumberOfFrames=2, **shape)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.PixelData = frames.tobytes()
    ds["PixelData"].VR = "OB"
    if syntax != ds.file_meta.TransferSyntaxUID:
        ds.PhotometricInterpretation = "YBR_RCT"
        ds.compress(syntax, np.ascontiguousarray(frames), generate_instance_uid=False)
    source, report = tmp_path / "one.dcm", tmp_path / "report.json"
    ds.save_as(source, enforce_file_format=True)
    result = call(source, tmp_path / "out", "--report", report)
    assert result.exit_code == 0, result.output
    (file,) = outputs(tmp_path / "out")
    got = pydicom.dcmread(file)
    assert (got.file_meta.TransferSyntaxUID, got.BurnedInAnnotation) == (syntax, "NO")
    assert "113101" in {item.CodeValue for item in got.DeidentificationMethodCodeSequence}
    shown = got.pixel_array
    assert not shown[:, top + 2 : bottom - 2, left + 2 : right - 2].any()
    assert np.array_equal(shown[:, 105:], frames[:, 105:])
    told = json.loads(report.read_text())
    assert "QUILLFEATHER" not in report.read_text().upper() and told
