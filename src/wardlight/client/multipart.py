"""multipart/related bodies (RFC 2387, PS3.18 section 8.6.1.2), piece by piece: of any size in little memory."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from email.message import Message
from pathlib import Path
from typing import BinaryIO, Final

from wardlight.client.errors import Interrupted, WardlightClientError

_DICOM: Final = "application/dicom"
_MOST_HEADER_BYTES: Final = 16 << 10
_READ: Final = 1 << 20


class StudyFolder:
    """Puts the parts of an answer into a folder, `00001.dcm` and so on, all of them or none.

    They gather in a folder beside it, which takes the name once the last part is whole. folder: must not exist.
    """

    def __init__(self, folder: Path, content_type: str) -> None:
        if folder.exists():
            raise FileExistsError(f"{folder} is there already")
        self._folder: Final = folder
        self._beside: Final = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.part")
        self._parts: Final = _Parts(content_type)
        self._file: BinaryIO | None = None
        self._count = 0
        self._beside.mkdir(parents=True, mode=0o700)

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        for piece in self._parts.feed(data):
            if piece is None:
                self._next()
            else:
                assert self._file is not None
                self._file.write(piece)

    def finish(self) -> list[Path]:
        """The files, in the order of their parts. Raises Interrupted where the body was not whole."""
        self._close()
        if not self._parts.ended:
            raise Interrupted("the answer ended before its last part")
        self._beside.rename(self._folder)
        return sorted(self._folder.iterdir())

    def discard(self) -> None:
        """Forget what came, after an error; nothing to do after `finish`."""
        self._close()
        shutil.rmtree(self._beside, ignore_errors=True)

    def _next(self) -> None:
        self._close()
        self._count += 1
        self._file = (self._beside / f"{self._count:05}.dcm").open("xb")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Parts:
    """Takes a body apart. `feed` gives None where a part begins, then its bytes."""

    def __init__(self, content_type: str) -> None:
        message = Message()
        message["content-type"] = content_type
        boundary = message.get_boundary()
        if message.get_content_type() != "multipart/related" or not boundary:
            raise WardlightClientError("the answer is not multipart/related")
        self._mark: Final = b"\r\n--" + boundary.encode("latin-1", "replace")
        # The first boundary has no line before it.
        self._held = bytearray(b"\r\n")
        self._in_part = False
        self.ended = False

    def feed(self, data: bytes) -> Iterator[bytearray | None]:
        if self.ended:  # What follows the last boundary has no meaning (RFC 2046 section 5.1.1).
            return
        self._held += data
        while True:
            if not self._in_part:
                if not self._begin():
                    return
                self._in_part = True
                yield None
            at = self._held.find(self._mark)
            # What may be the beginning of a boundary stays until more is there.
            end = at if at >= 0 else max(0, len(self._held) - len(self._mark) + 1)
            if end:
                yield self._held[:end]
                del self._held[:end]
            if at < 0:
                return
            self._in_part = False

    def _begin(self) -> bool:
        """Step over a boundary and the headers behind it; False where they are not there yet, or it was the last."""
        at = self._held.find(self._mark)
        behind = at + len(self._mark)
        if at >= 0 and self._held[behind : behind + 2] == b"--":
            self.ended = True
            return False
        end = self._held.find(b"\r\n\r\n", behind) if at >= 0 else -1
        if end < 0:
            if len(self._held) > _MOST_HEADER_BYTES:
                raise WardlightClientError("the answer is not what multipart/related is")
            return False
        del self._held[: end + 4]
        return True


class FilesBody:
    """A body of DICOM files to store, read as they are sent; it can be sent again."""

    def __init__(self, files: Iterable[Path | bytes]) -> None:
        self._files: Final = list(files)
        self._boundary: Final = uuid.uuid4().hex
        self.content_type: Final = f'multipart/related; type="{_DICOM}"; boundary={self._boundary}'

    def __iter__(self) -> Iterator[bytes]:
        for file in self._files:
            yield f"--{self._boundary}\r\nContent-Type: {_DICOM}\r\n\r\n".encode()
            if isinstance(file, bytes):
                yield file
            else:
                with file.open("rb") as opened:
                    while data := opened.read(_READ):
                        yield data
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode()


class AsyncFilesBody:
    """The same for `httpx.AsyncClient`; files are read in threads."""

    def __init__(self, files: FilesBody) -> None:
        self._files: Final = files

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._files)
        while (data := await asyncio.to_thread(next, pieces, None)) is not None:
            yield data
