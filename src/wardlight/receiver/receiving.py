"""What each process that receives has: database, spool with files of its own, registrar, gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wardlight.receiver.admission import RouteTable
from wardlight.receiver.agreed import AgreedTable
from wardlight.receiver.entries import Entries
from wardlight.receiver.intake import Intake, ReceiverGateway
from wardlight.receiver.places import database_path, open_spool, spool_dir
from wardlight.receiver.recovery import recover, recover_file
from wardlight.receiver.registrar import Registrar
from wardlight.receiver.secrets import load
from wardlight.receiver.store import ReceiverStore
from wardlight.settings import Settings

GRACE_S: Final = 10.0
"""Objects in progress may take so long to finish when the node ends, in seconds."""


class Receiving:
    """The node's, or a helper's of the node. on_failure: called if the process cannot go on.

    The node's recovers first what was left behind, so no helper may have begun by then.
    """

    def __init__(self, chosen: Settings, on_failure: Callable[[], None], *, helps: bool) -> None:
        secrets = load(chosen.receiver_secrets)
        entries = Entries(chosen.node)
        self.store = ReceiverStore(database_path(chosen))
        self._spool = open_spool(chosen)
        if not helps:
            recover(self.store, self._spool, secrets)
        self._registrar = Registrar(
            self.store,
            self._spool,
            entries,
            lambda file_id: recover_file(file_id, self.store, self._spool, secrets),
            on_failure,
            helps=helps,
        )
        self.gateway = ReceiverGateway(
            Intake(
                chosen.receiver,
                self._spool,
                spool_dir(chosen),
                RouteTable(self.store.database),
                AgreedTable(self.store.database),
                self._registrar,
                secrets,
                entries,
            )
        )

    def start(self) -> None:
        """Begin to enter what is received."""
        self._registrar.start()

    def stop(self) -> None:
        """The associations have ended: enter what they brought, then close the spool."""
        self.gateway.flush()
        self._registrar.stop()
        self._spool.close()
        self.store.close()
