"""Mails as they are sent: plain text, and the same as HTML. Nothing in them is patient data, nor opens anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final
from uuid import UUID

from wardlight import clock

#: Where a person changes what they get.
PAGE: Final = "/notifications"
_HTML: Final = """\
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{subject}</title></head>
<body style="margin:0;padding:24px;background:#f4f5f7;font-family:system-ui,-apple-system,'Segoe UI',sans-serif;color:#1c2430">
<table role="presentation" align="center" width="100%" style="max-width:560px;background:#ffffff;border:1px solid #dfe3e8;border-radius:8px">
<tr><td style="padding:20px 24px 4px;font-size:13px;color:#5b6675">Wardlight &middot; {institution}</td></tr>
{rows}
<tr><td style="padding:16px 24px 20px"><a href="{link}" style="display:inline-block;padding:9px 16px;background:#1f5fbf;color:#ffffff;text-decoration:none;border-radius:6px;font-size:14px">Open Wardlight</a></td></tr>
<tr><td style="padding:14px 24px;border-top:1px solid #dfe3e8;font-size:12px;color:#5b6675">You get this because you chose so. <a href="{settings}" style="color:#1f5fbf">Change or end these mails</a>; you will be asked to sign in.</td></tr>
</table></body></html>
"""  # noqa: E501 - as mail readers want it
_ROW: Final = (
    '<tr><td style="padding:10px 24px"><b style="font-size:16px">{title}</b>'
    '<div style="font-size:14px;padding-top:4px">{text}</div>'
    '<div style="font-size:12px;color:#5b6675;padding-top:4px">{source}{when}</div></td></tr>'
)


@dataclass(frozen=True, slots=True)
class Line:
    """One notification of a mail. source: name of the application, "" for the platform."""

    title: str
    text: str
    source: str
    created_ms: int


def letter(
    lines: Sequence[Line], institution: str, base_url: str, sender: str, to: str, number: UUID
) -> EmailMessage:
    """The mail of one notification, or of several. number: the same at each try, so that nobody shows it twice."""
    subject = lines[0].title if len(lines) == 1 else f"{len(lines)} notifications"
    message = _message(f"Wardlight: {subject}", sender, to, f"{number.hex}@{_host(sender)}")
    settings = f"{base_url}{PAGE}"
    message["List-Unsubscribe"] = f"<{settings}>"
    blocks = [f"{one.title}\n{one.text}\n{_source(one)}{_when(one)}" for one in lines]
    message.set_content(
        "\n\n".join(
            (
                *blocks,
                f"Open Wardlight: {base_url}/",
                f"Change or end these mails (after signing in): {settings}",
            )
        )
        + "\n"
    )
    rows = "\n".join(
        _ROW.format(
            title=escape(one.title), text=escape(one.text), source=escape(_source(one)), when=_when(one)
        )
        for one in lines
    )
    page = _HTML.format(
        subject=escape(subject),
        institution=escape(institution),
        rows=rows,
        link=escape(f"{base_url}/"),
        settings=escape(settings),
    )
    message.add_alternative(page, subtype="html")
    return message


def code(text: str, base_url: str, sender: str, to: str) -> EmailMessage:
    """The mail that shows that mail arrives."""
    message = _message("Wardlight: confirm your address", sender, to, "")
    message.set_content(
        f"Somebody signed in to Wardlight asks for notifications at this address.\n\n    {text}\n\n"
        f"Type this code at {base_url}{PAGE} within 30 minutes. If it was not you, do nothing: no mail will follow.\n"
    )
    return message


def _message(subject: str, sender: str, to: str, id_: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(subject.split())
    message["From"] = sender
    message["To"] = to
    message["Date"] = format_datetime(clock.now())
    if id_:
        message["Message-ID"] = f"<{id_}>"
    # Nobody's holiday answers it (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    return message


def _host(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"


def _source(one: Line) -> str:
    return f"{one.source}, " if one.source else ""


def _when(one: Line) -> str:
    return clock.timestamp_ms(one.created_ms)[:16].replace("T", " ") + " UTC"
