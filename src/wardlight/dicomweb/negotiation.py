"""Accept: which of the media types on offer the client takes (PS3.18 8.3.3, 8.7; RFC 9110 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Final
from urllib.parse import parse_qsl

from wardlight.dicom.related import RelatedError, parse_content_type
from wardlight.dicomweb.media import DICOM_JSON
from wardlight.errors import WardlightError

MULTIPART: Final = "multipart/related"
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")  # RFC 9110 12.4.2
#: Most media ranges that are looked at: real clients send fewer than twenty.
_RANGES: Final = 64
#: Characters of an Accept header that is remembered; longer ones nobody sends but for harm.
_USUAL: Final = 512


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One member of an Accept header.

    media: the type of the part where multipart is True, else of the whole body; `*/*` and `type/*` are wildcards.
    transfer_syntax: the UID asked for, `*` for any, "" where the parameter is missing. weight: above 0, up to 1.
    but: media types that a wildcard leaves out, as another member of the field speaks of them.
    """

    media: str
    multipart: bool
    transfer_syntax: str = ""
    weight: float = 1.0
    but: frozenset[str] = frozenset()

    def covers(self, media: str) -> bool:
        """Whether this media type lies within the range."""
        if media in self.but:
            return False
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
    # A client says the same each time.
    return list(_understood(accept) if len(accept) <= _USUAL else _understood.__wrapped__(accept))


@lru_cache(maxsize=256)
def _understood(accept: str) -> tuple[MediaRange, ...]:
    found = [media_range for member in _members(accept) for media_range in _parse(member)]
    if not accept.strip():
        return (MediaRange("*/*", True), MediaRange("*/*", False))
    # The most specific member decides on a type (RFC 9110 12.5.1), so wildcards say nothing of types that are named.
    named = {True: set[str](), False: set[str]()}
    for media_range in found:
        if not media_range.media.endswith("/*") and not media_range.transfer_syntax:
            named[media_range.multipart].add(media_range.media)
    ordered = sorted((row for row in found if row.weight > 0), key=lambda row: -row.weight)
    return tuple(
        replace(row, but=frozenset(named[row.multipart])) if row.media.endswith("/*") else row
        for row in ordered
    )


def by_weight(accepted: Sequence[MediaRange]) -> Iterator[list[MediaRange]]:
    """Ranges of one weight together, the best first: among them the client has no preference, and we may."""
    for _, group in groupby(accepted, key=lambda row: row.weight):
        yield list(group)


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


def _parse(member: str) -> list[MediaRange]:
    try:
        media, parameters = parse_content_type(member)
    except RelatedError:
        raise WardlightError("bad-request", "Accept is not understood") from None
    quality = parameters.get("q", "1")
    if not _WEIGHT.fullmatch(quality):
        raise WardlightError("bad-request", "Accept is not understood: q is from 0 to 1, with three decimals")
    weight, syntax = float(quality), parameters.get("transfer-syntax", "")
    if media == MULTIPART:
        return [MediaRange(parameters.get("type", "*/*").lower(), True, syntax, weight)]
    found = [MediaRange(media, False, syntax, weight)]
    if media == "*/*":
        found.insert(0, MediaRange(media, True, syntax, weight))
    return found


def json_type(accept: str, query: str = "") -> str:
    """The media type of a DICOM JSON answer, or `not-acceptable`."""
    for media_range in ranges(accept, query):
        if not media_range.multipart:
            if media_range.covers(DICOM_JSON):
                return DICOM_JSON
            if media_range.covers("application/json"):
                return "application/json"
    raise WardlightError("not-acceptable", f"this is given as {DICOM_JSON} or application/json")
