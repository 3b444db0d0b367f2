"""A generated log is one that the product itself could have made: it goes on sealing it, and finds what is in it."""

from __future__ import annotations

import hashlib
import json

import pytest
from bench import audit, audit_generator

from wardlight.audit.note import Note, VerifierKey
from wardlight.audit.tree import leaf_hash
from wardlight.trail import counts
from wardlight.trail.filters import Filter

COUNT = 2500


def rebuilt(leaves):
    """Root by the definition of RFC 9162 section 2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + rebuilt(leaves[:half]) + rebuilt(leaves[half:])).digest()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "data"
    audit_generator.generate(folder, COUNT, seed=3)
    with audit.opened(folder) as found:
        yield found


def test_its_head_is_signed_and_is_the_root_of_its_entries(log):
    audit_log = log.platform.audit_log
    head = audit_log.head(log.head)
    note = Note.parse(audit_log.checkpoint(head))
    leaves = [leaf_hash(content) for _, content, _ in audit_log.entries(head, 0, head.size)]
    assert head.size >= COUNT and (note.size, note.root) == (head.size, rebuilt(leaves))
    assert note.signed_by(VerifierKey.parse(audit_log.vkeys(head)[0]))


def test_what_is_in_it_is_found(log):
    head = log.platform.audit_log.head(log.head)
    entries = [json.loads(content) for _, content, _ in log.platform.audit_log.entries(head, 0, head.size)]
    denied = [idx for idx, entry in enumerate(entries) if entry["outcome"] == "denied"]
    page = log.trail.find(log.institution, head, Filter(outcomes=(3,)), 200)
    assert [row.idx for row in page.rows] == denied[::-1][:200] and denied
    asked = log.about(1)
    subjects = set(asked.subjects)
    named = [
        idx for idx, entry in enumerate(entries)
        if subjects & {value for pair in entry.get("subjects", ()) for value in pair.values()}
    ]  # fmt: skip
    assert [row.idx for row in log.trail.find(log.institution, head, asked, 200).rows] == named[::-1][:200]
    with log.platform.database.read(log.institution) as tx:
        counted = counts.counted(tx, head, 0, 40_000)
    assert sum(counted.hours.values()) == sum(counted.kinds.values()) >= COUNT - 2


def test_it_is_measured_and_goes_on(log):
    before = log.platform.audit_log.head(log.head).size
    assert all(audit.timed(lambda query=query: query(log), 2)[0][0] > 0 for query in audit.FORMS.values())
    assert audit.sealing(log, 150)
    log.platform.sealer.seal()
    assert log.platform.audit_log.head(log.head).size >= before + 150
    assert not log.platform.audit_log.head(log.head).halted
