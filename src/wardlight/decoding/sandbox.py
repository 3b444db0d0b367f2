"""What a decoder process gives up before it sees the first byte of an image (security.md section 8).

Every call here is final for the process. Only the standard library's `ctypes` and `resource` are used, so that the
list of allowed system calls can be read beside the code that asks for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass
from typing import Final

ADDRESS_SPACE: Final = 1 << 30  # bytes
OPEN_FILES: Final = 16

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_LANDLOCK_CREATE_RULESET: Final = 444  # the same number on every architecture
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION: Final = 1
#: Rights over files that Landlock can take away, by its first versions (linux/landlock.h).
_LANDLOCK_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}

# Classic BPF (linux/filter.h), and what a seccomp filter answers with (linux/seccomp.h).
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
REFUSE: Final = 0x00050000 | errno.EPERM
_PROT_EXEC: Final = 4


@dataclass(frozen=True, slots=True)
class Architecture:
    """Numbers of one processor. code: AUDIT_ARCH. calls: allowed. checked: allowed for memory that is not code.

    foreign: first number of another call table within the same code (x32 on x86-64), 0 where there is none.
    """

    code: int
    calls: dict[str, int]
    checked: dict[str, int]
    foreign: int = 0


ARCHITECTURES: Final = {
    "x86_64": Architecture(
        0xC000003E,
        {
            "read": 0, "write": 1, "close": 3, "lseek": 8, "munmap": 11, "brk": 12, "rt_sigaction": 13,
            "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39,
            "exit": 60, "gettid": 186, "futex": 202, "restart_syscall": 219, "clock_gettime": 228,
            "exit_group": 231, "getrandom": 318,
        },
        {"mmap": 9, "mprotect": 10},
        foreign=0x40000000,
    ),
    "aarch64": Architecture(
        0xC00000B7,
        {
            "read": 63, "write": 64, "close": 57, "lseek": 62, "munmap": 215, "brk": 214,
            "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216,
            "madvise": 233, "getpid": 172, "exit": 93, "gettid": 178, "futex": 98, "restart_syscall": 128,
            "clock_gettime": 113, "exit_group": 94, "getrandom": 278,
        },
        {"mmap": 222, "mprotect": 226},
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def supported() -> bool:
    """Whether this kernel filters system calls and their numbers on this processor are known here."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        return False
    # Without a program a kernel that knows filters says EFAULT, any other EINVAL.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def limits() -> None:
    """Memory, files and cores. CPU time is set by the pool, anew for each job."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def lock_down() -> None:
    """No new privileges, no files by Landlock where there is one, then the system call filter. Raises `OSError`."""
    library = ctypes.CDLL(None, use_errno=True)
    _check(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _landlock(library)
    program = bpf(ARCHITECTURES[platform.machine()])
    whole = _Program(len(program) // 8, program)
    _check(library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(whole), 0, 0))


def _landlock(library: ctypes.CDLL) -> None:
    version = library.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    if version < 1:  # No Landlock in this kernel: the filter below refuses files, too.
        return
    rights = ctypes.c_uint64(_LANDLOCK_RIGHTS[min(version, 3)])
    rules = library.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(rights), ctypes.sizeof(rights), 0)
    _check(rules)
    _check(library.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0))
    os.close(rules)


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def bpf(architecture: Architecture) -> bytes:
    """The filter: everything that is not listed fails with EPERM, a foreign call table kills."""
    data = {"number": 0, "architecture": 4, "third": 32}  # struct seccomp_data: nr, arch, low half of args[2]
    plain, checked = sorted(architecture.calls.values()), sorted(architecture.checked.values())
    rows = [(_LOAD, 0, 0, data["architecture"]), (_EQUAL, 1, 0, architecture.code), (_RETURN, 0, 0, KILL)]
    rows += [(_LOAD, 0, 0, data["number"])]
    if architecture.foreign:
        rows += [(_AT_LEAST, 0, 1, architecture.foreign), (_RETURN, 0, 0, KILL)]
    # Behind the comparisons stand: refuse, load protection, test it, refuse, allow.
    left = len(plain) + len(checked)
    for number in checked:
        left -= 1
        rows.append((_EQUAL, left + 1, 0, number))
    for number in plain:
        left -= 1
        rows.append((_EQUAL, left + 4, 0, number))
    rows += [
        (_RETURN, 0, 0, REFUSE),
        (_LOAD, 0, 0, data["third"]),
        (_ANY_BIT, 0, 1, _PROT_EXEC),
        (_RETURN, 0, 0, REFUSE),
        (_RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)
