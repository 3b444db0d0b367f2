"""`wardlight admin`: institutions, people, applications, agreements, receivers and routes.

Whoever may run this on the machine acts as the operator; every change is an entry in the audit trail.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wardlight import bootstrap
from wardlight.cli import (
    admin_agreements,
    admin_audit,
    admin_entitlements,
    admin_forward,
    admin_witnesses,
    route,
)
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.errors import WardlightError
from wardlight.identity.model import Receiver, Role, TokenScope
from wardlight.identity.service import (
    LOCAL_ADMINISTRATOR,
    PERSON_TOKEN_HOURS,
    RECEIVER_TOKEN_DAYS,
    USUAL_SCOPES,
)
from wardlight.keys.files import create_private, private_folder, replace_private
from wardlight.receiver.secrets import TOKEN_FILE, WITNESS_FILE

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Institutions, people, applications, agreements, receivers and routes.",
)
institution_app = typer.Typer(no_args_is_help=True, help="Tenants: hospitals and practices.")
user_app = typer.Typer(no_args_is_help=True, help="People of an institution and their API tokens.")
application_app = typer.Typer(no_args_is_help=True, help="Partner applications.")
receiver_app = typer.Typer(no_args_is_help=True, help="Gateways inside hospital networks.")
for _name, _group in (
    ("institution", institution_app),
    ("user", user_app),
    ("application", application_app),
    ("agreement", admin_agreements.app),
    ("entitlement", admin_entitlements.entitlement_app),
    ("source", admin_entitlements.source_app),
    ("receiver", receiver_app),
    ("route", route.app),
    *admin_witnesses.GROUPS,
    ("audit-forward", admin_forward.app),
):
    app.add_typer(_group, name=_name)
for _name, _command in admin_audit.COMMANDS.items():
    app.command(_name)(_command)
receiver_app.command("witness-key")(admin_witnesses.receiver_witness_key)

NameOption = Annotated[str, typer.Option("--name", help="Name that people see.")]


@institution_app.command("create")
def institution_create(
    slug: Annotated[str, typer.Argument(help="Short name for addresses: a-z, 0-9, hyphens.")],
    name: NameOption,
    region: Annotated[str, typer.Option("--region", help="Where its data stays.")] = "eu",
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an institution with its keys and its audit log.

    Example: wardlight admin institution create stmary --name "St. Mary Hospital" --region eu
    """
    with opened(data, config, create=True) as platform:
        row = platform.identity.create_institution(slug, name, region, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@institution_app.command("list")
def institution_list(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List institutions.

    Example: wardlight admin institution list --json
    """
    with opened(data, config) as platform:
        rows = platform.identity.institutions()
    show(rows, as_json)


@institution_app.command("show")
def institution_show(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one institution.

    Example: wardlight admin institution show stmary
    """
    with opened(data, config) as platform:
        row = platform.identity.institution(institution)
    show([row], as_json, one=True)


@user_app.command("create")
def user_create(
    institution: InstitutionArgument,
    login: Annotated[str, typer.Argument(help="Login, such as an e-mail address.")],
    name: NameOption,
    role: Annotated[Role, typer.Option("--role", help="Role in the institution.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a person to an institution.

    Example: wardlight admin user create stmary dr.hale@stmary.example --name "Dr. Robin Hale" --role clinician
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.identity.create_person(tenant.id, login, name, role, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@user_app.command("list")
def user_list(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List people of an institution.

    Example: wardlight admin user list stmary
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        rows = platform.identity.people(tenant.id, by=LOCAL_ADMINISTRATOR)
    show(rows, as_json)


@user_app.command("token")
def user_token(
    institution: InstitutionArgument,
    login: Annotated[str, typer.Argument(help="The person's login.")],
    hours: Annotated[float, typer.Option("--hours", help="Life in hours.")] = PERSON_TOKEN_HOURS,
    scope: Annotated[
        list[TokenScope] | None,
        typer.Option("--scope", help="May be repeated. Default: images.read, images.store."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new API token of a person. It is shown once; the platform keeps only its digest.

    Example: wardlight admin user token stmary dr.hale@stmary.example --hours 8
    """
    scopes = scope or USUAL_SCOPES
    with opened(data, config) as platform:
        person = platform.identity.person(platform.identity.institution(institution).id, login)
        token = platform.identity.issue_person_token(
            person, by=LOCAL_ADMINISTRATOR, hours=hours, scopes=scopes
        )
    typer.echo(json.dumps({"person": person.id, "token": token}) if as_json else token)


@user_app.command("revoke")
def user_revoke(
    institution: InstitutionArgument,
    login: Annotated[str, typer.Argument(help="The person's login.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """End all API tokens of a person at once.

    Example: wardlight admin user revoke stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        person = platform.identity.person(platform.identity.institution(institution).id, login)
        ended = platform.identity.revoke_tokens(person.institution, person.id, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{ended} tokens ended")


@application_app.command("create")
def application_create(
    application: Annotated[str, typer.Argument(help="Id of the application: a-z, 0-9, _ . -")],
    name: NameOption,
    vendor: Annotated[str, typer.Option("--vendor", help="Company that makes it.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a partner application. `images`, the institutions' own, is always there.

    Example: wardlight admin application create acme_ai --name "Acme AI" --vendor "Acme Inc."
    """
    with opened(data, config) as platform:
        row = platform.identity.create_application(application, name, vendor, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@application_app.command("list")
def application_list(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List registered applications.

    Example: wardlight admin application list
    """
    with opened(data, config) as platform:
        rows = platform.identity.applications()
    show(rows, as_json)


TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", help="Where to write the token, mode 0400. Default: in the receiver's secrets folder."
    ),
]
DaysOption = Annotated[float, typer.Option("--days", help="Life of the token in days.")]


@receiver_app.command("create")
def receiver_create(
    institution: InstitutionArgument,
    name: Annotated[str, typer.Argument(help="Name of the gateway.")],
    token_file: TokenFileOption = None,
    days: DaysOption = RECEIVER_TOKEN_DAYS,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a gateway: its token and the key by which it witnesses go to files that only its user can read.

    The key lies beside the token.

    Example: wardlight admin receiver create stmary gateway-1
    """
    with opened(data, config) as platform:
        file = token_file or platform.settings.receiver_secrets / TOKEN_FILE
        # Looked at first, so that no receiver is made whose token has no place.
        if file.exists() or (file.parent / WITNESS_FILE).exists():
            raise WardlightError(
                "already-exists", "there is a token or key in that place; name another --token-file"
            )
        tenant = platform.identity.institution(institution)
        row = platform.identity.create_receiver(tenant.id, name, by=LOCAL_ADMINISTRATOR)
        token = platform.identity.issue_receiver_token(row, by=LOCAL_ADMINISTRATOR, days=days)
        admin_witnesses.give_witness_key(platform, tenant, row, file.parent)
    create_private(file, token.encode() + b"\n", mode=0o400)
    show([row], as_json, one=True)
    if not as_json:
        typer.echo(f"token written to {file}")


@receiver_app.command("list")
def receiver_list(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List gateways of an institution.

    Example: wardlight admin receiver list stmary
    """
    with opened(data, config) as platform:
        rows = platform.identity.receivers(platform.identity.institution(institution).id)
    show(rows, as_json)


@receiver_app.command("token")
def receiver_token(
    institution: InstitutionArgument,
    name: Annotated[str, typer.Argument(help="Name of the gateway.")],
    token_file: TokenFileOption = None,
    days: DaysOption = RECEIVER_TOKEN_DAYS,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """End the gateway's tokens and put a new one in their place.

    Example: wardlight admin receiver token stmary gateway-1
    """
    with opened(data, config) as platform:
        row = _receiver(platform, institution, name)
        platform.identity.revoke_tokens(row.institution, row.id, by=LOCAL_ADMINISTRATOR)
        token = platform.identity.issue_receiver_token(row, by=LOCAL_ADMINISTRATOR, days=days)
        file = token_file or platform.settings.receiver_secrets / TOKEN_FILE
    private_folder(file.parent)
    replace_private(file, token.encode() + b"\n", mode=0o400)
    typer.echo(f"token written to {file}")


@receiver_app.command("revoke")
def receiver_revoke(
    institution: InstitutionArgument,
    name: Annotated[str, typer.Argument(help="Name of the gateway.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """End the gateway's tokens at once; it goes on spooling and says so.

    Example: wardlight admin receiver revoke stmary gateway-1
    """
    with opened(data, config) as platform:
        row = _receiver(platform, institution, name)
        ended = platform.identity.revoke_tokens(row.institution, row.id, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{ended} tokens ended")


def _receiver(platform: bootstrap.Platform, institution: str, name: str) -> Receiver:
    tenant = platform.identity.institution(institution)
    for row in platform.identity.receivers(tenant.id):
        if row.name == name:
            return row
    raise WardlightError("not-found", "the institution has no receiver of this name")
