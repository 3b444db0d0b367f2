"""`wardlight admin audit-witness | audit-anchor`, and the key by which a receiver witnesses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from wardlight import bootstrap, clock
from wardlight.cli.admin_audit import LogArgument, institution_of
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.model import Institution, Receiver
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.receiver import secrets
from wardlight.trail.anchors import DAY_S

witness_app = typer.Typer(no_args_is_help=True, help="Who cosigns the heads of audit logs.")
anchor_app = typer.Typer(no_args_is_help=True, help="Where the heads of audit logs are brought to.")
GROUPS: Final = (("audit-witness", witness_app), ("audit-anchor", anchor_app))


@witness_app.command("add")
def witness_add(
    log: LogArgument,
    vkey: Annotated[str, typer.Argument(help="The witness's public key, as it gives it out.")],
    url: Annotated[str, typer.Option("--url", help="Its submission prefix; https, or http on this machine.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Have a log's heads cosigned by a witness of the C2SP protocol. Receivers need no such entry.

    Example: wardlight admin audit-witness add stmary witness.example/w1+0742bf15+BCms… --url https://witness.example
    """
    with opened(data, config) as platform:
        found = platform.witnesses.add(institution_of(platform, log), vkey, url, by=LOCAL_ADMINISTRATOR)
    typer.echo(found.name)


@witness_app.command("list")
def witness_list(
    log: LogArgument, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List a log's witnesses, and what each cosigned last.

    Example: wardlight admin audit-witness list stmary
    """
    with opened(data, config) as platform:
        rows = [
            {
                "name": one.name,
                "vkey": one.vkey,
                "url": one.url or "",
                "receiver": one.receiver or "",
                "size": one.size,
                "cosigned": clock.timestamp_ms(one.cosigned_ms) if one.cosigned_ms else "",
                "state": one.state,
            }
            for one in platform.witnesses.active(institution_of(platform, log))
        ]
    _show(rows, as_json)


@witness_app.command("remove")
def witness_remove(
    log: LogArgument,
    name: Annotated[str, typer.Argument(help="Name of the witness.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask a witness no more. What it cosigned stays good.

    Example: wardlight admin audit-witness remove stmary witness.example/w1
    """
    with opened(data, config) as platform:
        platform.witnesses.remove(institution_of(platform, log), name, by=LOCAL_ADMINISTRATOR)


@anchor_app.command("add")
def anchor_add(
    log: LogArgument,
    kind: Annotated[str, typer.Argument(help="`file`, `https`, `syslog` or `mail`.")],
    target: Annotated[
        str,
        typer.Argument(
            help="Whole path, URL, HOST:PORT of a collector of the log, or mailboxes with commas between."
        ),
    ],
    every_s: Annotated[int, typer.Option("--every-s", help="Time between deliveries, in seconds.")] = DAY_S,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring a log's signed head to a place outside the platform, again and again.

    Example: wardlight admin audit-anchor add stmary file /mnt/worm/stmary.log
    """
    with opened(data, config) as platform:
        institution = institution_of(platform, log)
        found = platform.anchors.add(institution, kind, target, every_s, by=LOCAL_ADMINISTRATOR)
    typer.echo(str(found.id))


@anchor_app.command("list")
def anchor_list(
    log: LogArgument, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List a log's anchors, and what was delivered last.

    Example: wardlight admin audit-anchor list stmary
    """
    with opened(data, config) as platform:
        rows = [
            {
                "id": str(one.id),
                "kind": one.kind,
                "target": one.target,
                "every_s": one.every_s,
                "size": one.size,
                "sent": clock.timestamp_ms(one.sent_ms) if one.sent_ms else "",
                "state": one.state or "ok",
            }
            for one in platform.anchors.active(institution_of(platform, log))
        ]
    _show(rows, as_json)


@anchor_app.command("remove")
def anchor_remove(
    log: LogArgument,
    anchor: Annotated[str, typer.Argument(help="Id of the anchor.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring heads there no more. What lies there stays.

    Example: wardlight admin audit-anchor remove stmary 0198c0de-0000-7000-8000-000000000000
    """
    try:
        id_ = UUID(anchor)
    except ValueError:
        raise WardlightError("not-found", "there is no such anchor") from None
    with opened(data, config) as platform:
        platform.anchors.remove(institution_of(platform, log), id_, by=LOCAL_ADMINISTRATOR)


def receiver_witness_key(
    institution: Annotated[str, typer.Argument(help="Slug or id of the institution.")],
    name: Annotated[str, typer.Argument(help="Name of the gateway.")],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where the key goes. Default: the receiver's secrets folder."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Give a gateway a key by which it witnesses the audit log, in the place of the one that it has.

    Example: wardlight admin receiver witness-key stmary gateway-1
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        for row in platform.identity.receivers(tenant.id):
            if row.name == name:
                typer.echo(
                    give_witness_key(platform, tenant, row, folder or platform.settings.receiver_secrets)
                )
                return
    raise WardlightError("not-found", "the institution has no receiver of this name")


def give_witness_key(platform: bootstrap.Platform, tenant: Institution, row: Receiver, folder: Path) -> str:
    """Make a receiver's witness key, register its public side, and put it and the log's key there; returns the vkey."""
    seed, public = secrets.new_witness_seed()
    key = platform.witnesses.enrol(tenant, row, public, by=LOCAL_ADMINISTRATOR)
    log = platform.audit_log.logs(tenant.id)[-1]
    known = platform.audit_log.vkeys(log)
    # Whoever follows the log begins with its first key, and sees each rotation.
    log_vkey = known[0] if known else platform.signer.open(tenant.id, log.origin)
    secrets.save_witness_key(folder, seed, key.text, log_vkey)
    return key.text


def _show(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))
