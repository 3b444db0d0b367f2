"""The signer signs what extends the last head, the same bytes each time, and nothing else."""

from __future__ import annotations

import os
import threading
from uuid import uuid4

import pytest

from wardlight.audit import tree
from wardlight.audit.note import Note, VerifierKey
from wardlight.audit.signer import Signer
from wardlight.errors import WardlightError
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms

ORIGIN = "wardlight.example/audit/stmary/1"


class Grown:
    """A tree in memory, and what a sealer hands over of it."""

    def __init__(self, salt=b""):
        self.tiles = {}
        self.size = 0
        self.salt = salt

    def grow(self, count):
        leaves = [tree.leaf_hash(self.salt + b"%d" % (self.size + i)) for i in range(count)]
        self.tiles |= tree.append(self.read, self.size, leaves)
        self.size += count
        return self

    def read(self, level, n):
        return self.tiles.get((level, n), b"")

    def root(self, size=None):
        return tree.root(self.read, self.size if size is None else size)

    def head(self, old):
        return old, self.size, self.root(), tree.consistency(self.read, old, self.size)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


@pytest.fixture
def keystore(folder):
    opened = open_keystore(folder)
    yield opened
    opened.close()


def open_keystore(folder):
    return Keystore(folder / "keystore.db", [folder / "slots"], KeyringKms(folder / "root" / "root.key"))


@pytest.fixture(params=["institution", "operator"])
def institution(request, keystore):
    """Whose log it is; the operator has no institution, and its seed is wrapped by the root."""
    if request.param == "operator":
        return None
    id_ = uuid4()
    keystore.ensure_institution(id_)
    return id_


@pytest.fixture
def signer(keystore, institution):
    made = Signer(keystore)
    made.open(institution, ORIGIN)
    return made


def test_a_log_has_one_key_that_lasts(signer, institution, folder, keystore):
    vkey = signer.vkey(ORIGIN)
    assert signer.open(institution, ORIGIN) == vkey
    key = VerifierKey.parse(vkey)
    assert (key.name, key.kind) == (ORIGIN, 1)
    again = open_keystore(folder)
    assert Signer(again).vkey(ORIGIN) == vkey
    again.close()
    # No seed lies in the file as it is.
    state = signer.last(ORIGIN)
    seed = keystore.seed(institution, ORIGIN, state.seed)
    assert len(seed) == 32
    for file in folder.rglob("*"):
        if file.is_file():
            assert seed not in file.read_bytes(), file.name


def test_growing_heads_are_signed_and_the_same_one_again_the_same(signer):
    log = Grown().grow(3)
    first = signer.sign(ORIGIN, *log.head(0))
    assert signer.sign(ORIGIN, *log.head(0)) == first
    key = VerifierKey.parse(signer.vkey(ORIGIN))
    note = Note.parse(first)
    assert (note.origin, note.size, note.root) == (ORIGIN, 3, log.root())
    assert note.signed_by(key) and len(note.signatures) == 1
    second = signer.sign(ORIGIN, *log.grow(300).head(3))
    assert Note.parse(second).signed_by(key)
    assert (signer.last(ORIGIN).size, signer.last(ORIGIN).root) == (303, log.root())


def refused(signer, *head, code="audit-fork"):
    before = signer.last(ORIGIN)
    with pytest.raises(WardlightError) as error:
        signer.sign(ORIGIN, *head)
    assert error.value.code == code
    assert signer.last(ORIGIN) == before


def test_forks_are_refused(signer):
    log = Grown().grow(10)
    signer.sign(ORIGIN, *log.head(0))
    other = Grown(b"other").grow(10)
    # A smaller tree, though it is of the same log.
    refused(signer, 0, 5, log.root(5), [])
    refused(signer, 5, 5, log.root(5), [])
    refused(signer, 0, 0, tree.EMPTY_ROOT, [])
    # Another tree of the same size, with and without a proof.
    refused(signer, *other.head(10))
    refused(signer, 0, 10, other.root(), [])
    # A larger tree that holds other entries.
    refused(signer, *other.grow(5).head(10))
    # One that does extend, with a bad proof or none.
    old, size, root, proof = log.grow(5).head(10)
    refused(signer, old, size, root, proof[:-1])
    refused(signer, old, size, root, [])
    refused(signer, old, size, root, [*proof[:-1], os.urandom(32)])
    refused(signer, old, size, other.root(), proof)
    # The proof begins elsewhere than at what was signed: somebody else has signed meanwhile.
    refused(signer, *log.head(9), code="conflict")
    refused(signer, 0, size, root, [], code="conflict")
    assert signer.sign(ORIGIN, old, size, root, proof)


