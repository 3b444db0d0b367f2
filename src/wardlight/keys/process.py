"""Process hygiene for processes that hold keys: no core dump, no reading by other processes of the user."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def harden() -> None:
    """Switch off core dumps and, on Linux, ptrace and `/proc/self/mem` for other processes of the same user.

    Called first in each process that holds keys. Python cannot wipe memory reliably; swap should be off or encrypted.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
