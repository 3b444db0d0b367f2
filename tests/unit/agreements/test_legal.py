"""Which legal basis carries which data for which purpose; every letter of both articles is looked at."""

import itertools
import re

import pytest

from wardlight.agreements import legal
from wardlight.agreements.model import Level
from wardlight.agreements.purposes import PURPOSES
from wardlight.classification.model import DataClass
from wardlight.errors import WardlightError

HEALTH = {DataClass.HEALTH}

#: Art. 9(2) → letters of Art. 6(1), as docs/reference/agreements.md has them.
TOGETHER = {
    "a": "abef",
    "b": "bce",
    "c": "cde",
    "f": "bcef",
    "g": "ce",
    "h": "abcdef",
    "i": "cde",
    "j": "acef",
}


def allowed(basis, purposes=(), classes=HEALTH, levels=()):
    try:
        legal.require_basis(basis, purposes, classes, levels)
    except WardlightError as error:
        assert error.code == "bad-request"
        return False
    return True


@pytest.mark.parametrize(("six", "nine"), list(itertools.product("abcdefg", "abcdefghijk")))
def test_every_pair_of_articles(six, nine):
    assert allowed(f"gdpr:6.1.{six}+9.2.{nine}") == (six in TOGETHER.get(nine, ""))


def test_each_condition_needs_one_basis_that_it_can_stand_with():
    assert allowed("gdpr:6.1.a+6.1.e+9.2.g+9.2.j")
    assert not allowed("gdpr:6.1.a+9.2.g+9.2.j")


@pytest.mark.parametrize("special", sorted(legal.SPECIAL))
def test_special_categories_need_both_articles(special):
    assert not allowed("gdpr:6.1.e", classes={special, DataClass.LOG})
    assert allowed("gdpr:6.1.e", classes={DataClass.LOG, DataClass.PERSONAL, DataClass.IMAGE_ANONYMISED})


@pytest.mark.parametrize(
    "basis",
    ["", "gdpr", "gdpr:", "gdpr:9.2.h", "gdpr:9.2.h+6.1.e", "gdpr:6.1.e+", "gdpr:6.1.e 9.2.h", "gdpr:6.1.e+9.2.h\n",
     "GDPR:6.1.e+9.2.h", "hipaa:", "hipaa:TPO", "hipaa:because", "hipaa", "ccpa:1", "gdpr:6.1.e+9.2.h+9.2"],
)  # fmt: skip
def test_what_is_no_basis(basis):
    assert not allowed(basis)


@pytest.mark.parametrize("category", legal.HIPAA)
def test_each_hipaa_category_is_for_its_purposes(category):
    section, purposes = legal.HIPAA[category]
    assert re.fullmatch(r"164\.5\d\d(\([a-z]\))?", section) and purposes <= PURPOSES.keys()
    for purpose in PURPOSES:
        assert allowed(f"hipaa:{category}", {purpose}) == (purpose in purposes)


def test_research_is_no_treatment_payment_or_operations():
    assert allowed("hipaa:tpo", {"TREAT", "HPAYMT", "HOPERAT"})
    assert not allowed("hipaa:tpo", {"TREAT", "HRESCH"})


@pytest.mark.parametrize("category", ["de-identified", "limited-data-set"])
def test_sets_without_names_are_never_identified(category):
    assert allowed(f"hipaa:{category}", {"HRESCH"}, levels=Level.LOW.at_least())
    assert not allowed(f"hipaa:{category}", {"HRESCH"}, levels=Level.IDENTIFIED.at_least())


def test_classes_cover_levels():
    pseudonymised, identified = {DataClass.IMAGE_PSEUDONYMISED}, {DataClass.IMAGE_IDENTIFIED}
    assert legal.covers(pseudonymised, {Level.HIGH, Level.LOW})
    assert legal.covers({DataClass.IMAGE_ANONYMISED}, {Level.HIGH})
    assert not legal.covers(identified, {Level.HIGH})
    assert not legal.covers(pseudonymised, {Level.IDENTIFIED})
    assert legal.covers(identified, {Level.IDENTIFIED})
    assert not legal.covers(identified, {Level.IDENTIFIED, Level.HIGH})
    assert legal.covers(pseudonymised | identified, set(Level))


def test_every_purpose_has_its_term_in_dpv():
    assert len(PURPOSES) == 13
    for term in PURPOSES.values():
        assert re.fullmatch(r"https://w3id\.org/dpv(/sector/health)?#[A-Z][A-Za-z]+", term)
