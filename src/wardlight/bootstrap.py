"""The only place that builds adapters and services: one function per process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import literal, select

import wardlight.access.tables
import wardlight.agreements.tables
import wardlight.archive.deletion_tables
import wardlight.archive.share_tables
import wardlight.archive.tables
import wardlight.archive.upload_tables
import wardlight.audit.tables
import wardlight.events.tables
import wardlight.identity.application_tables
import wardlight.identity.federation_tables
import wardlight.identity.oidc_tables
import wardlight.identity.people_tables
import wardlight.identity.rates_tables
import wardlight.identity.tables
import wardlight.trail.application_tables  # noqa: F401 - these imports put every table into the schema
from wardlight.access.grants import Grants
from wardlight.access.model import SystemScope
from wardlight.access.service import Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.entitlements_store import is_subscribed
from wardlight.agreements.service import Agreements
from wardlight.agreements.sources import Sources
from wardlight.api.parts import ApiParts
from wardlight.archive.deletion import Deletion
from wardlight.archive.deletion_work import DeletionWork, Places
from wardlight.archive.links import Links
from wardlight.archive.open_reads import OpenReads
from wardlight.archive.receipts import Receipts
from wardlight.archive.service import Archive
from wardlight.archive.tombstones import NAME as TOMBSTONES
from wardlight.archive.tombstones import Tombstones
from wardlight.audit.denials import Denials
from wardlight.audit.generations import Generations
from wardlight.audit.log import AuditLog
from wardlight.audit.model import Actor
from wardlight.audit.node import ClockCheck, migrations
from wardlight.audit.recorder import Recorder
from wardlight.audit.retention import Retention
from wardlight.audit.sealer import Sealer
from wardlight.audit.sessions import ReadSessions
from wardlight.audit.signer import Signer
from wardlight.db.engine import Database, open_database
from wardlight.db.schema import SCHEMA_VERSION, ensure, require_wall
from wardlight.decoding.pool import DecoderPool
from wardlight.delivery.deliver import Deliverer
from wardlight.delivery.feed import Feed
from wardlight.delivery.secrets import Secrets as WebhookSecrets
from wardlight.delivery.webhooks import Webhooks
from wardlight.egress import Egress, Rules, parse_targets
from wardlight.identity.applications import Applications
from wardlight.identity.clients import Clients
from wardlight.identity.enrolments import Enrolments
from wardlight.identity.factors import Factors
from wardlight.identity.federation import Federations
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.model import OPERATORS
from wardlight.identity.oidc_farewell import Farewells
from wardlight.identity.oidc_keys import TokenKeys
from wardlight.identity.oidc_service import Provider
from wardlight.identity.people import People
from wardlight.identity.platform_keys import PlatformKeys
from wardlight.identity.rates import Rates
from wardlight.identity.service import LOCAL_ADMINISTRATOR, Identity
from wardlight.identity.sign_in import SignIn
from wardlight.ingest.copying import Copier
from wardlight.ingest.sharing import Sharing
from wardlight.ingest.upload_work import UploadWork
from wardlight.ingest.uploads import Limits, Uploads
from wardlight.installation import require_whole
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import Epochs
from wardlight.keys.files import replace_private
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.keys.oidc_keys import TokenUse
from wardlight.objects.local import LocalObjectStore
from wardlight.objects.store import ObjectStore
from wardlight.settings import Settings
from wardlight.trail.anchor_syslog import deliver_syslog
from wardlight.trail.anchors import Anchors, append_file, post_https
from wardlight.trail.application_entries import ApplicationEntries
from wardlight.trail.collectors import Collectors
from wardlight.trail.forward import Forwarder
from wardlight.trail.parts import Parts
from wardlight.trail.witnesses import Witnesses

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader

#: What the worker acts as; its reason is in every entry that it writes.
WORKER: Final = SystemScope("worker")
#: Who changes a schema where nobody has asked for it by `wardlight migrate`.
_STARTING: Final = Actor("system", "start")


@dataclass(frozen=True, slots=True)
class Platform:
    """The services of the platform, as every process but the receiver uses them."""

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
    def parts(self) -> Parts:
        """What the audit trail's readers use."""
        host = self.settings.base_url.split("://", 1)[-1]
        return Parts(
            self.database,
            self.keystore,
            self.recorder,
            self.sessions,
            self.identity,
            self.audit_log,
            host,
        )

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
    def deletion(self) -> Deletion:
        """Begins deletions and tells of them."""
        return Deletion(self.database, self.keystore, self.recorder, self.grants)

    @property
    def deletion_work(self) -> DeletionWork:
        """Carries deletions on."""
        places = Places(self.database, self.keystore, self.objects, self.recorder)
        return DeletionWork(places, self.epochs, self.tombstones)

    @property
    def receipts(self) -> Receipts:
        """Issues receipts of deletions."""
        return Receipts(self.database, self.recorder, self.signer, self.audit_log)

    @property
    def egress(self) -> Egress:
        """Sends requests to others, where the operator lets them go."""
        return _egress(self.settings)

    @property
    def feed(self) -> Feed:
        """Events as applications read them."""
        return Feed(self.database, self.recorder, self.sessions, self.settings.event_days)

    @property
    def webhooks(self) -> Webhooks:
        """Where applications want events sent to."""
        secrets = WebhookSecrets(self.keystore)
        return Webhooks(self.database, self.recorder, self.rates, secrets, self.egress)

    @property
    def applications(self) -> Applications:
        """Partner applications."""
        return Applications(self.database, self.recorder)

    @property
    def enrolments(self) -> Enrolments:
        """How receivers come to be known."""
        return Enrolments(self.database, self.recorder, PlatformKeys(self.keystore))

    @property
    def sharing(self) -> Sharing:
        """Takes wishes to share a study, and carries them out."""
        return Sharing(
            self.database,
            self.recorder,
            self.archive,
            Copier(self.archive, self.keystore, lambda institution: text_reader(self.settings, institution)),
            self.access,
            self.agreements,
            self.entitlements,
            self.grants,
        )

    @property
    def uploads(self) -> Uploads:
        """Takes uploads by people."""
        limits = self.settings.uploads
        return Uploads(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.access,
            self.agreements,
            Limits(limits.file_bytes, limits.count, limits.total_bytes, limits.hours),
        )

    @property
    def upload_work(self) -> UploadWork:
        """Protects what people uploaded."""
        return UploadWork(
            self.database,
            self.recorder,
            self.keystore,
            self.objects,
            self.archive,
            self.agreements,
            self.uploads,
            lambda institution: text_reader(self.settings, institution),
        )

    @property
    def people(self) -> People:
        """People of institutions."""
        return People(self.database, self.recorder, self.identity.sessions)

    @property
    def factors(self) -> Factors:
        """What people prove themselves with beside a password."""
        return Factors(self.database, self.recorder, self.keystore, self.identity.sessions)

    @property
    def sign_in(self) -> SignIn:
        """The ways in."""
        return SignIn(
            self.database, self.recorder, self.denials, self.rates, self.identity.sessions, self.factors
        )

    @property
    def provider(self) -> Provider:
        """Signs people in to partner applications."""
        keys = TokenKeys(self.database, self.recorder, self.keystore, TokenUse.PROVIDER)
        return Provider(self.database, self.recorder, keys, self.settings.base_url, is_subscribed)

    @property
    def farewells(self) -> Farewells:
        """Tells partner applications who signed out."""
        provider = self.provider
        return Farewells(self.database, self.recorder, provider.keys, self.egress, provider.issuer)

    @property
    def federations(self) -> Federations:
        """Sign-in by institutions' own providers."""
        keys = TokenKeys(self.database, self.recorder, self.keystore, TokenUse.FEDERATION)
        return Federations(
            self.database,
            self.recorder,
            self.denials,
            self.keystore,
            self.identity,
            keys,
            self.egress,
            self.settings.base_url,
        )

    @property
    def api(self) -> ApiParts:
        """What the handlers of the JSON API use."""
        return ApiParts(
            database=self.database,
            keystore=self.keystore,
            recorder=self.recorder,
            identity=self.identity,
            agreements=self.agreements,
            entitlements=self.entitlements,
            sources=self.sources,
            access=self.access,
            grants=self.grants,
            archive=self.archive,
            applications=self.applications,
            clients=Clients(self.database, self.denials, self.rates),
            access_tokens=AccessTokens(self.database, self.recorder),
            platform_keys=PlatformKeys(self.keystore),
            enrolments=self.enrolments,
            rates=self.rates,
            people=self.people,
            provider=self.provider,
            federations=self.federations,
            factors=self.factors,
            sign_in=self.sign_in,
            witnesses=self.witnesses,
            audit_log=self.audit_log,
            application_entries=ApplicationEntries(self.database, self.recorder, self.rates),
            sharing=self.sharing,
            uploads=self.uploads,
            deletion=self.deletion,
            receipts=self.receipts,
            links=Links(self.database, self.keystore, self.recorder, self.access),
            feed=self.feed,
            webhooks=self.webhooks,
            dicom_port=self.settings.own_dicom_port,
        )

    @property
    def witnesses(self) -> Witnesses:
        """Who cosigns the heads of the logs."""
        return Witnesses(self.database, self.recorder, self.audit_log)

    @property
    def anchors(self) -> Anchors:
        """Where heads are brought to."""
        kinds = {
            "file": append_file,
            "https": post_https,
            "syslog": deliver_syslog(self.collectors),
        }
        return Anchors(self.database, self.recorder, self.audit_log, kinds)

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


