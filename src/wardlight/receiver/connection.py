"""One HTTP or HTTPS connection to the platform: where it goes to and whose certificate it must show."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from wardlight.errors import WardlightError
from wardlight.settings import http_address


@dataclass(frozen=True, slots=True)
class Address:
    """The platform's address. ca: PEM file of the authority to trust beside the system's.

    verify_as: name that the certificate must be for, where it is not the host of the address: a platform on this
    machine is reached by loopback and has the certificate of its public name.
    """

    url: str
    ca: Path | None = None
    verify_as: str = ""

    def open(self, path: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
        """A connection that is not connected yet, and `path` below the address.

        Raises WardlightError("bad-request") where the address is none.
        """
        parts = http_address(self.url)
        if parts is None:
            raise WardlightError("bad-request", "receiver.platform_url is not an http or https address")
        host, path = parts.hostname or "", f"{parts.path.rstrip('/')}{path}"
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port or 80, timeout=timeout), path
        context = ssl.create_default_context()
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        return _Named(host, parts.port or 443, timeout, context, self.verify_as or host), path


class _Named(http.client.HTTPSConnection):
    """HTTPS to one host, verified as another name."""

    def __init__(self, host: str, port: int, timeout: float, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._name = name

    def connect(self) -> None:
        """Connect and verify the certificate. Raises OSError, of which ssl.SSLError is one."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise
