"""Machine data from intake to its end: masked on the way in, encrypted, found, told of, gone."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from machine_kit import ACME, BETA, LINE, PLANTED, WORKER, Machines, otlp_logs, otlp_metrics, packed
from platform_kit import a_platform
from wardlight import clock
from wardlight.access.model import Role
from wardlight.archive import machine_store
from wardlight.archive.fsck import Fsck
from wardlight.archive.machine_tables import segment
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.events.tables import feed
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.machinedata.intake import Form
from wardlight.machinedata.search import Asked, Search
from wardlight.receiver.measures import body_of
from wardlight.receiver.places import database_path
from wardlight.receiver.status import status
from wardlight.receiver.store import ReceiverStore


@pytest.fixture(scope="module")
def ward():
    with a_platform() as platform:
        yield Machines(platform)


@pytest.fixture(autouse=True)
def nothing_else(ward):
    yield
    ward.platform.machine_work.expire(WORKER, clock.unix_ms() + 1)
    ward.platform.machine_work.end(WORKER)


def refused(code, work, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        work(*arguments, **options)
    assert error.value.code == code, error.value
    return error.value


def on_disk(ward):
    """All that lies in the folder of this installation."""
    folder = ward.platform.settings.data_dir
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def held(ward):
    with ward.platform.database.read(EVERYWHERE) as tx:
        return machine_store.all_segments(tx)


def test_what_identifies_is_masked_before_anything_is_written(ward):
    row, body = ward.send(f"2026-11-24T08:00:00Z ERROR {LINE}\n2026-11-24T08:00:01Z INFO queue 3 of 17\n")
    assert (row.records, row.masked) == (2, 1)
    assert {"name", "mrn", "birth-date"} <= body.found.keys()
    newest, masked = ward.find().found
    assert newest.record.text == "INFO queue 3 of 17"
    assert (masked.record.severity, masked.record.text[:5]) == (17, "ERROR")
    assert clock.timestamp_ms(masked.record.time_ms).startswith("2026-11-24T08:00:00")
    everything = on_disk(ward)
    for value in PLANTED.values():
        assert value not in masked.record.text
        assert value.encode() not in everything
    # It is encrypted: not even what nobody has to hide stands there in clear.
    assert b"queue 3 of 17" not in everything


def test_names_of_attributes_are_context(ward):
    sent = otlp_logs(
        "accepted", patient_name=PLANTED["name"], mrn=PLANTED["mrn"], note="ok", mail=PLANTED["email"]
    )
    ward.send(sent, form=Form.OTLP_LOGS)
    (found,) = ward.find().found
    assert found.record.attributes == {
        "scope": "x", "service.name": "pacs", "patient_name": "[name]", "mrn": "[mrn]", "note": "ok", "mail": "[email]",
    }  # fmt: skip
    ward.send(
        json.dumps({"msg": "m", "patient": {"id": 47118821}, "list": [PLANTED["email"]]}), form=Form.NDJSON
    )
    assert "47118821" not in repr(ward.find().found) and "petra" not in repr(ward.find().found)


@pytest.mark.parametrize(
    "sent",
    [
        {"key": "state", "value": "done", "patient_name": "Jane Roe", "email": "jane@roe.example"},
        {"key": "jane@roe.example", "value": "done"},
        {"00100020": {"vr": "LO", "Value": ["47118821"]}},
        {"00100030": {"vr": "DA", "Value": ["19610304"]}},
        {"patient_id": {"value": "47118821"}},
        {"patient_id": [{"v": 47118821}]},
        {"patient": {"name": ["Jane Roe"]}},
    ],
)
def test_what_stands_around_a_value_says_what_it_is(ward, sent):
    """Members beside a `key`, values under tags of DICOM, and under names that say nothing."""
    ward.send(json.dumps({"msg": "m", **sent}), form=Form.NDJSON)
    kept = repr(ward.find().found)
    assert all(value not in kept for value in ("Roe", "roe.example", "47118821", "19610304")), kept


def test_the_name_of_a_metric_says_what_its_number_is(ward):
    ward.send(otlp_metrics("patient.id", 47118821), name="status", form=Form.OTLP_METRICS)
    ward.send(json.dumps({"msg": "patient_id", "value": 47118821}), form=Form.NDJSON)
    assert "47118821" not in repr([*ward.find().found, *ward.find(None, "status").found])


def test_a_sender_may_have_it_refused_instead(ward):
    error = refused("personal-data", ward.send, f"fine\n{LINE}\n", refuse=True)
    assert "mrn=1" in error.detail and PLANTED["mrn"] not in error.detail
    assert held(ward) == []
    ward.send("fine\n", refuse=True)
    assert ward.texts() == ["fine"]


def test_a_search_goes_by_time_severity_source_class_and_text(ward):
    for n, word in enumerate(("Alpha", "Beta", "Gamma")):
        ward.send(otlp_logs(word, f"{word} again", service=f"s{n}", severity=9 + 4 * n), form=Form.OTLP_LOGS)
    ward.send(otlp_metrics("queue", 1, 2, 3), name="status", form=Form.OTLP_METRICS)
    assert ward.texts(text="beTA") == ["Beta again", "Beta"]
    assert ward.texts(severity=17) == ["Gamma again", "Gamma"]
    assert ward.texts(source="s0") == ["Alpha again", "Alpha"]
    assert ward.texts(None, "status") == ["queue"] * 3
    assert [one.record.value for one in ward.find(exact="queue").found] == [3, 2, 1]
    again = ward.texts(from_ms=1_790_000_000_001, to_ms=1_790_000_000_002, text="a")
    assert set(again) == {"Alpha again", "Beta again", "Gamma again"}
    assert ward.texts(text="nowhere") == []


def test_pages_are_whole_and_have_nothing_twice(ward):
    sent = {f"line {n}" for n in range(50)}
    for part in range(5):
        lines = [f"2026-11-24T08:00:{n % 7:02d}Z line {n}" for n in range(part, 50, 5)]
        ward.send("\n".join(lines))
    got, after = [], None
    while True:
        page = ward.find(limit=7, after=after)
        got += page.found
        if page.next is None:
            break
        after = page.next
    assert len(got) == 50 and {one.record.text for one in got} == sent
    times = [one.record.time_ms for one in got]
    assert times == sorted(times, reverse=True)


def test_a_search_ends_where_it_has_looked_through_so_much_and_goes_on_there(ward):
    for day in range(1, 4):
        ward.send(f"2026-11-{day:02d}T08:00:00Z line {day}")
    platform = ward.platform
    search = Search(platform.database, platform.keystore, platform.objects)
    seen = ward.machine.seen(ward.reading(ward.administrator), ())
    page = search.page(seen, Asked(), most=1)
    got = [one.record.text for one in page.found]
    while page.next is not None:
        page = search.page(seen, Asked(after=page.next), most=1)
        got += [one.record.text for one in page.found]
    assert got == ["line 3", "line 2", "line 1"]


def test_an_application_needs_the_class_in_its_agreement(ward):
    acme, beta = ward.as_application(ACME), ward.as_application(BETA)
    row, _ = ward.send("from acme", acme)
    assert row.application == ACME and row.agreement.startswith("agr-")
    assert refused("forbidden", ward.send, "x", beta).reason == "class-not-requested"
    assert (
        refused("forbidden", ward.send, "{}", acme, "configuration", Form.DOCUMENT).reason
        == "class-not-requested"
    )
    other = ward.as_application(ACME, purpose="HMARKT")
    assert refused("forbidden", ward.send, "x", other).reason == "purpose-not-agreed"
    assert refused("forbidden", ward.find, beta).reason == "class-not-requested"


def test_an_application_sees_its_own_and_the_institutions(ward):
    ward.send("of the receiver")
    ward.send("of acme", ward.as_application(ACME))
    with ward.platform.database.begin(EVERYWHERE) as tx:
        (row,) = [one for one in machine_store.all_segments(tx) if one.application == ACME]
        tx.execute(update(segment).where(segment.c.id == row.id).values(application="another"))
    assert ward.texts(ward.as_application(ACME), "log") == ["of the receiver"]
    assert set(ward.texts(None, "log")) == {"of the receiver", "of acme"}


def test_who_has_no_business_with_it(ward):
    clinician = ward.as_person(ward.people[Role.CLINICIAN].id, Role.CLINICIAN)
    officer = ward.as_person(ward.people[Role.PRIVACY_OFFICER].id, Role.PRIVACY_OFFICER)
    refused("forbidden", ward.send, "x", clinician)
    refused("forbidden", ward.find, clinician)
    refused("forbidden", ward.send, "x", officer)
    assert ward.texts(officer) == []
    refused("forbidden", ward.find, ward.as_receiver)


@pytest.mark.parametrize(
    ("code", "data", "options"),
    [
        ("bad-request", b"\x00\x01DICM", {}),
        ("bad-request", b"\xff\xfe not utf-8", {}),
        ("bad-request", b"", {}),
        ("bad-request", b"{", {"form": Form.NDJSON}),
        ("bad-request", b"[1]", {"form": Form.NDJSON}),
        ("bad-request", b'{"a":NaN}', {"form": Form.NDJSON}),
        ("bad-request", b'{"value":1e999}', {"form": Form.NDJSON}),
        ("bad-request", b'{"value":1' + b"0" * 400 + b"}", {"form": Form.NDJSON}),
        ("bad-request", json.dumps({"k" * 60_000: {"a": 1, "b": 2}}).encode(), {"form": Form.NDJSON}),
        ("too-large", otlp_logs("m", far="x" * 300_000), {"form": Form.OTLP_LOGS}),
        ("bad-request", b'{"a":' * 3000 + b"1" + b"}" * 3000, {"form": Form.NDJSON}),
        ("bad-request", b'{"a":' * 20 + b"1" + b"}" * 20, {"form": Form.NDJSON}),
        ("bad-request", b"{}", {"form": Form.OTLP_LOGS}),
        ("bad-request", b'{"resourceLogs":[1]}', {"form": Form.OTLP_LOGS}),
        ("bad-request", b"no gzip", {"gzip": True}),
        ("bad-request", packed(b"cut off" * 500)[:-6], {"gzip": True}),
        ("too-large", b"x" * 300_000, {}),
        ("too-large", packed(b"x" * 100_000_000), {"gzip": True}),
        ("too-large", packed(b'{"a":"' + b" " * (9 << 20) + b'"}'), {"gzip": True, "form": Form.OTLP_LOGS}),
    ],
)
def test_what_is_no_machine_data_leaves_nothing(ward, code, data, options):
    refused(code, ward.send, data, **options)
    assert held(ward) == []


def test_gzip_is_unpacked(ward):
    row, _ = ward.send(packed(b"one\ntwo\n" * 40_000), gzip=True)
    assert row.records == 80_000 and row.length == 320_000


def test_what_is_over_ends_with_its_key_and_its_object(ward):
    row, _ = ward.send("kept for a while")
    ward.platform.machine_work.expire(WORKER, row.created_ms)
    assert ward.texts() == ["kept for a while"]
    assert ward.platform.machine_work.expire(WORKER, row.created_ms + 1) == 1
    assert ward.texts() == []
    assert ward.platform.machine_work.end(WORKER) == 1
    refused("key-destroyed", ward.platform.keystore.get_key, row.institution, row.key_id)
    assert row.id not in dict(ward.platform.objects.list())
    # The next one has a key of its own.
    fresh, _ = ward.send("new")
    assert fresh.key_id != row.key_id and ward.texts() == ["new"]


def test_one_upload_can_be_deleted_and_others_stay(ward):
    first, _ = ward.send("first")
    ward.send("second")
    ward.machine.delete(ward.reading(ward.administrator), first.id)
    assert ward.texts() == ["second"]
    refused("not-found", ward.machine.delete, ward.reading(ward.administrator), first.id)
    ward.platform.machine_work.end(WORKER)
    assert ward.texts() == ["second"]


def test_an_upload_whose_key_ended_meanwhile_is_sent_again(ward):
    ward.send("older")
    intake = ward.machine.begin(ward.sending(ward.as_receiver), "log", Form.LINES, "")
    ward.platform.machine_work.expire(WORKER, clock.unix_ms() + 1)
    ward.platform.machine_work.end(WORKER)
    refused("unavailable", intake.finish, [b"newer"])
    assert held(ward) == []


def test_it_ends_with_the_agreement(ward):
    own = ward.institution.id
    before = ward.platform.agreements.show(own, ACME)
    ward.send("of acme", ward.as_application(ACME))
    ward.send("of the receiver")
    ward.platform.agreements.withdraw(own, ACME, by=BY)
    refused("agreement-withdrawn", ward.send, "x", ward.as_application(ACME))
    ward.platform.machine_work.end(WORKER)
    assert ward.texts() == ["of the receiver"]
    ward.platform.agreements.record(own, ACME, before.terms, by=BY)


def test_an_application_is_told_once_a_minute_of_what_it_may_see(ward):
    acme = ward.as_application(ACME)
    ward.platform.api.machine_subscriptions.subscribe(ward.reading(acme), ["log"])
    ward.platform.api.machine_subscriptions.subscribe(ward.reading(acme), ["log"])
    refused(
        "forbidden",
        ward.platform.api.machine_subscriptions.subscribe,
        ward.reading(ward.as_application(BETA)),
        ["log"],
    )
    work = ward.platform.machine_work
    assert work.tell() == 0
    ward.send("one\ntwo")
    ward.send(otlp_metrics("queue", 1), name="status", form=Form.OTLP_METRICS)
    assert (work.tell(), work.tell()) == (1, 0)
    with ward.platform.database.read(EVERYWHERE) as tx:
        (data,) = tx.execute(
            select(feed.c.data).where(feed.c.kind == "machine-data.available", feed.c.application == ACME)
        ).scalars()
    assert (json.loads(data)["class"], json.loads(data)["records"]) == ("log", 2)
    ward.platform.api.machine_subscriptions.unsubscribe(ward.reading(acme), [])
    assert ward.platform.api.machine_subscriptions.subscriptions(ward.reading(acme)) == []


def test_hours_count_what_came_by_source(ward):
    ward.send(otlp_logs("a", "b", service="ct-1", severity=17), form=Form.OTLP_LOGS)
    ward.send(otlp_logs(LINE, service="ct-1"), form=Form.OTLP_LOGS)
    (hour,) = ward.machine.hours(ward.reading(ward.administrator), [], 1_790_000_000_000, 1_790_000_000_001)
    assert (hour.source, hour.records, hour.errors, hour.masked) == ("ct-1", 3, 2, 1)


def test_fsck_knows_segments_and_their_keys(ward):
    row, _ = ward.send("checked")
    platform = ward.platform
    check = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
    assert check.check(deep=True).findings == []
    platform.objects.delete(row.id)
    assert ("missing-object", row.id) in check.check().findings


def test_the_trail_tells_counts_and_detectors_alone(ward):
    ward.send(LINE)
    ward.find(text="refused")
    entries = [one for one in ward.entries() if one["action"].startswith("machine:data")]
    stored = [one for one in entries if one["action"] == "machine:data:store"][-1]
    assert "mrn=1" in stored["detail"]["detectors"] and stored["counts"]["masked"] == 1
    assert not any(value in json.dumps(entries) for value in (*PLANTED.values(), "refused"))


@contextmanager
def no_entries(ward):
    """Within it the database takes no entry of the trail."""

    def change(statement):
        with ward.platform.database.begin() as tx:
            tx.execute(text(statement))

    change(
        "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'no entry'); END"
    )
    try:
        yield
    finally:
        change("DROP TRIGGER no_entry")


def test_nothing_is_done_and_nothing_is_shown_without_its_entry(ward):
    row, _ = ward.send("there before")
    acme = ward.reading(ward.as_application(ACME))
    reading = ward.reading(ward.administrator)
    subscriptions = ward.platform.api.machine_subscriptions
    subscriptions.subscribe(acme, ["log"])
    with no_entries(ward):
        for work in (
            lambda: ward.send("new"),
            lambda: ward.find(),
            lambda: ward.machine.hours(reading, [], 0, clock.unix_ms()),
            lambda: ward.machine.points(reading, "queue", "", 0, clock.unix_ms()),
            lambda: ward.machine.delete(reading, row.id),
            lambda: subscriptions.subscribe(acme, ["status"]),
            lambda: subscriptions.subscriptions(acme),
            lambda: subscriptions.unsubscribe(acme, []),
            lambda: ward.platform.machine_work.expire(WORKER, clock.unix_ms() + 1),
        ):
            with pytest.raises(DBAPIError):
                work()
        ward.platform.machine_work.end(WORKER)
    assert [one.id for one in held(ward)] == [row.id] and ward.texts() == ["there before"]
    assert [one.data_class for one in subscriptions.subscriptions(acme)] == ["log files"]
    subscriptions.unsubscribe(acme, [])
    # A key goes only with its entry: the removal is tried again in the next round.
    ward.platform.machine_work.expire(WORKER, clock.unix_ms() + 1)
    with no_entries(ward), pytest.raises(DBAPIError):
        ward.platform.machine_work.end(WORKER)
    ward.platform.keystore.get_key(row.institution, row.key_id)
    assert row.id in dict(ward.platform.objects.list())
    assert ward.platform.machine_work.end(WORKER) == 1


def test_a_receiver_tells_how_it_is(ward, tmp_path):
    chosen = ward.platform.settings.model_copy(update={"data_dir": tmp_path})
    ReceiverStore(database_path(chosen)).close()
    shown = status(chosen, ask_platform=False)
    ward.send(body_of(shown, 1_790_000_000_000), name="status", form=Form.OTLP_METRICS)
    held = {one.record.text: one.record.value for one in ward.find(source="wardlight-receiver").found}
    assert held["receiver.queue.objects"] == 0
    assert held["receiver.spool.free_bytes"] == shown["spool"]["free_bytes"]
