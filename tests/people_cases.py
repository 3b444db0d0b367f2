"""Methods that write entries about people, as `fault/test_audit_unwritable.py` calls them where none can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.model import Role
from wardlight.identity.people import add_person, new_person
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.identity.sessions import IDLE_MS
from wardlight.identity.sign_in import Attempt

HERE = Attempt("192.0.2.7", "0" * 32)


def _tx(work: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """`work` within a transaction."""

    def run(world: Any) -> Any:
        with world.platform.database.begin(EVERYWHERE) as tx:
            return work(world, tx)

    return run


def _open(world: Any, tx: Any) -> None:
    """Sessions for the cases after this one; they begin with the entry, or not at all."""
    sessions = world.platform.identity.sessions
    world.opened = [
        world.platform.sign_in._open(tx, world.own.id, world.person.id, "totp", HERE),
        *(sessions.open(tx, world.own.id, world.person.id, "totp", HERE.address) for _ in range(2)),
    ]


def _logout(world: Any) -> None:
    sessions = world.platform.identity.sessions
    sessions.logout(sessions.authenticate(world.opened[0].cookie), by=BY)


def _password(world: Any, tx: Any) -> None:
    person = world.person
    values = {
        "person": person.id,
        "institution": person.institution,
        "name": person.login,
        "verifier": bytes(32),
        "changed_ms": clock.unix_ms(),
    }
    world.platform.sign_in._set_password(tx, person, values, BY)


def _add(world: Any, tx: Any) -> None:
    row = new_person(world.own.id, "cases@x.example", "C", Role.CLINICIAN, "active")
    add_person(tx, world.platform.recorder, row, by=BY)


def _sweep(world: Any) -> int:
    """Sessions of the world are over by now."""
    kept = clock.unix_ms
    clock.unix_ms = lambda: kept() + IDLE_MS + 1
    try:
        ended = world.platform.identity.sessions.sweep()
    finally:
        clock.unix_ms = kept
    return ended or _nothing()


def _nothing() -> int:
    raise AssertionError("there was nothing to end")


def _end(world: Any) -> None:
    sessions = world.platform.identity.sessions
    sessions.end(world.own.id, world.person.id, sessions.authenticate(world.opened[1].cookie).token, by=BY)


def _changed(**change: Any) -> Callable[[Any], Any]:
    return lambda w: w.platform.people.change(w.own.id, w.colleague.id, **change, by=BY)


CASES: dict[str, Callable[[Any], object]] = {
    "identity/people._write_name": _tx(_add),
    "identity/people.People._link": lambda w: w.platform.people.new_link(w.colleague, by=BY),
    "identity/people.People.person": lambda w: w.platform.people.person(w.own.id, w.colleague.id, by=BY),
    "identity/people.People.unlock": lambda w: w.platform.people.unlock(w.colleague, by=BY),
    "identity/people.People._set_role": _changed(role=Role.RESEARCHER),
    "identity/people.People._end_access": _changed(state="suspended"),
    "identity/people.People._set_state": _changed(state="active"),
    "identity/people.People.delete": lambda w: w.platform.people.delete(w.own.id, w.colleague.id, by=BY),
    "identity/institutions.Institutions.create_institution": lambda w: w.identity.create_institution(
        "cases", "N", "eu", by=BY
    ),
    "identity/institutions.Institutions._store": lambda w: w.identity.change_institution(
        w.identity.institution("cases"), name="M", by=BY
    ),
    "identity/factors.Factors._tell": _tx(
        lambda w, tx: w.platform.factors._tell(
            tx, Action.IDENTITY_FACTOR_ADD, w.own.id, w.person.id, "totp", BY
        )
    ),
    "identity/factors.Factors.reset": lambda w: w.platform.factors.reset(w.person, by=BY),
    "identity/sign_in.SignIn._failed": lambda w: w.platform.sign_in._failed([], "case", HERE),
    "identity/sign_in.SignIn._set_password": _tx(_password),
    "identity/sign_in.SignIn._tell": _tx(_open),
    "identity/sessions.Sessions.of_person": lambda w: w.platform.identity.sessions.of_person(
        w.own.id, w.person.id, by=BY
    ),
    # Those that `SignIn._tell` began.
    "identity/sessions.Sessions.logout": _logout,
    "identity/sessions.Sessions.end_in": _end,
    "identity/sessions.Sessions.sweep": _sweep,
}
