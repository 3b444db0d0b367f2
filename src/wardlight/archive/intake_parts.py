"""What the store side passes around: where data comes from, what is told of it, segments, rows that are to be added."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from wardlight.archive.attributes import INSTANCE_TAGS, SERIES_TAGS, Attributes, only
from wardlight.archive.incoming import instance_columns, series_columns
from wardlight.archive.keyring import ReleaseKey, Subject
from wardlight.archive.model import IncomingInstance, Level, ReleaseTarget
from wardlight.audit import model as audit
from wardlight.audit.actions import Action
from wardlight.db.ids import uuid7
from wardlight.keys.attributes import RowLevel
from wardlight.objects.store import ObjectWriter, StoredObject


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a release comes from; it is said when the release is reserved and never changes.

    producer: `kind:id` of who sends it, unless that is a person. source: the record of the third party that the data
    is of; identifiability: what that declared. derived_from: the release that the platform made it of, and subjects:
    whose that one is, and those before it.
    """

    producer: str | None = None
    source: UUID | None = None
    identifiability: str | None = None
    derived_from: UUID | None = None
    subjects: tuple[Subject, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Telling:
    """What the trail is told of a commit besides who and what.

    producer: the application whose result the instances are, and receiver: which is to have them. declared: what the
    sender declared of the data. quarantined: how many objects of the study are held back where it comes from. subjects:
    whose the data is by the releases that this one was made of. handover: of which the instance is what was made anew.
    """

    action: Action = Action.DICOMWEB_STUDY_STORE
    behalf: audit.Actor | None = None
    purpose: str = ""
    agreement: tuple[str, int] | None = None
    grant: UUID | None = None
    producer: str | None = None
    receiver: str | None = None
    declared: str | None = None
    quarantined: int | None = None
    subjects: tuple[Subject, ...] = field(default=(), repr=False)
    handover: UUID | None = None


class SegmentWriter:
    """Writes one segment: concatenated Part 10 files of one release. One writer, one life; for one thread."""

    __slots__ = ("_writer",)

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes. Raises `out-of-resources`, `unavailable`; the segment is then lost."""
        self._writer.write(data)

    def tell(self) -> int:
        """Plaintext bytes written so far: the offset of the next file."""
        return self._writer.tell()

    def abort(self) -> None:
        """Drop everything written. Does nothing after a commit."""
        self._writer.abort()

    def commit(self) -> StoredObject:
        """Make the segment durable. Raises as `write`."""
        return self._writer.commit()


@dataclass(slots=True)
class Fresh:
    """An instance that the index did not hold when it was looked up, with its row, sealed ahead of the transaction."""

    incoming: IncomingInstance
    token: bytes
    series_token: bytes
    row: dict[str, Any]


@dataclass(slots=True)
class Batch:
    """What one commit wants to add."""

    target: ReleaseTarget
    telling: Telling
    tokens: list[bytes]
    digests: list[bytes]
    key: ReleaseKey
    fresh: dict[bytes, Fresh]
    #: Ids of series that were there, and rows of those that were not.
    known_series: dict[bytes, UUID]
    series: dict[bytes, dict[str, Any]]
    #: New series that give their study tokens.
    requests: set[bytes]
    #: Of the first instance; empty where the release holds instances already.
    study: Attributes
    patient: tuple[str, str]


def release_number(now_ms: int) -> int:
    """A release's place in the order of arrival: 41 bits of time, and 22 random ones that make it its own."""
    return now_ms << 22 | int.from_bytes(os.urandom(3), "big") & 0x3FFFFF


def image_classes(level: Level) -> tuple[str, ...]:
    """Data classes of an image at this level, as the audit trail spells them."""
    return ("health", "image:identified" if level is Level.IDENTIFIED else "image:pseudonymised")


def series_row(target: ReleaseTarget, token: bytes, found: Attributes, key: ReleaseKey) -> dict[str, Any]:
    """The row of a series that the release did not hold."""
    id_ = uuid7()
    return {
        "id": id_,
        "release": target.release,
        "token": token,
        "sealed": key.seal(RowLevel.SERIES, id_, only(found, SERIES_TAGS)),
        **series_columns(found),
        "instance_count": 0,
        "metadata_offset": 0,
        "metadata_length": 0,
    }


def instance_row(
    target: ReleaseTarget,
    incoming: IncomingInstance,
    token: bytes,
    digest: bytes,
    found: Attributes,
    key: ReleaseKey,
) -> dict[str, Any]:
    """The row of an instance, sealed."""
    id_ = uuid7()
    return {
        "id": id_,
        "release": target.release,
        "token": token,
        "sealed": key.seal(RowLevel.INSTANCE, id_, only(found, INSTANCE_TAGS)),
        "digest": digest,
        **instance_columns(incoming, found),
        "offset": incoming.offset,
        "metadata_offset": 0,
        "metadata_length": 0,
    }
