"""`wardlight receipt`: check the receipt of a deletion without the platform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wardlight.archive import receipts
from wardlight.audit import verifier
from wardlight.cli.opened import JsonOption

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Check receipts of deletions offline.")
_USAGE: Final = 2


@app.callback()
def _group() -> None:
    """Check receipts of deletions offline."""


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    trust: Annotated[
        Path, typer.Option("--trust", help="The audit trust file, which came another way than the receipt.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check that a receipt is what the institution's log key signed, and that the deletion stands in the log.

    Exit 0: verified. 1: altered or malformed. 2: wrong usage. 6: of another log.

    Example: wardlight receipt verify receipt.json --trust audit-trust.json
    """
    try:
        known = verifier.Trust.read(trust)
        content = file.read_bytes() if file.stat().st_size <= receipts.MOST_BYTES else b""
        found = receipts.verify(content, known.origin, known.vkeys)
    except (verifier.UsageError, ValueError) as error:
        typer.echo(f"wardlight: {error}", err=True)
        raise typer.Exit(_USAGE) from None
    except OSError as error:
        typer.echo(f"wardlight: the receipt cannot be read ({type(error).__name__})", err=True)
        raise typer.Exit(_USAGE) from None
    if as_json:
        receipt = found.receipt if found.verdict == "verified" else None
        typer.echo(json.dumps({"verdict": found.verdict, "why": found.why, "receipt": receipt}))
    else:
        typer.echo(_text(found))
    raise typer.Exit(found.exit_code)


def _text(found: receipts.Verified) -> str:
    lines = [f"{found.verdict.upper()}: {found.why}"]
    if found.verdict == "verified":
        lines += [f"  {name}: {value}" for name, value in _facts(found.receipt)]
    return "\n".join(lines)


def _facts(receipt: dict[str, Any]) -> list[tuple[str, str]]:
    position = receipt["audit_position"]
    acknowledged = [one for one in receipt["applications"] if one["acknowledged_at"]]
    return [
        ("deletion", receipt["id"]),
        ("releases", str(len(receipt["releases"]))),
        ("access ended", receipt["access_ended_at"]),
        ("keys destroyed", receipt["key_destroyed_at"] or "not yet"),
        ("backups unreadable since", receipt["backups_unreadable_since"] or "not yet"),
        ("applications told", f"{len(receipt['applications'])}, acknowledged by {len(acknowledged)}"),
        (
            "in the audit log",
            f"entry {position['index']} of {position['log']}" if position else "not yet sealed",
        ),
    ]
