"""The verifier as an auditor reads it who wants to be shown `verified` for what is not: each way that came to mind.

Bundles are made by tests/bundle_kit.py, which shares no code with the verifier. All is resealed, so that
`end.sha256` finds nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from typing import Any

import pytest

import bundle_kit as kit
from wardlight.audit.verifier import Trust, UsageError, Verdict, explain, verify


@pytest.fixture
def log() -> kit.Log:
    return kit.random_log(random.Random(5), 13)


def trust(log: kit.Log, **more: Any) -> Trust:
    known = {
        "origin": log.origin,
        "vkeys": [log.keys[0][1].vkey],
        "witnesses": [kit.witness_key(number).vkey for number in (0, 1)],
    }
    return Trust(**(known | more))


def judge(rows: list[Any], given: Trust) -> Verdict:
    return verify(io.BytesIO(kit.sealed(rows)), given)


def with_entry(log: kit.Log, **members: Any) -> kit.Log:
    """The log with one more entry, which says this."""
    log.append(kit.entry(log, random.Random(1)) | members)
    return log


def test_as_it_is(log: kit.Log) -> None:
    verdict = judge(kit.rows_of(log, span=(0, 13), checkpoints=(4, 9)), trust(log))
    assert (verdict.verdict, verdict.anchored_to) == ("verified", 13)


# ---- names of people ----


def person(log: kit.Log, salt: bytes, name: str) -> kit.Log:
    commitment = kit.b64url(hashlib.sha256(salt + name.encode()).digest())
    with_entry(
        log,
        action="identity:person:create",
        object={"id": "u-1", "kind": "person"},
        detail={"name": commitment},
    )
    log.people = [{"id": "u-1", "kind": "actor", "name": name, "salt": kit.b64url(salt)}]
    return log


def test_a_name_cannot_lend_its_beginning_to_the_salt(log: kit.Log) -> None:
    """SHA-256(salt ‖ name) alone does not say where the one ends and the other begins."""
    salt = b"0123456789abcdef"
    person(log, salt, "Dr Ada Lovelace")
    assert judge(kit.rows_of(log, span=(0, 14)), trust(log)).verdict == "verified"
    for moved_salt, moved_name in (
        (salt + b"Dr Ada ", "Lovelace"),
        (salt[:10], salt[10:].decode() + "Dr Ada Lovelace"),
    ):
        log.people = [{"id": "u-1", "kind": "actor", "name": moved_name, "salt": kit.b64url(moved_salt)}]
        assert judge(kit.rows_of(log, span=(0, 14)), trust(log)).verdict == "malformed"


@pytest.mark.parametrize(
    "salt", ["MDEyMzQ1Njc4OWFiY2RlZh", "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4 OWFiY2RlZg", "", "!"]
)
def test_a_salt_has_one_form(log: kit.Log, salt: str) -> None:
    person(log, b"0123456789abcdef", "Ada")
    log.people[0]["salt"] = salt
    assert judge(kit.rows_of(log, span=(0, 14)), trust(log)).verdict == "malformed"


def test_another_name(log: kit.Log) -> None:
    person(log, b"0123456789abcdef", "Ada")
    log.people[0]["name"] = "Eve"
    assert judge(kit.rows_of(log, span=(0, 14)), trust(log)).verdict == "altered"


# ---- who vouches ----


def test_an_empty_log_needs_a_witness_as_any_other(log: kit.Log) -> None:
    """All entries dropped, and the head of nothing signed: zero entries are not vouched for by nobody."""
    rows = kit.rows_of(log, span=(0, 0), size=0, cosigned=())
    assert judge(rows, trust(log)).verdict == "unanchored"
    assert judge(rows, trust(log, log_key_only=True)).verdict == "verified"
    assert judge(kit.rows_of(log, span=(0, 0), size=0, cosigned=(0,)), trust(log)).verdict == "verified"


def test_one_witness_is_not_two(log: kit.Log) -> None:
    one = kit.witness_key(0)
    twin = kit.SigningKey("other.example/w", one.seed, 4)
    rows = kit.rows_of(log, span=(0, 13), cosigned=(0,))
    for witnesses in ([one.vkey, one.vkey], [one.vkey, twin.vkey]):
        with pytest.raises(UsageError):
            judge(rows, trust(log, witnesses=witnesses, threshold=2))


def test_a_cosignature_of_another_head(log: kit.Log) -> None:
    rows = kit.rows_of(log, span=(0, 13))
    lines = rows[-1]["note"].split("\n")
    lines[5] = log.note(12).split("\n")[5]
    rows[-1]["note"] = "\n".join(lines)
    assert judge(rows, trust(log)).verdict == "bad-signature"


def test_a_witness_does_not_sign_for_the_log(log: kit.Log) -> None:
    rows = kit.rows_of(log, span=(0, 13))
    rows[-1]["note"] = "\n".join(
        line for line in rows[-1]["note"].split("\n") if f"— {log.origin}" not in line
    )
    assert judge(rows, trust(log)).verdict == "bad-signature"


def test_a_key_for_cosignatures_is_no_log_key(log: kit.Log) -> None:
    key = log.keys[0][1]
    with pytest.raises(UsageError):
        judge(kit.rows_of(log, span=(0, 13)), trust(log, vkeys=[kit.SigningKey(key.name, key.seed, 4).vkey]))


# ---- keys that follow each other ----


@pytest.mark.parametrize(
    "vkey", ["", "none", kit.log_key(3, "other.example/audit/x/1").vkey, kit.witness_key().vkey]
)
def test_a_rotation_to_no_key_ends_the_log(log: kit.Log, vkey: str) -> None:
    with_entry(log, action="audit:log:rotate_key", detail={"vkey": vkey})
    assert judge(kit.rows_of(log, span=(0, 14)), trust(log)).verdict == "bad-signature"


def test_the_old_key_after_a_rotation(log: kit.Log) -> None:
    new = kit.log_key(1)
    with_entry(log, action="audit:log:rotate_key", detail={"vkey": new.vkey})
    rows = kit.rows_of(log, span=(0, 14))
    assert judge(rows, trust(log)).verdict == "bad-signature"
    assert judge(rows, trust(log, vkeys=[log.keys[0][1].vkey, new.vkey])).verdict == "bad-signature"
    log.keys.append((13, new))
    with_entry(log)
    assert judge(kit.rows_of(log, span=(0, 15), checkpoints=(14,)), trust(log)).verdict == "verified"


def test_a_rotation_seen_does_not_take_newer_keys_away(log: kit.Log) -> None:
    """A reader who was given all keys reads a range that ends between two rotations, under a head after both."""
    for number in (1, 2):
        with_entry(log, action="audit:log:rotate_key", detail={"vkey": kit.log_key(number).vkey})
        log.keys.append((log.size - 1, kit.log_key(number)))
        with_entry(log)
    assert [start for start, _ in log.keys] == [-1, 13, 15]
    rows = kit.rows_of(log, span=(10, 15), checkpoints=(14, 16))
    every = [key.vkey for _, key in log.keys]
    assert judge(rows, trust(log, vkeys=every)).verdict == "verified"
    assert judge(rows, trust(log, vkeys=every[:2])).verdict == "bad-signature"


# ---- forms that two readers could read differently ----


def changed_entry(log: kit.Log, index: int, **members: Any) -> list[Any]:
    log.replace(index, log.entries[index] | members)
    return kit.rows_of(log, span=(0, log.size))


@pytest.mark.parametrize(
    "members",
    [
        {"a b": 1},
        {"": 1},
        {"a\nb": 1},
        {"é": 1},
        {"A": 1},
        {"detail": "name"},
        {"detail": ["name"]},
        {"action": "audit:entries:prune", "detail": {"ranges": {}}},
        {"action": "audit:entries:prune", "detail": {"ranges": ""}},
        {"action": "audit:entries:prune", "detail": {"ranges": [{"0": 1, "1": 2}]}},
        {"action": "audit:entries:prune"},
        {"action": "audit:log:rotate_key", "detail": {"vkey": 1}},
        {"phase": "finished"},
        {"node": "e\u0301"},
        {"node": "a\tb"},
        {"v": 2**53},
        {"v": 1.0},
        {"v": None},
        {"id": 1},
    ],
)  # fmt: skip
def test_entries_that_are_none(log: kit.Log, members: dict[str, Any]) -> None:
    assert judge(changed_entry(log, 3, **members), trust(log)).verdict == "malformed"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("vkeys", {}),
        ("vkeys", {"a": 1}),
        ("origin", "a b"),
        ("origin", "a\u009b2J"),
        ("origin", ""),
        ("size", True),
    ],
)
def test_headers_that_are_none(log: kit.Log, member: str, value: Any) -> None:
    rows = kit.rows_of(log, span=(0, 13))
    rows[0][member] = value
    verdict = judge(rows, trust(log))
    assert verdict.verdict == "malformed"
    assert verdict.origin in ("", log.origin)


def test_what_is_no_time_is_not_shown_as_one(log: kit.Log) -> None:
    """It would be printed to a terminal, which could be told to show another verdict."""
    verdict = judge(changed_entry(log, 12, recorded="\u009b2J VERIFIED"), trust(log))
    assert verdict.last == log.entries[11]["recorded"]
    assert verdict.warnings


# ---- positions ----


def test_an_inner_node_is_no_leaf(log: kit.Log) -> None:
    """Two entries told of as one that is withheld."""
    rows = kit.rows_of(log, span=(0, 13), withheld=(4, 5))
    node = hashlib.sha256(b"\1" + log.leaves[4] + log.leaves[5]).digest()
    rows[5] |= {"leaf": kit.b64(node)}
    del rows[6]
    assert judge(rows, trust(log)).verdict == "altered"
    for place in range(6, 13):
        rows[place]["index"] = place - 1
    rows[0]["range"]["to"] = 12
    assert judge(rows, trust(log)).verdict == "altered"


@pytest.mark.parametrize(("low", "high"), [(1, 6), (4, 9), (9, 13), (0, 5)])
def test_a_range_told_as_another(log: kit.Log, low: int, high: int) -> None:
    rows = kit.rows_of(log, span=(low, high))
    for shift in range(-low, 13 - high + 1):
        moved = json.loads(json.dumps(rows))
        moved[0]["range"] = {"from": low + shift, "to": high + shift}
        for row in moved:
            if row["kind"] == "leaf":
                row["index"] += shift
        assert (judge(moved, trust(log)).verdict == "verified") == (shift == 0)


def test_a_selected_entry_told_at_another_index(log: kit.Log) -> None:
    for index in range(13):
        rows = kit.rows_of(log, chosen=(index,))
        for told in range(13):
            rows[1]["index"] = told
            assert (judge(rows, trust(log)).verdict == "verified") == (told == index)


def test_a_prune_entry_does_not_excuse_what_comes_after_it(log: kit.Log) -> None:
    log.pruned.clear()
    with_entry(log, action="audit:entries:prune", detail={"ranges": [[0, 99]]})
    with_entry(log)
    verdict = judge(kit.rows_of(log, span=(0, 15), withheld=(2, 14)), trust(log))
    assert (verdict.pruned, verdict.withheld) == (1, 1)


def test_a_short_range_says_so(log: kit.Log) -> None:
    """Who asked for all is told what part it is, even where no entry of it can be read."""
    verdict = judge(kit.rows_of(log, span=(3, 5), withheld=(3, 4)), trust(log))
    assert (verdict.verdict, verdict.start, verdict.stop, verdict.size) == ("verified", 3, 5, 13)
    assert "from entry 3 up to, without, entry 5" in explain(verdict)


# ---- and whatever chance finds ----


def assert_verified_only_what_is(log: kit.Log, data: bytes, given: Trust) -> bool:
    """Of a bundle that verifies, each entry is the log's at that index, and a range has all of them."""
    if verify(io.BytesIO(data), given).verdict != "verified":
        return False
    rows = [json.loads(line) for line in data.split(b"\n")[:-1]]
    leaves = [row for row in rows if row["kind"] == "leaf"]
    for row in leaves:
        assert row["leaf"] == kit.b64(log.leaves[row["index"]])
        assert row.get("entry", log.entries[row["index"]]) == log.entries[row["index"]]
    if rows[0]["mode"] == "range":
        assert [row["index"] for row in leaves] == list(range(*rows[0]["range"].values()))
    assert rows[0]["size"] <= log.size and rows[0]["origin"] == log.origin
    return True


