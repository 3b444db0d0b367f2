"""The only place that builds adapters and services: one function per process."""

from __future__ import annotations

from typing import Final

import wardlight.bootstrap.tables  # noqa: F401 - puts every table into the schema
from wardlight.access.grants import Grants
from wardlight.access.model import SystemScope
from wardlight.access.service import Access
from wardlight.agreements.entitlements import Entitlements
from wardlight.agreements.service import Agreements
from wardlight.agreements.sources import Sources
from wardlight.archive.open_reads import OpenReads
from wardlight.archive.service import Archive
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
from wardlight.bootstrap import adapters
from wardlight.bootstrap.adapters import decoder_pool
from wardlight.bootstrap.services import Platform
from wardlight.db.schema import SCHEMA_VERSION, ensure, require_wall
from wardlight.delivery.deliver import Deliverer
from wardlight.delivery.secrets import Secrets as WebhookSecrets
from wardlight.identity.model import OPERATORS
from wardlight.identity.rates import Rates
from wardlight.identity.service import LOCAL_ADMINISTRATOR, Identity
from wardlight.installation import require_whole
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.settings import Settings
from wardlight.trail.collectors import Collectors
from wardlight.trail.forward import Forwarder

__all__ = ["WORKER", "Platform", "decoder_pool", "migrate", "platform"]

#: What the worker acts as; its reason is in every entry that it writes.
WORKER: Final = SystemScope("worker")
#: Who changes a schema where nobody has asked for it by `wardlight migrate`.
_STARTING: Final = Actor("system", "start")


def platform(settings: Settings, *, create: bool = True, migrate: bool = False) -> Platform:
    """Open, or make, everything in the data folder. create: as `require_whole` has it; migrate: as `schema.ensure`."""
    require_whole(settings, create=create)
    database = adapters.index(settings)
    host = settings.base_url.split("://", 1)[-1]
    ensure(database, migrate=migrate, migrated=migrations(Recorder(settings.node, host, None), _STARTING))
    if not settings.demo:
        require_wall(database)
    keystore = Keystore(settings.keystore_path, settings.keyslots, KeyringKms(settings.root_path))
    objects = adapters.object_store(settings)
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
        agreements=Agreements(database, recorder, settings.region),
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
            database, recorder, WebhookSecrets(keystore), adapters.egress(settings), settings.webhook_days
        ),
    )


def migrate(settings: Settings) -> int:
    """`wardlight migrate`: bring the index database to this version's schema, which is returned."""
    database = adapters.index(settings)
    host = settings.base_url.split("://", 1)[-1]
    try:
        migrated = migrations(Recorder(settings.node, host, None), LOCAL_ADMINISTRATOR)
        ensure(database, migrate=True, migrated=migrated)
    finally:
        database.close()
    return SCHEMA_VERSION
