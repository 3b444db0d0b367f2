"""Verifies an audit bundle offline: `python verifier.py BUNDLE --trust FILE` works wherever this one file lies.

It needs the standard library and `cryptography`, nothing else of Wardlight, so that an outsider can read all that a
verdict rests on; therefore it is one file, longer than others here. docs/reference/audit-bundle.md describes the
format and the ten steps; comments below name the steps.

The file is read twice, line by line. Held in memory: 8 bytes an entry (its id, to find doubles), 8 for each entry
without content, and reads that have not ended.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import sys
import unicodedata
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT: Final = "wardlight-audit/1"
#: Longest line with its LF, and longest entry, in bytes; nesting of an entry, itself counted.
LINE_BYTES: Final = 65_536
ENTRY_BYTES: Final = 16_384
DEPTH: Final = 9
#: Signature lines of a note.
SIGNATURES: Final = 16
#: `recorded` so far behind the latest before it is worth a warning, in seconds.
CLOCK_S: Final = 120
#: Most warnings that are kept.
WARNINGS: Final = 100

#: Verdict → exit code of the command; 2 is wrong usage.
EXIT: Final = {
    "verified": 0,
    "altered": 1,
    "malformed": 1,
    "bad-signature": 1,
    "incomplete": 3,
    "truncated": 3,
    "unanchored": 4,
    "forked": 5,
    "wrong-log": 6,
}

#: Called with bytes done and bytes to do, now and then.
Progress = Callable[[int, int], None]


class UsageError(Exception):
    """What was given along with the bundle cannot be used; the text says what."""


@dataclass
class Trust:
    """What is known from elsewhere. Without `vkeys` the best verdict is `unanchored`.

    origin: name of the log. vkeys: its keys, oldest first. witnesses: vkeys of which `threshold` must have signed one
    head. anchors: notes that came another way. log_key_only: take a head on the log key's word alone. complete: an
    entry that is withheld is no longer fine.
    """

    origin: str = ""
    vkeys: Sequence[str] = ()
    witnesses: Sequence[str] = ()
    threshold: int = 1
    anchors: Sequence[str] = ()
    log_key_only: bool = False
    complete: bool = False

    @classmethod
    def read(cls, path: Path) -> Trust:
        """A trust file: {"origin", "vkeys", "witnesses", "k"}. Raises `UsageError`."""
        try:
            found = json.loads(path.read_text("utf-8"))
            return cls(
                _text(found["origin"]),
                [_text(key) for key in found["vkeys"]],
                [_text(key) for key in found.get("witnesses", [])],
                _number(found.get("k", 1)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"the trust file cannot be read ({type(error).__name__})") from None


@dataclass
class Verdict:
    """What was found.

    verdict: a key of `EXIT`. first_bad: index of the first entry that may be wrong (altered, wrong-log), or
    the size that the verdict speaks of; first_bad_to: the index after the last that may be. line: line of the
    file that is wrong, from 1. start, stop: of a range, its first entry and the one after its last. size:
    entries in the log. leaves: entries told of here, of which `pruned` and `withheld` are without content.
    anchored_to: size of the largest head that others than the log's key vouch for. first, last: times of the
    first and last entry with content.
    """

    verdict: str = "verified"
    first_bad: int | None = None
    first_bad_to: int | None = None
    line: int | None = None
    origin: str = ""
    mode: str = ""
    start: int | None = None
    stop: int | None = None
    size: int = 0
    leaves: int = 0
    pruned: int = 0
    withheld: int = 0
    anchored_to: int = 0
    first: str = ""
    last: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 verified, 1 altered / malformed / bad-signature, 3 incomplete / truncated, 4, 5, 6 as in `EXIT`."""
        return EXIT[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """For `--json`: members that say nothing are left out."""
        return {name: value for name, value in vars(self).items() if value is not None and value != ""}


# ---- hashes of RFC 9162 section 2.1 ----


def leaf_hash(content: bytes) -> bytes:
    """SHA-256(0x00 ‖ content)."""
    return hashlib.sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\1" + left + right).digest()


EMPTY: Final = hashlib.sha256(b"").digest()


class Frontier:
    """The complete subtrees of a growing tree, largest first: all that is needed to go on or to know a root."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Start at a size with the hashes of the subtrees that make it up. Raises `ValueError` for a wrong number."""
        if len(hashes) != size.bit_count():
            raise ValueError("not the subtrees of this size")
        self.size = size
        self._stack = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        rest = self.size
        while rest & 1:
            leaf = node_hash(self._stack.pop(), leaf)
            rest >>= 1
        self._stack.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Root of the tree so far."""
        if not self._stack:
            return EMPTY
        result = self._stack[-1]
        for left in reversed(self._stack[:-1]):
            result = node_hash(left, result)
        return result

    def root_with(self, right: Sequence[bytes], size: int) -> bytes:
        """Root at `size`, given the largest subtrees that follow, left to right. Raises `ValueError`."""
        known: dict[tuple[int, int], bytes] = {}
        start = 0
        for bit in range(self.size.bit_length() - 1, -1, -1):
            if self.size >> bit & 1:
                known[start, start + (1 << bit)] = self._stack[len(known)]
                start += 1 << bit
        rest = deque(right)

        def node(low: int, high: int) -> bytes:
            if (low, high) in known:
                return known[low, high]
            if low >= self.size:
                return rest.popleft()
            split = low + (1 << (high - low - 1).bit_length() - 1)
            left = node(low, split)
            return node_hash(left, node(split, high))

        try:
            result = node(0, size) if size else EMPTY
        except IndexError:
            raise ValueError("too few subtrees") from None
        if rest:
            raise ValueError("too many subtrees")
        return result


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); None where its length is wrong."""
    if not 0 <= index < size:
        return None
    number, last, result = index, size - 1, leaf
    for sibling in proof:
        if not last:
            return None
        if number & 1 or number == last:
            result = node_hash(sibling, result)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        number, last = number >> 1, last >> 1
    return None if last else result


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of size `new` extends the smaller one of size `old` (RFC 9162 section 2.1.4.2)."""
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if number & 1 or number == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        number, last = number >> 1, last >> 1
    return not last and first == old_root and second == new_root


# ---- notes: C2SP signed-note, tlog-checkpoint, tlog-cosignature ----

LOG: Final = 1
WITNESS: Final = 4
_NAME: Final = re.compile(r"[^\s+\x00-\x20\x7f-\x9f]{1,255}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_SIGNATURE_BYTES: Final = {LOG: 64, WITNESS: 72}


@dataclass(frozen=True)
class Key:
    """A verifier key `name+keyid+base64(kind ‖ public key)`. kind 1: Ed25519 of a log, 4: of a witness."""

    name: str
    key_id: bytes
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str, kind: int) -> Key:
        """Raises `ValueError` unless it is a key of this kind."""
        name, key_id, encoded = vkey.split("+", 2)
        data = _base64(encoded)
        expected = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if not _NAME.fullmatch(name) or len(data) != 33 or data[0] != kind or key_id != expected.hex():
            raise ValueError("not a verifier key of this kind")
        return cls(name, expected, kind, data[1:])


@dataclass(frozen=True)
class Note:
    """A signed head. text: what is signed. signatures: (name, key id, signature)."""

    text: bytes
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Raises `ValueError` where the grammar is broken."""
        text, blank, tail = note.partition("\n\n")
        lines, rows = text.split("\n"), tail.split("\n")
        if not blank or len(lines) != 3 or rows.pop() or not 1 <= len(rows) <= SIGNATURES:
            raise ValueError("not a signed checkpoint")
        origin, size, root = lines[0], lines[1], _hash(lines[2])
        if not _NAME.fullmatch(origin) or not _SIZE.fullmatch(size):
            raise ValueError("a checkpoint begins with origin and size")
        signatures = []
        for row in rows:
            dash, name, encoded = row.split(" ")
            data = _base64(encoded)
            if dash != "\N{EM DASH}" or not _NAME.fullmatch(name) or len(data) < 5:
                raise ValueError("not a signature line")
            signatures.append((name, data[:4], data[4:]))
        return cls(f"{text}\n".encode(), origin, int(size), root, tuple(signatures))

    def signed_by(self, key: Key) -> bool | None:
        """Whether this key's signatures are good; None where there is none of it."""
        found = [
            self._good(key, signature)
            for name, key_id, signature in self.signatures
            if name == key.name and key_id == key.key_id
        ]
        return all(found) if found else None

    def _good(self, key: Key, signature: bytes) -> bool:
        if len(signature) != _SIGNATURE_BYTES[key.kind]:
            return False
        text = self.text
        if key.kind == WITNESS:
            text = b"cosignature/v1\ntime %d\n%b" % (int.from_bytes(signature[:8], "big"), text)
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature[-64:], text)
        except (InvalidSignature, ValueError):
            return False
        return True


