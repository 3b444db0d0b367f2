"""Bulk data by URI and of whole resources, and pixel data resources (PS3.18 sections 10.4.1.1.5, 10.4.3.3.5).

Metadata refers to values by BulkDataURI; each of them is served here, single values with byte ranges.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from wardlight import __version__
from wardlight.archive.model import InstanceLocation, ValuePlace
from wardlight.dicom.codec import PIXEL_TAGS
from wardlight.dicom.related import RelatedWriter
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE, transfer_syntax
from wardlight.dicomweb import frames
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.frames import Choice
from wardlight.dicomweb.media import OCTETS
from wardlight.dicomweb.negotiation import MediaRange, ranges
from wardlight.errors import WardlightError

_TAG_PATH: Final = re.compile(r"(?:[0-9A-Fa-f]{8}/[0-9]{1,6}/){0,32}[0-9A-Fa-f]{8}")

#: One part of a multipart answer: its Content-Type, its Content-Location, its bytes.
_Part: TypeAlias = tuple[str, str, Iterator[bytes]]


def value(call: Call) -> Answer:
    """GET …/instances/{instance}/bulkdata/{tag path}: one value, or the frames of encapsulated pixel data."""
    path = _tag_path(call.path["tags"])
    accepted = ranges(call.accept, call.query)
    location = _locations(call)[0]
    place = call.archive.value(call.scope, location, path)
    if _has_frames(place):
        return _frames(call, location, place, accepted)
    multipart = _multipart_wanted(accepted)
    content_type = _octets(location, place)
    tag = entity_tag("value", location.row, place.path)
    if not multipart:
        return Answer(_reader(call, location, place), content_type, length=place.length, etag=tag)
    writer = RelatedWriter(secrets.token_hex(16))
    head = writer.head(
        {"Content-Type": content_type, "Content-Location": _uri(call, location, place)}, first=True
    )
    body = _joined(writer, iter([(head, _reader(call, location, place)(0, place.length))]))
    return Answer(body, writer.content_type(OCTETS), length=writer.length([(head, place.length)]), etag=tag)


def bulk_data(call: Call) -> Answer:
    """GET …/bulkdata of a study, a series or an instance: every value that its metadata gives by reference."""
    return _collection(call, lambda location: call.archive.values(call.scope, location))


def pixel_data(call: Call) -> Answer:
    """GET …/pixeldata of a study, a series or an instance: the pixel data of each instance that has some."""

    def places(location: InstanceLocation) -> Iterable[ValuePlace]:
        if location.pixel is not None:
            yield call.archive.value(call.scope, location, (location.pixel.tag,))
        elif transfer_syntax(location.transfer_syntax).deflated:
            values = call.archive.values(call.scope, location)
            yield from (place for place in values if place.path[0] in PIXEL_TAGS and len(place.path) == 1)

    return _collection(call, places)


def _tag_path(text: str) -> tuple[int, ...]:
    """Tags and item numbers of `7FE00010` or `00880200/0/7FE00010`; what is no such path leads to nothing."""
    if not _TAG_PATH.fullmatch(text):
        raise WardlightError("not-found")
    return tuple(int(step, 16 if index % 2 == 0 else 10) for index, step in enumerate(text.split("/")))


def _locations(call: Call) -> list[InstanceLocation]:
    return call.archive.instances(
        call.scope, call.uid("study"), call.optional_uid("series"), call.optional_uid("instance")
    )


def _has_frames(place: ValuePlace) -> bool:
    return place.encapsulated and len(place.path) == 1 and place.path[0] in PIXEL_TAGS


def _uri(call: Call, location: InstanceLocation, place: ValuePlace) -> str:
    """The BulkDataURI that metadata has for this value."""
    steps = [f"{step:08X}" if index % 2 == 0 else str(step) for index, step in enumerate(place.path)]
    return f"{_instance(call, location)}/bulkdata/{'/'.join(steps)}"


def _instance(call: Call, location: InstanceLocation) -> str:
    return (
        f"{call.base_url}/studies/{location.study_uid}/series/{location.series_uid}"
        f"/instances/{location.sop_uid}"
    )


def _reader(
    call: Call, location: InstanceLocation, place: ValuePlace
) -> Callable[[int, int], Iterator[bytes]]:
    return lambda start, end: call.archive.read_value(call.scope, location, place, start, end)


def _octets(location: InstanceLocation, place: ValuePlace) -> str:
    """The Content-Type of a value. Fragments, joined, are a stream in the instance's transfer syntax."""
    return f"{OCTETS}; transfer-syntax={location.transfer_syntax}" if place.encapsulated else OCTETS


