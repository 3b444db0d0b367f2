"""`wardlight datamap`: what is held of an institution and who may see it, and the documents that the law asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wardlight.agreements.model import IMAGES
from wardlight.cli.opened import ConfigOption, DataOption, InstitutionArgument, JsonOption, opened
from wardlight.datamap.forms import FORMS, plain
from wardlight.datamap.model import Kind
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.files import replace_private
from wardlight.trail.report_forms import Form

app = typer.Typer(
    no_args_is_help=True, help="What is held of an institution, where, how long, and who may see it."
)


@app.command("show")
def show(
    institution: InstitutionArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the data map: classes with amounts, and applications with what they may see.

    Example: wardlight datamap show stmary
    """
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        found = platform.data_maps.show(tenant.id, Kind.MAP, Form.JSON, by=LOCAL_ADMINISTRATOR)
    if as_json:
        typer.echo(json.dumps(plain(found), indent=2, ensure_ascii=False))
        return
    typer.echo(f"region={found.region}  node={found.node_region}  objects={found.objects_region}")
    for row in found.classes:
        amounts = ", ".join(f"{count} {what}" for count, what in row.amounts) or "-"
        typer.echo(f"{row.data_class}: {amounts}; {row.bytes:,} bytes; kept {'; '.join(row.kept)}")
    for one in found.applications:
        name = "images" if one.application.id == IMAGES else one.application.id
        may = f"not: {one.refused}" if one.refused else "may"
        typer.echo(f"{name}: {may}; sees {one.studies} studies by {one.grants} grants")


@app.command("export")
def export(
    institution: InstitutionArgument,
    out: Annotated[
        Path,
        typer.Option("--out", help="File to write: .html, .pdf, .csv or .json. An older one is replaced."),
    ],
    kind: Annotated[Kind, typer.Option("--kind", help="Which document.")] = Kind.MAP,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the data map, the record of processing activities, or the beginning of an impact assessment.

    Example: wardlight datamap export stmary --kind record-of-processing --out record.pdf
    """
    form = next((one for one in FORMS[kind] if out.name.lower().endswith(f".{one.value}")), None)
    if form is None:
        endings = ", ".join(f".{one.value}" for one in FORMS[kind])
        raise WardlightError("bad-request", f"--out ends in one of {endings}")
    with opened(data, config) as platform:
        tenant = platform.identity.institution(institution)
        found = platform.data_maps.export(tenant.id, kind, form, by=LOCAL_ADMINISTRATOR)
    try:
        replace_private(out, found.data)
    except OSError:
        raise WardlightError("bad-request", "the document cannot be written to --out") from None
    typer.echo(f"{out}: {len(found.data):,} bytes, {found.media.partition(';')[0]}")
