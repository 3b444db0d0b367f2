"""STOW-RS: the body streams through the multipart parser into the intake; the answer says what became of each file.

PS3.18 10.5. The request is decided on before its body is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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
from wardlight.dicomweb.media import DICOM
from wardlight.dicomweb.negotiation import MULTIPART, json_type
from wardlight.errors import WardlightError
from wardlight.ingest.service import Ingest, Origin, PartOutcome, StoreRequest

_APPLICATION: Final = "wardlight-application"
_LEVEL: Final = "wardlight-level"
_STUDY_GROUP: Final = "wardlight-study-group"
_RELEASE_HEADERS: Final = (_APPLICATION, _LEVEL, _STUDY_GROUP)
_APPLICATION_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_GROUP: Final = re.compile(r"[0-9a-f]{32}")
_FIRST_KEPT: Final = "Instances sent with other content than what is stored were refused: the first is kept"


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


class StoreExchange:
    """A store request under way: feed the body's chunks, then finish; abort if it breaks. Not thread-safe."""

    def __init__(
        self, call: StoreCall, request: StoreRequest, parser: RelatedParser | None, content_type: str
    ) -> None:
        self._call: Final = call
        self._request: Final = request
        self._parser: Final = parser
        self._content_type: Final = content_type
        if parser is None:
            request.begin()

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes of the body. Raises `bad-request` where the multipart grammar is broken."""
        for chunk in chunks:
            if self._parser is None:
                self._request.write(memoryview(chunk))
            else:
                self._feed(self._parser, chunk)

    def finish(self, last: Iterable[bytes] = ()) -> Answer:
        """The body is over with these last bytes: store, and answer as PS3.18 10.5.3 says: 200, 202 or 409."""
        self.feed(last)
        if self._parser is None:
            self._request.end()
        else:
            try:
                self._parser.finish()
            except RelatedError as error:
                raise _broken(error) from None
        outcomes = self._request.finish()
        if not outcomes:
            raise WardlightError("bad-request", "the request holds no part")
        failed = sum(outcome.error is not None for outcome in outcomes)
        status = 200 if not failed else 409 if failed == len(outcomes) else 202
        body = json.dumps(response(outcomes, self._call.base_url, self._call.path.get("study")))
        kept = any(outcome.error and outcome.error.code == "instance-conflict" for outcome in outcomes)
        headers = {"Warning": f'299 {self._call.base_url} "{_FIRST_KEPT}"'} if kept else {}
        return Answer(body.encode("utf-8"), self._content_type, status, headers)

    def abort(self) -> None:
        """The request broke: nothing of it is stored."""
        self._request.abort()

    def _feed(self, parser: RelatedParser, chunk: bytes) -> None:
        try:
            events = parser.feed(chunk)
        except RelatedError as error:
            raise _broken(error) from None
        for event in events:
            if isinstance(event, PartData):
                self._request.write(event.data)
            elif isinstance(event, PartBegin):
                if _is_dicom(event.headers):
                    self._request.begin()
                else:
                    self._request.refuse(WardlightError("unsupported-media-type"))
            elif isinstance(event, PartEnd):
                self._request.end()


def open_store(call: StoreCall) -> StoreExchange:
    """Decide on a store request by its headers alone.

    Raises `unsupported-media-type`, `not-acceptable`, `bad-request`, `not-found`, `forbidden`, `no-agreement`,
    `level-not-agreed`.
    """
    content_type = json_type(call.headers.get("accept", ""), call.query)
    parser = _parser(call)
    study = call.path.get("study")
    if study is not None and not is_uid(study):
        raise WardlightError("not-found")
    return StoreExchange(call, call.ingest.open(_origin(call, study)), parser, content_type)


def _parser(call: StoreCall) -> RelatedParser | None:
    """The parser of a multipart body; None where the body is one file."""
    if call.headers.get("content-encoding", "identity") != "identity":
        raise WardlightError("unsupported-media-type", "the body must not be compressed")
    try:
        media, parameters = parse_content_type(call.headers.get("content-type", ""))
        if media == DICOM:
            return None
        if media != MULTIPART or parameters.get("type", "").lower() != DICOM:
            raise WardlightError("unsupported-media-type", f'{MULTIPART}; type="{DICOM}" or {DICOM} is taken')
        return RelatedParser(parameters.get("boundary", ""), limits=RelatedLimits(parts=call.parts))
    except RelatedError as error:
        if error.code == "content-type" and not call.headers.get("content-type"):
            raise WardlightError("unsupported-media-type", "Content-Type is missing") from None
        raise WardlightError("bad-request", f"Content-Type is not understood ({error.code})") from None


def _origin(call: StoreCall, study: str | None) -> Origin:
    """Which release the request is for. Only a receiver says; anybody else sending these headers is refused."""
    headers = call.headers
    if call.principal.kind is not PrincipalKind.RECEIVER:
        if any(name in headers for name in _RELEASE_HEADERS):
            raise WardlightError("bad-request", "a release is named by receivers only")
        return Origin(call.principal, call.request, call.address, study_uid=study)
    application, group = headers.get(_APPLICATION, IMAGES), headers.get(_STUDY_GROUP)
    if not _APPLICATION_ID.fullmatch(application) or (group is not None and not _GROUP.fullmatch(group)):
        raise WardlightError("bad-request", "a header that names the release is malformed")
    try:
        level = Level(headers.get(_LEVEL, ""))
    except ValueError:
        raise WardlightError("bad-request", "the header of the privacy level is malformed") from None
    study_group = bytes.fromhex(group) if group is not None else None
    return Origin(call.principal, call.request, call.address, application, level, study_group, study)


def _is_dicom(headers: Mapping[str, str]) -> bool:
    """A part without a type is taken as what the request says its parts are."""
    try:
        return parse_content_type(headers.get("content-type", DICOM))[0] == DICOM
    except RelatedError:
        return False


def _broken(error: RelatedError) -> WardlightError:
    code = "too-large" if error.code == "count" else "bad-request"
    return WardlightError(code, f"the multipart body is broken ({error})", reason=f"multipart-{error.code}")


def response(outcomes: Sequence[PartOutcome], base_url: str, study: str | None) -> dict[str, Any]:
    """The Store Instances Response Module in the DICOM JSON model (PS3.18 Table I.2-1).

    What cannot be named by its UIDs goes to the Other Failures Sequence.
    """
    stored, failed, other = [], [], []
    studies = {outcome.uids.study for outcome in outcomes if outcome.error is None}
    for outcome in outcomes:
        named = {
            "00081150": _value("UI", outcome.uids.sop_class),
            "00081155": _value("UI", outcome.uids.instance),
        }
        if outcome.error is None:
            url = (
                f"{base_url}/studies/{outcome.uids.study}/series/{outcome.uids.series}"
                f"/instances/{outcome.uids.instance}"
            )
            stored.append({**named, "00081190": _value("UR", url)})
        else:
            reason = {"00081197": _value("US", outcome.error.kind.dicom)}
            if outcome.uids.sop_class and outcome.uids.instance:
                failed.append({**named, **reason})
            else:
                other.append(reason)
    answer: dict[str, Any] = {}
    if study is None and len(studies) == 1:
        (study,) = studies
    if study is not None and stored:
        answer["00081190"] = _value("UR", f"{base_url}/studies/{study}")
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", other)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
