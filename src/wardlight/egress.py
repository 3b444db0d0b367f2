"""The one client for requests that the platform makes to others: checked addresses, bounded (security.md section 7).

A name is resolved, every address of it is checked, and the connection goes to a checked address: what the name means a
moment later does not matter. No redirects, no proxies, at most 64 KiB of an answer, ten seconds in all.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import SplitResult, urlsplit

import idna

from wardlight import __version__

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Whether a connection may go to this address and port.
Allows = Callable[[Address, int], bool]

#: To resolve and connect, in seconds; and all of a request and its answer.
CONNECT_S: Final = 5.0
WHOLE_S: Final = 10.0
ANSWER_BYTES: Final = 64 << 10
#: All that is read: status line, headers, body, and the frames of a chunked one.
_READ_BYTES: Final = 2 * ANSWER_BYTES
_URL_LENGTH: Final = 2000
#: Addresses of one name that are tried.
_TRIED: Final = 4

# Not ours to reach, though Python calls some of them global. Of IPv6 only global unicast is taken at all.
_DENIED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")


class Refused(OSError):
    """Nothing was sent: the address is none that may be reached. `reason`: a word for which rule says so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is cut at 64 KiB, and empty where it was not wanted."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """An entry of the operator's list: addresses and the port at which they may be reached."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    port: int

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `10.1.0.0/16:8443` or `[fd00::/8]:443`. Raises ValueError."""
        network, _, port = text.rpartition(":")
        if network.startswith("[") != network.endswith("]") or (":" in network and network[:1] != "["):
            raise ValueError("an IPv6 network stands in brackets")
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
            raise ValueError("no port")
        return cls(ipaddress.ip_network(network.strip("[]")), int(port))

    def covers(self, address: Address, port: int) -> bool:
        """Whether the entry names this address and port."""
        return port == self.port and address.version == self.network.version and address in self.network


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be reached: public addresses at port 443, and what the operator's list names.

    own_host: the name by which the platform itself is reached. Its addresses, and those of this machine, are denied
    unless an entry of the list names just the one.
    """

    listed: tuple[Target, ...] = ()
    own_host: str = ""

    def __call__(self, address: Address, port: int) -> bool:
        """Whether a connection may go there; an IPv4 address within an IPv6 one must be allowed as well."""
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if mapped is not None:
            return self(mapped, port)
        entries = [one for one in self.listed if one.covers(address, port)]
        if not entries and not (port == 443 and is_public(address)):
            return False
        if any(one.network.num_addresses == 1 for one in entries):
            return True
        return all(self(one, port) for one in _embedded(address)) and not self._is_ours(address)

    def _is_ours(self, address: Address) -> bool:
        if _is_local(address):
            return True
        try:
            return bool(self.own_host) and address in _resolve(self.own_host, 443)
        except OSError:
            return True  # Not to be told, so not to be reached.


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, in every version of Python alike."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _DENIED if network.version == address.version)


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses that a translator or tunnel would reach by this IPv6 one."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.sixtofour, *(address.teredo or ())]
    if address in _TRANSLATED or address in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


