"""Command line: one module per command group; no logic.

Modules are imported when their command is called, so that `wardlight deidentify` does not pay for the web server.
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

import wardlight
from wardlight import log
from wardlight.errors import WardlightError

# Command → (module, attribute, one line of help). The attribute is a Typer app or a plain function.
_COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "demo": ("wardlight.cli.demo", "demo", "Run everything with a seeded institution and sample studies."),
    "serve": ("wardlight.cli.serve", "serve", "Run everything on this machine, nothing seeded."),
    "web": ("wardlight.cli.serve", "web", "Run the HTTP side alone: API and DICOMweb."),
    "worker": ("wardlight.cli.serve", "worker", "Run the background worker alone: completion, clean-up."),
    "receiver": ("wardlight.cli.receiver", "app", "Run the on-premises gateway, or ask for its status."),
    "admin": ("wardlight.cli.admin", "app", "Institutions, people, agreements, receivers and routes."),
    "audit": ("wardlight.cli.audit", "app", "Read, export and verify the audit trail."),
    "datamap": ("wardlight.cli.datamap", "app", "What is held, where, how long, and who may see it."),
    "machine-data": (
        "wardlight.cli.machine_data",
        "app",
        "Upload and search logs, status and configuration of devices.",
    ),
    "study": ("wardlight.cli.study", "app", "Delete studies, and see what became of deletions."),
    "receipt": ("wardlight.cli.receipt", "app", "Check receipts of deletions offline."),
    "keys": ("wardlight.cli.keys", "app", "Roll epoch keys: old backups cannot be read any more."),
    "doctor": ("wardlight.cli.doctor", "doctor", "Say how keys, deletions and backups are."),
    "backup": ("wardlight.cli.backup", "backup", "Back up index and objects, and elsewhere the keystore."),
    "restore": ("wardlight.cli.backup", "restore", "Put a backup back, without what was deleted since."),
    "deidentify": (
        "wardlight.cli.deidentify",
        "deidentify",
        "De-identify files, folders, zip archives or DICOMDIRs.",
    ),
    "classify": (
        "wardlight.cli.classify",
        "classify",
        "Say which data classes are in files, where, and why.",
    ),
    "fsck": ("wardlight.cli.fsck", "fsck", "Prove that index, segments and keys fit together."),
    "migrate": ("wardlight.cli.serve", "migrate", "Bring the index database to this version's schema."),
}


class _LazyGroup(TyperGroup):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's signature
        """Names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base's signature
        """Import the command of this name."""
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute, help_text = entry
        # Nothing that is imported is garbage later: it is not looked through on the way, nor ever again.
        gc.disable()
        target = getattr(importlib.import_module(module), attribute)
        gc.freeze()
        gc.enable()
        if not isinstance(target, typer.Typer):
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(target)
            target = app
        command = get_command(target)
        command.name = cmd_name
        command.short_help = help_text
        return command


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    # A traceback shows source lines and may show values of data sets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Wardlight: imaging data platform with privacy by design.

    Start with `wardlight demo`, or see `wardlight COMMAND --help` for examples.
    """
    if version:
        from wardlight.dicom.elements import BUILD

        typer.echo(f"wardlight {wardlight.__version__} ({BUILD})")
        raise typer.Exit


def main() -> None:
    """Entry point of the `wardlight` script. Exit 2 on wrong usage, 1 on an error of the catalogue."""
    log.configure("wardlight", level="error")
    try:
        app(prog_name="wardlight")
    except WardlightError as error:
        typer.echo(f"wardlight: {error}", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the text of a stranger's exception may hold a patient's data
        typer.echo(f"wardlight: internal error {type(error).__name__} at {log.location(error)}", err=True)
        sys.exit(1)
