"""The verifier against the vectors of the format, alone as an outsider runs it, and on large files."""

from __future__ import annotations

import ast
import base64
import copy
import io
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audit_vectors as vectors
import bundle_kit as kit
from lone_verifier import Alone
from wardlight.audit import verifier
from wardlight.audit.verifier import EXIT, Trust, explain, verify

TRUST = Trust(vectors.ORIGIN, [vectors.LOG_VKEY], [vectors.WITNESS_VKEY])


def vector_bundle() -> bytes:
    """The whole range bundle of the specification, from its entries, hashes, notes and proof."""
    header = {
        "created": "2026-11-24T08:06:00.000Z", "format": "wardlight-audit/1", "kind": "header", "mode": "range",
        "origin": vectors.ORIGIN, "range": {"from": 0, "to": 5}, "size": 5, "vkeys": [vectors.LOG_VKEY],
    }  # fmt: skip
    leaves = [
        b'{"entry":%b,"index":%d,"kind":"leaf","leaf":"%b"}' % (entry, index, leaf.encode())
        for index, (entry, leaf) in enumerate(zip(vectors.ENTRIES, vectors.LEAVES, strict=True))
    ]
    return kit.sealed(
        [
            header,
            *leaves,
            {"kind": "range", "left": [], "right": []},
            {"kind": "checkpoint", "note": vectors.CHECKPOINT_3},
            {"from": 3, "kind": "consistency", "proof": vectors.CONSISTENCY_3_TO_5, "to": 5},
            {"kind": "checkpoint", "note": vectors.CHECKPOINT_5},
        ]
    )


# ---- vectors ----


def test_bundle_of_the_specification() -> None:
    data = vector_bundle()
    assert (data.count(b"\n"), len(data)) == (11, 4463)
    end = json.loads(data.splitlines()[-1])
    assert end["sha256"] == "2a6e7497a67a21157c67db61b372ce1a26206f2385ad18a4fb813f1f6fcd1359"
    found = verify(io.BytesIO(data), TRUST)
    assert found.as_json() == {
        "verdict": "verified",
        "origin": vectors.ORIGIN,
        "mode": "range",
        "start": 0,
        "stop": 5,
        "size": 5,
        "leaves": 5,
        "pruned": 0,
        "withheld": 0,
        "anchored_to": 5,
        "first": "2026-11-24T08:00:00.000Z",
        "last": "2026-11-24T08:05:00.000Z",
        "warnings": [],
    }


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.long)])
def test_bytes_of_it_changed(step: int) -> None:
    """A byte with its lowest bit flipped: never verified, not even on the log key's word alone."""
    data = vector_bundle()
    lenient = replace(TRUST, log_key_only=True)
    for at in range(0, len(data), step):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert verify(io.BytesIO(changed), lenient).verdict != "verified", at


def test_hashes_roots_and_proofs() -> None:
    tree = verifier.Frontier()
    roots = [tree.root()]
    for entry in vectors.ENTRIES:
        tree.append(verifier.leaf_hash(entry))
        roots.append(tree.root())
    assert [base64.b64encode(one).decode() for one in roots] == vectors.ROOTS
    assert [base64.b64encode(verifier.leaf_hash(one)).decode() for one in vectors.ENTRIES] == vectors.LEAVES
    inclusion = [base64.b64decode(one) for one in vectors.INCLUSION_2_IN_5]
    assert verifier.root_from_inclusion(base64.b64decode(vectors.LEAVES[2]), 2, 5, inclusion) == roots[5]
    consistency = [base64.b64decode(one) for one in vectors.CONSISTENCY_3_TO_5]
    assert verifier.consistent(3, roots[3], 5, roots[5], consistency)
    assert not verifier.consistent(3, roots[3], 5, roots[4], consistency)


