"""What a route says of itself: for OpenAPI, for the capabilities description, for people who read the route table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from wardlight.dicomweb.media import DICOM, DICOM_JSON, DICOM_XML, OCTETS, ZIP
from wardlight.dicomweb.negotiation import MULTIPART
from wardlight.dicomweb.rendered_media import GIF, HTML, JP2, JPEG, MP4, PDF, PLAIN, PNG

JSON: Final = "application/json"
WADL: Final = "application/vnd.sun.wadl+xml"
BYTE_RANGES: Final = "multipart/byteranges"
PIXELS: Final = (
    "image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jphc", "image/jxl", "image/dicom-rle",
    "video/mpeg", "video/mp4",
)  # fmt: skip
RENDERINGS: Final = (JPEG, PNG, JP2, GIF, MP4, HTML, PLAIN, PDF)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query string. schema: JSON Schema of its value."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """One kind of resource.

    transaction: its name in PS3.18 Table H-1 or our own. summary: one sentence. produces, consumes: media types, the
    default first; a type in `related` may come as parts of multipart/related. statuses: of success. errors: of
    failures besides those that any operation can have. schema, takes: names of the schemas of a JSON answer and of a
    JSON body.
    """

    transaction: str
    summary: str
    produces: tuple[str, ...]
    related: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    query: tuple[Parameter, ...] = ()
    schema: str = ""
    takes: str = ""


#: A test of the rules fails on a route that is left with it.
UNDESCRIBED: Final = About("", "", ())


def _text(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string"})


_ACCEPT: Final = _text("accept", "Media types as in the Accept header, for clients that cannot set it.")
_PAGE: Final = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999}

SEARCH: Final = About(
    "Search",
    "Find what matches the attributes in the query string.",
    (DICOM_JSON, JSON),
    related=(DICOM_XML,),
    statuses=(200, 204),
    errors=(413,),
    query=(
        _ACCEPT,
        Parameter("limit", "Most rows to return.", _PAGE),
        Parameter("offset", "Rows to skip.", _PAGE),
        Parameter(
            "fuzzymatching", "Whether names may match by more than their letters.", {"type": "boolean"}
        ),
        _text("includefield", "Attributes to return, by keyword or tag, or `all`."),
        _text("application", "Show the releases of this application in place of those of Images."),
        _text("StudyDate", "A day or a range of days; any attribute of PS3.18 section 10.6 may be a key."),
        _text("PatientID", "A patient ID, with `*` and `?`."),
        _text("PatientName", "A name, with `*` and `?`."),
        _text("ModalitiesInStudy", "A modality."),
        _text("StudyInstanceUID", "One UID or a list with commas."),
    ),
    schema="DataSets",
)
INSTANCES: Final = About(
    "Retrieve",
    "DICOM files, one part an instance; also a zip of them, or their bulk data.",
    (DICOM, ZIP),
    related=(DICOM, OCTETS, *PIXELS),
    statuses=(200, 206, 304),
    errors=(412, 416),
    query=(_ACCEPT,),
)
METADATA: Final = About(
    "Retrieve Metadata",
    "All attributes, bulk data by reference.",
    (DICOM_JSON, JSON),
    related=(DICOM_XML,),
    statuses=(200, 206, 304),
    errors=(412, 416),
    query=(_ACCEPT,),
    schema="DataSets",
)
FRAMES: Final = About(
    "Retrieve Frames",
    "Frames of an image by their numbers from 1.",
    (OCTETS, *PIXELS),
    related=(OCTETS, *PIXELS),
    statuses=(200, 206, 304),
    errors=(412, 416),
    query=(_ACCEPT,),
)
BULK_VALUE: Final = About(
    "Retrieve Bulkdata",
    "One value that metadata gives by reference, or bytes of it.",
    (OCTETS, *PIXELS),
    related=(OCTETS, *PIXELS),
    statuses=(200, 206, 304),
    errors=(412, 416),
    query=(_ACCEPT,),
)
BULK_DATA: Final = About(
    "Retrieve Bulkdata",
    "Every value that metadata gives by reference.",
    (),
    related=(OCTETS, *PIXELS),
    statuses=(200, 206, 304),
    errors=(412,),
    query=(_ACCEPT,),
)
PIXEL_DATA: Final = About(
    "Retrieve Pixel Data",
    "The pixel data of each instance that has some.",
    (),
    related=(OCTETS, *PIXELS),
    statuses=(200, 206, 304),
    errors=(412,),
    query=(_ACCEPT,),
)
_VIEWPORT: Final = _text(
    "viewport", "Size to fit into, and the region shown: `vw,vh` or `vw,vh,sx,sy,sw,sh`."
)
RENDERED: Final = About(
    "Retrieve Rendered",
    "Images as pictures or video, reports as text, an encapsulated PDF as it is.",
    RENDERINGS,
    related=RENDERINGS,
    statuses=(200, 206, 304),
    errors=(412, 413, 416),
    query=(
        _ACCEPT,
        _VIEWPORT,
        _text(
            "annotation", "What is written into the picture: `patient`, `technique` or both, with a comma."
        ),
        Parameter("quality", "Of a lossy encoding.", {"type": "integer", "minimum": 1, "maximum": 100}),
        _text("window", "`center,width,function`; functions are `linear`, `linear-exact`, `sigmoid`."),
        Parameter("iccprofile", "Colour management.", {"type": "string", "enum": ["no", "yes", "srgb"]}),
    ),
)
THUMBNAIL: Final = About(
    "Retrieve Thumbnail",
    "One small picture that stands for the resource.",
    (*RENDERINGS[:3], "image/gif"),
    query=(_ACCEPT, _VIEWPORT),
)
URI: Final = About(
    "Retrieve by URI",
    "One instance by query parameters (WADO-URI), as DICOM or rendered.",
    (*RENDERINGS, DICOM),
    errors=(412, 413, 416),
    statuses=(200, 206, 304),
    query=(
        Parameter("requestType", "The service.", {"type": "string", "enum": ["WADO"]}),
        _text("studyUID", "Study Instance UID."),
        _text("seriesUID", "Series Instance UID."),
        _text("objectUID", "SOP Instance UID."),
        _text("contentType", "Media types, the preferred first."),
        _text("transferSyntax", "UID, with application/dicom only."),
        _text("charset", "UTF-8 is all that is given."),
        _text("annotation", "`patient`, `technique` or both, with a comma."),
        _text("frameNumber", "A frame, from 1."),
        _text("rows", "Most rows of the picture."),
        _text("columns", "Most columns of the picture."),
        _text("region", "`xmin,ymin,xmax,ymax`, as parts of the image from 0 to 1."),
        _text("windowCenter", "With windowWidth."),
        _text("windowWidth", "With windowCenter."),
        _text("imageQuality", "From 1 to 100."),
    ),
)
STORE: Final = About(
    "Store",
    "Store DICOM files; the answer says what became of each.",
    (DICOM_JSON, JSON, DICOM_XML),
    consumes=(MULTIPART, DICOM, DICOM_JSON, DICOM_XML),
    statuses=(200, 202, 409),
    errors=(413, 415, 429, 507),
    query=(_ACCEPT,),
    schema="DataSet",
)
CAPABILITIES: Final = About(
    "Retrieve Capabilities",
    "What this service offers.",
    (WADL, JSON),
    schema="Capabilities",
    query=(_ACCEPT,),
    errors=(400, 406),
)
OPENAPI: Final = About("Retrieve OpenAPI", "This description.", (JSON,), schema="OpenApi")
ALIVE: Final = About("Health", "The process is alive.", (JSON,), schema="Health")
READY: Final = About(
    "Readiness", "Everything that a request needs is there.", (JSON,), statuses=(200, 503), schema="Health"
)
METRICS: Final = About(
    "Metrics", "Counters for Prometheus, for this machine only.", ("text/plain",), errors=(404,)
)
