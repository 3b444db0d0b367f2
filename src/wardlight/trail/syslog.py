"""Audit messages to a hospital's collector: syslog (RFC 5424) over TLS (RFC 5425), as PS3.15 A.6 asks.

Syslog has no answer: that a message was written says only that it left. `Link.send` waits until the collector's machine
has acknowledged every byte, and looks whether it hung up.
"""

from __future__ import annotations

import array
import fcntl
import re
import socket
import ssl
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from wardlight.audit.actions import Action
from wardlight.trail import dicom_message
from wardlight.trail.entry import Sealed

PORT: Final = 6514
#: Longest message without its frame, in bytes: what every collector of the profile must take.
MAX_MESSAGE: Final = 32_768
#: Names of messages that collectors know: PS3.15 A.6, and IHE ATNA.
MSGIDS: Final = ("DICOM+RFC3881", "IHE+RFC-3881")

_BOM: Final = b"\xef\xbb\xbf"
#: Facility 10 (security), severity 5 (notice); 4 (warning) for what was turned away and for alarms.
_NOTICE: Final = 85
_WARNING: Final = 84
_NOT_PRINTABLE: Final = re.compile(r"[^!-~]")

_TIMEOUT_S: Final = 10.0
#: Little lies between here and the collector at a time, so that little is lost where it breaks.
_BUFFER_BYTES: Final = 128 << 10


@dataclass(frozen=True, slots=True)
class Form:
    """What differs between collectors: the MSGID, and whether the text begins with a byte order mark."""

    msgid: str = MSGIDS[0]
    bom: bool = True


USUAL: Final = Form()


def frames(entry: Sealed, form: Form) -> list[bytes]:
    """The entry's messages, each with its length before it (RFC 6587 octet counting, as RFC 5425 has it)."""
    priority = _WARNING if entry.outcome == "denied" or entry.action == Action.AUDIT_LOG_ALARM else _NOTICE
    header = (
        f"<{priority}>1 {entry.recorded} {_word(entry.host, 255)} wardlight {_word(entry.text('node'), 128)}"
        f" {form.msgid} - "
    ).encode() + (_BOM if form.bom else b"")
    messages = dicom_message.messages(entry, MAX_MESSAGE - len(header))
    return [b"%d %b%b" % (len(header) + len(message), header, message) for message in messages]


def _word(text: str, most: int) -> str:
    return _NOT_PRINTABLE.sub("-", text)[:most] or "-"


def tls(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """Both sides show certificates; the collector's must be of this authority and of its name.

    Paths of PEM files. Raises OSError, of which ssl.SSLError is one, where they are not there or do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=ca)
    # With a password of its own OpenSSL does not ask for one on the terminal.
    context.load_cert_chain(certificate, key, password=b"")
    return context


class Link:
    """A connection to one collector."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Connect. Raises OSError; an ssl.SSLError where a certificate is not taken."""
        plain = socket.create_connection((host, port), timeout=_TIMEOUT_S)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._socket = context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, messages: Sequence[bytes]) -> None:
        """Write frames, and wait until the other machine has them. Raises OSError where that is not so."""
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.sendall(b"".join(messages))
        deadline = time.monotonic() + _TIMEOUT_S
        while self._unacknowledged():
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError("the collector takes nothing")
            time.sleep(0.002)
        self.check()

    def check(self) -> None:
        """Raise OSError where the collector has hung up."""
        self._socket.settimeout(0)
        try:
            while self._socket.recv(4096):
                pass  # Collectors have nothing to say.
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        raise ConnectionResetError("the collector hung up")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _unacknowledged(self) -> int:
        waiting = array.array("i", [0])
        fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0]
