"""A mail server that speaks SMTP on a socket, and a hospital whose people are told of what happens."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from platform_kit import a_platform
from share_kit import ACME, Hospital
from wardlight.access.model import Operation, Principal, PrincipalKind, Role, Scope, TokenScope
from wardlight.audit.actions import Action
from wardlight.identity.model import Person
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.notifications.model import Definition, Mail, Permission, Preference
from wardlight.settings import MailSettings

SENDER = "Wardlight <ward@hospital.example>"
BY = LOCAL_ADMINISTRATOR


@dataclass
class MailServer:
    """What it was told. answer: what is answered to a recipient. secure: whether TLS was on when the mail came."""

    answer: Callable[[str], str] = lambda _to: "250 ok"
    context: ssl.SSLContext | None = None
    offers_tls: bool = True
    at_once: bool = False
    got: list[tuple[str, EmailMessage]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1/32:{self.port}"

    def to(self, address: str) -> list[EmailMessage]:
        return [message for recipient, message in self.got if recipient == address]

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                stream, _ = listening.accept()
            except OSError:
                return
            stream.settimeout(5)
            try:
                self._converse(stream)
            except (OSError, ssl.SSLError):
                pass
            finally:
                stream.close()

    def _converse(self, stream: socket.socket) -> None:
        tls = self.at_once
        if tls and self.context:
            stream = self.context.wrap_socket(stream, server_side=True)
        lines = stream.makefile("rb")
        say = lambda text: stream.sendall(text.encode() + b"\r\n")  # noqa: E731
        say("220 mail.example")
        to = ""
        while line := lines.readline():
            text = line.decode().rstrip("\r\n")
            word = text.split(" ", 1)[0].upper()
            self.commands.append(word)
            if word == "EHLO":
                offered = self.context is not None and not tls and self.offers_tls
                say("250-mail.example")
                say("250-STARTTLS" if offered else "250-SIZE 1000000")
                say("250 AUTH PLAIN")
            elif word == "STARTTLS" and self.context:
                say("220 go on")
                stream = self.context.wrap_socket(stream, server_side=True)
                lines, tls = stream.makefile("rb"), True
            elif word == "AUTH":
                _, name, password = base64.b64decode(text.split(" ")[2]).split(b"\0")
                self.logins.append((name.decode(), password.decode()))
                say("235 welcome" if password == b"right" else "535 no")
            elif word == "RCPT":
                to = text.partition("<")[2].partition(">")[0]
                say(self.answer(to))
            elif word == "DATA":
                say("354 go on")
                self._take(lines, to, tls=tls)
                say("250 taken")
            else:
                say("221 bye" if word == "QUIT" else "250 ok")

    def _take(self, lines: Any, to: str, *, tls: bool) -> None:
        data = bytearray()
        while (line := lines.readline()) != b".\r\n":
            data += line[1:] if line.startswith(b".") else line
        message: Any = email.message_from_bytes(bytes(data), policy=email.policy.default)
        self.got.append((to, message))
        self.secure.append(tls)


@contextmanager
def a_mail_server(**options: Any) -> Iterator[MailServer]:
    server = MailServer(**options)
    listening = socket.create_server(("127.0.0.1", 0))
    server.port = listening.getsockname()[1]
    threading.Thread(target=server.serve, args=(listening,), daemon=True).start()
    try:
        yield server
    finally:
        listening.close()


def mail_settings(server: MailServer, **more: Any) -> dict[str, Any]:
    """Settings of a platform that mails by it, in clear on this machine."""
    mail = MailSettings(host="127.0.0.1", port=server.port, security="plain", sender=SENDER, **more)
    return {"mail": mail, "outgoing_targets": (server.target,)}


class Ward(Hospital):
    """A hospital with somebody of each role."""

    def __init__(self, platform: Any) -> None:
        super().__init__(platform)
        self.people = {
            role: platform.identity.create_person(self.institution.id, f"{role}@x.example", role, role, by=BY)
            for role in Role
            if role not in (Role.OPERATOR, Role.RESEARCHER)
        } | {Role.RESEARCHER: self.colleague}
        # What making the hospital told.
        platform.producer.work()
        for role in self.people:
            platform.notifications.mark(self.own(role), None)

    def own(self, who: Role | Person, action: Action = Action.NOTIFY_BELL_READ) -> Scope:
        """A scope of somebody over what is their own."""
        person = self.people[who] if isinstance(who, Role) else who
        principal = self.as_person(person.id, person.role)
        return self.may(action, principal, Operation.OWN)

    def application(self, action: Action = Action.NOTIFY_MESSAGE_SEND, application: str = ACME) -> Scope:
        principal = self.as_application(application, TokenScope.NOTIFICATIONS_SEND)
        return self.may(action, principal, Operation.NOTIFY)

    def bell(self, who: Role | Person) -> list[str]:
        """Names of what somebody has not read, newest first."""
        rows, count = self.platform.notifications.page(self.own(who), None, 100, unread=True)
        assert count == len(rows)
        return [row.item.name for row in rows]

    def shown(self, who: Role | Person) -> list[tuple[str, str]]:
        rows, _ = self.platform.notifications.page(self.own(who), None, 100, unread=True)
        return [(row.title, row.text) for row in rows]

    def prefer(self, who: Role, name: str, mail: Mail, *, bell: bool = True, application: str = "") -> None:
        scope = self.own(who, Action.NOTIFY_PREFERENCE_CHANGE)
        self.platform.notifications.choose(scope, (application, name), Preference(bell, mail))

    def confirm(self, who: Role, server: MailServer, address: str) -> None:
        """Have somebody's mail go there."""
        notifications, scope = self.platform.notifications, self.own(who, Action.NOTIFY_PREFERENCE_CHANGE)
        notifications.set_address(scope, address)
        notifications.confirm(scope, code_of(server.to(address)[-1]))
        server.got.clear()

    def define(self, name: str = "result-ready", **changes: Any) -> Definition:
        wanted = Definition(
            **{
                "application": ACME,
                "name": name,
                "version": 0,
                "title": "{application} found something",
                "text": "{count} results of {date} wait at {institution}.",
                "permission": Permission.IMAGES,
                **changes,
            }
        )
        return self.platform.definitions.register(self.application(Action.NOTIFY_DEFINITION_CHANGE), wanted)

    def send(self, name: str = "result-ready", **more: Any) -> Any:
        values = {"count": 2, "date": "2026-11-24T08:00:00Z"}
        return self.platform.definitions.send(self.application(), name, more.pop("values", values), **more)


def code_of(message: EmailMessage) -> str:
    """The code that a mail brings."""
    return next(line.strip() for line in text_of(message).splitlines() if line.startswith("    "))


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return part.get_content()


@contextmanager
def a_ward(server: MailServer | None = None, **settings: Any) -> Iterator[Ward]:
    with a_platform(**(mail_settings(server) if server else {}), **settings) as platform:
        yield Ward(platform)


def password_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def stranger(institution: Any) -> Principal:
    return Principal(PrincipalKind.PERSON, "u-0", institution, Role.CLINICIAN, frozenset(TokenScope), "ref")
