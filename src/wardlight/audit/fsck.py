"""Proves that the sealed logs are whole: entries, tiles, roots, signatures, and what is kept to find entries by."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final
from uuid import UUID

from wardlight.audit import fsck_store, tree
from wardlight.audit import log_store as store
from wardlight.audit.log_store import Columns, Head
from wardlight.audit.note import Note, VerifierKey
from wardlight.audit.signer import Signer
from wardlight.db.engine import EVERYWHERE, Connection, Database
from wardlight.errors import WardlightError

#: What is wrong, and what it means for people. Findings name the institution; zeros: the operator.
ERRORS: Final = {
    "audit-entry": "an entry of the audit log is missing, or is not the one that was sealed",
    "audit-columns": "columns by which an audit entry is found do not follow from it",
    "audit-subjects": "the audit log does not keep of whom its entries speak",
    "audit-tile": "a tile of the audit log is not the one that its entries give",
    "audit-root": "the audit log's root is not the one that its entries give",
    "audit-counters": "counters of days are not those of the audit log's entries",
    "audit-checkpoint": "a signed head does not fit the audit log, or its signature is not good",
    "audit-signer": "the audit log is not the one whose head was signed last",
}
#: What stops a log without being damage of this database.
NOTES: Final = {"audit-halted": "an audit log has stopped; see `wardlight admin audit-continue`"}

_OPERATOR: Final = UUID(int=0)
#: Checkpoints that share the tiles which one of them has read.
_TOGETHER: Final = 256


class AuditFsck:
    """Checks every log, running or not: each is looked at in one state of the database."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    def check(self) -> list[tuple[str, UUID]]:
        """(code, institution) of what is wrong, each code once a log."""
        with self._database.read(EVERYWHERE) as tx:
            heads = [one.head for one in store.overview(tx)]
        findings = []
        for head in heads:
            with self._database.read(EVERYWHERE) as tx:
                now = store.head(tx, head.log)
                assert now is not None
                found = dict.fromkeys(_Log(tx, now).check())
            if not self._signed(now):
                found["audit-signer"] = None
            if now.halted == store.REFUSED:
                found["audit-halted"] = None
            findings += [(code, head.institution or _OPERATOR) for code in found]
        return findings

    def _signed(self, head: Head) -> bool:
        """Whether what was signed last is in this log. A log that has ended may have been signed further."""
        if head.halted or not head.size:
            return True
        try:
            last = self._signer.last(head.origin)
        except WardlightError:
            return False
        with self._database.read(EVERYWHERE) as tx:
            now = store.head(tx, head.log)
            try:
                return now is not None and store.extends(tx, now, last.size, last.root)
            except ValueError:
                return False


