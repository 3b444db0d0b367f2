"""What became of each input of `wardlight deidentify`, so that a run that was cut off can go on, and a report be made.

One SQLite file in the working folder of OUT. It holds keyed digests of inputs, new UIDs, tags and codes: no name and no
value of an input. A row is there only after its output has its name; what was written without a row is found to be the
same bytes when it is made again.
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from wardlight.cli.deidentify_input import Input
from wardlight.deid.report_model import Change, Outcome

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value BLOB)",
    "CREATE TABLE IF NOT EXISTS changes (id INTEGER PRIMARY KEY, digest BLOB UNIQUE, body BLOB)",
    "CREATE TABLE IF NOT EXISTS inputs (id BLOB PRIMARY KEY, number INTEGER, kind TEXT, study TEXT, series TEXT,"
    " instance TEXT, digest BLOB, size INTEGER, changes INTEGER, more TEXT) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS by_study ON inputs (study, series, instance, number)",
    "CREATE INDEX IF NOT EXISTS by_instance ON inputs (instance) WHERE instance != ''",
)
#: Changes whose ids are remembered: the objects of a series mostly share theirs.
_REMEMBERED: Final = 4096

#: Reasons that may be gone when it is tried again.
_PASSING: Final = ("file-system:", "process-ended", "detector-unavailable")


class Journal:
    """The journal of a run. Raises sqlite3.Error where it cannot be read or written."""

    def __init__(self, path: str | Path, key: bytes) -> None:
        self._key = key
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = TRUNCATE")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("BEGIN")
        for statement in _SCHEMA:
            self._connection.execute(statement)
        self._connection.execute("COMMIT")
        self._changes: dict[bytes, int] = {}

    def bind(self, name: str, value: bytes) -> bool:
        """This run is one with this value; False where the journal is of a run with another."""
        stored = hmac.digest(self._key, name.encode() + b"\0" + value, "sha256")
        row = self._connection.execute("SELECT value FROM run WHERE name = ?", (name,)).fetchone()
        if row is None:
            self._connection.execute("INSERT INTO run VALUES (?, ?)", (name, stored))
            return True
        return hmac.compare_digest(row[0], stored)

    def name_of(self, item: Input, root: Path) -> bytes:
        """What stands for an input: place within IN, size, time of change. OSError where it is gone."""
        path, above = str(item.path), os.path.join(root, "")  # noqa: PTH118 - as text, for each input
        found = os.stat(path)  # noqa: PTH116
        place = path.removeprefix(above)
        text = f"{place}\0{item.member}\0{found.st_size}\0{found.st_mtime_ns}"
        return blake2b(text.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).digest()

    def fits(self, present: Iterable[tuple[bytes, int]]) -> bool:
        """Whether every input that was dealt with is among these, which then have the numbers given here."""
        execute = self._connection.execute
        execute("CREATE TEMP TABLE present (id BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO present VALUES (?, ?)", present)
        execute("COMMIT")
        (lost,) = execute("SELECT count(*) FROM inputs WHERE id NOT IN (SELECT id FROM present)").fetchone()
        if not lost:
            execute(
                "UPDATE inputs SET number = present.number FROM present"
                " WHERE present.id = inputs.id AND present.number != inputs.number"
            )
        execute("DROP TABLE present")
        return not lost

    def is_input(self, item: Input, root: Path) -> bool:
        """Whether an input is still the one that was dealt with under its number."""
        try:
            name = self.name_of(item, root)
        except OSError:
            return False
        row = self._connection.execute("SELECT number FROM inputs WHERE id = ?", (name,)).fetchone()
        return row is not None and bool(row[0] == item.number)

    def done(self, name: bytes, target: Path | None) -> bool:
        """Whether the input was dealt with, and its output is there in the size it had."""
        row = self._connection.execute(
            "SELECT kind, study, series, instance, size, more FROM inputs WHERE id = ?",
            (name,),
        ).fetchone()
        if row is None:
            return False
        kind, study, series, instance, size, more = row
        if kind == "quarantined" and any(
            code.startswith(_PASSING) for code in json.loads(more).get("reasons", ())
        ):
            return False
        if kind == "released" and target is not None:
            try:
                return bool((target / study / series / f"{instance}.dcm").stat().st_size == size)
            except OSError:
                return False
        return True

    def add(self, outcomes: Iterable[tuple[bytes, Outcome]]) -> None:
        """What became of some inputs, all of it or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for name, one in outcomes:
                more = {
                    key: value
                    for key in ("reasons", "flags", "first", "boxes", "frames", "matched", "sop_class")
                    if (value := getattr(one, key))
                }
                self._connection.execute(
                    "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(
                            name,
                            one.number,
                            one.kind,
                            one.study,
                            one.series,
                            one.instance,
                            one.digest,
                            one.size,
                        ),
                        *(self._id(one.changes), json.dumps(more)),
                    ),
                )
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._changes.clear()
            raise
        self._connection.execute("COMMIT")

    def _id(self, changes: tuple[Change, ...]) -> int | None:
        if not changes:
            return None
        body = json.dumps([[list(path), action, why] for path, action, why in changes]).encode()
        digest = blake2b(body, digest_size=16).digest()
        found = self._changes.get(digest)
        if found is None:
            self._connection.execute(
                "INSERT OR IGNORE INTO changes (digest, body) VALUES (?, ?)", (digest, zlib.compress(body, 1))
            )
            found = int(
                self._connection.execute("SELECT id FROM changes WHERE digest = ?", (digest,)).fetchone()[0]
            )
            if len(self._changes) >= _REMEMBERED:
                self._changes.clear()
            self._changes[digest] = found
        return found

    def settle(self) -> list[int]:
        """Decide about instances that came more than once; returns the numbers of those that are in conflict.

        Of several contents the one with the smallest digest is released, under the lowest number that has it; the same
        bytes are duplicates, and others conflicts: a rule that no order of inputs or workers has a part in.
        """
        conflicts: list[int] = []
        several = self._connection.execute(
            "SELECT instance FROM inputs WHERE instance != '' AND kind IN"
            " ('released', 'duplicate', 'instance-conflict') GROUP BY instance"
            " HAVING count(*) > 1 OR max(kind) != 'released' OR min(kind) != 'released'"
        ).fetchall()
        for (instance,) in several:
            rows = self._connection.execute(
                "SELECT id, number, kind, digest, more FROM inputs WHERE instance = ? AND kind IN"
                " ('released', 'duplicate', 'instance-conflict') ORDER BY number",
                (instance,),
            ).fetchall()
            for name, number, kind, new in _settled(rows):
                if new != kind:
                    self._connection.execute("UPDATE inputs SET kind = ? WHERE id = ?", (new, name))
                if new == "instance-conflict":
                    conflicts.append(number)
        return sorted(conflicts)

    def totals(self) -> Counter[str]:
        """How many inputs became what; conflicts count as quarantined, "flagged" those that carry a flag."""
        found: Counter[str] = Counter()
        for kind, count in self._connection.execute("SELECT kind, count(*) FROM inputs GROUP BY kind"):
            found["quarantined" if kind == "instance-conflict" else kind] += count
        (found["flagged"],) = self._connection.execute(
            "SELECT count(*) FROM inputs WHERE json_array_length(more, '$.flags') > 0"
        ).fetchone()
        return found

    def reasons(self) -> Counter[str]:
        """How many inputs were not released for each reason, tags left out."""
        found: Counter[str] = Counter()
        for kind, more, count in self._connection.execute(
            "SELECT kind, json_extract(more, '$.reasons'), count(*) FROM inputs"
            " WHERE kind IN ('quarantined', 'instance-conflict') GROUP BY 1, 2"
        ):
            codes = json.loads(more) if more else [kind]
            for code in dict.fromkeys(code.split(" ")[0] for code in codes):
                found[code] += count
        return found

    def released(self) -> Iterator[str]:
        """The places in OUT of all that was released."""
        rows = self._connection.execute(
            "SELECT study, series, instance FROM inputs WHERE kind = 'released' ORDER BY study, series, instance"
        )
        for row in rows:
            yield "/".join(row) + ".dcm"

    def studies(self) -> Iterator[str]:
        """New UIDs of all studies, sorted; "" for inputs of which no study is known."""
        rows = self._connection.execute("SELECT DISTINCT study FROM inputs ORDER BY study")
        for (study,) in rows:
            yield study

    def outcomes(self, study: str | None = None) -> Iterator[Outcome]:
        """Of one study in the order of series and instance, else of all in the order of their numbers."""
        columns = "SELECT number, kind, study, series, instance, digest, size, more FROM inputs"
        rows = (
            self._connection.execute(f"{columns} ORDER BY number")
            if study is None
            else self._connection.execute(
                f"{columns} WHERE study = ? ORDER BY series, instance, number", (study,)
            )
        )
        for number, kind, of_study, series, instance, digest, size, more in rows:
            yield _outcome(number, kind, (of_study, series, instance), digest, size, json.loads(more))

    def changes(self, study: str | None = None) -> Counter[Change]:
        """How often each change was made to the objects of a study, or to all, that were released."""
        rows = self._connection.execute(
            "SELECT body, count(*) FROM inputs JOIN changes ON changes.id = inputs.changes"
            " WHERE kind = 'released' AND (?1 IS NULL OR study = ?1) GROUP BY inputs.changes",
            (study,),
        )
        found: Counter[Change] = Counter()
        for body, count in rows:
            for path, action, why in json.loads(zlib.decompress(body)):
                found[tuple(path), action, why] += count
        return found

    def close(self) -> None:
        """Nothing more is asked of it."""
        self._connection.close()


