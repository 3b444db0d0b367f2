"""Two applications of a whole installation: what the first makes of a study, the second gets as its own, and live."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from bench.fast_store_scu import Instance, Sender
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid

import live
from receiver_data import ct, encode

FIRST, SECOND = "lumen_reader_demo", "cohort_research_demo"
TITLES = {FIRST: "WARD_READER", SECOND: "WARD_RESEARCH"}
CANARY = "Quernstone7731"
EXPLICIT = "1.2.840.10008.1.2.1"


class Partner:
    """An application with its token."""

    def __init__(self, wardlight: live.Installation, id_: str) -> None:
        self._wardlight = wardlight
        self._token = next(row["token"] for row in wardlight.facts["applications"] if row["id"] == id_)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._wardlight.web_port}{path}",
            data=body,
            headers={"Authorization": f"Bearer {self._token}", **headers},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def events(self) -> list[dict[str, Any]]:
        return json.loads(self.ask("/api/v1/events?after=0"))["events"]

    def study(self) -> str:
        rows = json.loads(self.ask("/dicom-web/studies", Accept="application/dicom+json") or b"[]")
        return rows[0]["0020000D"]["Value"][0] if rows else ""

    def read(self, study: str) -> list[bytes]:
        rows = json.loads(
            self.ask(f"/dicom-web/studies/{study}/instances", Accept="application/dicom+json") or b"[]"
        )
        files = []
        for row in rows:
            series, sop = (row[tag]["Value"][0] for tag in ("0020000E", "00080018"))
            path = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}"
            body = self.ask(path, Accept='multipart/related; type="application/dicom"')
            files.append(body.split(b"\r\n\r\n", 1)[1].rpartition(b"\r\n--")[0])
        return files

    def store(self, study: str, ds: Dataset) -> None:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = EXPLICIT
        buffer = io.BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + buffer.getvalue() + b"\r\n--b--"
        kind = "multipart/related; type=application/dicom; boundary=b"
        self.ask(
            f"/dicom-web/studies/{study}", body, **{"Content-Type": kind, "Accept": "application/dicom+json"}
        )


def finding(image: Dataset) -> Dataset:
    """A structured report with all that must not reach anybody else, made today."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", generate_uid()
    for name in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime"):
        setattr(ds, name, image.get(name, ""))
    ds.PatientBirthDate = ds.PatientSex = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.SeriesInstanceUID, ds.Modality, ds.SeriesNumber, ds.InstanceNumber = generate_uid(), "SR", "901", "1"
    ds.Manufacturer = "Lumen"
    ds.ContentDate, ds.ContentTime = f"{datetime.now(UTC):%Y%m%d}", "101010"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    ds.ReferencedInstanceSequence = [reference]
    block = ds.private_block(0x0099, CANARY, create=True)
    block.add_new(1, "UT", f"{CANARY} {image.PatientID} {image.SOPInstanceUID}")
    return ds


def soon(check: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    def tried() -> Any:
        try:
            return check()
        except urllib.error.HTTPError as error:
            assert error.code in (404, 503), error.code
            return None

    return live.wait_until(tried, seconds, what)


@pytest.mark.long
def test_a_result_reaches_the_other_application_as_its_own(tmp_path: Path) -> None:
    with live.installation(tmp_path) as wardlight:
        institution = json.loads(wardlight.wardlight("admin", "institution", "list", "--json").stdout)[0]
        wardlight.wardlight(
            "admin", "agreement", "amend", institution["slug"], SECOND, "--results-of", FIRST,
            "--attested-by", "Kim Berg",
        )  # fmt: skip
        image = encode(ct())
        for title in TITLES.values():
            with Sender(
                wardlight.dicom_port, [(image.sop_class, image.transfer_syntax)], called_ae=title
            ) as sender:
                row = Instance(
                    image.sop_class, image.sop_instance, image.transfer_syntax, memoryview(image.data)
                )
                assert sender.store(row).status == 0
        first, second = Partner(wardlight, FIRST), Partner(wardlight, SECOND)
        mine = soon(first.study, "the first application's study")
        theirs = soon(second.study, "the second application's study")
        assert mine != theirs
        (seen,) = [pydicom.dcmread(io.BytesIO(file)) for file in first.read(mine)]
        result = finding(seen)
        first.store(mine, result)
        files = soon(lambda: found if len(found := second.read(theirs)) == 2 else None, "the result")
        (made,) = [ds for ds in map(_read, files) if ds.Modality == "SR"]
        (own,) = [ds for ds in map(_read, files) if ds.Modality == "CT"]
        assert made.PatientID == own.PatientID != seen.PatientID
        assert made.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == own.SOPInstanceUID
        # Nothing of the first one, nor of the patient; and a date that tells nothing of how dates were moved.
        canaries = [CANARY, seen.PatientID, mine, seen.SOPInstanceUID, seen.SeriesInstanceUID]
        canaries += [result.SOPInstanceUID, result.SeriesInstanceUID, "Quillfeather", "4471133", "19610502"]
        for file in files:
            assert not [one for one in canaries if str(one).encode() in file]
        today = datetime.now(UTC).date()
        near = {f"{today - timedelta(days):%Y%m%d}" for days in (0, 1)}
        assert made.get("ContentDate", "") in {"", *near}
        kinds = [one["type"].rpartition(".")[2] for one in soon(lambda: second.events()[1:], "an event")]
        assert "changed" in kinds
        told = wardlight.wardlight("audit", "search", institution["slug"], "--json", check=False).stdout
        assert CANARY not in told
        # Ends with the agreement: the next result goes nowhere.
        wardlight.wardlight("admin", "agreement", "amend", institution["slug"], SECOND, "--results-of", SECOND,
                            "--attested-by", "Kim Berg")  # fmt: skip
        first.store(mine, finding(seen))
        soon(lambda: len(first.read(mine)) == 3, "its own result")
        assert len(second.read(theirs)) == 2


def _read(file: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(file))