def platform(settings: Settings, *, create: bool = True, migrate: bool = False) -> Platform:
    """Open, or make, everything in the data folder. create: as `require_whole` has it; migrate: as `schema.ensure`."""
    require_whole(settings, create=create)
    database = _database(settings)
    host = settings.base_url.split("://", 1)[-1]
    ensure(database, migrate=migrate, migrated=migrations(Recorder(settings.node, host, None), _STARTING))
    if not settings.demo:
        require_wall(database)
    keystore = Keystore(settings.keystore_path, settings.keyslots, KeyringKms(settings.root_path))
    objects = _objects(settings)
    recorder = Recorder(settings.node, host, keystore)
    recorder.ensure_operator_log(database)
    clock = ClockCheck(database, recorder)
    clock.check()
    sessions = ReadSessions(database, recorder)
    denials = Denials(database, recorder)
    signer = Signer(keystore)
    audit_log = AuditLog(database, signer)
    collectors = Collectors(database, recorder, audit_log)
    identity = Identity(database, recorder, keystore, plain_receivers=settings.demo)
    identity.ensure_operator()
    entitlements = Entitlements(database, recorder)
    grants = Grants(database, recorder, entitlements)
    if len(settings.keyslots) > 1:
        for institution in identity.institutions():
            keystore.ensure_institution(institution.id)  # Fills a mirror that is new or was emptied.
        keystore.ensure_institution(OPERATORS)
    return Platform(
        settings=settings,
        database=database,
        keystore=keystore,
        objects=objects,
        recorder=recorder,
        clock=clock,
        sessions=sessions,
        denials=denials,
        signer=signer,
        sealer=Sealer(database, recorder, signer),
        audit_log=audit_log,
        generations=Generations(database, recorder, signer),
        retention=Retention(database, recorder),
        collectors=collectors,
        forwarder=Forwarder(collectors, audit_log),
        identity=identity,
        rates=Rates(database),
        agreements=Agreements(database, recorder),
        entitlements=entitlements,
        sources=Sources(database, recorder),
        access=Access(database, denials),
        grants=grants,
        open_reads=OpenReads(database, recorder),
        archive=Archive(
            database,
            keystore,
            objects,
            recorder,
            sessions,
            quiet_s=settings.completion_quiet_s,
            completed=grants.completed,
        ),
        deliverer=Deliverer(
            database, recorder, WebhookSecrets(keystore), _egress(settings), settings.webhook_days
        ),
    )


