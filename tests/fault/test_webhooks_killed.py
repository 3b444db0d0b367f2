"""Workers killed while they deliver: every event arrives, in the order of its study, once by its id."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import platform_kit
from delivery_kit import Endpoint, Told, an_endpoint, told
from live import wait_until
from wardlight.client.webhooks import verify
from wardlight.delivery.model import State

SCRIPT = Path(__file__).parent.parent / "delivering_child.py"
HELD_MS = 1500


def a_worker(kit: Told) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, SCRIPT, kit.platform.settings.model_dump_json(), str(HELD_MS)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize(
    "stores",
    [platform_kit.STORES[0], pytest.param(platform_kit.STORES[1], marks=pytest.mark.long)],
    indirect=True,
    scope="module",
)
@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.long)])
def test_each_event_arrives_in_order_and_once_by_its_id(stores, kills):
    workers: list[subprocess.Popen[bytes]] = []
    left = [kills]

    def slow(_got) -> int:
        """Now and then a worker is killed while it waits for this answer."""
        time.sleep(random.uniform(0, 0.02))
        if left[0] and random.random() < 0.2:
            left[0] -= 1
            os.kill(workers[-1].pid, signal.SIGKILL)
            time.sleep(0.05)
        return 204

    with an_endpoint(slow) as place, told(place) as kit:
        hook, secret = kit.hook(place)
        studies = [uuid4() for _ in range(3)]
        want: dict[str, list[str]] = {one.hex: [] for one in studies}
        try:
            workers.append(a_worker(kit))
            for number in range(20 * (kills + 1)):
                one = studies[number % 3]
                want[one.hex].append(kit.tell(grant=one).hex)
            while left[0] or any(worker.poll() is not None for worker in workers[-1:]):
                wait_until(lambda: workers[-1].poll() is not None or not left[0], 60, "a kill")
                workers.append(a_worker(kit))
            wait_until(lambda: all(row.state is State.DELIVERED for row in kit.log(hook)), 60, "deliveries")
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        check(place, secret, want)


def check(place: Endpoint, secret: str, want: dict[str, list[str]]) -> None:
    for got in place.got:
        verify(secret, got.headers, got.body)
    arrived: dict[str, list[str]] = {}
    for event in place.unique():
        arrived.setdefault(event["data"]["grant"], []).append(event["id"])
    assert arrived == want
    # One that came again came as it was.
    bodies: dict[str, set[bytes]] = {}
    for got in place.got:
        bodies.setdefault(str(UUID(got.id)), set()).add(got.body)
    assert all(len(one) == 1 for one in bodies.values())
