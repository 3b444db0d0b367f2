"""Sends batches to the platform by STOW-RS (PS3.18 10.5) over a kept connection, streaming from the spool."""

from __future__ import annotations

import http.client
import json
import secrets
import select
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from wardlight import __version__
from wardlight.dicom.related import RelatedWriter
from wardlight.errors import WardlightError
from wardlight.receiver.body import Part, Reader
from wardlight.receiver.connection import Address
from wardlight.receiver.credential import credential
from wardlight.receiver.model import Target

_CONNECT_S: Final = 10.0
#: A platform that takes or gives no byte for so long is taken as gone. It answers after the fsync of a whole batch.
_SILENCE_S: Final = 120.0
_ANSWER_BYTES: Final = 16 << 20
#: Pieces are sent together up to so many bytes, or so many pieces.
_CALL_BYTES: Final = 256 << 10
_CALL_PIECES: Final = 64
_MEDIA: Final = "application/dicom"
_PART_HEADERS: Final = {"Content-Type": _MEDIA}

_REFERENCED: Final = "00081199"
_FAILED: Final = "00081198"
_SOP_INSTANCE: Final = "00081155"
_FAILURE_REASON: Final = "00081197"


class Trouble(Enum):
    """Why a batch was not taken as a whole, and thereby what to wait for."""

    UNREACHABLE = "unreachable"
    """No connection, or it broke. Concerns everything."""
    BUSY = "busy"
    """The platform asks to come back later (429, 503, 507). Concerns everything."""
    UNAUTHENTICATED = "unauthenticated"
    """The credential is missing or not accepted (401). Concerns everything, until somebody acts."""
    FORBIDDEN = "forbidden"
    """No agreement, or not at this level (403). Concerns this application and level, until somebody acts."""
    REFUSED = "refused"
    """Another error, which may lie in the batch itself."""


class UploadError(Exception):
    """The batch was not taken. wait_s: as the platform asked, else 0. code: HTTP status or problem code."""

    def __init__(self, trouble: Trouble, code: str = "", wait_s: float = 0.0) -> None:
        super().__init__(trouble.value, code)
        self.trouble = trouble
        self.code = code
        self.wait_s = wait_s


