"""`wardlight backup | restore`: copies of everything but keys, and back without what was deleted since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardlight import log, settings
from wardlight.archive.backup import Backup
from wardlight.archive.deletion_work import Places
from wardlight.archive.restore import Accepted
from wardlight.cli.opened import ConfigOption, DataOption, opened
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.copies import Copies

FolderArgument = Annotated[Path, typer.Argument(help="Folder of the backup.")]


def backup(
    folder: FolderArgument,
    keystore: Annotated[
        Path | None,
        typer.Option(
            "--keystore",
            help="Folder for a copy of the keystore, on another disk than the backup. [default: keystore_copies_dir]",
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Back up index and objects, and last, elsewhere, the keystore. Keyslots and the root are in no backup.

    The platform may run meanwhile. The same folder may be used again: only new objects are copied.

    Example: wardlight backup /backup/wardlight --keystore /keys-backup/wardlight
    """
    with opened(data, config) as platform:
        chosen = keystore or platform.settings.keystore_copies_dir
        if chosen is not None and _within(chosen, folder):
            raise WardlightError(
                "settings-unsafe", "a copy of the keystore never lies with index and objects"
            )
        places = Places(platform.database, platform.keystore, platform.objects, platform.recorder)
        local = None if platform.settings.objects_url else platform.settings.objects_dir
        maker = Backup(places, platform.tombstones, local)
        copies = Copies(platform.keystore, chosen) if chosen is not None else None
        made = maker.make(folder, copies, LOCAL_ADMINISTRATOR)
    objects = "objects stay in their bucket" if made.objects is None else f"{made.objects} objects"
    typer.echo(f"backed up: index, {objects}")
    if chosen is None:
        typer.echo("the keystore was not copied: give --keystore, or set keystore_copies_dir", err=True)


def restore(
    folder: FolderArgument,
    keystore: Annotated[
        Path | None, typer.Option("--keystore", help="A copy of the keystore, where it is lost, too.")
    ] = None,
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap",
            help="Restore although tombstones may be missing: what was deleted lately may be there again.",
        ),
    ] = False,
    accept_lost: Annotated[
        bool, typer.Option("--accept-lost", help="Give studies up whose keys are in no keystore at hand.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a backup back where the index is lost. What was deleted since stays deleted; nothing is served before.

    Example: wardlight restore /backup/wardlight --data /srv/wardlight
    """
    from wardlight.cli.restoring import Wanted
    from wardlight.cli.restoring import restore as put_back

    chosen = settings.load(config)
    if data is not None:
        chosen = chosen.model_copy(update={"data_dir": data})
    log.configure("restore", level="error")
    wanted = Wanted(folder, keystore, Accepted(accept_gap, accept_lost))
    done = put_back(chosen, wanted, LOCAL_ADMINISTRATOR)
    typer.echo(
        f"restored: {done.releases} releases; {done.deleted} were deleted since and stay so; "
        f"{len(done.lost)} lost; {done.buried} keys destroyed again"
    )
    for one in done.lost:
        typer.echo(f"lost: {one}")
    for origin in done.continued:
        typer.echo(f"the audit log goes on as {origin}")
    typer.echo("people sign in again, and tokens are made anew; see docs/how-to/backup.md")


def _within(inner: Path, outer: Path) -> bool:
    return inner.absolute().resolve().is_relative_to(outer.absolute().resolve())
