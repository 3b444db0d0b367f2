"""Files that hold keys: made private from the first byte, replaced whole, durable before anyone relies on them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from wardlight.errors import WardlightError


def private_folder(folder: Path) -> None:
    """Make the folder where it does not exist; it and every folder made above it are for their owner only.

    `mkdir(parents=True)` would make those above it with the default mode. A folder that is there stays as it is.
    """
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def create_private(file: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Make a file that does not exist yet, whole and durable. False when somebody else was first.

    A link, not a rename, puts it in place: two processes that start together must not each keep a key of their own.
    """
    temporary = _write_temporary(file, content, mode)
    try:
        os.link(temporary, file)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(file.parent)
    return True


def replace_private(file: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` in the place of the file, atomically and durably."""
    temporary = _write_temporary(file, content, mode)
    try:
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def read_private(file: Path, length: int) -> bytes:
    """Read a key file of exactly `length` bytes.

    Raises `WardlightError("settings-unsafe")` when group or others may use it, or when its length is another.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            raise WardlightError("settings-unsafe", "a key file may be read by others than its owner")
        content = os.read(descriptor, length + 1)
    finally:
        os.close(descriptor)
    if len(content) != length:
        raise WardlightError("settings-unsafe", "a key file does not have the length of a key")
    return content


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_temporary(file: Path, content: bytes, mode: int) -> Path:
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)  # Tens of bytes: a write that short is whole or fails.
        os.fsync(descriptor)
    except OSError:
        temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    return temporary
