"""Rounds interleave; whoever fails is told and ends nothing else."""

from functools import partial

import pytest
from bench.rows import Sample, Target
from bench.runner import OURS, Absent, Claim, Run


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, rounds=3, warm_up=1)


def test_rounds_interleave_and_warm_up_is_not_counted(run):
    order = []

    def measure(name):
        order.append(name)
        return Sample(len(order))

    found = run.interleave({name: partial(measure, name) for name in "AB"})
    assert "".join(order) == "ABABABAB"
    assert found["A"].values == [3, 5, 7]


def test_a_contender_that_fails_is_left_out_of_later_rounds(run):
    calls = []

    def fail():
        calls.append(1)
        raise OSError("no  such\nserver")

    found = run.interleave({"A": lambda: Sample(1), "B": fail})
    assert len(calls) == 1
    assert found["B"].failure == "OSError: no such server"
    assert found["A"].values == [1, 1, 1]


def test_claims_become_rows_and_the_others_are_told_beside(run):
    run.compare(
        "store",
        "inst/s",
        {OURS: lambda: Sample(9), "Orthanc": lambda: Sample(2), "raw": lambda: Sample(10), "other": lambda: Sample(3)},
        [Claim(Target(0.9, "limit"), "Orthanc", "raw", ", limit"), Claim(Target(4.0), "Orthanc", suffix=", peer")],
        "fsync",
    )  # fmt: skip
    assert [(row.name, row.met) for row in run.rows] == [("store, limit", True), ("store, peer", True)]
    assert [row.peer.name for row in run.also] == ["other"]


def test_what_fails_or_is_not_built_ends_nothing_else(run, capsys):
    with run.isolated("one"):
        raise RuntimeError("broken")
    with run.isolated("two"):
        raise Absent("not built")
    with run.isolated("three"):
        pass
    assert run.failures == ["one: RuntimeError: broken"]
    assert run.absent == ["two: not built"]
    assert set(run.seconds) == {"one", "two", "three"}
    assert "broken" in capsys.readouterr().err


def test_absence_is_no_failure_of_a_contender(run):
    def absent():
        raise Absent("not built")

    with pytest.raises(Absent):
        run.interleave({OURS: absent})
