"""`wardlight admin oidc` and `admin federation`: the OpenID provider's keys, and providers of institutions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.cli.rows import plain
from wardlight.errors import WardlightError
from wardlight.identity.federation_store import Federation
from wardlight.identity.model import Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR

oidc_app = typer.Typer(
    no_args_is_help=True, help="The OpenID provider, by which people sign in to applications."
)
federation_app = typer.Typer(no_args_is_help=True, help="Sign-in by an institution's own OpenID provider.")
GROUPS: Final = (("oidc", oidc_app), ("federation", federation_app))

_SECRET_BYTES: Final = 4096


@oidc_app.command("rotate-key")
def rotate_key(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Sign id tokens with a new key from now on; the old public key stays while its tokens live.

    Example: wardlight admin oidc rotate-key
    """
    with opened(data, config) as platform:
        kid = platform.provider.keys.rotate(by=LOCAL_ADMINISTRATOR)
    typer.echo(json.dumps({"kid": kid}) if as_json else kid)


@oidc_app.command("logout-uri")
def logout_uri(
    application: Annotated[str, typer.Argument(help="Id of the application.")],
    uri: Annotated[str, typer.Argument(help="Where it is told that somebody signed out; empty for nowhere.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Say where an application is told that one of its users signed out (back-channel logout).

    Example: wardlight admin oidc logout-uri acme_reader_prod https://reader.acme.example/signed-out
    """
    with opened(data, config) as platform:
        platform.provider.set_logout_uri(application, uri, by=LOCAL_ADMINISTRATOR)


@federation_app.command("set")
def federation_set(
    institution: InstitutionArgument,
    issuer: Annotated[str, typer.Option("--issuer", help="The provider's issuer, as it names itself.")],
    client_id: Annotated[str, typer.Option("--client-id", help="The platform's client id there.")],
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            help="File with the client secret. Without it the platform signs (private_key_jwt, keys at "
            "/federation/jwks).",
        ),
    ] = None,
    login_claim: Annotated[
        str, typer.Option("--login-claim", help="Claim that holds the person's login here.")
    ] = "preferred_username",
    require: Annotated[
        str, typer.Option("--require", help="CLAIM=VALUE that makes somebody a person of the institution.")
    ] = "",
    default_role: Annotated[
        Role | None, typer.Option("--default-role", help="Let people in without an invitation, in this role.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let people of an institution sign in by its own provider; replaces what was set before.

    Example: wardlight admin federation set stmary --issuer https://login.stmary.example --client-id wardlight --secret-file secret.txt
    """  # noqa: E501 - an example is one line, to be copied
    claim, _, value = require.partition("=")
    with opened(data, config) as platform:
        row = platform.federations.set(
            platform.identity.institution(institution).id,
            issuer,
            client_id,
            secret=_secret(secret_file) if secret_file else None,
            login_claim=login_claim,
            required=(claim, value),
            default_role=default_role,
            by=LOCAL_ADMINISTRATOR,
        )
        address = platform.federations.redirect_uri(platform.identity.institution(institution))
    _show(row, address, as_json)


@federation_app.command("show")
def federation_show(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an institution's provider, never its secret.

    Example: wardlight admin federation show stmary
    """
    with opened(data, config) as platform:
        found = platform.identity.institution(institution)
        row, address = platform.federations.show(found.id), platform.federations.redirect_uri(found)
    _show(row, address, as_json)


@federation_app.command("remove")
def federation_remove(
    institution: InstitutionArgument, data: DataOption = None, config: ConfigOption = None
) -> None:
    """Let nobody sign in by the institution's provider any more.

    Example: wardlight admin federation remove stmary
    """
    with opened(data, config) as platform:
        found = platform.identity.institution(institution)
        platform.federations.remove(found.id, by=LOCAL_ADMINISTRATOR)


def _show(row: Federation, address: str, as_json: bool) -> None:
    method = "private_key_jwt" if row.secret is None else "client_secret_basic"
    shown = {**plain(replace(row, secret=None)), "auth_method": method, "redirect_uri": address}
    del shown["secret"]
    if as_json:
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for name, value in shown.items():
        typer.echo(f"{name}={value or '-'}")


def _secret(file: Path) -> str:
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(_SECRET_BYTES).decode().strip()
    except (OSError, ValueError):
        raise WardlightError("bad-request", "the secret's file cannot be read") from None
