"""`wardlight admin user …` and `admin institution …` beyond making them: how people get in, and how that ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer

from wardlight import bootstrap, clock
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity import totp
from wardlight.identity.institutions import CLOSED, SUSPENDED
from wardlight.identity.model import ACTIVE, Person, Role
from wardlight.identity.service import LOCAL_ADMINISTRATOR

LoginArgument = Annotated[str, typer.Argument(help="The person's login.")]
NetworkOption = Annotated[
    list[str] | None,
    typer.Option("--network", help="CIDR that its people may come from; may be repeated. Default: any."),
]


def institution_change(
    institution: InstitutionArgument,
    name: Annotated[str | None, typer.Option("--name", help="Name that people see.")] = None,
    network: NetworkOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Change an institution's name, or the networks that its people may come from.

    Example: wardlight admin institution change stmary --network 192.0.2.0/24 --network 2001:db8::/48
    """
    with opened(data, config) as platform:
        row = platform.identity.institution(institution)
        row = platform.identity.change_institution(
            row, by=LOCAL_ADMINISTRATOR, name=name, networks=tuple(network) if network else None
        )
    typer.echo(f"{row.slug}: {row.name}, from {row.networks}")


def institution_suspend(
    institution: InstitutionArgument, data: DataOption = None, config: ConfigOption = None
) -> None:
    """Keep everybody and everything of an institution out, until it is resumed.

    Example: wardlight admin institution suspend stmary
    """
    _set_institution(institution, SUSPENDED, data, config)


def institution_resume(
    institution: InstitutionArgument, data: DataOption = None, config: ConfigOption = None
) -> None:
    """Let a suspended institution in again.

    Example: wardlight admin institution resume stmary
    """
    _set_institution(institution, ACTIVE, data, config)


def institution_close(
    institution: InstitutionArgument, data: DataOption = None, config: ConfigOption = None
) -> None:
    """Keep an institution out for good. Its data and its log stay until they are deleted.

    Example: wardlight admin institution close stmary
    """
    _set_institution(institution, CLOSED, data, config)


def user_password(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Set a person's password, asked for here or read as one line of standard input; their sessions end.

    Example: wardlight admin user password stmary dr.hale@stmary.example
    """
    password = _asked_password()
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        platform.sign_in.give_password(person, password, by=LOCAL_ADMINISTRATOR)
    typer.echo("the password is set")


def user_totp(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a person an authenticator: its secret is shown once.

    Example: wardlight admin user totp stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        secret = platform.factors.give_totp(person, by=LOCAL_ADMINISTRATOR)
    shown = {"secret": totp.shown(secret), "address": totp.address(secret, person.login)}
    typer.echo(json.dumps(shown) if as_json else shown["address"])


def user_reset(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Take all second factors from somebody who lost theirs, and end their sessions.

    Their password then lets them add a new factor, and nothing else.

    Example: wardlight admin user reset stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        platform.factors.reset(_person(platform, institution, login), by=LOCAL_ADMINISTRATOR)
    typer.echo("the next sign-in adds a new factor")


def user_invite(
    institution: InstitutionArgument,
    login: LoginArgument,
    name: Annotated[str, typer.Option("--name", help="Name that people see.")],
    role: Annotated[Role, typer.Option("--role", help="What the person may do.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a person, and print a link with which they choose a password. It is good once, for 72 hours.

    Example: wardlight admin user invite stmary dr.hale@stmary.example --name "Robin Hale" --role clinician
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        _, token = platform.people.invite(tenant.id, login, name, role, by=LOCAL_ADMINISTRATOR)
        typer.echo(f"{platform.settings.base_url}/signin#link={token}")


def user_link(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a new link for somebody whose invitation is over, or who forgot their password (good for 15 minutes).

    Example: wardlight admin user link stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        token = platform.people.new_link(_person(platform, institution, login), by=LOCAL_ADMINISTRATOR)
        typer.echo(f"{platform.settings.base_url}/signin#link={token}")


def user_role(
    institution: InstitutionArgument,
    login: LoginArgument,
    role: Annotated[Role, typer.Argument(help="The new role.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Give a person another role: it holds from the next request.

    Example: wardlight admin user role stmary dr.hale@stmary.example administrator
    """
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        platform.people.change(person.institution, person.id, role=role, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{login} is {role.value}")


def user_suspend(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """End a person's access at once: sessions, tokens, and what was shared with them.

    Example: wardlight admin user suspend stmary dr.hale@stmary.example
    """
    _set_person(institution, login, SUSPENDED, data, config)


def user_resume(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a suspended person sign in again.

    Example: wardlight admin user resume stmary dr.hale@stmary.example
    """
    _set_person(institution, login, ACTIVE, data, config)


def user_unlock(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Forget failures to sign in: the person's password need not wait any more.

    Example: wardlight admin user unlock stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        platform.people.unlock(_person(platform, institution, login), by=LOCAL_ADMINISTRATOR)
    typer.echo("unlocked")


def user_delete(
    institution: InstitutionArgument,
    login: LoginArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Erase a person's account; the audit trail keeps its id alone.

    Example: wardlight admin user delete stmary dr.hale@stmary.example
    """
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        platform.people.delete(person.institution, person.id, by=LOCAL_ADMINISTRATOR)
    typer.echo("deleted")


def user_sessions(
    institution: InstitutionArgument,
    login: LoginArgument,
    end: Annotated[bool, typer.Option("--end", help="End them all.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a person's sessions, or end them.

    Example: wardlight admin user sessions stmary dr.hale@stmary.example --end
    """
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        if end:
            ended = platform.identity.sessions.end(person.institution, person.id, by=LOCAL_ADMINISTRATOR)
            typer.echo(f"{ended} sessions ended")
            return
        rows = platform.identity.sessions.of_person(person.institution, person.id, by=LOCAL_ADMINISTRATOR)
    shown = [
        {
            "id": str(row.id),
            "method": row.method,
            "address": row.address,
            "created": clock.timestamp_ms(row.created_ms),
            "seen": clock.timestamp_ms(row.seen_ms),
        }
        for row in rows
    ]
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
    for one in shown if not as_json else ():
        typer.echo("  ".join(f"{name}={value}" for name, value in one.items()))


#: By name, for `admin`.
INSTITUTION_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "change": institution_change,
    "suspend": institution_suspend,
    "resume": institution_resume,
    "close": institution_close,
}
USER_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "invite": user_invite,
    "link": user_link,
    "password": user_password,
    "totp": user_totp,
    "reset": user_reset,
    "role": user_role,
    "suspend": user_suspend,
    "resume": user_resume,
    "unlock": user_unlock,
    "delete": user_delete,
    "sessions": user_sessions,
}


def _person(platform: bootstrap.Platform, institution: str, login: str) -> Person:
    return platform.identity.person(platform.identity.institution(institution).id, login)


def _set_person(institution: str, login: str, state: str, data: DataOption, config: ConfigOption) -> None:
    with opened(data, config) as platform:
        person = _person(platform, institution, login)
        platform.people.change(person.institution, person.id, state=state, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{login} is {state}")


def _set_institution(institution: str, state: str, data: DataOption, config: ConfigOption) -> None:
    with opened(data, config) as platform:
        row = platform.identity.institution(institution)
        platform.identity.set_state(row, state, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{row.slug} is {state}")


def _asked_password() -> str:
    """Never an argument: those are seen by whoever lists the machine's processes."""
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise WardlightError("bad-request", "no password came")
    return line
