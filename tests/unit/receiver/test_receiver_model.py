"""Routes: who may send where, and what is not taken as a route."""

from __future__ import annotations

import pytest

from wardlight.errors import WardlightError
from wardlight.receiver.model import DEFAULT_ROUTE, Level, Route, Target

IMAGES = (Target("images", Level.HIGH),)


def test_the_default_route_is_the_documented_one() -> None:
    assert DEFAULT_ROUTE.called_ae == "TEAMPLAYISHARE"
    assert DEFAULT_ROUTE.targets == IMAGES
    assert DEFAULT_ROUTE.checked() == DEFAULT_ROUTE


@pytest.mark.parametrize(
    ("patterns", "title", "admitted"),
    [
        ((), "ANYTHING", True),
        (("CT*",), "CT_1", True),
        (("CT*",), "ct_1", False),
        (("CT*",), "MR_1", False),
        (("CT?", "MR_1"), "MR_1", True),
        (("CT[1]",), "CT1", False),
        (("CT[1]*",), "CT[1]A", True),
    ],
)
def test_calling_titles(patterns: tuple[str, ...], title: str, admitted: bool) -> None:
    assert Route("A", IMAGES, calling=patterns).admits_title(title) is admitted


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        ((), "203.0.113.9", True),
        (("192.0.2.0/24",), "192.0.2.77", True),
        (("192.0.2.0/24",), "::ffff:192.0.2.77", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("192.0.2.0/24",), "2001:db8::1", False),
        (("2001:db8::/32",), "2001:db8::1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("192.0.2.0/24",), "not an address", False),
        (("192.0.2.0/24",), "", False),
    ],
)
def test_networks(networks: tuple[str, ...], address: str, admitted: bool) -> None:
    assert Route("A", IMAGES, networks=networks).admits_address(address) is admitted


@pytest.mark.parametrize(
    "route",
    [
        Route("", IMAGES),
        Route("SEVENTEENCHARACTE", IMAGES),
        Route("BACK\\SLASH", IMAGES),
        Route(" LEADING", IMAGES),
        Route("A", ()),
        Route("A", (*IMAGES, *IMAGES)),
        Route("A", IMAGES, calling=("",)),
        Route("A", IMAGES, calling=("x" * 17,)),
        Route("A", IMAGES, networks=("192.0.2.300/24",)),
        Route("A", IMAGES, networks=("everywhere",)),
    ],
)
def test_what_is_no_route_is_refused(route: Route) -> None:
    with pytest.raises(WardlightError) as caught:
        route.checked()
    assert caught.value.code == "bad-request"


def test_networks_are_kept_in_canonical_form() -> None:
    assert Route("A", IMAGES, networks=("192.0.2.77/24",)).checked().networks == ("192.0.2.0/24",)


def test_targets_are_written_as_application_and_level() -> None:
    assert Target.parse("acme_ai:medium") == Target("acme_ai", Level.MEDIUM)
    assert Target.parse("images") == Target("images", Level.HIGH)
    assert str(Target("images", Level.LOW)) == "images:low"
    for text in ("", ":high", "images:lowest", "Images:high", "a b:high"):
        with pytest.raises(WardlightError):
            Target.parse(text)
