"""The few system calls that durable files need, with their errors in the catalogue's terms."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Final

from wardlight.errors import WardlightError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SYNC_FILE_RANGE_WRITE: Final = 2  # linux/fs.h


def write_all(descriptor: int, data: memoryview) -> None:
    """Write every byte at the file's position; a short write is continued."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def disk_error(error: OSError) -> WardlightError:
    """What an `OSError` of a store means to the caller: no space, or a failing disk. The path stays behind."""
    if error.errno in _FULL:
        return WardlightError("out-of-resources")
    return WardlightError("unavailable", f"storage failed with errno {error.errno}")


def _find_start_writeback() -> Callable[[int, int, int], None]:
    call = getattr(ctypes.CDLL(None), "sync_file_range", None) if sys.platform == "linux" else None
    if call is None:
        return lambda _descriptor, _offset, _length: None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def start(descriptor: int, offset: int, length: int) -> None:
        # Only a hint: an error shows again, and is handled, in the fdatasync that follows.
        call(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)

    return start


start_writeback: Final = _find_start_writeback()
"""`start_writeback(descriptor, offset, length)`: let the disk begin now, so that the fdatasync later is short."""
