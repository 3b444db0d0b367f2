"""multipart/related without I/O: a parser fed with chunks and a writer of part heads (RFC 2046, RFC 2387; PS3.18 8.6).

Written here because no library is right for DICOM: the bodies are binary, of unknown length and larger than memory,
so part data leaves as slices of the chunk that came in, and only a few dozen bytes are ever held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from wardlight.dicom.errors import DicomError


class RelatedError(DicomError):
    """The body or its Content-Type breaks the multipart grammar or a limit; `offset` counts from the body's start."""


@dataclass(frozen=True, slots=True)
class RelatedLimits:
    """Bounds of security.md section 8: bytes of preamble and of one part's header, header lines, parts."""

    preamble: int = 1024
    part_header: int = 8192
    header_lines: int = 16
    parts: int = 100_000


RELATED_LIMITS: Final = RelatedLimits()


class PartBegin(NamedTuple):
    """A part starts; header names are in lower case."""

    headers: dict[str, str]


class PartData(NamedTuple):
    """Bytes of the part's body: a view, mostly into the chunk that was fed."""

    data: memoryview


class PartEnd(NamedTuple):
    """The part is whole."""


class End(NamedTuple):
    """The closing delimiter was seen; what follows is ignored."""


Event = PartBegin | PartData | PartEnd | End

_PART_END: Final = PartEnd()
_END: Final = End()
_BOUNDARY_LENGTH: Final = 70  # RFC 2046 5.1.1
#: What is taken: Orthanc's plug-in makes boundaries of 73 characters.
_TAKEN_BOUNDARY_LENGTH: Final = 128
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class _State(Enum):
    PREAMBLE = auto()
    DELIMITER = auto()  # after the boundary, before the line's end
    HEADER = auto()
    BODY = auto()
    DONE = auto()


