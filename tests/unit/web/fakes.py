"""In-memory stand-ins for the services behind the routes: they keep what they are given and are loud about misuse."""

from __future__ import annotations

import itertools
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardlight.access.model import Operation, Principal, PrincipalKind, Role, Scope, TokenScope
from wardlight.access.service import Access
from wardlight.agreements.model import Level
from wardlight.archive import values
from wardlight.archive.model import (
    FrameTable,
    IncomingInstance,
    InstanceLocation,
    Metadata,
    Outcome,
    Page,
    Query,
    ReleaseTarget,
    StoreOutcome,
    ValuePlace,
)
from wardlight.archive.service import Telling
from wardlight.decoding.pool import DecoderPool
from wardlight.deid.engine import METHODS
from wardlight.deid.profile import load_profile
from wardlight.errors import WardlightError
from wardlight.ingest.service import Ingest
from wardlight.settings import Settings, WebSettings
from wardlight.web.services import Services

INSTITUTION = uuid.UUID(int=1)
TOKENS = {
    "admin": Principal(
        PrincipalKind.PERSON,
        "u-admin",
        INSTITUTION,
        Role.ADMINISTRATOR,
        frozenset(
            {
                TokenScope.IMAGES_READ,
                TokenScope.IMAGES_STORE,
                TokenScope.AUDIT_READ,
                TokenScope.MANAGE,
                TokenScope.STEP_UP,
            }
        ),
    ),
    "reader": Principal(
        PrincipalKind.PERSON, "u-reader", INSTITUTION, Role.CLINICIAN, frozenset({TokenScope.IMAGES_READ})
    ),
    "officer": Principal(
        PrincipalKind.PERSON,
        "u-officer",
        INSTITUTION,
        Role.PRIVACY_OFFICER,
        frozenset({TokenScope.IMAGES_READ}),
    ),
    "receiver": Principal(
        PrincipalKind.RECEIVER, "r-1", INSTITUTION, None, frozenset({TokenScope.RECEIVER_STORE})
    ),
    "application": Principal(
        PrincipalKind.APPLICATION, "app-1", INSTITUTION, None, frozenset({TokenScope.IMAGES_READ})
    ),
    "operator": Principal(PrincipalKind.OPERATOR, "o-1", None, None, frozenset({TokenScope.IMAGES_READ})),
}


class FakeDenials:
    """Keeps the denials that were recorded."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def record(self, institution: uuid.UUID | None, event: Any) -> None:
        self.events.append(event)


class FakeIdentity:
    """Knows the tokens above."""

    def authenticate(self, token: str, jkt: bytes | None = None) -> Principal | None:
        return TOKENS.get(token) if jkt is None else None


@dataclass
class FakeAgreements:
    """One set of levels for each application."""

    levels: dict[str, set[Level]] = field(
        default_factory=lambda: {"images": {Level.IDENTIFIED, Level.HIGH}, "acme": {Level.HIGH}}
    )

    def require(self, institution: uuid.UUID, application: str, level: Level) -> None:
        if application not in self.levels:
            raise WardlightError("no-agreement")
        if level not in self.levels[application]:
            raise WardlightError("level-not-agreed")


class FakeParts:
    """A platform whose trail shows nothing to anybody."""

    def __getattr__(self, name: str) -> Any:
        raise WardlightError("not-found")


class FakeWriter:
    """A segment in memory; counts what it must be used for once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.aborted = self.committed = False

    def write(self, data: bytes | memoryview) -> None:
        assert not self.aborted and not self.committed
        self.data += data

    def tell(self) -> int:
        return len(self.data)

    def abort(self) -> None:
        self.aborted = True


