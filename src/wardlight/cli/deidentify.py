"""`wardlight deidentify`: the command; what it does is in `deidentify_run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardlight.cli.deidentify_run import Settings, UsageError, run

#: Exit codes: all released; wrong usage; something was not released.
RELEASED, USAGE, QUARANTINED = 0, 2, 3


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File, folder, zip archive or DICOMDIR.")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for the tree of study/series/instance.")
    ],
    level: Annotated[str, typer.Option(help="high, medium or low.")] = "high",
    profile: Annotated[
        Path | None, typer.Option(help="A profile of your own, as TOML, in place of a level.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="32 bytes or more: the same key gives the same output. Without it a random one is discarded."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; one for each processor.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a JSON report here.")] = None,
) -> None:
    """De-identify DICOM files by PS3.15 Annex E, verify each, and write those that are clean.

    Input is never changed. What cannot be de-identified and verified is not written, and the exit code is 3.

    Example: wardlight deidentify scans/ clean/ --level high --key-file secret.key --report report.json
    """
    settings = Settings(source, target, level, profile, key_file, workers, report)
    try:
        quarantined = run(settings)
    except UsageError as error:
        typer.echo(f"wardlight deidentify: {error}", err=True)
        raise typer.Exit(USAGE) from None
    raise typer.Exit(QUARANTINED if quarantined else RELEASED)
