"""Registration of applications: ids, addresses, approval, keys; each step is an entry of the operator's log."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from oauth_kit import a_key, entries, public
from platform_kit import a_platform
from wardlight.errors import WardlightError
from wardlight.identity.application_model import USUAL_APPLICATION_SCOPES, ApplicationKind, AuthMethod
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture
def applications(platform):
    return platform.applications


@pytest.fixture
def id_():
    return f"acme_reader_t{next(NUMBERS)}"


def refused(code, call, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == code


def test_what_is_registered_is_what_is_shown(platform, applications, id_):
    row = applications.register(
        id_, "Acme Reader", "Acme Inc.", owner="Kim Vendor, kim@acme.example", kind=ApplicationKind.ON_PREMISES,
        scopes={"images.read", "audit.write"}, redirect_uris=("https://acme.example/back?x=1", "http://127.0.0.1:9/"),
        post_logout_uris=("https://acme.example/",), by=BY,
    )  # fmt: skip
    assert applications.show(id_) == row
    assert (row.state, row.environment, row.active) == ("pending", id_.rpartition("_")[2], False)
    assert row in applications.list() and applications.keys(id_) == []
    entry = entries(platform, "identity:application:register")[-1]
    assert entry["object"] == {"kind": "application", "id": id_} and "kim" not in str(entry)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "acme",
        "acme_reader",
        "acme_reader_test_1",
        "Acme_reader_test",
        "acme__test",
        "a_b_" + "c" * 21,
        "a_b_c\n",
        "a_b_ü",
    ],
)
def test_ids(applications, bad):
    refused("bad-request", applications.register, bad, "A", "V", by=BY)


@pytest.mark.parametrize(
    "uri",
    [
        "http://acme.example/", "javascript:alert(1)", "https://acme.example/#x", "https://u@acme.example/",
        "https://acme.example/ /", "https://*.example/", "https://acme.example/a/../b", "https://", "//acme.example",
        "https://acme.example:0/", "https://acme.example\\@evil.example/", "https://äcme.example/", "com.acme:/back",
        "http://localhost.evil.example/", "https://acme.example/" + "x" * 500,
    ],
)  # fmt: skip
def test_addresses_that_two_readers_take_differently(applications, id_, uri):
    refused("bad-request", applications.register, id_, "A", "V", redirect_uris=(uri,), by=BY)
    refused("bad-request", applications.register, id_, "A", "V", post_logout_uris=(uri,), by=BY)


@pytest.mark.parametrize(
    "options",
    [
        {"scopes": ()}, {"scopes": {"manage"}}, {"scopes": {"images.read", "receiver.store"}}, {"name": ""},
        {"vendor": "a\nb"}, {"owner": "x" * 201}, {"redirect_uris": ("https://a.example/",) * 21},
    ],
)  # fmt: skip
def test_what_is_not_registered(applications, id_, options):
    names = {"name": "A", "vendor": "V"} | {
        name: options[name] for name in ("name", "vendor") if name in options
    }
    rest = {name: value for name, value in options.items() if name not in names}
    refused("bad-request", applications.register, id_, names["name"], names["vendor"], by=BY, **rest)


def test_states_and_who_brings_them_about(platform, applications, id_):
    applications.register(id_, "A", "V", by=BY)
    refused("already-exists", applications.register, id_, "A", "V", by=BY)
    assert applications.approve(id_, by=BY).active
    refused("conflict", applications.approve, id_, by=BY)
    assert applications.suspend(id_, by=BY).state == "suspended"
    refused("conflict", applications.suspend, id_, by=BY)
    assert applications.approve(id_, by=BY).active
    applications.add_key(id_, public(a_key()), by=BY)
    assert applications.delete(id_, by=BY).state == "deleted"
    assert applications.keys(id_) == []
    for call in (applications.approve, applications.suspend, applications.delete):
        refused("conflict", call, id_, by=BY)
    refused("conflict", applications.add_key, id_, public(a_key("k2")), by=BY)
    # Its name is never given again.
    refused("already-exists", applications.register, id_, "A", "V", by=BY)
    assert id_ not in {row.id for row in applications.list()}
    for action in ("approve", "suspend", "delete"):
        entry = entries(platform, f"identity:application:{action}")[-1]
        assert entry["object"]["id"] == id_ and entry["change"][0]["path"] == "state"
    for call in (applications.show, applications.keys):
        refused("not-found", call, "acme_not_there")
    for call in (applications.approve, applications.suspend, applications.delete):
        refused("not-found", call, "acme_not_there", by=BY)


def test_a_registration_changes_and_a_lost_scope_ends_its_tokens(platform, applications, id_):
    before = applications.register(id_, "A", "V", owner="Kim", by=BY)
    applications.approve(id_, by=BY)
    tenant = platform.identity.create_institution(f"t-{next(NUMBERS)}", "T", "eu", by=BY)
    tokens = AccessTokens(platform.database, platform.recorder)
    token = tokens.give(applications.show(id_), tenant.id, purpose="TREAT", by=BY)
    row = applications.change(id_, name="B", owner="Sam Secret", redirect_uris=("https://b.example/",), by=BY)
    assert applications.show(id_) == row and (row.name, row.scopes) == ("B", before.scopes)
    entry = entries(platform, "identity:application:change")[-1]
    assert {one["path"] for one in entry["change"]} == {"name", "owner", "redirect_uris"}
    assert "Secret" not in str(entry) and platform.identity.authenticate(token)
    applications.change(id_, scopes={"images.read"}, by=BY)
    assert platform.identity.authenticate(token) is None
    for wrong in (
        {"scopes": ()},
        {"scopes": {"manage"}},
        {"name": ""},
        {"redirect_uris": ("http://b.example/",)},
    ):
        refused("bad-request", applications.change, id_, by=BY, **wrong)
    refused("not-found", applications.change, "acme_not_there", by=BY)
    applications.delete(id_, by=BY)
    refused("conflict", applications.change, id_, name="C", by=BY)


def test_keys_that_are_taken(applications, id_):
    applications.register(id_, "A", "V", by=BY)
    plain = ECKey.generate_key("P-384")
    assert applications.add_key(id_, public(plain), by=BY).kid == plain.thumbprint()
    ps = RSAKey.generate_key(2048, {"kid": "ps", "alg": "PS256"})
    assert applications.add_key(id_, public(ps), by=BY).alg == "PS256"
    refused("already-exists", applications.add_key, id_, public(ps), by=BY)
    applications.remove_key(id_, "ps", by=BY)
    refused("not-found", applications.remove_key, id_, "ps", by=BY)
    applications.add_key(id_, public(ps), by=BY)
    for number in range(8):
        applications.add_key(id_, public(a_key(f"n{number}")), by=BY)
    refused("conflict", applications.add_key, id_, public(a_key("more")), by=BY)
    refused("bad-request", applications.remove_key, id_, "ps", by=BY, overlap=timedelta(days=31))


def bad_keys():
    key = a_key()
    yield "private", key.as_dict(private=True)
    yield "symmetric", OctKey.generate_key(256).as_dict(private=True)
    yield "another curve", public(ECKey.generate_key("P-521"))
    yield "Edwards", OKPKey.generate_key("Ed25519").as_dict(private=False)
    yield "a short RSA key", RSAKey.generate_key(1024).as_dict(private=False)
    yield "HS256", public(key) | {"alg": "HS256"}
    yield "of the other curve", public(key) | {"alg": "ES384"}
    yield "to encrypt", public(key) | {"use": "enc"}
    yield "not on the curve", public(key) | {"x": public(a_key())["x"]}
    yield "nothing", {}
    yield "numbers", {"kty": "EC", "crv": "P-256", "x": 1, "y": 2}
    yield "kid is a path", public(a_key("../../etc"))
    yield "kid is empty", public(key) | {"kid": ""}
    yield "kid is a number", public(key) | {"kid": 7}


@pytest.mark.filterwarnings("ignore:Key size")
def test_keys_that_are_not_taken(applications, id_):
    applications.register(id_, "A", "V", by=BY)
    for what, jwk in bad_keys():
        with pytest.raises(WardlightError) as error:
            applications.add_key(id_, jwk, by=BY)
        assert error.value.code == "bad-request", what
    assert applications.keys(id_) == []


def test_a_secret_or_a_key_but_not_both(applications, id_):
    applications.register(id_, "A", "V", auth_method=AuthMethod.CLIENT_SECRET_BASIC, by=BY)
    refused("conflict", applications.add_key, id_, public(a_key()), by=BY)
    applications.new_secret(id_, by=BY)
    (row,) = applications.keys(id_)
    assert (row.alg, row.jwk) == ("secret", "")
    other = f"{id_}k"
    applications.register(other, "A", "V", by=BY)
    refused("conflict", applications.new_secret, other, by=BY)


def test_usual_scopes_do_not_bring_studies(applications, id_):
    row = applications.register(id_, "A", "V", by=BY)
    assert (
        row.scopes == {scope.value for scope in USUAL_APPLICATION_SCOPES}
        and "images.upload" not in row.scopes
    )
