"""`wardlight receiver`: supervises the process that receives and those that protect and upload."""

from __future__ import annotations

import socket
import sys

from wardlight.keys.files import private_folder
from wardlight.keys.process import harden
from wardlight.receiver.entries import Entries
from wardlight.receiver.places import database_path
from wardlight.receiver.quarantine import FOLDER, Quarantine
from wardlight.receiver.secrets import load
from wardlight.receiver.store import ReceiverStore
from wardlight.settings import Settings
from wardlight.supervisor import Supervisor


def supervisor(chosen: Settings) -> Supervisor:
    """Prepare the receiver's folders and give the supervisor of its processes, not started yet."""
    prepare(chosen)
    module = [sys.executable, "-m"]
    commands = {"receiver": [*module, "wardlight.receiver.node"]}
    workers = chosen.receiver.workers
    for slot in range(workers):
        commands[f"pipeline-{slot}"] = [*module, "wardlight.receiver.pipeline", str(slot), str(workers)]
    environment = chosen.environment()
    if not chosen.receiver.dicom_port:
        environment["WARDLIGHT_RECEIVER__DICOM_PORT"] = str(_free_port(chosen.receiver.dicom_host))
    return Supervisor(commands, environment)


def run(chosen: Settings) -> None:
    """Run the receiver until SIGTERM or SIGINT. To be called in the main thread."""
    harden()
    processes = supervisor(chosen)
    processes.handle_signals()
    processes.start()
    processes.watch()


def prepare(chosen: Settings) -> None:
    """Make keys and database where they are missing, and clear what a crash left in quarantine."""
    private_folder(chosen.receiver_dir)
    store = ReceiverStore(database_path(chosen))
    try:
        quarantine = Quarantine(
            store, chosen.receiver_dir / FOLDER, load(chosen.receiver_secrets), Entries(chosen.node)
        )
        quarantine.sweep()
    finally:
        store.close()


def _free_port(host: str) -> int:
    """Settle on a port for "any", so that a node that is restarted comes back under the same one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port: int = server.getsockname()[1]
        return port
