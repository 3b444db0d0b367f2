"""Security tests 21 and 22 on a running installation: what is small and wants to become large, or never to end.

Each attack is refused, the processes that took it are the same afterwards and hardly larger, and a sender that comes
in between is served. (The limits themselves have unit tests; decoders come with their own issue.)
"""

from __future__ import annotations

import socket
import struct
import urllib.error
import urllib.request
import zlib
from functools import cache

import pytest
from bench.fast_store_scu import Instance, Refused, Sender

import live
import small_objects
from small_objects import CT, EXPLICIT_LITTLE, element
from wardlight.dicom.dimse import pdu
from wardlight.dicom.part10 import write_meta

DEFLATED = "1.2.840.10008.1.2.1.99"
#: More than this must not stay in any process, while the attacks unpacked are gigabytes: a header at its limit of
#: 64 MiB, as it came and as it is parsed, and what else a request needs.
GROWTH = 160 << 20


def start(number: int) -> bytes:
    """The header of a good instance."""
    data = bytes(small_objects.instance(number, prefix="22").data)
    return data[: data.index(struct.pack("<HH", 0x7FE0, 0x0010))]


def sop(number: int) -> str:
    return small_objects.instance(number, prefix="22").sop_instance


def deflated(*pieces: bytes, zeros: int = 0) -> bytes:
    """Deflated as PS3.5 A.5 says, with a run of zeros at the end that packs a thousandfold."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = b"".join(map(packer.compress, pieces))
    blocks = zeros >> 20
    if blocks:
        # After a full flush each block packs to the same bytes as the one before.
        packed += packer.flush(zlib.Z_FULL_FLUSH)
        packed += (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)) * blocks
    return packed + packer.flush()


def long_head(tag: int, vr: bytes, length: int) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, length)


ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"


def nested(vr: bytes, depth: int) -> bytes:
    return (long_head(0x00081140, vr, 0xFFFFFFFF) + ITEM) * depth


#: In the order of the numbers that their instances have.
NAMES = (
    "deflated pixels", "deflated header", "deflated nonsense", "sequences in sequences", "unknown in unknown",
    "four gigabytes announced", "too many elements", "too many items", "header without end",
)  # fmt: skip


@cache
def bombs() -> dict[str, tuple[str, bytes]]:
    """Name → (transfer syntax, data set)."""
    pixel = long_head(0x7FE00010, b"OW", 0x7FFFFFFE)
    text = long_head(0x0040A160, b"UT", 0x40000000)
    return {
        "deflated pixels": (DEFLATED, deflated(start(0), pixel, zeros=1 << 30)),
        "deflated header": (DEFLATED, deflated(start(1), text, zeros=1 << 30)),
        "deflated nonsense": (DEFLATED, bytes(range(256)) * 100),
        "sequences in sequences": (EXPLICIT_LITTLE, start(3) + nested(b"SQ", 100_000)),
        "unknown in unknown": (EXPLICIT_LITTLE, start(4) + nested(b"UN", 100_000)),
        "four gigabytes announced": (EXPLICIT_LITTLE, start(5) + long_head(0x0040A160, b"UT", 0xFFFFFFFE)),
        "too many elements": (EXPLICIT_LITTLE, start(6) + element(0x0040A040, "CS", "X") * 200_001),
        "too many items": (
            EXPLICIT_LITTLE,
            start(7) + long_head(0x0040A730, b"SQ", 0xFFFFFFFF) + b"\xfe\xff\x00\xe0\0\0\0\0" * 100_002,
        ),
        "header without end": (
            EXPLICIT_LITTLE,
            start(8) + b"".join(long_head(0x0040A160, b"UT", 32 << 20) + bytes(32 << 20) for _ in range(3)),
        ),
    }


def test_each_bomb_has_its_tests():
    assert tuple(bombs()) == NAMES


@pytest.fixture(scope="module")
def wardlight(tmp_path_factory):
    with live.installation(tmp_path_factory.mktemp("bombs")) as it:
        send_good(it, 100)
        yield it


def send_good(wardlight, number: int) -> None:
    with Sender(wardlight.dicom_port, [(CT, EXPLICIT_LITTLE)], called_ae="WARD_IDENTIFIED") as sender:
        assert sender.store(small_objects.instance(number, prefix="22")).status == 0


@pytest.fixture
def unharmed(wardlight):
    """Same processes, hardly larger, still serving."""
    before = {process.pid: process.memory_info().rss for process in wardlight.processes()}
    yield
    after = {process.pid: process.memory_info().rss for process in wardlight.processes()}
    assert set(after) == set(before), "a process ended"
    assert max(after[pid] - before[pid] for pid in before) < GROWTH
    send_good(wardlight, 101)
    assert wardlight.search("/studies?limit=1") is not None


@pytest.mark.parametrize("what", NAMES)
def test_bomb_by_c_store(wardlight, unharmed, what):
    syntax, data = bombs()[what]
    with Sender(wardlight.dicom_port, [(CT, syntax)], called_ae="WARD_IDENTIFIED") as sender:
        status = sender.store(Instance(CT, sop(NAMES.index(what)), syntax, memoryview(data))).status
    assert status == 0xC000


@pytest.mark.parametrize("what", NAMES)
def test_bomb_by_stow(wardlight, unharmed, what):
    syntax, data = bombs()[what]
    uid = sop(NAMES.index(what))
    meta = write_meta(CT, uid, syntax, implementation_class_uid="1.2", implementation_version="T")
    assert post(wardlight, meta + data, "application/dicom") == 409


def post(wardlight, body: bytes, kind: str) -> int:
    request = urllib.request.Request(
        wardlight.dicomweb + "/studies", data=body, method="POST",
        headers={"Authorization": f"Bearer {wardlight.token()}", "Content-Type": kind},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_multipart_without_end(wardlight, unharmed):
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    many = b"--b\r\n\r\n\r\n" * 100_001 + b"--b--"
    assert post(wardlight, many, kind) in (400, 413)
    assert post(wardlight, b"--b\r\n" + b"X-A: b\r\n" * 17 + b"\r\n\r\n--b--", kind) == 413
    assert post(wardlight, b"--b\r\nX: " + b"a" * (9 << 10) + b"\r\n\r\n\r\n--b--", kind) == 400
    assert post(wardlight, b"x" * (2 << 10) + b"\r\n--b\r\n\r\n\r\n--b--", kind) == 400
    assert post(wardlight, b"x", f'multipart/related; type="application/dicom"; boundary={"b" * 71}') == 400


def test_nothing_of_the_attacks_is_stored(wardlight):
    live.wait_until(lambda: wardlight.receiver_status()["queue"]["objects"] == 0, 30, "uploads")
    live.wait_until(lambda: wardlight.count() in (1, 2), 10, "the good ones")
    stored = sum(path.stat().st_size for path in (wardlight.data / "objects").rglob("*") if path.is_file())
    assert stored < 1 << 20


def test_peers_that_never_end(wardlight, unharmed):
    """Half-open connections, requests of one byte, an endless command, aborts in the middle; others are served."""
    port = wardlight.dicom_port
    request = pdu.encode(
        pdu.AssociateRequest(
            "WARD_IDENTIFIED", "SLOW", (pdu.ProposedContext(1, CT, (EXPLICIT_LITTLE,)),), user_information()
        )
    )
    half_open = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    slow = socket.create_connection(("127.0.0.1", port))
    for byte in request[:20]:
        slow.sendall(bytes([byte]))
    send_good(wardlight, 102)

    with pytest.raises((Refused, ConnectionError)):  # noqa: SIM117 - the second needs the first's result
        with Sender(port, [(CT, EXPLICIT_LITTLE)], called_ae="WARD_IDENTIFIED") as sender:
            command = pdu.PDV_HEADER.pack(1002, 1, 1) + bytes(1000)
            for _ in range(200):
                sender.socket.sendall(pdu.HEADER.pack(pdu.DATA_TF, len(command)) + command)
            sender.response()

    for announced in (0xFFFFFFFF, 1 << 31, (1 << 20) + 7):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            header = connection.recv(6, socket.MSG_WAITALL)
            connection.recv(pdu.HEADER.unpack(header)[1], socket.MSG_WAITALL)
            connection.sendall(pdu.HEADER.pack(pdu.DATA_TF, announced) + b"x" * 100)
            connection.settimeout(10)
            assert connection.recv(1) == b"\x07", "A-ABORT, before the announced bytes are waited for"

    for cut in (10, 1000):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request + bytes(cut))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    send_good(wardlight, 103)
    for connection in (*half_open, slow):
        connection.close()


def user_information():
    from wardlight.dicom.dimse.items import UserInformation

    return UserInformation(1 << 20, "1.2.3", "T")
