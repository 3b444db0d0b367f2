"""A C-STORE sender fast enough to measure a receiver with, that sends the data set's bytes untouched.

`Sender` is one association for tests; `send` measures with N associations in processes of their own, instances
loaded before. `python -m bench.fast_store_scu PORT FOLDER [-n 4]` prints the result as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import TracebackType

from wardlight.dicom.dimse import command as dimse
from wardlight.dicom.dimse import pdu
from wardlight.dicom.dimse.items import UserInformation
from wardlight.dicom.dimse.negotiation import VERIFICATION
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID

_GATHERED = 512
"""Buffers of one sendmsg, half of what the kernel takes."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What one C-STORE sends. `data` is the encoded data set."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: memoryview


@dataclass(frozen=True, slots=True)
class Result:
    """seconds: from the first C-STORE request to the last response, over all associations."""

    seconds: float
    instances: int
    bytes: int
    p50_ms: float
    p99_ms: float
    failures: int

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.instances / self.seconds


class Refused(ConnectionError):
    """The association was rejected or aborted, or the peer went away. `pdu` is what it said, if anything."""

    def __init__(self, answer: pdu.Pdu | None) -> None:
        super().__init__(repr(answer))
        self.pdu = answer


def load(path: Path) -> Instance:
    """Read a Part 10 file with complete file meta information (PS3.10 section 7.1)."""
    content = path.read_bytes()
    if content[128:132] != b"DICM":
        raise ValueError(f"{path.name} has no file meta information")
    end = 144 + int(struct.unpack_from("<I", content, 140)[0])
    values: dict[int, str] = {}
    place = 144
    while place < end:
        element, vr, length = struct.unpack_from("<2xH2sH", content, place)
        place += 8
        if vr in (b"OB", b"UN"):
            length = struct.unpack_from("<I", content, place)[0]
            place += 4
        values[element] = content[place : place + length].decode("latin-1").strip("\0 ")
        place += length
    return Instance(values[0x02], values[0x03], values[0x10], memoryview(content)[end:])


class Sender:
    """One association. Raises Refused when the peer rejects, aborts or disconnects."""

    def __init__(
        self,
        port: int,
        contexts: Iterable[tuple[str, str | Sequence[str]]],
        *,
        host: str = "127.0.0.1",
        called_ae: str = "ANY-SCP",
        calling_ae: str = "FASTSCU",
        user: UserInformation | None = None,
        pdu_bytes: int = 1 << 20,
        nodelay: bool = True,
        timeout: float | None = 60.0,
    ) -> None:
        """Connect and negotiate; contexts: pairs of abstract syntax and transfer syntaxes, ids 1, 3, 5 …

        pdu_bytes: largest P-DATA-TF to send; what the peer offers limits it further.
        """
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(nodelay))
        proposed = tuple(
            pdu.ProposedContext(
                2 * index + 1, abstract, (syntaxes,) if isinstance(syntaxes, str) else tuple(syntaxes)
            )
            for index, (abstract, syntaxes) in enumerate(contexts)
        )
        user = user or UserInformation(1 << 20, IMPLEMENTATION_CLASS_UID, "WARDLIGHT_BENCH")
        self._message_id = 0
        self.socket.sendall(pdu.encode(pdu.AssociateRequest(called_ae, calling_ae, proposed, user)))
        answer = self.receive()
        if not isinstance(answer, pdu.AssociateAccept):
            self.socket.close()
            raise Refused(answer)
        self.accept = answer
        accepted = {row.id: row.transfer_syntax for row in answer.contexts if row.result == 0}
        self.contexts = {
            (row.abstract_syntax, accepted[row.id]): row.id for row in proposed if row.id in accepted
        }
        self._largest = min(answer.user.maximum_length or pdu_bytes, pdu_bytes) - 6

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        self.socket.close()

    def store(self, instance: Instance) -> dimse.Command:
        """C-STORE; the response."""
        context = self.contexts[instance.sop_class, instance.transfer_syntax]
        request = dimse.Command(
            field=dimse.C_STORE_RQ,
            message_id=self._next_message_id(),
            sop_class=instance.sop_class,
            sop_instance=instance.sop_instance,
            priority=0,
            has_data_set=True,
        )
        self._gather(context, dimse.encode(request), instance.data)
        return self.response()

    def echo(self) -> dimse.Command:
        """C-ECHO; the response."""
        context = next(number for (abstract, _), number in self.contexts.items() if abstract == VERIFICATION)
        request = dimse.Command(dimse.C_ECHO_RQ, self._next_message_id(), sop_class=VERIFICATION)
        self._gather(context, dimse.encode(request), memoryview(b""))
        return self.response()

    def response(self) -> dimse.Command:
        """The next command set that the peer sends."""
        data = b""
        while True:
            answer = self.receive()
            if not isinstance(answer, pdu.DataTransfer):
                raise Refused(answer)
            for value in answer.values:
                data += bytes(value.fragment)
                if value.last:
                    return dimse.decode(data)

    def release(self) -> None:
        """A-RELEASE, waiting for the answer."""
        self.socket.sendall(pdu.encode(pdu.ReleaseRequest()))
        answer = self.receive()
        if not isinstance(answer, pdu.ReleaseReply):
            raise Refused(answer)

    def receive(self) -> pdu.Pdu | None:
        """The next PDU; None when the peer closed the connection."""
        header = self._exactly(6)
        if header is None:
            return None
        kind, length = pdu.HEADER.unpack(header)
        body = self._exactly(length)
        return None if body is None else pdu.decode(kind, body)

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _exactly(self, length: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < length:
            try:
                # A peer with Nagle's algorithm on sends its response in two segments and waits for our acknowledgement
                # of the first: delayed by 40 ms, that would be what is measured.
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                part = self.socket.recv(length - len(parts))
            except ConnectionError:
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)

    def _gather(self, context: int, command: bytes, data: memoryview) -> None:
        value = pdu.DataValue(context, True, True, command)
        buffers: list[bytes | memoryview] = [pdu.encode(pdu.DataTransfer((value,)))]
        for start in range(0, len(data), self._largest):
            part = data[start : start + self._largest]
            last = start + len(part) == len(data)
            head = pdu.HEADER.pack(pdu.DATA_TF, len(part) + 6)
            buffers += [head + pdu.PDV_HEADER.pack(len(part) + 2, context, 2 * last), part]
            if len(buffers) >= _GATHERED:
                self._send(buffers)
                buffers = []
        if buffers:
            self._send(buffers)

    def _send(self, buffers: list[bytes | memoryview]) -> None:
        sent = self.socket.sendmsg(buffers)
        for buffer in buffers:
            if sent < len(buffer):
                self.socket.sendall(memoryview(buffer)[sent:])
            sent = max(0, sent - len(buffer))


