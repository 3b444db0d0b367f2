"""A platform whose audit entries tests write and seal, and what must hold of a log by other means than the sealer's."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from sqlalchemy import text

from wardlight import clock
from wardlight.audit import log_store
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event
from wardlight.audit.note import Note, VerifierKey
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR

PERSON = Actor("person", "u-7f3a", "clinician")
LOGIN = Event(Action.IDENTITY_SESSION_LOGIN, PERSON)


def rebuilt(leaves):
    """Root by the definition of RFC 9162."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + rebuilt(leaves[:half]) + rebuilt(leaves[half:])).digest()


class Bench:
    """A platform with one institution, whose entries the tests write and seal."""

    def __init__(self, platform):
        self.platform = platform
        self.database, self.recorder, self.sealer = platform.database, platform.recorder, platform.sealer
        self.institution = platform.identity.create_institution(
            "stmary", "St Mary", "eu", by=LOCAL_ADMINISTRATOR
        ).id

    def write(self, event=LOGIN, count=1, institution=...):
        with self.database.begin(EVERYWHERE) as tx:
            for _ in range(count):
                self.recorder.write(tx, self.institution if institution is ... else institution, event)

    @property
    def head(self):
        return self.platform.audit_log.logs(self.institution)[-1]

    def entries(self, head=None):
        head = head or self.head
        return [
            json.loads(content) if content else None
            for _, content, _ in self.platform.audit_log.entries(head, 0, head.size)
        ]

    def rows(self, query, **values):
        with self.database.read(EVERYWHERE) as tx:
            return [tuple(row) for row in tx.execute(text(query), values)]

    def change(self, *queries):
        with self.database.begin(EVERYWHERE) as tx:
            for query in queries:
                tx.execute(text(query))

    def check(self, head=None):
        """Everything that must hold of a log, by other means than the sealer's own."""
        head = head or self.head
        rows = self.rows("SELECT idx, content FROM audit_entry WHERE log = :n ORDER BY idx", n=head.log)
        assert [idx for idx, _ in rows] == list(range(head.size))
        leaves = [hashlib.sha256(b"\x00" + bytes(content)).digest() for _, content in rows]
        assert bytes(head.root) == rebuilt(leaves)
        log = self.platform.audit_log
        assert [leaf for _, _, leaf in log.entries(head, 0, head.size)] == leaves
        keys = [VerifierKey.parse(vkey) for vkey in log.vkeys(head)]
        notes = [Note.parse(one.note) for one in log.checkpoints(head, 0, head.size + 1)]
        assert notes and notes[-1].size == head.size
        for note in notes:
            assert note.origin == head.origin
            assert note.root == rebuilt(leaves[: note.size])
            assert True in [note.signed_by(key) for key in keys]
            assert False not in [note.signed_by(key) for key in keys]
        read = [json.loads(bytes(content)) for _, content in rows]
        numbers = {"success": 0, "partial": 1, "unknown": 2, "denied": 3, "failed": 4}
        expected = Counter(
            (
                int(clock.datetime.fromisoformat(one["recorded"]).timestamp() // 86400),
                clock.datetime.fromisoformat(one["recorded"]).hour,
                one["action"],
                one["actor"]["kind"],
                numbers[one["outcome"]],
            )
            for one in read
        )
        found = self.rows(
            "SELECT day, hour, action, actor_kind, outcome, n FROM audit_day WHERE log = :n", n=head.log
        )
        assert {tuple(row[:5]): row[5] for row in found} == expected
        assert len({one["id"] for one in read}) == len(read)
        assert {one["log"] for one in read} == {head.origin}


def old_state(bench):
    """The tables of one log as they are, to be put back as an old backup is."""
    number = bench.head.log
    names = {"audit_log": "log, size, root", "audit_tile": "log, level, n, data", "audit_day": "*"}
    kept = {
        table: bench.rows(f"SELECT {columns} FROM {table} WHERE log = :n", n=number)
        for table, columns in names.items()
    }

    def put_back():
        with bench.database.begin(EVERYWHERE) as tx:
            ((_, size, root),) = kept["audit_log"]
            for table, column in (("entry", "idx"), ("checkpoint", "size")):
                limit = size + (column == "size")
                query = f"DELETE FROM audit_{table} WHERE log = :n AND {column} >= :limit"
                tx.execute(text(query), {"n": number, "limit": limit})
            for table in ("tile", "day"):
                tx.execute(text(f"DELETE FROM audit_{table} WHERE log = :n"), {"n": number})
            log_store.count(tx, number, Counter({row[1:6]: row[6] for row in kept["audit_day"]}))
            for _, level, n, data in kept["audit_tile"]:
                log_store.put_tiles(tx, number, {(level, n): bytes(data)})
            head = log_store.head(tx, number)
            log_store.advance(tx, head, size, bytes(root))

    return put_back