def test_notes() -> None:
    log = verifier.Key.parse(vectors.LOG_VKEY, verifier.LOG)
    witness = verifier.Key.parse(vectors.WITNESS_VKEY, verifier.WITNESS)
    for text, size, cosigned in ((vectors.CHECKPOINT_5, 5, True), (vectors.CHECKPOINT_3, 3, None)):
        note = verifier.Note.parse(text)
        assert (note.origin, note.size) == (vectors.ORIGIN, size)
        assert base64.b64encode(note.root).decode() == vectors.ROOTS[size]
        assert (note.signed_by(log), note.signed_by(witness)) == (True, cosigned)


def test_the_page_on_the_format_holds_the_bundle() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "audit-bundle.md"
    blocks = page.read_text("utf-8").split("```\n")
    assert vector_bundle().decode() in blocks


def remade(lines: list[kit.Row], **trust: Any) -> tuple[str, int | None]:
    found = verify(io.BytesIO(kit.sealed(lines)), replace(TRUST, **trust))
    return found.verdict, found.first_bad


def test_changes_that_the_page_lists() -> None:
    lines = [json.loads(line) for line in vector_bundle().splitlines()[:-1]]
    assert remade(lines, witnesses=[]) == ("unanchored", 0)
    passive = copy.deepcopy(lines)
    passive[2]["entry"]["detail"]["factor"] = "passive"
    assert remade(passive) == ("altered", 1)
    passive[2]["leaf"] = kit.b64(kit.leaf_hash(kit.text(passive[2]["entry"])))
    assert remade(passive) == ("altered", 0)
    assert remade(lines[:3] + lines[4:]) == ("altered", 2)
    assert remade([*lines[:4], *lines[3:]]) == ("altered", 2)
    for place, row in enumerate(lines):
        spaced: list[Any] = [*lines]
        spaced[place] = kit.text(row).replace(b'"kind":', b'"kind": ')
        assert remade(spaced) == ("malformed", None)
    alone = copy.deepcopy(lines)
    alone[-1]["note"] = "".join(vectors.CHECKPOINT_5.splitlines(keepends=True)[:-1])
    assert remade(alone) == ("unanchored", 0)
    short = [lines[0] | {"size": 3, "range": {"from": 0, "to": 3}}, *lines[1:4], *lines[6:8]]
    assert remade(short) == ("unanchored", 0)
    assert remade(short, anchors=[vectors.CHECKPOINT_5]) == ("truncated", 5)


# ---- proofs of trees of all sizes, against the recursive definitions ----


@given(st.integers(0, 600), st.data())
def test_trees(size: int, data: st.DataObject) -> None:
    leaves = [kit.leaf_hash(b"%d" % number) for number in range(size)]
    old = data.draw(st.integers(0, size))
    root, old_root = kit.root(leaves), kit.root(leaves[:old])
    tree = verifier.Frontier(old, kit.before(leaves, old))
    assert tree.root() == old_root
    assert tree.root_with(kit.after(leaves, old), size) == root
    if old < size:
        assert verifier.consistent(old, old_root, size, root, kit.consistency(leaves, old))
        assert not verifier.consistent(old, kit.leaf_hash(b"x"), size, root, kit.consistency(leaves, old))
        proof = kit.inclusion(leaves, old)
        assert verifier.root_from_inclusion(leaves[old], old, size, proof) == root
        assert verifier.root_from_inclusion(leaves[old], old, size, [*proof, root]) is None
        assert verifier.root_from_inclusion(leaves[old], size, size, proof) is None