def send(
    port: int,
    paths: Sequence[Path],
    *,
    associations: int = 1,
    host: str = "127.0.0.1",
    called_ae: str = "ANY-SCP",
    calling_ae: str = "FASTSCU",
    pdu_bytes: int = 1 << 20,
    timeout: float = 600.0,
) -> Result:
    """Send files over N associations at once, each from a process of its own, and measure."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(associations)
    results: Queue[tuple[float, float, list[float], int, int] | str] = context.Queue()
    workers = [
        context.Process(
            target=_work,
            args=(
                port,
                list(paths[index::associations]),
                host,
                called_ae,
                calling_ae,
                pdu_bytes,
                barrier,
                results,
            ),
        )
        for index in range(associations)
    ]
    for worker in workers:
        worker.start()
    try:
        rows = [results.get(timeout=timeout) for _ in workers]
    finally:
        for worker in workers:
            worker.join(5)
            worker.kill()
    good = [row for row in rows if not isinstance(row, str)]
    if len(good) != len(rows):
        raise RuntimeError("; ".join(row for row in rows if isinstance(row, str)))
    times = sorted(value for row in good for value in row[2])
    return Result(
        seconds=max(row[1] for row in good) - min(row[0] for row in good),
        instances=len(times),
        bytes=sum(row[3] for row in good),
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[int(len(times) * 0.99)] * 1000,
        failures=sum(row[4] for row in good),
    )


def _work(
    port: int,
    paths: list[Path],
    host: str,
    called_ae: str,
    calling_ae: str,
    pdu_bytes: int,
    barrier: Barrier,
    results: Queue[tuple[float, float, list[float], int, int] | str],
) -> None:
    try:
        instances = [load(path) for path in paths]
        pairs = sorted({(row.sop_class, row.transfer_syntax) for row in instances})
        with Sender(
            port,
            pairs,
            host=host,
            called_ae=called_ae,
            calling_ae=calling_ae,
            pdu_bytes=pdu_bytes,
            timeout=None,
        ) as sender:
            barrier.wait(60)
            times, failures = [], 0
            began = time.perf_counter()
            for instance in instances:
                start = time.perf_counter()
                response = sender.store(instance)
                times.append(time.perf_counter() - start)
                failures += response.status not in (0, 0xB000, 0xB006, 0xB007)
            ended = time.perf_counter()
        results.put((began, ended, times, sum(len(row.data) for row in instances), failures))
    except Exception as error:  # noqa: BLE001 - told to the measuring process, which raises
        barrier.abort()
        results.put(f"{type(error).__name__}: {error}")


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", "--associations", type=int, default=1)
    parser.add_argument("--called-ae", default="ANY-SCP")
    parser.add_argument("--pdu-bytes", type=int, default=1 << 20)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.iterdir() if path.suffix == ".dcm")
    result = send(
        arguments.port,
        paths,
        associations=arguments.associations,
        called_ae=arguments.called_ae,
        pdu_bytes=arguments.pdu_bytes,
    )
    print(json.dumps({**asdict(result), "rate": round(result.rate, 1)}))


if __name__ == "__main__":
    main()
