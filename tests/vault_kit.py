"""A vault and what goes into it and comes back, for tests: objects of `deid_kit` protected as the receiver does it."""

from __future__ import annotations

import copy
import json
import secrets as stdlib_secrets
from datetime import date
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from sqlalchemy import select

from deid_kit import decode, deidentifier, encode, minimal, new_uid, pixels
from wardlight.agreements.model import Level
from wardlight.deid.engine import WANTED
from wardlight.deid.patient_study import study_elements
from wardlight.deid.protect import protect
from wardlight.deid.restore import NotRestored
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target
from wardlight.receiver.reidentify import Reidentifier
from wardlight.receiver.secrets import ReceiverSecrets, load
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending
from wardlight.receiver.vault import Vault, WayBack

HIGH = Target("app", Level.HIGH)
#: The day on which the images of `Hospital` came.
CAME = date(2026, 11, 20)
EXPLICIT = "1.2.840.10008.1.2.1"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def open_vault(folder: Path, today: date | None = None) -> Vault:
    """The vault of a receiver whose files are in a folder."""
    return Vault(folder / "vault.db", secrets_of(folder), (lambda: today) if today else date.today)


def secrets_of(folder: Path) -> ReceiverSecrets:
    """The receiver's keys."""
    return load(folder / "secrets")


def stream_of(ds: Dataset) -> DataSetStream:
    """The data set without its pixel value, as the receiver reads it."""
    data = encode(ds)
    if "Rows" in ds:
        element = pixels(ds)
        data += element.head + bytes(element.length)
    stream = DataSetStream(EXPLICIT_LITTLE, wanted=WANTED)
    stream.feed(data)
    stream.finish()
    return stream


def way_of(
    vault: Vault, ds: Dataset, target: Target = HIGH, secret: bytes | None = None
) -> tuple[WayBack, bytes]:
    """The way back from an object, and the header that leaves."""
    stream = stream_of(ds)
    made = deidentifier(str(target.level), target.application, *([secret] if secret else []))
    result = protect(made, stream, lambda: iter(()), knowledge=vault).result
    study = str(ds.StudyInstanceUID).encode()
    return (
        WayBack(
            target,
            result.patient,
            result.patient_pseudonym.encode(),
            result.days,
            study,
            () if vault.has_study(study) else study_elements(stream),
            result.uids,
            made.new_uid,
        ),
        result.header,
    )


class Hospital:
    """A receiver's vault, what came and what left, and results restored from files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "out").mkdir(parents=True)
        self.vault: Vault = open_vault(folder, CAME)
        self.store = ReceiverStore(folder / "receiver.db")
        self._reidentifier = Reidentifier(self.vault, self.store, Entries("node-1"), secrets_of(folder))

    def close(self) -> None:
        """Close the databases."""
        self.vault.close()
        self.store.close()

    def send(self, *originals: Dataset, target: Target = HIGH) -> list[Dataset]:
        """De-identified; the way back is in the vault."""
        left = []
        for ds in originals:
            way, header = way_of(self.vault, ds, target)
            self.vault.keep([way])
            left.append(decode(header))
        return left

    def restore(self, result: Dataset) -> Dataset:
        """The result as the PACS gets it."""
        return pydicom.dcmread(self.restore_file(self.file(result)))

    def restore_file(self, file: Path) -> Path:
        """Where the restored file is."""
        return self._reidentifier.restore(file, self.folder / "out")

    def file(self, result: Dataset) -> Path:
        """The result as a file."""
        if not hasattr(result, "file_meta"):
            result.file_meta = FileMetaDataset()
            result.file_meta.TransferSyntaxUID = EXPLICIT
        place = self.folder / f"{stdlib_secrets.token_hex(8)}.dcm"
        result.save_as(place, enforce_file_format=True)
        return place

    def refused(self, result: Dataset) -> str:
        """Why the result is not restored."""
        with pytest.raises(NotRestored) as caught:
            self.restore(result)
        return caught.value.code

    def entries(self) -> list[dict]:
        """What is in the trail."""
        with self.store.database.read() as tx:
            return [json.loads(row) for row in tx.execute(select(audit_pending.c.content)).scalars()]


def series(slices: int = 3) -> list[Dataset]:
    """A CT series of a patient whose name needs more than ASCII."""
    first = minimal()
    first.SpecificCharacterSet = "ISO_IR 100"
    first.PatientName = "Müller-Lüdenscheidt^Änne"
    first.PatientID = f"PID{stdlib_secrets.randbelow(10**8):08d}"
    first.IssuerOfPatientID = "STMARYSITE"
    first.PatientBirthDate = "19630507"
    first.StudyTime = "101530.250000"
    first.AccessionNumber = f"ACC{stdlib_secrets.randbelow(10**6):06d}"
    first.ReferringPhysicianName = "Öztürk^Ayşe".replace("ş", "s")
    first.StudyDescription = "CT ABDOMEN"
    first.ContentDate = first.AcquisitionDate = first.SeriesDate = "20240317"
    found = []
    for number in range(slices):
        ds = Dataset()
        ds.update(first)
        ds.SOPInstanceUID = new_uid()
        ds.InstanceNumber = str(number + 1)
        ds.ImagePositionPatient = ["-100", "-100.5", str(20 + 5 * number)]
        found.append(ds)
    return found


def report(image: Dataset, sop_class: str = BASIC_TEXT_SR) -> Dataset:
    """A result of an application as it sees the study, made on the day after the images came."""
    ds = Dataset()
    for keyword in ("SpecificCharacterSet", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
                    "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
                    "StudyDescription", "PatientIdentityRemoved", "DeidentificationMethod",
                    "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"):  # fmt: skip
        if keyword in image:
            ds[keyword] = copy.deepcopy(image[keyword])
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID, ds.SeriesInstanceUID = new_uid(), new_uid()
    ds.Modality = "SR"
    ds.SeriesNumber, ds.InstanceNumber = "901", "1"
    ds.ContentDate, ds.ContentTime = "20261121", "080000"
    return ds


def reference(image: Dataset) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return ds
