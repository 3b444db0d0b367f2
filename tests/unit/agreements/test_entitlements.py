"""An application gets nothing that it did not ask for, nor of an institution that does not use it."""

import json

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight.agreements.model import IMAGES, Level
from wardlight.audit.actions import Action
from wardlight.classification.model import DataClass
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

BY = LOCAL_ADMINISTRATOR
ASKED = {
    "purposes": ["TREAT", "HQUALIMP"], "level": Level.MEDIUM, "regions": ["eu"], "declared_by": "Ann Lee, Acme",
    "document": "DPA-4", "by": BY,
}  # fmt: skip


class World:
    def __init__(self, platform):
        self.platform, self.entitlements = platform, platform.entitlements
        self.number = 0

    def application(self):
        self.number += 1
        id_ = f"acme_reader_{self.number}"
        self.platform.applications.register(id_, "A", "V", by=BY)
        return self.platform.applications.approve(id_, by=BY).id

    def institution(self, region="eu"):
        self.number += 1
        return self.platform.identity.create_institution(f"i-{self.number}", "I", region, by=BY).id

    def why_not(self, institution, application, purpose="TREAT", level=Level.HIGH):
        with self.platform.database.read(institution) as tx:
            return self.entitlements.why_not(tx, institution, application, purpose, level)

    def entry(self):
        with self.platform.database.read(EVERYWHERE) as tx:
            row = tx.execute(text("SELECT content FROM audit_pending ORDER BY seq DESC LIMIT 1")).scalar_one()
        return json.loads(row)


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        yield World(platform)


def refused(code, call, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == code


def test_a_request_is_a_version_with_its_declaration(bench):
    application = bench.application()
    first = bench.entitlements.request(application, **ASKED)
    assert first.classes == {DataClass.HEALTH, DataClass.IMAGE_PSEUDONYMISED}
    second = bench.entitlements.request(application, **ASKED | {"purposes": ["TREAT"]})
    assert (first.version, second.version) == (1, 2)
    assert bench.entitlements.list(application) == [second, first]
    entry = bench.entry()
    assert entry["action"] == Action.AGREEMENT_ENTITLEMENT_REQUEST
    assert entry["object"] == {"kind": "application", "id": application, "version": 2}
    assert "Ann" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"purposes": []}, "bad-request"),
        ({"purposes": ["FUN"]}, "bad-request"),
        ({"regions": []}, "bad-request"),
        ({"regions": ["EU west"]}, "bad-request"),
        ({"classes": [DataClass.SECRET]}, "bad-request"),
        ({"declared_by": ""}, "bad-request"),
        ({"document": ""}, "bad-request"),
        ({"document": "\0"}, "bad-request"),
    ],
)
def test_requests_are_checked(bench, change, code):
    application = bench.application()
    refused(code, bench.entitlements.request, application, **ASKED | change)
    refused("not-found", bench.entitlements.request, "ghost", **ASKED)
    assert bench.entitlements.list(application) == []


def test_why_not(bench):
    institution, abroad, application = bench.institution(), bench.institution("us"), bench.application()
    assert bench.why_not(institution, application) == "not-subscribed"
    for one in (institution, abroad):
        bench.entitlements.subscribe(one, application, by=BY)
    assert bench.why_not(institution, application) == "not-entitled"
    bench.entitlements.request(application, **ASKED)
    assert bench.why_not(institution, application) == ""
    assert bench.why_not(institution, application, level=Level.MEDIUM) == ""
    assert bench.why_not(institution, application, level=Level.LOW) == "not-entitled"
    assert bench.why_not(institution, application, level=Level.IDENTIFIED) == "not-entitled"
    assert bench.why_not(institution, application, purpose="HRESCH") == "not-entitled"
    assert bench.why_not(abroad, application) == "region-not-agreed"
    with bench.platform.database.begin() as tx:
        tx.execute(text("UPDATE application SET state = 'suspended' WHERE id = :id"), {"id": application})
    assert bench.why_not(institution, application) == "application-suspended"
    assert bench.why_not(institution, IMAGES) == "not-subscribed"
    bench.entitlements.subscribe(institution, IMAGES, by=BY)
    assert bench.why_not(institution, IMAGES, level=Level.IDENTIFIED) == ""


def test_only_the_newest_request_holds(bench):
    institution, application = bench.institution(), bench.application()
    bench.entitlements.subscribe(institution, application, by=BY)
    bench.entitlements.request(application, **ASKED)
    bench.entitlements.request(application, **ASKED | {"purposes": ["HQUALIMP"], "level": Level.HIGH})
    assert bench.why_not(institution, application) == "not-entitled"
    assert bench.why_not(institution, application, "HQUALIMP") == ""


def test_a_subscription_ends_and_begins_again(bench):
    institution, application = bench.institution(), bench.application()
    bench.entitlements.request(application, **ASKED)
    first = bench.entitlements.subscribe(institution, application, by=BY)
    assert bench.entry()["action"] == Action.AGREEMENT_ENTITLEMENT_SUBSCRIBE
    refused("already-exists", bench.entitlements.subscribe, institution, application, by=BY)
    ended = bench.entitlements.unsubscribe(institution, application, by=BY)
    assert bench.entry()["action"] == Action.AGREEMENT_ENTITLEMENT_UNSUBSCRIBE
    assert ended.ended_ms is not None and ended.ended_by == "operator:local-admin"
    assert bench.why_not(institution, application) == "not-subscribed"
    refused("not-found", bench.entitlements.unsubscribe, institution, application, by=BY)
    refused("not-found", bench.entitlements.subscribe, institution, "ghost", by=BY)
    again = bench.entitlements.subscribe(institution, application, by=BY)
    # What began under the first one is older than this one, and does not come back.
    assert again.created_ms >= ended.ended_ms >= first.created_ms and again.ended_ms is None
    assert bench.entitlements.subscriptions(institution) == [again]
    assert bench.entitlements.subscriptions(bench.institution()) == []
