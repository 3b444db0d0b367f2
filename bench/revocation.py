"""How long after the end of an access its last byte reaches the application, and what a decision costs a frame.

Fifty clients at once read by every kind of route: whole downloads of 500 MB, some of them at 50 KB/s, frames, metadata,
searches, pictures, signed links, the event feed. For each kind of ending the time runs from when its transaction has
returned to the last byte of an answer with data that any client took from its socket.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

from sqlalchemy import update

from bench import giants, ours
from bench.audit_cost import without
from bench.granted import Partner, partner
from bench.loaded import Loaded, names
from bench.process import Server
from bench.reads import OCTETS, many
from bench.rows import Row, Sample, Series, Target
from bench.runner import OURS, Claim, Run
from bench.web_client import Client, percentile
from wardlight.access.tables import grant
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY

CLIENTS: Final = 50
_PROCESSES: Final = 2
_SLOW_BYTES_S: Final = 50_000
#: How long each client may take to get something, and how long they are watched after the end, in seconds.
_BEGUN_S: Final = 120.0
_AFTER_S: Final = 4.0

BOUND: Final = Target(1.0, "fixed", least=False)
DECISION: Final = Target(0.5, "fixed", least=False)


@dataclass(frozen=True, slots=True)
class Route:
    """What one client asks for again and again. slow: it takes 50 KB a second."""

    path: str
    accept: str = "*/*"
    slow: bool = False


class _Reader:
    """One client; lasts[place]: when it last took a byte of an answer of 200."""

    def __init__(self, address: tuple[str, int], headers: str, route: Route, lasts: Any, place: int) -> None:
        self.address = address
        self.route = route
        self._lasts = lasts
        self._place = place
        self.bytes = 0
        self.statuses: dict[str, int] = {}
        self._request = (
            f"GET {route.path} HTTP/1.1\r\n{headers}Accept: {route.accept}\r\nConnection: close\r\n\r\n"
        ).encode()

    def run(self, until: Callable[[], bool]) -> None:
        while not until():
            try:
                self._once(until)
            except OSError:
                self._count("reset")

    def _once(self, until: Callable[[], bool]) -> None:
        with socket.socket() as connection:
            if self.route.slow:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect(self.address)
            connection.sendall(self._request)
            size = 4096 if self.route.slow else 256 << 10
            head = connection.recv(size)
            shown = head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206"))
            self._count(head[9:12].decode("ascii", "replace"))
            while head and not until():
                if shown:
                    self._lasts[self._place] = time.monotonic()
                    self.bytes += len(head)
                if self.route.slow:
                    time.sleep(size / _SLOW_BYTES_S)
                head = connection.recv(size)

    def _count(self, what: str) -> None:
        self.statuses[what] = self.statuses.get(what, 0) + 1


def _process(
    address: tuple[str, int], headers: str, routes: list[tuple[int, Route]], lasts: Any, pipe: Connection
) -> None:
    """Some of the clients, until told to stop; answers with what each saw."""
    stop = threading.Event()
    readers = [_Reader(address, headers, route, lasts, place) for place, route in routes]
    threads = [threading.Thread(target=reader.run, args=(stop.is_set,), daemon=True) for reader in readers]
    for thread in threads:
        thread.start()
    pipe.recv()
    stop.set()
    for thread in threads:
        thread.join(2)
    pipe.send([(reader.route.path, reader.bytes, reader.statuses) for reader in readers])


@contextmanager
def _crowd(
    server: Server, headers: dict[str, str], routes: list[Route]
) -> Iterator[tuple[Any, Callable[[], list[Any]]]]:
    """Clients at work: when each last got something, and what stops them and tells what each saw."""
    host = server.http.removeprefix("http://").split("/", 1)[0]
    name, _, port = host.partition(":")
    lines = "".join(f"{key}: {value}\r\n" for key, value in {"Host": host, **headers}.items())
    context = multiprocessing.get_context("fork")
    lasts = context.Array("d", len(routes), lock=False)
    placed = list(enumerate(routes))
    pipes, processes = [], []
    for number in range(_PROCESSES):
        here, there = context.Pipe()
        process = context.Process(
            target=_process,
            args=((name, int(port)), lines, placed[number::_PROCESSES], lasts, there),
            daemon=True,
        )
        process.start()
        pipes.append(here)
        processes.append(process)

    def stop() -> list[Any]:
        for pipe in pipes:
            pipe.send("stop")
        return [row for pipe in pipes for row in pipe.recv()]

    try:
        yield lasts, stop
    finally:
        for process in processes:
            process.kill()
            process.join(5)


def _routes(study: str, series: str, instance: str, link: str) -> list[Route]:
    """What fifty clients read of one study."""
    below = f"/dicom-web/studies/{study}"
    one = f"{below}/series/{series}/instances/{instance}"
    return [
        *[Route(below)] * 6,
        *[Route(below, slow=True)] * 6,
        *[Route(one)] * 4,
        *[Route(f"{one}/frames/1", OCTETS)] * 6,
        *[Route(f"{one}/frames/1,2,3,4,5,6,7,8", OCTETS, slow=True)] * 3,
        *[Route(f"{one}/metadata")] * 3,
        *[Route(f"{below}/metadata")] * 2,
        *[Route(f"{below}/series")] * 2,
        *[Route(f"{below}/instances")] * 2,
        *[Route(f"{one}/frames/1/rendered", "image/jpeg")] * 4,
        *[Route(f"{one}/frames/2/thumbnail", "image/jpeg")] * 2,
        *[Route(f"{one}/bulkdata")] * 3,
        *[Route(f"{one}/bulkdata", slow=True)] * 2,
        *[Route(f"/dicom-web/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}")]
        * 2,
        *[Route(link)] * 2,
        *[Route(link, slow=True)] * 1,
    ]


#: Brings the end of an application's access about.
Ending = Callable[[Partner], object]


def _expire(who: Partner) -> None:
    with who.platform.database.begin(who.institution) as tx:
        tx.execute(update(grant).where(grant.c.application == who.id).values(expires_ms=1))


ENDINGS: Final[dict[str, Ending]] = {
    "grant revoked": lambda who: who.revoke(who.grants()[0]),
    "grant expired": _expire,
    "agreement withdrawn": lambda who: who.platform.agreements.withdraw(who.institution, who.id, by=BY),
    "application unsubscribed": lambda who: who.platform.entitlements.unsubscribe(
        who.institution, who.id, by=BY
    ),
    "application suspended": lambda who: who.platform.applications.suspend(who.id, by=BY),
    "study deleted": Partner.delete,
}


def revocation(run: Run) -> None:
    """Each kind of ending under load, in an installation of its own."""
    frames = run.size(1000, 1000, 40)
    delays: list[float] = []
    for kind, end in ENDINGS.items():
        with run.isolated(f"revocation: {kind}"):
            found = _ending(run, kind, end, frames)
            delays += found
            _add(run, f"last byte after: {kind}, p99 of {CLIENTS} clients", percentile(found, 0.99))
            run.notes.append(
                f"{kind}: last byte after p50 {percentile(found, 0.5):.2f} s, p99 {percentile(found, 0.99):.2f} s, "
                f"max {max(found):.2f} s"
            )
    if delays:
        _add(run, "last byte after the end, all kinds, p50", percentile(sorted(delays), 0.5))
        _add(run, "last byte after the end, all kinds, p99", percentile(sorted(delays), 0.99))
        _add(run, "last byte after the end, all kinds, max", max(delays))


def _add(run: Run, name: str, seconds: float) -> None:
    series = Series(OURS, [Sample(seconds)])
    includes = (
        "from the return of the ending's transaction to the client's last byte of data, open 500 MB downloads"
    )
    run.rows.append(Row(name, "s", series, includes, BOUND, Series(), Series()))


def _ending(run: Run, kind: str, end: Ending, frames: int) -> list[float]:
    """Seconds from the end to the last byte of each client, 0 where none came after it."""
    with ours.wardlight(run.folder) as server, partner(server) as who:
        giant = giants.multi_frame(run.folder, frames)
        who.store([giant.pieces])
        who.study = giant.names.study
        study, series, instance = giant.names.study, giant.names.series, giant.names.instance
        link = _link(server, who)
        routes = _routes(study, series, instance, link)
        assert len(routes) == CLIENTS
        with _crowd(server, who.headers, routes) as (lasts, stop):
            _until_all_got_something(kind, routes, lasts)
            end(who)
            over = time.monotonic()
            time.sleep(_AFTER_S)
            seen = [last for last in lasts]
            stop()
        return sorted(max(0.0, last - over) for last in seen)


def _until_all_got_something(kind: str, routes: list[Route], lasts: Any) -> None:
    deadline = time.monotonic() + _BEGUN_S
    while not all(lasts):
        if time.monotonic() > deadline:
            silent = [route.path for route, last in zip(routes, lasts, strict=True) if not last]
            raise RuntimeError(f"{kind}: clients got nothing before the end: {silent[:3]}")
        time.sleep(0.1)


def _link(server: Server, who: Partner) -> str:
    """A signed link to the whole study."""
    found = who.grants()[0]
    root = server.http.removesuffix("/dicom-web")
    with Client(root, {**who.headers, "Content-Type": "application/json"}) as client:
        answer = client.post(
            f"/api/v1/grants/{found.id.hex}/urls", [b"{}"], "application/json", "application/json"
        )
    if answer.status not in (200, 201):
        raise RuntimeError(f"no link: {answer.status} {answer.body[:300]!r}")
    return str(json.loads(answer.body)["url"]).removeprefix(root)


def decision(run: Run) -> None:
    """A frame that an application reads under its grant, with the decision and without it."""
    files = run.files("a", run.size(200, 300, 20))
    asked = run.size(400, 1000, 10)
    with ExitStack() as stack:
        sides = {
            OURS: _side(run, stack, files),
            "without decision": _side(run, stack, files, environment=without("decision")),
        }
        measures = {
            name: partial(many, side, suffix="/frames/1", accept=OCTETS, count=asked)
            for name, side in sides.items()
        }
        series = run.compare(
            "raw frame of an application, p50", "ms", measures, [Claim(None, "without decision")],
            "one client; the same server whose scopes and grants are not asked, whose open answers are not watched",
        )  # fmt: skip
    ours_, bare = (series[name].values for name in (OURS, "without decision"))
    added = statistics.median(one - other for one, other in zip(ours_, bare, strict=True))
    run.rows.append(
        Row(
            "what a decision adds to a frame, p50", "ms", Series(OURS, [Sample(added)]),
            "difference of the two above, round by round", DECISION, Series(), Series(),
        )
    )  # fmt: skip


def _side(run: Run, stack: ExitStack, files: list[Any], environment: dict[str, str] | None = None) -> Loaded:
    server = stack.enter_context(ours.wardlight(run.folder, environment=environment))
    who = stack.enter_context(partner(server))
    who.store([[path.read_bytes()] for path in files])
    client = stack.enter_context(Client(server.http, who.headers))
    return Loaded(server, client, [names(path) for path in files])
