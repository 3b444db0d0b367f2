"""Counters of the web process for Prometheus: by route template, never by path (security.md section 9)."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """The web process's metrics. One registry each, so that several can live in one test."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        labels = ("method", "template")
        self.requests: Final = Counter(
            "wardlight_http_requests", "Answered requests.", (*labels, "status"), registry=self.registry
        )
        self.seconds: Final = Histogram(
            "wardlight_http_request_seconds",
            "Time from the request's head to the last byte of the answer.",
            labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.bytes_in: Final = Counter(
            "wardlight_http_received_bytes", "Bytes of request bodies.", labels, registry=self.registry
        )
        self.bytes_out: Final = Counter(
            "wardlight_http_sent_bytes", "Bytes of answers' bodies.", labels, registry=self.registry
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter, Counter]] = {}
        self.open: Final = Gauge(
            "wardlight_http_requests_open", "Requests being answered.", registry=self.registry
        )

    def count(
        self, method: str, template: str, status: int, seconds: float, received: int, sent: int
    ) -> None:
        """One answered request. method and template are of few values, never the client's own."""
        key = (method, template, status)
        children = self._children.get(key)
        if children is None:
            # Finding those of some labels costs more than counting.
            children = self._children[key] = (
                self.requests.labels(method, template, status),
                self.seconds.labels(method, template),
                self.bytes_in.labels(method, template),
                self.bytes_out.labels(method, template),
            )
        children[0].inc()
        children[1].observe(seconds)
        children[2].inc(received)
        children[3].inc(sent)

    def text(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self.registry)