def _base64(text: Any) -> bytes:
    """Base64 in its one canonical form. Raises `ValueError`."""
    data = base64.b64decode(_text(text).encode("ascii"), validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data


def _hash(text: Any) -> bytes:
    data = _base64(text)
    if len(data) != 32:
        raise ValueError("not a hash")
    return data


def _hashes(texts: Any) -> list[bytes]:
    return [_hash(text) for text in _list(texts)]


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError("not a list")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not a text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a number")
    return value


# ---- step 1: lines and their one form ----

#: Members of each kind of line: (must, may).
_MEMBERS: Final = {
    "header": ({"created", "format", "kind", "mode", "origin", "size", "vkeys"}, {"range"}),
    "leaf": ({"index", "kind", "leaf"}, {"proof", "without"}),
    "tile": ({"hash", "index", "kind"}, set()),
    "actor": ({"id", "kind", "name", "salt"}, set()),
    "range": ({"kind", "left", "right"}, set()),
    "consistency": ({"from", "kind", "proof", "to"}, set()),
    "checkpoint": ({"kind", "note"}, set()),
    "end": ({"kind", "lines", "sha256"}, set()),
}
_KEYS: Final = re.compile(r"(?:[a-z0-9_]+\n)*")
_INTEGER: Final = 2**53
#: Text in which a backslash stands before a quote or a backslash only, so that no string holds a control character.
_ESCAPES: Final = re.compile(r'[^\\]*(?:\\["\\][^\\]*)*')
_ESCAPES_OF_NOTES: Final = re.compile(r'[^\\]*(?:\\["\\n][^\\]*)*')

_BROKEN: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


def canonical(value: Any) -> bytes:
    """RFC 8785 within the subset that `_require_subset` lets through."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _require_subset(value: Any, depth: int) -> None:
    """Objects, lists, texts, booleans and integers below 2^53 only, and keys of a-z, 0-9, _. Raises `ValueError`."""
    if depth <= 0:
        raise ValueError("nested too deeply")
    members: Iterable[Any] = value
    if type(value) is dict:
        # Joined by what no key can hold without an escape, and none that has one passes `_ESCAPES`.
        if value and not _KEYS.fullmatch("\n".join(value) + "\n"):
            raise ValueError("a key that is not made of a-z, 0-9 and _")
        members = value.values()
    for member in members:
        kind = type(member)
        if kind is dict or kind is list:
            _require_subset(member, depth - 1)
        elif kind is int:
            if not -_INTEGER < member < _INTEGER:
                raise ValueError("a number that is too large")
        elif kind is not str and kind is not bool:
            raise ValueError("null, or a number that is no integer")


def _parse(line: bytes) -> tuple[dict[str, Any], bytes | None]:
    """A line's members without `entry`, and the entry's bytes. Raises one of `_BROKEN` unless it is canonical."""
    if not line.endswith(b"\n") or len(line) > LINE_BYTES:
        raise ValueError("not a line")
    text = line[:-1].decode()
    row = json.loads(text)
    if type(row) is not dict:
        raise ValueError("not an object")
    _require_subset(row, DEPTH + 1)
    must, may = _MEMBERS[row["kind"]]
    allowed = _ESCAPES_OF_NOTES if row["kind"] == "checkpoint" else _ESCAPES
    if "\\" in text and not allowed.fullmatch(text):
        raise ValueError("a control character")
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise ValueError("not in normal form C")
    content = None
    if row["kind"] == "leaf" and "entry" in row:
        entry = row.pop("entry")
        if type(entry) is not dict:
            raise ValueError("not an object")
        content = canonical(entry)
        if len(content) > ENTRY_BYTES:
            raise ValueError("a long entry")
        # `entry` sorts before all other members of its line.
        same = line[:-1] == b'{"entry":%b,%b' % (content, canonical(row)[1:])
        row["entry"] = entry
    else:
        same = line[:-1] == canonical(row)
    if not same or not must <= row.keys() - {"entry"} <= must | may:
        raise ValueError("not the canonical form of a known line")
    return row, content


class _Leaf(NamedTuple):
    """What one leaf line says, as far as the verdict needs it. fault: step and verdict of what it alone shows."""

    number: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    leaf: bytes
    proof: list[bytes] | None
    missing: bool
    fault: tuple[int, str] | None = None
    log: str = ""
    id: str = ""
    recorded: str = ""
    opens: bool = False
    closes: str = ""
    rotates: str | None = None
    prunes: tuple[tuple[int, int], ...] = ()
    name: tuple[str, str] | None = None


class _Tile(NamedTuple):
    number: int
    index: int  # type: ignore[assignment]  # as above
    hash: bytes


class _Broken(NamedTuple):
    """A line that is not what the format allows."""

    number: int


def _examine(number: int, line: bytes) -> _Leaf | _Tile | _Broken:
    """Steps 1, 2 and 4 for one line, as far as they need no other line."""
    try:
        row, content = _parse(line)
        if row["kind"] == "tile":
            return _Tile(number, _number(row["index"]), _hash(row["hash"]))
        if row["kind"] != "leaf" or ("without" in row) == (content is not None):
            return _Broken(number)
        leaf, index = _hash(row["leaf"]), _number(row["index"])
        proof = _hashes(row["proof"]) if "proof" in row else None
        if content is None:
            if row["without"] not in ("pruned", "withheld"):
                return _Broken(number)
            return _Leaf(number, index, leaf, proof, True)
        return _told(_Leaf(number, index, leaf, proof, False), row["entry"], content)
    except _BROKEN:
        return _Broken(number)


def _told(found: _Leaf, entry: dict[str, Any], content: bytes) -> _Leaf:
    """With what the entry says that the verdict or a warning needs."""
    action, detail = _text(entry["action"]), entry.get("detail", {})
    phase = entry.get("phase")
    rotates, name = None, None
    prunes: tuple[tuple[int, int], ...] = ()
    if type(detail) is not dict:
        raise ValueError("not an object")
    if action == "audit:log:rotate_key":
        rotates = _text(detail["vkey"])
    elif action == "audit:entries:prune":
        prunes = tuple((_number(low), _number(high)) for low, high in _list(detail["ranges"]))
    elif action in ("identity:person:create", "identity:person:change") and "name" in detail:
        name = (_text(entry["object"]["id"]), _text(detail["name"]))
    return found._replace(
        fault=None if leaf_hash(content) == found.leaf else (4, "altered"),
        log=_text(entry["log"]),
        id=_text(entry["id"]),
        recorded=_text(entry["recorded"]),
        opens=phase == "authorised",
        closes=_text(entry["of"]) if phase == "finished" else "",
        rotates=rotates,
        prunes=prunes,
        name=name,
    )


def _examine_part(path: str, offset: int, number: int, count: int) -> list[_Leaf | _Tile | _Broken]:
    """A part of a file, in a process of its own."""
    with open(path, "rb") as file:
        file.seek(offset)
        return [_examine(number + i, file.readline(LINE_BYTES + 1)) for i in range(count)]


# ---- the ten steps ----

#: First member of a line → whether it tells of a leaf or a tile. Keys are sorted, so no other kind begins so.
_LEAF_LINES: Final = (b'{"entry":', b'{"index":', b'{"hash":')
#: Lines that one process examines at a time.
_PART: Final = 2_000
#: 16 bytes as base64url, without stray bits.
_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_RECORDED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


class _Failures:
    """What was found wrong. The earliest step gives the verdict; where it is exact, the first entry of all of them."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[str, int | None, int | None, int | None]] = {}
        self._exact: tuple[int, int] | None = None

    def add(
        self, step: int, verdict: str, bad: int | None = None, to: int | None = None, line: int | None = None
    ) -> None:
        self._found.setdefault(step, (verdict, bad, to, line))
        if verdict == "altered" and bad is not None and to == bad + 1 and line is not None:
            self._exact = min(self._exact or (bad, line), (bad, line))

    def report(self, verdict: Verdict) -> None:
        if not self._found:
            return
        verdict.verdict, bad, to, line = self._found[min(self._found)]
        if verdict.verdict == "altered" and self._exact:
            bad, line = self._exact
            to = bad + 1
        verdict.first_bad, verdict.first_bad_to, verdict.line = bad, to, line


class _Run:
    """One run over one bundle."""

    def __init__(self, file: BinaryIO, trust: Trust, jobs: int, path: str, progress: Progress | None) -> None:
        self._file = file
        self._jobs = jobs
        self._path = path
        self._progress = progress or (lambda _done, _total: None)
        self._bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._trust = trust
        self._keys = _keys(trust.vkeys, LOG)
        self._witnesses = _keys(trust.witnesses, WITNESS)
        self._anchors = _anchors(trust.anchors)
        if self._keys and trust.origin and not any(key.name == trust.origin for key in self._keys):
            raise UsageError("none of the keys is one of the log's")
        distinct = {key.public for key in self._witnesses}
        if trust.threshold < 1 or (distinct and trust.threshold > len(distinct)):
            raise UsageError("so many witnesses are not known")
        self.verdict = Verdict()
        self.failures = _Failures()
        # What stands before and after the leaves.
        self._origin = trust.origin or (self._keys[0].name if self._keys else "")
        self._range: tuple[int, int] | None = None
        self._vkeys: list[str] = []
        self._sides: tuple[list[bytes], list[bytes]] = ([], [])
        self._notes: list[Note] = []
        self._proofs: list[tuple[int, int, list[bytes]]] = []
        self._actors: list[tuple[int, str, str]] = []
        #: Offset, number of the first line, and count of each part of the leaf lines.
        self._parts: list[tuple[int, int, int]] = []
        # What the leaves say.
        self._ids = [array("Q") for _ in range(256)]
        self._missing = array("Q")
        self._prunes: list[tuple[int, int]] = []
        self._rotations: list[tuple[int, str]] = []
        self._names: dict[str, set[str]] = {}
        self._reads: dict[str, int] = {}
        self._latest = ""
        self._roots: dict[int, bytes] = {}
        self._known: list[Key] = []

    def run(self) -> Verdict:
        if self._read_frame():
            self._read_leaves()
            self._check_ids()
            self._check_actors()
            self._count_missing()
            self._check_notes()
            self._check_roots()
            self._check_anchors()
            self._warn_of_reads()
        self.failures.report(self.verdict)
        return self.verdict

    # -- step 1: order, form and end of the file; keeps all lines but those of leaves --

    def _read_frame(self) -> bool:
        """Whether the rest of the file can be looked at."""
        frame = _Frame()
        digest = hashlib.sha256()
        offset = number = 0
        for line in iter(lambda: self._file.readline(LINE_BYTES + 1), b""):
            number += 1
            if not line.endswith(b"\n"):
                cut = len(line) <= LINE_BYTES and not frame.ended
                self.failures.add(1, "incomplete" if cut else "malformed", line=number)
                return False
            try:
                if line.startswith(_LEAF_LINES):
                    frame.take("leaf")
                    self._note_part(offset, number)
                else:
                    row, _ = _parse(line)
                    frame.take(row["kind"])
                    if row["kind"] == "end":
                        self._take_end(row, number - 1, digest.hexdigest())
                    else:
                        self._take(row, number)
            except _BROKEN:
                self.failures.add(1, "malformed", line=number)
                return False
            digest.update(line)
            offset += len(line)
            if not number % 4096:
                self._progress(offset, 2 * self._bytes)
        if not frame.ended:
            self.failures.add(1, "incomplete", line=number + 1)
            return False
        if (self._range is not None) != frame.has_range or self._notes[-1].size != self.verdict.size:
            self.failures.add(1, "malformed", line=number)
            return False
        return True

    def _note_part(self, offset: int, number: int) -> None:
        if not self._parts or self._parts[-1][2] == _PART:
            self._parts.append((offset, number, 0))
        start, first, count = self._parts[-1]
        self._parts[-1] = (start, first, count + 1)

    def _take(self, row: dict[str, Any], number: int) -> None:
        kind = row["kind"]
        if kind == "header":
            self._take_header(row)
        elif kind == "actor":
            # Of fixed length: else the name's beginning could be told as the salt's end.
            if not _SALT.fullmatch(_text(row["salt"])):
                raise ValueError("not a salt of 16 bytes")
            salt = base64.urlsafe_b64decode(row["salt"] + "==")
            commitment = hashlib.sha256(salt + _text(row["name"]).encode()).digest()
            self._actors.append(
                (number, _text(row["id"]), base64.urlsafe_b64encode(commitment).rstrip(b"=").decode())
            )
        elif kind == "range":
            self._sides = (_hashes(row["left"]), _hashes(row["right"]))
        elif kind == "consistency":
            if _number(row["from"]) != self._notes[-1].size:
                raise ValueError("not from the checkpoint before")
            self._proofs.append((row["from"], _number(row["to"]), _hashes(row["proof"])))
        else:
            note = Note.parse(_text(row["note"]))
            if self._notes and (note.size <= self._notes[-1].size or note.size != self._proofs[-1][1]):
                raise ValueError("checkpoints rise, and a proof leads to each")
            self._notes.append(note)

    def _take_header(self, row: dict[str, Any]) -> None:
        if row["format"] != FORMAT or row["mode"] not in ("range", "selection"):
            raise ValueError("another format")
        size = _number(row["size"])
        if not _NAME.fullmatch(_text(row["origin"])):
            raise ValueError("not the name of a log")
        self.verdict.origin, self.verdict.size, self.verdict.mode = row["origin"], size, row["mode"]
        self._vkeys = [_text(vkey) for vkey in _list(row["vkeys"])]
        _text(row["created"])
        if (row["mode"] == "range") != ("range" in row):
            raise ValueError("a range belongs to its mode")
        if "range" in row:
            low, high = _number(row["range"]["from"]), _number(row["range"]["to"])
            if not low <= high <= size or len(row["range"]) != 2:
                raise ValueError("not a range of the log")
            self._range = self.verdict.start, self.verdict.stop = low, high
        if not self._origin:
            self._origin = self.verdict.origin
        elif self._origin != self.verdict.origin:
            self.failures.add(2, "wrong-log")

    def _take_end(self, row: dict[str, Any], lines: int, digest: str) -> None:
        if _number(row["lines"]) != lines:
            self.failures.add(1, "incomplete" if row["lines"] > lines else "malformed", line=lines + 1)
        # Step 7 comes first: where an entry was changed, that is the better answer.
        if _text(row["sha256"]) != digest:
            self.failures.add(8, "malformed", line=lines + 1)

    # -- steps 1 to 5 for the leaves --

    def _examined(self) -> Iterator[_Leaf | _Tile | _Broken]:
        if self._jobs > 1 and len(self._parts) > 1:
            with ProcessPoolExecutor(self._jobs) as pool:
                waiting: deque[Future[list[_Leaf | _Tile | _Broken]]] = deque()
                for part in self._parts:
                    waiting.append(pool.submit(_examine_part, self._path, *part))
                    if len(waiting) > 2 * self._jobs:
                        self._progress(self._bytes + part[0], 2 * self._bytes)
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            return
        for offset, number, count in self._parts:
            self._progress(self._bytes + offset, 2 * self._bytes)
            self._file.seek(offset)
            for i in range(count):
                yield _examine(number + i, self._file.readline(LINE_BYTES + 1))

    def _read_leaves(self) -> None:
        start, end = self._range or (0, 0)
        whole = self._range is not None
        wanted = {note.size for note in (*self._notes, *self._anchors)}
        try:
            tree = Frontier(start, self._sides[0])
        except ValueError:
            self.failures.add(7, "altered", 0, start)
            tree = Frontier(start, [EMPTY] * start.bit_count())
        if whole and start in wanted:
            self._roots[start] = tree.root()
        tiles = _Tiles(start, self.failures)
        following = start
        for line in self._examined():
            if isinstance(line, _Broken) or (isinstance(line, _Tile) and not whole):
                self.failures.add(1, "malformed", line=line.number)
                continue
            if isinstance(line, _Tile):
                tiles.check(line)
                continue
            following = self._take_leaf(line, following)
            if whole:
                tiles.append(line)
                tree.append(line.leaf)
                if tree.size in wanted:
                    self._roots[tree.size] = tree.root()
        if not whole:
            return
        tiles.finish()
        if following != end:
            self.failures.add(3, "altered", min(following, end), min(following, end) + 1)
        if tree.size == end:
            try:
                self._roots[self.verdict.size] = tree.root_with(self._sides[1], self.verdict.size)
            except ValueError:
                # Without this root `_check_roots` fails, unless an earlier head does.
                self._roots.pop(self.verdict.size, None)

    def _take_leaf(self, line: _Leaf, following: int) -> int:
        """Steps 2, 3, 4, 7 for one leaf; returns the index that must (range) or may (selection) come next."""
        index = line.index
        self.verdict.leaves += 1
        if (line.proof is None) != (self._range is not None):
            self.failures.add(1, "malformed", line=line.number)
        elif line.proof is not None:
            head = self._notes[-1]
            if root_from_inclusion(line.leaf, index, head.size, line.proof) != head.root:
                self.failures.add(7, "altered", index, index + 1, line.number)
        if index != following if self._range else index < following:
            bad = min(index, following)
            self.failures.add(3, "altered", bad, bad + 1, line.number)
            index = max(index, following)
        if line.missing:
            self._missing.append(line.index)
        else:
            self._take_entry(line)
        return index + 1

    def _take_entry(self, line: _Leaf) -> None:
        index = line.index
        if line.log != self._origin:
            self.failures.add(2, "wrong-log", index, index + 1, line.number)
        if line.fault:
            step, verdict = line.fault
            self.failures.add(step, verdict, index, index + 1, line.number)
            return
        digest = _digest(line.id)
        self._ids[digest & 255].append(digest)
        self._take_time(line.recorded, index)
        if line.rotates is not None:
            self._rotations.append((index, line.rotates))
        self._prunes += [(low, min(high, index)) for low, high in line.prunes if low < min(high, index)]
        if line.name:
            self._names.setdefault(line.name[0], set()).add(line.name[1])
        if line.opens:
            self._reads[line.id] = index
        if line.closes:
            self._reads.pop(line.closes, None)

    def _take_time(self, recorded: str, index: int) -> None:
        if not _RECORDED.fullmatch(recorded):
            self._warn(f"entry {index}: its time has not the form of a time")
            return
        self.verdict.first = self.verdict.first or recorded
        self.verdict.last = recorded
        if recorded < self._latest:
            try:
                behind = datetime.fromisoformat(self._latest) - datetime.fromisoformat(recorded)
            except ValueError:
                self._warn(f"entry {index}: its time is none")
                return
            if behind.total_seconds() > CLOCK_S:
                self._warn(f"entry {index}: its clock was {int(behind.total_seconds())} s behind others'")
        self._latest = max(self._latest, recorded)

    def _warn(self, text: str) -> None:
        if len(self.verdict.warnings) < WARNINGS:
            self.verdict.warnings.append(text)

    def _check_ids(self) -> None:
        """Step 3: no id twice. Where short digests of two ids are equal, the ids themselves are compared."""
        doubtful = set()
        for digests in self._ids:
            ordered = sorted(digests)
            doubtful |= {first for first, second in pairwise(ordered) if first == second}
        if not doubtful:
            return
        seen: set[str] = set()
        for line in self._examined():
            if isinstance(line, _Leaf) and not line.missing and _digest(line.id) in doubtful:
                if line.id in seen:
                    self.failures.add(3, "altered", line.index, line.index + 1, line.number)
                seen.add(line.id)

    def _check_actors(self) -> None:
        """Step 5: names belong to what was committed to when the person was made or renamed."""
        unproven = 0
        for number, person, commitment in self._actors:
            known = self._names.get(person)
            if known is None:
                unproven += 1
            elif commitment not in known:
                self.failures.add(5, "altered", line=number)
        if unproven:
            self._warn(
                f"{unproven} names of people cannot be checked: the entries that made them are not here"
            )

    def _count_missing(self) -> None:
        """An entry without content is pruned where a later entry says so, else it is withheld from this reader."""
        spans = _merged(self._prunes)
        starts = [low for low, _ in spans]
        for index in self._missing:
            place = bisect_right(starts, index) - 1
            if place >= 0 and index < spans[place][1]:
                self.verdict.pruned += 1
                continue
            self.verdict.withheld += 1
            if self._trust.complete:
                self.failures.add(7, "altered", index, index + 1)

    # -- step 6: signatures, by the keys that were valid at each size --

    def _check_notes(self) -> None:
        keys = [
            key for key in self._keys or _keys(self._vkeys, LOG, strict=False) if key.name == self._origin
        ]
        known, valid, rotations = list(keys), keys, deque(self._rotations)
        self._known = known
        for note in self._notes:
            if note.origin != self._origin:
                self.failures.add(2, "wrong-log", note.size)
            fine = any(note.signed_by(key) for key in valid)
            while rotations and rotations[0][0] < note.size:
                following = [
                    key
                    for key in _keys([rotations.popleft()[1]], LOG, strict=False)
                    if key.name == self._origin
                ]
                known += following
                fine = fine and bool(following) and all(note.signed_by(key) for key in following)
                # Keys that were given and are newer stay good: their rotation may lie outside this file.
                valid = keys[keys.index(following[0]) :] if following and following[0] in keys else following
            signed = [place for place, key in enumerate(valid) if note.signed_by(key)]
            # Keys are in order of age: once a newer one has signed, no older one may.
            valid = valid[signed[-1] :] if signed else valid
            if not fine or any(note.signed_by(key) is False for key in (*known, *self._witnesses)):
                self.failures.add(6, "bad-signature", note.size)
                return

    # -- step 7: each head against the leaves, and against the head before --

    def _check_roots(self) -> None:
        good = 0
        for place, note in enumerate(self._notes):
            fits = self._roots.get(note.size, note.root) == note.root
            if place:
                old, (start, end, proof) = self._notes[place - 1], self._proofs[place - 1]
                fits = fits and consistent(start, old.root, end, note.root, proof)
            if not fits:
                self.failures.add(7, "altered", good, note.size)
                return
            good = note.size
        if self._range and self.verdict.size not in self._roots:
            self.failures.add(7, "altered", self._range[1], self.verdict.size)

    # -- steps 8 and 9: heads that came another way --

    def _check_anchors(self) -> None:
        heads = {**self._roots, **{note.size: note.root for note in self._notes}}
        # Of an empty log, too, somebody else must have seen that it was empty.
        covered = -1
        for anchor in self._anchors:
            if anchor.origin != self._origin:
                self.failures.add(2, "wrong-log", anchor.size)
            elif not self._is_genuine(anchor):
                raise UsageError("a checkpoint given is signed by none of the keys known")
            elif anchor.size > self.verdict.size:
                self.failures.add(9, "truncated", anchor.size)
            elif anchor.size not in heads:
                self._warn(
                    f"the checkpoint of size {anchor.size} cannot be compared with what this file holds"
                )
            elif heads[anchor.size] != anchor.root:
                self.failures.add(9, "forked", anchor.size)
            else:
                covered = max(covered, anchor.size)
        for note in self._notes:
            signers = {key.public for key in self._witnesses if note.signed_by(key)}
            if self._witnesses and len(signers) >= self._trust.threshold:
                covered = max(covered, note.size)
        self.verdict.anchored_to = max(covered, 0)
        if not self._keys or (covered < self.verdict.size and not self._trust.log_key_only):
            self.failures.add(10, "unanchored", self.verdict.anchored_to)

    def _is_genuine(self, anchor: Note) -> bool:
        """Whether a key that is known has signed it, so that it proves something against this bundle."""
        signed = [anchor.signed_by(key) for key in (*self._known, *self._witnesses)]
        return True in signed and False not in signed

    def _warn_of_reads(self) -> None:
        if self._range and self._reads:
            first = min(self._reads.values())
            self._warn(
                f"{len(self._reads)} reads begin here and do not end, the first at entry {first}: "
                "they may have seen everything"
            )


class _Frame:
    """Order of lines: header, leaves with tiles, actors, range, checkpoints with proofs between them, end."""

    _NEXT: Final = {
        "": {"header"},
        "header": {"leaf", "actor", "range", "checkpoint"},
        "leaf": {"leaf", "actor", "range", "checkpoint"},
        "actor": {"actor", "range", "checkpoint"},
        "range": {"checkpoint"},
        "checkpoint": {"consistency", "end"},
        "consistency": {"checkpoint"},
        "end": set[str](),
    }

    def __init__(self) -> None:
        self._last = ""
        self.has_range = False

    @property
    def ended(self) -> bool:
        return self._last == "end"

    def take(self, kind: str) -> None:
        if kind not in self._NEXT[self._last]:
            raise ValueError("out of order")
        self._last = kind
        self.has_range = self.has_range or kind == "range"


class _Tiles:
    """Step 5: after 256 leaves their root, which bounds where leaves were changed along with their hashes."""

    def __init__(self, start: int, failures: _Failures) -> None:
        self._failures = failures
        self._start = start
        self._tree = Frontier()
        #: The tile whose hash must come next, and its index.
        self._due: tuple[int, bytes] | None = None

    def append(self, line: _Leaf) -> None:
        self.finish()
        if line.index % 256 == 0:
            self._tree = Frontier()
        self._tree.append(line.leaf)
        number = line.index // 256
        if line.index % 256 == 255 and number * 256 >= self._start:
            self._due = (number, self._tree.root() if self._tree.size == 256 else b"")

    def check(self, line: _Tile) -> None:
        if self._due != (line.index, line.hash):
            self._fail(line.index, line.number)
        self._due = None

    def finish(self) -> None:
        if self._due is not None:
            self._fail(self._due[0], None)
            self._due = None

    def _fail(self, number: int, line: int | None) -> None:
        self._failures.add(5, "altered", number * 256, number * 256 + 256, line)


def _digest(identifier: str) -> int:
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest(), "big")


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _keys(vkeys: Iterable[str], kind: int, *, strict: bool = True) -> list[Key]:
    """Keys that are given (strict: raises `UsageError`), or that the bundle names (others are left out)."""
    keys = []
    for vkey in vkeys:
        try:
            keys.append(Key.parse(vkey, kind))
        except ValueError:
            if strict:
                what = "witness" if kind == WITNESS else "log"
                raise UsageError(f"a key given is no verifier key of a {what}: name+keyid+base64") from None
    return keys


