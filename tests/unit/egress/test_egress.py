"""Outgoing requests reach checked addresses only (security.md section 7; section 11, test 20)."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsyslog import Authority
from wardlight import egress
from wardlight.egress import Egress, Refused, Rules, Target, check_url, is_public, parse_targets

DENIED = {
    "this network": "0.0.0.0",
    "this network, any": "0.1.2.3",
    "private 10": "10.1.2.3",
    "shared": "100.64.0.1",
    "loopback": "127.0.0.1",
    "loopback, any": "127.9.9.9",
    "link local": "169.254.0.1",
    "metadata": "169.254.169.254",
    "private 172": "172.16.0.1",
    "protocol assignments": "192.0.0.9",
    "anycast of NAT64": "192.0.0.170",
    "documentation": "192.0.2.1",
    "6to4 relay": "192.88.99.1",
    "private 192": "192.168.1.1",
    "benchmarks": "198.18.0.1",
    "documentation 2": "198.51.100.1",
    "documentation 3": "203.0.113.1",
    "multicast": "224.0.0.1",
    "multicast, global": "233.252.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "unspecified 6": "::",
    "loopback 6": "::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:10.0.0.1",
    "compatible": "::8.8.8.8",
    "compatible loopback": "::127.0.0.1",
    "NAT64": "64:ff9b::8.8.8.8",
    "NAT64 loopback": "64:ff9b::7f00:1",
    "NAT64, local": "64:ff9b:1::1",
    "discard": "100::1",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "ORCHID": "2001:20::1",
    "documentation 6": "2001:db8::1",
    "6to4": "2002:808:808::1",
    "6to4 loopback": "2002:7f00:1::1",
    "documentation 6, new": "3fff::1",
    "segment routing": "5f00::1",
    "unique local": "fc00::1",
    "unique local, metadata": "fd00:ec2::254",
    "link local 6": "fe80::1",
    "site local": "fec0::1",
    "multicast 6": "ff02::1",
    "multicast 6, global": "ff0e::1",
}
PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001::1")


def resolving(monkeypatch, answers):
    """Names mean these addresses; each look-up takes the next list."""

    def answer(host, port, **_):
        now = answers.get(host, [host])
        rows = now.pop(0) if now and isinstance(now[0], list) else now
        return [(0, 0, 0, "", (one, port)) for one in rows]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.fixture
def connections(monkeypatch):
    """Where to connections were tried; none is made."""
    tried = []

    class Socket(socket.socket):
        def connect(self, address):
            tried.append(address)
            raise ConnectionRefusedError

    monkeypatch.setattr(egress.socket, "socket", Socket)
    return tried


@pytest.mark.parametrize("address", DENIED.values(), ids=DENIED.keys())
def test_no_connection_is_made_to_a_denied_range(address, connections, monkeypatch):
    shown = f"[{address}]" if ":" in address else address
    resolving(monkeypatch, {"hook.example": [address]})
    for host in (shown, "hook.example"):
        with pytest.raises(Refused, match="address-denied"):
            Egress(Rules()).send("POST", f"https://{host}/x", b"{}")
    assert connections == []


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_denied_in_every_ipv6_form_of_it(address):
    rules = Rules()
    number = int(address)
    forms = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1),
    ]
    mapped, *others = (rules(form, 443) for form in forms)
    assert mapped == rules(address, 443) == is_public(address)
    assert not any(others)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached_at_443_alone(address, connections):
    shown = f"[{address}]" if ":" in address else address
    for port in (22, 25, 80, 6379, 8443):
        with pytest.raises(Refused, match="address-denied"):
            Egress(Rules()).send("POST", f"https://{shown}:{port}/", b"")
    assert connections == []
    with pytest.raises(ConnectionRefusedError):
        Egress(Rules()).send("POST", f"https://{shown}/", b"")
    assert connections == [(address, 443)]


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "127.0.0.1."]
)
def test_other_spellings_of_loopback_are_loopback(host, connections):
    with pytest.raises(OSError):
        Egress(Rules()).send("POST", f"https://{host}/", b"")
    assert connections == []


def test_one_bad_address_of_a_name_is_enough(connections, monkeypatch):
    resolving(monkeypatch, {"hook.example": [PUBLIC[0], "10.0.0.1"]})
    with pytest.raises(Refused, match="address-denied"):
        Egress(Rules()).send("POST", "https://hook.example/", b"")
    assert connections == []


def test_a_name_that_changes_its_meaning_is_reached_where_it_was_checked(connections, monkeypatch):
    resolving(monkeypatch, {"hook.example": [[PUBLIC[0]], ["127.0.0.1"]]})
    with pytest.raises(ConnectionRefusedError):
        Egress(Rules()).send("POST", "https://hook.example/", b"")
    assert connections == [(PUBLIC[0], 443)]
    with pytest.raises(Refused):
        Egress(Rules()).send("POST", "https://hook.example/", b"")
    assert len(connections) == 1


def test_the_platforms_own_addresses_are_denied(connections, monkeypatch):
    resolving(monkeypatch, {"hook.example": [PUBLIC[0]], "wardlight.example": [PUBLIC[0]]})
    with pytest.raises(Refused):
        Egress(Rules(own_host="wardlight.example")).send("POST", "https://hook.example/", b"")
    monkeypatch.setattr(egress, "_is_local", lambda address: str(address) == PUBLIC[0])
    with pytest.raises(Refused):
        Egress(Rules()).send("POST", "https://hook.example/", b"")
    assert connections == []


def test_an_own_address_must_be_listed_by_itself():
    loopback = ipaddress.ip_address("127.0.0.1")
    assert not Rules(parse_targets(["127.0.0.0/8:9000"]))(loopback, 9000)
    assert Rules(parse_targets(["127.0.0.1/32:9000"]))(loopback, 9000)
    assert not Rules(parse_targets(["127.0.0.1/32:9000"]))(loopback, 9001)


def test_the_operators_list_opens_an_address_and_a_port():
    rules = Rules(parse_targets(["10.1.0.0/16:8443", "[fd00:1::/32]:443", "[64:ff9b::/96]:443"]))
    assert rules(ipaddress.ip_address("10.1.2.3"), 8443)
    assert rules(ipaddress.ip_address("::ffff:10.1.2.3"), 8443)
    assert not rules(ipaddress.ip_address("10.1.2.3"), 443)
    assert not rules(ipaddress.ip_address("10.2.2.3"), 8443)
    assert rules(ipaddress.ip_address("fd00:1::9"), 443)
    # A translator that is listed reaches what may be reached without it, and nothing else.
    assert rules(ipaddress.ip_address("64:ff9b::8.8.8.8"), 443)
    assert not rules(ipaddress.ip_address("64:ff9b::10.0.0.1"), 443)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.1/8:443", "fd00::/8:443", "x:443", ":443",
             "[fd00::/8:443", "10.0.0.0/8:４"]
)  # fmt: skip
def test_what_is_no_entry_of_the_list(text):
    with pytest.raises(ValueError):
        Target.parse(text)


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example/", "ftp://hook.example/", "https:/hook.example", "hook.example", "https://",
        "https://user@hook.example/", "https://user:word@hook.example/", "https://hook.example/#x",
        "https://hook.example\\@10.0.0.1/", "https://hook.example/ x", "https://hook.example:0/",
        "https://hook.example:65536/", "https://hook.example:x/", "https://[fe80::1%25eth0]/", "https://[::1",
        "https://hook.example/\n", "https://hook.example/\x00", "https://hook.example/ü",
        "https://" + "a" * 64 + ".example/",
        "https://-.example/", "https://hook.example/" + "x" * 2000, "gopher://hook.example/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_urls_that_are_not_taken(url, monkeypatch, connections):
    resolving(monkeypatch, {"hook.example": [PUBLIC[0]]})
    with pytest.raises(Refused):
        Egress(Rules()).send("POST", url, b"")
    assert connections == []


def test_a_name_is_idna():
    assert check_url("https://Bücher.example/x?y=1") == "https://xn--bcher-kva.example/x?y=1"
    assert check_url("https://faß.example") == "https://xn--fa-hia.example"
    assert check_url("https://HOOK.example.:443/") == "https://hook.example/"
    assert check_url("https://[2606:2800::0:1]:8443/") == "https://[2606:2800::1]:8443/"


@contextmanager
def serving(answer, certificates=None):
    """A server on loopback; `answer` gets each connection and the request's head."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates)
    names = []
    if context is not None:
        context.sni_callback = lambda _socket, name, _context: names.append(name)
    heads = []

    def serve():
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            try:
                stream = context.wrap_socket(taken, server_side=True) if context else taken
                head = b""
                while b"\r\n\r\n" not in head and (piece := stream.recv(65536)):
                    head += piece
                heads.append(head)
                answer(stream)
                stream.close()
            except OSError:
                taken.close()

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    yield SimpleNamespace(port=port, heads=heads, names=names)
    listener.close()


