"""Where the audit entry cannot be written, nobody is signed in or out, and what was used up is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import inspect, text

from oidc_kit import ORIGIN, Partner, Person, World, a_world
from wardlight.db.engine import EVERYWHERE
from wardlight.identity import oidc_store
from wardlight.identity.federation_store import Federation
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as made:
        made.platform.provider.keys.ensure()
        yield made


@pytest.fixture
def partner(world: World) -> Partner:
    found = getattr(world, "partner", None) or Partner(world, "acme_page_prod", public=True)
    world.partner = found  # type: ignore[attr-defined]
    return found


@contextmanager
def unwritable(world: World) -> Iterator[None]:
    """Meanwhile the database takes no audit entry; afterwards it must be as it was."""
    before = everything(world)
    change(
        world, "CREATE TRIGGER no_entry BEFORE INSERT ON audit_pending BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    try:
        yield
    finally:
        change(world, "DROP TRIGGER no_entry")
    after = everything(world)
    assert {name: rows for name, rows in before.items() if rows != after[name]} == {}


def change(world: World, statement: str) -> None:
    with world.platform.database.begin() as tx:
        tx.execute(text(statement))


def everything(world: World) -> dict[str, list[str]]:
    """All rows, but counters of requests, which are no secret and no change."""
    with world.platform.database.read(EVERYWHERE) as tx:
        tables = set(inspect(tx).get_table_names()) - {"rate", "client_assertion"}
        return {name: sorted(map(repr, tx.execute(text(f"SELECT * FROM {name}")).all())) for name in tables}


def fails(answer: Any) -> None:
    assert answer.status_code == 503, (answer.status_code, answer.text)


def test_signing_in_and_out(world: World, partner: Partner) -> None:
    person = Person(world, "out@x.example")
    page = person.visit(partner.request())
    with unwritable(world):
        fails(person.submit(page))
    code = person.agree(partner.request())
    with unwritable(world):
        fails(person.visit(partner.request()))
        fails(partner.exchange(code))
    tokens = partner.exchange(code).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    with unwritable(world):
        fails(partner.refresh(tokens["refresh_token"]))
        fails(world.client.get("/oauth2/userinfo", headers=bearer))
    tokens = partner.refresh(tokens["refresh_token"]).json()
    out = f"/oauth2/logout?id_token_hint={tokens['id_token']}"
    csrf = {"Origin": ORIGIN, "X-CSRF": person.visit("/api/v1/session").json()["csrf"]}
    with unwritable(world):
        fails(person.visit(out))
        fails(person.visit("/api/v1/consents"))
        fails(person.browser.delete(f"/api/v1/consents/{partner.id}", headers=csrf))
        fails(partner.exchange(code))  # A code that comes again, whose sign-in then does not end.
    assert person.session is not None
    assert partner.refresh(tokens["refresh_token"]).status_code == 200
    person.browser.cookies.clear()
    with unwritable(world):
        fails(person.visit(out))
    assert person.visit(out).status_code == 200


def test_refusals_are_no_answers_either(world: World, partner: Partner) -> None:
    person = Person(world, "b@x.example")
    for path in (partner.request(client_id="x"), "/oauth2/logout?post_logout_redirect_uri=x", "/federation"):
        world.platform.denials._windows.clear()
        with unwritable(world):
            fails(person.visit(path))


def _set(world: World) -> Federation:
    return world.platform.federations.set(
        world.institution.id, "https://login.example", "c", secret="secret of ours", by=BY
    )


CASES: dict[str, Callable[[World], Any]] = {
    "rotate": lambda w: w.platform.provider.keys.rotate(by=BY),
    "logout-uri": lambda w: w.platform.provider.set_logout_uri("acme_page_prod", "https://a.example/", by=BY),
    "federation": _set,
    "no federation": lambda w: w.platform.federations.remove(w.institution.id, by=BY),
    "farewell": lambda w: w.platform.farewells._mark(_farewell(w), ""),
}


def _farewell(world: World) -> Any:
    with world.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text("UPDATE application SET logout_uri = 'https://a.example/'"))
        tx.execute(text("UPDATE oidc_login SET tell_ms = 1"))
        return oidc_store.claim_farewells(tx, 2, 0, 1)[0]


@pytest.mark.parametrize("name", CASES)
def test_methods(world: World, partner: Partner, name: str) -> None:
    if name == "no federation":
        _set(world)
    if name == "farewell":
        partner.tokens(Person(world, "c@x.example"))
        _farewell(world)
    keys = world.platform.provider.keys.public()
    with unwritable(world), pytest.raises(Exception) as failure:
        CASES[name](world)
    assert not isinstance(failure.value, AttributeError | TypeError | AssertionError), failure.value
    assert world.platform.provider.keys.public() == keys
    CASES[name](world)
