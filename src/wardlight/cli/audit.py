"""`wardlight audit`: read, export and verify the audit trail."""

from __future__ import annotations

import typer

from wardlight.cli import audit_bundle, audit_read, audit_report, audit_witness

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Read, export and verify the audit trail.")
for _name, _command in (audit_bundle.COMMANDS | audit_read.COMMANDS).items():
    app.command(_name)(_command)
app.command("witness")(audit_witness.witness)
app.add_typer(audit_report.app, name="report")