def _anchors(notes: Iterable[str]) -> list[Note]:
    try:
        return [Note.parse(note) for note in notes]
    except ValueError:
        raise UsageError("a checkpoint given is no signed note") from None


def verify(
    bundle: Path | BinaryIO, trust: Trust, *, jobs: int = 1, progress: Progress | None = None
) -> Verdict:
    """Verify the bundle in a file, or in a stream that can seek.

    jobs: processes that examine entries, for a file of millions. Raises `UsageError` for trust that cannot be used,
    and `OSError`.
    """
    if not isinstance(bundle, Path):
        return _Run(bundle, trust, 1, "", progress).run()
    with bundle.open("rb") as file:
        return _Run(file, trust, jobs, str(bundle), progress).run()


# ---- in words ----

_WORDS: Final = {
    "verified": (
        "VERIFIED. Every entry is as it was recorded, none is missing from this range, and others than the keeper "
        "of the log vouch for it.",
        "Nothing to do. Keep this file with the trust file.",
    ),
    "altered": (
        "ALTERED. This file is not what was recorded.",
        "Keep the file as it is. Ask the keeper for a new export: if that verifies, this copy was changed on its "
        "way; if it does not, the log itself was changed. Tell your data protection officer.",
    ),
    "malformed": (
        "MALFORMED. This is not a bundle, or its bytes were changed.",
        "Compare it with the original, or export it again. An editor or a mail gateway may have changed it.",
    ),
    "bad-signature": (
        "BAD SIGNATURE. The log's key, as you know it, did not sign this.",
        "Check that the trust file is the newest that you were given. If it is, do not rely on this file and ask "
        "the keeper which key signed it.",
    ),
    "incomplete": (
        "INCOMPLETE. The file ends too early.",
        "Copy or export it again; the transfer was cut.",
    ),
    "truncated": (
        "TRUNCATED. A checkpoint that you hold is of a longer log than this: entries at the end are missing.",
        "Ask for an export to the newest entry. If the keeper has none, entries were removed: keep file and "
        "checkpoint, they prove it.",
    ),
    "unanchored": (
        "UNANCHORED. The entries fit together, but from the size named on nobody but the keeper vouches for them.",
        "Give a trust file (--trust), or a checkpoint that came another way (--checkpoint), or export again once "
        "a witness has signed. To take the log key's word alone: --log-key-only.",
    ),
    "forked": (
        "FORKED. A checkpoint that you hold contradicts this file: the keeper showed two histories.",
        "Keep this file and the checkpoint; together they prove it. Tell your data protection officer.",
    ),
    "wrong-log": (
        "WRONG LOG. This file, or an entry in it, belongs to another log than the one you asked about.",
        "Check that file and trust file belong to the same institution and generation.",
    ),
}


