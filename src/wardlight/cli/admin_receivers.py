"""`wardlight admin receiver`: gateways, their enrolment by code and digits, and their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wardlight.bootstrap import Platform
from wardlight.cli import admin_witnesses
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.errors import WardlightError
from wardlight.identity.model import Institution, Receiver
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver import enrolment
from wardlight.receiver.secrets import CREDENTIAL_FILE, WITNESS_FILE

app = typer.Typer(no_args_is_help=True, help="Gateways inside hospital networks.")

NameArgument = Annotated[str, typer.Argument(help="Name of the gateway.")]


@app.command("create")
def create(
    institution: InstitutionArgument,
    name: NameArgument,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where its keys go. Default: the receiver's secrets folder."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enrol a gateway on this machine at once: its keys go to files that only its user can read.

    One on another machine is enrolled with a code: see `enrol`.

    Example: wardlight admin receiver create stmary gateway-1
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        place = folder or platform.settings.receiver_secrets
        if any(row.name == name for row in platform.identity.receivers(tenant.id)):
            raise WardlightError("already-exists", "the institution has a receiver of this name")
        if any((place / file).exists() for file in (CREDENTIAL_FILE, WITNESS_FILE)):
            raise WardlightError("already-exists", "there is a key in that place; name another --folder")
        row = enrol_here(platform, tenant, name, place)
    show([row], as_json, one=True)


@app.command("enrol")
def enrol(
    institution: InstitutionArgument,
    name: NameArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a code, good for 30 minutes and once, for `wardlight receiver enrol` on the gateway.

    Example: wardlight admin receiver enrol stmary gateway-1
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row, code = platform.enrolments.open(tenant, name, by=LOCAL_ADMINISTRATOR)
    typer.echo(json.dumps({"receiver": row.id, "name": row.name, "code": code}) if as_json else code)


@app.command("confirm")
def confirm(
    institution: InstitutionArgument,
    name: NameArgument,
    digits: Annotated[str, typer.Argument(help="The six digits on the gateway's screen.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a gateway in whose screen shows these digits; with others its enrolment ends.

    Example: wardlight admin receiver confirm stmary gateway-1 123456
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.enrolments.confirm(tenant.id, name, digits, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@app.command("list")
def list_(
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


@app.command("revoke")
def revoke(
    institution: InstitutionArgument,
    name: NameArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """End a gateway's keys and tokens at once; it goes on spooling and says so.

    Example: wardlight admin receiver revoke stmary gateway-1
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        ended = platform.enrolments.revoke(tenant.id, name, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{ended} tokens ended")


def enrol_here(platform: Platform, tenant: Institution, name: str, folder: Path) -> Receiver:
    """Enrol a gateway whose secrets are in a folder of this machine: both sides of it are the same administrator."""
    _, code = platform.enrolments.open(tenant, name, by=LOCAL_ADMINISTRATOR)

    def bring(signed: str) -> str:
        return platform.enrolments.use(signed, issuer=platform.settings.base_url)

    found = enrolment.enrol(code, bring, folder)
    row = platform.enrolments.confirm(tenant.id, found["receiver"], found["digits"], by=LOCAL_ADMINISTRATOR)
    admin_witnesses.give_witness_key(platform, tenant, row, folder)
    return row
