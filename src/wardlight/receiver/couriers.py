"""The threads of one pipeline process that exchange small things with the platform.

They ship entries of the audit trail, witness the platform's log, ask what the hospital has agreed to, hand results
of one application to another, and tell how the receiver is.
"""

from __future__ import annotations

import threading

from wardlight.decoding.pixel_reader import TextReader
from wardlight.receiver.anew import Maker
from wardlight.receiver.asking import Asking
from wardlight.receiver.entries import Entries
from wardlight.receiver.exchange import Exchange
from wardlight.receiver.followed import FollowedLogs
from wardlight.receiver.handing import SCOPE, Handing
from wardlight.receiver.measures import Measures
from wardlight.receiver.places import open_spool, platform_address, vault_path
from wardlight.receiver.protect import Protector
from wardlight.receiver.secrets import load
from wardlight.receiver.shipping import Shipping
from wardlight.receiver.site_profiles import site_profiles
from wardlight.receiver.status import status
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.upload import Platform
from wardlight.receiver.vault import Vault
from wardlight.receiver.witness import Witness
from wardlight.settings import Settings


class Couriers:
    """All five threads. `stop` of the process ends them."""

    def __init__(self, chosen: Settings, store: ReceiverStore, stop: threading.Event) -> None:
        address, secrets_dir = platform_address(chosen), chosen.receiver_secrets
        logs = FollowedLogs(store, Entries(chosen.node))
        shipping = Shipping(Exchange(address, secrets_dir), store, stop)
        witness = Witness(Exchange(address, secrets_dir), logs, secrets_dir, stop)
        asking = Asking(Exchange(address, secrets_dir), store, stop)
        measures = Measures(Exchange(address, secrets_dir), lambda: status(chosen, ask_platform=False), stop)
        # Of its own: those of the pipeline are for its thread. The reader's process starts with the first frame.
        secrets = load(secrets_dir)
        self._vault = Vault(vault_path(chosen), secrets)
        self._reader = TextReader(1, allow_unsandboxed=chosen.demo or chosen.allow_unsandboxed_decoders)
        profiles = site_profiles(chosen.receiver.profiles)
        protector = Protector(open_spool(chosen), secrets, self._vault, self._reader, profiles)
        handing = Handing(
            Exchange(address, secrets_dir, SCOPE),
            Platform(address, secrets_dir),
            Maker(self._vault, secrets, protector),
            self._vault,
            store,
            Entries(chosen.node),
            stop,
            secrets_dir,
        )
        self._threads = [
            # Daemons: one may wait for a platform that does not answer, and what it was at is tried again.
            threading.Thread(target=run, name=name, daemon=True)
            for name, run in (
                ("shipping", shipping.run),
                ("witness", witness.run),
                ("asking", asking.run),
                ("handing", handing.run),
                ("measures", measures.run),
            )
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for them, a moment each."""
        for thread in self._threads:
            thread.join(2.0)
        self._reader.close()
        self._vault.close()
