"""`wardlight admin application`: registration of partner applications, their approval, keys and secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.cli.rows import show
from wardlight.errors import WardlightError
from wardlight.identity.application_model import (
    APPLICATION_SCOPES,
    USUAL_APPLICATION_SCOPES,
    ApplicationKind,
    AuthMethod,
)
from wardlight.identity.model import TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR

app = typer.Typer(no_args_is_help=True, help="Partner applications.")
key_app = typer.Typer(no_args_is_help=True, help="Public keys of an application.")
app.add_typer(key_app, name="key")

ApplicationArgument = Annotated[str, typer.Argument(help="Id of the application: company_app_environment.")]
OverlapOption = Annotated[
    int, typer.Option("--overlap-hours", min=0, max=720, help="How long the old one goes on.")
]
_KEY_BYTES: Final = 16384


@app.command("create")
def create(
    application: ApplicationArgument,
    name: Annotated[str, typer.Option("--name", help="Name that people see.")],
    vendor: Annotated[str, typer.Option("--vendor", help="Company that makes it.")],
    owner: Annotated[str, typer.Option("--owner", help="Whom to ask at the company.")] = "",
    kind: Annotated[ApplicationKind, typer.Option("--kind", help="Where it runs.")] = ApplicationKind.CLOUD,
    auth: Annotated[
        AuthMethod, typer.Option("--auth", help="How it proves who it is.")
    ] = AuthMethod.PRIVATE_KEY_JWT,
    scope: Annotated[
        list[TokenScope] | None,
        typer.Option("--scope", help=f"May be repeated; of {', '.join(sorted(APPLICATION_SCOPES))}."),
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="Where its users return to; may be repeated.")
    ] = None,
    post_logout_uri: Annotated[
        list[str] | None,
        typer.Option("--post-logout-uri", help="Where they go after signing out; may be repeated."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a partner application in one environment; it waits for `approve`. `images` is always there.

    Example: wardlight admin application create acme_reader_prod --name "Acme Reader" --vendor "Acme Inc."
    """
    with opened(data, config) as platform:
        row = platform.applications.register(
            application,
            name,
            vendor,
            owner=owner,
            kind=kind,
            auth_method=auth,
            scopes=scope or USUAL_APPLICATION_SCOPES,
            redirect_uris=redirect_uri or (),
            post_logout_uris=post_logout_uri or (),
            by=LOCAL_ADMINISTRATOR,
        )
    show([row], as_json, one=True)


@app.command("change")
def change(
    application: ApplicationArgument,
    name: Annotated[str | None, typer.Option("--name", help="Name that people see.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Whom to ask at the company.")] = None,
    scope: Annotated[
        list[TokenScope] | None, typer.Option("--scope", help="All of them; may be repeated.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="All of them; may be repeated.")
    ] = None,
    post_logout_uri: Annotated[
        list[str] | None, typer.Option("--post-logout-uri", help="All of them; may be repeated.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a registration: what is not named stays. Where it loses a scope, its tokens end.

    Example: wardlight admin application change acme_reader_prod --redirect-uri https://reader.acme.example/back
    """
    with opened(data, config) as platform:
        row = platform.applications.change(
            application,
            name=name,
            owner=owner,
            scopes=scope or None,
            redirect_uris=redirect_uri or None,
            post_logout_uris=post_logout_uri or None,
            by=LOCAL_ADMINISTRATOR,
        )
    show([row], as_json, one=True)


@app.command("list")
def list_(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List registered applications.

    Example: wardlight admin application list
    """
    with opened(data, config) as platform:
        rows = platform.applications.list()
    show(rows, as_json)


@app.command("show")
def show_one(
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one application.

    Example: wardlight admin application show acme_reader_prod
    """
    with opened(data, config) as platform:
        row = platform.applications.show(application)
    show([row], as_json, one=True)


@app.command("approve")
def approve(
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a new or suspended application in.

    Example: wardlight admin application approve acme_reader_prod
    """
    with opened(data, config) as platform:
        row = platform.applications.approve(application, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@app.command("suspend")
def suspend(
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep an application out, at once and with the tokens that it has.

    Example: wardlight admin application suspend acme_reader_prod
    """
    with opened(data, config) as platform:
        row = platform.applications.suspend(application, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@app.command("delete")
def delete(
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an application for good; its id is never given again.

    Example: wardlight admin application delete acme_reader_prod
    """
    with opened(data, config) as platform:
        row = platform.applications.delete(application, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@key_app.command("add")
def key_add(
    application: ApplicationArgument,
    file: Annotated[Path, typer.Argument(help="The public key: a JWK, or PEM.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a public key beside those that it has: P-256, P-384, or RSA of 2048 bits and more.

    Example: wardlight admin application key add acme_reader_prod acme.jwk
    """
    jwk = _read_key(file)
    with opened(data, config) as platform:
        row = platform.applications.add_key(application, jwk, by=LOCAL_ADMINISTRATOR)
    show([row], as_json, one=True)


@key_app.command("list")
def key_list(
    application: ApplicationArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List an application's keys and secrets that hold; of a secret there is nothing but its id.

    Example: wardlight admin application key list acme_reader_prod
    """
    with opened(data, config) as platform:
        rows = platform.applications.keys(application)
    show(rows, as_json)


@key_app.command("remove")
def key_remove(
    application: ApplicationArgument,
    kid: Annotated[str, typer.Argument(help="Id of the key, as `key list` has it.")],
    overlap_hours: OverlapOption = 0,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a key or a secret end, now or after a time.

    Example: wardlight admin application key remove acme_reader_prod key-2025 --overlap-hours 24
    """
    with opened(data, config) as platform:
        platform.applications.remove_key(
            application, kid, by=LOCAL_ADMINISTRATOR, overlap=timedelta(hours=overlap_hours)
        )


@app.command("secret")
def secret(
    application: ApplicationArgument,
    overlap_hours: OverlapOption = 24,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new secret of an application that is registered for one. It is shown once.

    Example: wardlight admin application secret acme_reader_test
    """
    with opened(data, config) as platform:
        found = platform.applications.new_secret(
            application, by=LOCAL_ADMINISTRATOR, overlap=timedelta(hours=overlap_hours)
        )
    typer.echo(json.dumps({"application": application, "client_secret": found}) if as_json else found)


def _read_key(file: Path) -> Mapping[str, Any]:
    """The public key of a file; a private one is refused."""
    try:
        content = file.read_bytes()[:_KEY_BYTES]
        if content.lstrip().startswith(b"-----BEGIN"):
            key = load_pem_public_key(content)
            if isinstance(key, EllipticCurvePublicKey):
                return ECKey.import_key(key).as_dict()
            if isinstance(key, RSAPublicKey):
                return RSAKey.import_key(key).as_dict()
            raise ValueError("no such kind of key")
        found = json.loads(content)
    except (OSError, ValueError, TypeError, JoseError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, dict):
        raise WardlightError("bad-request", "the file holds no JWK and no public key in PEM")
    return found
