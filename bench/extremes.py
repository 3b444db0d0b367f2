"""What happens at the ends of the range: `python -m bench.extremes [--only NAME] [--json FILE] [--quick]`.

A 500 MB multi-frame, a study of 100,000 instances, an object of 5 GB, clients that read 50 KB/s, clients that hang up.
Time of each step, and the largest resident size that each process had during it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import giants, ours
from bench.__main__ import machine
from bench.document import put
from bench.ingest import STOW_MEDIA, stow
from bench.loaded import names
from bench.process import Server
from bench.reads import INSTANCES, JSON, OCTETS
from bench.runner import Run, workplace
from bench.web_client import Client, require


@dataclass(frozen=True, slots=True)
class Step:
    """One line: what was asked, how long it took, what came, and the peak of each kind of process in MB."""

    case: str
    step: str
    seconds: float
    result: str
    peak_mb: dict[str, int]


@dataclass(slots=True)
class Watch:
    """Times steps against one server."""

    case: str
    server: Server
    steps: list[Step]
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.server.http, self.server.headers, timeout=1800)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Adds a line when the block ends; what the block appends is its result."""
        self.server.forget_peaks()
        said: list[str] = []
        began = time.perf_counter()
        try:
            yield said
        except Exception as error:  # noqa: BLE001 - told in the table; the steps after it go on
            said.append(f"failed: {type(error).__name__}: {str(error)[:120]}")
        seconds = time.perf_counter() - began
        self.steps.append(Step(self.case, name, round(seconds, 4), ", ".join(said), self._peaks()))

    def _peaks(self) -> dict[str, int]:
        peaks: dict[str, int] = {}
        for name, value in self.server.peaks().items():
            words = ("decod", "web", "worker", "receiver.node", "receiver", "demo")
            kind = next((word for word in words if word in name), "other")
            kind = {"decod": "decoder", "receiver.node": "DICOM node", "demo": "supervisor"}.get(kind, kind)
            peaks[kind] = max(peaks.get(kind, 0), round(value))
        return peaks


def store(watch: Watch, giant: giants.Giant) -> None:
    """STOW-RS of one instance, piece by piece."""
    with watch.step("STOW-RS") as said:
        began = time.perf_counter()
        parts: Iterable[bytes | memoryview] = [
            b"--BENCH\r\nContent-Type: application/dicom\r\n\r\n",
            *giant.pieces,
            b"\r\n--BENCH--\r\n",
        ]
        answer = watch.client.post("/studies", parts, STOW_MEDIA, JSON)
        said.append(f"{answer.status}")
        said.append(_rate(giant.size, time.perf_counter() - began))


def _rate(size: int, seconds: float) -> str:
    if size < 1e6:
        return f"{size:,} bytes"
    return f"{size / 1e6:,.0f} MB at {size / 1e6 / seconds:,.0f} MB/s"


def fetch(watch: Watch, step: str, path: str, accept: str, *, times: int = 1, extra: str = "") -> None:
    """GET, the same a few times; tells status, size and the middle time if there are more than one."""
    with watch.step(step) as said:
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            answer = watch.client.get(path, accept, extra=extra)
            taken.append(time.perf_counter() - began)
        said += [f"{answer.status}", _rate(answer.length, taken[-1])]
        if times > 1:
            said.append(f"p50 {sorted(taken)[times // 2] * 1000:.1f} ms")


def first_bytes(watch: Watch, step: str, path: str, accept: str) -> None:
    """GET, and hang up once the answer has begun: how long the first bytes take."""
    with watch.step(step) as said, Client(watch.server.http, watch.server.headers) as client:
        began = time.perf_counter()
        got = client.begin(path, accept).recv(65536)
        said.append(f"{got[9:12].decode()}, first bytes after {(time.perf_counter() - began) * 1000:.0f} ms")


