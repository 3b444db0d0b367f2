"""Makes a release of another one, on the platform: read, de-identified, verified, taken in like anything else.

The keys are those of the platform's own pseudonym domain (security.md section 5): UIDs, pseudonyms and date offsets of
what is made here differ from those that a receiver of the hospital makes, and from every other application's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from wardlight import log
from wardlight.access.model import Principal, SystemScope
from wardlight.agreements.model import Level
from wardlight.archive.copying import SourceReader, Whole
from wardlight.archive.model import InstanceLocation
from wardlight.archive.service import Archive, Telling
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import load_profile
from wardlight.deid.uids import map_uids
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.ingest.part import Demands, IncomingPart, Segment
from wardlight.keys.keystore import Keystore
from wardlight.keys.wrap import KeyKind

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader
    from wardlight.deid.engine import Deidentifier

#: A segment is committed at so many bytes or instances: what a crash makes again.
_SEGMENT_BYTES: Final = 128 << 20
_SEGMENT_INSTANCES: Final = 500
#: What one instance cannot be copied for, and the others can.
_ITS_OWN: Final = frozenset(
    ("object-damaged", "bad-data-set", "instance-mismatch", "missing-identifier", "not-deidentified")
)


@dataclass(slots=True)
class Copied:
    """What became of instances. cursor: the last that was looked at; finished: there are no more of them."""

    stored: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    cursor: UUID | None = None
    finished: bool = False


class Copier:
    """Copies releases, a piece of work at a time. Threads may share it."""

    def __init__(
        self, archive: Archive, keystore: Keystore, readers: Callable[[UUID], TextReader] | None = None
    ) -> None:
        """readers: of pixels, for an institution; without them instances whose pixels may hold text stay out."""
        self._archive = archive
        self._keystore = keystore
        self._readers = readers

    def study_uid(self, institution: UUID, application: str, level: Level, original: str) -> str:
        """The Study UID of the release that is made of another one."""
        if level is Level.IDENTIFIED:
            return original
        keys = self.keys(institution, application, level)
        return map_uids(keys.uid, original.encode("ascii")).rstrip(b"\0").decode("ascii")

    def copy(
        self,
        scope: SystemScope,
        whole: Whole,
        release: UUID,
        *,
        application: str,
        level: Level,
        cursor: UUID | None,
        telling: Telling,
        request: str,
        seconds: float,
    ) -> Copied:
        """Copy instances after `cursor` until so many seconds are over; at least one segment of them.

        An instance that cannot be protected stays out and is counted by reason. What was copied before is found again
        and not stored twice. Raises what the archive raises where nothing more can be copied now.
        """
        institution = whole.release.institution
        identified = level is Level.IDENTIFIED
        deidentifier = None if identified else self.deidentifier(institution, application, level)
        study_uid = self.study_uid(institution, application, level, whole.study_uid)
        target = self._archive.existing(institution, release, study_uid)
        actor = Principal(PrincipalKind.SYSTEM, scope.reason, institution)
        done = Copied(cursor=cursor)
        pending = [
            one for one in self._archive.source_instances(scope, whole) if cursor is None or one.row > cursor
        ]
        until = time.monotonic() + seconds
        with ExitStack() as stack:
            reader = stack.enter_context(self._archive.source_reader(scope, whole))
            pixels = None if self._readers is None else stack.enter_context(self._readers(institution))
            while pending:
                segment = Segment(target, self._archive.begin_segment(target))
                try:
                    taken, refused = self._fill(
                        segment, pending, (reader, pixels), deidentifier, Demands(level, study_uid), until
                    )
                    if segment.instances:
                        self._archive.commit(
                            target,
                            segment.writer,
                            segment.instances,
                            actor=actor,
                            request=request,
                            telling=telling,
                        )
                finally:
                    segment.writer.abort()
                done.stored += len(segment.instances)
                done.quarantined += refused
                done.cursor = pending[taken - 1].row
                pending = pending[taken:]
                if time.monotonic() >= until:
                    break
        done.finished = not pending
        return done

    def _fill(
        self,
        segment: Segment,
        pending: Sequence[InstanceLocation],
        readers: tuple[SourceReader, TextReader | None],
        deidentifier: Deidentifier | None,
        demands: Demands,
        until: float,
    ) -> tuple[int, Counter[str]]:
        """Write instances into a segment; returns how many were taken, and why some of them are not in it."""
        from wardlight.ingest import protected_file  # Loads numpy, which the web process can do without.

        refused: Counter[str] = Counter()
        taken = 0
        for location in pending:
            part = IncomingPart(lambda _study: segment, lambda _size: None, demands)
            taken += 1
            try:
                for piece in protected_file.pieces(readers[0], location, deidentifier, readers[1]):
                    part.write(memoryview(piece))
                segment.instances.append(part.finish())
            except protected_file.StaysError as refusal:
                refused[refusal.reason] += 1
            except WardlightError as error:
                if error.code not in _ITS_OWN:
                    raise
                refused[error.code] += 1
            except (OSError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001 - logged; a fault of ours in one object lets it stay where it is
                log.error("ingest.protect_failed", error)
                refused["internal"] += 1
            full = len(segment.instances) >= _SEGMENT_INSTANCES or segment.writer.tell() >= _SEGMENT_BYTES
            if full or time.monotonic() >= until:
                break
        return taken, refused

    def keys(self, institution: UUID, application: str, level: Level) -> DeidKeys:
        """Of an application's releases that the platform makes at a level."""
        _, secret = self._keystore.institution_key(institution, KeyKind.PSEUDONYM)
        return DeidKeys.derive(secret, application, level.value)

    def deidentifier(self, institution: UUID, application: str, level: Level) -> Deidentifier:
        """What makes an application's releases at a level."""
        from wardlight.deid.engine import (
            Deidentifier,
        )  # Most workers never need it, and it takes a while to load.

        return Deidentifier(load_profile(level.value), self.keys(institution, application, level))
