"""No agreement, no data; versions stay; the newest holds."""

import json
from uuid import UUID

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight import clock
from wardlight.agreements.model import ACCESS_S, IMAGES, Level, SourceKind, Terms
from wardlight.agreements.service import differences
from wardlight.audit.actions import Action
from wardlight.classification.model import DataClass
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

TERMS = {
    "legal_basis": "gdpr:6.1.e+9.2.h",
    "purposes": ["TREAT"],
    "attested_by": "Officer",
    "by": LOCAL_ADMINISTRATOR,
}


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture
def institution(platform, request):
    slug = f"i-{abs(hash(request.node.name)) % 10**9}"
    return platform.identity.create_institution(slug, "St Mary", "eu", by=LOCAL_ADMINISTRATOR).id


def refused(code, call, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == code


def test_nothing_is_allowed_without(platform, institution):
    for level in Level:
        refused("no-agreement", platform.agreements.require, institution, IMAGES, level)
    refused("no-agreement", platform.agreements.show, institution, IMAGES)


def test_levels_are_those_named(platform, institution):
    platform.agreements.create(institution, IMAGES, [Level.HIGH, Level.LOW], **TERMS)
    assert platform.agreements.require(institution, IMAGES, Level.HIGH).version == 1
    for level in (Level.MEDIUM, Level.IDENTIFIED):
        refused("level-not-agreed", platform.agreements.require, institution, IMAGES, level)
    refused("no-agreement", platform.agreements.require, institution, "acme", Level.HIGH)


def test_an_amendment_is_a_new_version(platform, institution):
    first = platform.agreements.create(institution, IMAGES, [Level.HIGH], **TERMS)
    second = platform.agreements.create(institution, IMAGES, [Level.IDENTIFIED], **TERMS)
    assert (first.id, 1, 2) == (second.id, first.version, second.version)
    refused("level-not-agreed", platform.agreements.require, institution, IMAGES, Level.HIGH)
    assert platform.agreements.list(institution) == [second, first]
    with platform.database.read(EVERYWHERE) as tx:
        rows = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq DESC LIMIT 2")).scalars().all()
    amended, created = (json.loads(row) for row in rows)
    assert created["action"] == "agreement:agreement:create"
    assert amended["action"] == "agreement:agreement:amend"
    assert amended["object"] == {"kind": "agreement", "id": first.id, "version": 2}
    assert amended["detail"]["levels"] == ["identified"]


@pytest.mark.parametrize(
    "change",
    [
        {"legal_basis": "because"},
        {"legal_basis": "gdpr:"},
        {"purposes": []},
        {"purposes": ["FUN"]},
        {"attested_by": ""},
        {"attested_by": "a\nb"},
    ],
)
def test_terms_are_checked(platform, institution, change):
    refused("bad-request", platform.agreements.create, institution, IMAGES, [Level.HIGH], **TERMS | change)


def test_an_application_must_be_registered(platform, institution):
    refused("not-found", platform.agreements.create, institution, "ghost", [Level.HIGH], **TERMS)
    refused("bad-request", platform.agreements.create, institution, IMAGES, [], **TERMS)


def terms(**changes):
    plain = {"levels": frozenset({Level.HIGH}), "legal_basis": "gdpr:6.1.e+9.2.h"}
    return Terms(**plain | {"purposes": frozenset({"TREAT"}), "attested_by": "Officer"} | changes)


@pytest.fixture
def acme(platform, request):
    id_ = f"acme_reader_{abs(hash(request.node.name)) % 10**9}"
    platform.applications.register(id_, "Acme", "Acme", by=LOCAL_ADMINISTRATOR)
    return id_


def entries(platform, number):
    with platform.database.read(EVERYWHERE) as tx:
        query = text("SELECT content FROM audit_pending ORDER BY seq DESC LIMIT :number")
        rows = tx.execute(query, {"number": number}).scalars().all()
    return [json.loads(row) for row in reversed(rows)]


def told(platform, application):
    with platform.database.read(EVERYWHERE) as tx:
        query = text("SELECT kind, data FROM event_feed WHERE application = :application ORDER BY seq")
        return [(kind, json.loads(data)) for kind, data in tx.execute(query, {"application": application})]


def test_what_is_not_said_is_what_data_at_the_levels_is(platform, institution):
    before = clock.unix_ms()
    row = platform.agreements.create(institution, IMAGES, [Level.HIGH], **TERMS)
    assert row.classes == {DataClass.HEALTH, DataClass.IMAGE_PSEUDONYMISED}
    assert (row.region, row.access_s, row.retention_days, row.ends_ms) == ("eu", ACCESS_S, None, None)
    assert before <= row.attested_ms <= clock.unix_ms() and row.withdrawn_ms is None
    assert platform.agreements.list(institution) == [row]
    assert row.access_until(1000) == 1000 + ACCESS_S * 1000
    row = platform.agreements.create(institution, IMAGES, Level, **TERMS)
    assert row.classes >= {DataClass.PERSONAL, DataClass.IMAGE_IDENTIFIED}


def test_a_minimum_level_is_that_and_what_is_stricter():
    assert Level.HIGH.at_least() == {Level.HIGH}
    assert Level.LOW.at_least() == {Level.HIGH, Level.MEDIUM, Level.LOW}
    assert Level.IDENTIFIED.at_least() == set(Level)


def test_all_that_can_be_agreed_is_kept(platform, institution, acme):
    source = platform.sources.record(
        institution, SourceKind.RETAILER, "Test Data Ltd", legal_basis="gdpr:6.1.f+9.2.j", attested_by="Kim",
        document="TDL-7", by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    ends = clock.unix_ms() + 100_000
    agreed = terms(
        levels=Level.LOW.at_least(), legal_basis="gdpr:6.1.a+9.2.a+9.2.j", purposes=frozenset({"HRESCH", "TRAIN"}),
        classes=frozenset({DataClass.HEALTH, DataClass.IMAGE_ANONYMISED, DataClass.LOG}), region="eu",
        access_s=3600, retention_days=400, document="DPA-2026-4", attested_ms=1_700_000_000_000, source=source.id,
        results_of=frozenset({IMAGES}), ends_ms=ends,
    )  # fmt: skip
    row = platform.agreements.record(institution, acme, agreed, by=LOCAL_ADMINISTRATOR)
    assert row.terms == agreed
    assert platform.agreements.list(institution, acme) == [row]
    assert row.access_until(ends - 1000) == ends
    assert platform.sources.list(institution) == [source]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"region": "us"}, "bad-request"),
        ({"access_s": 59}, "bad-request"),
        ({"access_s": 11 * 366 * 86_400}, "bad-request"),
        ({"retention_days": 0}, "bad-request"),
        ({"document": "a\nb"}, "bad-request"),
        ({"document": "d" * 501}, "bad-request"),
        ({"ends_ms": 1}, "bad-request"),
        ({"classes": frozenset({DataClass.SECRET, DataClass.IMAGE_PSEUDONYMISED})}, "bad-request"),
        ({"classes": frozenset({DataClass.HEALTH})}, "bad-request"),
        ({"levels": frozenset(Level), "classes": frozenset({DataClass.IMAGE_PSEUDONYMISED})}, "bad-request"),
        ({"legal_basis": "gdpr:6.1.e"}, "bad-request"),
        ({"results_of": frozenset({"ghost"})}, "not-found"),
        ({"source": UUID(int=7)}, "not-found"),
    ],
)  # fmt: skip
def test_the_further_terms_are_checked(platform, institution, change, code):
    refused(code, platform.agreements.record, institution, IMAGES, terms(**change), by=LOCAL_ADMINISTRATOR)
    assert platform.agreements.list(institution) == []