class UnreadableObject(Exception):
    """The object at `index` of the batch cannot be read from the spool. cause: what reading it raised."""

    def __init__(self, index: int, cause: WardlightError) -> None:
        super().__init__(index, cause.code)
        self.index = index
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One instance to be sent. sop_uid: as it leaves, by which the answer names it; original_uid: as it came."""

    part: Part
    read: Reader = field(repr=False)
    sop_uid: str = field(repr=False)
    original_uid: str = field(repr=False)


_STUDIES: Final = "/dicom-web/studies"


class Platform:
    """The connection of one thread to the platform. Not thread-safe."""

    def __init__(self, address: Address, secrets_dir: Path) -> None:
        self._address = address
        # Said now, not with the first object: an address that is none.
        _, self._path = address.open(_STUDIES, _CONNECT_S)
        self._credential = credential(address, secrets_dir)
        self._connection: http.client.HTTPConnection | None = None

    def store(
        self,
        target: Target,
        group: str,
        batch: Sequence[Outgoing],
        request: str,
        quarantined: int = 0,
        handover: str = "",
    ) -> dict[str, int]:
        """Send a batch; returns for each SOP Instance UID of the answer 0, or its failure reason (PS3.18 Table I.2-2).

        What the answer does not name was not stored. group: 32 hexadecimal digits of the study group, or "".
        request: trace id, 32 hexadecimal digits. quarantined: how many objects of the study stay here. handover: of
        which the instance was made anew. Raises UploadError, UnreadableObject.
        """
        more = {"Wardlight-Quarantined": str(min(quarantined, 999_999))} if quarantined else {}
        if handover:
            more["Wardlight-Handover"] = handover
        fresh = self._connection is None
        try:
            return self._store(target, group, batch, request, more)
        except UploadError as error:
            self.close()
            if fresh or error.trouble is not Trouble.UNREACHABLE:
                raise
        except BaseException:
            self.close()
            raise
        # A kept connection may have been closed by the other side meanwhile: that is no outage.
        try:
            return self._store(target, group, batch, request, more)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _store(
        self, target: Target, group: str, batch: Sequence[Outgoing], request: str, more: Mapping[str, str]
    ) -> dict[str, int]:
        writer = RelatedWriter(f"wardlight-{secrets.token_hex(16)}")
        heads = [writer.head(_PART_HEADERS, first=index == 0) for index in range(len(batch))]
        length = writer.length((head, one.part.length) for head, one in zip(heads, batch, strict=True))
        try:
            shown = self._credential.headers("POST", _STUDIES)
        except WardlightError as error:
            trouble = Trouble.BUSY if error.code == "unavailable" else Trouble.UNAUTHENTICATED
            raise UploadError(trouble, error.reason or error.code) from None
        except (OSError, http.client.HTTPException) as error:
            raise UploadError(Trouble.UNREACHABLE, type(error).__name__) from None
        headers = {
            "Content-Type": writer.content_type(_MEDIA),
            "Content-Length": str(length),
            "Accept": "application/dicom+json",
            "User-Agent": f"wardlight-receiver/{__version__}",
            "traceparent": f"00-{request}-{request[:16]}-01",
            "Wardlight-Application": target.application,
            "Wardlight-Level": str(target.level),
            **more,
            **shown,
        }
        if group:
            headers["Wardlight-Study-Group"] = group
        try:
            connection = self._open()
            connection.putrequest("POST", self._path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            whole = self._send(connection, heads, batch, writer.tail)
            response = connection.getresponse()
            body = response.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise UploadError(Trouble.UNREACHABLE, type(error).__name__) from None
        if response.status == 401:
            self._credential.refused()
        if not whole or response.will_close or not response.isclosed():
            self.close()
        return _answer(response.status, body, response.getheader("Retry-After") or "")

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection, _ = self._address.open(_STUDIES, _CONNECT_S)
            connection.connect()
            connection.sock.settimeout(_SILENCE_S)
            self._connection = connection
        return self._connection

    def _send(
        self,
        connection: http.client.HTTPConnection,
        heads: Sequence[bytes],
        batch: Sequence[Outgoing],
        tail: bytes,
    ) -> bool:
        """Send the body. False: the platform answered before its end, so the rest was left out."""
        out = _Gathered(connection.sock)
        for index, (head, one) in enumerate(zip(heads, batch, strict=True)):
            if select.select([connection.sock], [], [], 0)[0]:
                return False
            try:
                out.put(head)
                for chunk in one.part.chunks(one.read):
                    out.put(chunk)
            except WardlightError as error:
                raise UnreadableObject(index, error) from None
        out.put(tail)
        out.flush()
        return True


class _Gathered:
    """Sends small and large pieces in few calls, none of them copied (but by TLS)."""

    __slots__ = ("_pieces", "_size", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pieces: list[bytes | memoryview] = []
        self._size = 0

    def put(self, piece: bytes | memoryview) -> None:
        """Take a piece, and send all of them once they are worth a call."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _CALL_BYTES or len(self._pieces) >= _CALL_PIECES:
            self.flush()

    def flush(self) -> None:
        """Send what is there."""
        pieces, self._pieces = self._pieces, []
        size, self._size = self._size, 0
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.sendall(b"".join(pieces))
            return
        sent = self._sock.sendmsg(pieces)
        if sent < size:
            # The kernel took a part: the rest is sent piece by piece.
            for piece in pieces:
                if sent < len(piece):
                    self._sock.sendall(memoryview(piece)[sent:])
                sent = max(0, sent - len(piece))


def _answer(status: int, body: bytes, retry_after: str) -> dict[str, int]:
    if status == 401:
        raise UploadError(Trouble.UNAUTHENTICATED, "401")
    if status == 403:
        raise UploadError(Trouble.FORBIDDEN, _problem(body) or "403")
    if status in (429, 503, 507):
        raise UploadError(Trouble.BUSY, str(status), _seconds(retry_after))
    if status not in (200, 202, 409):
        raise UploadError(Trouble.REFUSED, str(status))
    try:
        answer = json.loads(body)
        found = {_uid(item): 0 for item in _items(answer, _REFERENCED)}
        found |= {_uid(item): int(item[_FAILURE_REASON]["Value"][0]) for item in _items(answer, _FAILED)}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise UploadError(Trouble.REFUSED, f"{status}-answer") from None
    return found


def _items(answer: Any, sequence: str) -> list[Any]:
    items = answer.get(sequence, {}).get("Value", [])
    if not isinstance(items, list):
        raise TypeError
    return items


def _uid(item: Any) -> str:
    return str(item[_SOP_INSTANCE]["Value"][0])


def _problem(body: bytes) -> str:
    """The code of a problem document (RFC 9457), if it is one: the last word of its type, or its `code`."""
    try:
        problem = json.loads(body)
        code = problem.get("code") or str(problem.get("type", "")).rstrip("/").rsplit("/", 1)[-1]
    except (ValueError, AttributeError):
        return ""
    text = str(code)
    return text if text.isascii() and text.replace("-", "").isalnum() and len(text) <= 40 else ""


def _seconds(text: str) -> float:
    return min(float(text), 300.0) if text.isascii() and text.isdigit() else 0.0
