"""What of the platform the JSON API's handlers stand on."""

from __future__ import annotations

from dataclasses import dataclass

from wardlight.access.grants import Grants
from wardlight.access.service import Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.service import Agreements
from wardlight.agreements.sources import Sources
from wardlight.archive.deletion import Deletion
from wardlight.archive.links import Links
from wardlight.archive.receipts import Receipts
from wardlight.archive.service import Archive
from wardlight.archive.viewing import ViewerLinks
from wardlight.audit.log import AuditLog
from wardlight.audit.recorder import Recorder
from wardlight.datamap.service import DataMaps
from wardlight.db.engine import Database
from wardlight.delivery.feed import Feed
from wardlight.delivery.webhooks import Webhooks
from wardlight.identity.applications import Applications
from wardlight.identity.clients import Clients
from wardlight.identity.enrolments import Enrolments
from wardlight.identity.factors import Factors
from wardlight.identity.federation import Federations
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.oidc_service import Provider
from wardlight.identity.people import People
from wardlight.identity.platform_keys import PlatformKeys
from wardlight.identity.rates import Rates
from wardlight.identity.service import Identity
from wardlight.identity.sign_in import SignIn
from wardlight.ingest.measurements import Measurements
from wardlight.ingest.quarantine import Quarantine
from wardlight.ingest.recipients import Recipients
from wardlight.ingest.sharing import Sharing
from wardlight.ingest.uploads import Uploads
from wardlight.keys.keystore import Keystore
from wardlight.machinedata.service import MachineData
from wardlight.machinedata.subscriptions import Subscriptions
from wardlight.notifications.definitions import Definitions
from wardlight.notifications.service import Notifications
from wardlight.trail.application_entries import ApplicationEntries
from wardlight.trail.witnesses import Witnesses


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
    applications: Applications
    clients: Clients
    access_tokens: AccessTokens
    platform_keys: PlatformKeys
    enrolments: Enrolments
    rates: Rates
    people: People
    provider: Provider
    federations: Federations
    factors: Factors
    sign_in: SignIn
    witnesses: Witnesses
    audit_log: AuditLog
    application_entries: ApplicationEntries
    sharing: Sharing
    recipients: Recipients
    uploads: Uploads
    quarantine: Quarantine
    deletion: Deletion
    receipts: Receipts
    links: Links
    viewer_links: ViewerLinks
    measurements: Measurements
    feed: Feed
    webhooks: Webhooks
    notifications: Notifications
    definitions: Definitions
    data_maps: DataMaps
    machine_data: MachineData
    machine_subscriptions: Subscriptions
    #: Of the receiver on this machine, where there is one.
    dicom_port: int | None = None
