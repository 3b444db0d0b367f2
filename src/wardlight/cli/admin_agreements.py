"""`wardlight admin agreement`: what an institution agreed to, and with which application."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from wardlight.agreements.model import Level, Terms
from wardlight.agreements.service import differences
from wardlight.classification.model import DataClass
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

app = typer.Typer(no_args_is_help=True, help="What an institution agreed to: without one, no data.")

ApplicationArgument = Annotated[
    str, typer.Argument(help="Id of the application; `images` is the institution's own.")
]
BasisOption = Annotated[
    str | None, typer.Option("--basis", help="Legal basis, like gdpr:6.1.e+9.2.h or hipaa:tpo.")
]
PurposeOption = Annotated[
    list[str] | None, typer.Option("--purpose", help="HL7 v3 PurposeOfUse code; may be repeated.")
]
AttestedByOption = Annotated[str, typer.Option("--attested-by", help="Who attested the legal basis.")]
LevelOption = Annotated[
    list[Level] | None, typer.Option("--level", help="Privacy level allowed; may be repeated.")
]
MinimumOption = Annotated[
    Level | None,
    typer.Option("--minimum-level", help="This level and all that are stricter, in place of --level."),
]
ClassOption = Annotated[
    list[DataClass] | None,
    typer.Option("--class", help="Data class; may be repeated. Default: what data at the levels is."),
]
AccessOption = Annotated[
    float | None, typer.Option("--access-days", help="How long access to a study lasts. Default: 30.")
]
RetentionOption = Annotated[
    int | None, typer.Option("--retention-days", help="How long data is kept. Default: until it is deleted.")
]
DocumentOption = Annotated[
    str | None, typer.Option("--document", help="Reference of the document that was signed.")
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="Where the data may be. Default: the institution's region.")
]
TransferOption = Annotated[
    str | None,
    typer.Option(
        "--transfer", help="On what a transfer to another region rests, like gdpr:45.3 or gdpr:46.2.c."
    ),
]
AttestedOption = Annotated[
    datetime | None, typer.Option("--attested", help="When it was attested, in UTC. Default: now.")
]
SourceOption = Annotated[
    str | None, typer.Option("--source", help="Id of the source of third parties' data.")
]
ResultsOption = Annotated[
    list[str] | None,
    typer.Option("--results-of", help="Another application whose results this one may see; may be repeated."),
]
EndsOption = Annotated[datetime | None, typer.Option("--ends", help="When the agreement ends, in UTC.")]


@app.command("create")
def agreement_create(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    attested_by: AttestedByOption,
    basis: Annotated[str, typer.Option("--basis", help="Legal basis, like gdpr:6.1.e+9.2.h or hipaa:tpo.")],
    purpose: Annotated[
        list[str], typer.Option("--purpose", help="HL7 v3 PurposeOfUse code; may be repeated.")
    ],
    level: LevelOption = None,
    minimum_level: MinimumOption = None,
    class_: ClassOption = None,
    access_days: AccessOption = None,
    retention_days: RetentionOption = None,
    region: RegionOption = None,
    transfer: TransferOption = None,
    document: DocumentOption = None,
    attested: AttestedOption = None,
    source: SourceOption = None,
    results_of: ResultsOption = None,
    ends: EndsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record an agreement, or replace it: the same institution and application get a new version.

    Example: wardlight admin agreement create stmary images --level high --level medium --basis gdpr:6.1.e+9.2.h --purpose TREAT --attested-by "Data protection officer"
    """  # noqa: E501 - an example is one line, to be copied
    terms = Terms(
        **{"levels": frozenset(), "classes": frozenset()}
        | _terms(
            level, minimum_level, basis, purpose, class_, access_days, retention_days, region, transfer,
            document, attested, source, results_of, ends,
        ),
        attested_by=attested_by,
    )  # fmt: skip
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.agreements.record(tenant.id, application, terms, by=LOCAL_ADMINISTRATOR)
        using = {
            one.application for one in platform.entitlements.subscriptions(tenant.id) if not one.ended_ms
        }
    show([row], as_json, one=True)
    if application not in using and not as_json:
        typer.echo(f"nothing is taken in before `wardlight admin entitlement subscribe … {application}`")


