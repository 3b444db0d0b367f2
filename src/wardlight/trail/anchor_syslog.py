"""Heads of logs as syslog messages, to a collector that the log's entries may go to as well.

The message is one line: the origin, the size, and the whole note in base64, since a collector may change line ends.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from wardlight import clock
from wardlight.audit.note import Note
from wardlight.errors import WardlightError
from wardlight.trail import syslog
from wardlight.trail.anchors import Anchor, Deliver
from wardlight.trail.collectors import Collectors

#: MSGID of these messages.
MSGID: Final = "AUDIT-CHECKPOINT"


def deliver_syslog(collectors: Collectors) -> Deliver:
    """Sends to the log's collector of the anchor's name, with its certificates (`wardlight admin audit-forward`)."""

    def deliver(one: Anchor, note: str) -> None:
        place = next(
            (found.place for found in collectors.of(one.institution) if found.place.name == one.target), None
        )
        if place is None:
            raise WardlightError("not-found", "the log has no collector of this name")
        context = syslog.tls(place.ca, place.certificate, place.key)
        with syslog.Link(place.host, place.port, context) as link:
            link.send([frame(note)])

    return deliver


def frame(note: str) -> bytes:
    """The note's message (RFC 5424) with its length before it (RFC 5425)."""
    head = Note.parse(note)
    host = head.origin.partition("/")[0].rpartition(":")[0] or head.origin.partition("/")[0]
    words = f"origin={head.origin} size={head.size} note={b64encode(note.encode()).decode()}"
    message = f"<85>1 {clock.timestamp()} {host} wardlight - {MSGID} - {words}".encode()
    return b"%d %b" % (len(message), message)
