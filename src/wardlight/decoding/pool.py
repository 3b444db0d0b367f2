"""A pool of decoder processes. This side never loads an image library and trusts nothing that a decoder says."""

from __future__ import annotations

import fcntl
import json
import math
import mmap
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

from wardlight import log
from wardlight.decoding import sandbox
from wardlight.decoding.jobs import MODULES, REASONS
from wardlight.decoding.turns import Room, Turns
from wardlight.errors import WardlightError

#: Largest sum of the data of a job, in and out: a decoded frame (security.md section 8) and what goes with it.
LARGEST: Final = (256 << 20) + (1 << 20)
CPU_S: Final = 10
WALL_S: Final = 15.0
#: How long a decoder may take to load its libraries, and a job to wait for a free decoder.
_START_S: Final = 30.0
_WAIT_S: Final = 60.0
#: Memory for what was decoded and waits for clients.
_ROOM: Final = 2 << 30
#: Jobs that one decoder does before another takes its place: one that was taken over, and behaves, sees no more.
_JOBS: Final = 500
#: Shared memory up to this size stays with a decoder between jobs.
_KEPT: Final = 8 << 20
_MESSAGE: Final = 1 << 20
#: Libraries that compute are told to stay in one thread: the sandbox has no other.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
_PROGRAM: Final = (
    "import json,sys;sys.path[:]=json.loads(sys.argv[1]);"
    "from wardlight.decoding.worker import main;main(sys.argv[2:])"
)


