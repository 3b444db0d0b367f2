"""Institutions, people, receivers and tokens: who is who, for how long, and what the trail says."""

import hashlib
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from platform_kit import a_platform
from wardlight import clock
from wardlight.db.engine import EVERYWHERE
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind, Role, TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR, actor_of
from wardlight.identity.tokens import TokenKind, new_token, token_kind

BY = LOCAL_ADMINISTRATOR


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def institution(platform):
    return platform.identity.create_institution("stmary", "St Mary", "eu", by=BY)


@pytest.fixture(scope="module")
def person(platform, institution):
    return platform.identity.create_person(institution.id, "hale", "Robin Hale", Role.CLINICIAN, by=BY)


@pytest.fixture(scope="module")
def receiver(platform, institution):
    return platform.identity.create_receiver(institution.id, "gateway-1", by=BY)


def refused(code, call, *arguments, **options):
    with pytest.raises(WardlightError) as error:
        call(*arguments, **options)
    assert error.value.code == code


def sql(platform, statement):
    with platform.database.read(EVERYWHERE) as tx:
        return tx.execute(text(statement)).all()


def test_tokens_stand_for_their_holders(platform, institution, person, receiver):
    token = platform.identity.issue_person_token(person, by=BY)
    principal = platform.identity.authenticate(token)
    assert (principal.kind, principal.id, principal.institution) == (
        PrincipalKind.PERSON, person.id, institution.id,
    )  # fmt: skip
    assert principal.role is Role.CLINICIAN and principal.scopes == {
            "images.read", "images.store", "audit.read",
        }  # fmt: skip
    assert actor_of(principal).role == "clinician"
    principal = platform.identity.authenticate(platform.identity.issue_receiver_token(receiver, by=BY))
    assert (principal.kind, principal.role, principal.scopes) == (
        PrincipalKind.RECEIVER, None, {"receiver.store", "receiver.audit"},
    )  # fmt: skip
    assert len(principal.token_ref) == 22


def test_only_a_digest_is_kept(platform, person):
    token = platform.identity.issue_person_token(person, by=BY)
    rows = sql(platform, "SELECT hash FROM token")
    assert (hashlib.sha256(token.encode()).digest(),) in rows
    stored = b"".join(file.read_bytes() for file in platform.settings.data_dir.rglob("*") if file.is_file())
    assert token.encode() not in stored and token[6:].encode() not in stored


@pytest.mark.parametrize("damage", ["", "x", "wl_pt_", "wl_xx_" + "A" * 48, "wl_pt_" + "A" * 48])
def test_noise_is_nobody(platform, damage):
    assert platform.identity.authenticate(damage) is None


@given(st.integers(6, 53), st.sampled_from("ABCxyz019-_"))
def test_a_changed_token_fails_its_checksum(place, letter):
    token = new_token(TokenKind.PERSON)
    changed = token[:place] + letter + token[place + 1 :]
    assert (token_kind(changed) is TokenKind.PERSON) == (changed == token)


def test_a_token_of_one_kind_is_not_taken_for_the_other(platform):
    assert platform.identity.authenticate(new_token(TokenKind.RECEIVER)) is None


def test_tokens_expire(platform, person, monkeypatch):
    token = platform.identity.issue_person_token(person, by=BY, hours=1)
    later = datetime.now(UTC) + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(clock, "unix_ms", lambda: int(later.timestamp() * 1000))
    assert platform.identity.authenticate(token) is None


@pytest.mark.parametrize("hours", [0, -1, 24.1])
def test_a_persons_token_lives_a_day_at_most(platform, person, hours):
    refused("bad-request", platform.identity.issue_person_token, person, by=BY, hours=hours)


def test_people_get_no_receiver_scope(platform, person):
    for scopes in ([TokenScope.RECEIVER_STORE], []):
        refused("bad-request", platform.identity.issue_person_token, person, by=BY, scopes=scopes)


def test_revocation_ends_all_at_once(platform, institution):
    other = platform.identity.create_person(institution.id, "leaver", "Lee", Role.CLINICIAN, by=BY)
    tokens = [platform.identity.issue_person_token(other, by=BY) for _ in range(2)]
    assert platform.identity.revoke_tokens(institution.id, other.id, by=BY) == 2
    assert [platform.identity.authenticate(token) for token in tokens] == [None, None]


@pytest.mark.parametrize(("table", "who"), [("person", "leo"), ("institution", "lea")])
def test_suspended_holders_and_institutions_are_nobody(platform, table, who):
    tenant = platform.identity.create_institution(f"t-{table}", "T", "eu", by=BY)
    holder = platform.identity.create_person(tenant.id, who, "L", Role.CLINICIAN, by=BY)
    token = platform.identity.issue_person_token(holder, by=BY)
    id_ = holder.id if table == "person" else tenant.id.bytes
    with platform.database.begin(EVERYWHERE) as tx:
        statement = text(f"UPDATE {table} SET state = 'suspended' WHERE id = :id")
        assert tx.execute(statement, {"id": id_}).rowcount == 1
    assert platform.identity.authenticate(token) is None


def test_names_are_taken_once(platform, institution, person, receiver):
    identity = platform.identity
    refused("already-exists", identity.create_institution, "stmary", "Other", "eu", by=BY)
    refused("already-exists", identity.create_person, institution.id, "hale", "X", Role.CLINICIAN, by=BY)
    refused("already-exists", identity.create_receiver, institution.id, "gateway-1", by=BY)


@pytest.mark.parametrize("slug", ["", "operator", "Upper", "-x", "x-", "a/b", "x" * 41, "ü"])
def test_slugs(platform, slug):
    refused("bad-request", platform.identity.create_institution, slug, "X", "eu", by=BY)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, "\u202e"])
def test_names_are_printable(platform, institution, name):
    refused("bad-request", platform.identity.create_person, institution.id, "z", name, Role.CLINICIAN, by=BY)


def test_look_ups(platform, institution, person):
    identity = platform.identity
    assert identity.institution("stmary") == identity.institution(str(institution.id)) == institution
    assert identity.person(institution.id, "hale") == person
    refused("not-found", identity.institution, "nowhere")
    refused("not-found", identity.person, institution.id, "nobody")
    assert "Robin" not in repr(person)


def test_the_trail_commits_to_a_name_without_holding_it(platform, person):
    salt = sql(platform, f"SELECT name_salt FROM person WHERE id = '{person.id}'")[0][0]
    commitment = urlsafe_b64encode(hashlib.sha256(salt + b"Robin Hale").digest()).rstrip(b"=").decode()
    entries = [json.loads(row[0]) for row in sql(platform, "SELECT content FROM audit_pending")]
    (entry,) = [
        e for e in entries if e["action"] == "identity:person:create" and e["object"]["id"] == person.id
    ]
    assert entry["detail"] == {"name": commitment}
    assert "Robin" not in json.dumps(entries) and '"hale"' not in json.dumps(entries)


def test_a_new_institution_has_its_keys(platform, institution):
    kinds = sorted(
        key.kind.name for key in platform.keystore.list_keys() if key.institution == institution.id
    )
    assert kinds == ["AUDIT_REFERENCE", "BLIND_INDEX"]
