"""Verdicts are computed from what was measured, and only from that."""

import pytest
from bench.rows import Row, Sample, Series, Target, markdown, show


def series(name, *values, failure=""):
    return Series(name, [Sample(value, 1.5, 40.0) for value in values], failure)


CONTRACT = {"name", "ours", "peer", "peer_name", "limit", "unit", "ratio", "target", "met"}


@pytest.mark.parametrize(
    ("target", "ours", "met"),
    [
        (Target(4.0), 400, True),
        (Target(4.0), 399, False),
        (Target(0.9, "limit"), 720, True),
        (Target(0.9, "limit"), 719, False),
        (Target(0.5, least=False), 50, True),
        (Target(0.5, least=False), 51, False),
        (Target(150.0, "fixed", least=False), 150, True),
        (Target(150.0, "fixed", least=False), 151, False),
    ],
)
def test_the_bound_itself_is_met_and_just_beyond_is_not(target, ours, met):
    row = Row("x", "u", series("Wardlight", ours), "", target, series("peer", 100), series("limit", 800))
    assert row.met is met


def test_the_median_counts_not_the_best_round():
    row = Row("x", "u", series("Wardlight", 1000, 90, 95), "", Target(1.0), series("peer", 100, 100, 1))
    assert row.ratio == pytest.approx(0.95)
    assert row.met is False


def test_rows_have_the_form_of_the_contract():
    facts = Row("x", "inst/s", series("Wardlight", 8), "fsync", Target(2.0), series("Orthanc", 2)).to_json()
    assert facts.keys() >= CONTRACT
    assert (facts["ours"], facts["peer"], facts["ratio"], facts["met"]) == (8, 2, 4, True)
    assert facts["target"] == "≥ 2 × Orthanc"
    assert facts["rounds"]["peer"]["cpu_ms"] == 1.5


@pytest.mark.parametrize("who", ["ours", "peer"])
def test_a_side_that_failed_is_never_a_target_met(who):
    sides = {"ours": series("Wardlight", 1000), "peer": series("Orthanc", 1)}
    sides[who].failure = "RuntimeError: refused"
    row = Row("x", "u", sides["ours"], "", Target(2.0), sides["peer"])
    assert row.met is False
    assert row.to_json()["failed"] == "RuntimeError: refused"
    assert "refused" in row.cells()[-1]


def test_without_a_target_there_is_no_verdict():
    assert Row("x", "u", series("Wardlight", 1), "").met is None


def test_without_the_base_the_target_is_not_met():
    assert Row("x", "u", series("Wardlight", 1), "", Target(2.0)).met is False


def test_tables_show_every_row(capsys):
    rows = [
        Row("a | b", "u", series("Wardlight", 8), "this", Target(2.0), series("Orthanc", 2)),
        Row("c", "u", series("Wardlight", failure="gone"), "that", Target(2.0), series("Orthanc", 2)),
    ]
    show(rows, "title")
    said = capsys.readouterr().out
    assert "a | b" in said and "gone" in said
    text = markdown(rows)
    assert "a \\| b" in text and "failed: gone" in text and "- c: that." in text
