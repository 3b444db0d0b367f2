"""Keeps child processes running: start, restart with back-off, stop together.

A child that is killed comes back; a supervisor that is killed takes its children along (PR_SET_PDEATHSIG), so that
no half of an installation goes on alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Final

from wardlight import log

_PR_SET_PDEATHSIG: Final = 1
_PARENT: Final = "WARDLIGHT_SUPERVISED_BY"
_GATE: Final = "WARDLIGHT_GATE"
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
#: A child that lived this long starts its back-off anew.
_HEALTHY_S: Final = 30.0
_STOP_S: Final = 20.0


def is_supervised() -> bool:
    """Whether this process is a child of `wardlight serve` or `demo`, and so one of a single machine."""
    return _PARENT in os.environ


def die_with_parent() -> None:
    """In a supervised child: ask the kernel for SIGTERM when the supervisor ends, however it ends."""
    parent = os.environ.get(_PARENT)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # It ended before the request was in place.
        sys.exit(1)


def wait_for_gate() -> None:
    """In a supervised child: go on when the supervisor has made what all children share; at once where it had to make
    nothing. To be called when everything is loaded, so that loading and making go on side by side, and before signals
    are handled, so that one ends the wait."""
    gate = os.environ.pop(_GATE, None)
    if gate is not None:
        with open(int(gate), "rb") as opened:
            opened.read()


class Gate:
    """Holds back children that are started with it until it is opened, or this process ends."""

    def __init__(self) -> None:
        self.entrance, self._key = os.pipe()

    def open(self) -> None:
        """Let the children go on, and those to come pass. Idempotent."""
        if self._key >= 0:
            os.close(self._key)
            os.close(self.entrance)
            self.entrance = self._key = -1


class Child:
    """One supervised process and its back-off. gate: what its first start waits for."""

    def __init__(
        self, name: str, command: list[str], environment: Mapping[str, str], gate: Gate | None = None
    ) -> None:
        self.name = name
        self.command = command
        self.gate = gate
        self.environment = {**os.environ, **environment, _PARENT: str(os.getpid())}
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.wait = _FIRST_WAIT_S
        self.due = 0.0

    def start(self) -> None:
        """Start the process in its own session, so that Ctrl-C reaches the supervisor alone.

        A machine that has no process or memory to give now is asked again by `tend`.
        """
        gate = self.gate.entrance if self.gate is not None else -1
        waiting = {_GATE: str(gate)} if gate >= 0 else {}
        try:
            self.process = subprocess.Popen(  # noqa: S603
                self.command,
                env=self.environment | waiting,
                start_new_session=True,
                pass_fds=[gate] if gate >= 0 else [],
            )
        except OSError as error:
            log.error("process.not_started", error, reason=errno.errorcode.get(error.errno or 0, ""))
            self._wait(time.monotonic())
        self.started = time.monotonic()

    def tend(self) -> None:
        """Restart the process when it has ended and its back-off is over. Does not raise."""
        moment = time.monotonic()
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            if moment - self.started > _HEALTHY_S:
                self.wait = _FIRST_WAIT_S
            log.warning("process.ended", process=self.name, exit_code=code, wait_s=self.wait)
            self.process = None
            self._wait(moment)
        if moment >= self.due:
            self.start()

    def _wait(self, moment: float) -> None:
        self.due = moment + self.wait
        self.wait = min(self.wait * 2, _LONGEST_WAIT_S)


class Supervisor:
    """Runs named commands until `stop` is called or a signal arrives."""

    def __init__(
        self, commands: Mapping[str, list[str]], environment: Mapping[str, str], gate: Gate | None = None
    ) -> None:
        self.children = [Child(name, command, environment, gate) for name, command in commands.items()]
        self.stopping = threading.Event()

    def handle_signals(self) -> None:
        """End cleanly on SIGTERM and SIGINT. To be called in the main thread."""

        def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
            self.stopping.set()

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            child.start()

    def watch(self) -> None:
        """Tend the children until told to stop, then end them. Start them first."""
        while not self.stopping.wait(0.1):
            for child in self.children:
                child.tend()
        self.end()

    def end(self) -> None:
        """SIGTERM to all, SIGKILL to those that have not ended in time."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wardlight_command(*arguments: str) -> list[str]:
    """The command line that runs `wardlight` with `arguments` in this interpreter."""
    return [sys.executable, "-m", "wardlight", *arguments]
