"""What the receiver makes of the platform's word on agreements: kept whole or not at all, and over a restart."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import receiver_data
from wardlight.receiver import agreed, status
from wardlight.receiver.asking import PATH, Asking
from wardlight.receiver.exchange import ExchangeError
from wardlight.receiver.model import Level, Target
from wardlight.receiver.places import database_path
from wardlight.receiver.store import ReceiverStore


class Said:
    """An exchange that gives what it is told to."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get(self, path: str) -> Any:
        assert path == PATH
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


def row(application: str = "images", level: str = "high", reason: str = "") -> dict[str, str]:
    return {"application": application, "level": level, "reason": reason}


def asking(store: ReceiverStore, *answers: Any) -> Asking:
    return Asking(Said(*answers), store, threading.Event())  # type: ignore[arg-type]


def test_the_answer_is_kept_over_a_restart(tmp_path: Path) -> None:
    chosen = receiver_data.settings(tmp_path)
    store = ReceiverStore(database_path(chosen))
    assert agreed.read(store.database).reasons is None
    asking(store, {"targets": [row(), row(level="low", reason="level-not-agreed")]}).ask()
    store.close()
    store = ReceiverStore(database_path(chosen))
    known = agreed.AgreedTable(store.database).get()
    assert known.why_not(Target("images", Level.HIGH)) == ""
    assert known.why_not(Target("images", Level.LOW)) == "level-not-agreed"
    assert known.why_not(Target("acme", Level.HIGH)) == "no-agreement"
    assert known.targets == [Target("images", Level.HIGH)]
    found = status.status(chosen, ask_platform=False)["agreements"]
    assert found["known"] and found["last"] == "ok" and found["held"] == []
    store.close()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"targets": None},
        {"targets": {}},
        {"targets": ["images"]},
        {"targets": [row(), {"application": "images"}]},
        {"targets": [row(level="none")]},
        {"targets": [row(reason="because")]},
        {"targets": [row(application="")]},
        {"targets": [row(application="a" * 65)]},
        {"targets": [{**row(), "application": 1}]},
        {"targets": [{**row(), "reason": None}]},
        ExchangeError("unreachable"),
        ExchangeError("not-found", 404),
    ],
)
def test_what_is_no_whole_answer_changes_nothing(tmp_path: Path, answer: Any) -> None:
    store = ReceiverStore(database_path(receiver_data.settings(tmp_path)))
    for before in (None, {Target("images", Level.HIGH): ""}):
        if before is not None:
            agreed.write(store.database, before)
        with pytest.raises(ExchangeError):
            asking(store, answer).ask()
        assert agreed.read(store.database).reasons == before
    store.close()


def test_an_answer_that_says_nothing_new_is_not_written(tmp_path: Path) -> None:
    store = ReceiverStore(database_path(receiver_data.settings(tmp_path)))
    one = asking(store, {"targets": [row()]}, {"targets": [row()]}, {"targets": []})
    one.ask()
    version = store.version()
    one.ask()
    assert store.version() == version
    one.ask()
    assert agreed.read(store.database).targets == []
    store.close()
