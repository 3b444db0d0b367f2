"""Enrolment of receivers (security test 19): a code once and in time, the right platform, digits that were compared."""

from __future__ import annotations

import itertools
import json

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from sqlalchemy import text

from oauth_kit import a_key, entries, public, signed
from platform_kit import a_platform
from wardlight import clock
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.enrolments import CODE, REQUEST_TYPE, Code, answer_of
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.identity.service import Identity

NUMBERS = itertools.count()
ISSUER = "https://ward.example"


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def tenant(platform):
    return platform.identity.create_institution("stmary", "St Mary", "eu", by=BY)


@pytest.fixture
def world(platform, tenant):
    return World(platform, tenant)


def refused(code, call, *arguments, reason="", **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == code
    assert not reason or error.value.reason == reason


class World:
    """One receiver, from its code on."""

    def __init__(self, platform, tenant):
        self.platform, self.tenant, self.enrolments = platform, tenant, platform.enrolments
        self.name = f"gateway-{next(NUMBERS)}"
        self.key = a_key()
        self.code = self.open()

    def open(self):
        self.row, code = self.enrolments.open(self.tenant, self.name, by=BY)
        return code

    def request(self, code="", key=None, **header):
        key = key or self.key
        jwk = {name: value for name, value in public(key).items() if name != "kid"}
        head = {"alg": "ES256", "typ": REQUEST_TYPE, "jwk": jwk} | header
        return signed(head, {"code": code or self.code}, key)

    def use(self, *arguments, **options):
        return self.enrolments.use(self.request(*arguments, **options), issuer=ISSUER)

    def answer(self):
        return answer_of(self.use(), Code.parse(self.code), self.key)

    def confirm(self, digits):
        return self.enrolments.confirm(self.tenant.id, self.row.id, digits, by=BY)

    def state(self):
        (found,) = [row for row in self.platform.identity.receivers(self.tenant.id) if row.id == self.row.id]
        return found.state

    def enrolment(self):
        return [row for row in self.enrolments.list(self.tenant.id) if row.receiver == self.row.id]


def test_from_a_code_to_a_receiver_that_is_let_in(world):
    assert world.state() == "pending" and world.enrolment()[0].state == "open"
    answer = world.answer()
    assert answer["receiver"] == world.row.id and answer["iss"] == ISSUER
    assert answer["name"] == world.name and answer["institution"] == "stmary"
    (waiting,) = world.enrolment()
    assert (waiting.state, waiting.digits) == ("waiting", answer["digits"]) and len(waiting.digits) == 6
    # The digits alone make it one that may come.
    assert world.state() == "pending"
    assert world.confirm(answer["digits"]).state == world.state() == "active"
    (found,) = world.enrolment()
    assert (found.state, found.digits) == ("confirmed", "")
    told = [
        entry
        for entry in entries(world.platform, "identity:receiver:enrol")
        if entry["object"]["id"] == world.row.id
    ]
    assert [entry["change"][0]["after"] for entry in told] == ["open", "waiting", "confirmed"]
    assert told[1]["actor"] == {"kind": "receiver", "id": world.row.id}


def test_a_code_is_used_once(world):
    digits = world.answer()["digits"]
    for key in (world.key, a_key()):
        refused("enrolment-refused", world.use, key=key, reason="code")
    # Whoever came second changed nothing.
    assert world.confirm(digits).state == "active"
    refused("enrolment-refused", world.use, reason="code")


def test_a_code_is_used_in_time(world, monkeypatch):
    later = clock.unix_ms() + int(CODE.total_seconds() * 1000)
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    refused("enrolment-refused", world.use, reason="code")
    assert world.enrolment()[0].state == "late" and world.state() == "pending"


def test_a_newer_code_ends_the_one_before(world):
    old, world.code = world.code, world.open()
    refused("enrolment-refused", world.use, old, reason="code")
    assert world.answer()["digits"]


def test_other_digits_end_it(world):
    digits = world.answer()["digits"]
    other = f"{(int(digits) + 1) % 1_000_000:06}"
    refused("enrolment-refused", world.confirm, other, reason="digits")
    assert world.state() == "pending" and not world.enrolment()
    refused("conflict", world.confirm, digits)
    assert entries(world.platform, "identity:receiver:revoke")[-1]["change"][0]["after"] == "other-digits"


def test_nothing_is_confirmed_before_a_key_came(world):
    refused("conflict", world.confirm, "")
    refused("conflict", world.confirm, "000000")
    refused("not-found", world.enrolments.confirm, world.tenant.id, "rc-000000000000", "1", by=BY)


def test_other_institutions_receivers_are_not_there(world):
    other = world.platform.identity.create_institution(f"o-{next(NUMBERS)}", "O", "eu", by=BY)
    digits = world.answer()["digits"]
    refused("not-found", world.enrolments.confirm, other.id, world.row.id, digits, by=BY)
    refused("not-found", world.enrolments.revoke, other.id, world.row.id, by=BY)
    assert world.enrolments.list(other.id) == []
    assert world.confirm(digits)


def test_the_platform_takes_its_own_codes_only(world):
    other = Code(Code.parse(world.code).secret, "A" * 26)
    refused("enrolment-refused", world.use, other.text, reason="other-platform")
    guess = Code("A" * 20, Code.parse(world.code).platform)
    refused("enrolment-refused", world.use, guess.text, reason="code")
    assert world.answer()


@pytest.mark.parametrize(
    "header",
    [{"typ": "JWT"}, {"kid": "k"}, {"jku": "https://evil.example"}, {"jwk": {}}, {"jwk": public(a_key())}],
)
def test_requests_that_do_not_hold(world, header):
    refused("enrolment-refused", world.use, reason="form", **header)
    assert world.enrolment()[0].state == "open"


def test_noise(world):
    for noise in ("", "a.b.c", "x" * 9000, world.code):
        refused("enrolment-refused", world.enrolments.use, noise, issuer=ISSUER, reason="form")
    wrong = a_key(crv="P-384")
    refused("enrolment-refused", world.use, key=wrong, alg="ES384", reason="form")
    for bad in ("WL1-", "WL2" + world.code[3:], world.code + "A", world.code.replace("-", "")):
        refused("bad-request", Code.parse, bad)
    assert Code.parse(f"  {world.code.lower()}\n").text == world.code


def test_a_receiver_believes_only_the_platform_of_its_code(world):
    """Security test 19, from the receiver's side: somebody in between is not believed."""
    answer, code = world.use(), Code.parse(world.code)
    between = ECKey.generate_key("P-256")
    head, claims = (
        jws.extract_compact(answer.encode()).headers(),
        json.loads(jws.extract_compact(answer.encode()).payload),
    )
    forged = signed({**head, "jwk": between.as_dict(private=False)}, claims, between)
    refused("enrolment-refused", answer_of, forged, code, world.key, reason="other-platform")
    own_key = signed(head, claims, between)
    refused("enrolment-refused", answer_of, own_key, code, world.key, reason="form")
    # A key that somebody put in the place of ours on the way.
    refused("enrolment-refused", answer_of, answer, code, a_key(), reason="other-key")
    assert answer_of(answer, code, world.key)["digits"]


def test_a_new_key_takes_the_place_of_the_old_when_it_is_confirmed(world):
    world.confirm(world.answer()["digits"])
    token = world.platform.identity.issue_receiver_token(world.row, by=BY)
    world.key, world.code = a_key(), world.open()
    digits = world.answer()["digits"]
    assert world.state() == "active" and world.platform.identity.authenticate(token)
    assert len(world.enrolment()) == 2
    world.confirm(digits)
    assert len(world.enrolment()) == 1 and world.platform.identity.authenticate(token) is None
    assert entries(world.platform, "identity:receiver:rotate_key")[-1]["object"]["id"] == world.row.id


def test_a_revoked_receiver_comes_back_only_with_a_new_code(world):
    world.confirm(world.answer()["digits"])
    token = world.platform.identity.issue_receiver_token(world.row, by=BY)
    assert world.enrolments.revoke(world.tenant.id, world.name, by=BY) == 1
    assert world.state() == "revoked" and world.platform.identity.authenticate(token) is None
    assert not world.enrolment()
    world.code = world.open()
    assert world.state() == "revoked"
    world.confirm(world.answer()["digits"])
    assert world.state() == "active"
    assert world.platform.identity.authenticate(token) is None


def test_outside_the_demo_a_plain_token_is_not_taken(world):
    token = world.platform.identity.issue_receiver_token(world.row, by=BY)
    world.confirm(world.answer()["digits"])
    plain = world.platform.identity.issue_receiver_token(world.row, by=BY)
    strict = Identity(world.platform.database, world.platform.recorder, world.platform.keystore)
    assert world.platform.identity.authenticate(plain) and not strict.authenticate(plain)
    assert not strict.authenticate(token)


def test_codes_are_not_stored(world):
    with world.platform.database.read(EVERYWHERE) as tx:
        kept = repr(
            [tx.execute(text(f"SELECT * FROM {name}")).all() for name in ("receiver_key", "audit_pending")]
        )
    assert Code.parse(world.code).secret not in kept


def test_names_are_printable(world):
    for name in ("", "a\nb", "x" * 201):
        refused("bad-request", world.enrolments.open, world.tenant, name, by=BY)
