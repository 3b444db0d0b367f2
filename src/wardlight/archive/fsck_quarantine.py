"""Checks what protection holds back: each row has its key, and its object opens and holds what the row says."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from wardlight.archive import quarantine_store
from wardlight.archive.quarantine_store import Held, HeldState
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore


@dataclass(slots=True)
class Found:
    """What was examined, and what is wrong with it as `fsck` has it."""

    objects: int = 0
    bytes: int = 0
    findings: list[tuple[str, UUID]] = field(default_factory=list)


class Check:
    """Looks at all that is held."""

    def __init__(self, database: Database, keystore: Keystore, objects: ObjectStore) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects

    def run(self, *, deep: bool) -> Found:
        """Everything that waits. deep: also decrypt every byte."""
        found = Found()
        with self._database.read(EVERYWHERE) as tx:
            rows = quarantine_store.all_held(tx)
        for row in rows:
            if row.state is HeldState.ENDED:
                continue  # The worker is about to remove it: its key may be gone.
            found.objects += 1
            found.bytes += row.size
            code = self._wrong(row, deep=deep)
            if code and self._still(row):
                found.findings.append((code, row.object))
        return found

    def _wrong(self, row: Held, *, deep: bool) -> str:
        try:
            key = self._keystore.get_key(row.institution, row.key_id)
        except WardlightError as error:
            return "missing-key" if error.code == "key-destroyed" else "wrong-key"
        try:
            with self._objects.open(row.object, key, row.size) as reader:
                if reader.kind is not ObjectKind.QUARANTINE or reader.plaintext != row.length:
                    return "damaged-object"
                if deep:
                    reader.verify()
        except WardlightError as error:
            code = {"missing": "missing-object", "size": "object-size"}.get(error.reason)
            return code or ("wrong-key" if error.code == "wrong-key" else "damaged-object")
        return ""

    def _still(self, row: Held) -> bool:
        """Whether it waits as before: it may have ended meanwhile."""
        with self._database.read(EVERYWHERE) as tx:
            now = quarantine_store.by_id(tx, row.id)
        return now is not None and now.state is not HeldState.ENDED
