"""Hands results over where the platform can: between releases that both name patient and study as the hospital does."""

from __future__ import annotations

from typing import Final

from wardlight import log
from wardlight.access.model import Principal, SystemScope
from wardlight.archive.handover import Waiting
from wardlight.archive.model import Outcome
from wardlight.archive.service import Archive
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.part import Demands, IncomingPart, Segment

#: A worker that has not handed one over by then is gone.
_LEASE_MS: Final = 10 * 60_000


class Handing:
    """The worker's part of handovers. Threads may share it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def work(self, scope: SystemScope) -> int:
        """Hand over what is due. Returns how many there were."""
        done = 0
        for found in self._archive.handovers.due(scope):
            if self._archive.handovers.begin(found, _LEASE_MS):
                done += 1
                self._hand_over(scope, found)
        return done

    def _hand_over(self, scope: SystemScope, found: Waiting) -> None:
        reason = ""
        try:
            self._store(scope, found)
            return
        except WardlightError as error:
            if error.kind.http < 500:
                reason = error.reason or error.code
            else:
                log.error("ingest.handover", error, code=error.code)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from going on
            log.error("ingest.handover", error)
        self._archive.handovers.give_up(found, reason)

    def _store(self, scope: SystemScope, found: Waiting) -> None:
        """The file as it is, into the recipient's release, in whose transaction the handover is done."""
        row = found.row
        place = self._archive.handovers.place(row.institution, row.id, None)
        segment = Segment(place.target, self._archive.begin_segment(place.target))
        try:
            demands = Demands(place.target.level, place.study_uid)
            part = IncomingPart(lambda _study: segment, lambda _size: None, demands)
            for piece in self._archive.handovers.pieces(found):
                part.write(memoryview(piece))
            segment.instances.append(part.finish())
            (outcome,) = self._archive.commit(
                place.target,
                segment.writer,
                segment.instances,
                actor=Principal(PrincipalKind.SYSTEM, scope.reason, row.institution),
                request="",
                telling=place.telling,
            )
        finally:
            segment.writer.abort()
        if outcome.outcome is Outcome.CONFLICT:
            raise WardlightError("instance-conflict")
