"""Cosignatures on the platform's side: taken from receivers, asked of C2SP witnesses, told of in the trail."""

from __future__ import annotations

import json
import threading
from base64 import b64decode

import pytest

from archive_kit import Kit
from platform_kit import a_platform
from trail_kit import Gateway, seal
from wardlight.audit.actions import Action
from wardlight.audit.note import WITNESS, Note, VerifierKey, cosign
from wardlight.audit.tree import verify_consistency
from wardlight.egress import Reply
from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import api, receiver_witness, witnesses
from wardlight.trail.witnesses import Witnesses

COSIGN = Action.AUDIT_WITNESS_COSIGN


@pytest.fixture
def platform(stores):
    with a_platform() as built:
        yield built


@pytest.fixture
def kit(platform):
    return Kit(platform, platform.settings.data_dir)


@pytest.fixture
def gateway(kit):
    gateway = Gateway(kit)
    gateway.enrol()
    seal(kit.platform)
    return gateway


def offer(gateway, **query):
    return json.loads(gateway.call(receiver_witness.offer, COSIGN, **query).body)


def give(gateway, offered, line=None, **changed):
    line = line or gateway.line(offered["note"])
    body = {"origin": offered["origin"], "size": offered["size"], "cosignature": line, **changed}
    return json.loads(gateway.call(receiver_witness.cosign, COSIGN, body).body)["status"]


def note(gateway, size=None):
    log = gateway.platform.audit_log
    return log.checkpoint(log.logs(gateway.institution.id)[-1], size)


def told(kit, *actions):
    """Entries about witnesses, pending and sealed."""
    log = kit.platform.audit_log
    head = log.logs(kit.institution.id)[-1]
    sealed = [json.loads(content) for _, content, _ in log.entries(head, 0, head.size)]
    found = [*sealed, *kit.entries()]
    return [entry for entry in found if entry["action"] in (actions or (COSIGN, "audit:witness:fail"))]


def refused(code, call, *arguments, **keywords):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **keywords)
    assert error.value.code == code


