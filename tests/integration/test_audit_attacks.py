"""The attacks of the audit trail's threat model, each with the verdict that it must get and the first bad entry.

Files are attacked with tests/bundle_kit.py, the log with a platform's own parts, by somebody who holds its database.
"""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

import bundle_kit as kit
from audit_kit import Bench, old_state
from platform_kit import a_platform
from wardlight.audit import note as notes
from wardlight.audit.verifier import Trust, Verdict, verify
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.bundle import Bundle, Range, trust_of

#: Entry that is attacked, and the checkpoints on both sides of it.
BAD, BEFORE, AFTER, SIZE = 6, 4, 9, 13
TRUST = Trust(kit.ORIGIN, [kit.log_key().vkey], [kit.witness_key().vkey])

Lines = list[kit.Row]


def a_log(size: int = SIZE, origin: str = kit.ORIGIN) -> kit.Log:
    log = kit.Log(origin, keys=[(-1, kit.log_key(origin=origin))])
    chance = random.Random(1)
    while log.size < size:
        log.append(kit.entry(log, chance))
    return log


def rows(log: kit.Log | None = None, cosigned: tuple[int, ...] = (0,), **named: Any) -> Lines:
    log = log or a_log()
    return kit.rows_of(log, span=(0, log.size), checkpoints=(BEFORE, AFTER), cosigned=cosigned, **named)


def judge(lines: list[Any] | bytes, trust: Trust = TRUST) -> Verdict:
    return verify(io.BytesIO(lines if isinstance(lines, bytes) else kit.sealed(lines)), trust)


def told(verdict: Verdict) -> tuple[str, int | None, int | None]:
    return verdict.verdict, verdict.first_bad, verdict.first_bad_to


def leaf(lines: Lines, index: int) -> int:
    return next(place for place, row in enumerate(lines) if row["kind"] == "leaf" and row["index"] == index)


def test_without_an_attack() -> None:
    assert told(judge(rows())) == ("verified", None, None)


# ---- entries ----


def field(lines: Lines) -> None:
    lines[leaf(lines, BAD)]["entry"]["outcome"] = "denied"


def field_and_leaf(lines: Lines) -> None:
    row = lines[leaf(lines, BAD)]
    row["entry"]["outcome"] = "denied"
    row["leaf"] = kit.b64(kit.leaf_hash(kit.text(row["entry"])))


def deleted(lines: Lines) -> None:
    del lines[leaf(lines, BAD)]


def inserted(lines: Lines) -> None:
    new = copy.deepcopy(lines[leaf(lines, BAD)])
    new["entry"]["id"] = "0198c0de-0000-7000-8000-00000000ffff"
    new["leaf"] = kit.b64(kit.leaf_hash(kit.text(new["entry"])))
    lines.insert(leaf(lines, BAD), new)


def doubled(lines: Lines) -> None:
    lines.insert(leaf(lines, BAD), lines[leaf(lines, BAD)])


def doubled_at_the_next_index(lines: Lines) -> None:
    row = lines[leaf(lines, BAD)]
    lines[leaf(lines, BAD + 1)] |= {"entry": row["entry"], "leaf": row["leaf"]}


def deleted_and_renumbered(lines: Lines) -> None:
    deleted(lines)
    for row in lines:
        if row["kind"] == "leaf" and row["index"] > BAD:
            row["index"] -= 1
    lines[0]["range"]["to"] -= 1


def deleted_and_renumbered_with_a_hash_at_the_end(lines: Lines) -> None:
    last = lines[leaf(lines, SIZE - 1)]["leaf"]
    deleted_and_renumbered(lines)
    next(row for row in lines if row["kind"] == "range")["right"] = [last]


def a_hash_too_many(lines: Lines) -> None:
    next(row for row in lines if row["kind"] == "range")["right"] = [kit.b64(bytes(32))]


def swapped(lines: Lines) -> None:
    one, other = lines[leaf(lines, BAD)], lines[leaf(lines, BAD + 1)]
    for name in ("entry", "leaf"):
        one[name], other[name] = other[name], one[name]


@pytest.mark.parametrize(
    ("attack", "first", "to"),
    [
        (field, BAD, BAD + 1),
        (field_and_leaf, BEFORE, AFTER),
        (deleted, BAD, BAD + 1),
        (inserted, BAD, BAD + 1),
        (doubled, BAD, BAD + 1),
        (doubled_at_the_next_index, BAD + 1, BAD + 2),
        (deleted_and_renumbered, BEFORE, AFTER),
        (deleted_and_renumbered_with_a_hash_at_the_end, BEFORE, AFTER),
        (swapped, BEFORE, AFTER),
        (a_hash_too_many, SIZE, SIZE),
    ],
)
def test_entries(attack: Callable[[Lines], None], first: int, to: int) -> None:
    lines = rows()
    attack(lines)
    assert told(judge(lines)) == ("altered", first, to)
    # Nobody's word makes it good.
    assert judge(lines, replace(TRUST, log_key_only=True)).verdict == "altered"


