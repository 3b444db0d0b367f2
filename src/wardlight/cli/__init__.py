"""Command line: one module per command group; no logic.

Modules are imported when their command is called, so that `wardlight deidentify` does not pay for the web server.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click
import typer
from typer.main import get_command

import wardlight
from wardlight.errors import WardlightError

# Command → (module, attribute, one line of help). The attribute is a Typer app or a plain function.
_COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "demo": ("wardlight.cli.demo", "demo", "Run everything with a seeded institution and sample studies."),
    "serve": ("wardlight.cli.serve", "serve", "Run everything on this machine, nothing seeded."),
    "web": ("wardlight.cli.serve", "web", "Run the HTTP side alone: API and DICOMweb."),
    "worker": ("wardlight.cli.serve", "worker", "Run the background worker alone: completion, clean-up."),
    "receiver": ("wardlight.cli.receiver", "app", "Run the on-premises gateway, or ask for its status."),
    "admin": ("wardlight.cli.admin", "app", "Institutions, people, agreements, receivers and routes."),
    "deidentify": (
        "wardlight.cli.deidentify",
        "deidentify",
        "De-identify files, folders, zip archives or DICOMDIRs.",
    ),
    "fsck": ("wardlight.cli.fsck", "fsck", "Prove that index, segments and keys fit together."),
    "migrate": ("wardlight.cli.serve", "migrate", "Bring the index database to this version's schema."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute, help_text = entry
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(target)
            target = app
        command = get_command(target)
        command.name = cmd_name
        command.short_help = help_text
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(wardlight.__version__, prog_name="wardlight")
def _root() -> None:
    """Wardlight: imaging data platform with privacy by design.

    Start with `wardlight demo`, or see `wardlight COMMAND --help` for examples.
    """


def main() -> None:
    """Entry point of the `wardlight` script. Exit 2 on wrong usage, 1 on an error of the catalogue."""
    try:
        _root(prog_name="wardlight")
    except WardlightError as error:
        click.echo(f"wardlight: {error}", err=True)
        sys.exit(1)
