"""Finds the study that a scope shows: the institution's people by what is there, everybody else by their grants."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from wardlight.access.model import PrincipalKind, Scope, Use
from wardlight.archive import arrivals_store, granted_store, store
from wardlight.archive.attributes import STUDY_UID, first_text
from wardlight.archive.granted_store import GrantRow, Holder
from wardlight.archive.keyring import Tokens, release_keys
from wardlight.archive.store import ReleaseRow
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore


def holder_of(scope: Scope) -> Holder | None:
    """Whose grants count for this scope; None for the institution's own people, who see what it has."""
    if not scope.granted:
        return None
    if scope.principal.kind is PrincipalKind.APPLICATION:
        return Holder("application", scope.institution, scope.principal.id, scope.purpose)
    # A person's share says for what it is; whoever reads it reads for that.
    return Holder("person", scope.institution, scope.principal.id, "")


def find_study(tx: Connection, scope: Scope, token: bytes) -> tuple[ReleaseRow, GrantRow | None]:
    """The release that answers to a Study UID, and the grant that it is shown by.

    Raises `not-found`: to an application the same as for what does not exist, with the reason for the trail alone; the
    institution's own people are told it.
    """
    if scope.principal.study not in (None, token):
        raise WardlightError("not-found", told="token-study")
    holder = holder_of(scope)
    if holder is not None:
        found = granted_store.find_granted(tx, holder, token)
        if found is None:
            reason = granted_store.why_not(tx, holder, token)
            own = scope.principal.kind is PrincipalKind.PERSON
            raise WardlightError("not-found", reason=reason if own else "", told=reason)
        scope.uses.append(Use(found[0].id, found[1].id))
        return found
    release = store.find_release(tx, scope.institution, token)
    if release is None:
        raise WardlightError("not-found")
    scope.uses.append(Use(release.id))
    return release, None


class Names:
    """Study UIDs of releases, for those who may know them."""

    def __init__(self, database: Database, keystore: Keystore) -> None:
        self._database = database
        self._keystore = keystore

    def group(self, scope: Scope, study_uid: str) -> bytes:
        """The study group of a study of the institution. Raises `not-found`."""
        with self._database.read(scope.institution) as tx:
            release, _ = find_study(tx, scope, Tokens(self._keystore, scope.institution).study(study_uid))
        return release.study_group

    def releases(self, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
        """Study UID and privacy level of these releases of the institution; those that are gone are left out."""
        with self._database.read(scope.institution) as tx:
            rows = granted_store.releases_by_ids(tx, scope.institution, ids)
        return {row.id: (uid, row.level.value) for row, uid in self._uids(rows)}

    def images(self, scope: Scope, groups: Sequence[bytes]) -> dict[bytes, str]:
        """Study UID in Images of these study groups; those that Images does not have are left out."""
        with self._database.read(scope.institution) as tx:
            rows = granted_store.images_of_groups(tx, scope.institution, groups)
        return {row.study_group: uid for row, uid in self._uids(rows)}

    def arrivals(self, institution: UUID) -> dict[str, int]:
        """Who sent → when something came last of it."""
        with self._database.read(institution) as tx:
            return arrivals_store.last(tx, institution)

    def _uids(self, rows: list[ReleaseRow]) -> list[tuple[ReleaseRow, str]]:
        keys = release_keys(self._keystore, rows)
        found = []
        for row in rows:
            key = keys[row.id]
            if key is not None:
                found.append((row, first_text(key.unseal_study(row), STUDY_UID)))
        return found
