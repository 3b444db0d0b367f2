"""Where what people draw on images of a study goes: into the release of Images that they see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from wardlight.access.model import Operation, Scope
from wardlight.archive import store
from wardlight.archive.attributes import SERIES_UID, Attributes, first_text, only
from wardlight.archive.finding import find_study
from wardlight.archive.intake_parts import Telling
from wardlight.archive.keyring import Tokens, release_key
from wardlight.archive.model import IMAGES, ReleaseTarget
from wardlight.archive.results import ResultPlace, texts_of
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel
from wardlight.keys.keystore import Keystore

_PATIENT_ID: Final = 0x00100020
#: What an object that is added to a study repeats of patient and study (PS3.3 C.7.1.1, C.7.2.1), with their VRs where
#: they may not be left out.
_REPEATED: Final = {
    0x00080020: "DA",  # Study Date
    0x00080030: "TM",  # Study Time
    0x00080050: "SH",  # Accession Number
    0x00080090: "PN",  # Referring Physician's Name
    0x00100010: "PN",  # Patient's Name
    _PATIENT_ID: "LO",
    0x00100030: "DA",  # Patient's Birth Date
    0x00100040: "CS",  # Patient's Sex
    0x00200010: "SH",  # Study ID
}
_BESIDE: Final = frozenset({0x00081030, 0x00101010, 0x00120062})


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as it was named, with its SOP class and how many frames it has."""

    series: str = field(repr=False)
    instance: str = field(repr=False)
    sop_class: str
    frames: int


@dataclass(frozen=True, slots=True)
class DrawingPlace:
    """Where it goes, what it repeats of patient and study, and the instances that it is about, by SOP Instance UID."""

    result: ResultPlace
    attributes: Attributes = field(repr=False)
    seen: dict[str, Seen] = field(repr=False)


class Drawing:
    """Threads may share it."""

    def __init__(self, database: Database, keystore: Keystore) -> None:
        self._database = database
        self._keystore = keystore

    def place(self, scope: Scope, study_uid: str, images: Iterable[tuple[str, str]]) -> DrawingPlace:
        """Look up the study and these (series, instance) of it.

        Raises `not-found`, and `conflict` where the study is no one of Images.
        """
        scope.require(Operation.STORE)
        tokens = Tokens(self._keystore, scope.institution)
        found: dict[str, Seen] = {}
        with self._database.read(scope.institution) as tx:
            release, _ = find_study(tx, scope, tokens.study(study_uid))
            if release.application != IMAGES:
                raise WardlightError("conflict", "only studies of Images are drawn on", "application")
            key = release_key(self._keystore, release)
            for series, instance in images:
                rows = store.find_instances(tx, release.id, token=tokens.instance(instance))
                if not rows:
                    raise WardlightError("not-found")
                row = rows[0]
                above = key.unseal(RowLevel.SERIES, row.series, row.series_sealed)
                if first_text(above, SERIES_UID) != series:
                    raise WardlightError("not-found")
                found[instance] = Seen(series, instance, row.sop_class, row.frames)
        attributes = key.unseal_study(release)
        target = ReleaseTarget(
            scope.institution, release.id, release.application, release.level, release.key_id, key.key, study_uid
        )  # fmt: skip
        # Who drew is named by an id that says nothing outside the platform.
        shown = frozenset((*texts_of(attributes), scope.principal.id.encode()))
        patient = first_text(attributes, _PATIENT_ID).encode()
        telling = Telling(purpose=scope.purpose)
        return DrawingPlace(
            ResultPlace(target, release.level, patient, shown, telling), _repeated(attributes), found
        )


def _repeated(attributes: Attributes) -> Attributes:
    empty = {f"{tag:08X}": {"vr": vr} for tag, vr in _REPEATED.items()}
    return empty | only(attributes, frozenset(_REPEATED) | _BESIDE)
