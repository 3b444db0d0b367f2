"""Entries of receivers: each recorded once, whatever the receiver does; hostile ones are refused and told of."""

from __future__ import annotations

import copy
import json
import threading
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from archive_kit import Kit
from platform_kit import a_platform
from trail_kit import Gateway, seal
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Outcome
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Level, Target
from wardlight.trail import receiver_entries
from wardlight.trail.receiver_entry import check

ENTRIES = Entries("gw-1")
IMAGES_HIGH = Target("images", Level.HIGH)
STUDY = bytes(range(16))


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as built:
        yield built


@pytest.fixture(scope="module")
def kit(platform):
    return Kit(platform, platform.settings.data_dir)


@pytest.fixture(scope="module")
def gateway(kit):
    return Gateway(kit)


def made() -> list[dict]:
    """One of each kind that a receiver makes."""
    contents = [
        ENTRIES.association("WARD", "CT1", "192.0.2.7"),
        ENTRIES.association("WARD", "CT 1 {}[]~", "2001:db8::7", "called-ae", denied=12),
        ENTRIES.association("", "", "fe80::1%eth0", "calling-ae"),
        ENTRIES.refused("WARD", "CT1", "192.0.2.7", "bad-data-set"),
        ENTRIES.received(STUDY, "WARD", "CT1", "192.0.2.7", 3, 4096),
        ENTRIES.study(
            Action.RECEIVER_STUDY_PROTECT, STUDY, IMAGES_HIGH, {"instances": 3}, request="ab" * 16
        ),
        ENTRIES.study(Action.RECEIVER_STUDY_UPLOAD, STUDY, IMAGES_HIGH, {"instances": 3, "bytes": 9, "denied": 1},
                      outcome=Outcome.PARTIAL, reason="instance-conflict"),
        ENTRIES.study(Action.RECEIVER_STUDY_QUARANTINE, STUDY, IMAGES_HIGH, {"instances": 1},
                      outcome=Outcome.DENIED, reason="forbidden-element (0040,a124)(0008,0104)"),
        ENTRIES.study(Action.RECEIVER_STUDY_QUARANTINE, STUDY, IMAGES_HIGH, {"instances": 1},
                      outcome=Outcome.DENIED, reason="internal:ValueError"),
        ENTRIES.discarded(IMAGES_HIGH, str(uuid4())),
        ENTRIES.route(Action.RECEIVER_ROUTE_CREATE, "WARD", [{"path": "networks", "after": ""}]),
        ENTRIES.viewed(3),
        ENTRIES.process(Action.PLATFORM_NODE_START),
        ENTRIES.process(Action.RECEIVER_SETTING_CHANGE, [{"path": "receiver.dicom_port", "before": "105"}]),
        ENTRIES.alarm("ward.example/audit/stmary/1", 4, 7, "witness-fork"),
    ]  # fmt: skip
    return [json.loads(content) for content in contents]


def send(gateway, entries):
    body = json.loads(json.dumps({"entries": entries}))
    answer = gateway.call(receiver_entries.store, Action.AUDIT_ENTRY_STORE, body)
    assert answer.status == 200
    return json.loads(answer.body)["entries"]


def statuses(results):
    return [result["status"] for result in results]


def of_receiver(kit):
    """Entries with source receiver, pending and sealed."""
    with kit.platform.database.read(EVERYWHERE) as tx:
        rows = [*tx.execute(text("SELECT content FROM audit_pending")).scalars()]
        rows += tx.execute(text("SELECT content FROM audit_entry WHERE content IS NOT NULL")).scalars()
    return {one["id"]: one for row in rows if (one := json.loads(bytes(row)))["source"] == "receiver"}


def test_all_that_a_receiver_makes_is_recorded_as_it_is(kit, gateway):
    entries = made()
    assert statuses(send(gateway, entries)) == ["recorded"] * len(entries)
    found = of_receiver(kit)
    for entry in entries:
        kept = found[entry["id"]]
        assert kept.pop("log").endswith("/audit/stmary/1")
        assert kept.pop("recorded") >= entry["time"]
        assert kept == entry


def test_what_comes_again_is_a_duplicate_before_and_after_sealing(kit, gateway):
    entries = made()[:4]
    send(gateway, entries[:2])
    assert statuses(send(gateway, entries)) == ["duplicate", "duplicate", "recorded", "recorded"]
    assert statuses(send(gateway, [entries[0], entries[0]])) == ["duplicate", "duplicate"]
    seal(kit.platform)
    before = len(of_receiver(kit))
    assert statuses(send(gateway, entries)) == ["duplicate"] * 4
    seal(kit.platform)
    assert len(of_receiver(kit)) == before