def test_what_was_signed_survives_the_process(signer, folder):
    log = Grown().grow(7)
    note = signer.sign(ORIGIN, *log.head(0))
    again = open_keystore(folder)
    assert Signer(again).sign(ORIGIN, *log.head(0)) == note
    refused(Signer(again), 0, 3, log.root(3), [])
    again.close()


def test_no_key_no_signature(keystore):
    signer = Signer(keystore)
    for ask in (
        signer.vkey,
        signer.last,
        signer.rotate,
        lambda origin: signer.sign(origin, 0, 1, b"r" * 32, []),
    ):
        with pytest.raises(WardlightError) as error:
            ask(ORIGIN)
        assert error.value.code == "not-found"
    other = uuid4()
    keystore.ensure_institution(other)
    signer.open(None, ORIGIN)
    with pytest.raises(WardlightError) as error:
        signer.open(other, ORIGIN)
    assert error.value.code == "conflict"


def test_a_new_key_takes_over_after_both_have_signed(signer, keystore, institution):
    log = Grown().grow(4)
    signer.sign(ORIGIN, *log.head(0))
    old = VerifierKey.parse(signer.vkey(ORIGIN))
    announced = signer.rotate(ORIGIN)
    assert signer.rotate(ORIGIN) == announced == signer.following(ORIGIN)
    new = VerifierKey.parse(announced)
    assert new != old
    # Before the announcing entry is sealed, the old key signs alone.
    alone = Note.parse(signer.sign(ORIGIN, *log.grow(1).head(4)))
    assert (alone.signed_by(old), alone.signed_by(new)) == (True, None)
    seed = keystore.seed(institution, ORIGIN, signer.last(ORIGIN).seed)
    text = signer.sign(ORIGIN, *log.grow(1).head(5), rotated=True)
    both = Note.parse(text)
    assert (both.signed_by(old), both.signed_by(new), len(both.signatures)) == (True, True, 2)
    assert signer.sign(ORIGIN, *log.head(5)) == text
    with pytest.raises(WardlightError) as error:
        signer.rotate(ORIGIN)
    assert error.value.code == "conflict"
    later = Note.parse(signer.sign(ORIGIN, *log.grow(1).head(6)))
    assert (later.signed_by(old), later.signed_by(new)) == (None, True)
    assert signer.vkey(ORIGIN) == announced
    state = signer.last(ORIGIN)
    assert (state.following, state.both_at) == (None, None)
    assert keystore.seed(institution, ORIGIN, state.seed) != seed
    # The next rotation may follow.
    assert signer.rotate(ORIGIN) not in (old.text, new.text)


def test_the_old_key_is_destroyed(signer, keystore, institution, folder):
    if institution is None:
        kept = signer.last(ORIGIN).seed
    else:
        query = "SELECT wrapped FROM key WHERE key_id = ?"
        with keystore.reading() as tx:
            kept = tx.execute(query, (signer.last(ORIGIN).seed,)).fetchone()[0]
    log = Grown().grow(1)
    signer.rotate(ORIGIN)
    signer.sign(ORIGIN, *log.head(0), rotated=True)
    keystore.wipe()
    assert any(kept in file.read_bytes() for file in folder.glob("keystore.db*"))
    signer.sign(ORIGIN, *log.grow(1).head(1))
    assert not any(kept in file.read_bytes() for file in folder.glob("keystore.db*"))


def test_a_log_that_has_ended_signs_no_more(signer):
    log = Grown().grow(2)
    signer.sign(ORIGIN, *log.head(0))
    signer.rotate(ORIGIN)
    signer.close(ORIGIN)
    assert signer.last(ORIGIN).size == 2
    refused(signer, *log.grow(1).head(2), code="key-destroyed")
    refused(signer, 0, 1, log.root(1), [])


def test_many_threads_and_processes_sign_one_log_without_a_fork(folder, keystore):
    Signer(keystore).open(None, ORIGIN)
    log = Grown().grow(200)
    notes, failures = [], []

    def run():
        own = open_keystore(folder)
        signer = Signer(own)
        for size in range(1, 60):
            while True:
                last = signer.last(ORIGIN).size
                if last >= size:
                    break
                proof = tree.consistency(log.read, last, size)
                try:
                    notes.append(signer.sign(ORIGIN, last, size, log.root(size), proof))
                except WardlightError as error:
                    if error.code not in ("conflict", "audit-fork"):
                        failures.append(error)
        own.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    roots = {}
    for note in map(Note.parse, notes):
        assert roots.setdefault(note.size, note.root) == note.root == log.root(note.size)
    assert Signer(keystore).last(ORIGIN).size == 59