class DecoderPool:
    """Runs jobs in up to `size` sandboxed processes, one job a process. Threads share it.

    modules: where the jobs are. allow_unsandboxed: run without a system call filter where the kernel has none; else
    that raises `settings-unsafe`. A decoder starts when it is needed, works for one institution only, and is replaced
    when a job ended it or it did its share of them. jobs: how many that are.
    """

    def __init__(
        self,
        size: int,
        *,
        modules: Sequence[str] = MODULES,
        allow_unsandboxed: bool = False,
        cpu_s: int = CPU_S,
        wall_s: float = WALL_S,
        jobs: int = _JOBS,
    ) -> None:
        self._mode = "sandboxed" if sandbox.supported() else "open"
        if self._mode == "open" and not allow_unsandboxed:
            raise WardlightError(
                "settings-unsafe",
                "this kernel cannot confine image decoders: set allow_unsandboxed_decoders to accept that",
            )
        self._modules = tuple(modules)
        self._cpu_s = cpu_s
        self._wall_s = wall_s
        self._jobs = jobs
        self._size = size
        self._turns = Turns(size)
        #: For who gives large frames to clients.
        self.room: Final = Room(_ROOM, _WAIT_S)
        self._busy = 0
        #: The one that has rested longest comes first.
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()
        self._closed = False

    def run(
        self,
        job: str,
        arguments: Mapping[str, Any],
        data: Sequence[bytes | memoryview],
        *,
        institution: Hashable = None,
        client: Hashable = None,
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Do one job and wait for it; results and their data. One call handles one frame, as the limits count.

        arguments: JSON. institution: whose data it is. client: who asks; clients take turns. Raises
        `cannot-decode` where it is the frame's fault, `unavailable`.
        """
        if sum(len(piece) for piece in data) > LARGEST:
            raise WardlightError("cannot-decode", REASONS["too-large"])
        if not self._turns.enter(client, _WAIT_S):
            raise WardlightError("unavailable", "all decoders are busy")
        try:
            decoder = self._take(institution)
            try:
                answer = decoder.work(job, arguments, data, self._cpu_s, self._wall_s)
            except BaseException:
                self._end(decoder)
                raise
            self._give_back(decoder)
        finally:
            self._turns.leave()
        failed = answer.get("failed")
        if failed is not None:
            raise WardlightError("cannot-decode", REASONS.get(str(failed), REASONS["damaged"]))
        return answer["result"], answer["data"]

    def _take(self, institution: Hashable) -> _Decoder:
        with self._lock:
            if self._closed:
                raise WardlightError("unavailable", "this process is ending")
            self._busy += 1
            unfit = [decoder for decoder in self._idle if not decoder.quiet()]
            rested = [decoder for decoder in self._idle if decoder not in unfit]
            found = next(
                (decoder for decoder in reversed(rested) if decoder.institution == institution), None
            )
            if found is not None:
                rested.remove(found)
            while len(rested) > self._size - self._busy:
                unfit.append(rested.pop(0))
            self._idle = rested
        for decoder in unfit:
            decoder.kill()
        if found is not None:
            return found
        try:
            return _Decoder(self._mode, self._modules, institution)
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise

    def _give_back(self, decoder: _Decoder) -> None:
        if decoder.jobs < self._jobs:
            with self._lock:
                if not self._closed:
                    self._busy -= 1
                    self._idle.append(decoder)
                    return
        self._end(decoder)

    def _end(self, decoder: _Decoder) -> None:
        decoder.kill()
        with self._lock:
            self._busy -= 1

    def close(self) -> None:
        """End all decoders; one that works ends with its job."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for decoder in idle:
            decoder.kill()


class _Decoder:
    """One process, its socket and its two shared memory files."""

    def __init__(self, mode: str, modules: Sequence[str], institution: Hashable) -> None:
        self.institution = institution
        self.jobs = 0
        with ExitStack() as opened:
            try:
                self._inbox = _shared_memory("in")
                opened.callback(_free, *self._inbox)
                self._outbox = _shared_memory("out")
                opened.callback(_free, *self._outbox)
                self._channel, theirs = socket.socketpair()
                opened.callback(self._channel.close)
                with theirs:
                    shared = (theirs.fileno(), self._inbox[0], self._outbox[0])
                    self._process = _start([mode, *map(str, shared), *modules], shared)
            except OSError as error:
                log.error("decoder.not_started", error)
                raise WardlightError("unavailable", "no decoder could be started") from None
            opened.pop_all()
        try:
            ready = self._receive(time.monotonic() + _START_S)
        except _Gone:
            ready = {}
        if ready != {"ready": True}:
            self.kill()
            log.error("decoder.not_started")
            raise WardlightError("unavailable", "no decoder could be started")

    def work(
        self,
        job: str,
        arguments: Mapping[str, Any],
        data: Sequence[bytes | memoryview],
        cpu_s: int,
        wall_s: float,
    ) -> dict[str, Any]:
        self.jobs += 1
        inbox, outbox = self._inbox[1], self._outbox[1]
        start = 0
        for piece in data:
            inbox[start : start + len(piece)] = piece
            start += len(piece)
        body = json.dumps(
            {"job": job, "arguments": arguments, "sizes": [len(piece) for piece in data]}
        ).encode()
        limit = math.ceil(self._cpu_used()) + cpu_s
        deadline = time.monotonic() + wall_s
        sizes: list[int] = []
        try:
            resource.prlimit(self._process.pid, resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            self._channel.settimeout(wall_s)
            self._channel.sendall(struct.pack("<I", len(body)) + body)
            answer = self._receive(deadline)
            if "failed" not in answer:
                sizes = _sizes(answer)
        except (_Gone, OSError) as error:
            log.warning("decoder.killed", reason=job)
            raise WardlightError("cannot-decode", REASONS["killed"]) from error
        answer["data"] = [
            bytes(outbox[end - size : end]) for size, end in zip(sizes, _ends(sizes), strict=True)
        ]
        for memory, used in ((inbox, start), (outbox, sum(sizes))):
            if used > _KEPT:
                memory.madvise(mmap.MADV_REMOVE)
        return answer

    def _cpu_used(self) -> float:
        """Seconds of processor time of the process so far (the clock of clock_getcpuclockid(3))."""
        try:
            return time.clock_gettime((~self._process.pid << 3) | 2)
        except OSError:
            return 0.0  # It has ended; the job will find that out.

    def _receive(self, deadline: float) -> dict[str, Any]:
        (size,) = struct.unpack("<I", self._exactly(4, deadline))
        if size > _MESSAGE:
            raise _Gone
        try:
            message = json.loads(self._exactly(size, deadline))
        except (ValueError, RecursionError):
            raise _Gone from None
        if not isinstance(message, dict):
            raise _Gone
        return message

    def _exactly(self, size: int, deadline: float) -> bytes:
        pieces = []
        while size:
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                piece = self._channel.recv(size)
            except OSError:
                raise _Gone from None
            if not piece:
                raise _Gone
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def quiet(self) -> bool:
        """Whether it lives and waits: one that speaks unasked is not believed again."""
        waiting = select.poll()
        waiting.register(self._channel, select.POLLIN)
        return not waiting.poll(0) and self._process.poll() is None

    def kill(self) -> None:
        """End the process, however busy it is, and free what it shared."""
        self._process.kill()
        self._process.wait()
        self._channel.close()
        for shared in (self._inbox, self._outbox):
            _free(*shared)


class _Gone(Exception):
    """The process ended, is late, or said what it may not."""


def _start(arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """A process with our import path and nothing else of ours: no environment, no other descriptor, no terminal."""
    path = json.dumps([place for place in sys.path if place])
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", _PROGRAM, path, *arguments],
        env=_ENVIRONMENT,
        cwd="/",
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _shared_memory(name: str) -> tuple[int, mmap.mmap]:
    """A file in memory of the largest size, empty until written; nobody can change its size any more."""
    descriptor = os.memfd_create(f"wardlight-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, LARGEST)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor, mmap.mmap(descriptor, LARGEST)


def _free(descriptor: int, memory: mmap.mmap) -> None:
    with suppress(OSError):
        os.close(descriptor)
    memory.close()


def _sizes(answer: dict[str, Any]) -> list[int]:
    sizes = answer.get("sizes")
    if not isinstance(sizes, list) or not isinstance(answer.get("result"), dict):
        raise _Gone
    if not all(type(size) is int and 0 <= size <= LARGEST for size in sizes) or sum(sizes) > LARGEST:
        raise _Gone
    return sizes


def _ends(sizes: Sequence[int]) -> list[int]:
    ends, end = [], 0
    for size in sizes:
        end += size
        ends.append(end)
    return ends
