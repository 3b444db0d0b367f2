"""An application's own server that takes webhooks, and a hospital that tells it of studies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from platform_kit import a_platform
from share_kit import ACME, Hospital, study
from wardlight import clock
from wardlight.access.model import Operation, Scope
from wardlight.archive.model import Level
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE
from wardlight.delivery import deliver, feed, webhook_store, webhooks
from wardlight.delivery.deliver import Deliverer
from wardlight.delivery.secrets import Secrets
from wardlight.events import outbox
from wardlight.events.outbox import Kind, tell


@dataclass
class Got:
    """One request that the endpoint got."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Endpoint:
    """A server of an application on loopback. status: answers each delivery."""

    status: Callable[[Got], int]
    got: list[Got] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def target(self) -> str:
        return f"127.0.0.1/32:{self.port}"

    def unique(self) -> list[dict[str, Any]]:
        """The events as a consumer sees them that drops known ids."""
        return [got.event for got in {got.id: got for got in reversed(self.got)}.values()][::-1]


@contextmanager
def an_endpoint(status: Callable[[Got], int] = lambda _got: 204) -> Iterator[Endpoint]:
    endpoint = Endpoint(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Got({name.lower(): value for name, value in self.headers.items()}, body)
            endpoint.got.append(got)
            self.send_response(endpoint.status(got))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"ANSWER")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


class Told(Hospital):
    """A hospital whose applications are told of what happens."""

    def scope(self, action: Action, operation: Operation, application: str = ACME) -> Scope:  # type: ignore[override]
        return self.may(action, self.as_application(application), operation)

    @property
    def reading(self) -> Scope:
        return self.scope(Action.EVENTS_FEED_READ, Operation.FEED)

    @property
    def managing(self) -> Scope:
        return self.scope(Action.EVENTS_WEBHOOK_CHANGE, Operation.WEBHOOKS)

    def hook(self, endpoint: Endpoint, *kinds: str) -> tuple[UUID, str]:
        """Register a webhook of ACME; its id and secret."""
        row, secret = self.platform.webhooks.register(self.managing, endpoint.url, kinds)
        return row.id, secret

    def tell(self, kind: Kind = Kind.AGREEMENT_CHANGED, application: str = ACME, **more: Any) -> UUID:
        own = self.institution.id
        with self.platform.database.begin(own) as tx:
            return tell(tx, application, own, kind, **more)

    def release(self, uid: str = "1.2.3.4", application: str = ACME) -> UUID:
        """A study for the application, complete; returns its grant."""
        self.store(*study(2, uid), application=application, level=Level.IDENTIFIED)
        self.platform.archive.complete(WORKER)
        scope = self.may(Action.ACCESS_GRANT_READ, operation=Operation.GRANTS)
        return self.platform.grants.listed(scope, application=application)[0].id

    def revoke(self, grant: UUID) -> None:
        self.platform.grants.revoke(self.may(Action.ACCESS_GRANT_REVOKE, operation=Operation.REVOKE), grant)

    def worker(self) -> Deliverer:
        """A worker of its own."""
        platform = self.platform
        sealed = Secrets(platform.keystore)
        return Deliverer(platform.database, platform.recorder, sealed, platform.egress, 3)

    def deliver(self, worker: Deliverer | None = None) -> int:
        """A round of a worker, waited for; returns how much was delivered."""
        one = worker or self.worker()
        return sum(one.deliver(*place) for place in self.due())

    def due(self) -> list[tuple[UUID, UUID]]:
        with self.platform.database.read(EVERYWHERE) as tx:
            return webhook_store.due(tx, deliver.clock.unix_ms(), 100)

    def log(self, hook: UUID) -> list[Any]:
        """Deliveries of a webhook, oldest first."""
        return self.platform.webhooks.deliveries(self.managing, hook, None, None, 500)[::-1]


class Clock:
    """The clock of deliveries, which tests move on."""

    def __init__(self, monkeypatch: Any) -> None:
        self._ahead = 0
        moved = SimpleNamespace(
            unix_ms=lambda real=clock.unix_ms: real() + self._ahead, timestamp_ms=clock.timestamp_ms
        )
        for module in (deliver, feed, webhooks, outbox):
            monkeypatch.setattr(module, "clock", moved)
        self.now = moved.unix_ms

    def on(self, seconds: float) -> None:
        self._ahead += round(seconds * 1000)


@contextmanager
def told(*endpoints: Endpoint, **settings: Any) -> Iterator[Told]:
    """The hospital, which may reach these endpoints."""
    with a_platform(outgoing_targets=tuple(one.target for one in endpoints), **settings) as platform:
        yield Told(platform)