def _egress(settings: Settings) -> Egress:
    own = urlsplit(settings.base_url).hostname or ""
    return Egress(Rules(parse_targets(settings.outgoing_targets), own))


def _database(settings: Settings) -> Database:
    return open_database(
        settings.index_url,
        connections=settings.database_connections,
        timeout_s=settings.database_timeout_s,
    )


def _objects(settings: Settings) -> ObjectStore:
    """The object store that the settings name, which has answered."""
    if not settings.objects_url:
        return LocalObjectStore(settings.objects_dir)
    from wardlight.objects.s3 import S3ObjectStore, S3Place, parse_url  # obstore takes a while to load

    bucket, prefix = parse_url(settings.objects_url)
    s3 = settings.s3
    place = S3Place(
        bucket, prefix, s3.region, s3.endpoint, s3.credentials_file, s3.ca_file, s3.timeout_s, s3.retries
    )
    objects = S3ObjectStore(place, os.environ)
    objects.check()
    return objects


def decoder_pool(settings: Settings) -> DecoderPool:
    """The processes that decode images. Raises `settings-unsafe` where they cannot be confined and must be."""
    return DecoderPool(
        settings.decoders or min(4, os.cpu_count() or 1),
        allow_unsandboxed=settings.demo or settings.allow_unsandboxed_decoders,
    )


def text_reader(settings: Settings, institution: UUID) -> TextReader:
    """Looks for text in the pixels of an institution; its process starts with the first frame that needs it."""
    # Loads numpy, which the web process can do without.
    from wardlight.decoding.pixel_reader import TextReader

    unsandboxed = settings.demo or settings.allow_unsandboxed_decoders
    return TextReader(1, allow_unsandboxed=unsandboxed, institution=institution)


def migrate(settings: Settings) -> int:
    """`wardlight migrate`: bring the index database to this version's schema, which is returned."""
    database = _database(settings)
    host = settings.base_url.split("://", 1)[-1]
    try:
        migrated = migrations(Recorder(settings.node, host, None), LOCAL_ADMINISTRATOR)
        ensure(database, migrate=True, migrated=migrated)
    finally:
        database.close()
    return SCHEMA_VERSION
