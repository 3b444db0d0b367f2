"""Accept: which of the media types on offer the client takes (PS3.18 8.3.3, 8.7; RFC 9110 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from wardlight.dicom.related import RelatedError, parse_content_type
from wardlight.errors import WardlightError

DICOM_JSON: Final = "application/dicom+json"
MULTIPART: Final = "multipart/related"
#: Most media ranges that are looked at: real clients send fewer than twenty.
_RANGES: Final = 64


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One member of an Accept header.

    media: the type of the part where multipart is True, else of the whole body; `*/*` and `type/*` are wildcards.
    transfer_syntax: the UID asked for, `*` for any, "" where the parameter is missing.
    """

    media: str
    multipart: bool
    transfer_syntax: str = ""

    def covers(self, media: str) -> bool:
        """Whether this media type lies within the range."""
        return self.media in ("*/*", media) or (
            self.media.endswith("/*") and media.startswith(self.media[:-1])
        )


def ranges(accept: str, query: str = "") -> list[MediaRange]:
    """The media ranges a client takes, best first; none given: everything, as multipart or not.

    The query parameter `accept` (PS3.18 8.3.3.1) goes before the header, since browsers cannot set the latter.
    Raises `bad-request` where a member breaks the grammar.
    """
    if "accept=" in query:
        accept = dict(parse_qsl(query)).get("accept", accept)
    weighted: list[tuple[float, MediaRange]] = []
    for member in _members(accept):
        weight, found = _parse(member)
        if weight > 0:
            weighted.extend((weight, media_range) for media_range in found)
    if not accept.strip():
        weighted = [(1.0, MediaRange("*/*", True)), (1.0, MediaRange("*/*", False))]
    return [media_range for _, media_range in sorted(weighted, key=lambda row: -row[0])]


def _members(accept: str) -> Iterator[str]:
    """Split at commas that stand outside quotes."""
    start, quoted, count = 0, False, 0
    for position, character in enumerate(accept):
        if character == '"' and (position == 0 or accept[position - 1] != "\\"):
            quoted = not quoted
        elif character == "," and not quoted:
            if accept[start:position].strip():
                yield accept[start:position].strip()
            start, count = position + 1, count + 1
            if count == _RANGES:
                raise WardlightError("bad-request", "Accept holds too many media ranges")
    if accept[start:].strip():
        yield accept[start:].strip()


def _parse(member: str) -> tuple[float, list[MediaRange]]:
    try:
        media, parameters = parse_content_type(member)
        weight = float(parameters.get("q", "1"))
    except (RelatedError, ValueError):
        raise WardlightError("bad-request", "Accept is not understood") from None
    syntax = parameters.get("transfer-syntax", "")
    if media == MULTIPART:
        return weight, [MediaRange(parameters.get("type", "*/*").lower(), True, syntax)]
    found = [MediaRange(media, False, syntax)]
    if media == "*/*":
        found.insert(0, MediaRange(media, True, syntax))
    return weight, found


def json_type(accept: str, query: str = "") -> str:
    """The media type of a DICOM JSON answer, or `not-acceptable`."""
    for media_range in ranges(accept, query):
        if not media_range.multipart:
            if media_range.covers(DICOM_JSON):
                return DICOM_JSON
            if media_range.covers("application/json"):
                return "application/json"
    raise WardlightError("not-acceptable", f"this is given as {DICOM_JSON} or application/json")
