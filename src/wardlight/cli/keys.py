"""`wardlight keys`: roll epoch keys, so that old backups cannot be read any more."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from wardlight import bootstrap, clock
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.identity.service import LOCAL_ADMINISTRATOR

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Epoch keys of institutions.")


@app.callback()
def _group() -> None:
    """Epoch keys of institutions."""


@app.command("roll")
def roll(
    institution: Annotated[str, typer.Argument(help="Slug or id; without it every institution.")] = "",
    now: Annotated[
        bool, typer.Option("--now", help="At once; without it only where the worker would roll by itself.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give institutions a new epoch key and destroy the old one: what was deleted is then in no readable backup.

    With --now and no institution: those of which a key was destroyed since their last roll.

    Example: wardlight keys roll --now stmary
    """
    with opened(data, config) as platform:
        work = platform.deletion_work
        if institution:
            due = [platform.identity.institution(institution).id]
            due = due if now or due[0] in work.due() else []
        else:
            due = sorted(platform.epochs.unrolled() if now else work.due(), key=lambda one: one.bytes)
        rolls = [work.roll(one, LOCAL_ADMINISTRATOR) for one in due]
        work.catch_up(bootstrap.WORKER)
    rows = [
        {
            "institution": str(one.institution),
            "epoch": one.epoch,
            "keys": one.keys,
            "backups_unreadable_since": clock.timestamp_ms(one.retired_ms),
        }
        for one in rolls
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))
    if not rows:
        typer.echo("nothing to roll")
