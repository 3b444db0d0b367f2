"""No agreement, no data; versions stay; the newest holds."""

import json

import pytest
from sqlalchemy import text

from platform_kit import a_platform
from wardlight.agreements.model import IMAGES, Level
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