def more(kit, n=3):
    for number in range(n):
        kit.platform.identity.create_person(
            kit.institution.id, f"p{number}-{kit.sql('SELECT count(*) FROM person')}", "P", Role.CLINICIAN,
            by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
    seal(kit.platform)


def test_readers_are_told_whose_keys_cosign_the_log(gateway):
    """What a browser checks cosignatures by."""
    told = json.loads(gateway.call(api.logs, Action.AUDIT_LOG_READ).body)
    (known,) = Witnesses(
        gateway.platform.database, gateway.platform.recorder, gateway.platform.audit_log
    ).active(gateway.institution.id)
    assert told["witnesses"] == [known.vkey] and VerifierKey.parse(known.vkey).kind == WITNESS
    give(gateway, offer(gateway))
    assert Note.parse(note(gateway)).signed_by(VerifierKey.parse(told["witnesses"][0]))


def test_a_receivers_line_is_appended_to_the_checkpoint(kit, gateway):
    offered = offer(gateway)
    assert offered["vkey"].startswith(f"{offered['origin']}+") and offered["proof"] == []
    assert VerifierKey.parse(offered["vkey"]).name == offered["origin"]
    assert give(gateway, offered) == "recorded"
    assert give(gateway, offered) == "duplicate"
    found = Note.parse(note(gateway, offered["size"]))
    assert found.signed_by(gateway.key) is True
    assert found.signed_by(VerifierKey.parse(offered["vkey"])) is True
    assert note(gateway, offered["size"]) == offered["note"] + gateway.line(offered["note"]) + "\n"


def test_the_trail_tells_of_the_first_cosignature_and_of_no_other(kit, gateway):
    for _ in range(3):
        give(gateway, offer(gateway))
        more(kit)
    (entry,) = told(kit)
    assert entry["action"] == "audit:witness:cosign" and entry["object"]["id"] == gateway.key.name
    assert entry["actor"] == {"kind": "receiver", "id": gateway.row.id}
    # A log to which nothing else is added comes to rest.
    give(gateway, offer(gateway))
    size = offer(gateway)["size"]
    for _ in range(3):
        seal(kit.platform)
        give(gateway, offer(gateway))
    assert offer(gateway)["size"] == size


def test_the_proof_leads_from_what_the_witness_holds(kit, gateway):
    first = offer(gateway)
    old = Note.parse(first["note"])
    more(kit)
    second = offer(gateway, origin=first["origin"], size=str(first["size"]))
    new = Note.parse(second["note"])
    proof = [b64decode(one) for one in second["proof"]]
    assert new.size > old.size and verify_consistency(old.size, new.size, old.root, new.root, proof)


@pytest.mark.embedded
@pytest.mark.parametrize(
    "how", ["another key", "another head", "the log's", "no time", "text", "the other kind"]
)
def test_a_line_that_is_not_the_witnesses_own_is_refused_and_told(kit, gateway, how):
    offered = offer(gateway)
    body = Note.parse(offered["note"]).body
    key = gateway.key
    lines = {
        "another key": cosign(key.name, bytes(32), body, 1),
        "another head": cosign(key.name, gateway.seed, body.replace("\n", "x\n", 1), 1),
        "the log's": offered["note"].rsplit("\n\n", 1)[1],
        "no time": cosign(key.name, gateway.seed, body, 0),
        "text": "text",
        "the other kind": gateway.line(offered["note"]).replace(key.name, "receiver.stmary/w9"),
    }
    refused("bad-request", give, gateway, offered, lines[how].rstrip("\n"))
    refused("bad-request", give, gateway, offered, lines[how].rstrip("\n"))
    assert note(gateway, offered["size"]) == offered["note"]
    (entry,) = told(kit)
    assert (entry["action"], entry["outcome"], entry["reason"]) == (
        "audit:witness:fail", "failed", "bad-cosignature",
    )  # fmt: skip
    assert give(gateway, offered) == "recorded"
    assert [one["action"] for one in told(kit)] == ["audit:witness:fail", "audit:witness:cosign"]


def test_what_is_not_there(kit, gateway):
    offered = offer(gateway)
    refused("not-found", give, gateway, offered, size=10_000)
    refused("not-found", give, gateway, offered, origin="elsewhere.example/audit/x/1")
    refused("not-found", offer, gateway, origin="elsewhere.example/audit/x/1")
    refused("bad-request", offer, gateway, origin=offered["origin"], size="-1")
    refused("bad-request", offer, gateway, elsewhere="1")
    for bad in ({"size": True}, {"size": "1"}, {"origin": 1}, {"cosignature": ["x"]}, {"more": 1}):
        refused("bad-request", give, gateway, offered, **bad)
    keyless = Gateway(kit, "gateway-2")
    keyless.key, keyless.seed = gateway.key, gateway.seed
    refused("not-found", give, keyless, offered)


def test_another_institution_is_not_there(kit, gateway):
    other = kit.platform.identity.create_institution("other", "Other", "eu", by=LOCAL_ADMINISTRATOR)
    stranger = Gateway(kit, institution=other)
    stranger.enrol()
    seal(kit.platform)
    offered = offer(gateway)
    refused("not-found", offer, stranger, origin=offered["origin"])
    refused("not-found", give, stranger, offered, stranger.line(offered["note"]))


def test_a_stolen_key_is_replaced(kit, gateway):
    offered = offer(gateway)
    old, old_line = gateway.key, gateway.line(offered["note"])
    new = gateway.enrol()
    assert (old.name, new.name) == ("receiver.stmary/w1", "receiver.stmary/w2")
    refused("bad-request", give, gateway, offered, old_line)
    assert give(gateway, offered) == "recorded"
    # Bundles of before are verified with the key of before.
    assert kit.platform.witnesses.vkeys(kit.institution.id) == [old.text, new.text]
    changes = [
        entry["change"]
        for entry in told(kit, "identity:receiver:enrol", "identity:receiver:rotate_key")
        if "change" in entry
    ]
    assert changes == [
        [{"path": "witness", "after": old.text}],
        [{"path": "witness", "before": old.text, "after": new.text}],
    ]


def test_a_note_has_sixteen_signatures_at_most(kit, gateway):
    gateways = [gateway]
    for number in range(2, 18):
        gateways.append(Gateway(kit, f"gateway-{number}"))
        gateways[-1].enrol()
    seal(kit.platform)
    offered = offer(gateway)
    for one in gateways[:15]:
        assert give(one, offered) == "recorded"
    refused("conflict", give, gateways[15], offered)
    assert give(gateways[3], offered) == "duplicate"
    assert len(Note.parse(note(gateway, offered["size"])).signatures) == 16


def test_many_at_once_lose_no_line(kit, gateway):
    gateways = [gateway]
    for number in range(2, 6):
        gateways.append(Gateway(kit, f"gateway-{number}"))
        gateways[-1].enrol()
    seal(kit.platform)
    offered = offer(gateway)
    gate, results = threading.Barrier(10), []

    def work(one):
        gate.wait()
        results.append(give(one, offered))

    threads = [threading.Thread(target=work, args=(one,)) for one in gateways * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["duplicate"] * 5 + ["recorded"] * 5
    kept = Note.parse(note(gateway, offered["size"]))
    assert all(kept.signed_by(one.key) is True for one in gateways)
    assert len(told(kit, COSIGN)) == 5


class Elsewhere:
    """A C2SP witness behind `post`, by its own rules and not ours."""

    def __init__(self):
        self.seed = bytes(range(32))
        self.key = VerifierKey.of("witness.example/w1", self.seed, WITNESS)
        self.size = 0
        self.asked = []
        self.answer = None

    def post(self, url, body, media_type):
        head, _, text = body.decode().partition("\n\n")
        old = int(head.split("\n")[0].removeprefix("old "))
        self.asked.append((url, old))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if old != self.size:
            return Reply(409, "text/x.tlog.size", f"{self.size}\n".encode())
        self.size = Note.parse(text).size
        line = cosign(self.key.name, self.seed, Note.parse(text).body, 1_795_507_560)
        return Reply(200, "text/plain", f"— other/w1 AAAAAAAAAAA=\n{line}".encode())


@pytest.fixture
def elsewhere(kit, monkeypatch):
    elsewhere = Elsewhere()
    platform = kit.platform
    elsewhere.pushing = Witnesses(platform.database, platform.recorder, platform.audit_log, elsewhere.post)
    elsewhere.pushing.add(
        kit.institution.id, elsewhere.key.text, "https://witness.example/x/", by=LOCAL_ADMINISTRATOR
    )
    seal(platform)
    monkeypatch.setattr(witnesses, "PUSH_MS", 0)
    return elsewhere


def newest(kit):
    log = kit.platform.audit_log
    return Note.parse(log.checkpoint(log.logs(kit.institution.id)[-1]))


def test_a_witness_with_a_url_is_pushed_to(kit, elsewhere):
    assert elsewhere.pushing.push() == 1
    assert elsewhere.asked == [("https://witness.example/x/add-checkpoint", 0)]
    assert newest(kit).signed_by(elsewhere.key) is True
    seal(kit.platform)
    elsewhere.pushing.push()
    asked = len(elsewhere.asked)
    # Its own first cosignature was an entry and is cosigned; then the log is at rest.
    seal(kit.platform)
    assert elsewhere.pushing.push() == 0 and len(elsewhere.asked) == asked
    more(kit)
    assert elsewhere.pushing.push() == 1
    assert newest(kit).signed_by(elsewhere.key) is True
    assert len(told(kit)) == 1


def test_a_witness_that_is_ahead_of_what_is_known_of_it_is_asked_from_there(kit, elsewhere):
    elsewhere.size = 2
    assert elsewhere.pushing.push() == 1
    assert [old for _, old in elsewhere.asked] == [0, 2]
    more(kit)
    elsewhere.size = 10_000
    assert elsewhere.pushing.push() == 0
    assert told(kit)[-1]["reason"] == "witness-ahead"


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Reply(404, "text/plain", b""), "http-404"),
        (Reply(403, "text/plain", b""), "http-403"),
        (Reply(422, "text/plain", b"x" * 100), "http-422"),
        (Reply(409, "text/plain", b"5\n"), "http-409"),
        (Reply(409, "text/x.tlog.size", b"05\n"), "http-409"),
        (Reply(200, "text/plain", b""), "bad-cosignature"),
        (Reply(200, "text/plain", b"\xff\n"), "bad-cosignature"),
        (Reply(200, "text/plain", b"<html>\n"), "bad-cosignature"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "unreachable"),
    ],
)
def test_a_failure_is_told_once_and_so_is_its_end(kit, elsewhere, answer, reason):
    elsewhere.answer = answer
    for _ in range(3):
        assert elsewhere.pushing.push() == 0
    (entry,) = told(kit)
    assert (entry["action"], entry["reason"]) == ("audit:witness:fail", reason)
    assert entry["actor"] == {"kind": "system", "id": "witnesses"}
    elsewhere.answer = None
    assert elsewhere.pushing.push() == 1
    assert [one["action"] for one in told(kit)] == ["audit:witness:fail", "audit:witness:cosign"]


