"""Hands results over where the platform can: between identified releases, and between those that it made itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wardlight import log
from wardlight.access.model import Principal, SystemScope
from wardlight.archive.handover import Waiting
from wardlight.archive.model import Outcome
from wardlight.archive.service import Archive
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.copying import Copier
from wardlight.ingest.part import Demands, IncomingPart, Segment
from wardlight.ingest.stays import StaysError

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader

#: A worker that has not handed one over by then is gone.
_LEASE_MS: Final = 10 * 60_000


class Handing:
    """The worker's part of handovers. Threads may share it."""

    def __init__(self, archive: Archive, copier: Copier, readers: Callable[[UUID], TextReader]) -> None:
        """readers: of pixels, for an institution."""
        self._archive = archive
        self._copier = copier
        self._readers = readers

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
        except StaysError as refusal:
            reason = refusal.reason
        except WardlightError as error:
            if error.kind.http < 500:
                reason = error.reason or error.code
            else:
                log.error("ingest.handover", error, code=error.code)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from going on
            log.error("ingest.handover", error)
        self._archive.handovers.give_up(found, reason)

    def _store(self, scope: SystemScope, found: Waiting) -> None:
        """The file into the recipient's release, in whose transaction the handover is done."""
        row = found.row
        place = self._archive.handovers.place(row.institution, row.id, None)
        segment = Segment(place.target, self._archive.begin_segment(place.target))
        with ExitStack() as stack:
            stack.callback(segment.writer.abort)
            demands = Demands(place.target.level, place.study_uid)
            part = IncomingPart(lambda _study: segment, lambda _size: None, demands)
            for piece in self._pieces(scope, found, stack):
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
        if outcome.outcome is Outcome.CONFLICT:
            raise WardlightError("instance-conflict")

    def _pieces(self, scope: SystemScope, found: Waiting, stack: ExitStack) -> Iterator[bytes | memoryview]:
        """What is stored for the recipient: as it is between identified releases, else made anew."""
        if found.source is None:
            return self._archive.handovers.pieces(found)
        # Loads numpy, which the web process can do without.
        from wardlight.ingest.restoring import Restoring

        pixels = stack.enter_context(self._readers(found.row.institution))
        return Restoring(self._archive, self._copier).pieces(scope, found, found.source, pixels)
