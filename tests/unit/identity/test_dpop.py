"""Proofs of possession (RFC 9449 section 4.3): for one request, one token, one minute, one key."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from oauth_kit import a_key, proof, public
from wardlight import clock
from wardlight.identity import dpop
from wardlight.identity.dpop import NONCE_S, Nonces, ProofRefused
from wardlight.identity.jose import encode, public_key, thumbprint

KEY = a_key()
NONCES = Nonces(b"k" * 32)
URL = "https://ward.example/dicom-web/studies"
TOKEN = "wl_rt_token"


def shown(**options):
    return proof(KEY, options.pop("nonce", NONCES.new()), url=URL, token=TOKEN, **options)


def check(text, method="POST", url=URL, token=TOKEN, nonces=NONCES):
    return dpop.check(text, method, url, nonces, token=token)


def reason(text, **asked):
    with pytest.raises(ProofRefused) as error:
        check(text, **asked)
    return error.value.reason


def test_it_names_the_key():
    assert check(shown()) == thumbprint(public_key(public(KEY))[0])


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}?limit=1",
        f"{URL}#x",
        "HTTPS://WARD.example/dicom-web/studies",
        URL.replace(".example", ".example:443"),
    ],
)
def test_query_fragment_and_usual_port_do_not_count(url):
    assert check(shown(htu=url))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"method": "GET"}, "proof-other-request"),
        ({"url": f"{URL}/1.2.3"}, "proof-other-request"),
        ({"url": URL.replace("https", "http")}, "proof-other-request"),
        ({"url": URL.replace("ward", "evil")}, "proof-other-request"),
        ({"url": URL.replace(".example", ".example:8443")}, "proof-other-request"),
        ({"token": "wl_rt_other"}, "proof-other-token"),
        ({"token": ""}, "proof-other-token"),
        ({"nonces": Nonces(b"o" * 32)}, "nonce"),
    ],
)
def test_it_is_for_one_request_and_token(asked, expected):
    assert reason(shown(), **asked) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ath": None}, "proof-other-token"),
        ({"htu": "not a url ["}, "proof-other-request"),
        ({"htu": 5}, "proof-other-request"),
        ({"htm": None}, "proof-other-request"),
        ({"jti": None}, "proof-claims"),
        ({"iat": "now"}, "proof-claims"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["x"]}, "nonce"),
        ({"header": {"typ": "JWT"}}, "proof-type"),
        ({"header": {"kid": "k1"}}, "proof-header"),
        ({"header": {"jku": "https://evil.example"}}, "proof-header"),
        ({"header": {"jwk": public(a_key())}}, "proof-signature"),
        ({"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}, "proof-private-key"),
        ({"header": {"jwk": {}}}, "proof-key"),
        ({"header": {"jwk": public(a_key(crv="P-384"))}}, "proof-algorithm"),
    ],
)
def test_what_does_not_hold(changed, expected):
    assert reason(shown(**changed)) == expected


def test_a_private_key_in_a_header_is_refused_and_so_is_rsa():
    private = KEY.as_dict(private=True)
    assert reason(shown(header={"jwk": private})) == "proof-private-key"
    rsa = RSAKey.generate_key(2048)
    text = proof(rsa, NONCES.new(), url=URL, token=TOKEN, header={"alg": "RS384"})
    assert reason(text) == "proof-algorithm"


def test_alg_none_and_noise():
    head, body, _ = shown().split(".")
    said = json.loads(base64.urlsafe_b64decode(head + "=="))
    unsigned = encode(json.dumps(said | {"alg": "none"}).encode())
    assert reason(f"{unsigned}.{body}.") == "proof-algorithm"
    for text in ("", ".", "..", "a.b", "é.é.é", "x" * 9000):
        assert reason(text).startswith("proof-")


def test_a_nonce_is_good_for_a_minute(monkeypatch):
    nonce, now = NONCES.new(), clock.unix_ms()
    for age_s, fresh in ((0, True), (NONCE_S, True), (NONCE_S + 2, False), (-4, True), (-10, False)):
        monkeypatch.setattr(clock, "unix_ms", lambda age_s=age_s: now + age_s * 1000)
        assert NONCES.fresh(nonce) is fresh, age_s


@given(st.text(max_size=60) | st.binary(max_size=40).map(encode))
def test_nobody_makes_a_nonce(text):
    assert not NONCES.fresh(text)


@given(st.integers(0, 23), st.integers(1, 255))
def test_no_bit_of_a_nonce_may_change(place, change):
    data = bytearray(base64.urlsafe_b64decode(NONCES.new()))
    data[place] ^= change
    assert not NONCES.fresh(encode(bytes(data)))


def test_a_key_has_one_thumbprint_however_its_numbers_are_spelt():
    jwk = public(KEY)
    padded = base64.urlsafe_b64decode(jwk["x"] + "=").rjust(40, b"\0")
    spelt = {**jwk, "x": encode(padded), "key_ops": ["verify"], "extra": 1}
    assert thumbprint(public_key(spelt)[0]) == thumbprint(public_key(jwk)[0])
