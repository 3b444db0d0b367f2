"""The threads of one pipeline process that exchange small things with the platform.

They ship entries of the audit trail, witness the platform's log, and ask what the hospital has agreed to.
"""

from __future__ import annotations

import threading

from wardlight.receiver.asking import Asking
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import Exchange
from wardlight.receiver.followed import FollowedLogs
from wardlight.receiver.places import platform_address
from wardlight.receiver.shipping import Shipping
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.witness import Witness
from wardlight.settings import Settings


class Couriers:
    """All three threads. `stop` of the process ends them."""

    def __init__(self, chosen: Settings, store: ReceiverStore, stop: threading.Event) -> None:
        address, secrets_dir = platform_address(chosen), chosen.receiver_secrets
        logs = FollowedLogs(store, Entries(chosen.node))
        shipping = Shipping(Exchange(address, secrets_dir), store, stop)
        witness = Witness(Exchange(address, secrets_dir), logs, secrets_dir, stop)
        asking = Asking(Exchange(address, secrets_dir), store, stop)
        self._threads = [
            # Daemons: one may wait for a platform that does not answer, and what it was at is tried again.
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (("shipping", shipping.run), ("witness", witness.run), ("asking", asking.run))
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for them, a moment each."""
        for thread in self._threads:
            thread.join(2.0)
