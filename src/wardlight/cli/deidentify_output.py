"""Where `wardlight deidentify` writes: whole files under their names, parts of files in the working folder only.

Names as text: a Path of each part would cost more than the search of a header.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

#: Folder in OUT for what is not finished: parts of files, the journal, what the first pass learnt. Gone at the end.
WORK: Final = ".wardlight"
_PARTS: Final = "parts"
_FIRST: Final = "first"
_STEP: Final = 1 << 20
#: Folders known to be there.
_FOLDERS: Final = 4096
#: File systems without hard links say one of these.
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


class OutputFailed(Exception):
    """OUT cannot be written: that is no fault of the input, and the run ends."""

    def __init__(self, number: int | None) -> None:
        super().__init__(number)
        self.number: Final = number


def prepare(target: Path) -> Path:
    """The working folder of OUT, without parts that a run before has left. Raises OSError."""
    work = target / WORK
    shutil.rmtree(work / _PARTS, ignore_errors=True)
    (work / _PARTS).mkdir(parents=True)
    (work / _FIRST).mkdir(exist_ok=True)
    work.chmod(0o700)
    return work


class Outputs:
    """The tree of study, series, instance in OUT, for one worker process."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._work = f"{target}/{WORK}"
        self._folders: set[str] = set()

    @contextmanager
    def part(self, instance: str) -> Iterator[tuple[int, str]]:
        """The descriptor of a new file in the working folder, and its name; gone at the end. Raises OutputFailed."""
        name = f"{self._work}/{_PARTS}/{instance}.{os.getpid()}"
        try:
            with _writing():
                file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                yield file, name
            finally:
                os.close(file)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108 - as the module says

    def publish(self, part: str, study: str, series: str, instance: str) -> tuple[str, bytes | None, str]:
        """Give the part its name; returns what became of it, its digest and that of what was there first.

        "released" where nothing was there or what was there has the larger digest, which it replaces; "duplicate" for
        the same bytes; else "instance-conflict". So of several contents of one instance the smallest digest stays,
        whoever comes first. Digests are None and "" where nothing was there. Raises OutputFailed.
        """
        with _writing():
            folder = self._folder(study, series)
            final = f"{folder}/{instance}.dcm"
            try:
                os.link(part, final)
            except FileExistsError:
                return self._settle(part, final, instance)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                with self._lock():
                    if Path(final).exists():
                        return self._settled(part, final, instance)
                    Path(part).rename(final)
            return "released", None, ""

    def _settle(self, part: str, final: str, instance: str) -> tuple[str, bytes | None, str]:
        with self._lock():
            return self._settled(part, final, instance)

    def _settled(self, part: str, final: str, instance: str) -> tuple[str, bytes | None, str]:
        new, old = _digest(part), _digest(final)
        note = Path(f"{self._work}/{_FIRST}/{instance}")
        if not note.exists():
            note.write_text(old.hex(), "ascii")
        first = note.read_text("ascii")
        if new == old:
            return "duplicate", new, first
        if new > old:
            return "instance-conflict", new, first
        Path(part).replace(final)
        return "released", new, first

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Held by one worker at a time: only instances that come more than once ask for it."""
        with open(f"{self._work}/settle", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _folder(self, study: str, series: str) -> str:
        """The folder of the new series, made where it is not there."""
        folder = f"{self._target}/{study}/{series}"
        if folder not in self._folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
            if len(self._folders) >= _FOLDERS:
                self._folders.clear()
            self._folders.add(folder)
        return folder


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputFailed(error.errno) from None


def _digest(name: str) -> bytes:
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
