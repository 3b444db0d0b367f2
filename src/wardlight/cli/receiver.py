"""`wardlight receiver`: run the gateway; ask for its status; look after its quarantine."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from wardlight import clock, log, settings
from wardlight.cli.receiver_options import ConfigOption, JsonOption, existing, loaded
from wardlight.cli.receiver_vault import domain_app, reidentify, vault_app
from wardlight.errors import WardlightError
from wardlight.supervisor import die_with_parent

app = typer.Typer(
    invoke_without_command=True,
    help="Run the on-premises gateway, or ask for its status.",
    add_completion=False,
)
quarantine_app = typer.Typer(
    no_args_is_help=True, help="Objects that could not be de-identified and verified."
)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(vault_app, name="vault")
app.add_typer(domain_app, name="domain")
app.command("reidentify")(reidentify)

_DAY_MS = 24 * 3600 * 1000


@app.callback()
def receiver(context: typer.Context, config: ConfigOption = None) -> None:
    """Run the gateway until Ctrl-C: DICOM node, encrypted spool, de-identification, upload.

    Example: wardlight receiver --config /etc/wardlight.toml
    """
    if context.invoked_subcommand is not None:
        return
    from wardlight.receiver import process

    chosen = loaded(config)
    log.configure("receiver", level=chosen.log_level)
    die_with_parent()
    try:
        chosen.refuse_unsafe()
        process.run(chosen)
    except WardlightError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command("enrol")
def enrol(
    code: Annotated[str, typer.Argument(help="The code that an administrator gave out: WL1-…-…")],
    platform: Annotated[
        str, typer.Option("--platform", help="Address of the platform; wins over receiver.platform_url.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Become known to a platform: make a key, bring the code, and show six digits for its administrator to compare.

    Example: wardlight receiver enrol WL1-ABCDEFGHIJKLMNOPQRST-ABCDEFGHIJKLMNOPQRSTUVWXYZ --platform https://ward.example
    """
    from wardlight.receiver import enrolment
    from wardlight.receiver.places import platform_address

    chosen = loaded(config)
    if platform:
        inner = chosen.receiver.model_copy(update={"platform_url": platform})
        chosen = chosen.model_copy(update={"receiver": inner})
    address = platform_address(chosen)
    try:
        if why := settings.unsafe_address(address.url):
            raise WardlightError("bad-request", f"the platform's address {why}")
        found = enrolment.enrol(code, enrolment.over_http(address), chosen.receiver_secrets)
    except WardlightError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        shown = {name: found[name] for name in ("receiver", "name", "institution", "digits")}
        typer.echo(json.dumps(shown))
        return
    typer.echo(
        f"{found['name']} of {found['institution']}: compare these digits with the administrator's screen\n"
    )
    typer.echo(f"    {found['digits'][:3]} {found['digits'][3:]}\n")
    typer.echo("Once they are confirmed there, the receiver uploads. `wardlight receiver status` tells.")


@app.command("status")
def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the platform.")] = False,
) -> None:
    """Show queue, quarantine, throughput, spool, disk and platform.

    Example: wardlight receiver status --json
    """
    from wardlight.receiver.status import status as read_status

    found = read_status(existing(config), ask_platform=not offline)
    typer.echo(json.dumps(found) if as_json else _page(found))


