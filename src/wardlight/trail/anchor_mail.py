"""An anchor by mail: the signed head reaches mailboxes of the institution's choice (audit.md section 3)."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Final

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.smtp import Post, is_address

if TYPE_CHECKING:
    from wardlight.trail.anchors import Anchor, Deliver

#: Mailboxes of one anchor.
MOST: Final = 10
_TEXT: Final = """\
This is the signed head of an audit trail, sent so that it lies where the platform cannot change it. Keep this mail.

{note}
The attached file is the same: `wardlight audit verify BUNDLE --checkpoint {name}` shows whether a trail that is
shown to you later extends it. If one does not, something was changed or cut off: keep both, and ask.
"""


def mail_note(post: Post) -> Deliver:
    """Mails each note. A mailbox that did not take it gets it again, with those that did."""

    def deliver(one: Anchor, note: str) -> None:
        for address in addresses(one.target):
            post.send(_message(post.sender, address, note), address)

    return deliver


def addresses(target: str) -> list[str]:
    """The mailboxes of an anchor's target, with commas between. Raises `bad-request`."""
    found = [one.strip() for one in target.split(",")]
    if not all(is_address(one) for one in found) or len(found) > MOST:
        raise WardlightError("bad-request", f"the target is 1 to {MOST} e-mail addresses with commas between")
    return found


def _message(sender: str, to: str, note: str) -> EmailMessage:
    origin, size = note.split("\n", 2)[:2]
    name = f"checkpoint-{size}.txt"
    message = EmailMessage()
    message["Subject"] = f"Audit trail {origin}: head of {size} entries"
    message["From"] = sender
    message["To"] = to
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{origin.replace('/', '.')}.{size}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_TEXT.format(note=note, name=name))
    # As bytes: no mail server may break or join its lines.
    message.add_attachment(note.encode(), maintype="application", subtype="octet-stream", filename=name)
    return message
