"""Measurements that people make in the portal: written as a Measurement Report and stored beside what they measure.

The report is made here, of numbers and codes, and not in the browser: whose study it is, who measured, and every text
in it come from the platform, so that nothing that identifies can be brought into a de-identified release.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from wardlight import clock
from wardlight.access.model import Principal
from wardlight.access.service import Access
from wardlight.agreements.model import IMAGES, Level
from wardlight.agreements.service import Agreements
from wardlight.archive.drawing import Drawing, DrawingPlace
from wardlight.archive.service import Archive
from wardlight.audit.actions import Action
from wardlight.dicom.from_json import from_json
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.measurement_report import COMPREHENSIVE_SR, Measurement, Predecessor, Report, model
from wardlight.dicom.part10 import write_meta
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE
from wardlight.errors import WardlightError
from wardlight.ingest.admission import Admission
from wardlight.ingest.part import Demands
from wardlight.ingest.service import Origin, StoreRequest, Way

#: Measurements of one report, and images that they are on.
MOST: Final = 200
_STUDY_DATE: Final = "00080020"


@dataclass(frozen=True, slots=True)
class Wish:
    """A report to be written. number: of this version. predecessor: the report that it takes the place of."""

    study: str = field(repr=False)
    measurements: tuple[Measurement, ...] = field(repr=False)
    number: int = 1
    predecessor: Predecessor | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The report as it is stored."""

    series: str = field(repr=False)
    instance: str = field(repr=False)
    number: int


class Measurements:
    """Writes reports. Threads may share it."""

    def __init__(self, archive: Archive, access: Access, agreements: Agreements, drawing: Drawing) -> None:
        self._archive = archive
        self._access = access
        self._agreements = agreements
        self._drawing = drawing
        self._admission = Admission()

    def write(
        self, principal: Principal, wish: Wish, name: Callable[[], str], *, request: str, address: str
    ) -> Written:
        """Store one report into the release of Images that this study is.

        name: the person's, for studies whose patient is named, too. Raises `forbidden`, `not-found`, `conflict`, what
        agreements do, and `bad-request` where a measurement names a frame that is not there.
        """
        scope = self._access.scope_for(
            principal, Action.DICOMWEB_STUDY_STORE, request=request, address=address
        )
        images = {one.image.instance: one.image.series for one in wish.measurements}
        before = wish.predecessor
        if before is not None:
            images[before.instance] = before.series
        place = self._drawing.place(scope, wish.study, [(series, uid) for uid, series in images.items()])
        self._agreements.require(scope.institution, IMAGES, place.result.level)
        if before is not None and place.seen[before.instance].sop_class != COMPREHENSIVE_SR:
            raise WardlightError("bad-request", "what is replaced is no report of measurements")
        report = self._report(principal, wish, place, name)
        data = from_json(model(report, [_placed(one, place) for one in wish.measurements]))
        self._store(
            Origin(principal, request, address, study_uid=wish.study), scope.institution, place, report, data
        )
        return Written(report.series, report.instance, report.number)

    def _report(
        self, principal: Principal, wish: Wish, place: DrawingPlace, name: Callable[[], str]
    ) -> Report:
        level = place.result.level
        now = clock.now()
        date, time = f"{now:%Y%m%d}", f"{now:%H%M%S}"
        attributes = dict(place.attributes)
        observer = principal.id
        if level is Level.IDENTIFIED:
            observer = _person_name(name()) or principal.id
            attributes["00080201"] = {"vr": "SH", "Value": ["+0000"]}
        else:
            # Dates of the release may be moved: a true one beside them would tell by how much at most.
            days = attributes[_STUDY_DATE].get("Value") or [date]
            date, time = str(days[0]), "000000"
            attributes["00120063"] = {"vr": "LO", "Value": [f"Wardlight {level.value}, drawn by a person"]}
        return Report(
            attributes,
            wish.study,
            wish.predecessor.series if wish.predecessor else new_uid(),
            new_uid(),
            (observer, principal.id),
            date,
            time,
            wish.number,
            wish.predecessor,
        )

    def _store(
        self, origin: Origin, institution: uuid.UUID, place: DrawingPlace, report: Report, data: bytes
    ) -> None:
        """By the way of every other file: followed, checked against the release, and committed with its entry."""
        result = place.result
        way = Way(
            institution, Demands(result.level, report.study, result), lambda _: result.target, result.telling
        )
        meta = write_meta(
            COMPREHENSIVE_SR,
            report.instance,
            EXPLICIT_LITTLE.uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION,
        )
        request = StoreRequest(
            self._archive, self._access, way, origin, self._admission.enter(origin.principal)
        )
        try:
            request.begin()
            request.write(memoryview(meta + data))
            request.end()
            outcomes = request.finish()
        except BaseException:
            request.abort()
            raise
        if outcomes[0].error is not None:
            raise outcomes[0].error


def _placed(one: Measurement, place: DrawingPlace) -> Measurement:
    """The measurement with the class of its image, and its frame where the image has several."""
    seen = place.seen[one.image.instance]
    if one.image.frame > seen.frames:
        raise WardlightError("bad-request", "a measurement names a frame that is not there", "frame")
    frame = (one.image.frame or 1) if seen.frames > 1 else 0
    return replace(one, image=replace(one.image, sop_class=seen.sop_class, frame=frame))


def _person_name(text: str) -> str:
    """What people are called here, as a PN of one component group: its separators stand for themselves nowhere."""
    return text.translate(str.maketrans("^=\\", "   ")).strip()[:64]


def new_uid() -> str:
    """A UID of its own (PS3.5 section B.2)."""
    return f"2.25.{uuid.uuid4().int}"