# ---- alone ----


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(Path(verifier.__file__).read_text("utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add((node.module or "").partition(".")[0])
    assert roots <= sys.stdlib_module_names | {"cryptography"}


@pytest.fixture
def alone(tmp_path: Path) -> Alone:
    made = Alone(tmp_path)
    (tmp_path / "bundle.ndjson").write_bytes(vector_bundle())
    trust = {
        "origin": vectors.ORIGIN,
        "vkeys": [vectors.LOG_VKEY],
        "witnesses": [vectors.WITNESS_VKEY],
        "k": 1,
    }
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    return made


def test_alone(alone: Alone) -> None:
    found = alone.run("verifier.py", "bundle.ndjson", "--trust", "trust.json")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("VERIFIED. ") and "5 entries" in found.stdout
    shown = json.loads(alone.run("verifier.py", "bundle.ndjson", "--trust", "trust.json", "--json").stdout)
    assert shown["verdict"] == "verified"
    assert alone.run("verifier.py", "bundle.ndjson").returncode == EXIT["unanchored"]
    keys = ("--witness", vectors.WITNESS_VKEY, "--threshold", "1")
    assert alone.run("verifier.py", "bundle.ndjson", *keys).returncode == EXIT["unanchored"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("none.ndjson",),
        ("bundle.ndjson", "--trust", "none.json"),
        ("bundle.ndjson", "--trust", "bundle.ndjson"),
        ("bundle.ndjson", "--trust", "trust.json", "--checkpoint", "trust.json"),
        ("bundle.ndjson", "--trust", "trust.json", "--checkpoint", "none"),
        ("bundle.ndjson", "--trust", "trust.json", "--threshold", "2"),
        ("bundle.ndjson", "--witness", vectors.LOG_VKEY),
    ],
)
def test_wrong_usage(alone: Alone, arguments: tuple[str, ...]) -> None:
    found = alone.run("verifier.py", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr and "Traceback" not in found.stderr


# ---- what people read ----


def test_each_verdict_says_what_to_do() -> None:
    for name in EXIT:
        told = explain(verifier.Verdict(name, first_bad=3, first_bad_to=9, origin=vectors.ORIGIN))
        assert told.startswith(name.replace("-", " ").upper() + ". ")
        assert "  Next     " in told


def test_a_verdict_names_where_it_is_wrong() -> None:
    lines = vector_bundle().splitlines()[:-1]
    lines[2] = lines[2].replace(b"passkey", b"passive")
    found = verify(io.BytesIO(kit.sealed(lines)), TRUST)
    assert (found.verdict, found.first_bad, found.first_bad_to, found.line) == ("altered", 1, 2, 3)
    assert "entry 1 (line 3)" in explain(found)


# ---- large files ----


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six thousand entries, made line by line."""
    log = kit.Log(keys=[(-1, kit.log_key())])
    chance = random.Random(11)
    for _ in range(6_000):
        log.append(kit.entry(log, chance))
    path = tmp_path_factory.mktemp("large") / "bundle.ndjson"
    path.write_bytes(kit.sealed(kit.rows_of(log, span=(0, 6_000), checkpoints=(2_000, 4_000))))
    return path


KNOWN = Trust(kit.ORIGIN, [kit.log_key().vkey], [kit.witness_key().vkey])


def test_several_processes_come_to_the_same(large: Path) -> None:
    found = verify(large, KNOWN, jobs=2)
    assert found == verify(large, KNOWN)
    assert (found.verdict, found.leaves) == ("verified", 6_000)
    lines = large.read_bytes().splitlines()[:-1]
    lines[5_000] = lines[5_000].replace(b'"outcome":"', b'"outcome":"x')
    spoiled = large.with_name("spoiled.ndjson")
    spoiled.write_bytes(kit.sealed(lines))
    found = verify(spoiled, KNOWN, jobs=2)
    assert found == verify(spoiled, KNOWN)
    assert found.verdict == "altered" and found.line == 5_001


def test_progress_goes_forward_to_nearly_all(large: Path) -> None:
    told: list[tuple[int, int]] = []
    verify(large, KNOWN, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {2 * large.stat().st_size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] > 0.75 * told[-1][1]


def test_memory_does_not_grow_with_the_file(alone: Alone, large: Path) -> None:
    """The peak of a process that verifies 5 MB is hardly more than of one that verifies 5 kB."""
    program = (
        "import resource, sys, verifier; verifier.main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [int(alone.run("-c", program, str(one)).stdout.split()[-1]) for one in ("bundle.ndjson", large)]
    unit = 1024 if sys.platform != "darwin" else 1
    assert (peaks[1] - peaks[0]) * unit < large.stat().st_size
