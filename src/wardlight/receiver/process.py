"""`wardlight receiver`: supervises the process that receives and those that protect and upload."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wardlight.keys.files import private_folder
from wardlight.keys.process import harden
from wardlight.settings import Settings
from wardlight.supervisor import Gate, Supervisor

if TYPE_CHECKING:
    from wardlight.receiver.store import ReceiverStore


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
    _stopped(chosen)


def prepare(chosen: Settings) -> None:
    """Make keys and database where they are missing, and clear what a crash left in quarantine.

    What it takes is loaded here: the processes are started before.
    """
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path
    from wardlight.receiver.quarantine import FOLDER, Quarantine
    from wardlight.receiver.secrets import load
    from wardlight.receiver.site_profiles import site_profiles
    from wardlight.receiver.store import ReceiverStore

    profiles = site_profiles(chosen.receiver.profiles)
    private_folder(chosen.receiver_dir)
    store = ReceiverStore(database_path(chosen))
    try:
        quarantine = Quarantine(
            store, chosen.receiver_dir / FOLDER, load(chosen.receiver_secrets), Entries(chosen.node)
        )
        quarantine.sweep()
        started(store, chosen, profiles.told)
    finally:
        store.close()


def started(store: ReceiverStore, chosen: Settings, profiles: Mapping[str, str]) -> None:
    """Write into the receiver's trail that it starts, and what of its settings differs from its last start.

    profiles: of the institution's own, name and digest by level.
    """
    from wardlight.audit.actions import Action
    from wardlight.audit.node import changes
    from wardlight.receiver.entries import Entries, plain_changes

    settings = {
        name: value[:80] for name, value in chosen.shown().items() if name.startswith(("receiver", "node"))
    }
    settings |= profiles
    entries = Entries(chosen.node)

    def tell(before: Mapping[str, str]) -> list[bytes]:
        found = [entries.process(Action.PLATFORM_NODE_START)]
        if before and (differing := plain_changes(changes(before, settings))):
            found.insert(0, entries.process(Action.RECEIVER_SETTING_CHANGE, differing))
        return found

    store.begin(settings, tell)


def _stopped(chosen: Settings) -> None:
    from wardlight.audit.actions import Action
    from wardlight.receiver.entries import Entries
    from wardlight.receiver.places import database_path
    from wardlight.receiver.store import ReceiverStore

    store = ReceiverStore(database_path(chosen))
    try:
        store.append([Entries(chosen.node).process(Action.PLATFORM_NODE_STOP)])
    finally:
        store.close()


def _free_port(host: str) -> int:
    """Settle on a port for "any", so that a node that is restarted comes back under the same one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port: int = server.getsockname()[1]
        return port
