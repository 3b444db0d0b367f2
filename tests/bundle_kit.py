"""Random audit logs, bundles of them, and ways to spoil these: made by the recursive definitions of RFC 9162.

Shares no code with the verifiers, the sealer or the bundle writer; only signing goes through `cryptography`, as there.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "wardlight.example/audit/stmary/1"
WITNESSES = ("receiver.stmary.example/w1", "witness.example/w2")

Row = dict[str, Any]


def text(value: Any) -> bytes:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---- trees, as RFC 9162 section 2.1 defines them ----


def leaf_hash(content: bytes) -> bytes:
    return hashlib.sha256(b"\0" + content).digest()


def split(count: int) -> int:
    width = 1
    while width * 2 < count:
        width *= 2
    return width


def root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    at = split(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:at]) + root(leaves[at:])).digest()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) < 2:
        return []
    at = split(len(leaves))
    if index < at:
        return [*inclusion(leaves[:at], index), root(leaves[at:])]
    return [*inclusion(leaves[at:], index - at), root(leaves[:at])]


def consistency(leaves: Sequence[bytes], old: int, *, whole: bool = True) -> list[bytes]:
    if old == 0:
        return []
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    at = split(len(leaves))
    if old <= at:
        return [*consistency(leaves[:at], old, whole=whole), root(leaves[at:])]
    return [*consistency(leaves[at:], old - at, whole=False), root(leaves[:at])]


def before(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """The subtrees that make up the first `size` leaves, left to right."""
    hashes, at = [], 0
    for bit in reversed(range(size.bit_length())):
        if size >> bit & 1:
            hashes.append(root(leaves[at : at + (1 << bit)]))
            at += 1 << bit
    return hashes


def after(leaves: Sequence[bytes], start: int, low: int = 0) -> list[bytes]:
    """The largest subtrees that begin at `start` or behind it, left to right."""
    if low + len(leaves) <= start:
        return []
    if low >= start:
        return [root(leaves)]
    at = split(len(leaves))
    return [*after(leaves[:at], start, low), *after(leaves[at:], start, low + at)]


# ---- keys and notes ----


@dataclass(frozen=True)
class SigningKey:
    name: str
    seed: bytes
    kind: int = 1

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def _data(self) -> bytes:
        return bytes((self.kind,)) + self._private.public_key().public_bytes_raw()

    @property
    def _id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self._data).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self._id.hex()}+{b64(self._data)}"

    def sign(self, body: str, time: int = 1795507560) -> str:
        if self.kind == 4:
            data = time.to_bytes(8, "big") + self._private.sign(
                f"cosignature/v1\ntime {time}\n{body}".encode()
            )
        else:
            data = self._private.sign(body.encode())
        return f"— {self.name} {b64(self._id + data)}\n"


def log_key(number: int = 0, origin: str = ORIGIN) -> SigningKey:
    return SigningKey(origin, bytes([number]) * 32)


def witness_key(number: int = 0) -> SigningKey:
    return SigningKey(WITNESSES[number], bytes([0x80 + number]) * 32, 4)


# ---- logs ----


@dataclass
class Log:
    """Entries with their leaves. keys: from which index on which key signs; pruned: indexes whose content is gone."""

    origin: str = ORIGIN
    entries: list[Row] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    keys: list[tuple[int, SigningKey]] = field(default_factory=list)
    pruned: set[int] = field(default_factory=set)
    people: list[Row] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.entries)

    def append(self, entry: Row) -> None:
        self.entries.append(entry)
        self.leaves.append(leaf_hash(text(entry)))

    def replace(self, index: int, entry: Row) -> None:
        self.entries[index] = entry
        self.leaves[index] = leaf_hash(text(entry))

    def signers(self, size: int, checkpoints: Sequence[int]) -> list[SigningKey]:
        """The key valid at a size, and those that came since the checkpoint before."""
        last = max((one for one in checkpoints if one < size), default=-1)
        old = [key for start, key in self.keys if start < max(last, 1)][-1:] or [self.keys[0][1]]
        new = [key for start, key in self.keys if last <= start < size and key not in old]
        return [*old, *new]

    def note(self, size: int, checkpoints: Sequence[int] = (), cosigned: Sequence[int] = (0, 1)) -> str:
        body = f"{self.origin}\n{size}\n{b64(root(self.leaves[:size]))}\n"
        keys = [*self.signers(size, checkpoints), *(witness_key(number) for number in cosigned)]
        return f"{body}\n{''.join(key.sign(body) for key in keys)}"


def entry(log: Log, chance: random.Random) -> Row:
    """A random entry, now and then one that the verifier listens to."""
    index = log.size
    when = 1_795_507_200 + 30 * index - chance.choice((0, 0, 0, 10, 300, 300.5))
    made: Row = {
        "action": chance.choice(("dicomweb:study:read", "identity:session:login", "receiver:route:change")),
        "actor": {"id": f"u-{chance.randrange(9)}", "kind": "person"},
        "id": f"0198c0de-0000-7000-8000-{index:012}",
        "log": log.origin,
        "node": chance.choice(("web-1", "médium", 'quote"\\', "日本", "\U0001f600", "\x7f\u2028")),
        "outcome": "success",
        "recorded": stamp(when),
        "salt": b64url(chance.randbytes(16)),
        "source": "platform",
        "v": 1,
    }
    if chance.random() < 0.2:
        made |= {"counts": {"bytes": 2**53 - 1, "frames": chance.randrange(500)}, "phase": "authorised"}
    elif chance.random() < 0.2 and index:
        made |= {"phase": "finished", "of": log.entries[chance.randrange(index)]["id"]}
    return made


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def random_log(chance: random.Random, size: int, *, rotate: bool = False) -> Log:
    log = Log(keys=[(-1, log_key())])
    while log.size < size:
        made = entry(log, chance)
        luck = chance.random()
        if rotate and len(log.keys) < 3 and luck < 0.06:
            log.keys.append((log.size, log_key(len(log.keys))))
            made |= {"action": "audit:log:rotate_key", "detail": {"vkey": log.keys[-1][1].vkey}}
        elif luck < 0.1 and log.size > 3:
            low = chance.randrange(log.size - 2)
            high = chance.randrange(low + 1, log.size)
            made |= {"action": "audit:entries:prune", "detail": {"ranges": [[low, high]]}}
            kept = {"audit:log:rotate_key", "audit:entries:prune"}
            log.pruned |= {i for i in range(low, high) if log.entries[i]["action"] not in kept}
        elif luck < 0.18:
            salt, name = chance.randbytes(16), chance.choice(("Dr Ada", "Jörg Ünal", "山田"))
            person = f"p-{log.size}"
            made |= {
                "action": "identity:person:create",
                "object": {"id": person, "kind": "person"},
                "detail": {"name": b64url(hashlib.sha256(salt + name.encode()).digest())},
            }
            log.people.append({"id": person, "kind": "actor", "name": name, "salt": b64url(salt)})
        log.append(made)
    return log


# ---- bundles ----


def rows_of(
    log: Log,
    *,
    span: tuple[int, int] | None = None,
    chosen: Sequence[int] = (),
    size: int | None = None,
    checkpoints: Sequence[int] = (),
    withheld: Sequence[int] = (),
    cosigned: Sequence[int] = (0, 1),
) -> list[Row]:
    """The lines of a bundle but for its end; span: a range, else a selection of `chosen`."""
    size = log.size if size is None else size
    leaves = log.leaves[:size]
    header: Row = {
        "created": "2026-11-24T08:06:00.000Z", "format": "wardlight-audit/1", "kind": "header",
        "mode": "range" if span else "selection", "origin": log.origin, "size": size,
        "vkeys": [key.vkey for start, key in log.keys if start < size],
    }  # fmt: skip
    rows = [header]
    if span:
        header["range"] = {"from": span[0], "to": span[1]}
    for index in range(*span) if span else chosen:
        row: Row = {"index": index, "kind": "leaf", "leaf": b64(leaves[index])}
        if index in log.pruned or index in withheld:
            row["without"] = "pruned" if index in log.pruned else "withheld"
        else:
            row["entry"] = copy.deepcopy(log.entries[index])
        if not span:
            row["proof"] = [b64(one) for one in inclusion(leaves, index)]
        rows.append(row)
        if span and index % 256 == 255 and index - 255 >= span[0]:
            tile = root(leaves[index - 255 : index + 1])
            rows.append({"hash": b64(tile), "index": index // 256, "kind": "tile"})
    rows += copy.deepcopy(log.people)
    if span:
        left, right = before(leaves, span[0]), after(leaves, span[1])
        rows.append({"kind": "range", "left": list(map(b64, left)), "right": list(map(b64, right))})
    last = None
    for one in (sizes := [*sorted({*checkpoints} - {size}), size]):
        if last is not None:
            proof = consistency(leaves[:one], last)
            rows.append({"from": last, "kind": "consistency", "proof": list(map(b64, proof)), "to": one})
        rows.append({"kind": "checkpoint", "note": log.note(one, sizes, cosigned)})
        last = one
    return rows


def sealed(lines: Sequence[Row | bytes]) -> bytes:
    """The file: lines as they are given, with the `end` that fits them."""
    data = b"".join((line if isinstance(line, bytes) else text(line)) + b"\n" for line in lines)
    return (
        data + text({"kind": "end", "lines": len(lines), "sha256": hashlib.sha256(data).hexdigest()}) + b"\n"
    )


def random_rows(log: Log, chance: random.Random) -> list[Row]:
    """Lines of a random bundle of a log."""
    size = log.size - chance.choice((0, 0, 0, 1, 2)) if log.size > 2 else log.size
    few = min(size, 4)
    common: dict[str, Any] = {
        "size": size,
        "checkpoints": chance.sample(range(size + 1), chance.randrange(few + 1)),
        "withheld": chance.sample(range(size), chance.choice((0, 0, few))),
        "cosigned": chance.choice(((0, 1), (0, 1), (0,), ())),
    }
    if chance.random() < 0.3:
        chosen = sorted(chance.sample(range(size), chance.randrange(size + 1)))
        return rows_of(log, chosen=chosen, **common)
    low = chance.choice((0, 0, chance.randrange(size + 1)))
    high = chance.choice((size, size, chance.randrange(low, size + 1)))
    return rows_of(log, span=(low, high), **common)


def random_trust(log: Log, chance: random.Random) -> Row:
    """What a reader may know: mostly what is right, at times little, at times of another history."""
    known = [key.vkey for _, key in log.keys][:1]
    trust: Row = {"origin": log.origin, "vkeys": known, "witnesses": [witness_key(i).vkey for i in (0, 1)]}
    luck = chance.random()
    if luck < 0.1:
        trust = {}
    elif luck < 0.2:
        trust["witnesses"] = []
    elif luck < 0.3:
        trust["threshold"] = 2
    elif luck < 0.35:
        trust["origin"] = "other.example/audit/x/1"
    elif luck < 0.5:
        trust["vkeys"] = [key.vkey for _, key in log.keys]
    trust["log_key_only"] = chance.random() < 0.2
    trust["complete"] = chance.random() < 0.2
    if chance.random() < 0.3:
        other = random_log(chance, log.size) if chance.random() < 0.3 else log
        size = chance.randrange(other.size + 1)
        trust["anchors"] = [other.note(size)]
    return trust


# ---- ways to spoil a bundle ----


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def remove_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 20) :]


def insert_bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice((b"\n", b" ", b"\0", b"\xff", b"{}\n", b"\xef\xbb\xbf")) + data[at:]


def disorder(rows: list[Row], chance: random.Random) -> list[Row]:
    """A line gone, doubled, or at another place."""
    rows = list(rows)
    one, other = chance.randrange(len(rows)), chance.randrange(len(rows))
    chance.choice((
        lambda: rows.pop(one),
        lambda: rows.insert(other, rows[one]),
        lambda: rows.insert(other, rows.pop(one)),
    ))()  # fmt: skip
    return rows


#: What a value is replaced with.
_STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 1, 255, 2**53, 2**53 - 1, 1.5, "", "x", "é", "e\u0301", "\ud800", "a\nb", "A" * 20_000,
    [], {}, [[]], {"a": 1}, {"A b": 1}, [1, 2], "wardlight.example/audit/stmary/1", "+++", "AAAA", [["a", "b"]],
)  # fmt: skip


def change_value(rows: list[Row], chance: random.Random) -> list[Row | bytes]:
    """Another value, a member more or less, somewhere; written as canonically as it can be."""
    rows = copy.deepcopy(rows)
    place = chance.randrange(len(rows))
    spots: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in keys:
            spots.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(rows[place])
    holder, key = chance.choice(spots)
    luck = chance.random()
    if luck < 0.15:
        del holder[key]
    elif luck < 0.3 and isinstance(holder, dict):
        holder[chance.choice(("more", "detail", "phase", "of", "without", "proof", "a b", "__proto__"))] = (
            chance.choice(_STRANGE)
        )
    elif luck < 0.6 and isinstance(holder[key], int):
        holder[key] += chance.choice((-1, 1, 256))
    elif luck < 0.7 and isinstance(holder[key], str):
        holder[key] = holder[key][:-1]
    else:
        holder[key] = chance.choice(_STRANGE)
    return [
        json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=chance.random() < 0.1).encode(
            "utf-8", "surrogatepass"
        )
        for row in rows
    ]


def rewrite(log: Log, chance: random.Random) -> Log:
    """The same log with one entry changed and all heads signed anew: a stolen key, or a keeper that lies."""
    other = copy.deepcopy(log)
    index = chance.randrange(other.size)
    changed = dict(other.entries[index])
    changed[chance.choice(("id", "outcome", "recorded", "node", "of", "detail", "action"))] = chance.choice((
        other.entries[0]["id"], "denied", "2026-02-30T00:00:00.000Z", "2026-11-24T24:00:00.000Z", "",
        "audit:log:rotate_key", "audit:entries:prune", {"vkey": ""}, {"ranges": {}}, {"ranges": [[0, 3]]},
        "identity:person:create",
    ))  # fmt: skip
    other.replace(index, changed)
    return other


Spoil = Callable[[bytes, random.Random], bytes]
SPOILS: tuple[Spoil, ...] = (flip, cut, remove_bytes, insert_bytes)


def spoiled(log: Log, rows: list[Row], chance: random.Random) -> bytes:
    """A bundle with something wrong, most often."""
    luck = chance.random()
    if luck < 0.35:
        return chance.choice(SPOILS)(sealed(rows), chance)
    if luck < 0.5:
        return sealed(disorder(rows, chance))
    if luck < 0.85:
        return sealed(change_value(rows, chance))
    return sealed(random_rows(rewrite(log, chance), chance))
