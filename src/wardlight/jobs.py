"""The background work of all processes: what is done, and by which actions the audit trail tells of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wardlight.audit.actions import Action
from wardlight.audit.sessions import close_orphans
from wardlight.bootstrap import WORKER, Platform
from wardlight.identity.clients import Clients


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
    Job(
        "hand-results-over",
        lambda built: built.handing.work(WORKER),
        (Action.ARCHIVE_STUDY_STORE, Action.ACCESS_RESULT_HANDOVER),
    ),
    Job(
        "protect-uploads",
        lambda built: built.upload_work.work(WORKER),
        (
            Action.ARCHIVE_KEY_CREATE,
            Action.DICOMWEB_STUDY_STORE,
            Action.INGEST_STUDY_PROTECT,
            Action.INGEST_STUDY_QUARANTINE,
            Action.INGEST_OBJECT_REFUSE,
            Action.INGEST_UPLOAD_FINISH,
        ),
    ),
    Job(
        "try-quarantine",
        lambda built: built.quarantine_work.work(WORKER),
        (
            Action.ARCHIVE_KEY_CREATE,
            Action.DICOMWEB_STUDY_STORE,
            Action.INGEST_STUDY_PROTECT,
            Action.INGEST_STUDY_QUARANTINE,
            Action.INGEST_OBJECT_REFUSE,
        ),
    ),
    Job(
        "end-quarantine",
        lambda built: built.quarantine_work.end(WORKER),
        (Action.INGEST_QUARANTINE_DISCARD, Action.ARCHIVE_KEY_DESTROY),
    ),
    Job(
        "end-machine-data",
        lambda built: built.machine_work.end(WORKER),
        (Action.MACHINE_DATA_DELETE, Action.ARCHIVE_KEY_DESTROY),
    ),
    Job(
        "tell-of-machine-data",
        lambda built: built.machine_work.tell(),
        why="tells applications that something came, which is in the trail already",
    ),
    Job("end-uploads", lambda built: built.uploads.expire(), (Action.INGEST_UPLOAD_ABANDON,)),
    Job("end-sessions", lambda built: built.identity.sessions.sweep(), (Action.IDENTITY_SESSION_EXPIRE,)),
    Job(
        "delete-studies",
        lambda built: built.deletion_work.work(WORKER),
        (Action.ARCHIVE_KEY_DESTROY, Action.ARCHIVE_RECEIPT_ISSUE),
    ),
    Job(
        "notify-people",
        lambda built: built.producer.work(),
        why="tells people in their bell of what is in the trail already; each entry's own action stands there",
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
    Job(
        "send-mail",
        lambda built: built.send_mail(),
        (Action.NOTIFY_MAIL_SEND, Action.NOTIFY_MAIL_FAIL),
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
    Job(
        "watch-receivers",
        lambda built: built.producer.watch(),
        why="tells people in their bell that a receiver has not been heard of; shows nobody's data",
    ),
    Job(
        "prune-notifications",
        lambda built: built.producer.prune(),
        why="drops what people were told, 90 days after, and events that were acted upon",
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


def run(built: Platform, jobs: tuple[Job, ...]) -> int:
    """Each of these jobs once. Returns how much was done."""
    return sum(job.run(built) or 0 for job in jobs)
