"""The pipeline when a step fails for one object: its neighbours go on, and it comes through or is kept, never lost."""

from __future__ import annotations

import io
import threading
import time
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
NUMBER = 6
UNREADABLE = {"object-damaged", "wrong-key", "key-destroyed", "not-found"}
ERRORS: list[Exception] = [
    *(WardlightError(code) for code in CATALOGUE),
    OSError(24, "too many open files"),
    OperationalError("UPDATE", {}, Exception("database is locked")),
    MemoryError(),
    ValueError("a fault of ours"),
]


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

    def ends(self, states: dict[int, str], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while self.states() != states and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.states() == states
        while self.pipeline._in_hand and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not self.pipeline._in_hand

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


def all_but(state: str, object_id: int = 1) -> dict[int, str]:
    return {number: state if number == object_id else "stored" for number in range(1, NUMBER + 1)}


def fails(real: Callable[..., Any], error: Exception, times: int, object_id: int = 1) -> Callable[..., Any]:
    """`real`, but raising `error` the first `times` for the works of this object."""
    left = [times]

    def step(first: Any, *rest: Any, **named: Any) -> Any:
        works = first if isinstance(first, list) else [first]
        numbers = {work[0].object_id if isinstance(work, tuple) else work.object_id for work in works}
        if object_id in numbers and left[0]:
            left[0] -= 1
            raise error
        return real(first, *rest, **named)

    return step


def refuses(line: Line, monkeypatch: pytest.MonkeyPatch, object_id: int = 1) -> None:
    """Have this object not released."""
    real = line.pipeline._protector.protect

    def protect(work: Work) -> Any:
        if work.object_id == object_id:
            raise NotReleased(("harvest:(0008,103E)",), "1.2.3")
        return real(work)

    monkeypatch.setattr(line.pipeline._protector, "protect", protect)


@pytest.mark.parametrize("error", ERRORS, ids=name)
def test_protecting_fails_once(line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = line.pipeline._protector.protect
    monkeypatch.setattr(line.pipeline._protector, "protect", fails(real, error, 1))
    with line.running():
        if name(error) in UNREADABLE:
            line.ends(all_but("damaged"))
            assert "receiver.spool_damaged" in line.alarms.getvalue()
            assert line.kept_file()
        else:
            line.ends(all_but("stored"))


@pytest.mark.parametrize("error", ERRORS, ids=name)
def test_quarantining_fails_once(line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    refuses(line, monkeypatch)
    quarantine = line.pipeline._quarantine
    monkeypatch.setattr(quarantine, "put", fails(quarantine.put, error, 1))
    with line.running():
        line.ends(all_but("damaged" if name(error) in UNREADABLE else "quarantined"))


@pytest.mark.parametrize("error", ERRORS, ids=name)
def test_what_can_never_be_quarantined_is_kept_with_an_alarm(
    line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    refuses(line, monkeypatch)
    quarantine = line.pipeline._quarantine
    monkeypatch.setattr(quarantine, "put", fails(quarantine.put, error, 10_000))
    with line.running():
        if name(error) == "out-of-resources":  # A full disk is waited out: it says nothing about the object.
            deadline = time.monotonic() + 10
            while line.alarms.getvalue().count("object_put_off") < 8 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert line.states() == all_but("pending")
        else:
            line.ends(all_but("damaged"))
            assert "receiver.object_given_up" in line.alarms.getvalue() or name(error) in UNREADABLE
            assert line.kept_file()
    assert len(line.platform.requests) == NUMBER - 1


@pytest.mark.parametrize("step", ["finish", "postpone", "damaged", "add_quarantine", "note", "pending"])
@pytest.mark.parametrize("error", [ERRORS[0], WardlightError("unavailable"), *ERRORS[-4:]], ids=name)
def test_the_database_fails_at_a_step(
    line: Line, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    refuses(line, monkeypatch, 2)
    if step in ("postpone", "damaged"):
        real = line.pipeline._protector.protect
        first = WardlightError("object-damaged" if step == "damaged" else "unavailable")
        monkeypatch.setattr(
            line.pipeline._protector, "protect", fails(real, first, 100 if step == "damaged" else 2)
        )
    works, left = getattr(line.store, step), [3]

    def failing(*arguments: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return works(*arguments, **named)

    monkeypatch.setattr(line.store, step, failing)
    if step == "pending" and not isinstance(error, (WardlightError, OperationalError, OSError)):
        with pytest.raises(
            type(error)
        ):  # A fault of ours there concerns no object: the process is started anew.
            line.pipeline.run()
        return
    with line.running():
        line.ends({**all_but("quarantined", 2), **({1: "damaged"} if step == "damaged" else {})})


@pytest.mark.parametrize("error", ERRORS, ids=name)
def test_sending_fails_once(line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Reading the body fails while the object is sent, or sending does in a way nobody thought of."""
    left = [1]
    for uploader in line.pipeline._uploaders:
        real = uploader._platform._send

        def send(*arguments: Any, real: Any = real) -> bool:
            if left[0]:
                left[0] -= 1
                raise error
            return bool(real(*arguments))

        monkeypatch.setattr(uploader._platform, "_send", send)
    with line.running():
        line.ends(all_but("stored"))


@pytest.mark.parametrize("code", ["unavailable", "out-of-resources", "object-damaged", "not-found"])
def test_an_object_that_cannot_be_read_for_a_moment_is_not_given_up(
    line: Line, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    real, left = line.pipeline._protector.reader, [1]

    def reader(work: Work) -> Any:
        def read(start: int) -> Iterator[bytes]:
            if work.object_id == 1 and left[0]:
                left[0] -= 1
                raise WardlightError(code)
            return real(work)(start)

        return read

    monkeypatch.setattr(line.pipeline._protector, "reader", reader)
    with line.running():
        line.ends(all_but("damaged" if code in UNREADABLE else "stored"))


def test_a_failed_row_leaves_no_copy_in_quarantine(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(line, monkeypatch)
    real, left = line.store.add_quarantine, [3]

    def add(*arguments: Any) -> bool:
        if left[0]:
            left[0] -= 1
            raise WardlightError("unavailable")
        return bool(real(*arguments))

    monkeypatch.setattr(line.store, "add_quarantine", add)
    with line.running():
        line.ends(all_but("quarantined"))
        assert [identifier for identifier, _ in line.pipeline._quarantine._objects.list()] == [
            entry.id for entry in line.store.quarantined()
        ]
