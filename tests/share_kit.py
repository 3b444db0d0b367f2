"""A hospital whose studies are shared: people, a receiver, two partner applications with agreements of their own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from archive_kit import Kit, dataset, part10
from platform_kit import a_platform
from wardlight.access.model import Operation, Principal, PrincipalKind, Role, Scope, TokenScope
from wardlight.agreements.model import IMAGES, Level, Terms
from wardlight.archive.model import InstanceLocation
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.decoding.pool import DecoderPool
from wardlight.identity.clients import Client
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

ACME, BETA = "acme_seg_prod", "beta_stroke_prod"
ADDRESS = "192.0.2.17"
#: Values that identify, none of which may be in what is shared at a stricter level.
CANARIES = {
    "PatientName": "QUILLFEATHER^AMBROSE",
    "PatientID": "MRN-90417733",
    "AccessionNumber": "ACC90218866",
    "InstitutionName": "Zwickelhospital",
    "ReferringPhysicianName": "Brambleknuckle^Wim",
    "StudyDescription": "CT for Quillfeather",
}


def ct(**values: Any) -> Dataset:
    """An image full of canaries."""
    return dataset(
        **{
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "FrameOfReferenceUID": "1.2.3.4.9",
            # 12 bits of 16 are the image's; the others would be cleared on the way.
            "PixelData": bytes(
                number % 16 if place % 2 else 7 * number % 256 for place, number in enumerate(range(32))
            ),
            **CANARIES,
            **values,
        }
    )


class Hospital(Kit):
    """An archive kit with two applications, each with agreement and subscription, and people."""

    def __init__(self, platform: Any) -> None:
        super().__init__(platform, platform.settings.data_dir)
        own, by = self.institution.id, LOCAL_ADMINISTRATOR
        terms = Terms(
            levels=frozenset(Level),
            legal_basis="gdpr:6.1.e+9.2.h",
            purposes=frozenset({"TREAT", "HRESCH"}),
            attested_by="Kim Berg",
            document="DOC-1",
        )
        platform.agreements.record(own, IMAGES, terms, by=by)
        for application in (ACME, BETA):
            platform.applications.register(application, application, "Vendor", by=by)
            platform.applications.approve(application, by=by)
            platform.entitlements.request(
                application,
                purposes=("TREAT", "HRESCH"),
                level=Level.IDENTIFIED,
                regions=("eu",),
                declared_by="Sam Vendor",
                document="DOC-2",
                by=by,
            )
            platform.agreements.record(own, application, terms, by=by)
            platform.entitlements.subscribe(own, application, by=by)
        self.colleague = platform.identity.create_person(own, "r@x.example", "R", Role.RESEARCHER, by=by)
        self.receiver = platform.identity.create_receiver(own, "gate", by=by)

    def as_application(self, application: str, *scopes: str, purpose: str = "TREAT") -> Principal:
        """The application with a token of these scopes, all where none is named."""
        held = frozenset(scopes or TokenScope)
        return Principal(
            PrincipalKind.APPLICATION, application, self.institution.id, None, held, "ref", purpose=purpose
        )

    def as_person(self, id_: str, role: Role) -> Principal:
        return Principal(PrincipalKind.PERSON, id_, self.institution.id, role, frozenset(TokenScope), "ref")

    @property
    def as_receiver(self) -> Principal:
        held = frozenset({TokenScope.RECEIVER_STORE, TokenScope.RECEIVER_COLLECT})
        return Principal(PrincipalKind.RECEIVER, self.receiver.id, self.institution.id, None, held, "ref")

    def may(
        self, action: Action, principal: Principal | None = None, operation: Operation | None = None
    ) -> Scope:
        """A scope for one request."""
        return self.platform.access.scope_for(
            principal or self.principal, action, operation=operation, request="0" * 32, address=ADDRESS
        )

    @property
    def sharing(self) -> Scope:
        return self.may(Action.ACCESS_GRANT_SHARE, operation=Operation.SHARE)

    def work(self, rounds: int = 4) -> None:
        """Rounds of the worker's jobs that make shares, and what follows from them, whole."""
        for _ in range(rounds):
            self.platform.sharing.work(WORKER)
            self.platform.archive.complete(WORKER)

    def seen(self, principal: Principal, study: str) -> list[Dataset]:
        """A study as this principal reads it."""
        scope = self.may(Action.DICOMWEB_STUDY_READ, principal)
        found: list[InstanceLocation] = self.archive.instances(scope, study)
        return [pydicom.dcmread(io.BytesIO(b"".join(self.archive.read(scope, one)))) for one in found]

    def token(self, application: str, *scopes: str, purpose: str = "TREAT") -> str:
        """A bearer token of the application."""
        client = Client(PrincipalKind.APPLICATION, application)
        tokens = AccessTokens(self.platform.database, self.platform.recorder)
        asked: Any = SimpleNamespace(request="0" * 32, address=ADDRESS)
        return tokens.issue(
            client,
            self.institution.id,
            scopes=scopes or [scope.value for scope in TokenScope],
            purpose=purpose,
            jkt=None,
            request=asked,
        )[0]