def test_it_is_asked_once_a_minute_unless_somebody_waits(kit, elsewhere, monkeypatch):
    monkeypatch.setattr(witnesses, "PUSH_MS", 60_000)
    elsewhere.pushing.push()
    more(kit)
    assert elsewhere.pushing.push() == 0
    assert elsewhere.pushing.ask(kit.institution.id, wait_s=0)
    assert newest(kit).signed_by(elsewhere.key) is True


def test_two_workers_ask_once(kit, elsewhere, monkeypatch):
    monkeypatch.setattr(witnesses, "PUSH_MS", 60_000)
    gate = threading.Barrier(2)

    def work():
        gate.wait()
        elsewhere.pushing.push()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(elsewhere.asked) == 1


def test_an_export_waits_for_the_receiver(kit, gateway):
    assert not gateway.platform.witnesses.ask(kit.institution.id, wait_s=0)
    assert offer(gateway)["wanted"] is True
    answer = threading.Timer(0.3, lambda: give(gateway, offer(gateway)))
    answer.start()
    assert gateway.platform.witnesses.ask(kit.institution.id, wait_s=10)
    assert offer(gateway)["wanted"] is False


def test_the_next_generation_is_shown_to_who_knows_the_last_head(kit, gateway):
    first = offer(gateway)
    kit.platform.generations.go_on(kit.institution.id, by=LOCAL_ADMINISTRATOR, anyway=True)
    seal(kit.platform)
    behind = offer(gateway, origin=first["origin"], size="1")
    assert behind["origin"] == first["origin"] and "next" not in behind
    shown = offer(gateway, origin=first["origin"], size=str(behind["size"]))
    assert shown["next"]["origin"].endswith("/2") and shown["next"]["index"] == 0
    assert offer(gateway)["origin"].endswith("/2")
