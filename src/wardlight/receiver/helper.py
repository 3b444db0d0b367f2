"""A process that helps the DICOM node: serves the connections that it is handed, into spool files of its own.

Run by the node as `python -m wardlight.receiver.helper DESCRIPTOR`. It ends when the node says so or is gone, and by
no signal but SIGKILL: the node decides when all of them end.
"""

from __future__ import annotations

import json
import queue
import signal
import socket
import sys
from typing import Final

from wardlight import log, settings
from wardlight.keys.process import harden
from wardlight.receiver.associations import Associations
from wardlight.receiver.channel import Channel, Kind, Said
from wardlight.receiver.receiving import GRACE_S, Receiving
from wardlight.receiver.scp_association import Tally

_ANSWER_S: Final = 10.0
"""The node answers at once; one that does not is about to be gone, and nobody is let in."""


class _Place:
    """The place of a connection, which the node keeps."""

    def __init__(self, channel: Channel, number: int) -> None:
        self.tally = Tally()
        self.answer: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.over = False
        self._channel = channel
        self._number = number

    def associate(self) -> bool:
        """Ask the node."""
        try:
            self._channel.send(Said(Kind.ASK, self._number))
            return self.answer.get(timeout=_ANSWER_S)
        except (OSError, queue.Empty):
            return False

    def release(self) -> None:
        """Tell the node what was counted, and that it is over."""
        self.over = True
        try:
            self._channel.send(Said(Kind.ENDED, self._number, json.dumps(self.tally.snapshot())))
        except OSError:
            pass  # The node is gone, and its limits with it.


def serve(channel: Channel, associations: Associations) -> bool:
    """Do what the node says until it says STOP (True) or is gone (False)."""
    places: dict[int, _Place] = {}
    channel.send(Said(Kind.READY))
    while (said := channel.receive()) is not None:
        if said.kind is Kind.STOP:
            return True
        if said.kind is Kind.TAKE and said.descriptor is not None:
            places = {number: place for number, place in places.items() if not place.over}
            places[said.number] = place = _Place(channel, said.number)
            associations.serve(socket.socket(fileno=said.descriptor), said.text, place)
        elif said.kind in (Kind.YES, Kind.NO):
            places[said.number].answer.put(said.kind is Kind.YES)
    return False


def main() -> None:
    """Run until the node ends."""
    harden()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    chosen = settings.load()
    log.configure("receiver", level=chosen.log_level)
    chosen.refuse_unsafe()
    # A registrar that cannot go on takes the helper along, and with it the node: all are started anew.
    receiving = Receiving(chosen, channel.close, helps=True)
    receiving.start()
    associations = Associations(receiving.gateway, chosen.receiver)
    told = serve(channel, associations)
    associations.stop(GRACE_S if told else 0.0)
    receiving.stop()
    channel.close()


if __name__ == "__main__":
    main()
