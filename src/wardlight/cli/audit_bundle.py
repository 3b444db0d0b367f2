"""`wardlight audit export|verify`: give the trail to an outsider, and check what was given."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wardlight import settings
from wardlight.audit import verifier
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.model import Institution

#: Name of the trust file that `demo` writes, and that `verify` looks for.
TRUST: Final = "audit-trust.json"
_USAGE: Final = 2
#: A file larger than this gets a progress bar.
_LARGE: Final = 20 << 20


def export(
    institution: Annotated[
        str,
        typer.Option(
            "--institution",
            help="Slug or id; needed where there are several. `operator`: the operator's log.",
        ),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output without it.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="ndjson (a bundle that verifies offline), csv, fhir or dicom.")
    ] = "ndjson",
    start: Annotated[int, typer.Option("--from", min=0, help="Position of the first entry.")] = 0,
    stop: Annotated[int | None, typer.Option("--to", min=0, help="Position after the last entry.")] = None,
    generation: Annotated[int, typer.Option("--generation", min=0, help="Of the log; 0 is the newest.")] = 0,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Export entries of a log. The export itself is an entry, and the newest one in the bundle.

    Example: wardlight audit export --institution stmary --out stmary.ndjson
    """
    from wardlight.identity.service import LOCAL_ADMINISTRATOR
    from wardlight.trail.export import FORMATS
    from wardlight.trail.export import export as exported

    if form not in FORMATS:
        raise WardlightError("bad-request", f"--format is one of {', '.join(FORMATS)}")
    with opened(data, config) as platform:
        log = institution or _only(platform.identity.institutions())
        owner = None if log == "operator" else platform.identity.institution(log).id
        found = exported(
            platform.parts, platform.witnesses, platform.sealer.seal, owner, form,
            start=start, stop=stop, generation=generation, by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        if out is None:
            found.write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        partial = out.with_name(out.name + ".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            found.write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    span = found.span
    typer.echo(f"{out}: entries {span.start} to {span.stop - 1} of {found.head.origin}", err=True)
    if form == "ndjson":
        typer.echo(f"Check it with: wardlight audit verify {out} --trust FILE", err=True)


def _only(rows: Sequence[Institution]) -> str:
    if len(rows) != 1:
        raise WardlightError(
            "bad-request", "say with --institution whose log; see `wardlight admin institution list`"
        )
    return rows[0].slug


def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    trust: Annotated[
        Path | None,
        typer.Option(
            "--trust",
            help=f"File with origin, vkeys and witnesses. [default: {TRUST} in the data folder]",
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", help="A signed head that came another way, or another bundle; repeatable."
        ),
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", metavar="VKEY", help="A witness's key; repeatable.")
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option("--threshold", min=1, metavar="K", help="So many witnesses must have signed."),
    ] = None,
    log_key_only: Annotated[
        bool, typer.Option("--log-key-only", help="Take the log key's word alone for the newest entries.")
    ] = False,
    complete: Annotated[bool, typer.Option("--complete", help="Withheld entries are not fine.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Processes for a large bundle.")] = 1,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle: that its entries are what was recorded, and that nobody took any away.

    Exit 0: verified. 1: altered, malformed or bad signature. 2: wrong usage. 3: incomplete or truncated. 4: unanchored,
    nobody but the log's keeper vouches for its end. 5: forked. 6: another log.

    Example: wardlight audit verify stmary.ndjson --trust audit-trust.json
    """
    try:
        known = _trust(trust, data, config)
        anchors = [note for path in checkpoint or () for note in verifier.read_checkpoints(path)]
        known = replace(
            known,
            witnesses=[*known.witnesses, *(witness or ())],
            threshold=threshold or known.threshold,
            anchors=anchors,
            log_key_only=log_key_only,
            complete=complete,
        )
        found = _watched(
            bundle, lambda progress: verifier.verify(bundle, known, jobs=jobs, progress=progress)
        )
    except verifier.UsageError as error:
        typer.echo(f"wardlight: {error}", err=True)
        raise typer.Exit(_USAGE) from None
    except OSError as error:
        typer.echo(f"wardlight: the bundle cannot be read ({type(error).__name__})", err=True)
        raise typer.Exit(_USAGE) from None
    typer.echo(json.dumps(found.as_json()) if as_json else verifier.explain(found))
    raise typer.Exit(found.exit_code)


def _trust(given: Path | None, data: Path | None, config: Path | None) -> verifier.Trust:
    """What is trusted: the file that was given, else that of this installation or of a demo here, else nothing.

    Never one that lies beside the bundle: whoever sent that may have sent this.
    """
    if given is not None:
        return verifier.Trust.read(given)
    folder = data if data is not None else settings.load(config).data_dir
    for place in (folder / TRUST, Path("demo-data") / TRUST):
        if place.exists():
            typer.echo(f"Trusting {place}", err=True)
            return verifier.Trust.read(place)
    return verifier.Trust()


def _watched(bundle: Path, run: Callable[[verifier.Progress | None], verifier.Verdict]) -> verifier.Verdict:
    """Run it, with a bar where it takes a while and somebody looks on."""
    if bundle.stat().st_size < _LARGE or not sys.stderr.isatty():
        return run(None)
    columns = (TextColumn("Verifying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        return run(lambda done, total: bar.update(task, completed=done, total=total))


COMMANDS: Final[dict[str, Callable[..., None]]] = {"export": export, "verify": verify}
