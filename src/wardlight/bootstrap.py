"""The only place that builds adapters and services: one function per process."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import literal, select

import wardlight.access.tables
import wardlight.agreements.tables
import wardlight.archive.deletion_tables
import wardlight.archive.share_tables
import wardlight.archive.tables
import wardlight.audit.tables
import wardlight.events.tables
import wardlight.identity.application_tables
import wardlight.identity.federation_tables
import wardlight.identity.oidc_tables
import wardlight.identity.people_tables
import wardlight.identity.rates_tables
import wardlight.identity.tables
import wardlight.trail.application_tables  # noqa: F401 - these imports put every table into the schema
from wardlight import log
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
from wardlight.audit.actions import Action
from wardlight.audit.denials import Denials
from wardlight.audit.generations import Generations
from wardlight.audit.log import AuditLog
from wardlight.audit.model import Actor
from wardlight.audit.node import ClockCheck, NodeTrail, migrations
from wardlight.audit.recorder import Recorder
from wardlight.audit.retention import Retention
from wardlight.audit.sealer import ROUND as SEAL_ROUND
from wardlight.audit.sealer import Sealer
from wardlight.audit.sessions import ReadSessions, close_orphans
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
from wardlight.installation import require_whole
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import Epochs
from wardlight.keys.files import replace_private
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.keys.oidc_keys import TokenUse
from wardlight.keys.process import harden
from wardlight.objects.local import LocalObjectStore
from wardlight.objects.store import ObjectStore
from wardlight.settings import UNTOLD, Settings
from wardlight.supervisor import is_supervised, wait_for_gate
from wardlight.trail.anchor_syslog import deliver_syslog
from wardlight.trail.anchors import Anchors, append_file, post_https
from wardlight.trail.application_entries import ApplicationEntries
from wardlight.trail.collectors import Collectors
from wardlight.trail.forward import Forwarder
from wardlight.trail.parts import Parts
from wardlight.trail.witnesses import Witnesses

#: How often a process that serves ends read sessions and writes counts of denials, in seconds.
_HOUSEKEEPING_S: Final = 5.0
#: Pause between two rounds of the worker, in seconds, and how many rounds lie between two sweeps (an hour).
_ROUND_S: Final = 1.0
#: Pause between two rounds of what is sent to witnesses and anchors, in seconds.
_SEND_S: Final = 5.0
_SWEEP_ROUNDS: Final = 3600

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
            Copier(self.archive, self.keystore),
            self.access,
            self.agreements,
            self.entitlements,
            self.grants,
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
            deletion=self.deletion,
            receipts=self.receipts,
            links=Links(self.database, self.keystore, self.recorder, self.access),
            feed=self.feed,
            webhooks=self.webhooks,
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

    def housekeep(self) -> int:
        """What a process that serves must do every few seconds. Returns how much was done."""
        return _run(self, HOUSEKEEPING)

    def work(self) -> int:
        """One round of the worker. Returns how much was done."""
        return _run(self, ROUND)

    def sweep(self) -> int:
        """What the worker does each hour. Returns how much was done."""
        return _run(self, HOURLY)

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


@dataclass(frozen=True, slots=True)
class Job:
    """Background work, and the actions by which the trail tells of it; `why`: where it has nothing to tell."""

    name: str
    run: Callable[[Platform], int | None]
    actions: tuple[Action, ...] = ()
    why: str = ""


#: What every process that serves does each few seconds, before a round of the worker, and in each round.
HOUSEKEEPING: Final = (
    Job("forget-keys", lambda built: built.keystore.forget(), why="drops keys from this process's memory"),
    Job(
        "end-read-sessions",
        lambda built: built.sessions.sweep(),
        why="ends reads that are in the trail by name",
    ),
    Job(
        "watch-sealing", lambda built: built.sealer.watch(), why="says in the log that entries wait too long"
    ),
    Job("count-denials", lambda built: built.denials.sweep(), (Action.ACCESS_DECISION_DENY,)),
    Job("check-clock", lambda built: built.clock.check(), (Action.PLATFORM_CLOCK_SKEW,)),
)
ROUND: Final = (
    Job("check-clock", lambda built: built.clock.check(), (Action.PLATFORM_CLOCK_SKEW,)),
    Job("forget-keys", lambda built: built.keystore.forget(), why="drops keys from this process's memory"),
    Job(
        "complete-studies",
        lambda built: built.archive.complete(WORKER),
        (Action.ARCHIVE_STUDY_COMPLETE, Action.ACCESS_GRANT_CREATE),
    ),
    Job("expire-agreements", lambda built: built.agreements.expire(), (Action.AGREEMENT_AGREEMENT_EXPIRE,)),
    Job(
        "end-grants",
        lambda built: built.grants.end_lost(),
        (Action.ACCESS_GRANT_EXPIRE, Action.ACCESS_GRANT_REVOKE),
    ),
    Job(
        "carry-on-shares",
        lambda built: built.sharing.work(WORKER),
        (
            Action.ARCHIVE_STUDY_STORE,
            Action.INGEST_STUDY_PROTECT,
            Action.INGEST_STUDY_QUARANTINE,
            Action.ACCESS_GRANT_CREATE,
        ),
    ),
    Job("end-sessions", lambda built: built.identity.sessions.sweep(), (Action.IDENTITY_SESSION_EXPIRE,)),
    Job(
        "delete-studies",
        lambda built: built.deletion_work.work(WORKER),
        (Action.ARCHIVE_KEY_DESTROY, Action.ARCHIVE_RECEIPT_ISSUE),
    ),
    Job(
        "ship-keystore",
        lambda built: built.ship_keystore(),
        why="copies wrapped keys to where copies of the keystore are kept; shows nobody anything",
    ),
    Job(
        "index-studies",
        lambda built: built.archive.index(WORKER),
        why="orders search postings; shows nobody anything",
    ),
    Job(
        "close-lost-read-sessions",
        lambda built: close_orphans(built.database, built.recorder),
        why="ends reads of lost nodes as unknown, under the action that they began with",
    ),
)
#: What a thread of every process that serves does every 400 ms.
WATCHING: Final = Job("end-open-answers", lambda built: built.open_reads.check(), (Action.ACCESS_STREAM_CUT,))
#: What a thread of the worker does each second, whatever the others are at.
SEALING: Final = Job(
    "seal",
    lambda built: built.sealer.seal(),
    (Action.AUDIT_LOG_START, Action.AUDIT_LOG_HEARTBEAT, Action.AUDIT_LOG_ALARM),
)
#: The same, in another thread.
DELIVERING: Final = Job(
    "deliver-to-webhooks",
    lambda built: built.deliverer.tend(),
    (
        Action.EVENTS_NOTIFICATION_SEND,
        Action.EVENTS_NOTIFICATION_DELIVER,
        Action.EVENTS_NOTIFICATION_FAIL,
        Action.EVENTS_NOTIFICATION_DEAD,
    ),
)
#: What a thread of the worker does every few seconds, since it waits for others.
SENDING: Final = (
    Job(
        "ask-witnesses",
        lambda built: built.witnesses.push(),
        (Action.AUDIT_WITNESS_COSIGN, Action.AUDIT_WITNESS_FAIL),
    ),
    Job(
        "deliver-to-anchors",
        lambda built: built.anchors.deliver(),
        (Action.AUDIT_ANCHOR_SEND, Action.AUDIT_ANCHOR_FAIL),
    ),
    Job(
        "tell-of-sign-outs",
        lambda built: built.farewells.tell(),
        (Action.EVENTS_NOTIFICATION_DELIVER, Action.EVENTS_NOTIFICATION_FAIL),
    ),
    Job("forward-to-collectors", lambda built: built.forwarder.tend(), (Action.AUDIT_FORWARD_FAIL,)),
)
#: What the worker does each hour.
HOURLY: Final = (
    Job("rotate-log-keys", lambda built: built.generations.rotate_old(), (Action.AUDIT_LOG_ROTATE_KEY,)),
    Job(
        "roll-epochs",
        lambda built: built.deletion_work.roll_due(WORKER),
        (Action.ARCHIVE_KEY_REWRAP, Action.ARCHIVE_RECEIPT_ISSUE),
    ),
    Job("prune-entries", lambda built: built.retention.prune(), (Action.AUDIT_ENTRIES_PRUNE,)),
    Job(
        "sweep-archive",
        lambda built: built.archive.sweep(WORKER),
        (Action.ARCHIVE_OBJECT_REPAIR, Action.ARCHIVE_KEY_DESTROY),
    ),
    Job(
        "forget-assertions",
        lambda built: Clients(built.database, built.denials, built.rates).sweep(),
        why="drops ids of assertions that are too old to be taken",
    ),
    Job(
        "sweep-sign-in",
        lambda built: built.sign_in.sweep(),
        why="drops challenges that nobody answered, and failures of long ago",
    ),
    Job(
        "prune-events",
        lambda built: built.feed.prune() + built.webhooks.prune(),
        why="drops events, and what became of deliveries, after the time that the settings name",
    ),
    Job("sweep-rates", lambda built: built.rates.sweep(), why="drops counts of attempts that are over"),
    Job(
        "forget-sign-ins",
        lambda built: built.provider.sweep() + built.federations.sweep(),
        why="drops tokens, and sign-ins to applications and at providers, that were over long before",
    ),
    Job(
        "sweep-uploads",
        lambda built: built.objects.sweep(),
        why="removes pieces of objects that were never finished",
    ),
)

JOBS: Final = (*ROUND, *HOURLY, *HOUSEKEEPING, *SENDING, WATCHING, SEALING, DELIVERING)


def _run(built: Platform, jobs: tuple[Job, ...]) -> int:
    return sum(job.run(built) or 0 for job in jobs)


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


def run_web(settings: Settings) -> None:
    """`wardlight web`: API and DICOMweb until SIGTERM or SIGINT."""
    from wardlight.ingest.service import Ingest
    from wardlight.web import server
    from wardlight.web.services import Services

    harden()
    decoders = decoder_pool(settings)
    wait_for_gate()
    built = platform(settings)
    built.open_reads.start()
    services = Services(
        settings=settings,
        identity=built.identity,
        access=built.access,
        archive=built.archive,
        ingest=Ingest(built.archive, built.access, built.agreements, spool_folder=settings.data_dir),
        decoders=decoders,
        parts=built.parts,
        platform=built.api,
        open_reads=built.open_reads,
        checks={
            "database": built.check_database,
            "keystore": built.check_keystore,
            "objects": built.objects.check,
            "clock": built.recorder.require_clock,
        },
    )
    stopping = threading.Event()

    def housekeep() -> None:
        while not stopping.wait(_HOUSEKEEPING_S):
            _guarded(built.housekeep)

    threading.Thread(target=housekeep, name="housekeeping", daemon=True).start()
    # What is loaded now stays for good: the collector need not walk it again and again, in the middle of requests.
    gc.collect()
    gc.freeze()
    try:
        with _serving(built, "web"):
            server.run(services)
    finally:
        stopping.set()
        built.open_reads.close()
        decoders.close()
        built.close()


def decoder_pool(settings: Settings) -> DecoderPool:
    """The processes that decode images. Raises `settings-unsafe` where they cannot be confined and must be."""
    return DecoderPool(
        settings.decoders or min(4, os.cpu_count() or 1),
        allow_unsandboxed=settings.demo or settings.allow_unsandboxed_decoders,
    )


def run_worker(settings: Settings) -> None:
    """`wardlight worker`: rounds of background work until SIGTERM or SIGINT."""
    harden()
    wait_for_gate()
    built = platform(settings, migrate=is_supervised())
    stopping = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        stopping.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    sealing = threading.Thread(target=_seal, args=(built, stopping), name="sealing")
    sealing.start()
    # A daemon: it may wait for a witness that does not answer, and what it was at is tried again.
    threading.Thread(target=_send, args=(built, stopping), name="sending", daemon=True).start()
    threading.Thread(target=_deliver, args=(built, stopping), name="delivering", daemon=True).start()
    round_number = 0
    with _serving(built, "worker"):
        while not stopping.wait(_ROUND_S):
            _guarded(built.work)
            if round_number % _SWEEP_ROUNDS == 0:
                _guarded(built.sweep)
            round_number += 1
    sealing.join()
    built.close()


def _seal(built: Platform, stopping: threading.Event) -> None:
    """Seal until told to stop, without a pause while a log has more than one round takes."""
    pause = 0.0
    while not stopping.wait(pause):
        sealed = _guarded(lambda: SEALING.run(built))
        pause = 0.0 if sealed and sealed >= SEAL_ROUND else _ROUND_S


def _deliver(built: Platform, stopping: threading.Event) -> None:
    """Bring events to webhooks until told to stop."""
    while not stopping.wait(_ROUND_S):
        _guarded(partial(DELIVERING.run, built))


def _send(built: Platform, stopping: threading.Event) -> None:
    """Bring heads to witnesses and anchors until told to stop."""
    while not stopping.wait(_SEND_S):
        for job in SENDING:
            _guarded(partial(job.run, built))


@contextmanager
def _serving(built: Platform, process: str) -> Iterator[None]:
    """This process serves, as the operator's log tells at both ends; without that it does not begin."""
    told = NodeTrail(built.database, built.recorder, process)
    told.start(built.settings.shown(), UNTOLD)
    try:
        yield
    finally:
        _guarded(told.stop)


def _guarded(job: Callable[[], int | None]) -> int | None:
    """Run one background job; its failure is logged and it is tried again in the next round."""
    try:
        return job()
    except Exception as error:  # noqa: BLE001 - the loop must outlive a full disk or a locked database
        log.error("job.failed", error)
        return None


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
