"""`wardlight study`: delete a study, see what was deleted, let it come again, get the receipt.

Whoever may run this on the machine acts as the operator; every deletion is an entry in the institution's audit trail.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from wardlight import clock
from wardlight.api.fields import parsed_id
from wardlight.archive.deletion import Asked, Known
from wardlight.archive.receipts import described
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.files import replace_private

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Delete studies, and see what became of deletions."
)
DeletionArgument = Annotated[str, typer.Argument(help="Id of the deletion, 32 hexadecimal digits.")]
_BY = Asked(LOCAL_ADMINISTRATOR)


@app.command("delete")
def delete(
    institution: InstitutionArgument,
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID in any of the study's releases.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End all access to a study, in all of its releases, at once. The worker destroys keys, objects and rows.

    Example: wardlight study delete stmary 1.2.840.113619.2.1
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        row = platform.deletion.begin(tenant.id, study_uid, _BY)
        known = platform.deletion.known(tenant.id, row.id)
    _show([known], as_json, one=True)


@app.command("deletions")
def deletions(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest deletions of an institution and how far each is.

    Example: wardlight study deletions stmary
    """
    with opened(data, config) as platform:
        rows = platform.deletion.all_known(platform.identity.institution(institution).id)
    _show(rows, as_json)


@app.command("receipt")
def receipt(
    institution: InstitutionArgument,
    deletion: DeletionArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output without it.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Give the signed receipt of a deletion as it stands now; `wardlight receipt verify` checks it offline.

    Example: wardlight study receipt stmary 0198c2f04b3a7c1e8f5d2a6b9c0d1e2f --out receipt.json
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        known = platform.deletion.shown(tenant.id, parsed_id(deletion), LOCAL_ADMINISTRATOR)
        text = json.dumps(platform.receipts.issue(known), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        replace_private(out, text.encode() + b"\n")


@app.command("allow")
def allow(
    institution: InstitutionArgument,
    deletion: DeletionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a study that was deleted come again; until then it is refused, and receivers hold it.

    Example: wardlight study allow stmary 0198c2f04b3a7c1e8f5d2a6b9c0d1e2f
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        platform.deletion.allow(tenant.id, parsed_id(deletion), _BY)
    typer.echo("it may come again")


def _show(rows: Sequence[Known], as_json: bool, *, one: bool = False) -> None:
    plain = [described(known) for known in rows]
    if as_json:
        typer.echo(json.dumps(plain[0] if one else plain, indent=2))
        return
    for known in rows:
        row = known.row
        unreadable = clock.timestamp_ms(row.unreadable_ms) if row.unreadable_ms else "not yet"
        typer.echo(
            f"{row.id.hex}  {row.state.value}  access ended {clock.timestamp_ms(row.access_ended_ms)}  "
            f"releases={len(known.releases)}  applications={len(known.told)}  backups unreadable: {unreadable}"
        )
