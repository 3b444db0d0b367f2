"""`wardlight admin webhook`: where applications want events sent to, and what could not be brought there."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from wardlight import clock
from wardlight.api.fields import parsed_id
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

app = typer.Typer(no_args_is_help=True, help="Where applications want events sent to.")


@app.command("list")
def list_(
    application: Annotated[
        str | None, typer.Option("--application", help="Id of an application; all without it.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List webhooks, and how many deliveries wait or were given up. Neither secrets nor events are shown.

    Example: wardlight admin webhook list --application acme_reader_prod
    """
    with opened(data, config) as platform:
        rows = [
            {
                "webhook": one.webhook.id.hex,
                "application": one.webhook.application,
                "institution": str(one.webhook.institution),
                "url": one.webhook.url.partition("?")[0],
                "kinds": ",".join(one.webhook.kinds) or "all",
                "failures": one.webhook.failures,
                "next": clock.timestamp_ms(one.webhook.next_ms) if one.webhook.failures else "",
                "pending": one.pending,
                "dead": one.dead,
            }
            for one in platform.webhooks.overview(application)
        ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))


@app.command("redeliver")
def redeliver(
    webhook: Annotated[str, typer.Argument(help="Id of the webhook, as `list` shows it.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Send once more what was given up at a webhook.

    Example: wardlight admin webhook redeliver 01a20e25147d7eadaab46c497f8ee7bd
    """
    try:
        id_ = parsed_id(webhook)
    except WardlightError:
        raise WardlightError("not-found", "there is no such webhook") from None
    with opened(data, config) as platform:
        count = platform.webhooks.redeliver_dead(id_, by=LOCAL_ADMINISTRATOR)
    typer.echo(f"{count} deliveries are sent again")
