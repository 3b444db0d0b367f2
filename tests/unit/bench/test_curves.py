"""What bends first is read from the data, and the plots say it."""

import pytest
from bench.curves import Curve, Curves, draw

SIZES = (10_000, 100_000, 1_000_000)


def curve(name, *values, at=SIZES):
    return Curve(name, "ms", list(at), list(values))


def test_the_steepest_search_is_named_with_where_it_bends():
    said = Curves(queries=[curve("patient ID", 5, 5, 5), curve("name prefix", 4, 4.5, 9)]).sentences()
    assert said == [
        "Name prefix bends first: its search time grows 2.2 times from 10,000 to 1,000,000 instances, "
        "by a fifth at 1,000,000."
    ]


def test_within_a_fifth_nothing_bends():
    assert Curves(queries=[curve("patient ID", 5, 5, 5.9)]).sentences()[0].startswith("Nothing bends")


def test_a_rate_that_falls_is_a_time_that_grows():
    said = Curves(ingest=[curve("STOW-RS", 400, 300, 100)]).sentences()
    assert said[0].startswith("STOW-RS bends first: its time grows 4.0 times")


def test_saturation_is_where_more_clients_bring_no_more():
    clients = (1, 2, 4)
    said = Curves(
        rates=[curve("Wardlight", 300, 590, 600, at=clients)],
        waits=[curve("Wardlight", 3, 5, 90, at=clients)],
    ).sentences()
    assert said == [
        "Wardlight gives 600 frames/s at most, reached with 2 clients; with 4 the slowest of a hundred waits 90 ms."
    ]


@pytest.fixture
def curves():
    clients = (1, 2, 4)
    return Curves(
        "here",
        ingest=[curve("STOW-RS", 400, 390, 380)],
        completion=[curve("completion", 2, 2, 2)],
        queries=[curve("patient ID", 5, 5, 5)],
        peers=[curve("patient ID", 3, 5, at=(1000, 10_000))],
        rates=[curve("Wardlight", 300, 590, 600, at=clients)],
        waits=[curve("Wardlight", 3, 5, 90, at=clients)],
    )


def test_what_is_saved_is_loaded(curves, tmp_path):
    curves.save(tmp_path / "growth.json")
    assert Curves.load(tmp_path / "growth.json") == curves


def test_plots_are_the_same_each_time_and_say_what_bends(curves, tmp_path):
    written = draw(curves, tmp_path)
    assert [path.name for path in written] == [
        "growth-queries.svg",
        "growth-ingest.svg",
        "growth-clients.svg",
    ]
    first = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in draw(curves, tmp_path)] == first
    assert "Nothing bends" in written[0].read_text() and "frames/s" in written[2].read_text()
