"""Signed receipts of deletions: made from what is known at the moment, verified offline (docs/reference/deletion.md).

A receipt names nobody: releases and keys by opaque ids, studies as the audit trail refers to them. The key of the
institution's audit log signs the format's name, LF, the canonical JSON of `receipt` (RFC 8785), LF. Once the entry of
the deletion is sealed, the receipt holds it with the proof that it stands in the log.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wardlight import clock
from wardlight.archive import deletion_store as store
from wardlight.archive.deletion import Known
from wardlight.archive.deletion_store import DeletionRow
from wardlight.audit import tree
from wardlight.audit.actions import Action
from wardlight.audit.log import AuditLog
from wardlight.audit.note import Note, VerifierKey, parse_signature
from wardlight.audit.recorder import Recorder
from wardlight.audit.signer import Signer
from wardlight.db.engine import Database
from wardlight.errors import WardlightError

FORMAT: Final = "wardlight-receipt/1"
#: Largest receipt that is read: thousands of releases.
MOST_BYTES: Final = 4 << 20


class Receipts:
    """Issues receipts. Threads share it."""

    def __init__(self, database: Database, recorder: Recorder, signer: Signer, log: AuditLog) -> None:
        self._database = database
        self._recorder = recorder
        self._signer = signer
        self._log = log

    def issue(self, known: Known) -> dict[str, Any]:
        """The receipt of a deletion as it stands now. Raises `unavailable`, `key-destroyed` without the log's key."""
        row = known.row
        position, audit = self._position(row)
        with self._database.read(row.institution) as tx:
            _, origin = self._recorder.log_for(tx, row.institution)
        receipt = {**described(known), "issued_at": clock.timestamp(), "audit": audit, "log": origin}
        receipt["audit_position"] = position
        line = self._signer.attest(row.institution, origin, _signed(receipt)).rstrip("\n")
        return {"format": FORMAT, "receipt": receipt, "signature": line}

    def _position(self, row: DeletionRow) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Where the deletion stands in the audit log, and the proof of it; None before that is sealed and signed."""
        with self._database.read(row.institution) as tx:
            found = store.position(tx, row.entry)
        if found is None:
            return None, None
        number, index = found
        head = next((one for one in self._log.logs(row.institution) if one.log == number), None)
        if head is None:
            return None, None
        try:
            checkpoint = self._log.checkpoint(head)
        except WardlightError as error:
            if error.code != "not-found":
                raise
            return None, None
        size = Note.parse(checkpoint).size
        if size <= index:
            return None, None
        _, content, leaf = next(iter(self._log.entries(head, index, index + 1)))
        position = {"log": head.origin, "index": index, "tree_size": size}
        proof = {
            "entry": content.decode() if content is not None else None,
            "leaf": b64encode(leaf).decode(),
            "proof": [b64encode(one).decode() for one in self._log.inclusion(head, index, size)],
            "checkpoint": checkpoint,
        }
        return position, proof


def described(known: Known) -> dict[str, Any]:
    """A deletion in the words of the API, without a signature."""
    row = known.row
    kind, _, id_ = row.deleted_by.partition(":")
    releases = [
        {
            "study": one.study_ref or None,
            "application": one.application,
            "level": one.level.value,
            "key": str(one.key_id),
            "instances": one.instances,
            "bytes": one.bytes,
            "objects": one.objects,
        }
        for one in known.releases
    ]
    return {
        "id": row.id.hex,
        "institution": str(row.institution),
        "state": row.state.value,
        "deleted_by": {"kind": kind, "id": id_, "role": row.role or None},
        "access_ended_at": _time(row.access_ended_ms),
        "key_destroyed_at": _time(row.key_destroyed_ms),
        "objects_removed_at": _time(row.removed_ms),
        "backups_unreadable_since": _time(row.unreadable_ms),
        "allowed_again_at": _time(row.allowed_ms),
        "releases": releases,
        "totals": {
            name: sum(getattr(one, name) for one in known.releases)
            for name in ("instances", "bytes", "objects")
        },
        "applications": [
            {
                "application": one.application,
                "event": str(one.event),
                "acknowledged_at": _time(one.acknowledged_ms),
            }
            for one in known.told
        ],
    }


# ---- verification, without the platform ----


@dataclass(frozen=True, slots=True)
class Verified:
    """What a receipt was found to be. verdict: `verified`, `altered` or `wrong-log`; why: in words."""

    verdict: str
    why: str
    receipt: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """As `wardlight audit verify` has them."""
        return {"verified": 0, "altered": 1, "wrong-log": 6}[self.verdict]


def verify(content: bytes, origin: str, vkeys: Sequence[str]) -> Verified:
    """Check a receipt against the log's origin and keys, which came another way. Raises ValueError for such keys.

    Checked are the signature, and where the receipt says that it stands in the log, that the entry is of this deletion
    and in the tree whose head the log has signed.
    """
    keys = [VerifierKey.parse(one) for one in vkeys]
    receipt: dict[str, Any] = {}
    try:
        document = _document(content)
        receipt = document["receipt"]
        signature = parse_signature(document["signature"])
        if not _is_of(origin, receipt["log"]) or signature.name != receipt["log"]:
            return Verified("wrong-log", "the receipt is of another log than the trust file's", receipt)
        text = _signed(receipt)
        mine = [key for key in keys if key.name == signature.name and key.key_id == signature.key_id]
        if not mine:
            return Verified("wrong-log", "the receipt is signed by a key that is not trusted", receipt)
        if not all(key.verify(text, signature.data) for key in mine):
            return Verified("altered", "the signature does not fit the receipt", receipt)
        if receipt["audit"] is not None:
            why = _wrong_position(receipt, keys)
            if why:
                return Verified("altered", why, receipt)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return Verified("altered", "the file is no receipt of this form", receipt)
    return Verified("verified", "the receipt is what the log's key signed", receipt)


def _wrong_position(receipt: dict[str, Any], keys: Sequence[VerifierKey]) -> str:
    """Why the proof that the deletion is in the log does not hold, or nothing."""
    position, proof = receipt["audit_position"], receipt["audit"]
    note = Note.parse(proof["checkpoint"])
    if note.origin != position["log"] or note.size != position["tree_size"]:
        return "the log's head is not the one that the receipt names"
    if not any(note.signed_by(key) for key in keys):
        return "the log's head is not signed by a trusted key"
    leaf = b64decode(proof["leaf"])
    path = [b64decode(one) for one in proof["proof"]]
    if not tree.verify_inclusion(leaf, position["index"], note.size, path, note.root):
        return "the entry is not in the log where the receipt says"
    if proof["entry"] is None:  # Pruned: its hash stands.
        return ""
    if tree.leaf_hash(proof["entry"].encode()) != leaf:
        return "the entry is not the one in the log"
    entry = json.loads(proof["entry"])
    if entry["action"] != Action.ARCHIVE_STUDY_DELETE or entry["detail"]["deletion"] != receipt["id"]:
        return "the entry in the log is not of this deletion"
    return ""


def _is_of(origin: str, log: str) -> bool:
    """Whether a log is the trusted one, or another generation of it."""
    return log.rpartition("/")[0] == origin.rpartition("/")[0]


def _document(content: bytes) -> dict[str, Any]:
    if len(content) > MOST_BYTES:
        raise ValueError("too large")
    document = json.loads(content)
    if document["format"] != FORMAT or set(document) != {"format", "receipt", "signature"}:
        raise ValueError("not a receipt")
    found: dict[str, Any] = document
    return found


def _signed(receipt: dict[str, Any]) -> str:
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{FORMAT}\n{text}\n"


def _time(ms: int | None) -> str | None:
    return None if ms is None else clock.timestamp_ms(ms)