def explain(verdict: Verdict) -> str:
    """The verdict for people: what it means, what it rests on, what to do."""
    meaning, advice = _WORDS[verdict.verdict]
    if verdict.verdict == "verified":
        if verdict.mode == "selection":
            meaning = meaning.replace(
                "none is missing from this range", "each is in the log (others may be too)"
            )
        if verdict.anchored_to < verdict.size:
            meaning = meaning.replace("others than the keeper of the log vouch for it", "its key signed it")
    lines = [meaning]
    if verdict.first_bad is not None:
        lines.append(_place(verdict))
    elif verdict.line is not None:
        lines.append(f"  See line {verdict.line}.")
    if verdict.origin:
        without = f", {verdict.pruned} of them pruned by rule, {verdict.withheld} withheld from you"
        lines.append(f"  Log      {verdict.origin}, {verdict.size} entries")
        lines.append(
            f"  Here     {verdict.leaves} entries{without if verdict.pruned or verdict.withheld else ''}"
            + (f", {verdict.first} to {verdict.last}" if verdict.first else "")
        )
        if verdict.start is not None:
            lines.append(f"  Range    from entry {verdict.start} up to, without, entry {verdict.stop}")
        lines.append(f"  Vouched  {verdict.anchored_to} entries, by witnesses or checkpoints that you gave")
    lines += [f"  Note     {warning}" for warning in verdict.warnings]
    lines.append(f"  Next     {advice}")
    return "\n".join(lines)


