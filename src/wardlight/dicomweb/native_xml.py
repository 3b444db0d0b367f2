"""Metadata and search results as Native DICOM Models, `multipart/related; type="application/dicom+xml"`.

PS3.18 Tables 10.4.4-1 and 10.6.4-1 require it beside JSON. Each part is made from one object of the JSON answer as it
passes by.
"""

from __future__ import annotations

import codecs
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from wardlight.dicom.native_model import to_native
from wardlight.dicom.related import RelatedWriter
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.media import DICOM_JSON, DICOM_XML
from wardlight.dicomweb.negotiation import ranges
from wardlight.errors import WardlightError

_JSON: Final = (DICOM_JSON, "application/json")
_BETWEEN: Final = "[,] \n"


def or_xml(handler: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
    """The handler, whose answers are JSON arrays, and the same as XML for who likes that better."""

    def give(call: Call) -> Answer:
        if not _likes_xml(call):
            return handler(call)
        query = "&".join(part for part in call.query.split("&") if not part.startswith("accept="))
        answer = handler(replace(call, accept=DICOM_JSON, query=query))
        return _as_xml(answer)

    return give


def _likes_xml(call: Call) -> bool:
    accepted = ranges(call.accept, call.query)
    for media_range in accepted:
        if media_range.multipart and media_range.media == DICOM_XML:
            return True
        if not media_range.multipart and any(map(media_range.covers, _JSON)):
            return False
    return any(media_range.multipart and media_range.covers(DICOM_XML) for media_range in accepted)


def _as_xml(answer: Answer) -> Answer:
    body = answer.body
    assert not callable(body)
    pieces = iter((body,)) if isinstance(body, bytes) else body
    if body == b"[]":
        # A multipart message has one part at least (RFC 2046 section 5.1).
        return Answer(b"", "", 204, answer.headers)
    writer = RelatedWriter(secrets.token_hex(16))
    heads = [writer.head({"Content-Type": DICOM_XML}, first=first) for first in (True, False)]

    def parts() -> Iterator[bytes]:
        for number, model in enumerate(objects(pieces)):
            yield heads[number > 0]
            yield to_native(model)
        yield writer.tail

    tag = entity_tag("xml", answer.etag) if answer.etag else ""
    return Answer(parts(), writer.content_type(DICOM_XML), answer.status, answer.headers, etag=tag)


def objects(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array whose text is cut anywhere, one at a time."""
    decoder, utf8 = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
    text, wanted = "", 0
    for piece in pieces:
        text += utf8.decode(piece)
        if len(text) < wanted:
            continue
        position = 0
        while (position := _next(text, position)) < len(text):
            try:
                found, position = decoder.raw_decode(text, position)
            except ValueError:
                break
            yield found
        text = text[position:]
        # What is not whole is looked at again when there is twice as much of it.
        wanted = 2 * len(text)
    position = _next(text, 0)
    while position < len(text):
        try:
            found, position = decoder.raw_decode(text, position)
        except ValueError:
            raise WardlightError("object-damaged", "stored metadata cannot be parsed") from None
        yield found
        position = _next(text, position)


def _next(text: str, position: int) -> int:
    """Where the next object begins."""
    while position < len(text) and text[position] in _BETWEEN:
        position += 1
    return position