def listed(port):
    return Rules(parse_targets([f"127.0.0.1/32:{port}"]))


def test_redirects_are_not_followed():
    reply = (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    )
    with serving(lambda stream: stream.sendall(reply)) as server:
        got = Egress(listed(server.port)).send("POST", f"http://127.0.0.1:{server.port}/", b"x")
    assert got.status == 307 and len(server.heads) == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: Text/Plain; charset=x\r\n\r\nok"
    with serving(lambda stream: stream.sendall(reply)) as server:
        got = Egress(listed(server.port)).send("GET", f"http://127.0.0.1:{server.port}/a?b=c")
    assert (got.status, got.media_type, got.body) == (200, "text/plain", b"ok")
    assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")


def test_plain_http_only_to_loopback_that_is_listed(connections):
    with pytest.raises(Refused):
        Egress(Rules()).send("POST", "http://127.0.0.1:9000/", b"")
    with pytest.raises(Refused, match="not-https"):
        Egress(Rules(parse_targets(["10.0.0.0/8:80"]))).send("POST", "http://10.0.0.1/", b"")
    assert connections == []


def test_the_name_is_for_sni_host_and_certificate(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    certificates = authority.issue("hook.example")
    resolving(monkeypatch, {"hook.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    reply = b"HTTP/1.1 204 No Content\r\n\r\n"
    with serving(lambda stream: stream.sendall(reply), certificates) as server:
        client = Egress(listed(server.port), lambda: ssl.create_default_context(cafile=str(authority.path)))
        assert client.send("POST", f"https://hook.example:{server.port}/", b"{}").status == 204
        assert server.names == ["hook.example"]
        assert f"Host: hook.example:{server.port}\r\n".encode() in server.heads[0]
        with pytest.raises(ssl.SSLError) as failed:
            client.send("POST", f"https://other.example:{server.port}/", b"{}")
        assert egress.reason_of(failed.value) == "tls"
        with pytest.raises(ssl.SSLError):
            Egress(listed(server.port)).send("POST", f"https://hook.example:{server.port}/", b"{}")


def test_an_endless_answer_is_cut():
    def answer(stream):
        stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            stream.sendall(b"x" * 65536)

    with serving(answer) as server:
        got = Egress(listed(server.port)).send("GET", f"http://127.0.0.1:{server.port}/")
        assert len(got.body) == egress.ANSWER_BYTES
        # Where only the status matters, nothing of the body is waited for.
        url = f"http://127.0.0.1:{server.port}/"
        assert Egress(listed(server.port)).send("POST", url, b"", wanted=False).body == b""


@pytest.mark.parametrize("drip", [b"X-A: b\r\n", b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_slow_or_endless_head_ends(drip, monkeypatch):
    monkeypatch.setattr(egress, "WHOLE_S", 0.4)

    def answer(stream):
        stream.sendall(b"HTTP/1.1 200 OK\r\n" if drip[:1] == b"X" else b"")
        while True:
            stream.sendall(drip)
            time.sleep(0.02)

    began = time.monotonic()
    with serving(answer) as server, pytest.raises(OSError):
        Egress(listed(server.port)).send("GET", f"http://127.0.0.1:{server.port}/")
    assert time.monotonic() - began < 3


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(egress, "CONNECT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2) or [])
    with pytest.raises(TimeoutError) as failed:
        Egress(Rules()).send("POST", "https://hook.example/", b"")
    assert egress.reason_of(failed.value) == "timeout"


def test_what_is_no_http_is_a_failure():
    with serving(lambda stream: stream.sendall(b"SSH-2.0-OpenSSH_9\r\n")) as server:
        with pytest.raises(OSError) as failed:
            Egress(listed(server.port)).send("GET", f"http://127.0.0.1:{server.port}/")
        assert egress.reason_of(failed.value) == "unreachable"
