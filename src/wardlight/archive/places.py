"""Turns rows of a release into places of instances, with their UIDs unsealed."""

from __future__ import annotations

from uuid import UUID

from wardlight.archive.attributes import ISSUER_OF_PATIENT_ID, PATIENT_ID, SERIES_UID, SOP_UID, first_text
from wardlight.archive.keyring import ReleaseKey
from wardlight.archive.model import InstanceLocation
from wardlight.archive.store import InstanceRow, ReleaseRow
from wardlight.audit.references import References
from wardlight.audit.sessions import Reading
from wardlight.keys.attributes import RowLevel


def patient_of(release: ReleaseRow, key: ReleaseKey) -> tuple[str, str]:
    """Patient ID and its issuer as the release holds them."""
    study = key.unseal_study(release)
    return first_text(study, PATIENT_ID), first_text(study, ISSUER_OF_PATIENT_ID)


def subjects_of(
    references: References, release: ReleaseRow, key: ReleaseKey, study_uid: str
) -> tuple[tuple[str, str], ...]:
    """Whose a release is, as the trail names them: by itself, and by those that it was made of."""
    own = (references.patient(*patient_of(release, key)), references.study(study_uid))
    if release.origin is None:
        return (own,)
    sources = key.unseal_origin(release.origin)
    return (
        own,
        *(one.references(references) for one in sources),
    )


def locations(
    release: ReleaseRow, key: ReleaseKey, rows: list[InstanceRow], study_uid: str, reading: Reading | None
) -> list[InstanceLocation]:
    """Places of instances with their UIDs."""
    series_uids: dict[UUID, str] = {}
    found = []
    for row in rows:
        if row.series not in series_uids:
            sealed = key.unseal(RowLevel.SERIES, row.series, row.series_sealed)
            series_uids[row.series] = first_text(sealed, SERIES_UID)
        found.append(
            InstanceLocation(
                release.institution,
                release.id,
                row.id,
                release.application,
                release.level,
                release.key_id,
                row.segment,
                row.segment_size,
                row.offset,
                row.length,
                row.dataset_offset,
                row.header_length,
                row.pixel,
                row.transfer_syntax,
                row.sop_class,
                row.frames,
                row.frame_bits,
                study_uid,
                series_uids[row.series],
                first_text(key.unseal(RowLevel.INSTANCE, row.id, row.sealed), SOP_UID),
                reading,
            )
        )
    return found
