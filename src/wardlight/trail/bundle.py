"""Writes bundles `wardlight-audit/1`: a range of a log and all that it takes to verify it (audit.md section 4).

A bundle is a stream of lines of canonical JSON. What it says is checked by `wardlight.audit.verifier`, which shares no
code with this module.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.log import AuditLog, Checkpoint, Head
from wardlight.audit.note import Note
from wardlight.audit.references import base64url
from wardlight.audit.tree import WIDTH
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity.tables import person

FORMAT: Final = "wardlight-audit/1"
MEDIA_TYPE: Final = "application/x-ndjson"
#: Leaves between two checkpoints of a bundle, at most; an altered entry is narrowed down to them.
_INTERVAL: Final = 4_096
#: People looked up in one statement.
_AT_ONCE: Final = 500

#: What a verifier must see to follow the log's keys and what was pruned; these name no patient.
_NEVER_WITHHELD: Final = (
    Action.AUDIT_LOG_START,
    Action.AUDIT_LOG_CONTINUE,
    Action.AUDIT_LOG_ROTATE_KEY,
    Action.AUDIT_ENTRIES_PRUNE,
)

#: Whether an entry's content is left out, its hash alone remaining.
Withhold = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Range:
    """Entries from `start` to before `stop`, in the log as the checkpoint of `size` has it."""

    start: int
    stop: int
    size: int


class Bundle:
    """Bundles of one log."""

    def __init__(self, database: Database, log: AuditLog, head: Head) -> None:
        self._database = database
        self._log = log
        self._head = head

    def lines(self, span: Range, *, created: str = "", withhold: Withhold | None = None) -> Iterator[bytes]:
        """The bundle, a line a piece. Raises `bad-request` for a range outside the log, `not-found` for a size that no
        checkpoint has.

        created: when, as an entry says it; now without it.
        """
        if not 0 <= span.start <= span.stop <= span.size <= self._head.size:
            raise WardlightError("bad-request", "the range lies outside the log")
        self._log.checkpoint(self._head, span.size)
        return _ended(self._lines(span, created or clock.timestamp(), withhold))

    def _lines(self, span: Range, created: str, withhold: Withhold | None) -> Iterator[bytes]:
        yield _line(
            {
                "created": created,
                "format": FORMAT,
                "kind": "header",
                "mode": "range",
                "origin": self._head.origin,
                "range": {"from": span.start, "to": span.stop},
                "size": span.size,
                "vkeys": self._log.vkeys(self._head),
            }
        )
        people: set[str] = set()
        rotations: list[int] = []
        yield from self._leaves(span, withhold, people, rotations)
        yield from self._actors(people)
        left, right = self._log.outside(self._head, span.start, span.stop, span.size)
        yield _line({"kind": "range", "left": _texts(left), "right": _texts(right)})
        yield from self._checkpoints(span, rotations)

    def _leaves(
        self, span: Range, withhold: Withhold | None, people: set[str], rotations: list[int]
    ) -> Iterator[bytes]:
        """Leaves, and the root of each tile that lies in the range; gathers who acts and where keys rotate."""
        for index, content, leaf in self._log.entries(self._head, span.start, span.stop):
            without = "" if content is not None else "pruned"
            if content is not None:
                entry: dict[str, Any] = json.loads(content)
                if withhold is not None and entry["action"] not in _NEVER_WITHHELD and withhold(entry):
                    without = "withheld"
                else:
                    people |= _people(entry)
                if entry["action"] == Action.AUDIT_LOG_ROTATE_KEY:
                    rotations.append(index)
            # The stored bytes are the leaf: they are put in as they are.
            told = b'"entry":%b,' % content if content is not None and not without else b""
            gone = b',"without":"%b"' % without.encode() if without else b""
            yield b'{%b"index":%d,"kind":"leaf","leaf":"%b"%b}\n' % (told, index, b64encode(leaf), gone)
            if index % WIDTH == WIDTH - 1 and index - WIDTH + 1 >= span.start:
                n = index // WIDTH
                root = self._log.subtree(self._head, n * WIDTH, (n + 1) * WIDTH)
                yield _line({"hash": _text(root), "index": n, "kind": "tile"})

    def _actors(self, people: set[str]) -> Iterator[bytes]:
        """What people are called whom the entries name, with the salts that open the trail's commitments."""
        if self._head.institution is None:
            return
        ids = sorted(people)
        for start in range(0, len(ids), _AT_ONCE):
            query = select(person.c.id, person.c.name, person.c.name_salt).where(
                person.c.institution == self._head.institution, person.c.id.in_(ids[start : start + _AT_ONCE])
            )
            with self._database.read(self._head.institution) as tx:
                rows = tx.execute(query.order_by(person.c.id)).all()
            for id_, name, salt in rows:
                yield _line({"id": id_, "kind": "actor", "name": name, "salt": base64url(salt)})

    def _checkpoints(self, span: Range, rotations: Sequence[int]) -> Iterator[bytes]:
        """Signed heads in the range and the one of its size, each proved to extend the one before."""
        before: int | None = None
        for one in self._chosen(span, rotations):
            if before is not None:
                proof = self._log.consistency(self._head, before, one.size)
                yield _line({"from": before, "kind": "consistency", "proof": _texts(proof), "to": one.size})
            yield _line({"kind": "checkpoint", "note": one.note})
            before = one.size

    def _chosen(self, span: Range, rotations: Sequence[int]) -> Iterator[Checkpoint]:
        """Few enough to be quick, many enough to narrow a fault down and to follow the log's keys.

        One for each interval, the first after each change of keys, and the newest that a witness signed.
        """
        stop = span.stop + 1
        chosen: dict[int, Checkpoint] = {}
        last = span.start
        while one := self._beside(last + 1, min(last + 1 + _INTERVAL, stop)) or self._next(last + 1, stop):
            chosen[one.size] = one
            last = one.size
        for index in rotations:
            if one := self._next(index + 1, stop):
                chosen[one.size] = one
        near = self._log.checkpoints(self._head, max(span.start + 1, span.stop - _INTERVAL), stop)
        chosen |= {one.size: one for one in [one for one in near if _is_cosigned(one)][-1:]}
        chosen |= {one.size: one for one in self._log.checkpoints(self._head, span.size, span.size + 1)}
        return iter([chosen[size] for size in sorted(chosen)])

    def _beside(self, start: int, stop: int) -> Checkpoint | None:
        return self._log.checkpoint_in(self._head, start, stop, newest=True)

    def _next(self, start: int, stop: int) -> Checkpoint | None:
        return self._log.checkpoint_in(self._head, start, stop, newest=False)


