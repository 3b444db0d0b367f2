"""WADO-RS for whole instances and metadata, as they are stored (PS3.18 10.4)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from wardlight import __version__
from wardlight.archive.model import InstanceLocation
from wardlight.dicom.related import RelatedWriter
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.media import DICOM
from wardlight.dicomweb.negotiation import MediaRange, json_type, ranges
from wardlight.errors import WardlightError


def instances(call: Call) -> Answer:
    """GET of a study, a series or an instance.

    The stored transfer syntax is what can be given: an Accept that names others only is answered `not-acceptable`,
    one without the parameter, or with `*`, takes it.
    """
    accepted = ranges(call.accept, call.query)
    locations = call.archive.instances(
        call.scope, call.uid("study"), call.optional_uid("series"), call.optional_uid("instance")
    )
    if "instance" in call.path and not _first(accepted, locations[0]).multipart:
        return _single(call, locations[0])
    for location in locations:
        if not any(media_range.multipart for media_range in _fitting(accepted, location)):
            raise WardlightError("not-acceptable", "instances are given in their stored transfer syntax only")
    return _multipart(call, locations)


def _fitting(accepted: Sequence[MediaRange], location: InstanceLocation) -> Iterator[MediaRange]:
    for media_range in accepted:
        if media_range.covers(DICOM) and media_range.transfer_syntax in ("", "*", location.transfer_syntax):
            yield media_range


def _first(accepted: Sequence[MediaRange], location: InstanceLocation) -> MediaRange:
    for media_range in _fitting(accepted, location):
        return media_range
    raise WardlightError("not-acceptable", "instances are given in their stored transfer syntax only")


def _content_type(location: InstanceLocation) -> str:
    return f"{DICOM}; transfer-syntax={location.transfer_syntax}"


def _single(call: Call, location: InstanceLocation) -> Answer:
    def read(start: int, end: int) -> Iterator[bytes]:
        return call.archive.read(call.scope, location, start, end)

    tag = entity_tag("instance", location.row)
    return Answer(read, _content_type(location), length=location.length, etag=tag)


def _multipart(call: Call, locations: Sequence[InstanceLocation]) -> Answer:
    writer = RelatedWriter(secrets.token_hex(16))
    heads: dict[tuple[str, bool], bytes] = {}

    def head(number: int, location: InstanceLocation) -> bytes:
        key = (location.transfer_syntax, number == 0)
        if key not in heads:
            heads[key] = writer.head({"Content-Type": _content_type(location)}, first=number == 0)
        return heads[key]

    def body() -> Iterator[bytes]:
        for number, location in enumerate(locations):
            yield head(number, location)
            yield from call.archive.read(call.scope, location)
        yield writer.tail

    length = writer.length(
        (head(number, location), location.length) for number, location in enumerate(locations)
    )
    tag = entity_tag("instances", b"".join(location.row.bytes for location in locations))
    return Answer(body(), writer.content_type(DICOM), length=length, etag=tag)


def metadata(call: Call) -> Answer:
    """GET …/metadata of a study, a series or an instance: an array of DICOM JSON objects."""
    content_type = json_type(call.accept, call.query)
    rows = call.archive.metadata(
        call.scope,
        call.uid("study"),
        call.optional_uid("series"),
        call.optional_uid("instance"),
        base_url=call.base_url,
    )

    def body() -> Iterator[bytes]:
        yield b"["
        yield from rows
        yield b"]"

    tag = entity_tag("metadata", __version__, content_type, rows.version)
    return Answer(body(), content_type, etag=tag)