def test_a_source_of_another_institution_is_none(platform, institution):
    other = platform.identity.create_institution("other-src", "O", "eu", by=LOCAL_ADMINISTRATOR).id
    source = platform.sources.record(
        other, SourceKind.AGENCY, "A", legal_basis="gdpr:6.1.e+9.2.i", attested_by="K", document="D",
        by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    refused(
        "not-found",
        platform.agreements.record,
        institution,
        IMAGES,
        terms(source=source.id),
        by=LOCAL_ADMINISTRATOR,
    )
    refused("not-found", platform.sources.show, institution, source.id)
    assert platform.sources.show(other, source.id) == source


def test_an_amendment_changes_what_it_names_and_says_so(platform, institution, acme):
    first = platform.agreements.record(institution, acme, terms(document="one"), by=LOCAL_ADMINISTRATOR)
    changes = {"levels": Level.LOW.at_least(), "access_s": 60, "attested_by": "Kim", "document": "two"}
    second = platform.agreements.amend(institution, acme, changes, by=LOCAL_ADMINISTRATOR, of_version=1)
    assert (second.version, second.access_s, second.purposes) == (2, 60, first.purposes)
    assert [(one.path, one.before, one.after) for one in differences(first.terms, second.terms)] == [
        ("levels", "high", "high low medium"),
        ("attested_by", "Officer", "Kim"),
        ("access_s", ACCESS_S, 60),
        ("document", "one", "two"),
    ]
    (entry,) = entries(platform, 1)
    # Who attested, and where, are words of people: the trail says that they changed, not what they are.
    assert {"path": "attested_by"} in entry["change"] and {"path": "document"} in entry["change"]
    assert {"path": "access_s", "before": ACCESS_S, "after": 60} in entry["change"]
    refused(
        "conflict", platform.agreements.amend, institution, acme, {}, by=LOCAL_ADMINISTRATOR, of_version=1
    )
    refused("not-found", platform.agreements.amend, institution, IMAGES, {}, by=LOCAL_ADMINISTRATOR)
    kinds = [(kind, data["version"], data["state"]) for kind, data in told(platform, acme)]
    assert kinds == [("agreement.changed", 1, "in-force"), ("agreement.changed", 2, "in-force")]


def test_withdrawing_one_version_or_all(platform, institution, acme):
    for _ in range(3):
        platform.agreements.record(institution, acme, terms(), by=LOCAL_ADMINISTRATOR)
    platform.entitlements.subscribe(institution, acme, by=LOCAL_ADMINISTRATOR)
    (gone,) = platform.agreements.withdraw(institution, acme, by=LOCAL_ADMINISTRATOR, version=1)
    assert gone.version == 1 and platform.agreements.show(institution, acme).version == 3
    assert platform.agreements.require(institution, acme, Level.HIGH).version == 3
    refused("conflict", platform.agreements.withdraw, institution, acme, by=LOCAL_ADMINISTRATOR, version=1)
    refused("not-found", platform.agreements.withdraw, institution, acme, by=LOCAL_ADMINISTRATOR, version=4)
    # The newest goes: nothing before it comes back.
    platform.agreements.withdraw(institution, acme, by=LOCAL_ADMINISTRATOR, version=3)
    refused("agreement-withdrawn", platform.agreements.show, institution, acme)
    refused("agreement-withdrawn", platform.agreements.require, institution, acme, Level.HIGH)
    rest = platform.agreements.withdraw(institution, acme, by=LOCAL_ADMINISTRATOR)
    assert [row.version for row in rest] == [2]
    (entry,) = entries(platform, 1)
    assert (entry["action"], entry["object"]["version"]) == (Action.AGREEMENT_AGREEMENT_WITHDRAW, 2)
    assert entry["detail"] == {"application": acme, "versions": [2]}
    refused("conflict", platform.agreements.withdraw, institution, acme, by=LOCAL_ADMINISTRATOR)
    rows = platform.agreements.list(institution, acme)
    assert [row.version for row in rows] == [3, 2, 1]
    assert {row.withdrawn_by for row in rows} == {"operator:local-admin"}
    with platform.database.read(institution) as tx:
        assert platform.agreements.current(tx, institution, acme) is None
        reason = platform.agreements.why_not(tx, institution, acme, "TREAT", Level.HIGH)
    assert reason == "agreement-withdrawn"
    # A new version holds again.
    assert platform.agreements.record(institution, acme, terms(), by=LOCAL_ADMINISTRATOR).version == 4
    assert platform.agreements.require(institution, acme, Level.HIGH).version == 4


def test_an_agreement_ends_at_its_end(platform, institution, acme, monkeypatch):
    now = clock.unix_ms()
    row = platform.agreements.record(institution, acme, terms(ends_ms=now + 5000), by=LOCAL_ADMINISTRATOR)
    platform.agreements.expire()
    assert platform.agreements.show(institution, acme) == row
    monkeypatch.setattr(clock, "unix_ms", lambda: now + 5000)
    # Before the job has come by.
    refused("agreement-withdrawn", platform.agreements.show, institution, acme)
    assert platform.agreements.expire() == 1
    monkeypatch.undo()
    assert platform.agreements.expire() == 0
    (entry,) = entries(platform, 1)
    assert (entry["action"], entry["actor"]["kind"]) == (Action.AGREEMENT_AGREEMENT_EXPIRE, "system")
    assert [data["state"] for _, data in told(platform, acme)] == ["in-force", "expired"]
    (row,) = platform.agreements.list(institution, acme)
    assert (row.withdrawn_ms, row.withdrawn_by) == (now + 5000, "system:expiry")


def test_why_not_and_standing(platform, institution, acme):
    agreements = platform.agreements
    agreements.record(institution, acme, terms(), by=LOCAL_ADMINISTRATOR)
    with platform.database.read(institution) as tx:
        assert agreements.why_not(tx, institution, acme, "TREAT", Level.HIGH) == ""
        assert agreements.why_not(tx, institution, acme, "HRESCH", Level.HIGH) == "purpose-not-agreed"
        assert agreements.why_not(tx, institution, acme, "TREAT", Level.LOW) == "level-not-agreed"
        assert agreements.why_not(tx, institution, IMAGES, "TREAT", Level.LOW) == "no-agreement"
    refused("not-subscribed", agreements.require, institution, acme, Level.HIGH)
    assert agreements.standing(institution) == {(acme, level): "not-subscribed" for level in Level}
    platform.entitlements.subscribe(institution, acme, by=LOCAL_ADMINISTRATOR)
    expected = {(acme, level): "" if level is Level.HIGH else "level-not-agreed" for level in Level}
    assert agreements.standing(institution) == expected
    agreements.withdraw(institution, acme, by=LOCAL_ADMINISTRATOR)
    assert set(agreements.standing(institution).values()) == {"agreement-withdrawn"}
    other = platform.identity.create_institution("other-std", "O", "eu", by=LOCAL_ADMINISTRATOR).id
    assert agreements.standing(other) == {}


def test_images_is_subscribed_to_with_its_first_agreement_only(platform, institution):
    platform.agreements.create(institution, IMAGES, [Level.HIGH], **TERMS)
    assert [row.application for row in platform.entitlements.subscriptions(institution)] == [IMAGES]
    platform.entitlements.unsubscribe(institution, IMAGES, by=LOCAL_ADMINISTRATOR)
    platform.agreements.create(institution, IMAGES, [Level.HIGH], **TERMS)
    refused("not-subscribed", platform.agreements.require, institution, IMAGES, Level.HIGH)
