"""Helpers for tests of the archive: data sets made by pydicom, stored by the archive's own interface."""

import hashlib
import io
import json
import re

import obstore
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from sqlalchemy import text

from wardlight.access.model import Principal, PrincipalKind, Role, TokenScope
from wardlight.archive.model import IMAGES, IncomingInstance, Level, PixelIndex
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.dicom.part10 import Part10Stream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.identity.service import LOCAL_ADMINISTRATOR

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736"


def dataset(**values):
    """A small CT-like data set; keyword arguments override or (None) remove attributes."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = generate_uid()
    ds.StudyDate = "20260102"
    ds.StudyTime = "101112"
    ds.AccessionNumber = "ACC-77"
    ds.Modality = "CT"
    ds.StudyDescription = "Thorax nativ"
    ds.SeriesDescription = "Axial 1 mm"
    ds.PatientName = "Müller-Lüdenscheidt^Anna"
    ds.PatientID = "PAT-0042"
    ds.PatientBirthDate = "19700203"
    ds.PatientSex = "F"
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.1"
    ds.StudyID = "S1"
    ds.SeriesNumber = "1"
    ds.InstanceNumber = "1"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = 4
    ds.Columns = 4
    ds.BitsAllocated = 16
    ds.BitsStored = 12
    ds.HighBit = 11
    ds.PixelRepresentation = 0
    ds.PixelData = bytes(range(32))
    for name, value in values.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


def part10(ds, syntax=ExplicitVRLittleEndian):
    """The data set as a DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def incoming(data, offset):
    """What ingest makes of a file at this offset of the segment."""
    follower = Part10Stream()
    follower.feed(data)
    follower.finish()
    stream = follower.stream
    pixel = None
    start = follower.dataset_offset
    if stream.pixel is not None and not stream.syntax.deflated:
        pixel = PixelIndex(
            stream.pixel.tag,
            start + stream.value_offset,
            stream.pixel.length,
            tuple((start + place, length) for place, length in stream.fragments),
        )
    from pydicom import dcmread

    ds = dcmread(io.BytesIO(data), stop_before_pixels=True)
    return IncomingInstance(
        ds.StudyInstanceUID,
        ds.SeriesInstanceUID,
        ds.SOPInstanceUID,
        ds.SOPClassUID,
        follower.meta.transfer_syntax,
        stream.header,
        EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax,
        offset,
        len(data),
        start,
        pixel,
        hashlib.sha256(data[start:]).digest(),
    )


class Kit:
    """One platform, an institution `stmary` with an administrator, and shortcuts."""

    def __init__(self, platform, folder):
        self.platform = platform
        self.folder = folder
        self.archive = platform.archive
        self.institution = platform.identity.create_institution(
            "stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR
        )
        self.agree()
        self.principal = self.person(Role.ADMINISTRATOR)

    def agree(self, institution=None, purposes=("TREAT",)):
        """Without an agreement its own people read nothing of an institution's images."""
        return self.platform.agreements.create(
            (institution or self.institution).id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h",
            purposes=purposes, attested_by="Kim Berg", by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip

    def person(self, role, institution=None, scopes=frozenset(TokenScope)):
        institution = institution or self.institution
        return Principal(PrincipalKind.PERSON, "u-7f3a", institution.id, role, scopes, "tokenref")

    def scope(self, action, principal=None):
        return self.platform.access.scope_for(
            principal or self.principal, action, request=REQUEST, address="192.0.2.17"
        )

    @property
    def query(self):
        return self.scope(Action.DICOMWEB_STUDY_QUERY)

    @property
    def retrieve(self):
        return self.scope(Action.DICOMWEB_STUDY_READ)

    def store(self, *files, application=IMAGES, level=Level.IDENTIFIED, institution=None, study_group=None):
        """Store data sets (or files) of one study in one request; returns the outcomes' names."""
        files = [data if isinstance(data, bytes) else part10(data) for data in files]
        institution = institution or self.institution
        study = incoming(files[0], 0).study_uid
        target = self.archive.target(institution.id, application, level, study, study_group)
        writer = self.archive.begin_segment(target)
        instances = []
        for data in files:
            instances.append(incoming(data, writer.tell()))
            writer.write(data)
        actor = self.person(Role.ADMINISTRATOR, institution)
        outcomes = self.archive.commit(target, writer, instances, actor=actor, request=REQUEST)
        return [outcome.outcome.value for outcome in outcomes]

    def entries(self, *actions):
        """Audit entries, oldest first, of these actions."""
        with self.platform.database.read(EVERYWHERE) as tx:
            rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars()
            entries = [json.loads(content) for content in rows]
        return [entry for entry in entries if not actions or entry["action"] in actions]

    # What a thief or a failing disk does to objects behind the platform's back.

    def stored(self, object_id):
        """The stored bytes of an object."""
        if self.platform.settings.objects_url:
            store = self.platform.objects
            return bytes(obstore.get(store._store, store._key(object_id)).bytes())
        return self._file(object_id).read_bytes()

    def alter(self, object_id, content):
        """Put other stored bytes in the place of an object; None: remove it."""
        if self.platform.settings.objects_url:
            store = self.platform.objects
            store._headers.clear()
            if content is None:
                obstore.delete(store._store, store._key(object_id))
            else:
                obstore.put(store._store, store._key(object_id), bytes(content))
        elif content is None:
            self._file(object_id).unlink()
        else:
            self._file(object_id).write_bytes(content)

    def _file(self, object_id):
        return self.folder / "objects" / object_id.hex[:2] / object_id.hex

    def spelt(self, statement):
        """A statement in the words of the database at hand."""
        if self.platform.database.dialect == "postgresql":
            return re.sub(r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')", statement)
        return statement

    def sql(self, statement):
        with self.platform.database.read(EVERYWHERE) as tx:
            return tx.execute(text(self.spelt(statement))).all()
