"""The process that receives: DICOM node, checks, spool and registrar.

Run by the receiver's supervisor as `python -m wardlight.receiver.node`. It imports nothing of de-identification or
upload, and starts to listen once what a crash left behind is entered.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from wardlight import __version__, log, settings
from wardlight.dicom.elements import BUILD
from wardlight.errors import WardlightError
from wardlight.keys.files import private_folder
from wardlight.keys.process import harden
from wardlight.receiver.helpers import Helper
from wardlight.receiver.receiving import Receiving
from wardlight.receiver.scp import StorageScp
from wardlight.supervisor import die_with_parent, wait_for_gate

#: A node that was told to end may take so long to close its associations, in seconds.
_LOCK_WAIT_S: Final = 25.0


class Node:
    """Everything of the receiving process, put together. `start` listens, `stop` ends in order.

    lock: descriptor of the lock on the receiver's folder, for the helpers to hold too. on_failure: called if the
    process cannot go on and should be started anew.
    """

    def __init__(self, chosen: settings.Settings, lock: int, on_failure: Callable[[], None]) -> None:
        self._receiving = Receiving(chosen, on_failure, helps=False)
        helpers = [Helper(lock, on_failure) for _ in range(chosen.receiver.node_processes - 1)]
        self._scp = StorageScp(self._receiving.gateway, chosen.receiver, helpers=helpers)

    @property
    def port(self) -> int:
        """The DICOM port in use."""
        return self._scp.port

    def start(self) -> None:
        """Listen. Raises OSError if the port cannot be had."""
        self._receiving.start()
        self._scp.start()
        self._receiving.store.note("port", str(self._scp.port))

    def stop(self) -> None:
        """End the associations and the helpers, then enter what they brought, then close the spool."""
        self._scp.stop()
        self._receiving.stop()


def lock(directory: Path) -> int:
    """Hold the receiver's folder for this process alone: two nodes on one spool would each take the other's files for
    torn. Raises WardlightError("conflict") if another node does not let go of it."""
    private_folder(directory)
    descriptor = os.open(directory / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise WardlightError("conflict", "another receiver works in this folder") from None
            time.sleep(0.1)


def main() -> None:
    """Run until SIGTERM."""
    harden()
    die_with_parent()
    chosen = settings.load()
    log.configure("receiver", level=chosen.log_level)
    chosen.refuse_unsafe()
    wait_for_gate()  # Before signals are handled, so that one ends the wait.
    stopping = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    log.info("receiver.started", version=f"{__version__} ({BUILD})")
    node = Node(chosen, lock(chosen.receiver_dir), stopping.set)
    node.start()
    stopping.wait()
    node.stop()


if __name__ == "__main__":
    main()
