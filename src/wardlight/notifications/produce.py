"""Makes notifications of what happened: each event of the outbox once, in one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store as grants
from wardlight.access.model import Role
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.events import outbox
from wardlight.events.outbox import EventKind, Untaken
from wardlight.notifications import own, store
from wardlight.notifications.telling import Telling, tell

#: Events of one round.
BATCH: Final = 500
#: A receiver that has not asked for a token in so long is silent.
SILENT_MS: Final = 3_600_000
#: How long what was told, and events that were acted upon, are kept.
KEPT_MS: Final = 90 * 86_400_000
_EVENTS_KEPT_MS: Final = 7 * 86_400_000
#: After which the studies that people look at are others.
_STUDIES: Final = frozenset({EventKind.STUDY_COMPLETED, EventKind.STUDY_CHANGED, EventKind.STUDY_DELETED})
_PERSON: Final = "person:"


class Producer:
    """`work` is to be called each second. digest_hour: None where no mail is sent."""

    def __init__(self, database: Database, digest_hour: int | None) -> None:
        self._database = database
        self._digest_hour = digest_hour

    def work(self) -> int:
        """Act upon the events that wait; returns upon how many."""
        with self._database.read(EVERYWHERE) as tx:
            found = outbox.untaken(tx, BATCH)
        found.sort(key=lambda row: row.institution.bytes)
        done = 0
        for institution, rows in groupby(found, lambda row: row.institution):
            waiting = list(rows)
            with self._database.begin(institution) as tx:
                taken = sorted((row for row in waiting if outbox.take(tx, row.seq)), key=lambda row: row.seq)
                self._act(tx, institution, taken)
            done += len(taken)
        return done

    def watch(self) -> int:
        """Say which receivers have not been heard of for an hour; returns how many."""
        with self._database.read(EVERYWHERE) as tx:
            found = store.silent(tx, clock.unix_ms() - SILENT_MS)
        for institution, receiver, seen_ms in found:
            with self._database.begin(institution) as tx:
                store.note_silence(tx, institution, receiver, seen_ms)
                payload: dict[str, str | int] = {"receiver": receiver, "since": seen_ms}
                outbox.emit(tx, institution, EventKind.RECEIVER_SILENT, payload)
        return len(found)

    def prune(self) -> int:
        """Drop what was told long ago, and events that were acted upon; returns how much."""
        now = clock.unix_ms()
        with self._database.begin(EVERYWHERE) as tx:
            return store.prune(tx, now - KEPT_MS) + outbox.prune(tx, now - _EVENTS_KEPT_MS)

    def _act(self, tx: Connection, institution: UUID, rows: Sequence[Untaken]) -> None:
        changed: set[str] = set()
        arrived: list[UUID] = []
        for row in rows:
            if row.kind is EventKind.STUDY_COMPLETED:
                release = UUID(str(row.payload["release"]))
                if store.is_new_study(tx, institution, release):
                    arrived.append(release)
            elif row.kind is EventKind.STUDY_DELETED:
                gone = [UUID(hex=one) for one in str(row.payload["releases"]).split()]
                changed |= set(store.drop_releases(tx, institution, gone))
            else:
                for one in _tellings(tx, institution, row):
                    changed |= tell(tx, institution, one, self._digest_hour)
        if arrived:
            # One study can be gone to; several are a number.
            single = arrived[0] if len(arrived) == 1 else None
            new = Telling(own.STUDY_AVAILABLE, data={"count": len(arrived)}, release=single)
            changed |= tell(tx, institution, new, self._digest_hour)
        if any(row.kind in _STUDIES for row in rows):
            changed.add(store.STUDIES)
        store.beat(tx, institution, changed)


def _tellings(tx: Connection, institution: UUID, row: Untaken) -> list[Telling]:
    """What is told after one event."""
    data = row.payload
    match row.kind:
        case EventKind.GRANT_MADE | EventKind.GRANT_ENDED:
            return _of_grant(tx, institution, row)
        case EventKind.UPLOAD_DONE:
            counts = {"refused": data["refused"], "total": data["files"]}
            return [Telling(own.UPLOAD_REFUSED, [str(data["person"])], counts)]
        case EventKind.AGREEMENT_CHANGED:
            return [
                Telling(
                    own.AGREEMENT_CHANGED,
                    None,
                    {"application": data["application"], "version": data["version"]},
                )
            ]
        case EventKind.AGREEMENT_ENDED:
            return [Telling(own.AGREEMENT_ENDED, None, {"application": data["application"]})]
        case EventKind.RECEIVER_SILENT:
            return [Telling(own.RECEIVER_SILENT, None, {"date": data["since"]})]
        case EventKind.WEBHOOK_DEAD:
            about = str(data["webhook"])
            return [
                Telling(own.WEBHOOK_DEAD, None, {"application": data["application"], "count": 1}, about=about)
            ]
        case EventKind.DELETION_DONE:
            people = store.of_role(tx, institution, Role.PRIVACY_OFFICER)
            by = str(data["by"])
            people += [by.removeprefix(_PERSON)] if by.startswith(_PERSON) else []
            return [Telling(own.DELETION_DONE, set(people), {"id": data["deletion"]})]
        case _:
            return []


def _of_grant(tx: Connection, institution: UUID, row: Untaken) -> list[Telling]:
    grant = grants.by_id(tx, institution, UUID(hex=str(row.payload["grant"])))
    if grant is None:
        return []
    by = str(row.payload["by"])
    if row.kind is EventKind.GRANT_MADE:
        if grant.person is None:
            return []
        return [Telling(own.SHARE_RECEIVED, [grant.person], {"until": grant.expires_ms}, grant.release)]
    found = []
    ended = {"date": row.created_ms}
    if grant.person is not None:
        # Not about the release: who lost access to it is to be told all the same.
        found.append(Telling(own.SHARE_ENDED, [grant.person], ended))
    giver = grant.created_by.removeprefix(_PERSON)
    if grant.application is not None and grant.created_by.startswith(_PERSON) and by != grant.created_by:
        data = {**ended, "application": grant.application}
        found.append(Telling(own.ACCESS_ENDED, [giver], data))
    return found
