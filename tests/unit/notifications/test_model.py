"""Definitions hold no text that could name a patient, and values are of their kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wardlight.errors import WardlightError
from wardlight.identity.model import Role
from wardlight.notifications.model import Definition, Permission, check, check_values, filled
from wardlight.notifications.own import OWN

GOOD = Definition("acme", "result-ready", 1, "Results", "{count} of {date}, {id}", Permission.ANY)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"name": "Result"}, {"name": "a" * 41}, {"name": "-a"}, {"name": "a--b"},
        {"title": ""}, {"title": "   "}, {"title": "x" * 81}, {"title": "two\nlines"}, {"title": "a\u202eb"},
        {"text": "x" * 401}, {"text": "{patient}"}, {"text": "{0}"}, {"text": "{count!r}"}, {"text": "{count:>9}"},
        {"text": "{"}, {"text": "}"}, {"text": "{{count}}"}, {"text": "{}"}, {"channels": frozenset()},
    ],
)  # fmt: skip
def test_a_definition_that_is_not_plain_is_refused(change):
    check(GOOD)
    with pytest.raises(WardlightError, match="bad-request"):
        check(replace(GOOD, **change))


@pytest.mark.parametrize(
    "values",
    [
        {}, {"count": 1, "date": "2026-01-01T00:00:00Z"},
        {"count": "1", "date": "2026-01-01T00:00:00Z", "id": "0" * 32},
        {"count": True, "date": "2026-01-01T00:00:00Z", "id": "0" * 32},
        {"count": -1, "date": "2026-01-01T00:00:00Z", "id": "0" * 32},
        {"count": 1, "date": "Doe^Jane", "id": "0" * 32}, {"count": 1, "date": "2026-01-01", "id": "0" * 32},
        {"count": 1, "date": "2026-01-01T00:00:00Z", "id": "Doe Jane"},
        {"count": 1, "date": "2026-01-01T00:00:00Z", "id": "MRN-7"},
        {"count": 1, "date": "2026-01-01T00:00:00Z", "id": "0" * 32, "total": 2},
        {"count": 1, "date": "2026-01-01T00:00:00Z", "id": "0" * 32, "application": "Doe"},
    ],
)  # fmt: skip
def test_values_are_of_their_kind_and_neither_more_nor_less(values):
    with pytest.raises(WardlightError, match="bad-request"):
        check_values(GOOD, values)


def test_values_fill_their_places_and_nothing_else():
    values = check_values(GOOD, {"count": 1234, "date": "2026-11-24T09:10:00+01:00", "id": "ab" * 16})
    assert filled(GOOD.text, values, {}) == f"1,234 of 24 Nov 2026, 08:10 UTC, {'ab' * 16}"
    # A name is no template.
    assert filled("{application} says", {}, {"application": "{institution}"}) == "{institution} says"
    assert filled("{count}", {}, {}) == "–"


def test_the_platforms_own_obey_the_same_rules():
    for name, one in OWN.items():
        assert check(one).name == name and one.permission.roles


def test_permissions_follow_roles():
    assert Permission.MANAGE.roles == {Role.ADMINISTRATOR}
    assert Permission.AUDIT.roles == Permission.RIGHTS.roles == {Role.ADMINISTRATOR, Role.PRIVACY_OFFICER}
    assert Permission.STUDIES.roles == {Role.ADMINISTRATOR, Role.CLINICIAN}
    assert Permission.IMAGES.roles == {Role.ADMINISTRATOR, Role.CLINICIAN, Role.RESEARCHER}
    assert Role.OPERATOR not in Permission.ANY.roles and len(Permission.ANY.roles) == 4