class RelatedParser:
    """Turns the chunks of one body into events.

    feed() returns the events of a chunk, in order; finish() must be called at the end of the input. Both raise
    `RelatedError`, after which the parser must not be used again. Memory: one part header or one delimiter.
    """

    __slots__ = ("_consumed", "_delimiter", "_held", "_limits", "_parts", "_state")

    def __init__(self, boundary: str, *, limits: RelatedLimits = RELATED_LIMITS) -> None:
        check_boundary(boundary, _TAKEN_BOUNDARY_LENGTH)
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._limits = limits
        self._state = _State.PREAMBLE
        # The line break before the first delimiter may be missing: it is supplied here.
        self._held = b"\r\n"
        self._consumed = -2
        self._parts = 0

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Event]:
        """Take the next bytes of the body. Part data is returned as slices of `chunk` if that is `bytes`."""
        data = chunk if isinstance(chunk, bytes) else bytes(chunk)
        events: list[Event] = []
        if self._held:
            if self._state is _State.BODY and len(data) >= len(self._delimiter):
                position = self._settle_held(data, events)
            else:
                data, self._held, position = self._held + data, b"", 0
        else:
            position = 0
        while position < len(data) and self._state is not _State.DONE:
            position = self._step(data, position, events)
        self._consumed += position
        return events

    def finish(self) -> None:
        """The input is over: raise `truncated` unless the closing delimiter was seen."""
        if self._state is not _State.DONE:
            raise RelatedError("truncated", self._offset(len(self._held)))

    @property
    def done(self) -> bool:
        """Whether the closing delimiter was seen."""
        return self._state is _State.DONE

    def _offset(self, position: int) -> int:
        return max(0, self._consumed + position)

    def _settle_held(self, data: bytes, events: list[Event]) -> int:
        """Decide about held back bytes without joining them to a large chunk; return where to go on in `data`."""
        held, self._held = self._held, b""
        found = (held + data[: len(self._delimiter)]).find(self._delimiter)
        if 0 <= found < len(held):
            if found:
                events.append(PartData(memoryview(held)[:found]))
            events.append(_PART_END)
            self._state = _State.DELIMITER
            position = found + len(self._delimiter) - len(held)
        else:
            events.append(PartData(memoryview(held)))
            position = 0
        self._consumed += len(held)
        return position

    def _step(self, data: bytes, position: int, events: list[Event]) -> int:
        """Handle one piece of `data` from `position`; return the position after it, or the end if more is needed."""
        if self._state is _State.BODY:
            return self._body(data, position, events)
        if self._state is _State.HEADER:
            return self._header(data, position, events)
        if self._state is _State.DELIMITER:
            return self._after_delimiter(data, position, events)
        return self._preamble(data, position)

    def _hold(self, data: bytes, position: int) -> int:
        """Keep the rest for the next chunk. It is counted when it is settled, so take it off here."""
        self._held = data[position:]
        self._consumed -= len(self._held)
        return len(data)

    def _preamble(self, data: bytes, position: int) -> int:
        found = data.find(self._delimiter, position)
        if found < 0:
            if len(data) - position > self._limits.preamble + len(self._delimiter):
                raise RelatedError("preamble", self._offset(position))
            return self._hold(data, position)
        if found - position > self._limits.preamble + 2:
            raise RelatedError("preamble", self._offset(position))
        self._state = _State.DELIMITER
        return found + len(self._delimiter)

    def _after_delimiter(self, data: bytes, position: int, events: list[Event]) -> int:
        rest = data[position : position + self._limits.part_header]
        padding = len(rest) - len(rest.lstrip(b" \t"))
        if rest.startswith(b"--"):
            self._state = _State.DONE
            events.append(_END)
            return position + 2
        if rest.startswith(b"\r\n", padding):
            if self._parts == self._limits.parts:
                raise RelatedError("count", self._offset(position))
            self._parts += 1
            self._state = _State.HEADER
            # The line break is left, so that an empty header is found like any other.
            return position + padding
        if padding < self._limits.part_header and rest[padding:] in (b"", b"\r", b"-"):
            return self._hold(data, position)
        raise RelatedError("delimiter", self._offset(position))

    def _header(self, data: bytes, position: int, events: list[Event]) -> int:
        end = data.find(b"\r\n\r\n", position)
        if data.startswith(self._delimiter, position):
            raise RelatedError("header", self._offset(position))
        if (end if end >= 0 else len(data)) - position > self._limits.part_header:
            raise RelatedError("length", self._offset(position))
        # The last line break of the header can be the one of a delimiter, which then may still be incomplete.
        following = data[end + 2 : end + 2 + len(self._delimiter)]
        if end < 0 or (len(following) < len(self._delimiter) and self._delimiter.startswith(following)):
            return self._hold(data, position)
        events.append(PartBegin(self._parse_header(data[position + 2 : end], position)))
        self._state = _State.BODY
        if data.startswith(self._delimiter, end + 2):
            events.append(_PART_END)
            self._state = _State.DELIMITER
            return end + 2 + len(self._delimiter)
        return end + 4

    def _parse_header(self, block: bytes, position: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        if not block:
            return headers
        lines = block.split(b"\r\n")
        if len(lines) > self._limits.header_lines:
            raise RelatedError("count", self._offset(position))
        name = ""
        for line in lines:
            text = line.decode("latin-1")
            if "\r" in text or "\n" in text or "\0" in text:
                raise RelatedError("header", self._offset(position))
            if text[:1] in (" ", "\t") and name:
                headers[name] = f"{headers[name]} {text.strip()}".strip()
                continue
            name, colon, value = text.partition(":")
            name = name.rstrip(" \t").lower()
            if not colon or not name or not _TOKEN.issuperset(name) or name in headers:
                raise RelatedError("header", self._offset(position))
            headers[name] = value.strip(" \t")
        return headers

    def _body(self, data: bytes, position: int, events: list[Event]) -> int:
        found = data.find(self._delimiter, position)
        if found >= 0:
            if found > position:
                events.append(PartData(memoryview(data)[position:found]))
            events.append(_PART_END)
            self._state = _State.DELIMITER
            return found + len(self._delimiter)
        # A delimiter may have begun in the last bytes: those are held back.
        keep = data.find(b"\r", max(position, len(data) - len(self._delimiter) + 1))
        while keep >= 0 and not self._delimiter.startswith(data[keep:]):
            keep = data.find(b"\r", keep + 1)
        end = keep if keep >= 0 else len(data)
        if end > position:
            events.append(PartData(memoryview(data)[position:end]))
        return self._hold(data, end) if end < len(data) else end


class RelatedWriter:
    """Gives the bytes between the bodies of a multipart/related message, so that the whole length is known ahead."""

    __slots__ = ("boundary", "tail")

    def __init__(self, boundary: str) -> None:
        check_boundary(boundary)
        self.boundary = boundary
        self.tail = f"\r\n--{boundary}--\r\n".encode("ascii")

    def content_type(self, root: str) -> str:
        """The message's Content-Type; `root` is the media type of the parts (RFC 2387 parameter `type`)."""
        return f'multipart/related; type="{root}"; boundary={self.boundary}'

    def head(self, headers: Mapping[str, str], *, first: bool) -> bytes:
        """Delimiter and header of a part. The first one has no line break before it.

        Raises `ValueError` for a value that would not stay in its line.
        """
        if any(character in value for value in headers.values() for character in "\r\n\0"):
            raise ValueError("a header field of a part holds a line break")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{'' if first else chr(13) + chr(10)}--{self.boundary}\r\n{lines}\r\n".encode("latin-1")

    def length(self, parts: Iterable[tuple[bytes, int]]) -> int:
        """Content-Length of a message of these (head, body length)."""
        return sum(len(head) + body for head, body in parts) + len(self.tail)


def check_boundary(boundary: str, most: int = _BOUNDARY_LENGTH) -> None:
    """Raise `boundary` unless it is printable ASCII of 1 to `most` characters, the last no space (RFC 2046 5.1.1)."""
    good = 0 < len(boundary) <= most and boundary.isascii() and boundary.isprintable()
    if not good or boundary.endswith(" "):
        raise RelatedError("boundary", 0)


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Media type in lower case, and its parameters with names in lower case (RFC 9110 5.6.6, 8.3.1).

    An unquoted value may hold a slash, since senders write `type=application/dicom`. Raises `content-type`.
    """
    media, semicolon, rest = value.partition(";")
    media = media.strip(" \t").lower()
    kind, slash, subtype = media.partition("/")
    if not slash or not kind or not subtype or not _TOKEN.issuperset(kind + subtype):
        raise RelatedError("content-type", 0)
    parameters: dict[str, str] = {}
    position = len(value) - len(rest) if semicolon else len(value)
    while position < len(value):
        position = _parameter(value, position, parameters)
    return media, parameters


def _parameter(value: str, position: int, parameters: dict[str, str]) -> int:
    """Read one parameter into `parameters`; return the position after the semicolon that ends it."""
    end = value.find(";", position)
    end = len(value) if end < 0 else end
    equals = value.find("=", position, end)
    if equals < 0:
        if value[position:end].strip(" \t"):
            raise RelatedError("content-type", position)
        return end + 1
    name = value[position:equals].strip(" \t").lower()
    if not name or not _TOKEN.issuperset(name) or name in parameters:
        raise RelatedError("content-type", position)
    start = equals + 1
    while start < len(value) and value[start] in " \t":
        start += 1
    if value[start : start + 1] != '"':
        parameters[name] = value[start:end].strip(" \t")
        return end + 1
    text, start = _quoted(value, start + 1)
    parameters[name] = text
    end = value.find(";", start)
    end = len(value) if end < 0 else end
    if value[start:end].strip(" \t"):
        raise RelatedError("content-type", start)
    return end + 1


def _quoted(value: str, start: int) -> tuple[str, int]:
    """The text of a quoted string from after its first quote, and the position after its last."""
    characters = []
    while start < len(value) and value[start] != '"':
        if value[start] == "\\":
            start += 1
        characters.append(value[start : start + 1])
        start += 1
    if start >= len(value):
        raise RelatedError("content-type", start)
    return "".join(characters), start + 1
