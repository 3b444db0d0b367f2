"""`wardlight demo`: everything on this machine, seeded, with what to try next."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from wardlight import log, settings
from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder
from wardlight.keys.process import harden
from wardlight.supervisor import Supervisor, wardlight_command

if TYPE_CHECKING:
    from wardlight.bootstrap import Platform


def demo(
    data: Annotated[Path, typer.Option("--data", help="Folder for all data; reused when it exists.")] = Path(
        "demo-data"
    ),
    web_port: Annotated[int, typer.Option("--web-port", help="Port of the web side.")] = 8080,
    dicom_port: Annotated[
        int,
        typer.Option(
            "--dicom-port", help="Port of the DICOM node; 0: 105, or 11112 where 105 may not be bound."
        ),
    ] = 0,
    samples: Annotated[bool, typer.Option("--samples/--no-samples", help="Send the sample studies.")] = True,
) -> None:
    """Run all of Wardlight with a seeded institution, people, receiver and sample studies. Ctrl-C stops it.

    Writes DIR/demo.json with addresses and tokens once everything is ready, then prints `ready`.

    Example: wardlight demo --data /tmp/wardlight --web-port 8080 --dicom-port 11112
    """
    given = settings.load()
    # What is printed is for reading: only errors are logged, unless file or environment ask for more.
    level = given.log_level if "log_level" in given.model_fields_set else "error"
    chosen = settings.load(
        data_dir=data.absolute(), demo=True, completion_quiet_s=2.0, log_level=level, web__port=web_port,
        receiver__dicom_host="127.0.0.1", receiver__dicom_port=dicom_port or _dicom_port(),
    )  # fmt: skip
    log.configure("demo", level=chosen.log_level)
    harden()
    lock = _lock(chosen.data_dir)
    ready = chosen.data_dir / "demo.json"
    before = _facts(ready)
    # Before what takes seconds to load: whoever waits for the file shall not take the last start's.
    ready.unlink(missing_ok=True)
    from wardlight import bootstrap
    from wardlight.cli import demo_seed

    platform = bootstrap.platform(chosen, migrate=True)
    facts = demo_seed.seed_platform(platform, before)
    demo_seed.seed_routes(chosen)
    processes = ("web", "worker", "receiver")
    supervisor = Supervisor({name: wardlight_command(name) for name in processes}, chosen.environment())
    supervisor.handle_signals()
    supervisor.start()
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            _prepare(platform, facts, samples, supervisor)
        except BaseException as error:
            failures.append(error)
            supervisor.stopping.set()
            raise

    threading.Thread(target=prepare, name="demo-seed", daemon=True).start()
    supervisor.watch()
    platform.close()
    os.close(lock)
    if failures:
        raise typer.Exit(1)


def _lock(folder: Path) -> int:
    """One demo a folder: a second would take the first one's files from under it."""
    private_folder(folder)
    lock = os.open(folder / ".demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise WardlightError("conflict", "another demo runs on this folder; choose another --data") from None
    return lock


def _facts(path: Path) -> dict[str, Any]:
    """The demo.json of the last start; {} where there is none, or none that can be read."""
    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _dicom_port() -> int:
    for port in (105, 11112):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    return 11112


def _prepare(platform: Platform, facts: dict[str, Any], samples: bool, supervisor: Supervisor) -> None:
    from wardlight.cli import demo_seed

    chosen = platform.settings
    console = Console(stderr=True)
    token = facts["people"][0]["token"]
    with console.status("Starting web, worker and receiver"):
        demo_seed.wait_until_ready(chosen, lambda: not supervisor.stopping.is_set())
    rows: list[dict[str, Any]] = []
    if samples:
        with console.status("Sending sample studies through the DICOM port"):
            taken = demo_seed.send_samples(chosen)
            rows = demo_seed.wait_for_studies(chosen, token, taken, lambda: demo_seed.nothing_waits(chosen))
            demo_seed.wait_for_grants(chosen, token, lambda: not supervisor.stopping.is_set())
    trust = demo_seed.write_trust(platform, facts["institution"])
    folder = demo_seed.write_sample_files(chosen)
    config = demo_seed.write_settings(chosen)
    base = chosen.base_url
    demo_seed.write_facts(
        chosen.data_dir / "demo.json",
        {
            "web": base,
            "dicomweb": f"{base}/dicom-web",
            "institution": facts["institution"],
            "audit_trust": str(trust),
            "study_descriptions": demo_seed.descriptions(rows),
            "dicom": {
                "host": "127.0.0.1",
                "port": chosen.receiver.dicom_port,
                "ae_titles": {level.value: title for level, title in demo_seed.AE_TITLES.items()},
            },
            "people": facts["people"],
            "applications": facts["applications"],
        },
    )
    typer.echo("ready")
    typer.echo(_next_steps(chosen, token, facts["applications"][0]["token"], folder, config, trust))


def _next_steps(
    chosen: settings.Settings, token: str, application: str, folder: Path, config: Path, trust: Path
) -> str:
    port = chosen.receiver.dicom_port
    program = sys.argv[0] if Path(sys.argv[0]).name == "wardlight" else f"{sys.executable} -m wardlight"
    return f"""
Try next, in another terminal:

  # the DICOM node answers
  echoscu -aec TEAMPLAYISHARE 127.0.0.1 {port}

  # send images as a PACS would: privacy level high, then with all identifiers kept
  storescu -aec TEAMPLAYISHARE  +sd 127.0.0.1 {port} {folder}
  storescu -aec WARD_IDENTIFIED +sd 127.0.0.1 {port} {folder}

  # find them (the token belongs to the demo's administrator and lives 24 hours)
  export TOKEN={token}
  curl -H "Authorization: Bearer $TOKEN" '{chosen.base_url}/dicom-web/studies?ModalitiesInStudy=MR'

  # what a partner application may see, by a token of its own
  export APPLICATION={application}
  curl -H "Authorization: Bearer $APPLICATION" {chosen.base_url}/api/v1/grants

  # what the receiver did, and whether index, objects and keys fit together
  export WARDLIGHT_CONFIG={config}
  {program} receiver status
  {program} fsck

  # who did what: the audit trail, and a copy that anybody can verify
  {program} audit show demo
  {program} audit export --out trail.ndjson
  {program} audit verify trail.ndjson --trust {trust}

Everyone's token and all addresses are in {chosen.data_dir / "demo.json"}. Ctrl-C stops the demo.
"""
