"""Checks machine data: each segment has its key, and its object opens and is what the row says."""

from __future__ import annotations

from uuid import UUID

from wardlight.archive import machine_store
from wardlight.archive.fsck_quarantine import Found
from wardlight.archive.machine_store import Segment
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.objects.format import ObjectKind
from wardlight.objects.store import ObjectStore


class Check:
    """Looks at all that is held."""

    def __init__(self, database: Database, keystore: Keystore, objects: ObjectStore) -> None:
        self._database = database
        self._keystore = keystore
        self._objects = objects

    def run(self, *, deep: bool) -> Found:
        """Every segment that was not ended. deep: also decrypt every byte."""
        found = Found()
        with self._database.read(EVERYWHERE) as tx:
            rows = machine_store.all_segments(tx)
        for row in rows:
            found.objects += 1
            found.bytes += row.size
            code = self._wrong(row, deep=deep)
            if code and self._still(row.id):
                found.findings.append((code, row.id))
        return found

    def _wrong(self, row: Segment, *, deep: bool) -> str:
        try:
            key = self._keystore.get_key(row.institution, row.key_id)
        except WardlightError as error:
            return "missing-key" if error.code == "key-destroyed" else "wrong-key"
        try:
            with self._objects.open(row.id, key, row.size) as reader:
                if reader.kind is not ObjectKind.MACHINE_DATA:
                    return "damaged-object"
                if deep:
                    reader.verify()
        except WardlightError as error:
            code = {"missing": "missing-object", "size": "object-size"}.get(error.reason)
            return code or ("wrong-key" if error.code == "wrong-key" else "damaged-object")
        return ""

    def _still(self, id_: UUID) -> bool:
        with self._database.read(EVERYWHERE) as tx:
            return any(one.id == id_ for one in machine_store.all_segments(tx))
