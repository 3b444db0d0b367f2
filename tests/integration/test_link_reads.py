"""Answers to links end under way, as all others do: with the grant, by a reset of the connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from integration.test_open_reads import Served, ended, granted, revoke
from share_kit import ACME, Hospital, a_hospital
from wardlight.access.model import Operation
from wardlight.audit.actions import Action


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with a_hospital() as kit:
        made = Served(kit)
        try:
            yield made
        finally:
            made.close()


def begun(served: Served, path: str) -> socket.socket:
    """A slow client that holds a link, and nothing else."""
    client = socket.create_connection(("127.0.0.1", served.port), 20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: ward.example\r\n\r\n".encode())
    first = client.recv(16384)
    assert first.startswith(b"HTTP/1.1 200"), first[:300]
    return client


def test_a_download_by_a_link_ends_with_its_grant(served: Served) -> None:
    kit: Hospital = served.kit
    study, grant = granted(kit)
    scope = kit.may(Action.ACCESS_URL_CREATE, kit.as_application(ACME), Operation.GRANTS)
    uid = f"{study}.1.1"
    paths = [kit.platform.api.links.create(scope, grant.id, one).path for one in (None, uid)]
    clients = [begun(served, path) for path in paths]
    revoke(kit, grant)
    began = time.monotonic()
    for client in clients:
        ended(client)
    assert time.monotonic() - began < 10  # the bound is measured elsewhere; here it only has to end
    for path in paths:
        late = socket.create_connection(("127.0.0.1", served.port), 20)
        late.sendall(f"GET {path} HTTP/1.1\r\nHost: ward.example\r\nConnection: close\r\n\r\n".encode())
        answer = late.recv(65536)
        assert answer.startswith(b"HTTP/1.1 404") and b"DICM" not in answer
