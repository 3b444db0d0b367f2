"""The receiver as a witness, against a real platform: what it follows, cosigns, refuses, and says of it."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from sqlalchemy import select, text

from trail_kit import Line, seal
from wardlight.audit import tree
from wardlight.audit.note import Note, VerifierKey, body, cosign, sign
from wardlight.cli.admin_witnesses import give_witness_key
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver import secrets, witness
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import ExchangeError
from wardlight.receiver.followed import FollowedLogs
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import audit_pending, followed
from wardlight.receiver.witness import OFFER, Witness
from web_kit import a_web


class Gateway:
    """A receiver with its folder, and the platform that it talks to."""

    def __init__(self, web, folder, name="gateway-1", key=True):
        self.platform = web.kit.platform
        self.institution = web.kit.institution
        self.folder = folder
        identity = self.platform.identity
        self.row = identity.create_receiver(self.institution.id, name, by=LOCAL_ADMINISTRATOR)
        token = identity.issue_receiver_token(self.row, by=LOCAL_ADMINISTRATOR)
        folder.mkdir(exist_ok=True)
        if key:
            give_witness_key(self.platform, self.institution, self.row, folder)
        seal(self.platform)
        self.line = Line(web.client, token)
        self.database = folder / "receiver.db"
        self.open()

    def open(self):
        self.store = ReceiverStore(self.database)
        self.logs = FollowedLogs(self.store, Entries("gw-1"))
        self.witness = Witness(self.line, self.logs, self.folder, threading.Event())

    def more(self):
        """Something happens on the platform, and is sealed."""
        person = self.platform.identity.create_person(
            self.institution.id, f"{len(self.notes())}-{id(object())}", "P", Role.CLINICIAN,
            by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        seal(self.platform)
        return person

    def notes(self):
        log = self.platform.audit_log
        return [one for head in log.logs(self.institution.id) for one in log.checkpoints(head, 0, 1 << 53)]

    def newest(self):
        log = self.platform.audit_log
        return Note.parse(log.checkpoint(log.logs(self.institution.id)[-1]))

    def key(self):
        return VerifierKey.parse(secrets._line(self.folder / "witness.vkey"))

    def rows(self):
        with self.store.database.read() as tx:
            return tx.execute(select(followed).order_by(followed.c.number)).all()

    def alarms(self):
        with self.store.database.read() as tx:
            found = [json.loads(row) for row in tx.execute(select(audit_pending.c.content)).scalars()]
        return [entry for entry in found if entry["action"] == "audit:log:alarm"]


@pytest.fixture(scope="module")
def web():
    with a_web() as web:
        yield web


_count = iter(range(1000))


@pytest.fixture
def gateway(web, tmp_path, monkeypatch):
    monkeypatch.setattr(witness, "COSIGN_MS", 0)
    return Gateway(web, tmp_path / "secrets", f"gateway-{next(_count)}")


def test_it_cosigns_the_head_and_what_extends_it(gateway):
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True
    gateway.more()
    gateway.more()
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True
    (row,) = gateway.rows()
    assert (row.size, row.root, row.cosigned_size) == (
        gateway.newest().size, gateway.newest().root, gateway.newest().size,
    )  # fmt: skip
    assert not gateway.alarms() and not row.alarm


def test_what_it_knows_is_durable_before_its_cosignature_leaves(gateway):
    seen = []

    def look():
        with ReceiverStore(gateway.database).database.read() as tx:
            seen.append(tx.execute(select(followed.c.size)).scalar())

    gateway.line.before_post = look
    gateway.witness.round()
    assert seen == [gateway.newest().size]
    # Killed in between: the next start cosigns what it knows, and nothing older.
    gateway.more()

    def die():
        raise KeyboardInterrupt

    gateway.line.before_post = die
    with pytest.raises(KeyboardInterrupt):
        gateway.witness.round()
    gateway.line.before_post = lambda: None
    gateway.open()
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True
    assert [one["size"] for one in gateway.line.sent] == sorted(one["size"] for one in gateway.line.sent)


def test_it_cosigns_once_a_minute_unless_somebody_waits(gateway, monkeypatch):
    monkeypatch.setattr(witness, "COSIGN_MS", 60_000)
    gateway.witness.round()
    gateway.more()
    gateway.witness.round()
    assert len(gateway.line.sent) == 1
    assert gateway.rows()[0].size == gateway.newest().size  # Known all the same.
    assert not gateway.platform.witnesses.ask(gateway.institution.id, wait_s=0)
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True
    assert gateway.platform.witnesses.ask(gateway.institution.id, wait_s=0)


def test_without_a_key_it_follows_and_cosigns_nothing(web, tmp_path):
    gateway = Gateway(web, tmp_path / "secrets", f"gateway-{next(_count)}", key=False)
    gateway.witness.round()
    assert gateway.rows()[0].size == gateway.newest().size and not gateway.line.sent
    give_witness_key(gateway.platform, gateway.institution, gateway.row, gateway.folder)
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True


def forged(gateway, size, root, seed=None):
    """A head that the log's key signs: by a thief, or by the platform behind our back."""
    origin = gateway.newest().origin
    if seed is None:
        state = gateway.platform.signer.last(origin)
        seed = gateway.platform.keystore.seed(state.institution, origin, state.seed)
    text = body(origin, size, root)
    return f"{text}\n{sign(origin, seed, text)}"


