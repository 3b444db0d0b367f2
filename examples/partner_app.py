"""A partner application in small: waits for studies, downloads each, stores a report on it and says so in the trail.

    python examples/partner_app.py demo-data/demo.json lumen_reader_demo

It goes on where it stopped. Needs `pip install wardlight[client]`, pydicom and numpy.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, generate_uid

from wardlight.client import AuditEntry, Client, Event, NotFound


def work_on(client: Client, event: Event, folder: Path) -> None:
    """Download the study of the event's grant, measure it, store the report, tell the institution's audit trail."""
    shutil.rmtree(folder, ignore_errors=True)  # what it was before it changed
    try:
        grant = client.grant(event.grant)
        files = client.download(grant.study, folder)
    except NotFound:
        return  # access ended before we came to it
    images = [one for one in map(pydicom.dcmread, files) if "PixelData" in one]
    mean = sum(float(one.pixel_array.mean()) for one in images) / len(images)
    client.store(grant.study, [report(images, f"{len(images)} images, mean value {mean:.1f}")])
    counts = {"images": len(images)}
    said = AuditEntry("app:study:process", grant.id, grant.study, code="measured", params=counts)
    print(f"{event.type}: {len(images)} images, audit entry {client.record(said)[0].status}", flush=True)


def report(images: Sequence[Dataset], text: str) -> bytes:
    """A Basic Text SR (PS3.3 A.35.1) on the images' study, the same for the same images: it is stored once."""
    sr, item, copied = Dataset(), Dataset(), ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
    for name in (*copied, "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        setattr(sr, name, images[0].get(name, ""))
    seen = sorted(one.SOPInstanceUID for one in images)
    sr.SOPClassUID, sr.SOPInstanceUID = BasicTextSRStorage, generate_uid(entropy_srcs=[*seen, "report"])
    sr.Modality, sr.SeriesInstanceUID = "SR", generate_uid(entropy_srcs=[*seen, "series"])
    sr.SeriesNumber, sr.InstanceNumber, sr.Manufacturer, sr.ReferringPhysicianName = 1000, 1, "Example", ""
    sr.ContentDate, sr.ContentTime = sr.StudyDate, "000000"  # a day of ours would tell when it was examined
    sr.CompletionFlag, sr.VerificationFlag, sr.SpecificCharacterSet = "COMPLETE", "UNVERIFIED", "ISO_IR 192"
    sr.ReferencedPerformedProcedureStepSequence, sr.PerformedProcedureCodeSequence = [], []
    sr.ValueType, sr.ContinuityOfContent = "CONTAINER", "SEPARATE"
    sr.ConceptNameCodeSequence = [code("126000", "Imaging Measurement Report")]
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", text
    item.ConceptNameCodeSequence = [code("121071", "Finding")]
    sr.ContentSequence, sr.file_meta = [item], FileMetaDataset()
    sr.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = io.BytesIO()
    pydicom.dcmwrite(data, sr, enforce_file_format=True)
    return data.getvalue()


def code(value: str, meaning: str) -> Dataset:
    """A code of DICOM's own (PS3.16 Annex D)."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, "DCM", meaning
    return ds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="demo.json of `make demo`")
    parser.add_argument("application", help="id of the application")
    parser.add_argument("--events", type=int, default=0, help="end after so many events; 0: never")
    asked = parser.parse_args()
    facts = json.loads(asked.demo.read_text())
    me = next(one for one in facts["applications"] if one["id"] == asked.application)
    folder = asked.demo.parent / "partner" / me["id"]
    folder.mkdir(parents=True, exist_ok=True)
    position = folder / "position"
    with Client(facts["web"], me["client_id"], me["private_key_file"],
                institution=facts["institution"], purpose=me["purpose"]) as client:  # fmt: skip
        client.define_audit(["measured"], {"images": int})
        for number, event in enumerate(
            client.events(int(position.read_text()) if position.exists() else 0), 1
        ):
            if event.type in ("study.available", "study.changed"):
                work_on(client, event, folder / event.grant)
            elif event.type in ("access.revoked", "study.deleted"):
                shutil.rmtree(folder / event.grant, ignore_errors=True)
                print(f"{event.type}: nothing is left of it here", flush=True)
            client.acknowledge(event)
            position.write_text(str(event.position))
            if number == asked.events:
                break


if __name__ == "__main__":
    main()
