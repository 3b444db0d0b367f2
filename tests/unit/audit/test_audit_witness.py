"""The C2SP witness: each answer of the protocol, over HTTP and by another hand than the log's own code."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardlight.audit.note import WITNESS, Note, VerifierKey, body, cosign, sign
from wardlight.cli.audit_witness import open_server
from wardlight.errors import WardlightError

LOG, SEED = "peer.example/audit/stmary/1", bytes(range(32))
KEY = VerifierKey.of(LOG, SEED)


def root(leaves):
    """RFC 9162 section 2.1.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def proof(old, leaves, whole=True):
    """RFC 9162 section 2.1.4.1, as it is written there."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if old <= k:
        return [*proof(old, leaves[:k], whole), root(leaves[k:])]
    return [*proof(old - k, leaves[k:], False), root(leaves[:k])]


LEAVES = [bytes([number]) for number in range(40)]


def checkpoint(size, leaves=LEAVES, seed=SEED, origin=LOG, hash_=None):
    text = body(origin, size, hash_ or root(leaves[:size]))
    return f"{text}\n{sign(origin, seed, text)}"


def request(old, size, *, hashes=None, note=None, leaves=LEAVES):
    hashes = hashes if hashes is not None else (proof(old, leaves[:size]) if 0 < old <= size else [])
    lines = "".join(f"{b64encode(one).decode()}\n" for one in hashes)
    return f"old {old}\n{lines}\n{note or checkpoint(size, leaves)}".encode()


@pytest.fixture
def peer(tmp_path):
    with Peer(tmp_path) as peer:
        yield peer


class Peer:
    """A running witness."""

    def __init__(self, folder, keys=(KEY,)):
        self.folder, self.keys = folder, keys

    def __enter__(self):
        logs = [key.text for key in self.keys]
        self.server, vkey = open_server(self.folder, "witness.example/w1", logs, "127.0.0.1", 0)
        self.key = VerifierKey.parse(vkey)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def post(self, data, path="/add-checkpoint", method="POST"):
        connection = http.client.HTTPConnection(*self.server.server_address, timeout=10)
        connection.request(method, path, body=data)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.getheader("Content-Type")
        connection.close()
        return found

    def add(self, *arguments, **keywords):
        return self.post(request(*arguments, **keywords))


def test_200_is_a_cosignature_over_the_checkpoint(peer):
    for old, size in ((0, 0), (0, 3), (3, 3), (3, 8), (8, 39), (39, 40)):
        status, line, _ = peer.add(old, size)
        assert status == 200, (old, size, line)
        note = Note.parse(checkpoint(size) + line.decode())
        assert note.signed_by(peer.key) is True
    assert [(origin, size) for origin, size, _ in peer.server.state.heads()] == [(LOG, 40)]


def test_404_is_an_origin_that_is_not_known(peer):
    note = checkpoint(3, origin="other.example/audit/x/1")
    assert peer.add(0, 3, note=note)[0] == 404
    assert peer.post(request(0, 3), "/elsewhere")[0] == 404


def test_403_is_no_good_signature_of_the_logs_key(peer):
    assert peer.add(0, 3, note=checkpoint(3, seed=bytes(32)))[0] == 403
    text = body(LOG, 3, root(LEAVES[:3]))
    wrong = sign(LOG, SEED, text.replace("\n3\n", "\n4\n"))
    assert peer.add(0, 3, note=f"{text}\n{wrong}")[0] == 403
    assert peer.add(0, 3, note=f"{text}\n{sign(LOG, SEED, text)}{wrong}")[0] == 403
    witness = cosign(LOG, SEED, text, 1)
    assert peer.add(0, 3, note=f"{text}\n{witness}")[0] == 403
    # Keys that are not known are no matter.
    assert (
        peer.add(0, 3, note=f"{text}\n{sign(LOG, SEED, text)}{sign(LOG, bytes(32), text)}{witness}")[0] == 200
    )


def test_400_is_an_old_size_above_the_checkpoints_and_what_cannot_be_read(peer):
    assert peer.add(4, 3, hashes=[])[0] == 400
    good = request(0, 3)
    for bad in (
        b"", b"old 0\n", b"\n\n", good.replace(b"old 0", b"old 00"), good.replace(b"old 0", b"old -1"),
        good.replace(b"old 0", b"0"), good.replace(b"\n\n", b"\n", 1), good[:-1], b"\xff" + good,
        good.replace(b"old 0\n", b"old 0\nAAAA\n"), good.replace(b"old 0\n", b"old 0\nnot base64\n"),
        good.replace(b"old 0\n", b"old 0\n" + b64encode(bytes(32)).replace(b"A", b"B", 1)[:-1] + b"\n"),
        request(0, 3, hashes=[bytes(32)] * 64), request(0, 3, note=checkpoint(3).replace("\n3\n", "\n03\n")),
    ):  # fmt: skip
        assert peer.post(bad)[0] == 400, bad
    assert peer.server.state.heads() == []


def test_409_tells_the_size_that_was_cosigned_last(peer):
    assert peer.add(2, 3)[0::2] == (409, "text/x.tlog.size")
    peer.add(0, 5)
    for old, size in ((0, 5), (3, 8), (0, 8), (4, 5), (6, 8)):
        assert peer.add(old, size) == (409, b"5\n", "text/x.tlog.size")


def test_422_is_what_does_not_extend(peer):
    assert peer.add(0, 0, note=checkpoint(0, hash_=bytes(32)))[0] == 422
    assert peer.add(0, 3, hashes=[bytes(32)])[0] == 422
    peer.add(0, 5)
    other = [*LEAVES[:4], b"x", *LEAVES[5:]]
    assert peer.add(5, 8, leaves=other)[0] == 422
    assert peer.add(5, 5, leaves=other)[0] == 422
    assert peer.add(5, 8, hashes=[])[0] == 422
    assert peer.add(5, 8, hashes=[*proof(5, LEAVES[:8]), bytes(32)])[0] == 422
    assert peer.add(5, 5, hashes=[bytes(32)])[0] == 422
    assert peer.add(5, 8)[0] == 200


def test_what_was_cosigned_is_known_after_a_restart(tmp_path):
    with Peer(tmp_path) as peer:
        assert peer.add(0, 8)[0] == 200
    with Peer(tmp_path) as again:
        assert again.key == peer.key
        assert again.add(0, 3)[0:2] == (409, b"8\n")
        assert again.add(8, 8, leaves=[b"x", *LEAVES[1:]])[0] == 422
        assert again.add(8, 9)[0] == 200


def test_many_at_once_never_take_a_head_back(peer):
    gate, answers = threading.Barrier(12), []

    def work(size):
        gate.wait()
        answers.append((peer.add(0, size)[0], size))

    threads = [threading.Thread(target=work, args=(size,)) for size in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [size for status, size in answers if status == 200]
    assert len(taken) == 1 and {status for status, _ in answers} == {200, 409}
    assert peer.server.state.heads()[0][1] == taken[0]


def test_two_processes_on_one_state(tmp_path):
    """The database decides, not the process."""
    with Peer(tmp_path) as one, Peer(tmp_path) as other:
        assert one.add(0, 8)[0] == 200
        assert other.add(0, 5)[0:2] == (409, b"8\n")
        assert other.add(8, 9)[0] == 200
        assert one.add(8, 10)[0:2] == (409, b"9\n")


def test_both_keys_of_a_log_that_changes_its_key(tmp_path):
    new = VerifierKey.of(LOG, bytes(32))
    with Peer(tmp_path, (KEY, new)) as peer:
        assert peer.add(0, 3)[0] == 200
        assert peer.add(3, 8, note=checkpoint(8, seed=bytes(32)))[0] == 200


def test_http_that_is_not_the_protocol(peer):
    assert peer.post(None, method="GET")[0] == 405
    assert peer.post(None, method="PUT")[0] == 501
    assert peer.post(b"x" * 70_000)[0] == 413
    with socket.create_connection(peer.server.server_address, timeout=10) as raw:
        raw.sendall(
            b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 411")
    with socket.create_connection(peer.server.server_address, timeout=10) as raw:
        raw.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold")
    assert peer.add(0, 3)[0] == 200


@settings(max_examples=100)
@given(st.data())
def test_a_changed_byte_is_never_cosigned(tmp_path_factory, data):
    witness = _witness(tmp_path_factory)
    good = request(0, 13)
    place = data.draw(st.integers(0, len(good) - 1))
    changed = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    answer = witness.add_checkpoint(changed)
    assert answer.status in (400, 403, 404, 409), (changed, answer)
    assert witness.heads() == []


_made = []


def _witness(tmp_path_factory):
    from wardlight.audit.witness import LogWitness

    if not _made:
        _made.append(LogWitness(tmp_path_factory.mktemp("witness") / "w.db", "w/1", bytes(32), [KEY]))
    return _made[0]


def test_a_witness_has_one_name(tmp_path):
    with pytest.raises(WardlightError, match="bad-request"):
        open_server(tmp_path, "", [], "127.0.0.1", 0)
    with Peer(tmp_path):
        pass
    with pytest.raises(WardlightError, match="conflict"):
        open_server(tmp_path, "other.example/w1", [KEY.text], "127.0.0.1", 0)
    with pytest.raises(WardlightError, match="bad-request"):
        open_server(tmp_path, "", [VerifierKey.of("w/1", bytes(32), WITNESS).text], "127.0.0.1", 0)
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o400
