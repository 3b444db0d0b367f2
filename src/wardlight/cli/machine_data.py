"""`wardlight machine-data`: upload and search logs, status and configuration of devices, on the machine itself.

Whoever may run this on the machine acts as the operator; each command is an entry in the institution's audit trail.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from wardlight import clock
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.machinedata.intake import Form, shown
from wardlight.machinedata.model import NAMES, SEVERITIES
from wardlight.machinedata.records import parsed_time, source_name
from wardlight.machinedata.search import Asked

app = typer.Typer(no_args_is_help=True, help="Upload and search logs, status and configuration of devices.")


class ClassName(StrEnum):
    """Classes of machine data, as `machinedata.model.CLASSES` has them."""

    LOG = "log"
    STATUS = "status"
    CONFIGURATION = "configuration"


class SeverityName(StrEnum):
    """Severities, as `machinedata.model.SEVERITIES` has them."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    FATAL = "fatal"


_PIECE: Final = 1 << 20
_ENDINGS: Final = {".ndjson": Form.NDJSON, ".jsonl": Form.NDJSON, ".json": Form.DOCUMENT}
_WORDS: Final = {number: name for name, number in SEVERITIES.items()}


@app.command("upload")
def upload(
    institution: InstitutionArgument,
    file: Annotated[
        Path,
        typer.Argument(help="Lines of text, .ndjson or .json.", exists=True, dir_okay=False, readable=True),
    ],
    name: Annotated[ClassName, typer.Option("--class", help="Which class it is of.")] = ClassName.LOG,
    source: Annotated[str, typer.Option(help="Name of the device or service.")] = "upload",
    refuse: Annotated[
        bool, typer.Option("--refuse", help="Take nothing where personal data is found; else it is masked.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a file. Personal data that is found in it is masked.

    Example: wardlight machine-data upload stmary gateway.log --source gateway-2
    """
    if source_name(source, "") != source:
        raise WardlightError("bad-request", "--source is a name of letters, digits and ._/-")
    form = _ENDINGS.get(file.suffix.lower(), Form.LINES)
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        intake = platform.machine_data.begin_here(
            tenant.id, name.value, form, source, by=LOCAL_ADMINISTRATOR, refuse=refuse
        )
        try:
            with file.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    intake.feed([piece])
            row = intake.finish([])
        finally:
            intake.abort()
    told = {"id": row.id.hex, **shown(intake.body)}
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    found = ", ".join(f"{detector} {count}" for detector, count in told["detectors"].items()) or "nothing"
    typer.echo(f"{row.id.hex}: {row.records:,} records, masked in {row.masked:,} of them: {found}")


@app.command("query")
def query(
    institution: InstitutionArgument,
    names: Annotated[list[ClassName] | None, typer.Option("--class", help="Of these classes.")] = None,
    text: Annotated[str, typer.Option(help="Anywhere in a record, in any case.")] = "",
    source: Annotated[str, typer.Option(help="Of this device or service.")] = "",
    severity: Annotated[SeverityName | None, typer.Option(help="At least this severe.")] = None,
    since: Annotated[str, typer.Option("--from", help="From this time on.")] = "",
    until: Annotated[str, typer.Option("--to", help="Before this time.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most records.")] = 100,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show records, newest first.

    Example: wardlight machine-data query stmary --severity error --from 2026-11-24T08:00:00Z
    """
    usual = Asked()
    asked = Asked(
        _time(since, "--from", usual.from_ms),
        _time(until, "--to", usual.to_ms),
        SEVERITIES[severity.value] if severity else 0,
        source,
        text,
        limit=limit,
    )
    given = {"from": since, "to": until, "severity": severity, "source": source, "text": text}
    told = "&".join(f"{name}=given" for name, value in given.items() if value)
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        classes = [one.value for one in names or ()]
        page = platform.machine_data.find_here(tenant.id, classes, asked, told, by=LOCAL_ADMINISTRATOR)
    for one in page.found:
        record = one.record
        at = clock.timestamp_ms(record.time_ms)
        if as_json:
            shown_record = record._asdict() | {"time_ms": at, "class": NAMES[one.data_class]}
            shown_record["time"] = shown_record.pop("time_ms")
            typer.echo(json.dumps(shown_record, ensure_ascii=False))
            continue
        level = _WORDS.get(record.severity - (record.severity - 1) % 4, "") if record.severity else ""
        value = "" if record.value is None else f" {record.value:g}"
        more = " ".join(f"{key}={held}" for key, held in record.attributes.items())
        typer.echo(f"{at} {level:5} {record.source} {record.text}{value} {more}".rstrip())
    if page.next is not None and not as_json:
        typer.echo("there is more: narrow the time, or raise --limit", err=True)


def _time(text: str, what: str, usual: int) -> int:
    at = parsed_time(text, -1) if text else usual
    if at < 0:
        raise WardlightError("bad-request", f"{what} is a time such as 2026-11-24T08:00:00Z")
    return at
