"""`wardlight admin audit-*`: keys, generations and retention of audit logs.

Whoever may run this on the machine acts as the operator; every change is an entry in the log that it concerns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

import typer

from wardlight import bootstrap
from wardlight.audit.recorder import OPERATOR
from wardlight.cli.opened import ConfigOption, DataOption, opened
from wardlight.identity.service import LOCAL_ADMINISTRATOR

LogArgument = Annotated[
    str, typer.Argument(help="Slug or id of the institution; `operator` is the operator's own log.")
]


def audit_rotate_key(log: LogArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Give a log a new key. It prints the key, which those who verify find in the log, signed by the old one.

    Example: wardlight admin audit-rotate-key stmary
    """
    with opened(data, config) as platform:
        vkey = platform.generations.rotate(institution_of(platform, log), by=LOCAL_ADMINISTRATOR)
    typer.echo(vkey)


def audit_continue(
    log: LogArgument,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Also where the log has not stopped, as after a theft of its key."),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Open the next generation of a log that has stopped: its head was not the one that was signed last.

    Keep the old state for those who look into it first. Everybody who verifies sees the new generation; give them its
    origin and key, which this prints.

    Example: wardlight admin audit-continue stmary
    """
    with opened(data, config) as platform:
        institution = institution_of(platform, log)
        head = platform.generations.go_on(institution, by=LOCAL_ADMINISTRATOR, anyway=anyway)
        typer.echo(f"{head.origin}\n{platform.audit_log.vkey(head)}")


def audit_retention(
    institution: Annotated[str, typer.Argument(help="Slug or id of the institution.")],
    days: Annotated[int | None, typer.Option("--days", help="Keep entries so long, in days.")] = None,
    hold: Annotated[
        bool | None, typer.Option("--hold/--no-hold", help="A legal hold: nothing is pruned.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Show how long an institution keeps audit entries, or change it. Older ones are pruned within an hour.

    Example: wardlight admin audit-retention stmary --days 4000
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        rule = platform.retention.change(tenant.id, by=LOCAL_ADMINISTRATOR, days=days, hold=hold)
    typer.echo(f"{rule.days} days{', on hold' if rule.hold else ''}")


def audit_reference_epoch(
    institution: Annotated[str, typer.Argument(help="Slug or id of the institution.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a new key for the references by which the trail names patients and studies, as after a leak of the old one.

    Entries under older keys are still found. Processes that run follow within a minute. Prints the new epoch.

    Example: wardlight admin audit-reference-epoch stmary
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        epoch = platform.recorder.open_reference_epoch(platform.database, tenant.id, by=LOCAL_ADMINISTRATOR)
    typer.echo(str(epoch))


def institution_of(platform: bootstrap.Platform, log: str) -> UUID | None:
    """The institution that a log is named by; None for the operator's own."""
    return None if log == OPERATOR else platform.identity.institution(log).id


COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "audit-rotate-key": audit_rotate_key,
    "audit-continue": audit_continue,
    "audit-retention": audit_retention,
    "audit-reference-epoch": audit_reference_epoch,
}