def _place(verdict: Verdict) -> str:
    bad, to = verdict.first_bad, verdict.first_bad_to
    if verdict.verdict in ("altered", "wrong-log") and bad is not None and to is not None:
        where = (
            f"  First    entry {bad}"
            if to <= bad + 1
            else f"  First    somewhere in entries {bad} to {to - 1}"
        )
        return where + (f" (line {verdict.line})" if verdict.line else "")
    return f"  At       size {bad}"


# ---- the command, for where Wardlight is not installed ----


def read_checkpoints(path: Path) -> list[str]:
    """Notes in a file: one note, or those of a bundle that somebody else was given. Raises `UsageError`."""
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{":
                file.seek(0)
                return [file.read(LINE_BYTES).decode()]
            file.seek(0)
            marked = (line for line in file if line.startswith(b'{"kind":"checkpoint"'))
            notes = [_text(json.loads(line)["note"]) for line in marked]
            if not notes:
                raise ValueError("a file without a checkpoint: nothing would be compared")
            return notes
    except (OSError, *_BROKEN):
        raise UsageError("a file given with --checkpoint cannot be read") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """`python verifier.py BUNDLE …`; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verifies an audit bundle of Wardlight.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--trust", type=Path, help="file with origin, vkeys, witnesses and k")
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="note, or another bundle"
    )
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="a witness's key")
    parser.add_argument("--threshold", type=int, metavar="K", help="so many witnesses must have signed")
    parser.add_argument("--log-key-only", action="store_true", help="take the log key's word alone")
    parser.add_argument("--complete", action="store_true", help="withheld entries are not fine")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        trust = Trust.read(given.trust) if given.trust else Trust()
        trust.witnesses = [*trust.witnesses, *given.witness]
        trust.threshold = trust.threshold if given.threshold is None else given.threshold
        trust.anchors = [note for path in given.checkpoint for note in read_checkpoints(path)]
        trust.log_key_only, trust.complete = given.log_key_only, given.complete
        verdict = verify(given.bundle, trust, jobs=given.jobs)
    except (UsageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write((json.dumps(verdict.as_json()) if given.json else explain(verdict)) + "\n")
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
