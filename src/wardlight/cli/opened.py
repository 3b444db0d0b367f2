"""What commands of the platform share: how it is opened, and the options that say where it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from wardlight import bootstrap, log, settings

DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder; wins over the settings.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; WARDLIGHT_* variables win over it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
InstitutionArgument = Annotated[str, typer.Argument(help="Slug or id of the institution.")]


@contextmanager
def opened(data: Path | None, config: Path | None, *, create: bool = False) -> Iterator[bootstrap.Platform]:
    """The platform, for one command of its administrator. create: as `require_whole` has it."""
    chosen = settings.load(config)
    if data is not None:
        chosen = chosen.model_copy(update={"data_dir": data})
    log.configure("admin", level="error")
    platform = bootstrap.platform(chosen, create=create)
    try:
        yield platform
    finally:
        platform.close()
