"""Authorization requests, read: whatever comes, it is a request in order, an error code, or nothing is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.identity.application_model import Application, AuthMethod
from wardlight.identity.oidc_request import (
    SCOPES,
    AuthorizationError,
    AuthorizationRequest,
    BadClient,
    origin_of,
    parse,
    redirect_of,
    with_parameters,
)

CALLBACK = "https://reader.example/callback?tenant=1"
CLIENT = Application(
    "acme_reader_prod", "Acme", "Acme Inc.", "active", 0, auth_method=AuthMethod.NONE,
    scopes=frozenset({"images.read"}), redirect_uris=(CALLBACK,),
)  # fmt: skip
GOOD = {
    "response_type": "code",
    "scope": "openid",
    "code_challenge": "A" * 43,
    "code_challenge_method": "S256",
}
NAMES = [*GOOD, "prompt", "max_age", "after", "response_mode", "request", "purpose_of_use", "state", "nonce"]
VALUES = st.one_of(
    st.sampled_from(
        ["", "code", "openid", "plain", "S256", "none", "login none", "0", "-1", "99999999999999999", "query"]
    ),
    st.text(max_size=60),
)
CODES = {
    "invalid_request", "invalid_scope", "unsupported_response_type", "request_not_supported",
    "request_uri_not_supported",
}  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_whatever_comes_is_an_order_or_an_error(changes: dict[str, str]) -> None:
    try:
        found = parse({**GOOD, **changes}, CLIENT, CALLBACK, 1_000_000)
    except AuthorizationError as error:
        assert error.code in CODES
        return
    assert isinstance(found, AuthorizationRequest)
    assert "openid" in found.scopes and found.scopes <= set(SCOPES)
    assert changes.get("code_challenge_method", "S256") == "S256" and len(found.challenge) == 43
    assert found.redirect_uri == CALLBACK


@given(st.text(max_size=100))
def test_no_address_but_the_registered_is_taken(uri: str) -> None:
    if uri == CALLBACK:
        return
    with pytest.raises(BadClient):
        redirect_of({"redirect_uri": uri}, CLIENT)


@pytest.mark.parametrize("state", ["pending", "suspended", "deleted"])
def test_only_active_applications_are_known(state: str) -> None:
    from dataclasses import replace

    for client in (None, replace(CLIENT, state=state), replace(CLIENT, redirect_uris=())):
        with pytest.raises(BadClient):
            redirect_of({"redirect_uri": CALLBACK}, client)


@given(st.dictionaries(st.sampled_from(["code", "state", "iss"]), st.text(max_size=40).filter(bool)))
def test_what_goes_back_arrives_as_it_is(parameters: dict[str, str]) -> None:
    place = urlsplit(with_parameters(CALLBACK, parameters))
    assert (place.netloc, place.path, place.fragment) == ("reader.example", "/callback", "")
    found = {name: values[0] for name, values in parse_qs(place.query, keep_blank_values=True).items()}
    assert found == {"tenant": "1", **parameters}


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://reader.example/cb", "https://reader.example"),
        ("https://Reader.Example:443/cb", "https://reader.example"),
        ("https://reader.example:8443/cb?x#y", "https://reader.example:8443"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
    ],
)
def test_origins_are_spelt_as_browsers_do(uri: str, origin: str) -> None:
    assert origin_of(uri) == origin


def test_how_fresh_the_sign_in_must_be() -> None:
    def since(**changes: Any) -> int:
        return parse({**GOOD, **changes}, CLIENT, CALLBACK, 1_000_000).fresh_since_ms

    assert since() == 0
    assert since(prompt="login") == since(prompt="select_account") == 1_000_000
    assert since(max_age="100") == 900_000 and since(max_age="0") == 1_000_000
    assert since(prompt="login", after="7") == 7
