"""A DICOM node of two processes: one set of limits, files of each process's own, and all of them end together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from bench.fast_store_scu import Refused, Sender
from sqlalchemy import select

import live
import small_objects
from wardlight.dicom.dimse import pdu
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.tables import spool_file, spooled

PAIRS = [(small_objects.CT, small_objects.EXPLICIT_LITTLE)]


@dataclass
class Node:
    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def sender(self, calling_ae: str = "SENDER") -> Sender:
        return Sender(self.port, PAIRS, called_ae="TEAMPLAYISHARE", calling_ae=calling_ae, timeout=20)

    def helper(self) -> psutil.Process:
        return next(
            child
            for child in psutil.Process(self.process.pid).children()
            if "wardlight.receiver.helper" in child.cmdline()
        )

    def connections(self, pid: int) -> int:
        return sum(
            row.status == psutil.CONN_ESTABLISHED and row.laddr.port == self.port
            for row in psutil.net_connections("tcp")
            if row.pid == pid
        )


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def node(folder: Path, **limits: int) -> Iterator[Node]:
    """A node with one helper, of which both serve."""
    port = live.free_port()
    environment = {
        "WARDLIGHT_DATA_DIR": str(folder / "data"),
        "WARDLIGHT_DEMO": "true",
        "WARDLIGHT_RECEIVER__DICOM_HOST": "127.0.0.1",
        "WARDLIGHT_RECEIVER__DICOM_PORT": str(port),
        "WARDLIGHT_RECEIVER__NODE_PROCESSES": "2",
        **{f"WARDLIGHT_RECEIVER__{name.upper()}": str(value) for name, value in limits.items()},
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "wardlight.receiver.node"], env={**os.environ, **environment}
    )
    try:
        live.wait_until(lambda: listens(port), 30, "the port")
        found = Node(process, port, folder)
        live.wait_until(lambda: both_serve(found), 30, "the helper")
        yield found
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()


def both_serve(found: Node) -> bool:
    with found.sender("WARM-UP"), found.sender("WARM-UP") as second:
        helper = found.helper().pid
        second.store(small_objects.instance(100_000, prefix="9"))
        return found.connections(helper) == 1


def gone(process: psutil.Process | subprocess.Popen[bytes], seconds: float = 10.0) -> Callable[[], bool]:
    return lambda: not psutil.pid_exists(process.pid) or psutil.Process(process.pid).status() == "zombie"


def stored(folder: Path) -> Counter[str]:
    """Objects by spool file, without those that only showed that both processes serve."""
    store = ReceiverStore(next((folder / "data").rglob("receiver.db")))
    with store.database.read() as tx:
        files = Counter(
            tx.execute(select(spooled.c.file_id).where(spooled.c.calling_ae == "SENDER")).scalars()
        )
    store.close()
    return files


def settled(folder: Path) -> set[bool]:
    store = ReceiverStore(next((folder / "data").rglob("receiver.db")))
    with store.database.read() as tx:
        found = set(tx.execute(select(spool_file.c.settled)).scalars())
    store.close()
    return found


def test_both_processes_receive_and_all_is_entered(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        helper = one.helper()
        with one.sender() as first, one.sender() as second, one.sender() as third, one.sender() as fourth:
            live.wait_until(lambda: one.connections(helper.pid) == 2, 5, "two connections at the helper")
            for number, sender in enumerate([first, second, third, fourth] * 5):
                assert sender.store(small_objects.instance(number)).status == 0
        live.wait_until(lambda: stored(tmp_path).total() == 20, 5, "rows of all objects")
    assert gone(helper)()
    files = stored(tmp_path)
    assert len(files) >= 2 and files.total() == 20
    with node(tmp_path):  # Settles what both left behind, and finds nothing that was not entered.
        live.wait_until(lambda: settled(tmp_path) >= {True}, 10, "settled files")
        assert all(count == stored(tmp_path)[file_id] for file_id, count in files.items())


def test_the_limits_hold_over_both_processes(tmp_path: Path) -> None:
    with node(tmp_path, associations_per_address=3) as one:
        helper = one.helper()
        live.wait_until(lambda: one.connections(helper.pid) == 0, 5, "an idle helper")
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    stack.enter_context(one.sender())
                with pytest.raises(Refused) as refused:
                    one.sender()
                assert refused.value.pdu == pdu.AssociateReject(2, 3, 2)
            live.wait_until(lambda: one.connections(helper.pid) == 0, 5, "the places back")
            time.sleep(0.2)


def test_a_helper_that_is_killed_ends_the_node(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        one.helper().kill()
        assert one.process.wait(20) == 0


@pytest.mark.long
def test_the_helper_of_a_node_that_is_killed_makes_way_for_the_next(tmp_path: Path) -> None:
    with contextlib.suppress(AssertionError), node(tmp_path) as one, one.sender(), one.sender() as sender:
        assert sender.store(small_objects.instance(1)).status == 0
        helper = one.helper()
        one.process.kill()
        live.wait_until(gone(helper), 5, "the helper's end")
        with pytest.raises((Refused, OSError)):
            sender.store(small_objects.instance(2))
        sender.socket.close()
        raise AssertionError("killed")  # Not the orderly end that `node` asks for.
    with node(tmp_path):
        assert stored(tmp_path).total() >= 1
