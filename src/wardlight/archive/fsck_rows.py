"""Compares the clear columns of rows with what they follow from: sealed attributes, stored files, metadata objects.

Whoever can write to the index could change a clear column; the sealed attributes and the objects only the key opens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from wardlight.archive.attributes import (
    INSTANCE_NUMBER,
    INSTANCE_TAGS,
    SERIES_UID,
    SOP_CLASS,
    SOP_UID,
    STUDY_UID,
    Attributes,
    first_text,
    only,
    order_number,
    study_date,
)
from wardlight.archive.completion import describe
from wardlight.archive.content import PIECE
from wardlight.archive.fsck_store import InstanceCheck, ReleaseChecks
from wardlight.archive.incoming import (
    WANTED,
    AttributeReader,
    described,
    identify,
    instance_columns,
    number_of_frames,
    preference,
    series_columns,
)
from wardlight.archive.keyring import ReleaseKey, Tokens
from wardlight.archive.places import locations
from wardlight.archive.store import InstanceRow, pack_fragments
from wardlight.dicom.errors import DicomError
from wardlight.dicom.part10 import Part10Stream
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.objects.store import ObjectReader, ObjectStore


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The sealed attributes of a release; None where they do not open in their row, or not as this release's."""

    study: Attributes | None
    series: dict[UUID, Attributes | None]
    instances: dict[UUID, Attributes | None]


def unseal(key: ReleaseKey, held: ReleaseChecks) -> Unsealed:
    """Open all that is sealed."""

    def opened(level: RowLevel, row: UUID, blob: bytes) -> Attributes | None:
        try:
            return key.unseal(level, row, blob)
        except WardlightError:
            return None

    try:
        study = key.unseal_study(held.release)
    except WardlightError:
        study = None
    return Unsealed(
        study,
        {one.row.id: opened(RowLevel.SERIES, one.row.id, one.row.sealed) for one in held.series},
        {one.row.id: opened(RowLevel.INSTANCE, one.row.id, one.row.sealed) for one in held.instances},
    )


def misplaced(tokens: Tokens, held: ReleaseChecks, unsealed: Unsealed) -> int:
    """How many rows hold sealed attributes that do not open or have another UID than the row's token stands for."""
    wrong = int(unsealed.study is None or tokens.study(first_text(unsealed.study, STUDY_UID)) != held.token)
    for series in held.series:
        found = unsealed.series[series.row.id]
        wrong += found is None or tokens.series(first_text(found, SERIES_UID)) != series.token
    for instance in held.instances:
        found = unsealed.instances[instance.row.id]
        wrong += found is None or tokens.instance(first_text(found, SOP_UID)) != instance.token
    return wrong


def altered(held: ReleaseChecks, unsealed: Unsealed) -> int:
    """How many rows have a clear column that does not follow from the sealed attributes."""
    release, wrong = held.release, 0
    modalities = sorted({one.modality for one in held.series} - {""})
    if unsealed.study is not None:
        wrong += (
            release.study_date != study_date(unsealed.study)
            or list(release.modalities) != modalities
            or held.preference != preference(release.application, release.level)
        )
    for series in held.series:
        found = unsealed.series[series.row.id]
        wrong += found is not None and series_columns(found) != {
            "modality": series.modality,
            "number": series.number,
        }
    for instance in held.instances:
        found = unsealed.instances[instance.row.id]
        wrong += found is not None and not _agrees(instance, found)
    return wrong


def _agrees(instance: InstanceCheck, found: Attributes) -> bool:
    columns = _columns(instance)
    expected = {
        "sop_class": first_text(found, SOP_CLASS),
        "number": order_number(found, INSTANCE_NUMBER),
        "frames": number_of_frames(found),
    }
    return all(columns[name] == value for name, value in expected.items())


def _columns(instance: InstanceCheck) -> dict[str, Any]:
    row, pixel = instance.row, instance.row.pixel
    return {
        "sop_class": row.sop_class,
        "transfer_syntax": row.transfer_syntax,
        "number": instance.number,
        "frames": row.frames,
        "frame_bits": row.frame_bits,
        "length": row.length,
        "dataset_offset": row.dataset_offset,
        "header_length": row.header_length,
        "pixel_tag": pixel.tag if pixel else 0,
        "pixel_offset": pixel.offset if pixel else 0,
        "pixel_length": pixel.length if pixel else 0,
        "fragments": pack_fragments(pixel.fragments) if pixel else None,
    }


def reread(reader: ObjectReader, instance: InstanceCheck, sealed: Attributes | None) -> tuple[bytes, bool]:
    """Read a stored file from end to end: SHA-256 of its data set, and whether its row is what intake would write.

    sealed: its sealed attributes; None is not compared.
    """
    row = instance.row
    file = Part10Stream(wanted=WANTED)
    digest = hashlib.sha256()
    skip = row.dataset_offset
    parsed = True
    for piece in reader.iter(row.offset, row.offset + row.length, PIECE):
        digest.update(memoryview(piece)[skip:])
        skip = max(0, skip - len(piece))
        try:
            if parsed:
                file.feed(piece)
        except DicomError:
            parsed = False
    return digest.digest(), parsed and _follows(file, instance, sealed)


def _follows(file: Part10Stream, instance: InstanceCheck, sealed: Attributes | None) -> bool:
    row = instance.row
    try:
        file.finish()
        assert file.stream is not None
        incoming = described(file, identify(file.stream), row.offset, row.length, b"")
        found = AttributeReader().read(incoming, INSTANCE_TAGS)
    except (DicomError, WardlightError):
        return False
    if instance_columns(incoming, found) != _columns(instance):
        return False
    return sealed is None or only(found, INSTANCE_TAGS) == sealed


def misdescribed(held: ReleaseChecks, plaintext: int) -> bool:
    """Whether places in the metadata object of `plaintext` bytes are not one line after the other, as written."""
    place = 0
    spans: dict[UUID, tuple[int, int]] = {}
    for instance in held.instances:
        row = instance.row
        if row.metadata_offset != place or row.metadata_length <= 0:
            return True
        place += row.metadata_length
        spans[row.series] = (spans.get(row.series, (row.metadata_offset, 0))[0], place)
    series = {
        one.row.id: (one.row.metadata_offset, one.row.metadata_offset + one.row.metadata_length)
        for one in held.series
    }
    return place != plaintext or spans != series


def wrong_metadata(
    objects: ObjectStore, key: ReleaseKey, held: ReleaseChecks, study: Attributes, reader: ObjectReader
) -> bool:
    """Whether a line of the metadata object differs from what the stored header gives.

    Headers that cannot be read are not the metadata's fault, and found elsewhere.
    """
    rows: list[InstanceRow] = [one.row for one in held.instances]
    try:
        places = locations(held.release, key, rows, first_text(study, STUDY_UID), None)
        for row, text in zip(rows, describe(objects, key, places), strict=True):
            if reader.read(row.metadata_offset, row.metadata_offset + row.metadata_length) != text + b"\n":
                return True
    except WardlightError:
        return False
    return False
