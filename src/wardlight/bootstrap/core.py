"""What was opened, and the services that keep something open, as every process but the receiver shares them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import literal, select

from wardlight.access.grants import Grants
from wardlight.access.service import Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.service import Agreements
from wardlight.agreements.sources import Sources
from wardlight.archive.open_reads import OpenReads
from wardlight.archive.service import Archive
from wardlight.archive.tombstones import NAME as TOMBSTONES
from wardlight.archive.tombstones import Tombstones
from wardlight.audit.denials import Denials
from wardlight.audit.generations import Generations
from wardlight.audit.log import AuditLog
from wardlight.audit.node import ClockCheck
from wardlight.audit.recorder import Recorder
from wardlight.audit.retention import Retention
from wardlight.audit.sealer import Sealer
from wardlight.audit.sessions import ReadSessions
from wardlight.audit.signer import Signer
from wardlight.bootstrap import adapters
from wardlight.db.engine import Database
from wardlight.delivery.deliver import Deliverer
from wardlight.egress import Egress
from wardlight.identity.rates import Rates
from wardlight.identity.service import Identity
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import Epochs
from wardlight.keys.files import replace_private
from wardlight.keys.keystore import Keystore
from wardlight.objects.store import ObjectStore
from wardlight.settings import Settings
from wardlight.trail.collectors import Collectors
from wardlight.trail.forward import Forwarder


@dataclass(frozen=True, slots=True)
class Core:
    """What every process but the receiver opens once."""

    settings: Settings
    database: Database
    keystore: Keystore
    objects: ObjectStore
    recorder: Recorder
    clock: ClockCheck
    sessions: ReadSessions
    denials: Denials
    signer: Signer
    sealer: Sealer
    audit_log: AuditLog
    generations: Generations
    retention: Retention
    collectors: Collectors
    forwarder: Forwarder
    identity: Identity
    rates: Rates
    agreements: Agreements
    entitlements: Entitlements
    sources: Sources
    access: Access
    grants: Grants
    open_reads: OpenReads
    archive: Archive
    deliverer: Deliverer

    @property
    def tombstones(self) -> Tombstones:
        """Files that tell which keys were destroyed."""
        return Tombstones(
            self.database, self.keystore, self.recorder, self.signer, self.audit_log, self.objects
        )

    @property
    def epochs(self) -> Epochs:
        """Rolls epoch keys."""
        return Epochs(self.keystore, self.settings.keystore_copies_dir)

    def ship_keystore(self) -> int:
        """Copy the keystore to where its copies are kept, with its tombstones beside it, if there is anything new."""
        folder = self.settings.keystore_copies_dir
        if folder is None or Copies(self.keystore, folder).ship() is None:
            return 0
        replace_private(folder / TOMBSTONES, self.tombstones.written(self.keystore.tombstones()))
        return 1

    @property
    def egress(self) -> Egress:
        """Sends requests to others, where the operator lets them go."""
        return adapters.egress(self.settings)

    def check_database(self) -> None:
        """Raise unless the index database answers."""
        with self.database.read() as tx:
            tx.execute(select(literal(1)))

    def check_keystore(self) -> None:
        """Raise unless the keystore answers."""
        self.keystore.ping()

    def close(self) -> None:
        """End sessions and close databases."""
        self.forwarder.close()
        self.deliverer.close()
        self.sessions.close()
        self.denials.close()
        self.database.close()
        self.keystore.close()
