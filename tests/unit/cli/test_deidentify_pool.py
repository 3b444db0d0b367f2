"""Worker processes of `wardlight deidentify` that die: nothing is lost, and what killed them is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadly_work import deadly
from wardlight.cli.deidentify_input import Input
from wardlight.cli.deidentify_pool import FEW, Workers, WorkersFailed


def items(count: int) -> list[Input]:
    return [Input(number, Path("unused")) for number in range(1, count + 1)]


def test_who_kills_a_process_is_told_and_the_rest_is_done() -> None:
    with Workers(1 + 1, (3,)) as workers:
        found = {
            item.number: said
            for item, said in workers.run(deadly, items(FEW + 10), lambda item: f"ended by {item.number}")
        }
    assert list(found) == list(range(1, FEW + 11))
    assert {number for number, said in found.items() if said.startswith("ended")} == {3}
    assert all(said.endswith(f" {number}") for number, said in found.items())


@pytest.mark.long  # seventeen processes
def test_processes_that_always_die_stop_the_run() -> None:
    with Workers(2, ()) as workers, pytest.raises(WorkersFailed):
        list(workers.run(deadly, items(FEW + 20), lambda _: "ended"))
