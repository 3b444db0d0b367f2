"""`wardlight admin route`: which called AE titles the receiver has, and what each is for (R3.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from wardlight import settings
from wardlight.audit.actions import Action
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.receiver import routes
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Route, Target
from wardlight.receiver.places import database_path
from wardlight.receiver.store import ReceiverStore

app = typer.Typer(no_args_is_help=True, help="Called AE titles of the receiver and what each is for.")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; WARDLIGHT_* variables win over it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CalledArgument = Annotated[str, typer.Argument(help="Called AE title.", metavar="AE_TITLE")]
TargetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        help="application:level of a release; may be repeated. Level: high (default), medium, low, identified.",
    ),
]
CallingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--calling", help="Calling AE title that may send, with * and ?; may be repeated; none: any."
    ),
]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option("--network", help="Network that may send, like 192.0.2.0/24; may be repeated; none: any."),
]
UnknownOption = Annotated[
    bool | None,
    typer.Option(
        "--unknown-syntaxes/--known-syntaxes", help="Take private SOP classes and transfer syntaxes."
    ),
]
EnabledOption = Annotated[
    bool | None, typer.Option("--enable/--disable", help="Whether the title is in use.")
]


@app.command("create")
def create(
    called_ae: CalledArgument,
    to: TargetOption = None,
    calling: CallingOption = None,
    network: NetworkOption = None,
    unknown_syntaxes: UnknownOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a called AE title.

    Example: wardlight admin route create WARD_CT --to images:high --calling 'CT*' --network 10.1.0.0/16
    """
    with _opened(config) as (database, entries):
        new = Route(
            called_ae,
            tuple(Target.parse(text) for text in to or ["images:high"]),
            tuple(calling or ()),
            tuple(network or ()),
            bool(unknown_syntaxes),
        ).checked()
        audit = entries.route(Action.RECEIVER_ROUTE_CREATE, called_ae, _changes(None, new))
        _print([routes.create_route(database, new, [audit])], as_json)


@app.command("change")
def change(
    called_ae: CalledArgument,
    to: TargetOption = None,
    calling: CallingOption = None,
    network: NetworkOption = None,
    unknown_syntaxes: UnknownOption = None,
    enabled: EnabledOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a called AE title; what is not named stays. `--calling ''` and `--network ''` remove the rule.

    Example: wardlight admin route change WARD_CT --disable
    """
    with _opened(config) as (database, entries):
        before = routes.read_route(database, called_ae)
        after = replace(
            before,
            targets=tuple(Target.parse(text) for text in to) if to else before.targets,
            calling=before.calling if calling is None else tuple(filter(None, calling)),
            networks=before.networks if network is None else tuple(filter(None, network)),
            unknown_syntaxes=before.unknown_syntaxes if unknown_syntaxes is None else unknown_syntaxes,
            enabled=before.enabled if enabled is None else enabled,
        ).checked()
        audit = entries.route(Action.RECEIVER_ROUTE_CHANGE, called_ae, _changes(before, after))
        _print([routes.change_route(database, after, [audit])], as_json)


@app.command("delete")
def delete(called_ae: CalledArgument, config: ConfigOption = None) -> None:
    """Remove a called AE title: associations to it are rejected. What was received for it is still uploaded.

    Example: wardlight admin route delete WARD_CT
    """
    with _opened(config) as (database, entries):
        before = routes.read_route(database, called_ae)
        audit = entries.route(Action.RECEIVER_ROUTE_DELETE, called_ae, _changes(before, None))
        routes.delete_route(database, called_ae, [audit])


@app.command("list")
def list_routes(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all called AE titles.

    Example: wardlight admin route list --json
    """
    with _opened(config) as (database, _):
        _print(routes.read_routes(database), as_json)


@app.command("show")
def show(called_ae: CalledArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one called AE title.

    Example: wardlight admin route show TEAMPLAYISHARE
    """
    with _opened(config) as (database, _):
        _print([routes.read_route(database, called_ae)], as_json, single=True)


def as_row(route: Route) -> dict[str, Any]:
    """The route as JSON has it."""
    return {
        "called_ae": route.called_ae,
        "to": [{"application": target.application, "level": str(target.level)} for target in route.targets],
        "calling": list(route.calling),
        "networks": list(route.networks),
        "unknown_syntaxes": route.unknown_syntaxes,
        "enabled": route.enabled,
    }


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Database, Entries]]:
    try:
        chosen = settings.load(config)
        store = ReceiverStore(database_path(chosen))
        try:
            yield store.database, Entries(chosen.node)
        finally:
            store.close()
    except WardlightError as error:
        _fail(error)


def _fail(error: WardlightError) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(1) from None


def _print(found: list[Route], as_json: bool, *, single: bool = False) -> None:
    rows = [as_row(route) for route in found]
    if as_json:
        typer.echo(json.dumps(rows[0] if single else rows))
        return
    for route in found:
        typer.echo(
            "  ".join(
                (
                    route.called_ae.ljust(16),
                    "enabled " if route.enabled else "disabled",
                    " ".join(str(target) for target in route.targets),
                    "from " + (" ".join(route.calling) or "any AE title"),
                    "in " + (" ".join(route.networks) or "any network"),
                    "all syntaxes" if route.unknown_syntaxes else "known syntaxes",
                )
            )
        )


def _changes(before: Route | None, after: Route | None) -> list[dict[str, str]]:
    """What changed, as the audit trail spells it."""
    old, new = (_flat(route) if route is not None else {} for route in (before, after))
    changes = []
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            change = {"path": path}
            if path in old:
                change["before"] = old[path]
            if path in new:
                change["after"] = new[path]
            changes.append(change)
    return changes


def _flat(route: Route) -> dict[str, str]:
    return {
        "to": " ".join(str(target) for target in route.targets),
        "calling": " ".join(route.calling),
        "networks": " ".join(route.networks),
        "unknown_syntaxes": str(route.unknown_syntaxes).lower(),
        "enabled": str(route.enabled).lower(),
    }
