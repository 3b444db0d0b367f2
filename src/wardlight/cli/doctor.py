"""`wardlight doctor`: are keys, deletions and backups as they should be?"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import typer

from wardlight.archive.health import Looked, examine
from wardlight.audit.actions import Action
from wardlight.audit.model import Event, Outcome
from wardlight.cli.opened import ConfigOption, DataOption, JsonOption, opened
from wardlight.identity.service import LOCAL_ADMINISTRATOR


def doctor(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say how keys, deletions and backups are. Exit 0: nothing has to be done; 1: something has to be.

    Warnings are told and do not change the exit code.

    Example: wardlight doctor --data /srv/wardlight
    """
    with opened(data, config) as platform:
        settings = platform.settings
        found = examine(
            Looked(
                database=platform.database,
                keystore=platform.keystore,
                mirrors=settings.keyslots,
                root=settings.root_path,
                data=settings.data_dir,
                copies=settings.keystore_copies_dir,
                demo=settings.demo,
            )
        )
        counts = Counter(one.state for one in found)
        event = Event(
            Action.PLATFORM_CHECK_RUN,
            LOCAL_ADMINISTRATOR,
            outcome=Outcome.FAILED if counts["error"] else Outcome.SUCCESS,
            counts={"findings": counts["error"] + counts["warning"]},
            detail={"deep": False, "repair": False},
        )
        with platform.database.begin() as tx:
            platform.recorder.write(tx, None, event)
    if as_json:
        rows = [asdict(one) for one in found]
        typer.echo(json.dumps({"healthy": not counts["error"], "findings": rows}, indent=2))
    else:
        for one in found:
            typer.echo(f"{one.state:<8} {one.code:<18} {one.text}")
    raise typer.Exit(1 if counts["error"] else 0)