@app.command("amend")
def agreement_amend(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    attested_by: AttestedByOption,
    basis: BasisOption = None,
    purpose: PurposeOption = None,
    level: LevelOption = None,
    minimum_level: MinimumOption = None,
    class_: ClassOption = None,
    access_days: AccessOption = None,
    retention_days: RetentionOption = None,
    region: RegionOption = None,
    transfer: TransferOption = None,
    document: DocumentOption = None,
    attested: AttestedOption = None,
    source: SourceOption = None,
    results_of: ResultsOption = None,
    ends: EndsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a version in which what is not named stays as it was.

    Example: wardlight admin agreement amend stmary images --minimum-level low --attested-by "Data protection officer"
    """
    changes = _terms(
        level, minimum_level, basis, purpose, class_, access_days, retention_days, region, transfer,
        document, attested, source, results_of, ends,
    )  # fmt: skip
    with opened(data, config) as platform:
        row = platform.agreements.amend(
            platform.identity.institution(institution).id,
            application,
            {"attested_ms": 0, "attested_by": attested_by} | changes,
            by=LOCAL_ADMINISTRATOR,
        )
    show([row], as_json, one=True)


@app.command("withdraw")
def agreement_withdraw(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    version: Annotated[int | None, typer.Option("--version", help="This version only.")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw all versions, or one: access that rests on them is over at once.

    Example: wardlight admin agreement withdraw stmary acme_ai
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        rows = platform.agreements.withdraw(tenant.id, application, by=LOCAL_ADMINISTRATOR, version=version)
    versions = sorted(row.version for row in rows)
    words = f"withdrawn: {', '.join(map(str, versions))}"
    typer.echo(json.dumps({"agreement": rows[0].id, "withdrawn": versions}) if as_json else words)


@app.command("list")
def agreement_list(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all versions of an institution's agreements, newest first.

    Example: wardlight admin agreement list stmary
    """
    with opened(data, config) as platform:
        rows = platform.agreements.list(platform.identity.institution(institution).id)
    show(rows, as_json)


@app.command("show")
def agreement_show(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the agreement that holds.

    Example: wardlight admin agreement show stmary images
    """
    with opened(data, config) as platform:
        row = platform.agreements.show(platform.identity.institution(institution).id, application)
    show([row], as_json, one=True)


@app.command("diff")
def agreement_diff(
    institution: InstitutionArgument,
    application: ApplicationArgument,
    before: Annotated[int, typer.Argument(help="A version. Default: the one before the newest.")] = 0,
    after: Annotated[int, typer.Argument(help="A later one. Default: the newest.")] = 0,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what two versions say differently.

    Example: wardlight admin agreement diff stmary images 1 2
    """
    with opened(data, config) as platform:
        rows = platform.agreements.list(platform.identity.institution(institution).id, application)
    found = {row.version: row for row in rows}
    newest = after or max(found, default=0)
    older = before or newest - 1
    if newest not in found or older not in found:
        raise WardlightError("not-found", "there are no such two versions")
    changes = differences(found[older].terms, found[newest].terms)
    if as_json:
        plain = [{"member": one.path, "before": one.before, "after": one.after} for one in changes]
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    for one in changes:
        typer.echo(f"{one.path}: {_word(one.before)} → {_word(one.after)}")


def _terms(
    level: list[Level] | None,
    minimum_level: Level | None,
    basis: str | None,
    purpose: list[str] | None,
    class_: list[DataClass] | None,
    access_days: float | None,
    retention_days: int | None,
    region: str | None,
    transfer: str | None,
    document: str | None,
    attested: datetime | None,
    source: str | None,
    results_of: list[str] | None,
    ends: datetime | None,
) -> dict[str, Any]:
    """What the options say of `Terms`; only what was given."""
    if level and minimum_level:
        raise WardlightError("bad-request", "either --level or --minimum-level")
    levels = minimum_level.at_least() if minimum_level else frozenset(level or ())
    if access_days is not None and not 0 < access_days < 10**6:
        raise WardlightError("bad-request", "--access-days is a number of days")
    found: dict[str, Any] = {
        "levels": levels,
        # New levels without classes: what data at these levels is.
        "classes": frozenset(class_ or ()),
        "legal_basis": basis,
        "purposes": frozenset(purpose or ()),
        "access_s": int(access_days * 86_400) if access_days else None,
        "retention_days": retention_days,
        "region": region,
        "transfer": transfer,
        "document": document,
        "attested_ms": _ms(attested),
        "source": _id(source),
        "results_of": frozenset(results_of or ()),
        "ends_ms": _ms(ends),
    }
    given = {name: value for name, value in found.items() if value}
    return given | ({"classes": frozenset()} if levels and not class_ else {})


def _ms(moment: datetime | None) -> int | None:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000) if moment else None


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise WardlightError("not-found", "there is no such source") from None


def _word(value: str | int | None) -> str:
    return "-" if value in (None, "") else str(value)
