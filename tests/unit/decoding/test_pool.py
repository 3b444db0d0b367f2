"""Decoder processes: what they can do is nothing, and whatever they do, the pool serves on (security.md section 11,
tests 22 and 23)."""

from __future__ import annotations

import errno
import json
import os
import struct
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

import decoder_attacks
from wardlight import bootstrap
from wardlight.decoding import sandbox
from wardlight.decoding.pool import LARGEST, DecoderPool
from wardlight.decoding.turns import Room, Turns
from wardlight.errors import WardlightError
from wardlight.settings import Settings


@pytest.fixture(scope="module")
def pool():
    made = DecoderPool(2, modules=["decoder_attacks"], cpu_s=1, wall_s=4)
    yield made
    made.close()


def serves(pool: DecoderPool) -> None:
    assert pool.run("echo", {"a": 1}, [b"still", b"here"]) == ({"a": 1}, [b"still", b"here"])


#: What an attempt comes to where that is not EPERM.
OUTCOMES = {
    "2 GiB": ("MemoryError", None),
    "thread": ("RuntimeError", None),
    "socket": ("PermissionError", errno.EPERM),
    "raise a limit": ("ValueError", None),
}


@pytest.mark.parametrize("what", decoder_attacks.ATTEMPTS)
def test_what_a_decoder_must_not_is_refused_and_it_serves_on(pool, what):
    if what in ("open by number", "connect", "ptrace") and os.uname().machine != "x86_64":
        pytest.skip("the number is that of x86-64")
    result, _ = pool.run("attack", {"what": what}, [])
    kind, number = OUTCOMES.get(what, ("PermissionError", errno.EPERM))
    assert result["outcome"] == kind, result
    assert result["errno"] == number
    serves(pool)


def test_a_decoder_sees_no_environment_and_no_descriptor_but_its_own(pool, monkeypatch):
    monkeypatch.setenv("WARDLIGHT_SECRET", "CANARY")
    secret = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(secret, True)
    fresh = DecoderPool(1, modules=["decoder_attacks"])
    try:
        result, _ = fresh.run("world", {}, [])
    finally:
        fresh.close()
        os.close(secret)
    assert set(result["environment"]) <= {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LC_ALL"}
    assert len(result["descriptors"]) == 6
    assert secret not in result["descriptors"]


@pytest.mark.parametrize(("job", "least"), [("spin", 0.9), ("sleep", 3.5), ("crash", 0.0)])
def test_a_decoder_that_spins_sleeps_or_crashes_is_replaced(pool, job, least):
    started = time.monotonic()
    with pytest.raises(WardlightError) as error:
        pool.run(job, {}, [])
    assert error.value.code == "cannot-decode"
    assert least <= time.monotonic() - started < 8
    serves(pool)


def test_processor_time_is_counted_anew_for_each_job(pool):
    single = DecoderPool(1, modules=["decoder_attacks"], cpu_s=1, wall_s=10)
    try:
        assert all(
            single.run("work", {"seconds": 0.3}, [])[0]["process"] >= total for total in (0.3, 0.6, 0.9, 1.2)
        )
        with pytest.raises(WardlightError):
            single.run("spin", {}, [])
    finally:
        single.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        struct.pack("<I", 0xFFFFFFFF) + b"x",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 5) + b"nope!",
        *(
            struct.pack("<I", len(text)) + text
            for text in (
                json.dumps(message).encode()
                for message in (
                    {},
                    {"result": {}, "sizes": [-1]},
                    {"result": {}, "sizes": [LARGEST, 1]},
                    {"result": {}, "sizes": [1e3]},
                    {"result": {}, "sizes": [True]},
                    {"result": [], "sizes": []},
                    {"result": {}, "sizes": "12"},
                )
            )
        ),
        struct.pack("<I", 200_000) + b"[" * 200_000,
    ],
)
def test_what_a_decoder_says_is_not_trusted(pool, said):
    with pytest.raises(WardlightError) as error:
        pool.run("talk", {"bytes": said.decode("latin-1")}, [])
    assert error.value.code == "cannot-decode"
    serves(pool)


def test_a_reason_that_is_none_of_ours_is_not_passed_on():
    pool = DecoderPool(1, modules=["decoder_attacks"])
    text = json.dumps({"failed": "CANARY"}).encode()
    with pytest.raises(WardlightError) as error:
        pool.run("talk", {"bytes": (struct.pack("<I", len(text)) + text).decode("latin-1")}, [])
    pool.close()
    assert "CANARY" not in str(error.value)


def test_threads_share_the_pool_and_get_their_own_answers(pool):
    wrong = []

    def work(number: int) -> None:
        for size in (1, 10_000, 3 << 20):
            given = bytes([number]) * size
            result, (back,) = pool.run("echo", {"number": number}, [given])
            if back != given or result != {"number": number}:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_process_starts_before_a_job_and_none_is_left_after_close():
    before = set(psutil.Process().children())
    fresh = DecoderPool(2, modules=["decoder_attacks"])
    assert set(psutil.Process().children()) == before
    serves(fresh)
    (process,) = set(psutil.Process().children()) - before
    fresh.close()
    assert not process.is_running()
    with pytest.raises(WardlightError) as error:
        fresh.run("echo", {}, [])
    assert error.value.code == "unavailable"


def test_a_decoder_that_was_killed_while_idle_costs_no_job(pool):
    fresh = DecoderPool(1, modules=["decoder_attacks"])
    try:
        before = set(psutil.Process().children())
        serves(fresh)
        for process in set(psutil.Process().children()) - before:
            process.kill()
            time.sleep(0.1)
        serves(fresh)
    finally:
        fresh.close()


