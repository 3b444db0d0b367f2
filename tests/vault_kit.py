"""A vault and what goes into it, for tests: objects of `deid_kit` protected as the receiver does it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset

from deid_kit import deidentifier, encode, pixels
from wardlight.agreements.model import Level
from wardlight.deid.engine import WANTED
from wardlight.deid.protect import protect
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.receiver.model import Target
from wardlight.receiver.secrets import ReceiverSecrets, load
from wardlight.receiver.vault import Vault, WayBack
from wardlight.receiver.vault_study import study_elements

HIGH = Target("app", Level.HIGH)


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