def search(seed: int, count: int) -> int:
    verified = 0
    for number in range(count):
        chance = random.Random(seed + number)
        log = kit.random_log(chance, chance.randrange(1, 20))
        rows = kit.random_rows(log, chance)
        given = trust(log, log_key_only=chance.random() < 0.5)
        for _ in range(10):
            lines = chance.choice((kit.disorder, kit.change_value))(rows, chance)
            verified += assert_verified_only_what_is(log, kit.sealed(lines), given)
    return verified


def test_changes_by_chance() -> None:
    # Some do no harm: `created`, keys that the header names, labels, and the order of lines that are equal.
    assert search(1, 60)


def flips(step: int) -> None:
    log = kit.random_log(random.Random(2), 5)
    data = kit.sealed(kit.rows_of(log, span=(0, 5), checkpoints=(3,)))
    assert verify(io.BytesIO(data), trust(log)).verdict == "verified"
    for place in range(0, 8 * len(data), step):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        assert verify(io.BytesIO(changed), trust(log)).verdict != "verified", f"bit {place}"


def test_a_bit_flipped_is_found() -> None:
    flips(157)


@pytest.mark.long
def test_every_bit_flipped_is_found() -> None:
    flips(1)


@pytest.mark.long
def test_many_changes_by_chance() -> None:
    search(1_000_000, 5_000)
