"""`wardlight audit show|search|actions`: read a log on the machine itself. What is read is an entry in that log.

Patients and studies come from a file or standard input, never from the command line: that stays in the shell's history,
and every user of the machine sees it in the list of processes.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wardlight.audit.actions import LETTER, Action
from wardlight.audit.tree import leaf_hash
from wardlight.cli.admin_audit import institution_of
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import local
from wardlight.trail.api import identifiers
from wardlight.trail.filters import GROUP_OF, Filter, filter_of
from wardlight.trail.service import Identifiers, Page

_MOST: Final = 10_000
_MAX_FILE: Final = 64 << 10

LogArgument = Annotated[
    str, typer.Argument(help="Slug or id of the institution; `operator` is the operator's own log.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="Most entries to show.")]
GenerationOption = Annotated[
    int, typer.Option("--generation", min=0, help="Which generation of the log; 0 is the newest.")
]


def show(
    log: LogArgument,
    index: Annotated[int | None, typer.Argument(help="Position of one entry, to show it whole.")] = None,
    limit: LimitOption = 50,
    generation: GenerationOption = 0,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries of a log, or one whole entry.

    Example: wardlight audit show stmary --limit 20
    """
    with opened(data, config) as platform:
        parts, institution = platform.parts, institution_of(platform, log)
        if index is not None:
            row = local.one(parts, institution, generation, index, by=LOCAL_ADMINISTRATOR)
            entry = json.loads(row.content) if row.content else {"pruned": True}
            typer.echo(json.dumps(entry, indent=None if as_json else 2, ensure_ascii=False))
            return
        page = local.find(
            parts, institution, Identifiers(), Filter(), generation, limit, by=LOCAL_ADMINISTRATOR
        )
    _print(page, as_json)


def search(
    log: LogArgument,
    since: Annotated[
        str | None, typer.Option("--from", help="Recorded on this day or time, or later.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Recorded before this day or time.")] = None,
    action: Annotated[list[str] | None, typer.Option("--action", help="An action; may be repeated.")] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group of actions; see `wardlight audit actions`.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who did it, as kind:id.")] = None,
    outcome: Annotated[
        list[str] | None, typer.Option("--outcome", help="How it ended; may be repeated.")
    ] = None,
    subject: Annotated[
        list[str] | None, typer.Option("--subject", help="A keyed reference as it stands in entries.")
    ] = None,
    target: Annotated[str | None, typer.Option("--object", help="What it was done to, as kind:id.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="A code like TREAT.")] = None,
    grant: Annotated[str | None, typer.Option("--grant", help="The grant that it rested on.")] = None,
    patients: Annotated[
        Path | None,
        typer.Option(
            "--patient-file",
            help="Patients, one a line: the Patient ID, or its issuer, a tab, and the ID. `-`: standard input.",
        ),
    ] = None,
    studies: Annotated[
        Path | None,
        typer.Option("--study-file", help="Study Instance UIDs, one a line. `-`: standard input."),
    ] = None,
    limit: LimitOption = 50,
    generation: GenerationOption = 0,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find entries, newest first. Of options of different names all must hold, of one name any.

    Example: wardlight audit search stmary --group denial --from 2026-11-01

    Example: printf 'PAT-0042\\n' | wardlight audit search stmary --patient-file -
    """
    given = {
        "from": since, "to": until, "action": action, "group": group, "actor": actor, "outcome": outcome,
        "subject": subject, "object": target, "purpose": purpose, "grant": grant,
    }  # fmt: skip
    asked = filter_of({name: value for name, value in given.items() if value})
    wanted = whom(patients, studies)
    with opened(data, config) as platform:
        parts, institution = platform.parts, institution_of(platform, log)
        page = local.find(parts, institution, wanted, asked, generation, limit, by=LOCAL_ADMINISTRATOR)
    _print(page, as_json)


def actions(as_json: JsonOption = False) -> None:
    """List every action that an entry can have, with its group and the letter of its mapping.

    Example: wardlight audit actions
    """
    rows = [{"action": each.value, "group": GROUP_OF[each], "letter": LETTER[each]} for each in Action]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(_table([[row["action"], row["group"], row["letter"]] for row in rows]))


def whom(patients: Path | None, studies: Path | None) -> Identifiers:
    """Patients and studies whom files name, a line each. Raises `bad-request`; says nothing of what is in them."""
    if patients is None and studies is None:
        return Identifiers()
    if patients is not None and patients == studies:
        raise WardlightError("bad-request", "patients and studies cannot come from one file")
    rows: list[dict[str, str]] = []
    for line in lines_of(patients):
        issuer, tab, id_ = line.partition("\t")
        rows.append({"issuer": issuer, "id": id_} if tab else {"id": line})
    return identifiers({"patients": rows, "studies": lines_of(studies)})


def lines_of(file: Path | None) -> list[str]:
    """Lines of a file that are not empty. Raises `bad-request`; says nothing of what is in them."""
    if file is None:
        return []
    try:
        data = sys.stdin.buffer.read(_MAX_FILE + 1) if str(file) == "-" else file.read_bytes()
        if len(data) > _MAX_FILE:
            raise WardlightError("too-large", "a file of identifiers is larger than 64 KiB")
        return [line for line in data.decode("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise WardlightError("bad-request", "a file of identifiers cannot be read as UTF-8") from None


def _print(page: Page, as_json: bool) -> None:
    sealed = [(row.idx, row.content) for row in page.rows]
    if as_json:
        for entry in page.sealing:
            typer.echo(json.dumps({"sealing": True, "entry": entry}, ensure_ascii=False))
        for idx, content in sealed:
            row: dict[str, Any] = {"index": idx}
            if content is None:
                row["pruned"] = True
            else:
                row |= {"leaf": b64encode(leaf_hash(content)).decode(), "entry": json.loads(content)}
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    rows = [["sealing", *_cells(entry, page.names)] for entry in page.sealing]
    rows += [
        [str(idx), *(_cells(json.loads(content), page.names) if content else ["", "pruned"])]
        for idx, content in sealed
    ]
    typer.echo(_table(rows) if rows else "no entries")
    if page.next is not None:
        typer.echo(f"there are more; --limit shows up to {_MOST:,}", err=True)


def _cells(entry: dict[str, Any], names: dict[str, str]) -> list[str]:
    actor, target = entry["actor"], entry.get("object", {})
    who = f"{actor['kind']}:{actor['id']}"
    return [
        entry["recorded"],
        entry["action"] + (f" ({entry['phase']})" if "phase" in entry else ""),
        entry["outcome"] + (f" ({entry['reason']})" if "reason" in entry else ""),
        # Not what the platform saw, but what the application tells.
        f"says {actor['id']}" if entry["source"] == "application" else names.get(who) or who,
        " ".join(str(target[name]) for name in ("kind", "ref", "id") if target.get(name)),
        entry.get("purpose", ""),
    ]


def _table(rows: Iterable[list[str]]) -> str:
    cells = list(rows)
    widths = [
        max(len(row[place]) for row in cells if place < len(row)) for place in range(max(map(len, cells)))
    ]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    )


COMMANDS: Final[dict[str, Callable[..., None]]] = {"show": show, "search": search, "actions": actions}
