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
