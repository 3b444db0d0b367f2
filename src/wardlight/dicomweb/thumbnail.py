"""Thumbnails of studies, series, instances and frames (PS3.18 10.4.1.1.4): one small picture that stands for all."""

from __future__ import annotations

from typing import Final

from wardlight.archive.model import InstanceLocation
from wardlight.dicomweb import rendered_parameters
from wardlight.dicomweb.call import Answer, Call, frame_list
from wardlight.dicomweb.negotiation import ranges
from wardlight.dicomweb.rendered_media import GIF, STILLS, Category, category, choose
from wardlight.dicomweb.rendered_pictures import Instance
from wardlight.errors import WardlightError

#: Pixels of the longer side where the client names no viewport.
SIZE: Final = 256
_PICTURES: Final = (Category.SINGLE_FRAME, Category.MULTI_FRAME)


def thumbnail(call: Call) -> Answer:
    """GET …/thumbnail: of a study or a series the middle image of its middle series, and of that the middle frame."""
    wanted = rendered_parameters.thumbnail(call.query, SIZE)
    media = choose(ranges(call.accept, call.query), (*STILLS, GIF)).media
    numbers = frame_list(call.path["frames"]) if "frames" in call.path else []
    location = _middle(
        call.archive.instances(
            call.scope, call.uid("study"), call.optional_uid("series"), call.optional_uid("instance")
        )
    )
    one = Instance(call, location, wanted)
    if not one.frames:
        raise WardlightError("not-acceptable", "there is no image here that a thumbnail could show")
    if numbers:
        if numbers[0] > one.frames:
            raise WardlightError("not-found", "the instance has no such frame")
        number = numbers[0]
    else:
        number = min(one.image.representative, one.frames) or (one.frames + 1) // 2
    if media == GIF:
        return Answer(b"".join(one.moving([number], GIF)), GIF)
    return Answer(one.still(number, media), media)


def _middle(locations: list[InstanceLocation]) -> InstanceLocation:
    """The image in the middle of the series in the middle, of what is in their order."""
    images = [location for location in locations if category(location) in _PICTURES]
    if not images:
        raise WardlightError("not-acceptable", "there is no image here that a thumbnail could show")
    series: dict[str, list[InstanceLocation]] = {}
    for location in images:
        series.setdefault(location.series_uid, []).append(location)
    middle = list(series.values())[(len(series) - 1) // 2]
    return middle[(len(middle) - 1) // 2]
