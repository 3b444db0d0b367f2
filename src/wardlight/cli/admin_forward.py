"""`wardlight admin audit-forward`: collectors that get an audit log's entries by syslog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wardlight import clock
from wardlight.cli.admin_audit import LogArgument, institution_of
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import syslog
from wardlight.trail.collectors import Place

app = typer.Typer(no_args_is_help=True, help="Collectors that get an audit log's entries by syslog.")


@app.command("add")
def add(
    log: LogArgument,
    collector: Annotated[
        str, typer.Argument(help=f"HOST or HOST:PORT, [ADDRESS]:PORT for IPv6. Port: {syslog.PORT}.")
    ],
    ca: Annotated[Path, typer.Option("--ca", help="Certificates of who signed the collector's, PEM.")],
    cert: Annotated[Path, typer.Option("--cert", help="Certificate that the platform shows, PEM.")],
    key: Annotated[Path, typer.Option("--key", help="Its key, PEM, without a password.")],
    msgid: Annotated[str, typer.Option("--msgid", help=" or ".join(syslog.MSGIDS))] = syslog.MSGIDS[0],
    no_bom: Annotated[bool, typer.Option("--no-bom", help="No byte order mark before the text.")] = False,
    deliveries: Annotated[
        bool, typer.Option("--deliveries", help="Also entries that tell of notifications and deliveries.")
    ] = False,
    whole: Annotated[bool, typer.Option("--all", help="Begin with the log's first entry, not now.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Forward a log's entries to a collector, as DICOM audit messages by syslog over TLS.

    The worker reads the files again at each connection, on its own machine.

    Example: wardlight admin audit-forward add stmary siem.example --ca ca.pem --cert own.pem --key own.key
    """
    host, port = _address(collector)
    place = Place(
        host,
        port,
        ca=str(ca.absolute()),
        certificate=str(cert.absolute()),
        key=str(key.absolute()),
        form=syslog.Form(msgid, not no_bom),
        deliveries=deliveries,
    )
    with opened(data, config) as platform:
        institution = institution_of(platform, log)
        found = platform.collectors.add(institution, place, whole=whole, by=LOCAL_ADMINISTRATOR)
    typer.echo(found.place.name)


@app.command("list")
def list_(
    log: LogArgument, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List a log's collectors, and how far each has got.

    Example: wardlight admin audit-forward list stmary
    """
    with opened(data, config) as platform:
        rows = [
            {
                "collector": one.place.name,
                "next": one.cursor,
                "sent": clock.timestamp_ms(one.sent_ms) if one.sent_ms else "",
                "state": one.state or "ok",
                "msgid": one.place.form.msgid,
                "bom": one.place.form.bom,
                "deliveries": one.place.deliveries,
                "ca": one.place.ca,
                "cert": one.place.certificate,
                "key": one.place.key,
            }
            for one in platform.collectors.of(institution_of(platform, log))
        ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))


@app.command("remove")
def remove(
    log: LogArgument,
    collector: Annotated[str, typer.Argument(help="HOST:PORT, as `list` shows it.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Forward nothing more to a collector.

    Example: wardlight admin audit-forward remove stmary siem.stmary.example:6514
    """
    host, port = _address(collector)
    with opened(data, config) as platform:
        institution = institution_of(platform, log)
        platform.collectors.remove(institution, f"{host}:{port}", by=LOCAL_ADMINISTRATOR)


def _address(text: str) -> tuple[str, int]:
    host, port = text, str(syslog.PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise WardlightError("bad-request", "a collector is HOST or HOST:PORT")
    return host, int(port)