class FakeArchive:
    """Keeps segments and instances; the answers of its searches are set by the test."""

    def __init__(self) -> None:
        self.targets: list[ReleaseTarget] = []
        self.groups: list[bytes | None] = []
        self.writers: list[FakeWriter] = []
        self.instances_of: dict[tuple[str, str, str, str], tuple[IncomingInstance, bytes]] = {}
        self.commits = 0
        self.fail: WardlightError | None = None
        self.page = Page([], more=False)
        self.queries: list[Query] = []
        self.rows: list[bytes] = []
        self.syntax: str | None = None
        self.table: FrameTable | None = None
        self.damaged_after: int | None = None
        self.closed = 0
        self.base_url = ""

    # store side
    def target(
        self,
        institution: uuid.UUID,
        application: str,
        level: Level,
        study_uid: str,
        study_group: bytes | None = None,
        **_: Any,
    ) -> ReleaseTarget:
        target = ReleaseTarget(
            institution, uuid.uuid4(), application, level, uuid.uuid4(), bytes(32), study_uid
        )
        self.targets.append(target)
        self.groups.append(study_group)
        return target

    def begin_segment(self, target: ReleaseTarget) -> FakeWriter:
        self.writers.append(FakeWriter())
        return self.writers[-1]

    def commit(
        self,
        target: ReleaseTarget,
        writer: FakeWriter,
        instances: Sequence[IncomingInstance],
        *,
        actor: Principal,
        request: str,
        address: str = "",
        telling: Telling | None = None,
    ) -> list[StoreOutcome]:
        assert not writer.aborted and instances and len(request) == 32
        if self.fail is not None:
            raise self.fail
        writer.committed = True
        self.commits += 1
        outcomes = []
        for row in instances:
            assert row.study_uid == target.study_uid
            key = (target.application, row.study_uid, row.series_uid, row.sop_uid)
            outcome = Outcome.STORED
            if key in self.instances_of:
                same = self.instances_of[key][0].sha256 == row.sha256
                outcome = Outcome.DUPLICATE if same else Outcome.CONFLICT
            else:
                self.instances_of[key] = (row, bytes(writer.data[row.offset : row.offset + row.length]))
            outcomes.append(StoreOutcome(row.sop_class, row.sop_uid, outcome))
        return outcomes

    # read side
    def _search(self, scope: Scope, query: Query) -> Page:
        assert scope.operation is Operation.SEARCH
        self.queries.append(query)
        return self.page

    search_studies = search_series = search_instances = _search

    def instances(
        self, scope: Scope, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[InstanceLocation]:
        assert scope.operation is Operation.RETRIEVE
        wanted = (study_uid, series_uid, sop_uid)
        found = [
            self._location(row, data)
            for (_, *uids), (row, data) in self.instances_of.items()
            if all(want in (None, uid) for want, uid in zip(wanted, uids, strict=True))
        ]
        if not found:
            raise WardlightError("not-found")
        return found

    def _location(self, row: IncomingInstance, data: bytes) -> InstanceLocation:
        return InstanceLocation(
            institution=INSTITUTION,
            release=uuid.UUID(int=2),
            row=uuid.uuid3(uuid.NAMESPACE_OID, row.sop_uid),
            application="images",
            level=Level.IDENTIFIED,
            key_id=uuid.UUID(int=4),
            object_id=uuid.UUID(int=5),
            object_size=len(data),
            offset=0,
            length=len(data),
            dataset_offset=row.dataset_offset,
            header_length=len(row.header),
            pixel=row.pixel,
            transfer_syntax=self.syntax or row.transfer_syntax,
            sop_class=row.sop_class,
            frames=1,
            frame_bits=0,
            reading=None,
            study_uid=row.study_uid,
            series_uid=row.series_uid,
            sop_uid=row.sop_uid,
        )

    def read(
        self,
        scope: Scope,
        location: InstanceLocation,
        start: int = 0,
        end: int | None = None,
        *,
        frames: int | None = None,
        instances: int | None = None,
    ) -> Iterator[bytes]:
        data = next(d for row, d in self.instances_of.values() if row.sop_uid == location.sop_uid)
        data = data[start : len(data) if end is None else end]
        try:
            for begin in range(0, len(data), 256 << 10):
                if self.damaged_after is not None and begin >= self.damaged_after:
                    raise WardlightError("object-damaged")
                yield data[begin : begin + (256 << 10)]
        finally:
            self.closed += 1

    def frames(self, scope: Scope, location: InstanceLocation) -> FrameTable:
        if self.table is not None:
            return self.table
        pixel = location.pixel
        if pixel is None:
            return FrameTable(())
        if pixel.length >= 0:
            return FrameTable((((pixel.offset, pixel.offset + pixel.length),),))
        return FrameTable(tuple(((offset, offset + length),) for offset, length in pixel.fragments[1:]))

    def metadata(
        self,
        scope: Scope,
        study_uid: str,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        *,
        base_url: str,
    ) -> Metadata:
        self.base_url = base_url
        return Metadata(iter(self.rows), (len(self.rows),))

    def value(self, scope: Scope, location: InstanceLocation, path: tuple[int, ...]) -> ValuePlace:
        return values.find(self._reader(location), location, path)

    def values(self, scope: Scope, location: InstanceLocation) -> list[ValuePlace]:
        return values.referenced(self._reader(location), location)

    def read_value(
        self, scope: Scope, location: InstanceLocation, place: ValuePlace, start: int, end: int
    ) -> Iterator[bytes]:
        return values.value_range(self._reader(location), location, place, start, end)

    def checksum(self, scope: Scope, location: InstanceLocation) -> int:
        return zlib.crc32(b"".join(self.read(scope, location)))

    def _reader(self, location: InstanceLocation) -> Any:
        return _FakeReader(b"".join(self.read(None, location)))


@dataclass
class _FakeReader:
    """The object of one instance, in memory."""

    data: bytes

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]

    def iter(self, start: int, end: int, chunk: int) -> Iterator[bytes]:
        for begin in range(start, end, chunk):
            yield self.data[begin : min(end, begin + chunk)]