@quarantine_app.command("list")
def quarantine_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List objects in quarantine with their reasons: codes and tags, never a value.

    Example: wardlight receiver quarantine list
    """
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path
    from wardlight.receiver.store import ReceiverStore

    chosen = existing(config)
    store = ReceiverStore(database_path(chosen))
    try:
        found = store.quarantined()
        store.append([Entries(chosen.node).viewed(len(found))])
    finally:
        store.close()
    if as_json:
        rows = [
            {
                "id": str(entry.id),
                "at_ms": entry.at,
                "application": entry.target.application,
                "level": str(entry.target.level),
                "sop_class": entry.sop_class,
                "transfer_syntax": entry.transfer_syntax,
                "size": entry.size,
                "reasons": list(entry.reasons),
            }
            for entry in found
        ]
        typer.echo(json.dumps(rows))
        return
    for entry in found:
        typer.echo(f"{entry.id}  {entry.target}  {entry.sop_class}  {', '.join(entry.reasons)}")


@quarantine_app.command("purge")
def quarantine_purge(
    older_than_days: Annotated[
        int, typer.Option("--older-than-days", min=0, help="Age from which objects are removed.")
    ],
    config: ConfigOption = None,
) -> None:
    """Remove objects from quarantine for good; each removal is in the audit trail.

    Example: wardlight receiver quarantine purge --older-than-days 90
    """
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path
    from wardlight.receiver.quarantine import FOLDER, Quarantine
    from wardlight.receiver.secrets import load
    from wardlight.receiver.store import ReceiverStore

    chosen = existing(config)
    store = ReceiverStore(database_path(chosen))
    try:
        quarantine = Quarantine(
            store, chosen.receiver_dir / FOLDER, load(chosen.receiver_secrets), Entries(chosen.node)
        )
        number = quarantine.purge(clock.unix_ms() - older_than_days * _DAY_MS)
    finally:
        store.close()
    typer.echo(f"{number} removed")


def _page(found: dict[str, Any]) -> str:
    queue, spool, platform, quarantine = (
        found["queue"],
        found["spool"],
        found["platform"],
        found["quarantine"],
    )
    last = platform["last"] or "nothing sent yet"
    lines = [
        f"queue        {queue['objects']} objects, {_size(queue['bytes'])}, oldest {queue['oldest'] or '-'}",
        f"spool        {spool['files']} files, {spool['damaged_files']} damaged, key tier {spool['key_tier']}",
        f"disk         {_size(spool['free_bytes'])} free of {_size(spool['disk_bytes'])}",
        f"platform     {last}" + (f" since {platform['since']}" if platform["since"] else ""),
    ]
    if "reachable" in platform:
        why = f": {platform['why']}" if platform.get("why") else ""
        lines.append(f"             {'reachable' if platform['reachable'] else 'not reachable'} now{why}")
    if not platform["credential"]:
        lines.append("             no credential: see `wardlight receiver enrol`")
    elif platform["last"] == "unauthenticated":
        lines.append("             the platform does not take the credential: not confirmed yet, or revoked")
    lines += [
        f"refused      {target}: {row['reason']} since {row['since']}"
        for target, row in platform["refused"].items()
    ]
    lines += [
        f"{kind:<12} {row['instances']} in a day, last {row['last']}"
        for kind, row in found["last_day"].items()
    ]
    lines += [
        f"rate         {kind} {row['instances_per_s']} a second, {_size(row['bytes_per_s'])}/s over 5 minutes"
        for kind, row in found["throughput"].items()
    ]
    lines += _agreements(found["agreements"])
    if found["held_deleted"]["uploads"]:
        lines.append(
            f"held         {found['held_deleted']['uploads']} objects of studies that were deleted on the platform,"
            f" oldest {found['held_deleted']['oldest']}; decide there whether they may come again"
        )
    lines.append(f"quarantine   {quarantine['objects']} objects")
    lines += [f"             {number} x {reason}" for reason, number in quarantine["reasons"].items()]
    lines.append(f"audit        {found['audit_pending']} entries wait to be shipped")
    if found["audit"]["refused"]:
        lines.append(f"             {found['audit']['refused']} entries were refused by the platform")
    return "\n".join(lines + _witness(found["witness"]))


def _agreements(found: dict[str, Any]) -> list[str]:
    last = found["last"] or "not asked yet"
    known = "" if found["known"] else ", nothing is known: all is taken in and waits"
    lines = [f"agreements   {last}{known}"]
    lines += [
        f"held         {row['application']}:{row['level']}: {row['objects']} objects, {_size(row['bytes'])},"
        f" {row['reason']}, oldest {row['oldest']}"
        for row in found["held"]
    ]
    return lines


def _witness(found: dict[str, Any]) -> list[str]:
    if not found["key"]:
        lines = ["witness      no key: see `wardlight admin receiver witness-key`"]
    else:
        lines = [f"witness      {found['last'] or 'nothing seen yet'}"]
    for number, row in enumerate(found["logs"]):
        cosigned = f"{row['cosigned']['size']} cosigned {row['cosigned']['at'] or '-'}"
        kind = "follows" if not number else "followed"
        lines.append(
            f"             {kind} {row['origin']}: {row['size']} entries, seen {row['seen']}, {cosigned}"
        )
        if row["alarm"]:
            lines.append(f"             ALARM {row['alarm']['reason']} since {row['alarm']['since']}")
    return lines


def _size(number: int) -> str:
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