def test_a_field_with_its_leaf_hash_within_a_tile() -> None:
    log = a_log(600)
    lines = kit.rows_of(log, span=(0, 600), cosigned=(0,))
    row = lines[leaf(lines, 300)]
    row["entry"]["outcome"] = "denied"
    row["leaf"] = kit.b64(kit.leaf_hash(kit.text(row["entry"])))
    assert told(judge(lines)) == ("altered", 256, 512)


# ---- the file ----


def test_cut_inside_a_line_and_at_a_line() -> None:
    data = kit.sealed(rows())
    ends = [place + 1 for place, byte in enumerate(data) if byte == 10]
    for end in [0, 1, *ends[:-1], *(end - 1 for end in ends), *(end + 7 for end in ends[:-1])]:
        assert judge(data[:end]).verdict == "incomplete"


def spaces(line: bytes) -> bytes:
    return line.replace(b'":', b'": ', 1)


def order(line: bytes) -> bytes:
    row = json.loads(line)
    return json.dumps(dict(reversed(row.items())), separators=(",", ":"), ensure_ascii=False).encode()


def escapes(line: bytes) -> bytes:
    return line.replace(b'"success"', b'"\\u0073uccess"')


def slash(line: bytes) -> bytes:
    return line.replace(b"wardlight.example/", b"wardlight.example\\/")


def duplicate_key(line: bytes) -> bytes:
    return line.replace(b'"outcome":', b'"outcome":"denied","outcome":', 1)


def decomposed(line: bytes) -> bytes:
    return line.replace(b'"node":"', '"node":"e\u0301'.encode(), 1)


def number(line: bytes) -> bytes:
    return line.replace(b'"v":1', b'"v":1.0')


def carriage_return(line: bytes) -> bytes:
    return line + b"\r"


@pytest.mark.parametrize(
    "change", [spaces, order, escapes, slash, duplicate_key, decomposed, number, carriage_return]
)
def test_same_json_other_bytes(change: Callable[[bytes], bytes]) -> None:
    lines: list[Any] = list(rows())
    place = leaf(lines, BAD)
    line = kit.text(lines[place])
    lines[place] = change(line)
    assert lines[place] != line
    assert judge(lines).verdict == "malformed"


# ---- heads ----


def test_tail_dropped_and_the_shorter_head_signed() -> None:
    """By the keeper, who can have no witness sign it."""
    log = a_log()
    lines = rows(a_log(SIZE - 3), cosigned=())
    assert told(judge(lines)) == ("unanchored", 0, None)
    assert told(judge(lines, replace(TRUST, anchors=[log.note(SIZE)]))) == ("truncated", SIZE, None)


def test_the_newest_anchor_is_older_than_the_head() -> None:
    lines = rows(cosigned=())
    found = judge(lines, replace(TRUST, anchors=[a_log().note(AFTER)]))
    assert (told(found), found.anchored_to) == (("unanchored", AFTER, None), AFTER)


def test_all_rewritten_and_signed_with_the_stolen_log_key() -> None:
    log, other = a_log(), a_log()
    other.replace(2, other.entries[2] | {"outcome": "denied"})
    lines = rows(other, cosigned=())
    assert told(judge(lines)) == ("unanchored", 0, None)
    assert judge(lines, replace(TRUST, log_key_only=True)).verdict == "verified"
    assert told(judge(lines, replace(TRUST, anchors=[log.note(AFTER)]))) == ("forked", AFTER, None)
    # A head that a witness has signed is an anchor too, whoever hands it over.
    assert told(judge(lines, replace(TRUST, anchors=[log.note(BEFORE, (), (0,))]))) == (
        "forked",
        BEFORE,
        None,
    )


def test_signed_with_a_foreign_key_under_the_same_name() -> None:
    log = a_log()
    log.keys = [(-1, kit.log_key(9))]
    assert told(judge(rows(log))) == ("bad-signature", BEFORE, None)


def test_the_old_log_key_after_its_rotation() -> None:
    log = a_log()
    log.keys.append((BAD, kit.log_key(1)))
    rotation = {"action": "audit:log:rotate_key", "detail": {"vkey": kit.log_key(1).vkey}}
    log.replace(BAD, log.entries[BAD] | rotation)
    assert judge(rows(log)).verdict == "verified"
    log.keys.pop()
    assert told(judge(rows(log))) == ("bad-signature", AFTER, None)


# ---- other logs ----


def test_another_institutions_bundle() -> None:
    other = a_log(origin="wardlight.example/audit/other/1")
    assert told(judge(rows(other))) == ("wrong-log", None, None)


def test_its_origin_edited() -> None:
    lines = rows(a_log(origin="wardlight.example/audit/other/1"))
    lines[0]["origin"] = kit.ORIGIN
    assert judge(lines).verdict == "wrong-log"


