"""STOW-RS: the body streams through the multipart parser into the intake; the answer says what became of each instance.

PS3.18 10.5. The request is decided on before its body is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from wardlight.access.model import Principal, PrincipalKind
from wardlight.agreements.model import IMAGES, Level
from wardlight.dicom.related import (
    PartBegin,
    PartData,
    PartEnd,
    RelatedError,
    RelatedLimits,
    RelatedParser,
    parse_content_type,
)
from wardlight.dicomweb.call import Answer, is_uid
from wardlight.dicomweb.media import DICOM, DICOM_JSON, DICOM_XML
from wardlight.dicomweb.negotiation import MULTIPART
from wardlight.dicomweb.store_parts import Metadata, kind_of
from wardlight.dicomweb.store_response import answer_type, response, status_of, written
from wardlight.errors import WardlightError
from wardlight.ingest.metadata import MetadataRequest
from wardlight.ingest.service import Ingest, Origin, StoreRequest

_APPLICATION: Final = "wardlight-application"
_LEVEL: Final = "wardlight-level"
_STUDY_GROUP: Final = "wardlight-study-group"
_SOURCE: Final = "wardlight-source"
_QUARANTINED: Final = "wardlight-quarantined"
_HANDOVER: Final = "wardlight-handover"
_RELEASE_HEADERS: Final = (_APPLICATION, _LEVEL, _STUDY_GROUP, _HANDOVER)
_APPLICATION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_GROUP: Final = re.compile(r"[0-9a-f]{32}")
_SOURCE_ID: Final = re.compile(r"(?:src-)?([0-9a-f]{32})")
_COUNT: Final = re.compile(r"[0-9]{1,6}")
_FIRST_KEPT: Final = "Instances sent with other content than what is stored were refused: the first is kept"
#: What a request may hold (PS3.18 10.5.1.4): as the whole body, or as the type of a multipart body's parts.
_TYPES: Final = (DICOM, DICOM_JSON, DICOM_XML)


@dataclass(frozen=True, slots=True)
class StoreCall:
    """One store request whose sender is known. headers: names in lower case. path: `study` where the URL has it."""

    ingest: Ingest
    principal: Principal
    request: str
    base_url: str
    address: str = field(repr=False)
    path: Mapping[str, str] = field(repr=False)
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    parts: int = 100_000


@dataclass(frozen=True, slots=True)
class _Body:
    """What the request's Content-Type says. parser: of a multipart body. default: type of parts that name none."""

    parser: RelatedParser | None
    default: str


