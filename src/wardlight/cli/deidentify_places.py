"""The places of a run of `wardlight deidentify`: what may be IN and OUT, where the run keeps what is not finished."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wardlight.cli.deidentify_output import WORK, prepare
from wardlight.deid.keys import secret_from_key_file

JOURNAL: Final = "journal.db"
LEARNT: Final = "learnt.db"
_LARGEST_KEY_FILE: Final = 1 << 20


class UsageError(ValueError):
    """The settings cannot be used. The text is ours: it holds nothing of an input."""


class Stopped(Exception):
    """The run cannot go on, and can be continued. code: "file-system:<errno>", "process-ended", "journal"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code: Final = code

    def words(self) -> str:
        """What happened and what to do next."""
        if self.code.startswith("file-system:"):
            why = os.strerror(int(self.code.partition(":")[2]))
            return f"OUT cannot be written: {why}. Mend that, then run the same again with --resume."
        if self.code == "process-ended":
            return (
                "worker processes end as soon as they start, mostly for want of memory. "
                "Run the same again with --resume and fewer --workers."
            )
        return "the journal in OUT cannot be read or written. Choose another OUT, and begin again."


def secret_of(key_file: Path | None) -> bytes:
    """The secret of a key file; a random one without. ValueError where there is none in it."""
    if key_file is None:
        return os.urandom(32)
    try:
        with key_file.open("rb") as file:
            return secret_from_key_file(file.read(_LARGEST_KEY_FILE))
    except OSError as error:
        raise ValueError(f"the key file cannot be read: {error.strerror}") from None


def check_places(source: Path, target: Path, report: Path | None, media: Path | None = None) -> None:
    """Input is never overwritten, and output never taken for input. Raises ValueError."""
    source, target = source.resolve(), target.resolve()
    if target.exists() and not target.is_dir():
        raise ValueError("OUT is a file; a folder is needed")
    if source.is_dir() and target.is_relative_to(source):
        raise ValueError("OUT lies in IN; choose another folder")
    if source.is_file() and target == source.parent:
        raise ValueError("OUT is the folder that IN lies in; choose another folder")
    if media is not None:
        media = media.resolve()
        if media.is_relative_to(source) or (source.is_file() and media == source.parent):
            raise ValueError("the media folder would lie in IN; choose another place")
        if media == target:
            raise ValueError("the media folder is OUT; choose a folder of its own")
    if report is not None:
        report = report.resolve()
        if report == source or (source.is_dir() and report.is_relative_to(source)):
            raise ValueError("the report would lie in IN; choose another place")
        if not report.parent.is_dir():
            raise ValueError("the report cannot be written: the folder it would lie in is not there")


@contextmanager
def workplace(target: Path, *, dry_run: bool, resume: bool) -> Iterator[Path]:
    """The run's working folder: in OUT, and this run's alone; for a dry run a temporary one.

    Gone when the run came to its end. Raises UsageError.
    """
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="wardlight-") as folder:
            yield Path(folder)
        return
    try:
        (target / WORK).mkdir(parents=True, exist_ok=True)
        lock = (target / WORK / "lock").open("ab")
    except OSError as error:
        raise UsageError(f"OUT cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError("another run writes to OUT: wait for its end, or choose another OUT") from None
        if (target / WORK / JOURNAL).exists() and not resume:
            raise UsageError(
                "OUT holds a run that was interrupted: continue it with --resume and its --key-file, "
                "or choose another OUT"
            )
        try:
            work = prepare(target)
        except OSError as error:
            raise UsageError(f"OUT cannot be written: {error.strerror}") from None
        yield work
        shutil.rmtree(work, ignore_errors=True)