@contextmanager
def a_hospital(**settings: Any) -> Iterator[Hospital]:
    """A platform with the hospital in it."""
    with a_platform(**settings) as platform:
        yield Hospital(platform)


def study(instances: int = 3, uid: str = "1.2.3.4", **values: Any) -> list[Dataset]:
    """A study of one series."""
    return [
        ct(
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.1",
            SOPInstanceUID=generate_uid(),
            InstanceNumber=str(n + 1),
            **values,
        )
        for n in range(instances)
    ]


def files(*sets: Dataset) -> list[bytes]:
    """The data sets as DICOM files."""
    return [part10(ds) for ds in sets]


class Desk:
    """The web application over a hospital: bearer tokens, no server."""

    def __init__(self, hospital: Hospital, client: TestClient, token: str) -> None:
        self.hospital = hospital
        self.client = client
        self._token = token

    def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        """A request of the administrator, or of whoever has the token; "" for nobody."""
        held = self._token if token is None else token
        headers = {**more.pop("headers", {}), **({"Authorization": f"Bearer {held}"} if held else {})}
        return self.client.request(method, path, headers=headers, **more)

    def share(self, uid: str, **wish: Any) -> dict[str, Any]:
        """Share a study and let the worker carry it out; returns the share as it is then."""
        made = self.ask("POST", f"/api/v1/studies/{uid}/shares", json={"purpose": "TREAT", **wish})
        assert made.status_code == 202, made.text
        self.hospital.work()
        rows = self.ask("GET", f"/api/v1/studies/{uid}/shares").json()["shares"]
        return next(row for row in rows if row["id"] == made.json()["id"])

    def stow(self, path: str, token: str, *sets: Dataset, **headers: str) -> Any:
        """Store data sets."""
        parts = b"".join(
            b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files(*sets)
        )
        kind = {"Content-Type": "multipart/related; type=application/dicom; boundary=b"}
        return self.ask("POST", path, token, content=parts + b"--b--", headers={**kind, **headers})


@contextmanager
def a_desk(**settings: Any) -> Iterator[Desk]:
    """The hospital with its web application."""
    with a_hospital(**settings) as hospital:
        platform = hospital.platform
        pool = DecoderPool(1, allow_unsandboxed=True)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        services = Services(
            platform.settings, platform.identity, platform.access, platform.archive, ingest, pool, platform.parts,
            platform.api, None,
        )  # fmt: skip
        person = platform.identity.create_person(
            hospital.institution.id, "a@x.example", "A", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
        )
        scopes = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.MANAGE, TokenScope.STEP_UP)
        token = platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR, scopes=scopes)
        client = TestClient(
            create_app(services), base_url="http://ward.example", raise_server_exceptions=False
        )
        try:
            yield Desk(hospital, client, token)
        finally:
            pool.close()
