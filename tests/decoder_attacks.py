"""Jobs that try what a decoder must not (security.md section 11, test 23). Loaded into a decoder by its test only."""

import ctypes
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from wardlight.decoding.jobs import job

LIBRARY = ctypes.CDLL(None, use_errno=True)


def _tried(attempt):
    """What came of it: `done`, or the name of the error."""
    try:
        attempt()
    except BaseException as error:
        return {"outcome": type(error).__name__, "errno": getattr(error, "errno", None)}, []
    return {"outcome": "done", "errno": None}, []


def _raw(number, *arguments):
    if LIBRARY.syscall(number, *arguments) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


ATTEMPTS = {
    "read a file": lambda: open("/etc/hostname").close(),
    "write a file": lambda: open("/tmp/wardlight-decoder", "w").close(),
    "open by number": lambda: _raw(257, -100, b"/etc/passwd", 0),
    "list a folder": lambda: os.listdir("/"),
    "unlink": lambda: os.unlink("/tmp/wardlight-decoder"),
    "socket": lambda: socket.socket(),
    "connect": lambda: _raw(42, 0, b"\x02\x00\x00\x50\x7f\x00\x00\x01" + bytes(8), 16),
    "fork": lambda: os.fork(),
    "thread": lambda: threading.Thread(target=int).start(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "subprocess": lambda: subprocess.run([sys.executable, "-c", "0"]),
    "kill the parent": lambda: os.kill(os.getppid(), 0),
    "kill itself aloud": lambda: os.kill(os.getpid(), 15),
    "ptrace": lambda: _raw(101, 0, 0, 0, 0),
    "shrink shared memory": lambda: os.ftruncate(int(sys.argv[4]), 0),
    "code in memory": lambda: __import__("mmap").mmap(-1, 4096, prot=7),
    "raise a limit": lambda: __import__("resource").setrlimit(7, (64, 64)),
    "2 GiB": lambda: bytearray(2 << 30),
    "see a file of the process": lambda: Path("/proc/self/environ").read_bytes(),
}


@job("attack")
def attack(arguments, data):
    return _tried(ATTEMPTS[arguments["what"]])


@job("world")
def world(arguments, data):
    """What there is to see inside."""
    descriptors = []
    for number in range(4096):
        try:
            os.lseek(number, 0, os.SEEK_CUR)
        except OSError as error:
            if error.errno == errno.EBADF:
                continue
        descriptors.append(number)
    return {"environment": sorted(os.environ), "descriptors": descriptors, "arguments": len(sys.argv)}, []


@job("echo")
def echo(arguments, data):
    return arguments, [bytes(piece) for piece in data]


@job("spin")
def spin(arguments, data):
    while True:
        pass


@job("work")
def work(arguments, data):
    """Use so much processor time; says how much the process has used."""
    until = time.process_time() + arguments["seconds"]
    while time.process_time() < until:
        pass
    return {"process": time.process_time()}, []


@job("sleep")
def sleep(arguments, data):
    threading.Event().wait(600)
    return {}, []


@job("crash")
def crash(arguments, data):
    ctypes.string_at(0)
    return {}, []


@job("talk")
def talk(arguments, data):
    """Says to the pool what a decoder that was taken over might say."""
    os.write(int(sys.argv[3]), arguments["bytes"].encode("latin-1"))
    os._exit(0)


@job("twice")
def twice(arguments, data):
    """Answers, and has the next answer ready before it is asked."""
    real = os.write

    def write(channel, message):
        done = real(channel, message)
        real(channel, arguments["bytes"].encode("latin-1"))
        os.write = real
        return done

    os.write = write
    return {}, []


@job("process")
def process(arguments, data):
    return {"pid": os.getpid()}, []
