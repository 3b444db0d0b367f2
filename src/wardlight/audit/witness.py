"""A witness of the C2SP protocol (c2sp.org/tlog-witness): what `wardlight audit witness` answers for a peer's log.

It keeps the last head of each log that it knows, in an SQLite database of its own, and cosigns what extends it. The
check against the old size and the new head are one transaction, durable before the cosignature is answered, so two
requests at once cannot take it back. Checkpoints with extension lines are not taken.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, LargeBinary, MetaData, String, Table, insert, select, update

from wardlight import clock
from wardlight.audit import tree
from wardlight.audit.note import LOG, Note, VerifierKey, cosign
from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.engine import Database, open_database

#: Largest request, and most hashes of a proof.
MAX_BODY: Final = 64 << 10
MAX_PROOF: Final = 63
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT: Final = "text/plain; charset=utf-8"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_LARGEST: Final = 1 << 62

metadata: Final = MetaData()
"""Apart from the platform's: a witness stands elsewhere."""

_head: Final = Table(
    "witness_head",
    metadata,
    column("origin", String(255), primary_key=True, data_class=DataClass.AUDIT),
    column("size", BigInteger, data_class=DataClass.AUDIT),
    column("root", LargeBinary(32), data_class=DataClass.AUDIT),
    column("note", String, data_class=DataClass.AUDIT),
)


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    body: str
    media_type: str = TEXT


class LogWitness:
    """Cosigns heads of the logs whose keys it is given. Threads may share it, processes the database.

    name, seed: its own key. keys: of logs, several of one origin while a log changes its key.
    """

    def __init__(self, database: Path, name: str, seed: bytes, keys: list[VerifierKey]) -> None:
        self._name = name
        self._seed = seed
        self._keys: dict[str, list[VerifierKey]] = {}
        for key in keys:
            if key.kind != LOG:
                raise ValueError("a key of a log is needed")
            self._keys.setdefault(key.name, []).append(key)
        self._database: Database = open_database(f"sqlite:///{database}")
        with self._database.begin() as tx:
            metadata.create_all(tx)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def heads(self) -> list[tuple[str, int, str]]:
        """(origin, size, note) of each log that was cosigned."""
        with self._database.read() as tx:
            query = select(_head.c.origin, _head.c.size, _head.c.note).order_by(_head.c.origin)
            return [(origin, size, note) for origin, size, note in tx.execute(query)]

    def add_checkpoint(self, body: bytes) -> Response:
        """The protocol's one call."""
        try:
            old, proof, note = _parsed(body)
        except ValueError as error:
            return Response(400, f"{error}\n")
        keys = self._keys.get(note.origin)
        if keys is None:
            return Response(404, "this log is not known here\n")
        signed = [note.signed_by(key) for key in keys]
        if False in signed or True not in signed:
            return Response(403, "no good signature of a key of this log\n")
        if old > note.size:
            return Response(400, "the old size is larger than the checkpoint's\n")
        refusal = self._advance(old, proof, note, body)
        return refusal or Response(200, cosign(self._name, self._seed, note.body, clock.unix_ms() // 1000))

    def _advance(self, old: int, proof: list[bytes], note: Note, body: bytes) -> Response | None:
        """Keep the head if it extends the one that is known; else why not."""
        with self._database.begin() as tx:
            known = tx.execute(
                select(_head.c.size, _head.c.root).where(_head.c.origin == note.origin)
            ).first()
            size, root = known or (0, tree.EMPTY_ROOT)
            if size != old:
                return Response(409, f"{size}\n", SIZE_TYPE)
            if not tree.verify_consistency(size, note.size, root, note.root, proof):
                return Response(422, "the checkpoint does not extend the one that is known\n")
            text = body.partition(b"\n\n")[2].decode()
            row = {"origin": note.origin, "size": note.size, "root": note.root, "note": text}
            if known is None:
                tx.execute(insert(_head).values(row))
            else:
                tx.execute(update(_head).where(_head.c.origin == note.origin).values(row))
        return None


def _parsed(body: bytes) -> tuple[int, list[bytes], Note]:
    """Old size, proof and checkpoint of a request. Raises ValueError."""
    if len(body) > MAX_BODY:
        raise ValueError("the request is too large")
    try:
        head, blank, text = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise ValueError("the request is not UTF-8") from None
    first, *lines = head.split("\n")
    match = _OLD.fullmatch(first)
    if not blank or match is None or len(lines) > MAX_PROOF:
        raise ValueError("the request is no old size, proof, empty line and checkpoint")
    note = Note.parse(text)
    if note.size >= _LARGEST:
        raise ValueError("the tree is too large")
    return int(match[1]), [_hash(line) for line in lines], note


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("a hash is not base64") from None
    if len(found) != tree.HASH_BYTES or base64.b64encode(found).decode() != line:
        raise ValueError("a hash is 32 bytes in base64")
    return found
