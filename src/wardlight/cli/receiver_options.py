"""What the commands of `wardlight receiver` share: their options, and the settings of a receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardlight import settings
from wardlight.errors import WardlightError

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; WARDLIGHT_* variables win over it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def existing(config: Path | None) -> settings.Settings:
    """The settings of a receiver that exists: asking must not make one."""
    from wardlight.receiver.places import database_path

    chosen = loaded(config)
    if not database_path(chosen).exists():
        typer.echo("wardlight: there is no receiver here; give --config, or set WARDLIGHT_CONFIG", err=True)
        raise typer.Exit(1)
    return chosen


def loaded(config: Path | None) -> settings.Settings:
    """The settings; what is wrong with them is told, and ends the command."""
    try:
        return settings.load(config)
    except WardlightError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