def _is_local(address: Address) -> bool:
    """Whether an interface of this machine has the address: only then can a socket be bound to it."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as tried:
            tried.bind((str(address), 0))
    except OSError:
        return False
    return True


def check_url(url: str) -> str:
    """The URL with its host in ASCII (IDNA 2008). Raises `Refused` where its form alone forbids it.

    Only https, or http to an address of this machine that the operator's list names; no user info, no fragment.
    """
    parts, host, port = _split(url)
    shown = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=shown if port == _usual_port(parts.scheme) else f"{shown}:{port}").geturl()


class Egress:
    """Sends requests to addresses that are allowed. context: whose certificates are believed."""

    def __init__(
        self, allows: Allows, context: Callable[[], ssl.SSLContext] = ssl.create_default_context
    ) -> None:
        self._allows = allows
        self._context = context

    def check(self, url: str) -> str:
        """`check_url`, and that its addresses are allowed now. Raises OSError, of which `Refused` is one."""
        url = check_url(url)
        parts, host, port = _split(url)
        self._addresses(parts.scheme, host, port)
        return url

    def send(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        wanted: bool = True,
    ) -> Reply:
        """One request. wanted: whether the body of the answer is read at all.

        Raises OSError where no answer came, of which `Refused`, TLS and time-out errors are some: see `reason_of`.
        """
        began = time.monotonic()
        parts, host, port = _split(url)
        addresses = self._addresses(parts.scheme, host, port)
        plain = _connect(addresses, port, began + CONNECT_S)
        try:
            plain.settimeout(max(began + CONNECT_S - time.monotonic(), 0.001))
            secure = parts.scheme == "https"
            stream = self._context().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, port)
        # It is connected: the library neither resolves nor connects, and keeps the name for Host.
        connection.sock = _Bounded(stream, began + WHOLE_S)
        fixed = {"User-Agent": f"wardlight/{__version__}", "Connection": "close"}
        try:
            connection.request(method, path, body=body or None, headers={**(headers or {}), **fixed})
            response = connection.getresponse()
            kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
            answer = bytearray()
            while wanted and len(answer) < ANSWER_BYTES:
                piece = response.read1(ANSWER_BYTES - len(answer))
                if not piece:
                    break
                answer += piece
            return Reply(response.status, kind, bytes(answer))
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(type(error).__name__) from None
        finally:
            connection.close()
            stream.close()

    def connect(self, host: str, port: int, *, local: bool = False) -> socket.socket:
        """A connection for another protocol than HTTP, to a checked address. local: to this machine, or not at all.

        Raises OSError, of which `Refused` is one.
        """
        began = time.monotonic()
        name = _ascii_host(host.strip("[]"))
        return _connect(self._addresses("http" if local else "https", name, port), port, began + CONNECT_S)

    def _addresses(self, scheme: str, host: str, port: int) -> list[Address]:
        """Every address of the host, each of them allowed."""
        found = _resolve(host, port)
        if not all(self._allows(one, port) for one in found):
            raise Refused("address-denied")
        if scheme == "http" and not all(one.is_loopback for one in found):
            raise Refused("not-https")
        return found


def reason_of(error: OSError) -> str:
    """A word for why no answer came."""
    if isinstance(error, Refused):
        return error.reason
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "unreachable"


def is_loopback(host: str) -> bool:
    """Whether the host's very form says that it is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """The operator's list. Raises ValueError."""
    return tuple(Target.parse(text) for text in texts)


def _split(url: str) -> tuple[SplitResult, str, int]:
    """Parts, host in ASCII and port of a URL that readers cannot take differently. Raises `Refused`."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port is not None else _usual_port(parts.scheme)
    except ValueError:
        raise Refused("not-a-url") from None
    tail = f"{parts.path}{parts.query}"
    plain = url.isprintable() and tail.isascii() and not any(character in url for character in " \\@#")
    if not plain or len(url) > _URL_LENGTH or not parts.hostname or not port:
        raise Refused("not-a-url")
    if parts.scheme not in ("https", "http"):
        raise Refused("not-https")
    return parts, _ascii_host(parts.hostname), port


def _ascii_host(host: str) -> str:
    try:
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        return idna.encode(host.rstrip("."), uts46=True).decode("ascii")
    except ValueError:  # IDNAError is one.
        raise Refused("not-a-url") from None


def _usual_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host. Raises OSError: `TimeoutError` where a name server keeps us waiting."""
    found: list[Address] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append(ipaddress.ip_address(str(row[4][0])))
        except (OSError, ValueError) as error:
            failed.append(error if isinstance(error, OSError) else OSError("no address"))

    # The resolver knows no time limit of ours.
    asking = threading.Thread(target=ask, name="resolving", daemon=True)
    asking.start()
    asking.join(CONNECT_S)
    if asking.is_alive():
        raise TimeoutError
    if failed or not found:
        raise failed[0] if failed else OSError("no address")
    return list(dict.fromkeys(found))


def _connect(addresses: list[Address], port: int, deadline: float) -> socket.socket:
    """Connected to the first of these addresses that answers."""
    failure: OSError = TimeoutError()
    for address in addresses[:_TRIED]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        # By the address itself: nothing is resolved again.
        tried = socket.socket(_family(address), socket.SOCK_STREAM)
        try:
            tried.settimeout(left)
            tried.connect((str(address), port))
            tried.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tried
        except OSError as error:
            tried.close()
            failure = error
    raise failure


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


class _Bounded(io.RawIOBase):
    """A socket, as `http.client` uses one, whose every call ends by the deadline and that gives so many bytes only."""

    def __init__(self, stream: socket.socket, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._read = 0

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._timed(partial(self._stream.send, rest)) :]

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - as sockets have it
        """What the answer is read from."""
        return io.BufferedReader(self)

    def close(self) -> None:
        """Nothing: the library closes it before the answer is read, and who opened the socket closes that."""

    def readable(self) -> bool:
        """As a raw stream says it."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # of a buffered reader always this
        """The next bytes; none at the end, or where the limit is."""
        room = min(len(buffer), _READ_BYTES - self._read)
        count = self._timed(partial(self._stream.recv_into, buffer, room)) if room > 0 else 0
        self._read += count
        return count

    def _timed(self, call: Callable[[], int]) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._stream.settimeout(left)
        return call()
