"""Batches: one study of one release each; sent when full, old, or when an instance comes twice."""

from __future__ import annotations

from wardlight.receiver.batches import Batcher, Protected
from wardlight.receiver.body import plain_part
from wardlight.receiver.model import Level, Target, Work
from wardlight.receiver.upload import Outgoing

HIGH = Target("images", Level.HIGH)
LOW = Target("images", Level.LOW)


def item(
    number: int, group: str = "g", target: Target = HIGH, uid: str = "", attempts: int = 0, size: int = 10
) -> Protected:
    work = Work(number, target, attempts, "f", number, 0, 0, 0, size, b"", b"s", "1.2", "1.2", None)
    part = plain_part(b"x" * size, 0, 0, 0)
    return Protected(work, Outgoing(part, lambda start: iter(()), uid or f"1.{number}", "9"), group)


def test_studies_and_targets_are_kept_apart() -> None:
    batcher = Batcher(1000, 64)
    for number, (group, target) in enumerate([("a", HIGH), ("a", LOW), ("b", HIGH), ("a", HIGH)]):
        assert batcher.add(item(number, group, target)) == []
    batches = batcher.due(0.0)
    assert sorted(len(batch.items) for batch in batches) == [1, 1, 2]
    assert len(batcher) == 0
    assert batcher.due(0.0) == []


def test_a_batch_goes_out_when_it_is_full() -> None:
    batcher = Batcher(1000, 3)
    assert [len(batch.items) for number in range(7) for batch in batcher.add(item(number))] == [3, 3]
    by_size = Batcher(25, 64)
    assert [len(batch.items) for number in range(6) for batch in by_size.add(item(number))] == [3, 3]


def test_a_batch_waits_a_moment_for_more() -> None:
    batcher = Batcher(1000, 64)
    batcher.add(item(1))
    assert batcher.due(60.0) == []
    assert len(batcher.due(0.0)) == 1


def test_two_copies_of_an_instance_are_never_in_one_batch() -> None:
    batcher = Batcher(1000, 64)
    assert batcher.add(item(1, uid="1.2")) == []
    (first,) = batcher.add(item(2, uid="1.2"))
    assert [one.work.object_id for one in first.items] == [1]


def test_what_failed_often_goes_alone() -> None:
    batcher = Batcher(1000, 64)
    batcher.add(item(1))
    (alone,) = batcher.add(item(2, attempts=2))
    assert [one.work.object_id for one in alone.items] == [2]


def test_large_headers_are_not_held() -> None:
    batcher = Batcher(1 << 40, 1000)
    sent = [batch for number in range(4) for batch in batcher.add(item(number, str(number), size=10 << 20))]
    assert len(sent) >= 3
