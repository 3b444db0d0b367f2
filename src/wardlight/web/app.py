"""The web application: its routes as a table of contents, and the factory that puts it together."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from wardlight import __version__
from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.dicomweb import bulk, frames, rendered, representations, retrieve, search, thumbnail, uri
from wardlight.dicomweb.native_xml import or_xml
from wardlight.web import (
    about,
    agreements,
    capabilities,
    grants,
    health,
    oauth,
    oidc,
    openapi,
    operations,
    portal,
    problems,
    trail,
    trail_receiver,
    uploads,
)
from wardlight.web.classify import CLASSIFY
from wardlight.web.cors import Cors
from wardlight.web.datamap import DATA_MAP
from wardlight.web.deletions import DELETIONS
from wardlight.web.delivery import DELIVERY
from wardlight.web.ingest import INGEST
from wardlight.web.machine_data import MACHINE_DATA
from wardlight.web.metrics import Metrics
from wardlight.web.middleware import Edge
from wardlight.web.notifications import NOTIFICATIONS
from wardlight.web.paths import Paths
from wardlight.web.people import PEOPLE
from wardlight.web.quarantine import QUARANTINE
from wardlight.web.routes import Operation, Public, Read, Store
from wardlight.web.services import Services
from wardlight.web.sign_in import SIGN_IN
from wardlight.web.trail_applications import TRAIL_APPLICATIONS
from wardlight.web.trail_reports import REPORTS

__all__ = ["DICOMWEB", "Services", "create_app"]

_QUERY: Final = Action.DICOMWEB_STUDY_QUERY
_READ: Final = Action.DICOMWEB_STUDY_READ
_METADATA: Final = Action.DICOMWEB_METADATA_READ
_FRAME: Final = Action.DICOMWEB_FRAME_READ
_BULK: Final = Action.DICOMWEB_BULKDATA_READ
_RENDERED: Final = Action.DICOMWEB_RENDERED_READ
_THUMBNAIL: Final = Action.DICOMWEB_THUMBNAIL_READ
_STORE: Final = Action.DICOMWEB_STUDY_STORE

_READERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.APPLICATION})
_SENDERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.RECEIVER, PrincipalKind.APPLICATION})
_SEE: Final = frozenset({TokenScope.IMAGES_READ})
_SEND: Final = frozenset(
    {
        TokenScope.IMAGES_STORE,
        TokenScope.RECEIVER_STORE,
        TokenScope.IMAGES_RESULTS,
        TokenScope.IMAGES_UPLOAD,
    }
)

_ROOT: Final = "/dicom-web"
_STUDY: Final = f"{_ROOT}/studies/{{study}}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"

#: PS3.18 chapter 10: what it is at, who serves it, what the audit trail calls it, who may come, with which scope.
DICOMWEB: Final[tuple[Operation, ...]] = (
    # Store (STOW-RS)
    Store(f"{_ROOT}/studies", _STORE, _SENDERS, _SEND, about.STORE),
    Store(_STUDY, _STORE, _SENDERS, _SEND, about.STORE),
    # Search (QIDO-RS)
    Read(f"{_ROOT}/studies", or_xml(search.studies), _QUERY, _READERS, _SEE, about.SEARCH),
    Read(f"{_ROOT}/series", or_xml(search.series), _QUERY, _READERS, _SEE, about.SEARCH),
    Read(f"{_ROOT}/instances", or_xml(search.instances), _QUERY, _READERS, _SEE, about.SEARCH),
    Read(f"{_STUDY}/series", or_xml(search.series), _QUERY, _READERS, _SEE, about.SEARCH),
    Read(f"{_STUDY}/instances", or_xml(search.instances), _QUERY, _READERS, _SEE, about.SEARCH),
    Read(f"{_SERIES}/instances", or_xml(search.instances), _QUERY, _READERS, _SEE, about.SEARCH),
    # Retrieve (WADO-RS)
    Read(_STUDY, representations.instances, _READ, _READERS, _SEE, about.INSTANCES),
    Read(_SERIES, representations.instances, _READ, _READERS, _SEE, about.INSTANCES),
    Read(_INSTANCE, representations.instances, _READ, _READERS, _SEE, about.INSTANCES),
    Read(f"{_STUDY}/metadata", or_xml(retrieve.metadata), _METADATA, _READERS, _SEE, about.METADATA),
    Read(f"{_SERIES}/metadata", or_xml(retrieve.metadata), _METADATA, _READERS, _SEE, about.METADATA),
    Read(f"{_INSTANCE}/metadata", or_xml(retrieve.metadata), _METADATA, _READERS, _SEE, about.METADATA),
    Read(f"{_INSTANCE}/frames/{{frames}}", frames.frames, _FRAME, _READERS, _SEE, about.FRAMES),
    # Retrieve bulk data and pixel data
    Read(f"{_STUDY}/bulkdata", bulk.bulk_data, _BULK, _READERS, _SEE, about.BULK_DATA),
    Read(f"{_SERIES}/bulkdata", bulk.bulk_data, _BULK, _READERS, _SEE, about.BULK_DATA),
    Read(f"{_INSTANCE}/bulkdata", bulk.bulk_data, _BULK, _READERS, _SEE, about.BULK_DATA),
    Read(f"{_INSTANCE}/bulkdata/{{tags:path}}", bulk.value, _BULK, _READERS, _SEE, about.BULK_VALUE),
    Read(f"{_STUDY}/pixeldata", bulk.pixel_data, _BULK, _READERS, _SEE, about.PIXEL_DATA),
    Read(f"{_SERIES}/pixeldata", bulk.pixel_data, _BULK, _READERS, _SEE, about.PIXEL_DATA),
    Read(f"{_INSTANCE}/pixeldata", bulk.pixel_data, _BULK, _READERS, _SEE, about.PIXEL_DATA),
    # Retrieve rendered resources and thumbnails
    Read(f"{_STUDY}/rendered", rendered.instances, _RENDERED, _READERS, _SEE, about.RENDERED),
    Read(f"{_SERIES}/rendered", rendered.instances, _RENDERED, _READERS, _SEE, about.RENDERED),
    Read(f"{_INSTANCE}/rendered", rendered.instance, _RENDERED, _READERS, _SEE, about.RENDERED),
    Read(
        f"{_INSTANCE}/frames/{{frames}}/rendered", rendered.frames, _RENDERED, _READERS, _SEE, about.RENDERED
    ),
    Read(f"{_STUDY}/thumbnail", thumbnail.thumbnail, _THUMBNAIL, _READERS, _SEE, about.THUMBNAIL),
    Read(f"{_SERIES}/thumbnail", thumbnail.thumbnail, _THUMBNAIL, _READERS, _SEE, about.THUMBNAIL),
    Read(f"{_INSTANCE}/thumbnail", thumbnail.thumbnail, _THUMBNAIL, _READERS, _SEE, about.THUMBNAIL),
    Read(
        f"{_INSTANCE}/frames/{{frames}}/thumbnail",
        thumbnail.thumbnail,
        _THUMBNAIL,
        _READERS,
        _SEE,
        about.THUMBNAIL,
    ),
    # WADO-URI (PS3.18 chapter 9)
    Read(f"{_ROOT}/wado", uri.retrieve_object, _READ, _READERS, _SEE, about.URI),
)


#: The platform's own API: who may see what, and all that decides it.
PLATFORM: Final[tuple[Operation, ...]] = (
    *grants.GRANTS,
    *DELETIONS,
    *agreements.ROUTES,
    *INGEST,
    *uploads.UPLOADS,
    *QUARANTINE,
    *oauth.OAUTH,
    *oidc.OIDC,
    *SIGN_IN,
    *PEOPLE,
    *DELIVERY,
    *CLASSIFY,
    *DATA_MAP,
    *NOTIFICATIONS,
    *MACHINE_DATA,
)

#: The audit trail (docs/reference/audit-api.md).
TRAIL: Final[tuple[Operation, ...]] = (
    *trail.READING,
    *REPORTS,
    *trail_receiver.TRAIL_RECEIVER,
    *TRAIL_APPLICATIONS,
)


def create_app(services: Services) -> FastAPI:
    """Put the application together. It owns nothing: `bootstrap` opens and closes the services."""
    web = services.settings.web
    metrics = Metrics()
    app = _Application(
        title="Wardlight",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    endpoints = operations.install(app, services, DICOMWEB)
    describe = capabilities.Capabilities(DICOMWEB, _ROOT, services)
    shown = "says only which routes this service has"
    public = (
        Public("/healthz", health.healthz, "says only that the process runs", about.ALIVE),
        Public(
            "/readyz",
            health.readyz(services),
            "says only which parts of the platform answer",
            about.READY,
        ),
        Public(
            "/metrics",
            health.metrics(metrics),
            "counts by route template, for this machine only",
            about.METRICS,
        ),
        Public(oauth.METADATA_PATH, oauth.Metadata(services), shown, oauth.METADATA),
        *oidc.public(services),
        uploads.DISCOVERY,
        # Retrieve Capabilities (PS3.18 section 8.9)
        Public(_ROOT, describe, shown, about.CAPABILITIES),
        Public(_ROOT, describe, shown, about.CAPABILITIES, method="OPTIONS"),
        Public(f"{_ROOT}/", describe, shown, about.CAPABILITIES),
        Public(f"{_ROOT}/", describe, shown, about.CAPABILITIES, method="OPTIONS"),
    )
    every = [*DICOMWEB, *public, *TRAIL, *PLATFORM]
    every.append(Public("/api/openapi.json", openapi.Document(every, services), shown, about.OPENAPI))
    endpoints += operations.install(app, services, (*every[len(DICOMWEB) :], *portal.ROUTES))
    https = web.tls_certificate is not None or web.behind_tls_proxy
    app.entrance = Edge(Paths(app, endpoints), metrics=metrics, limit=web.request_bytes, https=https)
    app.entrance = Cors(
        app.entrance, origins=web.cors_origins, paths=oidc.FOR_PAGES, registered=oidc.registered(services)
    )
    return app


class _Application(FastAPI):
    """The framework's application, with an entrance of ours."""

    entrance: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection scope."""
        await self.entrance(scope, receive, send)
