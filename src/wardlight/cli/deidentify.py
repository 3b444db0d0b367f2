"""`wardlight deidentify`: the command; what it does is in `deidentify_run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wardlight.cli.deidentify_input import inputs
from wardlight.cli.deidentify_places import Stopped, UsageError
from wardlight.cli.deidentify_run import Ran, Settings, run
from wardlight.deid.report_words import words_of
from wardlight.deid.standard import attributes

#: Exit codes: all released; wrong usage; something was not released; stopped and can be continued; interrupted.
RELEASED, USAGE, QUARANTINED, STOPPED, INTERRUPTED = 0, 2, 3, 4, 130

_HELP = """De-identify DICOM files by PS3.15 Annex E, verify each, and write those that are clean.

Input is never changed. What cannot be de-identified and verified is not written. The same --key-file gives the same
output, byte by byte, whatever the order of files, the number of workers, the machine or the day.

Examples:

\b
  wardlight deidentify scans/ clean/ --key-file hospital.key
  wardlight deidentify cd.zip clean/ --level medium --report report/
  wardlight deidentify /media/cdrom/DICOMDIR clean/ --dicomdir media/
  wardlight deidentify scans/ clean/ --dry-run --report report.html
  wardlight deidentify scans/ clean/ --key-file hospital.key --resume
  wardlight deidentify --explain StationName --level medium

Exit codes: 0 all released; 2 wrong usage; 3 something was not released; 4 stopped and 130 interrupted, go on with
--resume; 1 an error of Wardlight.
"""


def deidentify(
    source: Annotated[
        Path | None, typer.Argument(metavar="IN", help="File, folder, zip archive or DICOMDIR.")
    ] = None,
    target: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Folder for the tree of study/series/instance.")
    ] = None,
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was interrupted; needs its --key-file.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything but write to OUT; the report is written.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a report: a folder (HTML and JSON for each study), or one .html or .json file."
        ),
    ] = None,
    dicomdir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also make a media folder with a DICOMDIR of what is released."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON on the output stream.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but why it stopped.")] = False,
    which: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Print the path of input N, for your eyes only, and do nothing."
        ),
    ] = None,
    explain: Annotated[
        str,
        typer.Option(
            metavar="TAG",
            help="Say what happens with an element and why, and do nothing: a keyword, a tag, a private tag as "
            "0019xx0C, or a concept as 121008:DCM.",
        ),
    ] = "",
    sop_class: Annotated[
        str, typer.Option(help="With --explain: in objects of this SOP class (UID or name).")
    ] = "",
    modality: Annotated[str, typer.Option(help="With --explain: in objects of this modality.")] = "",
    private_creator: Annotated[
        str, typer.Option(help="With --explain: the creator of a private element.")
    ] = "",
) -> None:
    """Replaced by `_HELP`."""
    try:
        if explain:
            about = {"sop_class": sop_class, "modality": modality, "private_creator": private_creator}
            _explain(explain, level, profile, about, as_json=as_json)
            return
        if source is None:
            raise UsageError("IN is missing: what to read")
        if which is not None:
            _print_path(source, which)
            return
        if target is None:
            raise UsageError("OUT is missing: the folder to write to")
        settings = Settings(
            *(source, target, level, profile, key_file, workers, report),
            resume=resume,
            dry_run=dry_run,
            dicomdir=dicomdir,
            quiet=quiet,
        )
        ran = run(settings)
    except UsageError as error:
        typer.echo(f"wardlight deidentify: {error}", err=True)
        raise typer.Exit(USAGE) from None
    except Stopped as stopped:
        typer.echo(f"wardlight deidentify: stopped: {stopped.words()}", err=True)
        raise typer.Exit(STOPPED) from None
    except KeyboardInterrupt:
        then = "run the same again with --resume" if key_file else "its key is gone, so begin again elsewhere"
        typer.echo(f"wardlight deidentify: interrupted; what is in OUT is whole. To go on, {then}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _say(ran, settings)
    if as_json:
        typer.echo(json.dumps(_summary(ran, settings)))
    raise typer.Exit(QUARANTINED if ran.totals["quarantined"] else RELEASED)


deidentify.__doc__ = _HELP


def _explain(what: str, level: str, profile: Path | None, about: dict[str, str], *, as_json: bool) -> None:
    from wardlight.cli.deidentify_explain import explained

    try:
        typer.echo(explained(what, level, profile, **about, as_json=as_json))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _print_path(source: Path, number: int) -> None:
    try:
        found = next((item for item in inputs(source) if item.number == number), None)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if found is None:
        raise UsageError("there is no input of this number")
    typer.echo(f"{found.path}" + (f" (member {found.member + 1})" if found.member >= 0 else ""))


def _say(ran: Ran, settings: Settings) -> None:
    """The sum of it, and for each reason what it means and what to do."""
    if settings.quiet:
        return
    for code, count in sorted(ran.reasons.items(), key=lambda row: (-row[1], row[0])):
        means, then = words_of(code)
        typer.echo(f"{count} × {code}: {means}. {then}.", err=True)
    kinds = ("released", "quarantined", "duplicate", "skipped")
    summary = ", ".join(f"{ran.totals[kind]} {kind}" for kind in kinds)
    typer.echo(f"{summary}; level {ran.profile.level}" + "; nothing was written" * settings.dry_run, err=True)
    if settings.key_file is None and not settings.dry_run:
        typer.echo(
            "The key was random and is gone: another run gives other pseudonyms, UIDs and dates.", err=True
        )


def _summary(ran: Ran, settings: Settings) -> dict[str, object]:
    kinds = ("released", "quarantined", "duplicate", "skipped", "flagged")
    return {
        "schema": "wardlight-deidentify/1",
        "totals": {kind: ran.totals[kind] for kind in kinds},
        "reasons": dict(sorted(ran.reasons.items())),
        "level": ran.profile.level,
        "profile": ran.profile.name,
        "standard": f"PS3.15 {attributes.EDITION}",
        "dry_run": settings.dry_run,
        "repeatable": settings.key_file is not None,
        "seconds": round(ran.seconds, 3),
    }
