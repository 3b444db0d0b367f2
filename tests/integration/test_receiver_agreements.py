"""A receiver as it runs, whose hospital withdraws and agrees again: what is acknowledged waits meanwhile (R2.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.fast_store_scu import Instance, Sender

from integration.test_receiver_pipeline import Running, receiver
from receiver_data import Encoded, ct, encode
from stow_stub import StowStub
from wardlight.receiver.status import status


def row(reason: str = "") -> dict[str, str]:
    return {"application": "images", "level": "high", "reason": reason}


def send(running: Running, one: Encoded) -> int:
    with Sender(running.port, [(one.sop_class, one.transfer_syntax)], called_ae="TEAMPLAYISHARE") as sender:
        data = Instance(one.sop_class, one.sop_instance, one.transfer_syntax, memoryview(one.data))
        return int(sender.store(data).status)


def wait(check: Callable[[], Any], seconds: float = 30.0) -> None:
    """Looks seldom: the receiver asks the platform every few seconds only."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def agreements(running: Running) -> dict[str, Any]:
    return dict(status(running.settings, ask_platform=False)["agreements"])


@pytest.mark.long
def test_withdrawn_after_it_was_acknowledged(tmp_path: Path) -> None:
    with StowStub() as platform:
        # The platform has said nothing of agreements yet, and takes nothing.
        platform.orders.always = (503, {}, {})
        with receiver(tmp_path, platform, workers=1) as running:
            running.send([encode(ct()), encode(ct())])
            wait(lambda: running.queue() == 2)
            assert not agreements(running)["known"]
            platform.orders.agreed = [row("agreement-withdrawn")]
            wait(lambda: agreements(running)["known"])
            wait(lambda: send(running, encode(ct())) == 0x0124)
            # What was on its way may still be offered, and is refused.
            platform.orders.always = (403, {}, {"code": "agreement-withdrawn"})
            wait(lambda: "images:high" in status(running.settings, ask_platform=False)["platform"]["refused"])
            (held,) = agreements(running)["held"]
            # Until the node has heard of it, it took in what came.
            waiting = running.queue()
            assert (held["application"], held["level"], held["objects"]) == ("images", "high", waiting)
            assert held["reason"] == "agreement-withdrawn" and held["bytes"] > 0
            # The platform would take it now: nothing is offered to it before it says that it is agreed.
            platform.orders.always = None
            wait(lambda: send(running, encode(ct())) == 0x0124)
            assert platform.stored() == [] and running.queue() == waiting
            platform.orders.agreed = [row()]
            platform.wait(waiting)
            wait(lambda: running.queue() == 0 and agreements(running)["held"] == [])
            assert send(running, encode(ct())) == 0x0000
