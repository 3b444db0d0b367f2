"""Benchmarks of what it takes: memory of the DICOM node under large objects, and the time to start."""

from __future__ import annotations

import mmap
import threading
from functools import partial
from pathlib import Path

from bench import fast_store_scu, ours
from bench.rows import Sample, Target
from bench.runner import OURS, Claim, Run

ASSOCIATIONS = 20


def receiver_memory(run: Run) -> None:
    """Peak resident memory of the DICOM node while 20 associations send 500 MB objects; one round says it."""
    megabytes = run.size(500, 500, 20)
    instance = large_instance(run, run.folder / "large.dcm", megabytes * 1_000_000)
    run.compare(
        f"receiver memory, {ASSOCIATIONS} associations × {megabytes} MB",
        "MB",
        {OURS: partial(_receive, run, instance)},
        [Claim(Target(150.0, "fixed", least=False))],
        "largest process of the DICOM node alone; spooling with encryption and fdatasync",
        rounds=1,
    )


def _receive(run: Run, instance: fast_store_scu.Instance) -> Sample:
    with ours.receiver_node(run.folder) as server:
        statuses: list[int | None] = []
        threads = [
            threading.Thread(target=_send_one, args=(server.port, instance, statuses))
            for _ in range(ASSOCIATIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        if statuses != [0] * ASSOCIATIONS:
            raise RuntimeError(f"{statuses.count(0)} of {ASSOCIATIONS} objects were taken")
        return Sample(server.peak_mb(), None, server.peak_mb())


def large_instance(run: Run, path: Path, size: int) -> fast_store_scu.Instance:
    """A CT instance whose pixel value has `size` bytes, backed by a sparse file and so by no memory."""
    instance = fast_store_scu.load(run.files("a", 20)[0])
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


def _send_one(port: int, instance: fast_store_scu.Instance, statuses: list[int | None]) -> None:
    pair = (instance.sop_class, instance.transfer_syntax)
    with fast_store_scu.Sender(port, [pair], called_ae=ours.CALLED_AE, timeout=600) as sender:
        statuses.append(sender.store(instance).status)


def start_up(run: Run) -> None:
    """Seconds from the command to the web side's and the DICOM node's first answer."""
    run.compare(
        "start-up of everything",
        "s",
        {OURS: lambda: Sample(ours.seconds_to_serve(run.folder))},
        [Claim(Target(3.0, "fixed", least=False))],
        "`wardlight serve` on a new folder, keys and databases made, until /readyz answers and the DICOM port is open",
    )
