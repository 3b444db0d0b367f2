"""`wardlight serve | web | worker | migrate`: the processes of architecture.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wardlight import log, settings
from wardlight.errors import WardlightError
from wardlight.supervisor import die_with_parent

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; WARDLIGHT_* variables win over it.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder for database, objects, keys and spool. [default: wardlight-data]"),
]


def _load(config: Path | None, process: str, data: Path | None = None) -> settings.Settings:
    loaded = settings.load(config, **({"data_dir": data} if data is not None else {}))
    loaded.refuse_unsafe()
    log.configure(process, level=loaded.log_level)
    die_with_parent()
    return loaded


def serve(data: DataOption = None, config: ConfigOption = None) -> None:
    """Run web, worker and receiver on this machine until Ctrl-C; nothing is seeded.

    Example: wardlight serve --data /srv/wardlight --config /etc/wardlight.toml
    """
    from wardlight import installation

    loaded = _load(config, "serve", data)
    if loaded.demo:
        raise WardlightError("settings-unsafe", "demo is for `wardlight demo` only")
    installation.run_all(loaded)


def web(config: ConfigOption = None) -> None:
    """Run the HTTP side alone: API and DICOMweb.

    Example: wardlight web --config /etc/wardlight.toml
    """
    from wardlight import processes

    processes.run_web(_load(config, "web"))


def worker(config: ConfigOption = None) -> None:
    """Run the background worker alone: completion of studies, closing of read sessions.

    Example: wardlight worker --config /etc/wardlight.toml
    """
    from wardlight import processes

    processes.run_worker(_load(config, "worker"))


def migrate(config: ConfigOption = None) -> None:
    """Bring the index database to this version's schema. Safe to run twice.

    Example: wardlight migrate --config /etc/wardlight.toml
    """
    from wardlight import bootstrap

    version = bootstrap.migrate(settings.load(config))
    typer.echo(f"schema version {version}")
