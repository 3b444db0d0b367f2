"""The supervisor: starts anew what ends, and goes on when the machine has no process to give."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardlight import log, supervisor
from wardlight.supervisor import Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def wait(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, and when it ended: the other children are tended meanwhile."""
    monkeypatch.setattr(supervisor, "_FIRST_WAIT_S", 0.02)
    lines = io.StringIO()
    monkeypatch.setattr(log, "_logger", log.Logger("test", lines, 40))
    real, failures = subprocess.Popen, [2]

    def popen(command: list[str], **named: Any) -> Any:
        if failures[0] and command[-1] == "scarce":
            failures[0] -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return real(command, **named)

    monkeypatch.setattr(subprocess, "Popen", popen)
    tending = Supervisor({"scarce": [*SLEEPER, "scarce"], "other": SLEEPER}, {})
    scarce, other = tending.children
    tending.start()
    watcher = threading.Thread(target=tending.watch)
    watcher.start()
    try:
        wait(lambda: scarce.process is not None)
        assert other.process is not None
        assert other.process.poll() is None
        first = scarce.process
        assert first is not None
        failures[0] = 1
        os.kill(first.pid, 9)
        wait(lambda: scarce.process not in (None, first))
        assert watcher.is_alive()
        assert lines.getvalue().count('"process.not_started"') == 3
        assert "EAGAIN" in lines.getvalue()
    finally:
        tending.stopping.set()
        watcher.join(30)


WAITER = [
    sys.executable,
    "-c",
    "import sys; from wardlight.supervisor import wait_for_gate; wait_for_gate(); open(sys.argv[1], 'w').close()",
]


def test_children_wait_for_the_gate(tmp_path: Path) -> None:
    """Also those that are started anew while it is shut; once it is open, nobody waits."""
    gate = supervisor.Gate()
    places = [tmp_path / "one", tmp_path / "two"]
    tending = Supervisor({place.name: [*WAITER, str(place)] for place in places}, {}, gate)
    tending.start()
    one, two = tending.children
    assert one.process is not None
    one.process.terminate()  # A child that waits can be ended.
    assert one.process.wait(10) == -15
    one.start()
    time.sleep(0.3)
    assert one.process.poll() is None
    assert two.process is not None
    assert two.process.poll() is None
    assert not any(place.exists() for place in places)
    gate.open()
    gate.open()
    assert one.process.wait(10) == two.process.wait(10) == 0
    assert all(place.exists() for place in places)
    places[0].unlink()
    one.start()
    assert one.process.wait(10) == 0
    assert places[0].exists()


def test_a_gate_ends_with_its_supervisor() -> None:
    """Nobody waits for a process that is gone."""
    gate = supervisor.Gate()
    child = supervisor.Child("waits", [*WAITER, "/dev/null"], {}, gate)
    child.start()
    assert child.process is not None
    os.close(gate._key)  # As the kernel does.
    assert child.process.wait(10) == 0
    os.close(gate.entrance)