def test_more_data_than_a_frame_may_have_is_refused_before_it_is_copied(pool):
    with pytest.raises(WardlightError) as error:
        pool.run("echo", {}, [memoryview(bytes(1 << 20))] * 300)
    assert error.value.code == "cannot-decode"


def test_jobs_that_cannot_be_loaded_are_our_fault():
    fresh = DecoderPool(1, modules=["no.such.module"])
    with pytest.raises(WardlightError) as error:
        fresh.run("echo", {}, [])
    assert error.value.code == "unavailable"


def test_without_a_filter_the_pool_refuses_unless_told(monkeypatch):
    monkeypatch.setattr(sandbox, "supported", lambda: False)
    with pytest.raises(WardlightError) as error:
        DecoderPool(1)
    assert error.value.code == "settings-unsafe"
    unsafe = DecoderPool(1, modules=["decoder_attacks"], allow_unsandboxed=True)
    serves(unsafe)
    unsafe.close()


@pytest.mark.parametrize(
    ("settings", "starts"),
    [({}, False), ({"allow_unsandboxed_decoders": True}, True), ({"demo": True}, True)],
)
def test_the_web_process_refuses_to_start_without_a_filter_unless_told(monkeypatch, settings, starts):
    monkeypatch.setattr(sandbox, "supported", lambda: False)
    if starts:
        bootstrap.decoder_pool(Settings(**settings)).close()
        return
    with pytest.raises(WardlightError) as error:
        bootstrap.decoder_pool(Settings(**settings))
    assert error.value.code == "settings-unsafe" and "allow_unsandboxed_decoders" in error.value.detail


def test_shared_memory_of_a_large_frame_is_given_back(pool):
    large = bytes(100 << 20)
    assert pool.run("echo", {}, [large])[1] == [large]
    for decoder in pool._idle:
        for descriptor, _ in (decoder._inbox, decoder._outbox):
            assert os.fstat(descriptor).st_blocks * 512 <= 16 << 20
    serves(pool)


def the_process(pool: DecoderPool, **owner: str) -> int:
    return pool.run("process", {}, [], **owner)[0]["pid"]


def test_no_decoder_works_for_two_institutions():
    fresh = DecoderPool(2, modules=["decoder_attacks"])
    try:
        first, second = (the_process(fresh, institution=name) for name in ("a", "b"))
        assert first != second
        assert [the_process(fresh, institution=name) for name in ("a", "b", "a")] == [first, second, first]
        # There are no more processes than there are places: who rested longest makes room.
        third = the_process(fresh, institution="c")
        assert third not in (first, second) and len(fresh._idle) == 2
        assert the_process(fresh, institution="a") == first
        assert the_process(fresh, institution="b") not in (first, second, third)
    finally:
        fresh.close()


def test_a_decoder_does_its_share_of_jobs_and_goes():
    fresh = DecoderPool(1, modules=["decoder_attacks"], jobs=3)
    try:
        seen = [the_process(fresh) for _ in range(7)]
    finally:
        fresh.close()
    assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]


def test_a_decoder_that_speaks_unasked_is_not_believed_again():
    fresh = DecoderPool(1, modules=["decoder_attacks"])
    try:
        forged = json.dumps({"result": {"forged": True}, "sizes": []}).encode()
        said = struct.pack("<I", len(forged)) + forged
        assert fresh.run("twice", {"bytes": said.decode("latin-1")}, [])[0] == {}
        time.sleep(
            0.3
        )  # Until it has spoken again; what comes in the middle of a job is that job's own answer.
        assert fresh.run("echo", {"a": 1}, [])[0] == {"a": 1}
    finally:
        fresh.close()


def test_one_client_keeps_no_other_waiting():
    """Many long jobs of one: another's short one comes next, not last."""
    busy = DecoderPool(1, modules=["decoder_attacks"])
    done: list[str] = []

    def work(client: str) -> None:
        busy.run("work", {"seconds": 0.2}, [], client=client)
        done.append(client)

    try:
        threads = [threading.Thread(target=work, args=("many",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        work("one")
        assert len(done) <= 5 and done[-1] == "one"
        for thread in threads:
            thread.join()
        assert done.count("many") == 8
    finally:
        busy.close()


def test_who_waits_in_vain_takes_no_place():
    turns = Turns(1)
    assert turns.enter("a", 0)
    assert not turns.enter("b", 0.01)
    turns.leave()
    assert turns.enter("c", 0)
    turns.leave()
    assert turns._waiting == {}


def test_decoders_that_do_not_start_leave_nothing_open(monkeypatch):
    def no_process(*_, **__):
        raise OSError(errno.EAGAIN, "no more processes")

    fresh = DecoderPool(1, modules=["decoder_attacks"])
    monkeypatch.setattr("wardlight.decoding.pool.subprocess.Popen", no_process)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(WardlightError) as error:
            fresh.run("echo", {}, [])
        assert error.value.code == "unavailable"
    assert len(os.listdir("/proc/self/fd")) <= before
    monkeypatch.undo()
    serves(fresh)
    fresh.close()


def test_large_frames_on_their_way_to_slow_clients_are_bounded():
    room = Room(100 << 20, 0.05)
    with ExitStack() as slow:
        slow.enter_context(room.hold("slow", 30 << 20))
        with pytest.raises(WardlightError) as error, room.hold("slow", 30 << 20):
            pass
        assert error.value.code == "unavailable"
        slow.enter_context(room.hold("other", 50 << 20))
        with pytest.raises(WardlightError), room.hold("third", 30 << 20):
            pass
        with room.hold("slow", 16 << 20), room.hold("third", 20 << 20):
            pass  # Small ones pass, and what fits.
    with room.hold("third", 50 << 20):
        pass
    assert room._held == {}