def ranges(watch: Watch, giant: giants.Giant) -> None:
    """A thousand bytes from the start, the middle and the end of the instance's file."""
    for word, place in (("start", 0), ("middle", giant.size // 2), ("end", giant.size - 1000)):
        extra = f"Range: bytes={place}-{place + 999}\r\n"
        fetch(watch, f"1,000 bytes, {word}", giant.names.path, "application/dicom", times=5, extra=extra)


def multi_frame(run: Run, watch: Watch) -> None:
    """500 MB in 954 frames."""
    giant = giants.multi_frame(run.folder, run.size(954, quick=40))
    last = giant.size // giants.FRAME_BYTES
    store(watch, giant)
    ours.wait_until_complete(watch.server, 900)
    path = giant.names.path
    fetch(watch, "metadata", f"{path}/metadata", JSON, times=5)
    for number in (1, last // 2, last):
        fetch(watch, f"frame {number}", f"{path}/frames/{number}", OCTETS, times=9)
    fetch(watch, "three frames at once", f"{path}/frames/1,{last // 2},{last}", OCTETS, times=5)
    fetch(watch, "rendered frame, JPEG", f"{path}/frames/{last}/rendered", "image/jpeg", times=5)
    ranges(watch, giant)
    fetch(watch, "whole instance", path, INSTANCES)


def many_instances(run: Run, watch: Watch) -> None:
    """A study of 100,000 instances of 100 series."""
    count = run.size(100_000, quick=1500)
    together: list[bytes] = []
    with watch.step(f"STOW-RS, {count:,} instances by 500") as said:
        began = time.perf_counter()
        for names, content in giants.crowd(run.folder, count):  # noqa: B007 - the last ones are asked for below
            together.append(content)
            if len(together) == 500:
                stow(watch.client, together)
                together.clear()
        if together:
            stow(watch.client, together)
        said.append(f"{count / (time.perf_counter() - began):,.0f} inst/s")
    study, series = f"/studies/{names.study}", f"/studies/{names.study}/series/{names.series}"
    with watch.step("completion, after 2 s of quiet"):
        ours.wait_until_complete(watch.server, 900)
    fetch(watch, "metadata of the study", f"{study}/metadata", JSON)
    fetch(watch, "metadata of a series", f"{series}/metadata", JSON, times=5)
    fetch(watch, "metadata of an instance", f"{names.path}/metadata", JSON, times=9)
    fetch(watch, "search the study", "/studies?StudyInstanceUID=" + names.study, JSON, times=9)
    fetch(watch, "search, first 100 instances", f"{study}/instances?limit=100", JSON, times=9)
    offset = count - 100
    fetch(
        watch,
        f"search, instances from {offset:,}",
        f"{study}/instances?limit=100&offset={offset}",
        JSON,
        times=9,
    )
    fetch(watch, "search its series", f"{study}/series?limit=100", JSON, times=9)
    fetch(watch, "one instance", names.path, INSTANCES, times=9)
    first_bytes(watch, "retrieve the study, first bytes", study, INSTANCES)
    fetch(watch, "retrieve the study", study, INSTANCES)


def large_object(run: Run, watch: Watch) -> None:
    """5 GB in one object: 9,540 fragments, since native pixel data ends at 4 GiB."""
    frames = run.size(9540, quick=40)
    giant = giants.multi_frame(run.folder, frames, encapsulated=True)
    store(watch, giant)
    ours.wait_until_complete(watch.server, 900)
    path = giant.names.path
    for number in (1, frames // 2, frames):
        accept = OCTETS + "; transfer-syntax=*"
        fetch(watch, f"frame {number}", f"{path}/frames/{number}", accept, times=9)
    ranges(watch, giant)
    first_bytes(watch, "first bytes", path, INSTANCES)
    fetch(watch, "whole instance", path, INSTANCES)


def slow_clients(run: Run, watch: Watch) -> None:
    """20 clients read a study at 50 KB/s each, while another asks for frames."""
    study, frames = _some_study(run, watch)
    fetch(watch, "frame, nobody else there", frames[0], OCTETS, times=15)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(Client(watch.server.http, watch.server.headers)).begin(study, INSTANCES)
            for _ in range(20)
        ]
        seconds = run.size(20, quick=2)
        with watch.step(f"20 clients at 50 KB/s for {seconds} s") as said:
            taken: list[float] = []
            total = 0
            ends = time.perf_counter() + seconds
            while time.perf_counter() < ends:
                turn = time.perf_counter()
                total += sum(len(reader.recv(5000)) for reader in readers)
                began = time.perf_counter()
                require(watch.client.get(frames[len(taken) % len(frames)], OCTETS))
                taken.append(time.perf_counter() - began)
                time.sleep(max(0.0, 0.1 - (time.perf_counter() - turn)))
            said.append(f"{total / 1e3 / len(readers) / seconds:.0f} KB/s each")
            said.append(f"another's frame p50 {sorted(taken)[len(taken) // 2] * 1000:.1f} ms")
    fetch(watch, "frame, all gone", frames[0], OCTETS, times=15)


def hang_ups(run: Run, watch: Watch) -> None:
    """Clients that go away in the middle of an answer and in the middle of a store request."""
    study, frames = _some_study(run, watch)
    count = run.size(200, quick=10)
    before = _files(watch)
    with watch.step(f"{count} clients hang up within a study") as said:
        for _ in range(count):
            with Client(watch.server.http, watch.server.headers) as client:
                client.begin(study, INSTANCES).recv(65536)
        said.append("all begun")
    giant = giants.multi_frame(run.folder, 60)
    with watch.step(f"{count // 4} clients hang up within a store request") as said:
        for _ in range(count // 4):
            with Client(watch.server.http, watch.server.headers) as client:
                _store_half(client, watch.server, giant)
        said.append("all cut off at half")
    time.sleep(2)
    with watch.step("what they left") as said:
        said.append(f"{_files(watch) - before} files more in the data folder than before")
    fetch(watch, "frame afterwards", frames[0], OCTETS, times=15)


def _store_half(client: Client, server: Server, giant: giants.Giant) -> None:
    connection = client.connection()
    lines = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
    connection.sendall(
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Type: {STOW_MEDIA}\r\n"
        f"Content-Length: {giant.size + 100}\r\n\r\n--BENCH\r\nContent-Type: application/dicom\r\n\r\n".encode()
    )
    for piece in giant.pieces[: len(giant.pieces) // 2]:
        connection.sendall(piece)


def _files(watch: Watch) -> int:
    # Databases have files of their own that come and go.
    return sum(path.is_file() and ".db" not in path.name for path in watch.server.data.rglob("*"))


def _some_study(run: Run, watch: Watch) -> tuple[str, list[str]]:
    files = run.files("a", run.size(200, quick=20))
    for start in range(0, len(files), 25):
        stow(watch.client, [path.read_bytes() for path in files[start : start + 25]])
    ours.wait_until_complete(watch.server, 900)
    held = [names(path) for path in files]
    return f"/studies/{held[0].study}", [row.path + "/frames/1" for row in held]


CASES: dict[str, Callable[[Run, Watch], None]] = {
    "multi-frame": multi_frame,
    "many-instances": many_instances,
    "large-object": large_object,
    "slow-clients": slow_clients,
    "hang-ups": hang_ups,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.extremes", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    parser.add_argument("--markdown", type=Path, help="also put the table into this document")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works")
    parser.add_argument("--only", action="append", choices=list(CASES), help="these cases only")
    arguments = parser.parse_args()
    steps: list[Step] = []
    with workplace() as folder:
        run = Run(folder, rounds=1, quick=arguments.quick)
        for name in arguments.only or CASES:
            print(f"{name} …", file=sys.stderr, flush=True)
            with run.isolated(name), ours.wardlight(folder) as server:
                CASES[name](run, Watch(name, server, steps))
    show(steps)
    for text in run.failures:
        print(f"failed {text}", file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(step) for step in steps], indent=1) + "\n")
    if arguments.markdown:
        put(arguments.markdown, "extremes", f"{markdown(steps)}\n{machine(run)}.")


def _cells(step: Step) -> tuple[str, ...]:
    peaks = ", ".join(f"{kind} {value}" for kind, value in sorted(step.peak_mb.items()))
    return step.case, step.step, f"{step.seconds:,.3g}", step.result, peaks


_HEADS = ("case", "step", "s", "result", "peak MB")


def show(steps: list[Step]) -> None:
    """Print the table."""
    table = Table(title="Extremes")
    for head in _HEADS:
        table.add_column(head, justify="right" if head == "s" else "left")
    for step in steps:
        table.add_row(*_cells(step))
    Console(width=180).print(table)


def markdown(steps: list[Step]) -> str:
    """The table for a document."""
    lines = [f"| {' | '.join(_HEADS)} |", "|---|---|---:|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(step))} |" for step in steps), ""])


if __name__ == "__main__":
    main()
