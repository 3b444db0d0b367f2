"""What a DICOMweb handler is given and what it answers: plain data, no framework, so that it runs in any thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wardlight.access.model import Scope
from wardlight.archive.service import Archive
from wardlight.decoding.pool import DecoderPool
from wardlight.errors import WardlightError

# PS3.5 9.1 without its rules on components: old devices break those, and their images must be found too.
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised read request.

    base_url: address of the DICOMweb service as the client knows it, without a slash at its end. path: the UIDs and
    frame list of the resource. query: the raw query string. accept: the Accept header, "" if there is none.
    """

    archive: Archive
    decoders: DecoderPool
    scope: Scope
    base_url: str
    path: Mapping[str, str] = field(repr=False)
    query: str = field(repr=False)
    accept: str = ""

    def uid(self, name: str) -> str:
        """A UID of the path. What cannot be a UID is answered like an unknown one: `not-found`."""
        value = self.path[name]
        if not is_uid(value):
            raise WardlightError("not-found")
        return value

    def decode(
        self, job: str, arguments: Mapping[str, Any], data: Sequence[bytes | memoryview]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """`DecoderPool.run` for this client, in a decoder that sees no other institution's data."""
        return self.decoders.run(
            job, arguments, data, institution=self.scope.institution, client=self._client
        )

    def sending(self, data: bytes) -> AbstractContextManager[None]:
        """To be entered while a frame is given away: it is in memory until a client, which may be slow, has it."""
        return self.decoders.room.hold(self._client, len(data))

    @property
    def _client(self) -> tuple[str, str]:
        return self.scope.principal.kind, self.scope.principal.id

    def optional_uid(self, name: str) -> str | None:
        """A UID of the path where the resource has it."""
        return self.uid(name) if name in self.path else None


#: Reads bytes [start, end) of a body, in pieces; how an answer is given whose parts can be asked for by `Range`.
ReadBody: TypeAlias = Callable[[int, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send.

    body: the bytes, an iterator that gives them once, or a `ReadBody`. Work that costs belongs into an iterator: it is
    not begun where the answer turns out as 304. length: bytes of the body where it is no `bytes` and they are known
    ahead; a `ReadBody` needs it. etag: what `conditional.entity_tag` gives, "" where the answer has no validator.
    shown_to: for whom it is, where that was found out by the handler: the answer ends when that access does.
    """

    body: bytes | Iterator[bytes] | ReadBody = field(repr=False)
    content_type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    etag: str = ""
    shown_to: Scope | None = field(default=None, repr=False)


def is_uid(value: str) -> bool:
    """Whether this can be a UID: digits and dots, at most 64 characters (PS3.5 section 9)."""
    return _UID.fullmatch(value) is not None


def frame_list(text: str) -> list[int]:
    """Frame numbers of a path: whole numbers from 1, joined by commas (PS3.18 10.4.1.1.6). Raises `bad-request`."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 and int(part) > 0 for part in parts):
        raise WardlightError("bad-request", "the frame list is not of whole numbers from 1, joined by commas")
    return [int(part) for part in parts]
