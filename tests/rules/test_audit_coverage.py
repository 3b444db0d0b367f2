"""Every route, command and background job declares what it writes into the audit trail, and nothing else is written.

Enum ↔ code ↔ declaration ↔ mapping letter ↔ documentation, both ways (audit.md section 8, test 4).
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from source_kit import nodes
from wardlight import jobs
from wardlight.access.service import OPERATION
from wardlight.audit.actions import LETTER, Action
from wardlight.audit.model import DETAIL
from wardlight.cli import _COMMANDS, app
from wardlight.cli.actions import COMMANDS, OPENING
from wardlight.receiver.entries import PROCESSES
from wardlight.web.app import DICOMWEB, PLATFORM, TRAIL
from wardlight.web.routes import Follow, Manage, Open, Operation, Public, actions_of

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "src" / "wardlight"
PAGE = ROOT / "docs" / "reference" / "audit-actions.md"

#: Actions that nothing writes yet, by the feature that will. The list only shrinks: whoever writes one takes it out.
NOT_YET = {
    "locks": "platform:lock:break",
    "partner applications": "access:grant:change",
    "enrolment of receivers, PACS and results": (
        "receiver:quarantine:release receiver:pacs:query receiver:pacs:retrieve "
        "receiver:result:send receiver:commitment:confirm receiver:profile:load receiver:pacs:create "
        "receiver:pacs:change receiver:pacs:delete"
    ),
    "upload and de-identification on the platform": ("ingest:study:verify "),
    "life of studies": ("archive:study:change archive:study:expire archive:study:erase archive:study:hold"),
    "machine data": "machine:data:read",
    "rights of data subjects": (
        "subject:request:open subject:request:close subject:request:extend subject:data:find subject:data:export "
        "subject:data:erase subject:data:restrict subject:data:rectify"
    ),
    "classification": "classify:retention:change",
    "closing of logs": "audit:log:end",
}
PLANNED = {Action(name): feature for feature, names in NOT_YET.items() for name in names.split()}

#: Modules that name actions without writing them: declarations, decisions, readers of the trail.
READERS = {
    "audit/actions.py", "audit/model.py", "audit/log_store.py", "access/service.py", "api/sign_in.py",
    "cli/actions.py", "jobs.py",
    "trail/receiver_entry.py", "trail/receiver_witness.py", "trail/mapping.py", "trail/syslog.py",
}  # fmt: skip
#: What a reader of that list writes all the same.
WRITTEN_THERE = {Action.ACCESS_DECISION_DENY, Action.INGEST_OBJECT_REFUSE}


def routes() -> list[Operation]:
    return [*DICOMWEB, *TRAIL, *PLATFORM]


def declared() -> dict[Action, set[str]]:
    """Action → who declares to write it."""
    found: dict[Action, set[str]] = {}

    def add(name: str, actions: Any) -> None:
        for action in actions if not isinstance(actions, str) else ():
            found.setdefault(action, set()).add(name)

    for route in routes():
        add(f"{route.method} {route.path}", actions_of(route))
    for name, actions in COMMANDS.items():
        add(name, actions)
    for job in jobs.JOBS:
        add(job.name, job.actions)
    for name, actions in PROCESSES.items():
        add(f"{name} of the receiver", actions)
    add("any command", OPENING)
    return found


def named_in_code() -> dict[Action, set[str]]:
    """Action → the modules that write it, by the names in their source."""
    found: dict[Action, set[str]] = {action: {"access/service.py"} for action in WRITTEN_THERE}
    # What applications say is read from what they send.
    found |= {action: {"trail/application_entries.py"} for action in Action if action.startswith("app:")}
    for file in SOURCE.rglob("*.py"):
        module = str(file.relative_to(SOURCE))
        source = file.read_text()
        if module in READERS or module.startswith("web/") or "wardlight.audit.actions import" not in source:
            continue
        for node in nodes(file):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "Action"
            ):
                found.setdefault(Action[node.attr], set()).add(module)
    return found


def test_every_action_has_one_letter_and_is_spelt_like_its_name() -> None:
    assert set(LETTER) == set(Action)
    for action in Action:
        assert action.name == action.value.replace(":", "_").upper()
        assert re.fullmatch(r"[a-z]+:[a-z]+:[a-z_]+", action.value)
    assert set(LETTER.values()) == set("ACDEGIKLNPQRSTUVX")
    assert set(DETAIL) <= set(Action)


def test_all_that_is_written_is_declared_and_all_that_is_declared_is_written() -> None:
    by_declaration, by_code = declared(), named_in_code()
    # Routes name the action of reads and searches, which is written under the name that comes with the scope.
    of_routes = {route.action for route in routes() if not isinstance(route, Public)}
    undeclared = {action: modules for action, modules in by_code.items() if action not in by_declaration}
    assert not undeclared, "written by code that no route, command or job declares"
    silent = {a: names for a, names in by_declaration.items() if a not in by_code and a not in of_routes}
    assert not silent, "declared, but no code writes it"


def test_what_nothing_writes_yet_is_listed_with_its_feature() -> None:
    names = [name for group in NOT_YET.values() for name in group.split()]
    assert len(names) == len(set(names))
    by_declaration = declared()
    assert not {action: by_declaration[action] for action in PLANNED if action in by_declaration}, (
        "take what is written now out of the list"
    )
    assert set(Action) - set(by_declaration) == set(PLANNED)
    # It was so long when all that exists was recorded, and only shrinks.
    assert len(PLANNED) <= 121


def test_every_route_declares_an_action_that_a_decision_knows() -> None:
    for route in routes():
        assert not isinstance(route, Public)
        # What a route of the API needs it says itself, and one for those whom nobody knows decides for itself.
        assert isinstance(route, Manage | Follow | Open) or route.action in OPERATION, route.path
        assert Action.ACCESS_DECISION_DENY in actions_of(route)
    assert len({(route.method, route.path) for route in routes()}) == len(routes())
    kinds = {kind.__name__ for kind in get_args(Operation)}
    assert kinds == {"Read", "Store", "Api", "Manage", "Follow", "Open", "Public"}, (
        "actions_of must know the new kind of route"
    )


def leaves(name: str, command: Any) -> Any:
    children = getattr(command, "commands", {})
    if not children or getattr(command, "invoke_without_command", False):
        yield name
    for child_name, child in children.items():
        yield from leaves(f"{name} {child_name}", child)


def test_every_command_declares_its_actions_or_why_it_has_none() -> None:
    group = get_command(app)
    found = {
        full
        for name in _COMMANDS
        for full in leaves(name, group.get_command(None, name))  # type: ignore[attr-defined, arg-type]
    }
    assert found == set(COMMANDS)
    for name, actions in COMMANDS.items():
        assert len(actions) > 20 if isinstance(actions, str) else actions, name


def test_every_job_declares_its_actions_or_why_it_has_none() -> None:
    made = [
        node
        for node in ast.walk(ast.parse((SOURCE / "jobs.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Job"
    ]
    assert len(made) == len(jobs.JOBS), "a job that stands in no table is run by nobody, or unseen"
    for job in jobs.JOBS:
        assert bool(job.actions) != bool(job.why), job.name
        assert not job.why or len(job.why) > 20


def test_the_worker_runs_nothing_but_jobs_of_the_tables() -> None:
    """What the worker's loops call are jobs; a call beside them would be in no table."""
    tree = ast.parse((SOURCE / "processes.py").read_text())
    loops = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name in ("run_worker", "housekeep", "_send", "_seal", "_deliver")
    ]
    called = {
        ast.unparse(node.args[0])
        for loop in loops
        for node in ast.walk(loop)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_guarded"
    }
    rounds = ("ROUND", "HOURLY", "HOUSEKEEPING")
    assert called == {
        *(f"partial(jobs.run, built, jobs.{name})" for name in rounds),
        "partial(jobs.DELIVERING.run, built)",
        "partial(job.run, built)",
        "lambda: jobs.SEALING.run(built)",
    }


def test_the_page_names_every_action_route_command_and_job() -> None:
    page = PAGE.read_text("utf-8")
    for name in [
        *Action,
        *(f"{route.method} {route.path}" for route in routes()),
        *(job.name for job in jobs.JOBS),
    ]:
        assert f"`{name}`" in page, name
    for command in COMMANDS:
        assert f"`wardlight {command}`" in page


@pytest.mark.parametrize("action", sorted(set(DETAIL) - set(PLANNED)))
def test_members_of_detail_are_of_the_canonical_form(action: Action) -> None:
    for name, kind in DETAIL[action].items():
        assert re.fullmatch(r"[a-z_]+", name) and kind in (str, int, bool, list, dict)
