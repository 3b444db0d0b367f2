"""What the audit trail costs: the same work with it, and with `without` on the path of the server's processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Final

from bench import ours
from bench.ingest import Start, stow, until_found
from bench.load import clients
from bench.loaded import Loaded, names
from bench.process import Server
from bench.reads import OCTETS, many
from bench.rows import Sample, Target
from bench.runner import OURS, Claim, Run, per_operation
from bench.web_client import Client

OFF: Final = "without audit"
#: A second server that is as the first one: by how much the two differ is what the measurement cannot tell.
AGAIN: Final = "A/A, with audit again"


def without(part: str) -> dict[str, str]:
    """The environment of a server that lacks a part."""
    folder = str(Path(__file__).parent / "without")
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "WARDLIGHT_BENCH_WITHOUT": part}


_INCLUDES: Final = (
    "against the same server whose entries are made and then neither written nor sealed, signed or shipped; the trail "
    "is sealed meanwhile as it is in service"
)


def audit_cost(run: Run) -> None:
    """End to end, and frames: from one client, one after the other, and from four at once.

    In each round a second server with its audit trail on is measured like the first: rows "A/A" are the noise.
    """
    count = run.size(1000, 2000)
    files = run.files("b", count)
    servers = {
        OURS: partial(ours.wardlight, run.folder),
        OFF: partial(ours.wardlight, run.folder, environment=without("audit")),
        AGAIN: partial(ours.wardlight, run.folder),
    }
    run.compare(
        "audit on against off, end to end (b), 4 associations",
        "inst/s",
        {
            name: partial(until_found, _start(start), run.folder, files, 4, ours.count_instances)
            for name, start in servers.items()
        },
        [Claim(Target(0.95), OFF)],
        f"as end to end above, {_INCLUDES}",
    )
    with ExitStack() as stack:
        sides = {}
        for name, start in servers.items():
            server = stack.enter_context(start())
            sides[name] = _loaded(stack, server, run.files("a", run.size(200, 300, 20)))
        _require_off(sides)
        asked = run.size(400, 1000, 10)
        run.compare(
            "audit on against off, raw frame, p50",
            "ms",
            {
                name: partial(many, side, suffix="/frames/1", accept=OCTETS, count=asked)
                for name, side in sides.items()
            },
            [Claim(Target(1.05, least=False), OFF)],
            f"one client, {_INCLUDES}",
        )
        run.compare(
            "audit on against off, raw frames, 4 clients",
            "frames/s",
            {name: partial(_crowd, side, float(run.size(3, 5, 1))) for name, side in sides.items()},
            [Claim(Target(0.95), OFF)],
            f"four clients of one person, {_INCLUDES}",
        )


def _start(start: Callable[[], AbstractContextManager[Server]]) -> Start:
    return lambda _folder: start()


def _loaded(stack: ExitStack, server: Server, files: list[Path]) -> Loaded:
    client = stack.enter_context(Client(server.http, server.headers))
    for start in range(0, len(files), 25):
        stow(client, [path.read_bytes() for path in files[start : start + 25]])
    ours.wait_until_complete(server)
    return Loaded(server, client, [names(path) for path in files])


def _crowd(side: Loaded, seconds: float) -> Sample:
    paths = [row.path + "/frames/1" for row in side.held]
    cpu = side.server.cpu_seconds()
    result = clients(side.server.http, side.server.headers, paths, OCTETS, 4, seconds)
    return Sample(result.rate, per_operation(side.server.cpu_seconds() - cpu, result.requests))


def _require_off(sides: dict[str, Loaded]) -> None:
    """Raise unless servers have entries of what was stored, and the one without has none: else nothing is compared."""
    for name, side in sides.items():
        assert side.server.data is not None
        with closing(
            sqlite3.connect(f"file:{side.server.data / 'index' / 'index.db'}?mode=ro", uri=True)
        ) as database:
            (found,) = database.execute(
                "SELECT (SELECT count(*) FROM audit_pending) + (SELECT count(*) FROM audit_entry)"
            ).fetchone()
        if (found > 0) is (name == OFF):
            raise RuntimeError(f"{name}: the trail has {found} entries")
