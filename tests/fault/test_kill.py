"""Nothing acknowledged is ever lost: processes are killed at random while objects come in.

After all kills, every acknowledged object is in the archive exactly once, `wardlight fsck --deep` is clean, and
nothing waits in the receiver.
"""

from __future__ import annotations

import random
import threading
import time

import psutil
import pytest
from bench.fast_store_scu import Instance, Refused, Sender

import live
import small_objects

#: Words of a command line → kind of process. The receiver's supervisor takes its children along.
KINDS = {
    "receiver": ("wardlight", "receiver"),
    "node": ("wardlight.receiver.node",),
    "helper": ("wardlight.receiver.helper",),
    "pipeline": ("wardlight.receiver.pipeline",),
    "web": ("wardlight", "web"),
    "worker": ("wardlight", "worker"),
}


class Modality(threading.Thread):
    """Sends its objects over one association, connecting anew and repeating what was not acknowledged."""

    def __init__(self, port: int, title: str, objects: list[Instance]) -> None:
        super().__init__(daemon=True)
        self.port, self.title, self.objects = port, title, objects
        self.acknowledged: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        waiting = list(self.objects)
        while waiting:
            try:
                pair = (waiting[0].sop_class, waiting[0].transfer_syntax)
                with Sender(self.port, [pair], called_ae=self.title, timeout=20) as sender:
                    while waiting:
                        status = sender.store(waiting[0]).status
                        if status != 0:
                            raise AssertionError(f"refused with {status:04X}")
                        self.acknowledged.append(waiting.pop(0).sop_instance)
                        time.sleep(0.002)
            except (Refused, OSError):
                time.sleep(0.1)
        self.done.set()


def find(wardlight: live.Installation, kind: str) -> psutil.Process | None:
    words = KINDS[kind]
    for process in wardlight.processes()[1:]:
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if all(word in command for word in words) and (kind != "receiver" or command[-1] == "receiver"):
            return process
    return None


def kill_at_random(wardlight: live.Installation, kinds: list[str], each: int, seed: int) -> dict[str, int]:
    """Kill each kind `each` times in random order; returns how often each was really killed."""
    randomness = random.Random(seed)
    plan = kinds * each
    randomness.shuffle(plan)
    killed = dict.fromkeys(kinds, 0)
    for kind in plan:
        time.sleep(randomness.uniform(0.05, 0.6))
        process = live.wait_until(lambda kind=kind: find(wardlight, kind), 60, f"a {kind} process to kill")
        try:
            process.kill()
            killed[kind] += 1
        except psutil.NoSuchProcess:
            pass
    return killed


def sop_uids(wardlight: live.Installation) -> list[str]:
    """All SOP Instance UIDs that QIDO-RS finds, page by page."""
    found, offset = [], 0
    while rows := wardlight.search(f"/instances?limit=500&offset={offset}"):
        found += [row["00080018"]["Value"][0] for row in rows]
        offset += len(rows)
    return found


def run(folder, count: int, kinds: list[str], each: int) -> None:
    processes = {"WARDLIGHT_RECEIVER__NODE_PROCESSES": "2"}
    with live.installation(folder, environment=processes) as wardlight:
        title = wardlight.ae_titles["identified"]
        objects = [small_objects.instance(number) for number in range(count)]
        modalities = [Modality(wardlight.dicom_port, title, objects[index::4]) for index in range(4)]
        for modality in modalities:
            modality.start()
        killed = kill_at_random(wardlight, kinds, each, seed=count)
        assert all(number >= each - 1 for number in killed.values()), killed
        for modality in modalities:
            assert modality.done.wait(180), "a sender did not finish"
        acknowledged = {uid for modality in modalities for uid in modality.acknowledged}
        assert len(acknowledged) == count
        live.wait_until(lambda: wardlight.count() >= count, 180, "every acknowledged object in the archive")
        found = sop_uids(wardlight)
        assert len(found) == len(set(found)) == count
        assert set(found) == acknowledged
        live.wait_until(lambda: wardlight.receiver_status()["queue"]["objects"] == 0, 60, "an empty queue")
        result = wardlight.wardlight("fsck", "--deep", check=False)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.long
def test_objects_survive_a_few_kills_of_each_process(tmp_path):
    run(tmp_path, 200, ["node", "helper", "pipeline", "web", "worker", "receiver"], each=2)


@pytest.mark.long
def test_two_thousand_objects_survive_twenty_kills_of_each_process(tmp_path):
    run(tmp_path, 2000, ["node", "helper", "pipeline", "web", "worker", "receiver"], each=20)