def test_an_entry_moved_between_logs() -> None:
    """By the keeper, who signs it: the tree fits, the entry says whose it is."""
    log = a_log()
    foreign = a_log(origin="wardlight.example/audit/other/1").entries[BAD]
    log.replace(BAD, foreign)
    assert told(judge(rows(log))) == ("wrong-log", BAD, BAD + 1)


# ---- names and gaps ----


def test_an_actor_is_renamed_in_the_directory() -> None:
    log = kit.random_log(random.Random(4), 40)
    log.pruned.clear()
    assert log.people
    lines = kit.rows_of(log, span=(0, 40), cosigned=(0,))
    assert judge(lines).verdict == "verified"
    place = next(place for place, row in enumerate(lines) if row["kind"] == "actor")
    lines[place]["name"] = "Somebody Else"
    found = judge(lines)
    assert (found.verdict, found.line) == ("altered", place + 1)


# ---- the log itself, by who holds its database ----


@pytest.fixture
def bench():
    with a_platform(public_url="https://wardlight.example") as platform:
        bench = Bench(platform)
        for _ in range(2):
            bench.write(count=5)
            bench.sealer.seal()
        yield bench


def bundle(bench: Bench, head: Any = None) -> bytes:
    head = head or bench.head
    lines = Bundle(bench.database, bench.platform.audit_log, head)
    return b"".join(lines.lines(Range(0, head.size, head.size)))


def known(bench: Bench, **more: Any) -> Trust:
    trust = trust_of(bench.platform.audit_log, bench.head, [])
    return Trust(trust["origin"], trust["vkeys"], log_key_only=True, **more)


def test_pruned_without_a_prune_entry(bench: Bench) -> None:
    bench.change("UPDATE audit_entry SET content = NULL WHERE idx IN (3, 4)")
    data = bundle(bench)
    found = judge(data, known(bench))
    assert (found.verdict, found.pruned, found.withheld) == ("verified", 0, 2)
    assert told(judge(data, known(bench, complete=True))) == ("altered", 3, 4)


def test_a_row_deleted_from_the_database(bench: Bench) -> None:
    """The entries that are left cannot be given away as the whole."""
    bench.change("DELETE FROM audit_entry WHERE idx = 3")
    with pytest.raises(WardlightError) as error:
        bundle(bench)
    assert error.value.code == "object-damaged"


def test_a_row_changed_in_the_database(bench: Bench) -> None:
    content = kit.text(bench.entries()[3] | {"outcome": "denied"})
    with bench.database.begin(bench.institution) as tx:
        tx.execute(
            text("UPDATE audit_entry SET content = :c WHERE log = :n AND idx = 3"),
            {"c": content, "n": bench.head.log},
        )
    assert told(judge(bundle(bench), known(bench))) == ("altered", 3, 4)


def test_split_view() -> None:
    """Two readers are shown two histories, both signed with the log's key."""
    log = a_log()
    one, other = rows(log, cosigned=()), copy.deepcopy(log)
    other.replace(BAD, other.entries[BAD] | {"outcome": "denied"})
    two = rows(other, cosigned=())
    alone = replace(TRUST, log_key_only=True)
    assert judge(one, alone).verdict == judge(two, alone).verdict == "verified"
    assert told(judge(one, replace(alone, anchors=[other.note(AFTER)]))) == ("forked", AFTER, None)
    assert told(judge(two, replace(alone, anchors=[log.note(SIZE)]))) == ("forked", SIZE, None)
    # Heads from before they part are no proof.
    assert judge(two, replace(alone, anchors=[log.note(BEFORE)])).verdict == "verified"


def test_an_old_database_replayed(bench: Bench) -> None:
    """The signer refuses what does not extend its last head; the next generation tells of it, old bundles stay good."""
    put_back = old_state(bench)
    bench.write(count=3)
    bench.sealer.seal()
    before, trust = bundle(bench), known(bench)
    last = notes.Note.parse(bench.platform.audit_log.checkpoint(bench.head))
    put_back()
    bench.write(count=1)
    bench.sealer.seal()
    assert bench.head.halted
    # Nothing of the fork was signed.
    signed = [
        notes.Note.parse(one.note) for one in bench.platform.audit_log.checkpoints(bench.head, 0, 1_000)
    ]
    assert all(one.size < last.size for one in signed)
    bench.platform.generations.go_on(bench.institution, by=LOCAL_ADMINISTRATOR)
    bench.sealer.seal()
    assert bench.head.origin.endswith("/2")
    first = bench.entries()[0]
    assert first["action"] == "audit:log:continue"
    assert judge(bundle(bench), known(bench)).verdict == "verified"
    assert judge(before, trust).verdict == "verified"
    assert judge(bundle(bench), trust).verdict == "wrong-log"
