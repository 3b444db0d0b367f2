"""The pipeline when a step fails for one object: its neighbours go on, and it comes through or is kept, never lost."""

from __future__ import annotations

import io
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

import receiver_data
from receiver_data import ct, encode
from stow_stub import StowStub
from wardlight import clock, log
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.receiver import pipeline, secrets, setbacks, tables
from wardlight.receiver.model import Level, Target, Work
from wardlight.receiver.pipeline import Pipeline
from wardlight.receiver.places import open_spool
from wardlight.receiver.protect import NotReleased
from wardlight.receiver.sink import Arrival
from wardlight.receiver.spool import Spool

IDENTIFIED = Target("images", Level.IDENTIFIED)
UNREADABLE = {"object-damaged", "wrong-key", "key-destroyed", "not-found"}
ERRORS: list[Exception] = [
    *(WardlightError(code) for code in CATALOGUE),
    OSError(24, "too many open files"),
    OperationalError("UPDATE", {}, Exception("database is locked")),
    MemoryError(),
    ValueError("a fault of ours"),
]

#: One object for each error, and neighbours before, between and after them.
NUMBER = len(ERRORS) + 3


def name(error: object) -> str:
    return error.code if isinstance(error, WardlightError) else type(error).__name__


@dataclass
class Line:
    """A pipeline over a spool with objects in it."""

    pipeline: Pipeline
    spool: Spool
    platform: StowStub
    alarms: io.StringIO

    @property
    def store(self) -> Any:
        return self.pipeline._store

    def states(self) -> dict[int, str]:
        query = select(tables.upload.c.object_id, tables.upload.c.state)
        with self.store.database.read() as tx:
            return {row.object_id: row.state for row in tx.execute(query)}

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.pipeline.run)
        thread.start()
        try:
            yield
        finally:
            self.pipeline.stop.set()
            thread.join(20)
        assert not self.pipeline.failed

    def ends(self, states: dict[int, str], seconds: float = 20.0, *, idle: bool = True) -> None:
        deadline = time.monotonic() + seconds
        while self.states() != states and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.states() == states
        while idle and self.pipeline._in_hand and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not (idle and self.pipeline._in_hand)

    def kept_file(self) -> bool:
        """Whether the spool file of a damaged object stays, though everything else is done and reported."""
        self.spool.roll()
        (file_id,) = self.spool.files()
        self.store.settle(file_id)
        for study in self.store.unreported(clock.unix_ms() + 1, 0):
            self.store.report(study, b"{}")
        return self.store.finished_files() == []


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setattr(setbacks, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(setbacks, "LONGEST_WAIT_S", 0.04)
    monkeypatch.setattr(setbacks, "TRIES", 4)
    for module in (setbacks, pipeline):
        monkeypatch.setattr(module, "DATABASE_PAUSE_S", 0.02)
    monkeypatch.setattr("wardlight.receiver.uploader.DATABASE_PAUSE_S", 0.02)
    alarms = io.StringIO()
    monkeypatch.setattr(log, "_logger", log.Logger("test", alarms, 40))
    with StowStub() as stub:
        # One batch for each object, so that each is seen on its own.
        chosen = receiver_data.settings(tmp_path, platform_url=stub.url, batch_instances=1)
        secrets.save_token(chosen.receiver_secrets, stub.token)
        spool = open_spool(chosen)
        made = Pipeline(chosen, 0, 1)
        received = []
        for _ in range(NUMBER):
            one = encode(ct(rows=16))
            arrival = Arrival(
                "R", (IDENTIFIED,), "CT", "", one.sop_class, one.transfer_syntax, clock.unix_ms()
            )
            writer = spool.begin(arrival.to_meta())
            writer.write(memoryview(one.data))
            received.append(arrival.received(writer.commit(), b"s" * 16, None))
        made._store.register(received)
        yield Line(made, spool, stub, alarms)
        spool.close()


def all_but(special: dict[int, str]) -> dict[int, str]:
    return {number: special.get(number, "stored") for number in range(1, NUMBER + 1)}


def error_of(object_id: int) -> Exception | None:
    """The error that objects 2, 3 … meet; the first and the last two meet none."""
    return ERRORS[object_id - 2] if 2 <= object_id < 2 + len(ERRORS) else None


FAILING = {number: name(error_of(number)) for number in range(2, 2 + len(ERRORS))}


def fails(real: Callable[..., Any], times: int) -> Callable[..., Any]:
    """`real`, but it raises for each work its error, the first `times`."""
    met: Counter[int] = Counter()

    def step(work: Work, *rest: Any) -> Any:
        error = error_of(work.object_id)
        if error is not None and met[work.object_id] < times:
            met[work.object_id] += 1
            raise error
        return real(work, *rest)

    return step


def refuses(line: Line, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Have these objects not released."""
    real = line.pipeline._protector.protect

    def protect(work: Work) -> Any:
        if work.object_id in numbers:
            raise NotReleased(("harvest:(0008,103E)",), "1.2.3")
        return real(work)

    monkeypatch.setattr(line.pipeline._protector, "protect", protect)


def test_protecting_fails_once_in_every_way(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    protector = line.pipeline._protector
    monkeypatch.setattr(protector, "protect", fails(protector.protect, 1))
    with line.running():
        line.ends(all_but({number: "damaged" for number, code in FAILING.items() if code in UNREADABLE}))
        assert line.alarms.getvalue().count("receiver.spool_damaged") == len(UNREADABLE)
        assert line.kept_file()


def test_quarantining_fails_once_in_every_way(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(line, monkeypatch, *FAILING)
    quarantine = line.pipeline._quarantine
    monkeypatch.setattr(quarantine, "put", fails(quarantine.put, 1))
    with line.running():
        line.ends(
            all_but(
                {
                    number: "damaged" if code in UNREADABLE else "quarantined"
                    for number, code in FAILING.items()
                }
            )
        )


def test_what_can_never_be_quarantined_is_kept_with_an_alarm(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk alone is waited out: it says nothing about the object."""
    refuses(line, monkeypatch, *FAILING)
    quarantine = line.pipeline._quarantine
    monkeypatch.setattr(quarantine, "put", fails(quarantine.put, 10_000))
    (full,) = (number for number, code in FAILING.items() if code == "out-of-resources")
    with line.running():
        line.ends(all_but({number: "damaged" for number in FAILING} | {full: "pending"}), idle=False)
        alarms = line.alarms.getvalue()
        assert alarms.count("receiver.object_given_up") == len(FAILING) - len(UNREADABLE) - 1
        assert line.kept_file()
    assert len(line.platform.requests) == NUMBER - len(FAILING)


@pytest.mark.parametrize(
    "step",
    [
        *("finish", "damaged"),
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in ("postpone", "add_quarantine", "note", "pending")
        ),
    ],
)
def test_the_database_fails_at_a_step_in_every_way(
    line: Line, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    refuses(line, monkeypatch, 2)
    protect = line.pipeline._protector.protect
    troubles = {"damaged": [WardlightError("object-damaged")] * 100, "postpone": [WardlightError("conflict")]}
    trouble = troubles.get(step, [])

    def troubled(work: Work) -> Any:
        if work.object_id == 3 and trouble:
            raise trouble.pop()
        return protect(work)

    monkeypatch.setattr(line.pipeline._protector, "protect", troubled)
    real, left = getattr(line.store, step), list(ERRORS)
    if step == "pending":  # What is none of the database's or the machine's there starts the process anew.
        left = [error for error in left if isinstance(error, (WardlightError, OperationalError, OSError))]
    if step == "add_quarantine":  # One object meets them all, and is to be kept in the end.
        left = [WardlightError("unavailable"), WardlightError("out-of-resources"), ERRORS[-3]]

    def failing(*arguments: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments, **named)

    monkeypatch.setattr(line.store, step, failing)
    with line.running():
        line.ends(all_but({2: "quarantined", 3: "damaged" if step == "damaged" else "stored"}))
    assert not left or step == "postpone"


def test_sending_fails_once_in_every_way(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    left = list(ERRORS)
    for uploader in line.pipeline._uploaders:
        real = uploader._platform._send

        def send(*arguments: Any, real: Any = real) -> bool:
            if left:
                raise left.pop()
            return bool(real(*arguments))

        monkeypatch.setattr(uploader._platform, "_send", send)
    with line.running():
        line.ends(all_but({}))


def test_reading_fails_once_in_every_way_while_objects_are_sent(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may pass is tried again; only what can never be read is given up."""
    line.pipeline._protector._shelf._left = -1  # No room: each object is read again when it is sent.
    real, met = line.pipeline._protector.reader, set[int]()

    def reader(work: Work) -> Any:
        def read(start: int) -> Iterator[bytes]:
            error = error_of(work.object_id)
            if error is not None and work.object_id not in met:
                met.add(work.object_id)
                raise error
            return real(work)(start)

        return read

    monkeypatch.setattr(line.pipeline._protector, "reader", reader)
    with line.running():
        line.ends(all_but({number: "damaged" for number, code in FAILING.items() if code in UNREADABLE}))


def test_a_failed_row_leaves_no_copy_in_quarantine(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(line, monkeypatch, 1)
    real, left = line.store.add_quarantine, [3]

    def add(*arguments: Any) -> bool:
        if left[0]:
            left[0] -= 1
            raise WardlightError("unavailable")
        return bool(real(*arguments))

    monkeypatch.setattr(line.store, "add_quarantine", add)
    with line.running():
        line.ends(all_but({1: "quarantined"}))
        assert [identifier for identifier, _ in line.pipeline._quarantine._objects.list()] == [
            entry.id for entry in line.store.quarantined()
        ]


def test_objects_put_off_for_different_times_each_come_back_at_theirs(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for the first must not forget when the second is due."""
    waits = iter(0.05 * number for number in range(1, 100))
    monkeypatch.setattr(setbacks.Backoff, "next", lambda _: next(waits))
    protector = line.pipeline._protector
    monkeypatch.setattr(protector, "protect", fails(protector.protect, 1))
    with line.running():
        line.ends(all_but({number: "damaged" for number, code in FAILING.items() if code in UNREADABLE}))


def test_an_idle_pipeline_asks_for_work_only_when_the_database_changed(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = line.store.pending
    monkeypatch.setattr(line.store, "pending", lambda *a: (asked.append(1), real(*a))[1])
    with line.running():
        line.ends(all_but({}))
        watch = sqlite3.connect(line.store._path)
        for _ in range(20):  # Others write there, too: what is shipped, and how the platform answers.
            version, before = watch.execute("PRAGMA data_version").fetchone(), len(asked)
            time.sleep(0.5)
            if watch.execute("PRAGMA data_version").fetchone() == version:
                break
        assert len(asked) - before <= 1, "one look at what the last change was"
        before = len(asked)
        time.sleep(0.2)
        assert len(asked) == before or watch.execute("PRAGMA data_version").fetchone() != version
        watch.close()
        # One that another process puts back is seen at once, by the change, or at the latest by the next round.
        monkeypatch.setattr(pipeline, "_RESCAN_S", 0.05)
        line.pipeline._rescans.add(0)
        with line.store.database.begin() as tx:
            tx.execute(tables.upload.update().where(tables.upload.c.object_id == 1).values(state="pending"))
        deadline = time.monotonic() + 10
        while len(line.platform.requests) <= NUMBER and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(line.platform.requests) == NUMBER + 1
