"""Passwords, codes and delays: what is taken, what is kept, and how long guessing takes."""

import threading
import time
from base64 import b32decode
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.identity import lockout, passwords, totp

SALT = bytes(range(16))


@pytest.mark.parametrize(
    "password",
    [
        "short", "eleven char", "password1234", "Password123456!", "p4ssw0rdp4ssw0rd", "WelcomeHospital2026!",
        "qwertyqwerty", "aaaaaaaaaaaaa", "abababababababab", "123456789012", "987654321098", "839201746523",
        "drhale-2024!!", "Summer2026Summer", "iloveyou12345", "abcdefghijklmnop", "wardlightwardlight", "x" * 129,
    ],
)  # fmt: skip
def test_what_is_guessed_first_is_refused(password):
    with pytest.raises(WardlightError, match="password") as error:
        passwords.require_good(password, "dr.drhale@stmary.example")
    assert error.value.reason == "password"
    assert password not in str(error.value)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "umbrella horizon 42 tin",
        "7h$Kq29!xP4&vL",
        "зелёный чай и мёд",
        "天気がいいから散歩しましょう",
    ],
)
def test_what_is_not_is_taken(password):
    passwords.require_good(password, "dr.hale@stmary.example")


def test_what_is_kept_is_argon2id_of_32_mib_three_passes_and_one_lane():
    expected = Argon2id(salt=SALT, length=32, iterations=3, lanes=1, memory_cost=32768).derive(b"a password")
    assert passwords.derive("a password", SALT) == expected
    # However the keyboard makes its letters.
    assert passwords.derive("e\u0301", SALT) == passwords.derive("\u00e9", SALT)


def test_three_are_made_at_once_and_who_waits_too_long_is_told(monkeypatch):
    monkeypatch.setattr(passwords, "_WAIT_S", 0.05)
    held = [passwords._AT_ONCE.acquire(timeout=1) for _ in range(3)]
    try:
        with pytest.raises(WardlightError) as error:
            passwords.derive("a password", SALT)
        assert error.value.code == "unavailable"
    finally:
        for _ in held:
            passwords._AT_ONCE.release()
    assert passwords.derive("a", SALT)


def test_other_threads_go_on_while_one_is_made():
    done = threading.Event()
    thread = threading.Thread(target=lambda: (passwords.derive("a password", SALT), done.set()))
    thread.start()
    steps = 0
    while not done.is_set():
        time.sleep(0.001)
        steps += 1
    thread.join()
    assert steps > 5


@pytest.mark.parametrize(
    ("at_s", "expected"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
     (20000000000, "353130")],
)  # fmt: skip
def test_codes_are_those_of_rfc_6238_appendix_b(at_s, expected):
    secret = b"12345678901234567890"
    assert totp.code(secret, at_s // 30) == expected
    assert totp.step_of(secret, expected, at_s * 1000) == at_s // 30


@given(st.integers(-3, 3), st.integers(10**6, 10**8))
def test_a_code_is_good_for_one_step_before_and_after(off, step):
    secret = b"12345678901234567890"
    given_code = totp.code(secret, step + off)
    found = totp.step_of(secret, given_code, step * 30_000)
    if abs(off) <= 1:
        assert found is not None
    elif given_code not in {totp.code(secret, step + near) for near in (-1, 0, 1)}:
        assert found is None


@pytest.mark.parametrize("given_code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\ud800"])
def test_what_is_no_code_is_none(given_code):
    assert totp.step_of(b"12345678901234567890", given_code, 59_000) is None


def test_the_address_for_authenticators_holds_the_secret():
    secret = totp.new_secret()
    address = urlsplit(totp.address(secret, "a b@x.example"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert b32decode(parse_qs(address.query)["secret"][0]) == secret


def test_the_delay_doubles_from_a_second_to_a_quarter_of_an_hour():
    delays = [lockout.delay_ms(failures) // 1000 for failures in range(1, 18)]
    assert delays == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert lockout.delay_ms(10**6) == 900_000


def test_keys_tell_accounts_and_networks_apart_and_name_neither():
    one = lockout.keys("a@x.example", "192.0.2.7")
    assert lockout.keys("a@x.example", "192.0.2.200") == one
    assert lockout.keys("a@x.example", "192.0.3.7")[1] == one[1]
    assert lockout.keys("a@x.example", "192.0.3.7")[0] != one[0]
    assert not set(lockout.keys("b@x.example", "192.0.2.7")) & set(one)
    assert lockout.keys("a@x.example", "2001:db8::1") == lockout.keys("a@x.example", "2001:db8::ffff")
    assert lockout.keys("a@x.example", "")
    assert "x.example" not in "".join(one)
