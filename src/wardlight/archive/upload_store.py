"""All SQL about uploads on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, update

from wardlight.agreements.model import Level
from wardlight.archive.upload_tables import part, upload


class UploadState(StrEnum):
    """open: bytes come. received: all are there, and wait to be protected. done: each file has its result."""

    OPEN = "open"
    RECEIVED = "received"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Upload:
    """Files that a person sends, one behind the other, and how far that is.

    length, taken: bytes of all, and those that are durable. sizes: of each file. results: codes of the first `done`.
    expires_ms: when what is not finished ends, or when what became of it is forgotten.
    """

    id: UUID
    institution: UUID
    person: str
    role: str
    level: Level
    state: UploadState
    key_id: UUID
    length: int
    taken: int
    sizes: tuple[int, ...]
    results: tuple[str, ...]
    done: int
    created_ms: int
    expires_ms: int
    lease_ms: int
    request: str


@dataclass(frozen=True, slots=True)
class UploadPart:
    """Bytes of an upload in an object of their own. begins, length: in the upload; size: stored bytes."""

    id: UUID
    upload: UUID
    institution: UUID
    begins: int
    length: int
    size: int


_NAMES: Final = tuple(Upload.__dataclass_fields__)
_UPLOADS: Final = select(*(upload.c[name] for name in _NAMES))


def _upload(row: Sequence[Any]) -> Upload:
    values = dict(zip(_NAMES, row, strict=True))
    values["level"] = Level(values["level"])
    values["state"] = UploadState(values["state"])
    values["sizes"] = tuple(map(int, values["sizes"].split(",")))
    values["results"] = tuple(values["results"].split(",")) if values["results"] else ()
    return Upload(**values)


def add_upload(tx: Connection, row: Upload) -> None:
    """Insert an upload."""
    values = {name: getattr(row, name) for name in _NAMES}
    values |= {"level": row.level.value, "state": row.state.value, "results": ",".join(row.results)}
    tx.execute(insert(upload), values | {"sizes": ",".join(map(str, row.sizes))})


def upload_by_id(tx: Connection, id_: UUID, *, lock: bool = False) -> Upload | None:
    """The upload; with `lock` nobody else changes it until the transaction ends."""
    query: Select[Any] = _UPLOADS.where(upload.c.id == id_)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _upload(tuple(row)) if row else None


def update_upload(tx: Connection, id_: UUID, **values: Any) -> None:
    """Set columns of an upload."""
    tx.execute(update(upload).where(upload.c.id == id_).values(**values))


def open_uploads(tx: Connection, institution: UUID) -> tuple[int, int]:
    """How many uploads of an institution are on their way, and how many bytes those have or will have."""
    query = select(func.count(), func.coalesce(func.sum(upload.c.length), 0)).where(
        upload.c.institution == institution, upload.c.state != UploadState.DONE.value
    )
    count, size = tx.execute(query).one()
    return int(count), int(size)


def due_uploads(tx: Connection, now_ms: int, limit: int) -> list[UUID]:
    """Uploads that are there and that no worker has, oldest first."""
    query = (
        select(upload.c.id)
        .where(upload.c.state == UploadState.RECEIVED.value, upload.c.lease_ms <= now_ms)
        .order_by(upload.c.created_ms, upload.c.id)
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def ended_uploads(tx: Connection, now_ms: int, limit: int) -> list[UUID]:
    """Uploads whose time is over and that no worker has."""
    idle = or_(upload.c.state != UploadState.RECEIVED.value, upload.c.lease_ms <= now_ms)
    query = select(upload.c.id).where(and_(upload.c.expires_ms <= now_ms, idle)).limit(limit)
    return list(tx.execute(query).scalars())


def drop_upload(tx: Connection, id_: UUID) -> list[UploadPart]:
    """Remove an upload; its parts, whose objects are to be deleted when this is committed."""
    parts = drop_parts(tx, id_)
    tx.execute(delete(upload).where(upload.c.id == id_))
    return parts


def add_part(tx: Connection, row: UploadPart) -> None:
    """Insert a part."""
    tx.execute(insert(part), {name: getattr(row, name) for name in UploadPart.__dataclass_fields__})


def parts(tx: Connection, id_: UUID) -> list[UploadPart]:
    """The parts of an upload, in order."""
    columns = (part.c[name] for name in UploadPart.__dataclass_fields__)
    query = select(*columns).where(part.c.upload == id_).order_by(part.c.begins)
    return [UploadPart(*row) for row in tx.execute(query)]


def drop_parts(tx: Connection, id_: UUID) -> list[UploadPart]:
    """Forget the parts of an upload; their objects are to be deleted when this is committed."""
    gone = parts(tx, id_)
    tx.execute(delete(part).where(part.c.upload == id_))
    return gone
