"""`wardlight audit report access|breach`: reports from the trail, made on the machine itself into a file.

The patient comes from a file or standard input, never from the command line (see `audit_read`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wardlight.cli.audit_read import lines_of, whom
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.files import replace_private
from wardlight.trail.report_api import incident_of, period
from wardlight.trail.report_forms import ACCESS_FORMS, BREACH_FORMS, Form
from wardlight.trail.report_service import Asker, Report, Reports
from wardlight.trail.report_times import UTC_NAME

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Reports from the audit trail.")

OutOption = Annotated[
    Path,
    typer.Option("--out", help="File to write; its ending says in which form. An older one is replaced."),
]
FromOption = Annotated[
    str | None, typer.Option("--from", help="What happened on this day or time, or later.")
]
ToOption = Annotated[str | None, typer.Option("--to", help="What happened before this day or time.")]
ZoneOption = Annotated[str, typer.Option("--timezone", help="Zone of the times, such as Europe/Berlin.")]

_PATIENT_HELP: Final = (
    "All identifiers and pseudonyms of the one patient, one a line: the Patient ID, or its issuer, a tab, and the ID. "
    "`-`: standard input."
)


@app.command("access")
def access(
    institution: InstitutionArgument,
    out: OutOption,
    patient: Annotated[Path, typer.Option("--patient-file", help=_PATIENT_HELP)] = Path("-"),
    since: FromOption = None,
    until: ToOption = None,
    names: Annotated[bool, typer.Option("--names", help="Name staff, not only their roles.")] = False,
    zone: ZoneOption = UTC_NAME,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell a patient who did what with their data, as .pdf, .html, .json or .fhir.json; .ndjson is the evidence.

    Example: printf 'PAT-0042\\n' | wardlight audit report access stmary --out report.pdf
    """
    form = _form(out, ACCESS_FORMS)
    wanted = whom(patient, None)
    if not wanted.patients:
        raise WardlightError("bad-request", "no patient is named")
    with opened(data, config) as platform:
        asker = Asker(platform.identity.institution(institution).id, LOCAL_ADMINISTRATOR)
        report = Reports(platform.parts).access(
            asker, wanted, period(_given(since, until)), form, names=names, zone=zone
        )
        _write(out, report)  # The evidence is read while it is written.


@app.command("breach")
def breach(
    institution: InstitutionArgument,
    out: OutOption,
    since: FromOption = None,
    until: ToOption = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who acted, or for whom, as kind:id.")] = None,
    application: Annotated[
        str | None, typer.Option("--application", help="The application that acted.")
    ] = None,
    token: Annotated[str | None, typer.Option("--token", help="The token, as entries name it.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="The network address they came from.")
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option("--study-file", help="Study Instance UIDs, one a line. `-`: standard input."),
    ] = None,
    aware: Annotated[
        str | None,
        typer.Option("--aware", help="When the institution became aware; deadlines count from it."),
    ] = None,
    zone: ZoneOption = UTC_NAME,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell what an incident touched, as .pdf, .html, .json or .csv (everybody who is affected).

    Example: wardlight audit report breach stmary --token 3q2-7wAAAAAAAAAAAAAAAA --aware 2026-11-24 --out incident.pdf
    """
    form = _form(out, BREACH_FORMS)
    given = _given(since, until) | {
        name: value
        for name, value in (
            ("actor", actor),
            ("application", application),
            ("token", token),
            ("address", address),
            ("aware", aware),
            ("studies", lines_of(studies)),
        )
        if value
    }
    with opened(data, config) as platform:
        asker = Asker(platform.identity.institution(institution).id, LOCAL_ADMINISTRATOR)
        reports = Reports(platform.parts)
        report = reports.breach(asker, incident_of(reports, asker, given), form, zone=zone)
    _write(out, report)


def _given(since: str | None, until: str | None) -> dict[str, Any]:
    return {name: value for name, value in (("from", since), ("to", until)) if value}


def _form(out: Path, forms: Sequence[Form]) -> Form:
    for form in sorted(forms, key=lambda form: -len(form.value)):
        if out.name.lower().endswith(f".{form.value}"):
            return form
    endings = ", ".join(f".{form.value}" for form in forms)
    raise WardlightError("bad-request", f"--out ends in one of {endings}")


def _write(out: Path, report: Report) -> None:
    """Into a file that nobody else on the machine can read."""
    data = report.data if isinstance(report.data, bytes) else b"".join(report.data)
    try:
        replace_private(out, data)
    except OSError:
        raise WardlightError("bad-request", "the report cannot be written to --out") from None
    typer.echo(f"{out}: {len(data):,} bytes, {report.media.partition(';')[0]}")
