"""Where a result belongs, as the vault knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from wardlight.deid.harvest import Seen
from wardlight.deid.patient_study import BIRTH_DATE, ISSUER, PATIENT_ID, PATIENT_NAME
from wardlight.deid.restore import NotRestored, Origin, decoded, texts_of
from wardlight.deid.uids import patient_of
from wardlight.receiver.model import Target
from wardlight.receiver.vault import Vault

_UNICODE: Final = b"ISO_IR 192"


@dataclass(slots=True, kw_only=True)
class VaultOrigin(Origin):
    """target: the release that the result was made of."""

    target: Target = field(repr=False)


def origin_of(vault: Vault, pseudonym: bytes, study_uid: bytes) -> VaultOrigin:
    """Where a result of this pseudonym and (new) study belongs. Raises NotRestored."""
    release = vault.release(pseudonym)
    if release is None:
        raise NotRestored("pseudonym-unknown")
    found = vault.original(study_uid)
    if found is None:
        raise NotRestored("study-unknown")
    study = vault.study(found[0])
    if study is None:
        raise NotRestored("study-unknown")
    if study.person != release.person:
        raise NotRestored("two-patients")
    texts = texts_of(study.elements)
    current = vault.resolved(release.patient)
    values = {tag: value for tag, _, value, _ in study.elements}
    if patient_of(values.get(ISSUER, b""), values.get(PATIENT_ID, b""), found[0]) != current:
        texts |= _merged(current, vault.person(current))
    return VaultOrigin(
        person=release.person, days=release.days, seen_on=study.seen_on, study_uid=found[0], texts=texts,
        target=release.target,
    )  # fmt: skip


def identified_origin(vault: Vault, target: Target, study_uid: bytes) -> VaultOrigin:
    """Where a result belongs that names patient and study as they are. Raises NotRestored."""
    study = vault.study(study_uid)
    if study is None:
        raise NotRestored("study-unknown")
    values = {tag: value for tag, _, value, _ in study.elements}
    patient = patient_of(values.get(ISSUER, b""), values.get(PATIENT_ID, b""), study_uid)
    texts = texts_of(study.elements)
    current = vault.resolved(patient)
    if current != patient:
        texts |= _merged(current, vault.person(current))
    return VaultOrigin(
        person=study.person, days=0, seen_on=study.seen_on, study_uid=study_uid, texts=texts, target=target
    )


def _merged(patient: bytes, known: tuple[Seen, ...]) -> dict[int, tuple[bytes, str]]:
    """Who a patient is now: the ID it was merged into, with the name and birth date first seen under that."""
    kind, _, rest = patient.partition(b"\0")
    issuer, _, patient_id = rest.partition(b"\0")
    texts = {}
    charset = next((one[3] for one in known if one[0] == PATIENT_ID), _UNICODE)
    if kind == b"patient":
        texts[PATIENT_ID] = b"LO", decoded(patient_id, b"LO", charset)
        texts[ISSUER] = b"LO", decoded(issuer, b"LO", charset)
    for tag, vr, value, declared in reversed(known):
        if tag in (PATIENT_NAME, BIRTH_DATE):
            texts[tag] = vr, decoded(value, vr, declared)
    return texts
