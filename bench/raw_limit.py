"""The machine's limit: length-prefixed objects over raw TCP into one file each, with or without fdatasync.

The server answers one byte once an object is written (and, where asked, durable), as C-STORE does with its response.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import struct
import threading
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path


def serve(port: int, folder: Path, durable: bool) -> None:
    """Take connections until the process is ended."""
    listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
    number = 0
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_take, args=(connection, folder, number, durable), daemon=True).start()
        number += 1


def _take(connection: socket.socket, folder: Path, number: int, durable: bool) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(1 << 20))
    index = 0
    while head := connection.recv(8, socket.MSG_WAITALL):
        left = struct.unpack("<Q", head)[0]
        file = os.open(folder / f"{number}-{index}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        while left:
            got = connection.recv_into(buffer, min(left, 1 << 20))
            if not got:
                break
            left -= got
            os.write(file, buffer[:got])
        if durable:
            os.fdatasync(file)
        os.close(file)
        index += 1
        connection.send(b"k")
    connection.close()


def send(port: int, objects: Sequence[bytes], connections: int) -> float:
    """Send `objects` over connections of a process each; seconds from the first object to the last answer."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(connections)
    results: Queue[tuple[float, float] | None] = context.Queue()
    workers = [
        context.Process(target=_work, args=(port, objects[index::connections], barrier, results))
        for index in range(connections)
    ]
    for worker in workers:
        worker.start()
    try:
        rows = [results.get(timeout=300) for _ in workers]
    finally:
        for worker in workers:
            worker.join(5)
            worker.kill()
    spans = [row for row in rows if row is not None]
    if len(spans) != connections:
        raise ConnectionError("the raw server ended early")
    return max(end for _, end in spans) - min(begin for begin, _ in spans)


def _work(
    port: int, objects: Sequence[bytes], barrier: Barrier, results: Queue[tuple[float, float] | None]
) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            barrier.wait(60)
            began = time.perf_counter()
            for data in objects:
                connection.sendall(struct.pack("<Q", len(data)))
                connection.sendall(data)
                if connection.recv(1) != b"k":
                    raise ConnectionError("the raw server ended early")
            results.put((began, time.perf_counter()))
    except OSError:
        barrier.abort()
        results.put(None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--durable", action="store_true")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.folder, arguments.durable)
