"""Every route × every kind of caller (security tests 18, 26): the page is what is measured, and has rules."""

from __future__ import annotations

import pytest

from access_world import PAGE, PRINCIPALS, a_world, table

DOCUMENTED = table(PAGE.read_text())
COLUMN = {name: number for number, name in enumerate(PRINCIPALS)}
#: Applications that lack something: they see no image.
WITHOUT = [name for name in PRINCIPALS if name.startswith("app-") and name not in ("app-valid",)]


@pytest.fixture(scope="module")
def world():
    with a_world() as world:
        yield world


@pytest.fixture(scope="module")
def measured(world):
    return world.measured()


def guarded(rows):
    return {name: outcomes for name, outcomes in rows.items() if outcomes[0] != "open"}


def images(rows):
    """Routes below one study that show something of it."""
    return {
        name: outcomes
        for name, outcomes in rows.items()
        if name.startswith(("GET /dicom-web/studies/", "GET /dicom-web/wado"))
    }


def test_the_page_is_what_is_measured(measured):
    assert set(DOCUMENTED) == set(measured), "a route without its row, or a row without its route"
    different = {
        name: (DOCUMENTED[name], measured[name]) for name in measured if DOCUMENTED[name] != measured[name]
    }
    assert not different


def test_nobody_and_who_was_somebody_get_nowhere(measured):
    for name, outcomes in guarded(measured).items():
        assert outcomes[COLUMN["anonymous"]] == outcomes[COLUMN["expired-token"]] == "401", name


def test_a_person_from_elsewhere_gets_nothing(measured):
    for name, outcomes in guarded(measured).items():
        assert outcomes[COLUMN["other-network"]] == "403", name
        if name in images(measured):
            assert outcomes[COLUMN["other-institution"]] == "404", name


def test_an_application_without_any_one_of_what_access_stands_on_sees_no_image(measured):
    rows = images(measured)
    assert len(rows) > 25
    for name, outcomes in rows.items():
        for who in WITHOUT:
            assert outcomes[COLUMN[who]] == "404", (name, who)


def test_the_application_with_a_live_grant_sees_it(measured):
    for name, outcomes in images(measured).items():
        assert outcomes[COLUMN["app-valid"]] == "✓", name


def test_operators_and_receivers_read_no_patient_data(measured):
    for name, outcomes in images(measured).items():
        assert outcomes[COLUMN["operator"]] == outcomes[COLUMN["receiver"]] == "403", name
    for name in (
        "GET /dicom-web/studies",
        "GET /api/v1/audit/entries",
        "POST /api/v1/audit/search",
        "GET /api/v1/grants",
    ):
        assert measured[name][COLUMN["operator"]] == measured[name][COLUMN["receiver"]] == "403", name


def test_the_platform_is_for_operators_alone(measured):
    for name, outcomes in guarded(measured).items():
        if "/platform/" in name or "/api/v1/institutions" in name:
            allowed = {who for who in PRINCIPALS if outcomes[COLUMN[who]] not in ("401", "403")}
            assert allowed == {"operator"}, name


def test_nothing_of_a_study_is_in_what_others_get(world, measured):
    assert measured and world.leaks == []
