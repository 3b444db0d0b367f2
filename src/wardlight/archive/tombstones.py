"""Files of tombstones: which keys were destroyed, for whoever restores a backup from before (security.md §2).

Lines of JSON: a head `{"format", "created", "log", "count"}`, one `{"key", "institution", "destroyed_ms"}` a key, and
`{"signature"}`: the operator's log key over `"wardlight-tombstones/1\\n" SHA-256 of the lines before, in hexadecimal,
"\\n"`. A forged file could destroy keys that live, so none counts that the operator's log has not signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from wardlight import clock
from wardlight.audit.log import AuditLog
from wardlight.audit.note import VerifierKey, parse_signature
from wardlight.audit.recorder import Recorder
from wardlight.audit.signer import Signer
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore, Tombstone
from wardlight.objects.store import ObjectStore

FORMAT: Final = "wardlight-tombstones/1"
#: Beside a copy of the keystore, or a backup of the index.
NAME: Final = "tombstones.ndjson"
_ALL: Final = "all-"


@dataclass(frozen=True, slots=True)
class Graveyard:
    """What one file tells. created_ms: when it was written."""

    created_ms: int
    tombstones: tuple[Tombstone, ...]


class Tombstones:
    """Writes and reads files of tombstones."""

    def __init__(
        self,
        database: Database,
        keystore: Keystore,
        recorder: Recorder,
        signer: Signer,
        log: AuditLog,
        objects: ObjectStore,
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._recorder = recorder
        self._signer = signer
        self._log = log
        self._objects = objects

    def written(self, tombstones: Sequence[Tombstone]) -> bytes:
        """A file that tells of these."""
        with self._database.read() as tx:
            _, origin = self._recorder.log_for(tx, None)
        head = {"count": len(tombstones), "created": clock.unix_ms(), "format": FORMAT, "log": origin}
        lines = [
            head,
            *(
                {"destroyed_ms": one.destroyed_ms, "institution": one.institution.hex, "key": one.key_id.hex}
                for one in tombstones
            ),
        ]
        body = b"".join(_line(one) for one in lines)
        return body + _line({"signature": self._signer.attest(None, origin, _signed(body)).rstrip("\n")})

    def read(self, content: bytes) -> Graveyard:
        """What a file tells. Raises `object-damaged` for one that the operator's log has not signed as it is."""
        body, _, last = content.rstrip(b"\n").rpartition(b"\n")
        body += b"\n"
        try:
            head, *rows = [json.loads(line) for line in body.splitlines()]
            signature = parse_signature(json.loads(last)["signature"])
            if head["format"] != FORMAT or head["count"] != len(rows):
                raise ValueError
            good = any(
                key.name == signature.name
                and key.key_id == signature.key_id
                and key.verify(_signed(body), signature.data)
                for key in self._keys()
            )
            if not good:
                raise ValueError
            found = tuple(
                Tombstone(UUID(hex=row["key"]), UUID(hex=row["institution"]), int(row["destroyed_ms"]))
                for row in rows
            )
            return Graveyard(int(head["created"]), found)
        except (ValueError, KeyError, TypeError):
            raise WardlightError(
                "object-damaged", "a file of tombstones is not what the operator's log signed"
            ) from None

    def publish(self, name: str, tombstones: Sequence[Tombstone]) -> None:
        """Keep these beside the objects, under a name of their own."""
        self._objects.put_tombstones(f"{name}.ndjson", self.written(tombstones))

    def publish_all(self) -> bytes:
        """Keep one file of all there are beside the objects, in the place of those before it; returns its content."""
        # Looked at first: what is published meanwhile stays.
        before = [name for name, _ in self._objects.tombstones()]
        content = self.written(self._keystore.tombstones())
        self._objects.put_tombstones(f"{_ALL}{clock.unix_ms():013d}.ndjson", content)
        for name in before:
            self._objects.drop_tombstones(name)
        return content

    def beside_objects(self) -> list[Graveyard]:
        """What the files beside the objects tell. Raises `object-damaged`."""
        return [self.read(content) for _, content in self._objects.tombstones()]

    def _keys(self) -> list[VerifierKey]:
        """All keys of the operator's log, in all generations that this installation knows."""
        texts: set[str] = set()
        for head in self._log.logs(None):
            texts.update(self._log.vkeys(head))
            try:
                texts.add(self._signer.vkey(head.origin))
            except WardlightError:
                continue  # It ended, and its keys are in its entries.
        return [VerifierKey.parse(one) for one in texts]


def _signed(body: bytes) -> str:
    return f"{FORMAT}\n{hashlib.sha256(body).hexdigest()}\n"


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def newest(graveyards: Iterable[Graveyard]) -> int:
    """When the newest of them was written; 0 where there is none."""
    return max((one.created_ms for one in graveyards), default=0)
