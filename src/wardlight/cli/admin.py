"""`wardlight admin`: institutions, people, applications, agreements, receivers and routes.

Whoever may run this on the machine acts as the operator; every change is an entry in the audit trail.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from wardlight.cli import (
    admin_agreements,
    admin_applications,
    admin_audit,
    admin_entitlements,
    admin_forward,
    admin_oidc,
    admin_people,
    admin_receivers,
    admin_webhooks,
    admin_witnesses,
    route,
)
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.identity.model import ANYWHERE, Role, TokenScope
from wardlight.identity.service import (
    LOCAL_ADMINISTRATOR,
    PERSON_TOKEN_HOURS,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Institutions, people, applications, agreements, receivers and routes.",
)
institution_app = typer.Typer(no_args_is_help=True, help="Tenants: hospitals and practices.")
user_app = typer.Typer(no_args_is_help=True, help="People of an institution and their API tokens.")
for _name, _group in (
    ("institution", institution_app),
    ("user", user_app),
    ("application", admin_applications.app),
    ("agreement", admin_agreements.app),
    ("entitlement", admin_entitlements.entitlement_app),
    ("source", admin_entitlements.source_app),
    ("receiver", admin_receivers.app),
    ("route", route.app),
    ("webhook", admin_webhooks.app),
    *admin_witnesses.GROUPS,
    *admin_oidc.GROUPS,
    ("audit-forward", admin_forward.app),
):
    app.add_typer(_group, name=_name)
for _name, _command in admin_audit.COMMANDS.items():
    app.command(_name)(_command)
for _name, _command in admin_people.INSTITUTION_COMMANDS.items():
    institution_app.command(_name)(_command)
for _name, _command in admin_people.USER_COMMANDS.items():
    user_app.command(_name)(_command)
admin_receivers.app.command("witness-key")(admin_witnesses.receiver_witness_key)

NameOption = Annotated[str, typer.Option("--name", help="Name that people see.")]


@institution_app.command("create")
def institution_create(
    slug: Annotated[str, typer.Argument(help="Short name for addresses: a-z, 0-9, hyphens.")],
    name: NameOption,
    region: Annotated[str, typer.Option("--region", help="Where its data stays.")] = "eu",
    network: admin_people.NetworkOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an institution with its keys and its audit log.

    Example: wardlight admin institution create stmary --name "St. Mary Hospital" --region eu
    """
    with opened(data, config, create=True) as platform:
        row = platform.identity.create_institution(
            slug, name, region, tuple(network or ANYWHERE), by=LOCAL_ADMINISTRATOR
        )
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
        typer.Option(
            "--scope", help="May be repeated. Default: reading, storing, the trail; of an operator: platform."
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new API token of a person. It is shown once; the platform keeps only its digest.

    Example: wardlight admin user token stmary dr.hale@stmary.example --hours 8
    """
    with opened(data, config) as platform:
        person = platform.identity.person(platform.identity.institution(institution).id, login)
        token = platform.identity.issue_person_token(
            person, by=LOCAL_ADMINISTRATOR, hours=hours, scopes=scope or None
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
