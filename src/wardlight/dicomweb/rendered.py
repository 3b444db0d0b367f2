"""Rendered resources: studies, series, instances and frames as pictures, video or text (PS3.18 10.4.1.1.3)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wardlight.dicom.errors import DicomError
from wardlight.dicom.related import RelatedWriter
from wardlight.dicomweb import rendered_parameters, rendered_text
from wardlight.dicomweb.call import Answer, Call, frame_list
from wardlight.dicomweb.conditional import entity_tag
from wardlight.dicomweb.negotiation import MediaRange, ranges
from wardlight.dicomweb.rendered_media import (
    HTML,
    MOVING,
    MP4,
    PDF,
    PLAIN,
    STILLS,
    Category,
    category,
    choose,
)
from wardlight.dicomweb.rendered_pictures import Instance, pixel_pieces
from wardlight.errors import WardlightError

_DOCUMENT, _DOCUMENT_LENGTH = 0x00420011, 0x00420015
_TEXT: Final = {
    HTML: (rendered_text.html, "text/html; charset=utf-8"),
    PLAIN: (rendered_text.plain, "text/plain; charset=utf-8"),
}
#: A stored video in this container is one that a browser plays; others are elementary or transport streams.
_MP4_MARK: Final = b"ftyp"
_NOT_MP4: Final = (
    "the stored video is not in an MP4 container; its frames can be asked for in its transfer syntax"
)


def instance(call: Call) -> Answer:
    """GET …/instances/{instance}/rendered.

    A multi-frame instance as a still picture is its representative frame, or its first.
    """
    wanted = rendered_parameters.parse(call.query)
    accepted = ranges(call.accept, call.query)
    location = call.archive.instances(
        call.scope, call.uid("study"), call.uid("series"), call.uid("instance")
    )[0]
    kind = category(location)
    choice = choose(accepted, kind.value, () if kind is Category.VIDEO else kind.value)
    one = Instance(call, location, wanted)
    if not choice.multipart:
        return whole(one, choice.media)
    if choice.media in STILLS and kind is Category.MULTI_FRAME:
        return _multipart(choice.media, [_Part(one, n, choice.media) for n in range(1, one.frames + 1)])
    return _multipart(choice.media, [_Part(one, 0, choice.media)])


def instances(call: Call) -> Answer:
    """GET …/rendered of a study or a series: a part an instance, those left out that cannot be what is asked for.

    Then the status is 206; an instance that turns out as damaged has a problem in place of its picture.
    """
    wanted = rendered_parameters.parse(call.query)
    accepted = ranges(call.accept, call.query)
    locations = call.archive.instances(call.scope, call.uid("study"), call.optional_uid("series"))
    kinds = [category(location) for location in locations]
    offered = list(dict.fromkeys(media for kind in kinds for media in kind.value))
    choice = choose(accepted, (), offered)
    fitting = [
        (location, media)
        for location, kind in zip(locations, kinds, strict=True)
        if (media := _best(kind.value, choice.media, accepted))
    ]
    # Each instance is made when it is its turn and let go then: a study may have a hundred thousand.
    parts = (_Part(Instance(call, location, wanted), 0, media) for location, media in fitting)
    answer = _multipart(choice.media, parts)
    return answer if len(fitting) == len(locations) else replace(answer, status=206)


def _best(offered: Sequence[str], chosen: str, accepted: Sequence[MediaRange]) -> str:
    """What an instance is given as where others of its study are given as `chosen`; "" where nothing fits.

    A range such as `*/*` takes from each instance what that can be.
    """
    if chosen in offered:
        return chosen
    return next((media for row in accepted if row.multipart for media in offered if row.covers(media)), "")


def frames(call: Call) -> Answer:
    """GET …/frames/{list}/rendered: a picture a frame, or the frames of the list as one moving picture."""
    numbers = frame_list(call.path["frames"])
    wanted = rendered_parameters.parse(call.query)
    accepted = ranges(call.accept, call.query)
    location = call.archive.instances(
        call.scope, call.uid("study"), call.uid("series"), call.uid("instance")
    )[0]
    one = Instance(call, location, wanted)
    _require_frames(one, numbers)
    stills = [media for media in category(location).value if media in STILLS]
    moving = [media for media in category(location).value if media in MOVING]
    choice = choose(accepted, moving if len(numbers) > 1 else [*stills, *moving], stills)
    if choice.multipart:
        return _multipart(choice.media, [_Part(one, number, choice.media) for number in numbers])
    if choice.media in MOVING:
        return _moving(one, numbers, choice.media)
    return Answer(one.still(numbers[0], choice.media), choice.media)


def _require_frames(one: Instance, numbers: Sequence[int]) -> None:
    if category(one.location) not in (Category.SINGLE_FRAME, Category.MULTI_FRAME):
        raise WardlightError("not-acceptable", "this instance has no frames that can be rendered")
    if max(numbers) > one.frames:
        raise WardlightError("not-found", "the instance has no such frame")


def whole(one: Instance, media: str) -> Answer:
    """A whole instance in one body."""
    kind = category(one.location)
    if media in _TEXT:
        write, content_type = _TEXT[media]
        one.count_whole()
        try:
            return Answer(write(one.attributes), content_type, headers=dict(rendered_text.SANDBOX))
        except DicomError:
            raise WardlightError("object-damaged", "a stored data set cannot be parsed") from None
    if media == PDF:
        # Never shown within this origin: what a PDF may do in a viewer is not ours to say (security.md section 8).
        one.count_whole()
        headers = {"Content-Disposition": 'attachment; filename="document.pdf"', **rendered_text.SANDBOX}
        return Answer(_document(one), PDF, headers=headers)
    if kind is Category.VIDEO:
        return _stored_video(one)
    if media in MOVING:
        return _moving(one, range(1, one.frames + 1), media)
    return Answer(one.still(one.image.representative or 1, media), media)


def _moving(one: Instance, numbers: Sequence[int], media: str) -> Answer:
    return Answer(one.moving(numbers, media), media)


def _document(one: Instance) -> bytes:
    """The encapsulated PDF (PS3.3 C.24.2), without its padding."""
    document = one.attributes.raw(_DOCUMENT)
    length = one.attributes.whole(_DOCUMENT_LENGTH, len(document))
    if not document.startswith(b"%PDF-"):
        raise WardlightError("not-acceptable", "the encapsulated document is no PDF")
    return document[:length] if 0 < len(document) - length <= 1 else document


def _stored_video(one: Instance) -> Answer:
    """The stored stream as it is, where it is an MP4 file already: nothing is coded anew."""
    call, location = one.call, one.location
    pieces = pixel_pieces(location)
    if not pieces:
        raise WardlightError("not-acceptable", _NOT_MP4)
    start = pieces[0][0]
    head = b"".join(call.archive.read(call.scope, location, start, min(start + 12, pieces[0][1]), frames=0))
    if head[4:8] != _MP4_MARK:
        raise WardlightError("not-acceptable", _NOT_MP4)

    uncounted = iter((location.frames,))

    def read(begin: int, stop: int) -> Iterator[bytes]:
        # Players ask for one range after the other; which frames those hold is not known: all of them count.
        place = 0
        for first, end in pieces:
            low, high = max(begin - place, 0), min(stop - place, end - first)
            place += end - first
            if low < high:
                count = next(uncounted, 0)
                yield from call.archive.read(call.scope, location, first + low, first + high, frames=count)

    length = sum(end - first for first, end in pieces)
    return Answer(read, MP4, length=length, etag=entity_tag("video", location.row))


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of an answer: a frame, or number 0 for the whole instance."""

    instance: Instance
    number: int
    media: str

    def answer(self) -> Answer:
        if self.number:
            return Answer(self.instance.still(self.number, self.media), self.media)
        return whole(self.instance, self.media)

    def location(self) -> str:
        of = self.instance.location
        resource = f"{self.instance.call.base_url}/studies/{of.study_uid}/series/{of.series_uid}/instances/{of.sop_uid}"
        return f"{resource}/frames/{self.number}/rendered" if self.number else f"{resource}/rendered"


def _multipart(media: str, parts: Iterable[_Part]) -> Answer:
    """The parts one after the other, each made when it is its turn."""
    writer = RelatedWriter(secrets.token_hex(16))

    def body() -> Iterator[bytes]:
        for place, part in enumerate(parts):
            answer = _or_problem(part.answer)
            headers = {
                "Content-Type": answer.content_type,
                "Content-Location": part.location(),
                **answer.headers,
            }
            yield writer.head(headers, first=not place)
            if isinstance(answer.body, bytes):
                yield answer.body
            elif isinstance(answer.body, Iterator):
                yield from answer.body
            else:
                yield from answer.body(0, answer.length or 0)
        yield writer.tail

    return Answer(body(), writer.content_type(media))


def _or_problem(make: Callable[[], Answer]) -> Answer:
    """The answer, or in its place why there is none: one damaged image must not take its series with it."""
    try:
        return make()
    except WardlightError as error:
        if error.kind.http >= 500 and error.code != "object-damaged":
            raise
        text = {
            "title": error.kind.title,
            "status": error.kind.http,
            "code": error.code,
            "detail": error.detail,
        }
        return Answer(json.dumps(text).encode(), "application/problem+json")