class FakeAccess(Access):
    """Decisions where the institution has agreed to everything."""

    def _agreed(self, institution, purpose):
        return None, ""


@dataclass
class Fakes:
    """Services over fakes, and the fakes themselves."""

    services: Services
    archive: FakeArchive
    denials: FakeDenials
    agreements: FakeAgreements


def make(**web: Any) -> Fakes:
    """Everything that `create_app` needs, in memory."""
    archive, denials, agreements = FakeArchive(), FakeDenials(), FakeAgreements()
    access = FakeAccess(None, denials)  # type: ignore[arg-type]
    ingest = Ingest(archive, access, agreements)  # type: ignore[arg-type]
    settings = Settings(demo=True, web=WebSettings(**web))
    services = Services(
        settings, FakeIdentity(), access, archive, ingest, DecoderPool(1), FakeParts(), FakeParts(), None
    )  # type: ignore[arg-type]
    return Fakes(services, archive, denials, agreements)


def part10(
    number: int = 1,
    *,
    study: str = "1.2.3",
    series: str = "1.2.3.4",
    syntax: str = "1.2.840.10008.1.2.1",
    pixels: bytes = b"\x01\x02\x03\x04",
    fragments: Sequence[bytes] | None = None,
    name: str = "Doe^Jane",
    more: Sequence[tuple[int, bytes, bytes]] = (),
) -> bytes:
    """A small DICOM file, little endian explicit. more: further elements (tag, VR, value)."""

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        value += (b" " if vr not in (b"UI", b"OW", b"OB") else b"\0") * (len(value) % 2)
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
        if vr in (b"OW", b"OB", b"SQ"):
            return head + b"\0\0" + len(value).to_bytes(4, "little") + value
        return head + len(value).to_bytes(2, "little") + value

    sop = f"{series}.{number}".encode()
    meta = (
        element(0x00020002, b"UI", b"1.2.840.10008.5.1.4.1.1.2")
        + element(0x00020003, b"UI", sop)
        + element(0x00020010, b"UI", syntax.encode())
    )
    data = b"".join(
        itertools.starmap(
            element,
            [
                (0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
                (0x00080018, b"UI", sop),
                (0x00100010, b"PN", name.encode()),
                *more,
                (0x0020000D, b"UI", study.encode()),
                (0x0020000E, b"UI", series.encode()),
            ],
        )
    )
    if fragments is None:
        data += element(0x7FE00010, b"OW", pixels)
    else:
        data += b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0"
        for fragment in fragments:
            data += b"\xfe\xff\x00\xe0" + len(fragment).to_bytes(4, "little") + fragment
        data += b"\xfe\xff\xdd\xe0\0\0\0\0"
    group = element(0x00020000, b"UL", len(meta).to_bytes(4, "little"))
    return bytes(128) + b"DICM" + group + meta + data


STUDY, SERIES = "2.25.1", "2.25.1.1"


def methods(*codes: str) -> bytes:
    """The items of a De-identification Method Code Sequence of these DCM codes."""
    items = b""
    for code in codes:
        item = b"\x08\0\0\x01SH\x06\0" + code.encode() + b"\x08\0\x02\x01SH\x04\0DCM "
        items += b"\xfe\xff\0\xe0" + len(item).to_bytes(4, "little") + item
    return items


def protected(
    number: int = 1,
    level: Level = Level.HIGH,
    *,
    removed: bytes = b"YES",
    codes: Sequence[str] | None = None,
    study: str = STUDY,
    series: str = SERIES,
    report: bool = False,
    **more: Any,
) -> bytes:
    """A file with the marks that de-identification at this level leaves; arguments say what is wrong with them.

    report: it has the name of a concept, as content items do.
    """
    if codes is None:
        codes = [METHODS[option][0] for option in ("basic", *load_profile(level.value).options)]
    marks = [(0x00120062, b"CS", removed), (0x00120064, b"SQ", methods(*codes))]
    if report:
        marks.append((0x0040A043, b"SQ", methods("121060")))
    marks = [(tag, vr, value) for tag, vr, value in marks if value]
    return part10(number, study=study, series=series, name="P1", more=marks, **more)
