"""Tells the platform how the receiver is, as machine data: what `wardlight receiver status` counts, every five minutes.

Counts, sizes and codes, by OTLP as any exporter would send them (docs/reference/machine-data.md); nothing of a patient,
and nothing waits for it: what cannot be sent is measured anew.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from wardlight import clock, log
from wardlight.receiver.exchange import Exchange, ExchangeError
from wardlight.receiver.setbacks import Backoff

PATH: Final = "/api/v1/machine-data/otlp/v1/metrics"
SERVICE: Final = "wardlight-receiver"
#: The time over which `status` averages: nothing is measured twice, and nothing missed.
PERIOD_S: Final = 300.0


class Measures:
    """One thread with its own connection. status: as `status.status` gives it, without asking the platform."""

    def __init__(
        self, exchange: Exchange, status: Callable[[], dict[str, Any]], stop: threading.Event
    ) -> None:
        self._exchange = exchange
        self._status = status
        self._stop = stop

    def run(self) -> None:
        """Work until told to stop."""
        backoff = Backoff()
        pause = PERIOD_S
        while not self._stop.wait(pause):
            try:
                self._exchange.post(PATH, body_of(self._status(), clock.unix_ms()))
                backoff.reset()
                pause = PERIOD_S
            except ExchangeError:
                pause = max(PERIOD_S, backoff.next())
            except Exception as error:  # noqa: BLE001 - a database that is away
                log.error("receiver.measures", error)
                pause = max(PERIOD_S, backoff.next())
        self._exchange.close()


def body_of(status: dict[str, Any], now_ms: int) -> bytes:
    """An ExportMetricsServiceRequest of what a status counts."""
    nanoseconds = str(now_ms * 1_000_000)
    metrics = [
        {
            "name": name,
            "unit": unit,
            "gauge": {"dataPoints": [{"timeUnixNano": nanoseconds, "asDouble": value}]},
        }
        for name, unit, value in _measured(status)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SERVICE}}]}
    return json.dumps(
        {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
    ).encode()


def _measured(status: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    for kind, rate in status["throughput"].items():
        yield f"receiver.{kind}.instances_per_s", "1/s", rate["instances_per_s"]
        yield f"receiver.{kind}.bytes_per_s", "By/s", rate["bytes_per_s"]
    yield "receiver.queue.objects", "1", status["queue"]["objects"]
    yield "receiver.queue.bytes", "By", status["queue"]["bytes"]
    yield "receiver.quarantine.objects", "1", status["quarantine"]["objects"]
    yield "receiver.spool.free_bytes", "By", status["spool"]["free_bytes"]
    yield "receiver.audit.pending", "1", status["audit_pending"]
    yield "receiver.errors", "1", status["spool"]["damaged_files"] + status["audit"]["refused"]
