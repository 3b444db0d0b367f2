"""Run the short set: `python -m bench [--json FILE] [--rounds N] [--only WORD]`. Under 10 minutes on two cores.

Servers are started anew for each round and interleaved (A B C, A B C …), so that drift of the machine meets all
alike. Compare ratios from one run only.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from bench import fast_store_scu, peers, raw_limit
from bench.corpora import corpus
from bench.rows import Row, show

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench-data"
SPOOL_ONLY = "C-STORE, AES-256-GCM spool, SHA-256, fdatasync before Success; the upload pipeline is held"
END_TO_END = (
    "C-STORE, spool, de-identified at high, verified, STOW, encrypted segment, index, audit, found by QIDO"
)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def _raw_rate(port: int, files: list[Path], connections: int) -> float:
    objects = [path.read_bytes() for path in files]
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=raw_limit.send, args=(port, objects[index::connections]))
        for index in range(connections)
    ]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    return len(objects) / (time.perf_counter() - began)


def durable_c_store(parent: Path, rounds: int) -> list[Row]:
    """Instances/s that are durable when Success is answered, 1 and 4 associations, corpora (a) and (b)."""
    rows = []
    for name, count in (("a", 300), ("b", 1000)):
        files = _files(corpus(DATA, name, count))
        for associations in (1, 4):
            label = f"durable C-STORE ({name}), {associations} association{'s' if associations > 1 else ''}"
            limit = Row(f"{label}, limit", "inst/s", "raw TCP + fsync", 0.9, SPOOL_ONLY, against_limit=True)
            peer = Row(f"{label}, peer", "inst/s", "Orthanc", 4.0, SPOOL_ONLY)
            for _ in range(rounds):
                with peers.receiver_node(parent) as server:
                    result = fast_store_scu.send(
                        server.port, files, associations=associations, called_ae="TEAMPLAYISHARE"
                    )
                    _no_failures(result)
                    limit.ours.append(result.rate)
                    peer.ours.append(result.rate)
                with peers.raw(parent) as server:
                    limit.limit.append(_raw_rate(server.port, files, associations))
                with peers.orthanc(parent) as server:
                    peer.peer.append(fast_store_scu.send(server.port, files, associations=associations).rate)
            rows += [limit, peer]
    return rows


def _no_failures(result: fast_store_scu.Result) -> None:
    if result.failures:
        raise RuntimeError(f"{result.failures} C-STORE requests were refused: the figure would mean nothing")


def default_storescu(parent: Path, rounds: int) -> list[Row]:
    """What a sender built on DCMTK feels: Nagle's algorithm on, 16 KiB PDUs, one object after another."""
    files = _files(corpus(DATA, "a", 100))
    against_dcmtk = Row("default storescu (a), DCMTK", "inst/s", "storescp", 10.0, SPOOL_ONLY)
    against_orthanc = Row("default storescu (a), Orthanc", "inst/s", "Orthanc", 10.0, SPOOL_ONLY)
    for _ in range(rounds):
        with peers.receiver_node(parent) as server:
            rate = _storescu(server.port, files)
            against_dcmtk.ours.append(rate)
            against_orthanc.ours.append(rate)
        with peers.storescp(parent) as server:
            against_dcmtk.peer.append(_storescu(server.port, files))
        with peers.orthanc(parent) as server:
            against_orthanc.peer.append(_storescu(server.port, files))
    return [against_dcmtk, against_orthanc]


def _storescu(port: int, files: list[Path]) -> float:
    binary = shutil.which("storescu", path="/usr/bin:/usr/local/bin") or "storescu"
    command = [binary, "-aec", "TEAMPLAYISHARE", "127.0.0.1", str(port), *map(str, files)]
    environment = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    began = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return len(files) / (time.perf_counter() - began)


def end_to_end(parent: Path, rounds: int) -> list[Row]:
    """From the first C-STORE to all instances found by QIDO-RS, against Orthanc's plain ingest."""
    rows = []
    for name, count, associations in (("a", 500, 1), ("a", 500, 4), ("b", 2000, 4)):
        files = _files(corpus(DATA, name, count))
        row = Row(f"end to end ({name}), {associations} assoc.", "inst/s", "Orthanc", 2.0, END_TO_END)
        for _ in range(rounds):
            for start, samples in ((peers.wardlight, row.ours), (peers.orthanc, row.peer)):
                with start(parent) as server:
                    began = time.perf_counter()
                    result = fast_store_scu.send(
                        server.port, files, associations=associations, called_ae="TEAMPLAYISHARE"
                    )
                    _no_failures(result)
                    while peers.count_instances(server) < count:
                        if time.perf_counter() - began > 120:
                            raise TimeoutError(f"{server.name}: not all instances were found")
                        time.sleep(0.02)
                    samples.append(count / (time.perf_counter() - began))
        rows.append(row)
    return rows


def receiver_memory(parent: Path, rounds: int) -> list[Row]:  # noqa: ARG001 - one round says it
    """Peak resident memory of the DICOM node while 20 associations send 500 MB objects."""
    row = Row(
        "receiver memory, 20 associations × 500 MB",
        "MB",
        "",
        1.0,
        "largest process of the node",
        fixed_target=150,
    )
    instance = large_instance(parent / "large.dcm", 500 << 20)
    with peers.receiver_node(parent) as server:
        threads = [threading.Thread(target=_send_one, args=(server.port, instance)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        row.ours.append(max(server.peak_bytes().values()) / 1e6)
    return [row]


def large_instance(path: Path, size: int) -> fast_store_scu.Instance:
    """A CT instance whose pixel value has about `size` bytes, backed by a sparse file and so by no memory."""
    instance = fast_store_scu.load(_files(corpus(DATA, "a", 20))[0])
    data = bytes(instance.data)
    place = data.index(b"\xe0\x7f\x10\x00OW\x00\x00")
    size -= size % 2
    path.write_bytes(data[: place + 8] + size.to_bytes(4, "little"))
    with open(path, "r+b") as file:
        file.truncate(place + 12 + size)
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return fast_store_scu.Instance(
        instance.sop_class, instance.sop_instance, instance.transfer_syntax, memoryview(mapped)
    )


def _send_one(port: int, instance: fast_store_scu.Instance) -> None:
    pair = (instance.sop_class, instance.transfer_syntax)
    with fast_store_scu.Sender(port, [pair], called_ae="TEAMPLAYISHARE", timeout=300) as sender:
        sender.store(instance)


def start_up(parent: Path, rounds: int) -> list[Row]:
    """Seconds from the command to the web side's and the DICOM node's first answer."""
    row = Row(
        "start-up of everything", "s", "", 1.0, "wardlight serve to /readyz and C-ECHO", fixed_target=3.0
    )
    for _ in range(rounds):
        row.ours.append(peers.time_to_serve(parent))
    return [row]


BENCHMARKS = {
    "durable": durable_c_store,
    "storescu": default_storescu,
    "end-to-end": end_to_end,
    "memory": receiver_memory,
    "start-up": start_up,
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default 3)")
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="run these benchmarks only")
    arguments = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    rows: list[Row] = []
    parent = Path(tempfile.mkdtemp(dir=DATA, prefix="bench-"))
    try:
        for name in arguments.only or BENCHMARKS:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += BENCHMARKS[name](parent, arguments.rounds)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    show(rows)
    print(
        f"{os.cpu_count()} cores, {psutil.virtual_memory().total >> 30} GiB, {arguments.rounds} rounds",
        file=sys.stderr,
    )
    if arguments.json:
        arguments.json.write_text(json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