def test_the_same_twice_in_one_request_is_recorded_once(kit, gateway):
    entry = made()[0]
    assert statuses(send(gateway, [entry, entry])) == ["recorded", "duplicate"]
    other = {**made()[1], "id": entry["id"]}
    results = send(gateway, [other])
    assert results[0]["error"]["code"] == "audit-id-reused"
    fresh = made()[0]
    both = send(gateway, [fresh, {**made()[1], "id": fresh["id"]}])
    assert statuses(both) == ["recorded", "refused"]


def test_the_id_of_another_entry_of_the_log_is_refused(kit, gateway):
    seal(kit.platform)
    with kit.platform.database.read(EVERYWHERE) as tx:
        taken = tx.execute(
            text("SELECT e.id FROM audit_entry e JOIN audit_log l ON l.log = e.log"
                 " WHERE l.institution IS NOT NULL AND e.action = 'platform:institution:create'")
        ).scalar()  # fmt: skip
    entry = {**made()[0], "id": str(UUID(bytes=bytes(taken)))}
    assert send(gateway, [entry])[0]["error"]["code"] == "audit-id-reused"


def test_one_request_many_times_at_once(kit, gateway):
    entries = made()
    results, gate = [], threading.Barrier(6)

    def work(order):
        gate.wait()
        results.extend(statuses(send(gateway, entries[::order])))

    threads = [threading.Thread(target=work, args=(order,)) for order in (1, -1) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["duplicate"] * (5 * len(entries)) + ["recorded"] * len(entries)
    seal(kit.platform)
    assert {entry["id"] for entry in entries} <= of_receiver(kit).keys()


HOSTILE = {
    "another source": {"source": "platform"},
    "an application's word": {"source": "application", "action": "app:study:view"},
    "a platform action": {"action": "identity:session:login"},
    "a prune": {"action": "audit:entries:prune", "detail": {"before": "x"}},
    "a start of the log": {"action": "audit:log:start", "detail": {"vkey": "x"}},
    "a key rotation": {"action": "audit:log:rotate_key", "detail": {"vkey": "x"}},
    "no action": {"action": "receiver:nothing:done"},
    "a log": {"log": "ward.example/audit/other/1"},
    "a time of recording": {"recorded": "2026-11-24T08:00:00.000Z"},
    "a person": {"actor": {"kind": "person", "id": "u-7f3a", "role": "clinician"}},
    "a person without role": {"actor": {"kind": "person", "id": "u-7f3a"}},
    "a list of a kind": {"actor": {"kind": ["system"], "id": "x"}},
    "text in the actor": {"actor": {"kind": "system", "id": "Müller, Anna"}},
    "the platform's reference": {"subjects": [{"study": "s1.m3yFZR_RhIVA69nuhWTP9w"}]},
    "a patient": {"subjects": [{"patient": "p0.RAhcAkm4Im2hUgQwW0-XcA"}]},
    "a UID": {"subjects": [{"study": "1.2.826.0.1"}]},
    "no subject": {"subjects": []},
    "the platform's object": {"object": {"kind": "study", "ref": "s1.m3yFZR_RhIVA69nuhWTP9w"}},
    "a patient as an object": {"object": {"kind": "patient", "id": "MRN-1"}},
    "a reference and an id": {"object": {"kind": "study", "ref": "s0.m3yFZR_RhIVA69nuhWTP9w", "id": "1"}},
    "free text as a reason": {"reason": "Anna Müller, born 1950"},
    "free text as detail": {"detail": {"note": "Anna Müller"}},
    "a grant": {"grant": "gr-881"},
    "a purpose": {"purpose": "TREAT"},
    "a phase": {"phase": "authorised"},
    "a token": {"token": "A" * 22},
    "a host": {"network": {"address": "pc-mueller"}},
    "a proxy": {"network": {"address": "192.0.2.1", "via": "192.0.2.2"}},
    "a float": {"counts": {"instances": 1.5}},
    "a flag as a number": {"counts": {"instances": True}},
    "less than nothing": {"counts": {"instances": -1}},
    "too many": {"counts": {"instances": 2**53}},
    "another count": {"counts": {"patients": 1}},
    "a flag as a version": {"v": True},
    "version 2": {"v": 2},
    "no UUID": {"id": "x"},
    "an id in capitals": {"id": "0198C0DE-0000-7000-8000-000000000000"},
    "a random id": {"id": str(uuid4())},
    "a short salt": {"salt": "AAAA"},
    "a salt of 17 bytes": {"salt": "A" * 23},
    "a salt not canonical": {"salt": "A" * 21 + "B"},
    "no time": {"time": "now"},
    "a day that is none": {"time": "2026-02-30T08:00:00.000Z"},
    "a null": {"reason": None},
    "a control character": {"object": {"kind": "route", "id": "A\u0000B"}},
    "a lone surrogate": {"object": {"kind": "route", "id": "\ud800"}},
    "not in normal form C": {"object": {"kind": "route", "id": "u\u0308"}},
    "a class of its own": {"classes": ["health: Anna"]},
    "too long": {"change": [{"path": "calling", "after": "x" * 17000}]},
    "65 changes": {"change": [{"path": f"a{number}"} for number in range(65)]},
    "a change of nothing": {"change": [{"after": "x"}]},
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_receiver_may_not_say_is_refused(kit, gateway, change):
    entry = {**made()[4], **copy.deepcopy(change)}
    before = len(of_receiver(kit))
    with pytest.raises(WardlightError) as error:
        check(entry)
    assert error.value.code == "bad-request"
    assert not any(str(value) in error.value.detail for value in change.values() if len(str(value)) > 12)
    body = {"entries": [entry]}
    answer = gateway.call(receiver_entries.store, Action.AUDIT_ENTRY_STORE, body)
    (result,) = json.loads(answer.body)["entries"]
    assert (result["status"], result["error"]["code"]) == ("refused", "bad-request")
    assert len(of_receiver(kit)) == before


@pytest.mark.parametrize("name", ["v", "id", "salt", "time", "node", "source", "action", "actor", "outcome"])
def test_what_must_be_there(name):
    entry = made()[0]
    del entry[name]
    with pytest.raises(WardlightError):
        check(entry)


def test_the_platform_tells_of_what_it_refused_and_takes_the_rest(kit, gateway):
    good, bad = made()[0], {**made()[1], "source": "platform"}
    assert statuses(send(gateway, [bad, good, "text"])) == ["refused", "recorded", "refused"]
    told = [entry for entry in kit.entries("audit:entry:store") if entry["actor"]["id"] == gateway.row.id]
    assert (told[-1]["outcome"], told[-1]["counts"], told[-1]["reason"]) == (
        "partial", {"denied": 2}, "bad-request",
    )  # fmt: skip
    send(gateway, [bad])
    assert kit.entries("audit:entry:store")[-1]["outcome"] == "denied"


@pytest.mark.parametrize(
    "body", [{}, {"entries": []}, {"entries": {}}, {"entries": [1], "more": 1}, {"entries": "x"}]
)
def test_a_body_that_is_none(gateway, body):
    with pytest.raises(WardlightError) as error:
        gateway.call(receiver_entries.store, Action.AUDIT_ENTRY_STORE, body)
    assert error.value.code == "bad-request"


def test_at_most_a_hundred(gateway):
    with pytest.raises(WardlightError) as error:
        gateway.call(receiver_entries.store, Action.AUDIT_ENTRY_STORE, {"entries": [{}] * 101})
    assert error.value.code == "too-large"


def test_two_institutions_do_not_know_each_others_ids(kit, gateway):
    other = kit.platform.identity.create_institution(
        "elsewhere", "Elsewhere", "eu", by=gateway.platform.identity and _by()
    )
    elsewhere = Gateway(kit, institution=other)
    entry = made()[0]
    assert statuses(send(gateway, [entry])) == statuses(send(elsewhere, [entry])) == ["recorded"]
    seal(kit.platform)


def _by():
    from wardlight.identity.service import LOCAL_ADMINISTRATOR

    return LOCAL_ADMINISTRATOR


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, 14), name=st.sampled_from([*made()[4], "change", "detail", "x"]), value=_VALUES)
def test_any_value_in_any_member_is_taken_as_canonical_or_refused(number, name, value):
    entry = {**made()[number], name: value}
    try:
        check(entry)
    except WardlightError:
        return
    assert json.loads(canonical({**entry, "log": "x", "recorded": "y"}))[name] == value