def _settled(rows: list[tuple[bytes, int, str, bytes | None, str]]) -> Iterator[tuple[bytes, int, str, str]]:
    """(id, number, kind, new kind) for what came of one instance; in the order of the numbers."""
    first = next((value for row in rows if (value := json.loads(row[4]).get("first"))), None)
    known = [(row, row[3] if row[3] is not None else bytes.fromhex(first or "")) for row in rows]
    digests = [digest for _, digest in known]
    # What an earlier run left there takes part, too.
    smallest = min([*digests, bytes.fromhex(first)] if first else digests)
    taken = False
    for (name, number, kind, _, _), digest in known:
        if digest != smallest:
            yield name, number, kind, "instance-conflict"
        else:
            yield name, number, kind, "duplicate" if taken else "released"
            taken = True


def _outcome(
    number: int, kind: str, uids: tuple[str, str, str], digest: bytes | None, size: int, more: dict[str, Any]
) -> Outcome:
    return Outcome(
        number,
        kind,
        tuple(more.get("reasons", ())),
        *uids,
        flags=tuple(more.get("flags", ())),
        digest=digest,
        first=more.get("first", ""),
        size=size,
        boxes=tuple(tuple(box) for box in more.get("boxes", ())),
        frames=more.get("frames", 0),
        matched=more.get("matched", 0),
        sop_class=more.get("sop_class", ""),
    )
