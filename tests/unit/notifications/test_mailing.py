"""Mail: to who wants it and may be told, at least once, with patience; nothing in it is patient data."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import text

from notify_kit import BY, a_mail_server, a_ward, code_of, text_of
from share_kit import ACME, CANARIES, study
from wardlight.access.model import Role
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive.deletion import Asked
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.notifications import mailing
from wardlight.notifications.model import Mail

CLINICIAN, OFFICER = Role.CLINICIAN, Role.PRIVACY_OFFICER
ADDRESS = "doctor@hospital.example"


@pytest.fixture(scope="module")
def server():
    with a_mail_server() as built:
        yield built


@pytest.fixture
def ward(server):
    server.got.clear()
    server.answer = lambda _to: "250 ok"
    with a_ward(server) as built:
        built.confirm(CLINICIAN, server, ADDRESS)
        yield built


@pytest.fixture
def later(monkeypatch):
    moved = [0]
    for module in ("mailing", "telling", "service"):
        real = getattr(__import__("wardlight.notifications", fromlist=[module]), module).clock
        monkeypatch.setattr(real, "unix_ms", lambda real=real.unix_ms: real() + moved[0])
        break

    def on(seconds):
        moved[0] += round(seconds * 1000)

    return on


def arrive(ward, uid="1.2.3.4"):
    ward.store(*study(1, uid), application=IMAGES, level=Level.IDENTIFIED)
    ward.platform.archive.complete(WORKER)
    ward.platform.producer.work()


def entries(ward, action):
    rows = ward.sql("SELECT content FROM audit_pending ORDER BY seq")
    found = [json.loads(bytes(row[0])) for row in rows]
    return [one for one in found if one["action"] == action]


def test_mail_goes_once_to_who_chose_it_and_says_nothing_of_the_patient(ward, server):
    ward.prefer(CLINICIAN, "study-available", Mail.NOW)
    arrive(ward)
    assert ward.platform.send_mail() == 1
    assert ward.platform.send_mail() == 0
    [message] = server.to(ADDRESS)
    assert message["Subject"] == "Wardlight: New studies have arrived"
    assert message["List-Unsubscribe"] == "<http://localhost:8080/notifications>"
    plain, page = text_of(message), text_of(message, "html")
    for shown in (plain, page):
        assert "1 new, complete and ready to be read." in shown
        assert "http://localhost:8080/notifications" in shown
        for canary in (*CANARIES.values(), "1.2.3.4"):
            assert canary not in shown
        # Nothing but the page itself stands in a link: no token, no id.
        links = re.findall(r'http://[^\s"<>]+', shown)
        assert set(links) == {"http://localhost:8080/", "http://localhost:8080/notifications"}
    [sent] = entries(ward, "notify:mail:send")
    assert sent["detail"] == {"person": ward.people[CLINICIAN].id, "digest": False}
    assert ward.sql("SELECT state, data, release FROM notify_mail") == [("sent", "{}", None)]
    assert ADDRESS not in json.dumps(sent)


def test_a_digest_is_one_mail_of_the_day(ward, server, later):
    ward.prefer(CLINICIAN, "study-available", Mail.DAILY, bell=False)
    for uid in ("1.2.3.4", "1.2.3.5"):
        arrive(ward, uid)
    assert ward.platform.send_mail() == 0
    later(86_400)
    assert ward.platform.send_mail() == 1
    [message] = server.to(ADDRESS)
    assert message["Subject"] == "Wardlight: 2 notifications"
    assert text_of(message).count("New studies have arrived") == 2


def test_a_mail_that_is_not_taken_is_tried_again_and_then_given_up(ward, server, later):
    ward.prefer(CLINICIAN, "study-available", Mail.NOW)
    server.answer = lambda _to: "451 not now"
    arrive(ward)
    assert ward.platform.send_mail() == 0
    assert ward.platform.send_mail() == 0  # Not before its time.
    assert ward.sql("SELECT state, attempts, reason FROM notify_mail") == [("pending", 1, "smtp-451")]
    later(3600)
    assert ward.platform.send_mail() == 0
    assert len(entries(ward, "notify:mail:fail")) == 1
    later(3 * 86_400)
    assert ward.platform.send_mail() == 0
    assert ward.sql("SELECT state, data FROM notify_mail") == [("dead", "{}")]
    assert [one["reason"] for one in entries(ward, "notify:mail:fail")] == ["smtp-451", "smtp-451"]
    server.answer = lambda _to: "250 ok"
    later(86_400)
    assert ward.platform.send_mail() == 0 and server.got == []


def test_after_a_failure_that_passes_it_arrives_and_a_lasting_one_ends_it(ward, server, later):
    ward.prefer(CLINICIAN, "study-available", Mail.NOW)
    server.answer = lambda _to: "451 not now"
    arrive(ward)
    ward.platform.send_mail()
    server.answer = lambda _to: "250 ok"
    later(mailing.FIRST_PAUSE_MS / 1000 + 1)
    assert ward.platform.send_mail() == 1
    server.answer = lambda _to: "550 no such mailbox"
    arrive(ward, "1.2.3.5")
    ward.platform.send_mail()
    assert ward.sql("SELECT state FROM notify_mail ORDER BY id") == [("sent",), ("dead",)]


@pytest.mark.parametrize("why", ["deleted", "role", "suspended", "not-wanted", "no-address"])
def test_a_mail_that_waits_is_not_sent_to_who_may_not_have_it_any_more(ward, server, why):
    ward.prefer(CLINICIAN, "study-available", Mail.NOW)
    arrive(ward)
    person, own = ward.people[CLINICIAN], ward.institution.id
    people, by = ward.platform.people, BY
    if why == "deleted":
        ward.platform.deletion.begin(own, "1.2.3.4", Asked(LOCAL_ADMINISTRATOR))
    elif why == "role":
        people.change(own, person.id, role=Role.PRIVACY_OFFICER, by=by)
    elif why == "suspended":
        people.change(own, person.id, state="suspended", by=by)
    elif why == "not-wanted":
        ward.prefer(CLINICIAN, "study-available", Mail.NONE)
    else:
        ward.platform.notifications.drop_address(ward.own(CLINICIAN, Action.NOTIFY_PREFERENCE_CHANGE))
    assert ward.platform.send_mail() == 0
    assert server.got == [] and entries(ward, "notify:mail:send") == []
    assert ward.sql("SELECT state, data FROM notify_mail") == [("withheld", "{}")]


def test_deleting_a_study_drops_what_waits(ward):
    ward.prefer(CLINICIAN, "study-available", Mail.DAILY)
    arrive(ward)
    ward.platform.deletion.begin(ward.institution.id, "1.2.3.4", Asked(LOCAL_ADMINISTRATOR))
    ward.platform.producer.work()
    assert ward.sql("SELECT count(*) FROM notify_mail") == [(0,)]


def test_no_mail_goes_without_its_entry(ward, server):
    ward.prefer(CLINICIAN, "study-available", Mail.NOW)
    arrive(ward)
    trigger = "CREATE TRIGGER no_entries BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'no'); END"
    with ward.platform.database.begin() as tx:
        tx.execute(text(trigger))
    with pytest.raises(Exception, match="no"):
        ward.platform.send_mail()
    assert server.got == []


def test_an_address_counts_once_its_code_came_back(ward, server):
    notifications, scope = ward.platform.notifications, ward.own(OFFICER, Action.NOTIFY_PREFERENCE_CHANGE)
    notifications.set_address(scope, "officer@hospital.example")
    assert not notifications.choices(scope).confirmed
    code = code_of(server.to("officer@hospital.example")[0])
    for wrong in ("", "AAAA-AAAA-AAAA", code[:-1]):
        with pytest.raises(WardlightError, match="bad-request"):
            notifications.confirm(scope, wrong)
    # Nobody else's, and not for another address.
    with pytest.raises(WardlightError, match="bad-request"):
        notifications.confirm(ward.own(CLINICIAN, Action.NOTIFY_PREFERENCE_CHANGE), code)
    notifications.confirm(scope, f" {code.lower()} ")
    assert notifications.choices(scope).confirmed
    with pytest.raises(WardlightError, match="bad-request"):
        notifications.confirm(scope, code)


def test_codes_are_few_and_tries_are_counted(ward, server):
    notifications, scope = ward.platform.notifications, ward.own(OFFICER, Action.NOTIFY_PREFERENCE_CHANGE)
    notifications.set_address(scope, "officer@hospital.example")
    code = code_of(server.to("officer@hospital.example")[0])
    for _ in range(5):
        with pytest.raises(WardlightError, match="bad-request"):
            notifications.confirm(scope, "AAAA-AAAA-AAAA")
    with pytest.raises(WardlightError, match="bad-request"):
        notifications.confirm(scope, code)
    for _ in range(4):
        notifications.set_address(scope, "officer@hospital.example")
    with pytest.raises(WardlightError, match="rate-limited"):
        notifications.set_address(scope, "victim@elsewhere.example")
    for bad in ("", "a", "a@b", "a@b.c\nBcc: d@e.f", "A <a@b.c>", "a@b.c,d@e.f", "ä@b.example"):
        with pytest.raises(WardlightError, match="bad-request"):
            notifications.set_address(ward.own(Role.ADMINISTRATOR, Action.NOTIFY_PREFERENCE_CHANGE), bad)


def test_names_in_mails_are_text_and_no_markup(ward, server):
    with ward.platform.database.begin() as tx:
        tx.execute(text("UPDATE application SET name = '<b>Acme</b> & Co' WHERE id = :id"), {"id": ACME})
    ward.define()
    ward.prefer(CLINICIAN, "result-ready", Mail.NOW, application=ACME)
    ward.send()
    ward.platform.send_mail()
    [message] = server.to(ADDRESS)
    assert message["Subject"] == "Wardlight: <b>Acme</b> & Co found something"
    assert "&lt;b&gt;Acme&lt;/b&gt; &amp; Co" in text_of(message, "html")
    assert "<b>Acme" not in text_of(message, "html")
