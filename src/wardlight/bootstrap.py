"""The only place that builds adapters and services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import wardlight.agreements.tables
import wardlight.archive.tables
import wardlight.audit.tables
import wardlight.events.tables
import wardlight.identity.tables  # noqa: F401 - these imports put every table into the schema
from wardlight.access.model import SystemScope
from wardlight.access.service import Access
from wardlight.agreements.service import Agreements
from wardlight.archive.service import Archive
from wardlight.audit.denials import Denials
from wardlight.audit.recorder import Recorder
from wardlight.audit.sessions import ReadSessions, close_orphans
from wardlight.db.engine import Database, open_database
from wardlight.db.schema import create_all
from wardlight.identity.service import Identity
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.objects.local import LocalObjectStore
from wardlight.settings import Settings

#: What the worker acts as; its reason is in every entry that it writes.
WORKER: Final = SystemScope("worker")


@dataclass(frozen=True, slots=True)
class Platform:
    """The services of the platform, as every process but the receiver uses them."""

    settings: Settings
    database: Database
    keystore: Keystore
    objects: LocalObjectStore
    recorder: Recorder
    sessions: ReadSessions
    denials: Denials
    identity: Identity
    agreements: Agreements
    access: Access
    archive: Archive

    def housekeep(self) -> None:
        """What a process that serves must do every few seconds: end read sessions, write counts of denials."""
        self.sessions.sweep()
        self.denials.sweep()

    def work(self) -> int:
        """One round of the worker: complete quiet releases, end sessions of lost nodes. Returns how much was done."""
        return self.archive.complete(WORKER) + close_orphans(self.database, self.recorder)

    def sweep(self) -> int:
        """What the worker does each hour: remove what crashes left behind."""
        return self.archive.sweep(WORKER) + self.objects.sweep()

    def close(self) -> None:
        """End sessions and close databases."""
        self.sessions.close()
        self.denials.close()
        self.database.close()
        self.keystore.close()


def platform(settings: Settings) -> Platform:
    """Open, or make, everything in the data folder."""
    database = open_database(settings.index_url)
    create_all(database)
    keystore = Keystore(settings.keystore_path, settings.keyslots, KeyringKms(settings.root_path))
    objects = LocalObjectStore(settings.objects_dir)
    recorder = Recorder(settings.node, settings.base_url.split("://", 1)[-1], keystore)
    recorder.ensure_operator_log(database)
    sessions = ReadSessions(database, recorder)
    denials = Denials(database, recorder)
    return Platform(
        settings=settings,
        database=database,
        keystore=keystore,
        objects=objects,
        recorder=recorder,
        sessions=sessions,
        denials=denials,
        identity=Identity(database, recorder, keystore),
        agreements=Agreements(database, recorder),
        access=Access(denials),
        archive=Archive(database, keystore, objects, recorder, sessions, quiet_s=settings.completion_quiet_s),
    )
