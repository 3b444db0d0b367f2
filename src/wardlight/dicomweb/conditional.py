"""Entity tags, conditional requests and byte ranges of an answer (RFC 9110 sections 8.8.3, 13 and 14).

Handled here once for every resource: a handler gives its `Answer` an `etag`, and a body that can be read from any
byte where it has one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from wardlight.dicom.related import RelatedWriter
from wardlight.dicomweb.call import Answer, ReadBody
from wardlight.errors import WardlightError

#: More ranges than that in one request are refused: real clients send a handful (RFC 9110 section 14.2).
MOST_RANGES: Final = 64
#: Ranges that lie closer than a part's head are sent as one (RFC 9110 section 15.3.7.2).
_GAP: Final = 80
_LISTED_TAG: Final = re.compile(r'\s*(?:((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*)?(?:,|$)')
_RANGE: Final = re.compile(r"([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18})")
_NOT_MODIFIED: Final = 304
_PARTIAL: Final = 206


@dataclass(frozen=True, slots=True)
class Conditions:
    """Header fields that make a request conditional or partial, as they were sent; "" where they were not."""

    if_match: str = ""
    if_none_match: str = ""
    if_range: str = ""
    range: str = ""


def entity_tag(*parts: object) -> str:
    """The value of an entity tag for what these parts determine: ids of rows, transfer syntax, quality and so on.

    Stored instances never change, so the id of an instance's row stands for its bytes. Nothing can be read back.
    """
    return blake2b(repr(parts).encode("utf-8"), digest_size=16).hexdigest()


def apply(answer: Answer, conditions: Conditions, method: str) -> Answer:
    """What is sent instead of a whole answer: 304, 206, or the answer with its validators.

    Raises `precondition-failed` and `range-not-satisfiable`. The body of an answer that is not sent is not begun.
    """
    if answer.status != 200:
        return answer
    tag = _field(answer)
    headers = {**answer.headers, "ETag": tag} if tag else dict(answer.headers)
    if conditions.if_match and not _lists(conditions.if_match, tag, strong=True):
        raise WardlightError("precondition-failed", headers=headers)
    if conditions.if_none_match and _lists(conditions.if_none_match, tag, strong=False):
        return Answer(b"", "", _NOT_MODIFIED, headers)
    read, length = _readable(answer, tag)
    if read is None:
        return replace(answer, headers=headers)
    headers["Accept-Ranges"] = "bytes"
    whole = replace(answer, headers=headers)
    if method != "GET" or not conditions.range:
        return whole
    if conditions.if_range and conditions.if_range.strip() != tag:
        return whole
    wanted = ranges(conditions.range, length)
    return whole if wanted is None else _partial(whole, read, length, wanted)


def _field(answer: Answer) -> str:
    """The ETag field: weak for a multipart answer, whose boundary is another one each time."""
    if not answer.etag:
        return ""
    weak = answer.content_type.startswith("multipart/")
    return f'{"W/" if weak else ""}"{answer.etag}"'


def _lists(field: str, tag: str, *, strong: bool) -> bool:
    """Whether the field is `*` or lists the tag, by the strong or the weak comparison (RFC 9110 section 8.8.3.2)."""
    if field.strip() == "*":
        return True
    if not tag or (strong and tag.startswith("W/")):
        return False
    position = 0
    while position < len(field) and (match := _LISTED_TAG.match(field, position)):
        listed = match[1] or ""
        if listed == tag or (not strong and listed.removeprefix("W/") == tag.removeprefix("W/") != ""):
            return True
        position = match.end()
    return False


def _readable(answer: Answer, tag: str) -> tuple[ReadBody | None, int]:
    """How to read the body from any byte, and its length; None where there is no way or no strong tag."""
    body = answer.body
    if not tag or tag.startswith("W/"):
        return None, 0
    if isinstance(body, bytes):
        return (lambda start, end: iter((body[start:end],))), len(body)
    if isinstance(body, Iterator) or answer.length is None:
        return None, 0
    return body, answer.length


def ranges(field: str, length: int) -> list[tuple[int, int]] | None:
    """The byte ranges [start, end) that a Range field asks of so many bytes, in order; None: it is to be ignored.

    Raises `range-not-satisfiable` where no range lies within, or too many are asked for.
    """
    unit, equals, members = field.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    found: list[tuple[int, int]] = []
    members_of = [member.strip() for member in members.split(",")]
    if len(members_of) > MOST_RANGES:
        raise _unsatisfiable(length, "too many ranges")
    for member in filter(None, members_of):
        match = _RANGE.fullmatch(member)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, length - int(suffix)), length
        else:
            if last and int(last) < int(first):
                return None
            start, end = int(first), min(length, int(last) + 1 if last else length)
        if start < end:
            found.append((start, end))
    if not any(members_of):
        return None
    if not found:
        raise _unsatisfiable(length, "")
    return _joined(sorted(found))


def _joined(sorted_ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined = sorted_ranges[:1]
    for start, end in sorted_ranges[1:]:
        if start <= joined[-1][1] + _GAP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _unsatisfiable(length: int, detail: str) -> WardlightError:
    return WardlightError("range-not-satisfiable", detail, headers={"Content-Range": f"bytes */{length}"})


def _partial(answer: Answer, read: ReadBody, length: int, wanted: list[tuple[int, int]]) -> Answer:
    if len(wanted) == 1:
        ((start, end),) = wanted
        headers = {**answer.headers, "Content-Range": f"bytes {start}-{end - 1}/{length}"}
        return Answer(read(start, end), answer.content_type, _PARTIAL, headers, end - start)
    writer = RelatedWriter(secrets.token_hex(16))
    heads = [
        writer.head(_part(answer.content_type, start, end, length), first=number == 0)
        for number, (start, end) in enumerate(wanted)
    ]

    def body() -> Iterator[bytes]:
        for head, (start, end) in zip(heads, wanted, strict=True):
            yield head
            yield from read(start, end)
        yield writer.tail

    size = writer.length((head, end - start) for head, (start, end) in zip(heads, wanted, strict=True))
    content_type = f"multipart/byteranges; boundary={writer.boundary}"
    return Answer(body(), content_type, _PARTIAL, dict(answer.headers), size)


def _part(content_type: str, start: int, end: int, length: int) -> Mapping[str, str]:
    return {"Content-Type": content_type, "Content-Range": f"bytes {start}-{end - 1}/{length}"}