def trust_of(log: AuditLog, head: Head, witnesses: Sequence[str]) -> dict[str, Any]:
    """What a verifier is to know from elsewhere than the bundle: handed over when an outsider is told of the log.

    All keys so far: a range that begins after a change of keys does not hold the entry that announces it. Keys that
    come later are followed through their entries.
    """
    return {
        "origin": head.origin,
        "vkeys": log.vkeys(head) or [log.vkey(head)],
        "witnesses": list(witnesses),
        "k": 1,
    }


def signed_size(log: AuditLog, head: Head, least: int = 0) -> int:
    """The size of a log's newest cosigned checkpoint, or else of its newest one. Raises `not-found`.

    least: a smaller cosigned one will not do.
    """
    found = log.checkpoints(head, max(0, head.size - _INTERVAL), head.size + 1)
    if not found:
        raise WardlightError("not-found", "nothing of this log is sealed and signed yet")
    cosigned = [one for one in found if one.size >= least and _is_cosigned(one)]
    return (cosigned or found)[-1].size


def _is_cosigned(one: Checkpoint) -> bool:
    note = Note.parse(one.note)
    return any(signature.name != note.origin for signature in note.signatures)


def _people(entry: dict[str, Any]) -> set[str]:
    named = (entry["actor"], entry.get("behalf", {}), entry.get("object", {}))
    return {one["id"] for one in named if one.get("kind") == "person" and "id" in one}


def _ended(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, and the one that tells how many there are and what they hash to."""
    digest, count = hashlib.sha256(), 0
    for line in lines:
        digest.update(line)
        count += 1
        yield line
    yield _line({"kind": "end", "lines": count, "sha256": digest.hexdigest()})


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _text(hash_: bytes) -> str:
    return b64encode(hash_).decode()


def _texts(hashes: Iterable[bytes]) -> list[str]:
    return [_text(one) for one in hashes]
