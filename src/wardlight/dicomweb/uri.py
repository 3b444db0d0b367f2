"""WADO-URI: one object by query parameters, as DICOM or rendered (PS3.18 chapter 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wardlight.decoding.render_plan import View, Window
from wardlight.dicomweb import rendered_parameters as parameters
from wardlight.dicomweb import retrieve
from wardlight.dicomweb.call import Answer, Call, is_uid
from wardlight.dicomweb.media import DICOM
from wardlight.dicomweb.negotiation import ranges
from wardlight.dicomweb.rendered import whole
from wardlight.dicomweb.rendered_media import JPEG, MOVING, STILLS, Category, category, choose
from wardlight.dicomweb.rendered_pictures import Instance
from wardlight.errors import WardlightError

_UIDS: Final = {"study": "studyUID", "series": "seriesUID", "instance": "objectUID"}
#: Parameters of this chapter; others are ignored (8.3).
_NAMES: Final = frozenset(
    {
        *_UIDS.values(), "requestType", "contentType", "charset", "anonymize", "annotation", "rows", "columns",
        "region", "windowCenter", "windowWidth", "frameNumber", "imageQuality", "presentationUID",
        "presentationSeriesUID", "transferSyntax",
    }
)  # fmt: skip
#: What has no meaning for the object itself: parameters of rendered instances (Table 9.5.1-1).
_PICTURES_ONLY: Final = frozenset(
    {"annotation", "rows", "columns", "region", "windowCenter", "windowWidth", "frameNumber", "imageQuality"}
)
_CHARSETS: Final = frozenset({"utf-8", "utf8", "*", ""})


def retrieve_object(call: Call) -> Answer:
    """GET …/wado?requestType=WADO&studyUID=…&seriesUID=…&objectUID=…"""
    found = parameters.fields(call.query, _NAMES)
    _check(found)
    uids = {name: found[parameter] for name, parameter in _UIDS.items()}
    location = call.archive.instances(call.scope, uids["study"], uids["series"], uids["instance"])[0]
    kind = category(location)
    asked = found.get("contentType", "") or _default(kind, found)
    accepted = ranges(asked)
    if any(media_range.transfer_syntax for media_range in accepted):
        raise WardlightError("bad-request", "contentType takes no transfer-syntax (9.1.2.2.1)")
    choice = choose(accepted, (*kind.value, DICOM))
    if choice.media == DICOM:
        return _object(replace(call, path=uids), found)
    if "transferSyntax" in found:
        raise WardlightError("bad-request", f"transferSyntax goes with contentType {DICOM}")
    one = Instance(call, location)
    if choice.media not in (*STILLS, *MOVING) or kind is Category.VIDEO:
        return whole(one, choice.media)
    one = Instance(call, location, _wanted(found, one))
    number = _frame_number(found, one)
    if not number:
        return whole(one, choice.media)
    if choice.media in MOVING:
        return Answer(one.moving([number], choice.media), choice.media)
    return Answer(one.still(number, choice.media), choice.media)


def _check(found: Mapping[str, str]) -> None:
    """What must be there, and what we do not do, each said plainly."""
    if found.get("requestType") != "WADO":
        raise WardlightError("bad-request", "requestType must be WADO")
    for parameter in _UIDS.values():
        if not is_uid(found.get(parameter, "")):
            raise WardlightError("bad-request", f"{parameter} is missing or no UID")
    if found.get("anonymize", "") not in ("", "no"):
        # A release is as de-identified as it was made; nothing is taken out while it is read.
        raise WardlightError(
            "not-acceptable", "objects are not de-identified on retrieval; ask for a release that is"
        )
    if found.get("presentationUID") or found.get("presentationSeriesUID"):
        raise WardlightError("not-acceptable", "presentation states are not applied")
    if found.get("charset", "").lower() not in _CHARSETS:
        raise WardlightError("not-acceptable", "text is given in UTF-8 only")


def _default(kind: Category, found: Mapping[str, str]) -> str:
    """The media type where contentType is missing (9.1.2.2.1): single frames as JPEG, reports as HTML, else DICOM."""
    if kind is Category.SINGLE_FRAME or (kind is Category.MULTI_FRAME and "frameNumber" in found):
        return JPEG
    return kind.value[0] if kind is Category.TEXT else DICOM


def _object(call: Call, found: Mapping[str, str]) -> Answer:
    """The Part 10 file. By default in explicit little endian (9.4.2.4), as it is stored where it cannot be that."""
    if wrong := sorted(_PICTURES_ONLY & found.keys()):
        raise WardlightError("bad-request", f"{wrong[0]} has no meaning for contentType {DICOM}")
    syntax = found.get("transferSyntax", "")
    # `*`, as it is stored, is no word of chapter 9, but what Weasis and others ask for.
    if syntax not in ("", "*") and not is_uid(syntax):
        raise WardlightError("bad-request", "transferSyntax is no UID")
    accept = f"{DICOM}; transfer-syntax={syntax or '1.2.840.10008.1.2.1'}"
    if not syntax:
        accept += f", {DICOM}; transfer-syntax=*; q=0.5"
    return retrieve.instances(replace(call, accept=accept, query=""))


def _frame_number(found: Mapping[str, str], one: Instance) -> int:
    """The frame asked for, 0 for none in particular. One that there is not is 400 here and no 404 (9.5.2)."""
    value = found.get("frameNumber", "")
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and int(value) > 0):
        raise WardlightError("bad-request", "frameNumber is no whole number from 1")
    if int(value) > one.frames:
        raise WardlightError("bad-request", "the instance has no such frame")
    return int(value)


def _wanted(found: Mapping[str, str], one: Instance) -> parameters.Parameters:
    return parameters.Parameters(
        annotations=parameters.keywords(found.get("annotation", "")),
        quality=parameters.quality(found, "imageQuality"),
        view=View(
            *_sides(found),
            _region(found["region"], one) if found.get("region") else None,
        ),
        window=_window(found),
    )


def _sides(found: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows of the viewport; where one is given, the other one only has its limit."""
    columns, rows = (
        parameters.side(found[name], name) if found.get(name) else 0 for name in ("columns", "rows")
    )
    if columns or rows:
        return columns or parameters.LARGEST_SIDE, rows or parameters.LARGEST_SIDE
    return 0, 0


def _window(found: Mapping[str, str]) -> Window | None:
    center, width = found.get("windowCenter", ""), found.get("windowWidth", "")
    if bool(center) != bool(width):
        raise WardlightError("bad-request", "windowCenter and windowWidth go together")
    if not center:
        return None
    return parameters.window(
        parameters.number(center, "windowCenter"), parameters.number(width, "windowWidth")
    )


def _region(value: str, one: Instance) -> tuple[float, float, float, float]:
    """xmin,ymin,xmax,ymax as parts of the image from 0 to 1 (9.5.1.2.5), in pixels."""
    corners = [parameters.number(part, "region") for part in value.split(",")]
    if len(corners) != 4:
        raise WardlightError("bad-request", "region is not xmin,ymin,xmax,ymax")
    left, top, right, bottom = corners
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise WardlightError("bad-request", "region is not an area within 0 to 1")
    columns, rows = one.image.frame.columns, one.image.frame.rows
    return left * columns, top * rows, (right - left) * columns, (bottom - top) * rows