ATTACKS = [
    "fork of the same size",
    "fork, larger",
    "rollback",
    "foreign key",
    "other log",
    "proof of another",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_head_that_does_not_go_on_is_refused_with_an_alarm(gateway, attack):
    gateway.witness.round()
    held = gateway.newest()
    cosigned = len(gateway.line.sent)

    def twist(path, answer):
        if path != OFFER:
            return answer
        origin = held.origin
        note = {
            "fork of the same size": forged(gateway, held.size, bytes(32)),
            "fork, larger": forged(gateway, held.size + 5, bytes(32)),
            "rollback": forged(gateway, held.size - 1, bytes(32)),
            "foreign key": forged(gateway, held.size + 1, bytes(32), bytes(32)),
            "other log": f"{body('x/1', 9, bytes(32))}\n{sign('x/1', bytes(32), body('x/1', 9, bytes(32)))}",
            "proof of another": forged(gateway, held.size + 2, bytes(32)),
        }[attack]
        proof = [base64.b64encode(bytes(32)).decode()] * 3 if attack == "proof of another" else []
        return {**answer, "origin": origin, "size": 0, "note": note, "proof": proof, "wanted": True}

    gateway.line.twist = twist
    for _ in range(3):
        gateway.witness.round()
    assert len(gateway.line.sent) == cosigned
    (row,) = gateway.rows()
    code = {
        "rollback": "witness-rollback",
        "foreign key": "witness-bad-signature",
        "other log": "witness-other-log",
    }
    assert row.alarm == code.get(attack, "witness-fork")
    assert (row.size, row.root) == (held.size, held.root)
    (alarm,) = gateway.alarms()
    assert (alarm["reason"], alarm["outcome"]) == (row.alarm, "failed")
    assert alarm["detail"]["signed"] == held.size and alarm["object"]["id"] == held.origin
    # Both notes are kept; where both are signed, they are the proof of a split view.
    assert Note.parse(row.note).body == held.body and Note.parse(row.alarm_note).body != held.body
    # What is true is cosigned again, and the alarm stays for a person.
    gateway.line.twist = lambda _, answer: answer
    gateway.more()
    gateway.witness.round()
    assert gateway.newest().signed_by(gateway.key()) is True
    assert gateway.rows()[0].alarm == row.alarm


def test_a_fork_is_not_pushed_out_by_other_alarms(gateway):
    gateway.witness.round()
    held = gateway.newest()
    fork = forged(gateway, held.size, bytes(32))
    for note in (forged(gateway, held.size, bytes(32), bytes(32)), fork, forged(gateway, 1, bytes(32))):
        gateway.line.twist = lambda path, answer, note=note: {**answer, "note": note}
        gateway.witness.round()
    (row,) = gateway.rows()
    assert (row.alarm, row.alarm_note) == ("witness-fork", fork)
    assert [one["reason"] for one in gateway.alarms()] == ["witness-bad-signature", "witness-fork"]


def test_two_receivers_are_shown_two_heads(web, gateway, tmp_path):
    """A split view: each witness holds a head of its own, and neither cosigns the other's."""
    other = Gateway(web, tmp_path / "other", f"gateway-{next(_count)}")
    gateway.witness.round()
    held = gateway.newest()
    size = held.size + 1
    left, right = forged(gateway, size, b"l" * 32), forged(gateway, size, b"r" * 32)
    for one, note in ((gateway, left), (other, right)):
        one.line.twist = lambda path, answer, note=note: (
            {**answer, "note": note, "proof": []} if path == OFFER else answer
        )
    with pytest.raises(
        ExchangeError
    ):  # It begins here, so it believes; but the platform has no such checkpoint.
        other.witness.round()
    gateway.witness.round()
    assert gateway.rows()[0].alarm == "witness-fork"
    other.line.twist = lambda path, answer: answer
    other.witness.round()
    assert other.rows()[0].alarm == "witness-rollback"


BAD = [
    {}, {"note": 1}, {"note": "x"}, {"proof": "x"}, {"proof": ["x"]}, {"proof": ["AAAA"]}, {"proof": [1]},
    {"proof": [base64.b64encode(bytes(32)).decode()] * 65}, {"rotation": 1}, {"next": []},
    {"note": f"{body('x/1', 1 << 53, bytes(32))}\n{sign('x/1', bytes(32), body('x/1', 1 << 53, bytes(32)))}"},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_an_answer_that_is_none_changes_nothing(gateway, bad):
    gateway.witness.round()
    before = gateway.rows()
    gateway.line.twist = lambda path, answer: {**answer, **bad} if bad else {}
    with pytest.raises(ExchangeError):
        gateway.witness.round()
    assert gateway.rows() == before and not gateway.alarms()


def test_it_follows_a_rotation_of_the_logs_key(gateway):
    gateway.witness.round()
    old = gateway.rows()[0].vkey
    for _ in range(2):
        gateway.platform.generations.rotate(gateway.institution.id, by=LOCAL_ADMINISTRATOR)
        seal(gateway.platform)
        gateway.more()
        gateway.more()
    while gateway.witness.round():
        pass
    (row,) = gateway.rows()
    assert row.vkey == gateway.platform.signer.vkey(row.origin) != old and not row.alarm
    assert gateway.newest().signed_by(gateway.key()) is True


def test_who_begins_after_rotations_follows_them_too(web, gateway, tmp_path):
    gateway.platform.generations.rotate(gateway.institution.id, by=LOCAL_ADMINISTRATOR)
    seal(gateway.platform)
    for pinned in (True, False):
        late = Gateway(web, tmp_path / str(pinned), f"gateway-{next(_count)}")
        if not pinned:
            (late.folder / "audit-log.vkey").unlink()
        while late.witness.round():
            pass
        assert not late.rows()[0].alarm
        assert late.newest().signed_by(late.key()) is True
        gateway.more()


def test_a_rotation_that_the_log_does_not_hold_is_refused(gateway):
    gateway.witness.round()
    gateway.platform.generations.rotate(gateway.institution.id, by=LOCAL_ADMINISTRATOR)
    seal(gateway.platform)
    thief = VerifierKey.of(gateway.newest().origin, bytes(32)).text

    def twist(path, answer):
        entry = json.loads(base64.b64decode(answer["rotation"]["entry"]))
        entry["detail"]["vkey"] = thief
        forged = base64.b64encode(json.dumps(entry).encode()).decode()
        return {**answer, "rotation": {**answer["rotation"], "entry": forged}}

    gateway.line.twist = twist
    vkey = gateway.rows()[0].vkey
    gateway.witness.round()
    assert gateway.rows()[0].alarm == "witness-entry" and gateway.rows()[0].vkey == vkey


def test_a_pinned_key_is_not_replaced_by_what_is_shown(web, tmp_path):
    gateway = Gateway(web, tmp_path / "secrets", f"gateway-{next(_count)}")
    pinned = VerifierKey.of(gateway.newest().origin, b"p" * 32).text
    (gateway.folder / "audit-log.vkey").unlink()
    (gateway.folder / "audit-log.vkey").write_text(pinned)
    gateway.witness.round()
    assert gateway.rows()[0].alarm == "witness-bad-signature" and not gateway.line.sent
    assert (gateway.rows()[0].size, gateway.rows()[0].root) == (0, tree.EMPTY_ROOT)


def test_a_second_witness_on_the_same_database_does_not_sign_from_what_is_old(gateway):
    gateway.witness.round()
    held = gateway.logs.newest()
    gateway.more()
    gateway.witness.round()
    with pytest.raises(Exception, match="conflict"):
        gateway.logs.advance(held, held.vkey, held.size + 1, bytes(32), "x")


_LOG = ("audit_entry", "audit_subject", "audit_tile", "audit_checkpoint", "audit_pending")


def copied(platform):
    """The log's rows, as a backup has them."""
    with platform.database.read(EVERYWHERE) as tx:
        return {name: tx.execute(text(f"SELECT * FROM {name}")).all() for name in ("audit_log", *_LOG)}


def put_back(platform, backup):
    """The log as it was when it was copied."""
    with platform.database.begin(EVERYWHERE) as tx:
        for row in backup["audit_log"]:
            change = text("UPDATE audit_log SET size = :size, root = :root WHERE log = :log")
            tx.execute(change, dict(row._mapping))
        for name in _LOG:
            tx.execute(text(f"DELETE FROM {name}"))
            for row in backup[name]:
                columns, marks = ", ".join(row._fields), ", ".join(f":{one}" for one in row._fields)
                tx.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({marks})"), dict(row._mapping))


def test_an_old_database_that_is_put_back_is_an_alarm_and_goes_on_in_a_new_generation(
    web, tmp_path, monkeypatch
):
    monkeypatch.setattr(witness, "COSIGN_MS", 0)
    with a_web() as web:
        gateway = Gateway(web, tmp_path / "secrets")
        gateway.witness.round()
        backup = copied(gateway.platform)
        gateway.more()
        gateway.witness.round()
        held = gateway.newest()
        put_back(gateway.platform, backup)
        gateway.witness.round()
        assert gateway.rows()[0].alarm == "witness-rollback"
        # The signer stops, too; the operator goes on from the head that was signed last.
        gateway.platform.identity.create_person(
            gateway.institution.id, "later", "P", Role.CLINICIAN, by=LOCAL_ADMINISTRATOR
        )
        seal(gateway.platform)
        assert gateway.platform.audit_log.logs(gateway.institution.id)[-1].halted
        gateway.platform.generations.go_on(gateway.institution.id, by=LOCAL_ADMINISTRATOR)
        seal(gateway.platform)
        while gateway.witness.round():
            pass
        old, new = gateway.rows()
        assert (old.origin, old.size) == (held.origin, held.size) and old.alarm
        assert new.origin == held.origin[:-1] + "2" and not new.alarm
        assert gateway.newest().signed_by(gateway.key()) is True


def test_a_generation_that_names_another_head_is_not_followed(web, tmp_path, monkeypatch):
    monkeypatch.setattr(witness, "COSIGN_MS", 0)
    with a_web() as web:
        gateway = Gateway(web, tmp_path / "secrets")
        gateway.witness.round()
        gateway.platform.generations.go_on(gateway.institution.id, by=LOCAL_ADMINISTRATOR, anyway=True)
        seal(gateway.platform)
        with gateway.store.database.begin() as tx:
            tx.execute(followed.update().values(root=b"x" * 32))
        gateway.witness.round()
        (row,) = gateway.rows()
        assert row.alarm == "witness-continuation"


def test_it_never_cosigns_two_heads_of_one_size_whatever_it_is_shown(gateway):
    """All that ever left it, together: sizes rise, and each line is over what it held."""
    gateway.witness.round()
    held = gateway.newest()
    shown = [forged(gateway, held.size + step, bytes([step]) * 32) for step in range(4)]
    for number, note in enumerate(shown):
        gateway.line.twist = lambda path, answer, note=note: (
            {**answer, "note": note, "proof": answer["proof"]} if path == OFFER else answer
        )
        gateway.witness.round()
        gateway.line.twist = lambda path, answer: answer
        if number % 2:
            gateway.more()
        gateway.witness.round()
    sizes = [one["size"] for one in gateway.line.sent]
    assert sizes == sorted(set(sizes))
    for one in gateway.line.sent:
        note = Note.parse(gateway.platform.audit_log.checkpoint(
            gateway.platform.audit_log.logs(gateway.institution.id)[-1], one["size"]
        ))  # fmt: skip
        line = one["cosignature"]
        time = int.from_bytes(base64.b64decode(line.split()[2])[4:12], "big")
        key = secrets.witness_key(gateway.folder)
        assert cosign(key.name, key.seed, note.body, time) == f"{line}\n"
