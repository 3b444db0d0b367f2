"""Mail by SMTP (RFC 5321), to a server whose address is checked as of every outgoing request (security.md section 7).

Over TLS, from the first byte (RFC 8314) or by STARTTLS (RFC 3207), which must be offered; in clear only to this
machine. No name and no password goes out before the server has shown a certificate that is believed.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Final, Literal

from wardlight.egress import Egress, Refused, is_loopback

Security = Literal["starttls", "tls", "plain"]

#: Each step of the protocol takes at most so long, in seconds.
STEP_S: Final = 10.0
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_LONGEST: Final = 200


class NotSent(Refused):
    """The server did not take a mail. reason: a word; lasting: another try will not help."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Server:
    """The mail server of the operator's settings. user: "" where it asks for none. sender: From of every mail."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    name: str = field(default="localhost")
    """What the platform calls itself (EHLO)."""

    def unsafe(self) -> list[str]:
        """What must not be outside the demo."""
        reasons = []
        if not self.sender.isprintable() or not is_address(parseaddr(self.sender)[1]):
            reasons.append("mail.sender is not an address")
        if self.security == "plain" and not is_loopback(self.host):
            reasons.append("mail.security is plain, and mail.host is not this machine")
        if bool(self.user) != (self.password_file is not None):
            reasons.append("mail.user and mail.password_file go together")
        if self.password_file is not None:
            try:
                if self.password_file.stat().st_mode & 0o077:
                    reasons.append("mail.password_file can be read by others than its owner")
            except OSError:
                reasons.append("mail.password_file cannot be read")
        return reasons


def is_address(text: str) -> bool:
    """Whether this is one plain mailbox, in ASCII: no name, no list, no quoting."""
    return len(text) <= _LONGEST and _ADDRESS.fullmatch(text) is not None


class Post:
    """Hands mails to the server, one connection each."""

    def __init__(self, server: Server, egress: Egress) -> None:
        self._server = server
        self._egress = egress

    @property
    def sender(self) -> str:
        """From of every mail."""
        return self._server.sender

    def send(self, message: EmailMessage, to: str) -> None:
        """Hand over one mail. Raises OSError where that failed, of which `NotSent` says why the server refused it."""
        server = self._server
        plain = self._egress.connect(server.host, server.port, local=server.security == "plain")
        try:
            stream = plain
            plain.settimeout(STEP_S)
            if server.security == "tls":
                stream = self._context().wrap_socket(plain, server_hostname=server.host)
            self._converse(stream, message, to)
        except smtplib.SMTPException as error:
            raise _refused(error) from None
        finally:
            plain.close()

    def _converse(self, stream: socket.socket, message: EmailMessage, to: str) -> None:
        server = self._server
        with _Connected(stream, server.host, server.port, server.name) as client:
            if server.security == "starttls":
                client.ehlo()
                if not client.has_extn("starttls"):
                    raise NotSent("no-starttls")
                client.starttls(context=self._context())
            if server.user:
                client.login(server.user, self._password())
            client.send_message(message, from_addr=parseaddr(server.sender)[1], to_addrs=[to])

    def _password(self) -> str:
        if self._server.password_file is None:
            return ""
        return self._server.password_file.read_text("utf-8").strip("\r\n")

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca_file)


class _Connected(smtplib.SMTP):
    """The library's client on a connection that is there: it neither resolves nor connects."""

    def __init__(self, stream: socket.socket, host: str, port: int, name: str) -> None:
        self._stream = stream
        super().__init__(host, port, local_hostname=name, timeout=STEP_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - as the library asks
        return self._stream


def _refused(error: smtplib.SMTPException) -> NotSent:
    """The server's refusal as a word and its number, without its text, in which an address may stand."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return NotSent(f"smtp-{codes[0]}", lasting=500 <= codes[0] < 600)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return NotSent("smtp-login")
    if isinstance(error, smtplib.SMTPResponseException):
        lasting = isinstance(error, smtplib.SMTPDataError) and 500 <= error.smtp_code < 600
        return NotSent(f"smtp-{error.smtp_code}", lasting=lasting)
    return NotSent("smtp")