def _takes_octets(media_range: MediaRange) -> bool:
    return media_range.covers(OCTETS) and media_range.transfer_syntax in ("", "*", EXPLICIT_LITTLE.uid)


def _multipart_wanted(accepted: Sequence[MediaRange]) -> bool:
    """Whether to answer as multipart; who takes anything gets the value itself, of which ranges can be asked."""
    fitting = [media_range for media_range in accepted if _takes_octets(media_range)]
    if not fitting:
        raise WardlightError(
            "not-acceptable", f"bulk data is given as {OCTETS}, or as multipart/related of it"
        )
    first = fitting[0]
    anything = first.media == "*/*" and any(not other.multipart for other in fitting if other.media == "*/*")
    return first.multipart and not anything


def _frames(
    call: Call, location: InstanceLocation, place: ValuePlace, accepted: Sequence[MediaRange]
) -> Answer:
    """Encapsulated pixel data: its frames, as the frames resource negotiates them.

    Where nothing tells the frames apart, or the value is empty, the fragments are given joined to who takes the
    stored transfer syntax.
    """
    try:
        count = len(call.archive.frames(call.scope, location).frames)
        if count:
            numbers = ",".join(map(str, range(1, count + 1)))
            return frames.frames(replace(call, path={**call.path, "frames": numbers}))
    except WardlightError as error:
        if error.code != "not-acceptable" or not _takes_stored_octets(location, accepted):
            raise
    tag = entity_tag("value", location.row, place.path)
    return Answer(_reader(call, location, place), _octets(location, place), length=place.length, etag=tag)


def _takes_stored_octets(location: InstanceLocation, accepted: Sequence[MediaRange]) -> bool:
    return any(
        not media_range.multipart
        and media_range.covers(OCTETS)
        and (media_range.media == "*/*" or media_range.transfer_syntax in ("*", location.transfer_syntax))
        for media_range in accepted
    )


def _collection(call: Call, places: Callable[[InstanceLocation], Iterable[ValuePlace]]) -> Answer:
    """A multipart answer of values of many instances; its length is known only once they are all found."""
    accepted = [media_range for media_range in ranges(call.accept, call.query) if media_range.multipart]
    locations = _locations(call)
    given = [(location, way) for location in locations if (way := _way(location, accepted)) is not None]
    if not given:
        raise WardlightError(
            "not-acceptable", f"bulk data is given as multipart/related of {OCTETS} or of compressed frames"
        )
    writer = RelatedWriter(secrets.token_hex(16))
    octets = any(map(_takes_octets, accepted))

    def parts() -> Iterator[tuple[bytes, Iterator[bytes]]]:
        first = True
        for location, way in given:
            for place in places(location):
                if not (octets or _has_frames(place)):
                    continue
                for content_type, uri, pieces in _parts(call, location, place, way):
                    headers = {"Content-Type": content_type, "Content-Location": uri}
                    yield writer.head(headers, first=first), pieces
                    first = False
        if first:
            raise WardlightError("not-found", "there is no bulk data")

    rows = b"".join(location.row.bytes for location, _ in given)
    tag = entity_tag("bulk", __version__, call.scope.action, call.base_url, call.path.keys(), rows, accepted)
    # Some but not all can be given: PS3.18 Table 10.4.3-1.
    status = 200 if len(given) == len(locations) else 206
    return Answer(_joined(writer, parts()), writer.content_type(OCTETS), status, etag=tag)


def _way(location: InstanceLocation, accepted: Sequence[MediaRange]) -> list[Choice] | None:
    """How the frames of encapsulated pixel data may be given, [] for an instance without; None: in no way."""
    if location.pixel is not None and location.pixel.length < 0:
        return list(frames.choices(accepted, location, single=False)) or None
    return [] if any(map(_takes_octets, accepted)) else None


def _parts(
    call: Call, location: InstanceLocation, place: ValuePlace, way: Sequence[Choice]
) -> Iterator[_Part]:
    """The parts of one value: one, or one a frame."""
    uri = _uri(call, location, place)
    if not _has_frames(place):
        yield _octets(location, place), uri, _reader(call, location, place)(0, place.length)
        return
    choice, source = frames.source_of(call, location, iter(way))
    for number in range(1, source.count + 1):
        where = uri if source.count == 1 else f"{_instance(call, location)}/frames/{number}"
        yield choice.content_type, where, source.read(number)


def _joined(writer: RelatedWriter, parts: Iterator[tuple[bytes, Iterator[bytes]]]) -> Iterator[bytes]:
    for head, pieces in parts:
        yield head
        yield from pieces
    yield writer.tail
