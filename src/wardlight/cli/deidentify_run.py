"""The run of `wardlight deidentify`: learn from all headers, de-identify each input, settle, report.

Nothing of an input's names or values goes into a message, the journal or the report: inputs have numbers.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Final

from wardlight.cli.deidentify_input import Input, inputs
from wardlight.cli.deidentify_job import Job, clean, learn, learnt_nothing, process_ended
from wardlight.cli.deidentify_journal import Journal
from wardlight.cli.deidentify_known import LearntKeys, LearntStore
from wardlight.cli.deidentify_places import (
    JOURNAL,
    LEARNT,
    Stopped,
    UsageError,
    check_places,
    secret_of,
    workplace,
)
from wardlight.cli.deidentify_pool import Workers, WorkersFailed
from wardlight.cli.deidentify_show import Shown
from wardlight.deid.keys import derive
from wardlight.deid.profile import LEVELS, Profile, load_profile
from wardlight.deid.report_model import Outcome

#: Outcomes, and seconds, after which the journal is written.
_OUTCOMES: Final = 2048
_SECONDS: Final = 1.0
#: Bytes under which a disk counts as full.
_LEAST_FREE: Final = 1 << 20
_OTHER_KEY: Final = (
    "the interrupted run had another key, level or profile: give the same ones, or choose another OUT"
)
_OTHER_INPUT: Final = "IN is not what it was when the run was interrupted: begin again with another OUT"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for."""

    source: Path
    target: Path
    level: str = "high"
    profile: Path | None = None
    key_file: Path | None = None
    workers: int | None = None
    report: Path | None = None
    resume: bool = False
    dry_run: bool = False
    dicomdir: Path | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended. reasons: why inputs were not released, tags left out, and of how many."""

    totals: Counter[str]
    reasons: Counter[str]
    profile: Profile
    seconds: float


def run(settings: Settings) -> Ran:
    """De-identify all inputs. Raises UsageError, Stopped, KeyboardInterrupt."""
    started = time.monotonic()
    try:
        if settings.profile is None and settings.level not in LEVELS:
            raise ValueError(f"--level is one of {', '.join(LEVELS)}")
        profile = load_profile(settings.profile or settings.level)
        if settings.resume and settings.key_file is None:
            raise ValueError("--resume needs the --key-file of the run that was interrupted")
        secret = secret_of(settings.key_file)
        check_places(settings.source, settings.target, settings.report, settings.dicomdir)
        few = len(list(islice(inputs(settings.source), 2))) < 2
    except ValueError as error:
        raise UsageError(str(error)) from None
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signal())
        work = stack.enter_context(
            workplace(settings.target, dry_run=settings.dry_run, resume=settings.resume)
        )
        with _told(work):
            journal = Journal(work / JOURNAL, derive(secret, "deid-journal", b""))
            stack.callback(journal.close)
            shown = stack.enter_context(Shown(quiet=settings.quiet))
            job = Job(
                profile,
                secret,
                None if settings.dry_run else settings.target,
                settings.report is not None,
                None if few else work / LEARNT,
                LearntKeys.of(secret),
            )
            stack.callback(job.close)
            workers = stack.enter_context(Workers(settings.workers or os.cpu_count() or 1, job))
            batch = _Batch(settings, job, workers, journal, shown)
            batch.learn()
            batch.clean()
            for number in journal.settle():
                shown.refused(number, ("instance-conflict",))
            batch.finish()
            ran = Ran(journal.totals(), journal.reasons(), profile, time.monotonic() - started)
    return ran


class _Batch:
    """The passes over the inputs, in their order."""

    def __init__(
        self, settings: Settings, job: Job, workers: Workers[Job], journal: Journal, shown: Shown
    ) -> None:
        self._settings = settings
        self._job = job
        self._workers = workers
        self._journal = journal
        self._shown = shown
        self._root = settings.source if settings.source.is_dir() else settings.source.parent
        self._total = 0
        self._handed_out: dict[int, bytes] = {}

    def learn(self) -> None:
        """Count the inputs, and learn from the headers of all of them; one alone tells nothing of others."""
        digest, path = b"", self._job.learnt
        if path is None:
            self._total = 1
        else:
            path.unlink(missing_ok=True)
            with closing(LearntStore(path)) as store:
                found = self._workers.run(learn, inputs(self._settings.source), learnt_nothing)
                for _, learnt in self._shown.looking(found):
                    self._total += 1
                    if learnt:
                        store.add(learnt)
                digest = store.digest()
        self._bind("profile", repr(_canonical(self._job.profile)).encode(), _OTHER_KEY)
        self._bind("learnt", digest, _OTHER_INPUT)
        if self._settings.resume:
            present = ((self._name(item), item.number) for item in inputs(self._settings.source))
            if not self._journal.fits(present):
                raise UsageError(_OTHER_INPUT)

    def _bind(self, name: str, value: bytes, otherwise: str) -> None:
        if not self._journal.bind(name, value):
            raise UsageError(otherwise)

    def clean(self) -> None:
        """De-identify each input that the journal does not know."""
        waiting: list[tuple[bytes, Outcome]] = []
        written = time.monotonic()
        self._shown.cleaning(self._total)
        try:
            for item, outcome in self._workers.run(clean, self._left(), process_ended):
                if outcome.kind == "stopped":
                    raise Stopped(outcome.reasons[0])
                waiting.append((self._handed_out.pop(item.number), outcome))
                self._shown.outcome(outcome)
                if len(waiting) >= _OUTCOMES or time.monotonic() - written > _SECONDS:
                    self._journal.add(waiting)
                    waiting, written = [], time.monotonic()
        except BaseException:
            with suppress(sqlite3.Error):  # What is not noted is done again.
                self._journal.add(waiting)
            raise
        self._journal.add(waiting)

    def _left(self) -> Iterator[Input]:
        for item in inputs(self._settings.source):
            # As it is before anybody reads it: what changes then is another input.
            name = self._name(item)
            if self._settings.resume and self._journal.done(name, self._job.target):
                self._shown.already()
            else:
                self._handed_out[item.number] = name
                yield item

    def _name(self, item: Input) -> bytes:
        try:
            return self._journal.name_of(item, self._root)
        except OSError:
            return b"gone %d" % item.number

    def finish(self) -> None:
        """What is made of the whole: report and media directory. Their libraries take longer than many a run."""
        settings = self._settings
        if settings.dicomdir is not None and not settings.dry_run:
            released = [settings.target / place for place in self._journal.released()]
            if released:
                from wardlight.cli.deidentify_media import write_dicomdir

                write_dicomdir(released, settings.dicomdir)
        if settings.report is not None:
            from wardlight.cli.deidentify_pictures import Pictures
            from wardlight.cli.deidentify_report import rules_of, write_report

            rules = rules_of(self._job.profile, dry=settings.dry_run)
            with closing(Pictures(self._journal, settings.source, self._job.target)) as pictures:
                write_report(settings.report, self._journal, rules, pictures)


def _canonical(value: Any) -> Any:
    """The same text in each process: sets and mappings in a fixed order."""
    if is_dataclass(value):
        return [(one.name, _canonical(getattr(value, one.name))) for one in fields(value)]
    if isinstance(value, Mapping):
        return sorted((repr(_canonical(key)), repr(_canonical(one))) for key, one in value.items())
    if isinstance(value, frozenset | set):
        return sorted(repr(_canonical(one)) for one in value)
    if isinstance(value, tuple | list):
        return [_canonical(one) for one in value]
    return repr(value)


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _told(work: Path) -> Iterator[None]:
    """What goes wrong with the run's own files, and with its processes, stops it with words for it."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name != "SQLITE_FULL" and not name.startswith("SQLITE_IOERR"):
            raise Stopped("journal") from None
        full = name == "SQLITE_FULL" or shutil.disk_usage(work).free < _LEAST_FREE
        raise Stopped(f"file-system:{errno.ENOSPC if full else errno.EIO}") from None
    except OSError as error:
        raise Stopped(f"file-system:{error.errno}") from None
    except WorkersFailed:
        raise Stopped("process-ended") from None
