"""Data of an institution stays in its region, or goes where an agreement names the basis of the transfer (R10.3)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from share_kit import ACME, a_desk, study
from wardlight import settings
from wardlight.access.grants import Completed
from wardlight.agreements.model import IMAGES, Level, Terms
from wardlight.agreements.regions import checked
from wardlight.agreements.service import Agreements
from wardlight.audit.actions import Action
from wardlight.classification.regions import TRANSFERS, is_region, within
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

TERMS = Terms(
    levels=frozenset({Level.HIGH}),
    legal_basis="gdpr:6.1.e+9.2.h",
    purposes=frozenset({"TREAT"}),
    attested_by="K",
)
ELSEWHERE = {"region": "us", "transfer": "gdpr:46.2.c", "attested_by": "Kim Berg", "document": "SCC-7"}
CODE = "region-not-agreed"


@pytest.mark.parametrize(
    ("place", "region", "is_in"),
    [
        ("eu", "eu", True), ("eu-central-1", "eu", True), ("eu-central-1", "eu-central-1", True),
        # A node that is somewhere in the EU is not in a narrower place there.
        ("eu", "eu-central-1", False), ("us", "eu", False), ("europe", "eu", False), ("us-east-1", "us", True),
        # Amazon's London and Zurich.
        ("eu-west-2", "eu", False), ("eu-central-2", "eu", False), ("eu-west-2", "eu-west-2", True),
    ],
)  # fmt: skip
def test_what_lies_in_which_region(place, region, is_in):
    assert within(place, region) is is_in


def test_a_region_is_a_word():
    assert is_region("eu-central-1")
    assert not [text for text in ("", "EU", "-eu", "eu west", "a" * 17) if is_region(text)]


@pytest.mark.parametrize(
    ("region", "transfer", "found"),
    [
        ("", "", "eu"), ("eu", "", "eu"), ("eu-central-1", "", "eu-central-1"), ("us", "gdpr:45.3", "us"),
        ("us", "gdpr:49.1.a", "us"), ("eu-west-2", "gdpr:45.3", "eu-west-2"),
        # No basis, none that is one, and one for nothing.
        ("us", "", None), ("eu-west-2", "", None), ("us", "gdpr:48", None), ("us", "gdpr:6.1.e", None),
        ("eu", "gdpr:45.3", None), ("", "gdpr:45.3", None), ("U S", "gdpr:45.3", None),
    ],
)  # fmt: skip
def test_the_terms_are_checked(region, transfer, found):
    terms = replace(TERMS, region=region, transfer=transfer)
    if found is None:
        with pytest.raises(WardlightError) as error:
            checked(terms, "eu")
        assert (error.value.code, error.value.reason) == ("bad-request", "region")
    else:
        assert checked(terms, "eu").region == found


def test_bases_are_terms_of_dpv():
    for basis, term in TRANSFERS.items():
        law, _, article = basis.partition(":")
        expected = f"https://w3id.org/dpv/legal/eu/gdpr#A{article.replace('.', '-')}" if law == "gdpr" else ""
        assert term == expected


@pytest.mark.parametrize(
    ("chosen", "refused"),
    [
        ({}, False),
        ({"objects_url": "s3://b/p"}, True),  # Amazon's service in us-east-1, a node in eu
        ({"objects_url": "s3://b/p", "s3__region": "eu-central-1"}, False),
        ({"objects_url": "s3://b/p", "s3__region": "eu-west-2"}, True),
        ({"objects_url": "s3://b/p", "s3__region": "eu-central-1", "region": "us"}, True),
        ({"objects_url": "s3://b/p", "s3__endpoint": "https://s3.example"}, False),
        ({"objects_url": "s3://b/p", "s3__endpoint": "https://s3.example", "s3__place": "us"}, True),
    ],
)
def test_no_process_starts_with_a_bucket_in_another_region(monkeypatch, chosen, refused):
    monkeypatch.delenv("WARDLIGHT_REGION", raising=False)
    safe = {"allow_plain_root": True, "keyslot_dirs": ("a", "b"), "receiver_secrets_dir": "elsewhere"}
    made = settings.load(**safe, **chosen)
    if not refused:
        made.refuse_unsafe()
        return
    with pytest.raises(WardlightError, match="objects_url is in another region"):
        made.refuse_unsafe()


@pytest.fixture(scope="module")
def abroad(stores):
    """A node in the USA, and an institution of the EU with two applications, which run there."""
    with a_desk(region="us") as desk:
        yield desk


def stow(desk, uid):
    return desk.stow("/dicom-web/studies", desk._token, *study(1, uid))


def held(desk, application):
    return Completed(
        desk.hospital.institution.id,
        desk.hospital.institution.id,
        application,
        Level.HIGH,
        b"g" * 16,
        "",
        "",
        1,
    )


def test_two_regions(abroad):
    """One institution, a node of its region, and one elsewhere: from refusal to a transfer, and back."""
    platform, own = abroad.hospital.platform, abroad.hospital.institution.id
    at_home = Agreements(platform.database, platform.recorder, "eu-central-1")
    assert at_home.require(own, IMAGES, Level.HIGH).region == "eu"
    assert at_home.standing(own)[IMAGES, Level.HIGH] == ""
    # Elsewhere nothing is taken in, by requests or by people, and receivers are told why before they send.
    answer = stow(abroad, "1.2.9.1")
    assert (answer.status_code, answer.json().get("code")) == (403, CODE), answer.text
    assert abroad.hospital.entries(Action.ACCESS_DECISION_DENY)[-1]["reason"] == CODE
    with pytest.raises(WardlightError) as error:
        platform.agreements.require(own, IMAGES, Level.HIGH)
    assert error.value.code == CODE
    assert {reason for (_, level), reason in platform.agreements.standing(own).items()} == {CODE}
    # An amendment without a basis is refused; with one the same request is served.
    changes = {name: ELSEWHERE[name] for name in ("region", "attested_by", "document")}
    refused = abroad.ask("PUT", f"/api/v1/agreements/{IMAGES}", json=changes)
    assert (refused.status_code, refused.json()["reason"]) == (400, "region")
    made = abroad.ask("PUT", f"/api/v1/agreements/{IMAGES}", json=ELSEWHERE).json()
    assert (made["region"], made["transfer"]) == ("us", "gdpr:46.2.c")
    entry = abroad.hospital.entries(Action.AGREEMENT_AGREEMENT_AMEND)[-1]
    assert (entry["detail"]["region"], entry["detail"]["transfer"]) == ("us", "gdpr:46.2.c")
    assert stow(abroad, "1.2.9.1").status_code == 200
    # What may go abroad may also stay.
    assert at_home.require(own, IMAGES, Level.HIGH).version == made["version"]
    back = {**ELSEWHERE, "region": "eu", "transfer": ""}
    assert abroad.ask("PUT", f"/api/v1/agreements/{IMAGES}", json=back).status_code == 200
    assert stow(abroad, "1.2.9.2").status_code == 403


def test_no_grant_for_an_application_that_runs_elsewhere(abroad):
    platform, own = abroad.hospital.platform, abroad.hospital.institution.id
    asked = platform.entitlements.list(ACME)[0]
    platform.entitlements.request(
        ACME,
        purposes=asked.purposes,
        level=asked.level,
        regions=("us",),
        declared_by="S",
        document="D",
        by=BY,
    )
    with platform.database.read(own) as tx:
        assert platform.entitlements.why_not(tx, own, ACME, "TREAT", Level.HIGH) == CODE
    with platform.database.begin(own) as tx:
        assert platform.grants.completed(tx, held(abroad, ACME)) is None
    entry = abroad.hospital.entries(Action.ACCESS_GRANT_CREATE)[-1]
    assert (entry["outcome"], entry["reason"]) == ("denied", CODE)
    platform.agreements.amend(own, ACME, ELSEWHERE, by=BY)
    with platform.database.begin(own) as tx:
        assert platform.grants.completed(tx, held(abroad, ACME)) is not None


def test_the_code_says_so_to_scanners_too():
    assert (CATALOGUE[CODE].http, CATALOGUE[CODE].dicom) == (403, 0x0124)
    assert "region" in json.dumps(CATALOGUE[CODE].title)