class _Log:
    """One log in one transaction."""

    def __init__(self, tx: Connection, head: Head) -> None:
        self._tx = tx
        self._head = head
        self._hours: Counter[store.Hour] = Counter()
        # Sums of digests: of the references as entries have them and as the table does, in any order.
        self._subjects = 0
        self._keys: list[VerifierKey] = []

    def check(self) -> list[str]:
        """Codes of what is wrong; one may come several times."""
        wrong, hashes = self._leaves()
        wrong += self._upper(hashes)
        if fsck_store.beyond(self._tx, self._head.log, self._head.size):
            wrong.append("audit-entry")
        if fsck_store.hours(self._tx, self._head.log) != self._hours:
            wrong.append("audit-counters")
        kept = sum(_mix(ref, idx) for ref, idx in fsck_store.subjects(self._tx, self._head.log))
        if kept != self._subjects:
            wrong.append("audit-subjects")
        try:
            root = tree.root(store.tiles(self._tx, self._head.log), self._head.size)
        except ValueError:
            root = b""
        if root != self._head.root:
            wrong.append("audit-root")
        return wrong + self._checkpoints()

    def _leaves(self) -> tuple[list[str], list[bytes]]:
        """Entries and the tiles of their hashes; roots of the full tiles."""
        wrong: list[str] = []
        full: list[bytes] = []
        for start in range(0, self._head.size, tree.WIDTH):
            stop = min(start + tree.WIDTH, self._head.size)
            kept = store.tiles(self._tx, self._head.log)(0, start // tree.WIDTH)
            leaves = [kept[at : at + tree.HASH_BYTES] for at in range(0, len(kept), tree.HASH_BYTES)]
            rows = fsck_store.rows(self._tx, self._head.log, start, stop)
            if len(leaves) != stop - start:
                wrong.append("audit-tile")
            if [row["idx"] for row in rows] != list(range(start, stop)):
                wrong.append("audit-entry")
            for row in rows:
                at = row["idx"] - start
                if row["content"] is None:
                    # Pruned: nothing but its hash is left, and nothing by which it is found.
                    if any(row[name] is not None for name in row.keys() - {"log", "idx"}):
                        wrong.append("audit-columns")
                elif at >= len(leaves) or tree.leaf_hash(row["content"]) != leaves[at]:
                    wrong.append("audit-entry")
                else:
                    wrong += self._entry(row)
            if len(kept) == tree.TILE_BYTES:
                full.append(tree.fold(kept))
        return wrong, full

    def _entry(self, row: dict[str, object]) -> list[str]:
        content = row["content"]
        assert isinstance(content, bytes) and isinstance(row["idx"], int)
        try:
            values = store.parsed(content)
            expected: Columns = store.columns(self._head.log, row["idx"], content, values)
        except (ValueError, KeyError, TypeError):
            return ["audit-entry"]
        self._hours[expected.hour] += 1
        self._subjects += sum(_mix(ref, row["idx"]) for ref in expected.refs)
        if values["action"] in store.OF_KEYS:
            self._key(values)
        wrong = [] if row == expected.row else ["audit-columns"]
        return wrong if values["log"] == self._head.origin else [*wrong, "audit-entry"]

    def _key(self, values: dict[str, object]) -> None:
        detail = values.get("detail")
        if isinstance(detail, dict):
            self._keys.append(VerifierKey.parse(str(detail.get("vkey"))))

    def _upper(self, hashes: list[bytes]) -> list[str]:
        """Tiles above the leaves, each the roots of full tiles below."""
        level, expected = 1, 1 + max(0, self._head.size - 1) // tree.WIDTH if self._head.size else 0
        read = store.tiles(self._tx, self._head.log)
        while hashes:
            following = []
            for n in range(0, len(hashes), tree.WIDTH):
                data = b"".join(hashes[n : n + tree.WIDTH])
                expected += 1
                if read(level, n // tree.WIDTH) != data:
                    return ["audit-tile"]
                if len(data) == tree.TILE_BYTES:
                    following.append(tree.fold(data))
            level, hashes = level + 1, following
        return [] if fsck_store.tile_count(self._tx, self._head.log) == expected else ["audit-tile"]

    def _checkpoints(self) -> list[str]:
        """Signed heads against the tree and the keys that the log itself tells of."""
        stop = self._head.size + 1
        for start in range(0, stop, _TOGETHER):
            found = self._faults(start, min(start + _TOGETHER, stop))
            if found:
                return found
        return []

    def _faults(self, start: int, stop: int) -> list[str]:
        """Of the heads of sizes from `start` to before `stop`: so many are in memory at a time, and their tiles."""
        read = store.tiles(self._tx, self._head.log)
        for one in store.checkpoints(self._tx, self._head.log, start, stop):
            try:
                note = Note.parse(one.note)
                same = (note.origin, note.size, note.root) == (self._head.origin, one.size, one.root)
                if not same or tree.root(read, one.size) != one.root:
                    return ["audit-checkpoint"]
            except ValueError:
                return ["audit-checkpoint"]
            signed = [note.signed_by(key) for key in self._keys]
            if True not in signed or False in signed:
                return ["audit-checkpoint"]
        return []


def _mix(ref: str, idx: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{ref} {idx}".encode(), digest_size=16).digest())