class StoreExchange:
    """A store request under way: feed the body's chunks, then finish; abort if it breaks. Not thread-safe."""

    def __init__(self, call: StoreCall, request: StoreRequest, body: _Body, content_type: str) -> None:
        self._call: Final = call
        self._request: Final = request
        self._parser: Final = body.parser
        self._default: Final = body.default
        self._content_type: Final = content_type
        self._metadata: MetadataRequest | None = None
        #: Where the bytes of the present part go.
        self._sink: StoreRequest | MetadataRequest = request
        if self._parser is None:
            self._begin({})

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes of the body. Raises `bad-request` where the multipart grammar is broken."""
        for chunk in chunks:
            if self._parser is None:
                self._sink.write(memoryview(chunk))
            else:
                self._feed(self._parser, chunk)

    def finish(self, last: Iterable[bytes] = ()) -> Answer:
        """The body is over with these last bytes: store, and answer as PS3.18 10.5.3 says: 200, 202 or 409."""
        self.feed(last)
        if self._parser is None:
            self._sink.end()
        else:
            try:
                self._parser.finish()
            except RelatedError as error:
                raise _broken(error) from None
        if self._metadata is not None:
            self._metadata.finish()
            self._metadata.close()
        outcomes = self._request.finish()
        if not outcomes:
            raise WardlightError("bad-request", "the request holds no instance")
        module = response(outcomes, self._call.base_url, self._call.path.get("study"))
        kept = any(outcome.error and outcome.error.code == "instance-conflict" for outcome in outcomes)
        headers = {"Warning": f'299 {self._call.base_url} "{_FIRST_KEPT}"'} if kept else {}
        return Answer(written(module, self._content_type), self._content_type, status_of(outcomes), headers)

    def abort(self) -> None:
        """The request broke: nothing of it is stored."""
        if self._metadata is not None:
            self._metadata.close()
        self._request.abort()

    def _feed(self, parser: RelatedParser, chunk: bytes) -> None:
        try:
            events = parser.feed(chunk)
        except RelatedError as error:
            raise _broken(error) from None
        for event in events:
            if isinstance(event, PartData):
                self._sink.write(event.data)
            elif isinstance(event, PartBegin):
                self._begin(event.headers)
            elif isinstance(event, PartEnd):
                self._sink.end()

    def _begin(self, headers: Mapping[str, str]) -> None:
        """A part begins, or the whole body where it has no parts."""
        try:
            kind = kind_of(headers, self._default)
        except WardlightError as error:
            self._sink = self._request
            self._request.refuse(error)
            return
        if kind is None:
            self._sink = self._request
            self._request.begin()
            return
        if self._metadata is None:
            self._metadata = MetadataRequest(self._request, self._call.ingest.spool_folder)
        self._sink = self._metadata
        if isinstance(kind, Metadata):
            self._metadata.begin_metadata(xml=kind.xml)
        else:
            self._metadata.begin_bulk(kind)


def open_store(call: StoreCall) -> StoreExchange:
    """Decide on a store request by its headers alone.

    Raises `unsupported-media-type`, `not-acceptable`, `bad-request`, `not-found`, `forbidden`, `no-agreement`,
    `level-not-agreed`, `rate-limited`, `unavailable`.
    """
    content_type = answer_type(call.headers.get("accept", ""), call.query)
    body = _body(call)
    study = call.path.get("study")
    if study is not None and not is_uid(study):
        raise WardlightError("not-found")
    return StoreExchange(call, call.ingest.open(_origin(call, study)), body, content_type)


def _body(call: StoreCall) -> _Body:
    if call.headers.get("content-encoding", "identity") != "identity":
        raise WardlightError("unsupported-media-type", "the body must not be compressed")
    try:
        media, parameters = parse_content_type(call.headers.get("content-type", ""))
        if media in _TYPES:
            return _Body(None, media)
        # The type is mandatory (RFC 2387 3.1), but there are senders who forget it: then each part has its own.
        default = parameters.get("type", "").lower() or DICOM
        if media != MULTIPART or default not in _TYPES:
            raise WardlightError("unsupported-media-type", f"{MULTIPART} of, or one of: {', '.join(_TYPES)}")
        parser = RelatedParser(parameters.get("boundary", ""), limits=RelatedLimits(parts=call.parts))
        return _Body(parser, default)
    except RelatedError as error:
        if error.code == "content-type" and not call.headers.get("content-type"):
            raise WardlightError("unsupported-media-type", "Content-Type is missing") from None
        raise WardlightError("bad-request", f"Content-Type is not understood ({error.code})") from None


def _origin(call: StoreCall, study: str | None) -> Origin:
    """Which release the request is for. Only a receiver says; anybody else sending these headers is refused.

    But for the level of what a third party provides, which its sender names.
    """
    headers = call.headers
    if call.principal.kind is not PrincipalKind.RECEIVER:
        source = _source(headers)
        upload = source is not None or (study is None and call.principal.kind is PrincipalKind.APPLICATION)
        named = _RELEASE_HEADERS if not upload else (_APPLICATION, _STUDY_GROUP, _HANDOVER)
        if any(name in headers for name in named):
            raise WardlightError("bad-request", "a release is named by receivers only")
        level = _level(headers) if _LEVEL in headers else Level.IDENTIFIED
        return Origin(call.principal, call.request, call.address, level=level, study_uid=study, source=source)
    application, group = headers.get(_APPLICATION, IMAGES), headers.get(_STUDY_GROUP)
    if not _APPLICATION_ID.fullmatch(application) or (group is not None and not _GROUP.fullmatch(group)):
        raise WardlightError("bad-request", "a header that names the release is malformed")
    count = headers.get(_QUARANTINED)
    if _SOURCE in headers or (count is not None and not _COUNT.fullmatch(count)):
        raise WardlightError("bad-request", "a header of the store request is malformed")
    return Origin(
        call.principal,
        call.request,
        call.address,
        application,
        _level(headers),
        bytes.fromhex(group) if group is not None else None,
        study,
        quarantined=int(count) if count is not None else None,
        handover=_handover(headers),
    )


def _level(headers: Mapping[str, str]) -> Level:
    try:
        return Level(headers.get(_LEVEL, ""))
    except ValueError:
        raise WardlightError("bad-request", "the header of the privacy level is malformed") from None


def _source(headers: Mapping[str, str]) -> UUID | None:
    """The record of the third party that the data is of."""
    if _SOURCE not in headers:
        return None
    found = _SOURCE_ID.fullmatch(headers[_SOURCE])
    if found is None:
        raise WardlightError("bad-request", "the header of the source is malformed")
    return UUID(hex=found[1])


def _handover(headers: Mapping[str, str]) -> UUID | None:
    """The handover of which what is sent is the result, made anew."""
    if _HANDOVER not in headers:
        return None
    if not _GROUP.fullmatch(headers[_HANDOVER]):
        raise WardlightError("bad-request", "the header of the handover is malformed")
    return UUID(hex=headers[_HANDOVER])


def _broken(error: RelatedError) -> WardlightError:
    code = "too-large" if error.code == "count" else "bad-request"
    return WardlightError(code, f"the multipart body is broken ({error})", reason=f"multipart-{error.code}")
