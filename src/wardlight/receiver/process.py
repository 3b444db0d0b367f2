"""`wardlight receiver`: supervises the process that receives and those that protect and upload."""

from __future__ import annotations

import socket
import sys

from wardlight.keys.files import private_folder
from wardlight.keys.process import harden
from wardlight.settings import Settings
from wardlight.supervisor import Gate, Supervisor


def supervisor(chosen: Settings, gate: Gate | None = None) -> Supervisor:
    """The supervisor of the receiver's processes, not started yet. What they need is made by `prepare`."""
    module = [sys.executable, "-m"]
    commands = {"receiver": [*module, "wardlight.receiver.node"]}
    workers = chosen.receiver.workers
    for slot in range(workers):
        commands[f"pipeline-{slot}"] = [*module, "wardlight.receiver.pipeline", str(slot), str(workers)]
    environment = chosen.environment()
    if not chosen.receiver.dicom_port:
        environment["WARDLIGHT_RECEIVER__DICOM_PORT"] = str(_free_port(chosen.receiver.dicom_host))
    return Supervisor(commands, environment, gate)


def run(chosen: Settings) -> None:
    """Run the receiver until SIGTERM or SIGINT. To be called in the main thread."""
    harden()
    gate = Gate()
    processes = supervisor(chosen, gate)
    processes.handle_signals()
    processes.start()
    try:
        prepare(chosen)  # While they load.
    except BaseException:
        processes.end()
        raise
    gate.open()
    processes.watch()


def prepare(chosen: Settings) -> None:
    """Make keys and database where they are missing, and clear what a crash left in quarantine.

    What it takes is loaded here: the processes are started before.
    """
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path
    from wardlight.receiver.quarantine import FOLDER, Quarantine
    from wardlight.receiver.secrets import load
    from wardlight.receiver.store import ReceiverStore

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
