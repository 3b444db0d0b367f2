"""Keys as the archive uses them: UID tokens, digests, sealed attributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

from wardlight.archive.attributes import SCHEMA, Attributes
from wardlight.archive.store import ReleaseRow
from wardlight.audit.references import References
from wardlight.classification.model import DataClass
from wardlight.classification.values import Classified
from wardlight.errors import WardlightError
from wardlight.keys.attributes import AttributeKey, RowLevel, UidTokens
from wardlight.keys.cursors import CursorKey
from wardlight.keys.keystore import Keystore
from wardlight.keys.postings import PostingKeys
from wardlight.keys.wrap import KeyKind

#: Generation of the blind-index key for UID tokens; postings have generations of their own.
GENERATION: Final = 1

# Where the sealed study holds for whom the release was made. No data set has an element of this tag (PS3.5 7.1).
_BOUND: Final = "00000000"

# Level byte of what is sealed of a release's origin: no row's attributes open in its place.
_ORIGIN_LEVEL: Final = 0xD2

# Level byte of content digests under the uid key: no level of the information model, so that no UID has such a token.
_DIGEST_LEVEL: Final = 0xD1


class Subject(NamedTuple):
    """Whose a study is, as a release names it: Patient ID, its issuer, Study Instance UID."""

    patient: Classified[str]
    issuer: Classified[str]
    study: Classified[str]

    @classmethod
    def of(cls, patient: str, issuer: str, study: str) -> Subject:
        """From what stands in a data set."""
        return cls(
            Classified(DataClass.PERSONAL, patient),
            Classified(DataClass.PERSONAL, issuer),
            Classified(DataClass.HEALTH, study),
        )

    def references(self, references: References) -> tuple[str, str]:
        """As the trail names patient and study."""
        return (
            references.patient(self.patient.reveal(), self.issuer.reveal()),
            references.study(self.study.reveal()),
        )


class Tokens:
    """Keyed tokens of one institution. Made for one operation, and never kept."""

    __slots__ = ("_tokens",)

    def __init__(self, keystore: Keystore, institution: UUID) -> None:
        _, key = keystore.institution_key(institution, KeyKind.BLIND_INDEX)
        self._tokens = UidTokens(key, GENERATION)

    def study(self, uid: str) -> bytes:
        """Token of a Study Instance UID."""
        return self._tokens.token(RowLevel.STUDY, uid)

    def series(self, uid: str) -> bytes:
        """Token of a Series Instance UID."""
        return self._tokens.token(RowLevel.SERIES, uid)

    def instance(self, uid: str) -> bytes:
        """Token of a SOP Instance UID."""
        return self._tokens.token(RowLevel.INSTANCE, uid)

    def digest(self, release: UUID, sha256: bytes) -> bytes:
        """Keyed digest of an instance's data set. The release is in it: equal content in two releases shows nothing."""
        return self._tokens.token(_DIGEST_LEVEL, release.hex + sha256.hex())


class ReleaseKey:
    """Seals and unseals rows of one release."""

    __slots__ = ("_attributes", "_institution", "_release", "key")

    def __init__(self, key: bytes, institution: UUID, release: UUID) -> None:
        self.key = key
        self._attributes = AttributeKey(key)
        self._institution = institution
        self._release = release

    def seal(self, level: RowLevel, row: UUID, attributes: Attributes) -> bytes:
        """Seal a row's attributes."""
        return self._attributes.seal(self._institution, self._release, level, row, SCHEMA, attributes)

    def unseal(self, level: RowLevel, row: UUID, blob: bytes) -> Attributes:
        """Open a row's attributes. Raises `object-damaged`."""
        return self._attributes.unseal(self._institution, self._release, level, row, SCHEMA, blob)

    def seal_origin(self, subjects: Iterable[Subject]) -> bytes:
        """Seal whose the release's data is by the releases that it was made of, nearest first."""
        return self._attributes.seal(
            self._institution,
            self._release,
            _ORIGIN_LEVEL,
            self._release,
            SCHEMA,
            {"subjects": [[one.reveal() for one in subject] for subject in subjects]},
        )

    def unseal_origin(self, blob: bytes | None) -> list[Subject]:
        """Open that; empty where the release was made of none. Raises `object-damaged`."""
        if blob is None:
            return []
        found = self._attributes.unseal(
            self._institution, self._release, _ORIGIN_LEVEL, self._release, SCHEMA, blob
        )
        return [Subject.of(*one) for one in found["subjects"]]

    def seal_study(self, release: ReleaseRow, attributes: Attributes) -> bytes:
        """Seal the study's attributes, and with them for whom and at which level the release was made."""
        return self.seal(RowLevel.STUDY, release.id, {**attributes, _BOUND: _bound(release)})

    def unseal_study(self, release: ReleaseRow) -> Attributes:
        """Open the study's attributes; none while the release is only reserved.

        Raises `object-damaged`, also where the row now names another application, level or group: whoever can write to
        the index cannot move a release under another agreement.
        """
        if release.sealed is None:
            return {}
        found = self.unseal(RowLevel.STUDY, release.id, release.sealed)
        if found.pop(_BOUND, None) != _bound(release):
            raise WardlightError("object-damaged", "a release is not what it was made as")
        return found


def _bound(release: ReleaseRow) -> list[str]:
    return [release.application, release.level.value, release.study_group.hex()]


def release_key(keystore: Keystore, row: ReleaseRow) -> ReleaseKey:
    """The key of a release. Raises `key-destroyed`, and `unavailable` for a schema this program does not know."""
    if row.sealed_schema != SCHEMA:
        raise WardlightError("unavailable", "the release is sealed under another schema")
    return ReleaseKey(keystore.get_key(row.institution, row.key_id), row.institution, row.id)


def release_keys(keystore: Keystore, rows: Iterable[ReleaseRow]) -> dict[UUID, ReleaseKey | None]:
    """The keys of many releases of one institution, fetched together; None where the key was destroyed."""
    releases = {row.id: row for row in rows}
    if not releases:
        return {}
    institution = next(iter(releases.values())).institution
    keys = keystore.get_keys(institution, [row.key_id for row in releases.values()])
    found: dict[UUID, ReleaseKey | None] = {}
    for id_, row in releases.items():
        if row.sealed_schema != SCHEMA:
            raise WardlightError("unavailable", "the release is sealed under another schema")
        key = keys.get(row.key_id)
        found[id_] = ReleaseKey(key, institution, id_) if key is not None else None
    return found


def posting_keys(keystore: Keystore, institution: UUID, generation: int) -> PostingKeys:
    """Keys of the institution's postings of a generation."""
    _, key = keystore.institution_key(institution, KeyKind.BLIND_INDEX)
    return PostingKeys(key, generation)


def cursor_key(keystore: Keystore, institution: UUID) -> CursorKey:
    """The key of the institution's search cursors."""
    _, key = keystore.institution_key(institution, KeyKind.BLIND_INDEX)
    return CursorKey(key)
