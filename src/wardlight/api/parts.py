"""What of the platform the JSON API's handlers stand on."""

from __future__ import annotations

from dataclasses import dataclass

from wardlight.access.grants import Grants
from wardlight.access.service import Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.service import Agreements
from wardlight.agreements.sources import Sources
from wardlight.archive.service import Archive
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.identity.service import Identity
from wardlight.keys.keystore import Keystore
from wardlight.trail.application_entries import ApplicationEntries


@dataclass(frozen=True, slots=True)
class ApiParts:
    """Built by `bootstrap`; each service once for the process."""

    database: Database
    keystore: Keystore
    recorder: Recorder
    identity: Identity
    agreements: Agreements
    entitlements: Entitlements
    sources: Sources
    access: Access
    grants: Grants
    archive: Archive
    application_entries: ApplicationEntries
