"""The web application: its routes as a table of contents, and the factory that puts it together."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from wardlight import __version__
from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.dicomweb import frames, retrieve, search
from wardlight.web import health, operations, problems
from wardlight.web.metrics import Metrics
from wardlight.web.middleware import Edge
from wardlight.web.operations import Operation, Public, Read, Store
from wardlight.web.services import Services

__all__ = ["DICOMWEB", "Services", "create_app"]

_QUERY: Final = Action.DICOMWEB_STUDY_QUERY
_READ: Final = Action.DICOMWEB_STUDY_READ
_METADATA: Final = Action.DICOMWEB_METADATA_READ
_FRAME: Final = Action.DICOMWEB_FRAME_READ
_STORE: Final = Action.DICOMWEB_STUDY_STORE

_PEOPLE: Final = frozenset({PrincipalKind.PERSON})
_SENDERS: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.RECEIVER})
_SEE: Final = frozenset({TokenScope.IMAGES_READ})
_SEND: Final = frozenset({TokenScope.IMAGES_STORE, TokenScope.RECEIVER_STORE})

_ROOT: Final = "/dicom-web"
_STUDY: Final = f"{_ROOT}/studies/{{study}}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"

#: PS3.18 chapter 10: what it is at, who serves it, what the audit trail calls it, who may come, with which scope.
DICOMWEB: Final[tuple[Operation, ...]] = (
    # Store (STOW-RS)
    Store(f"{_ROOT}/studies", _STORE, _SENDERS, _SEND),
    Store(_STUDY, _STORE, _SENDERS, _SEND),
    # Search (QIDO-RS)
    Read(f"{_ROOT}/studies", search.studies, _QUERY, _PEOPLE, _SEE),
    Read(f"{_ROOT}/series", search.series, _QUERY, _PEOPLE, _SEE),
    Read(f"{_ROOT}/instances", search.instances, _QUERY, _PEOPLE, _SEE),
    Read(f"{_STUDY}/series", search.series, _QUERY, _PEOPLE, _SEE),
    Read(f"{_STUDY}/instances", search.instances, _QUERY, _PEOPLE, _SEE),
    Read(f"{_SERIES}/instances", search.instances, _QUERY, _PEOPLE, _SEE),
    # Retrieve (WADO-RS)
    Read(_STUDY, retrieve.instances, _READ, _PEOPLE, _SEE),
    Read(_SERIES, retrieve.instances, _READ, _PEOPLE, _SEE),
    Read(_INSTANCE, retrieve.instances, _READ, _PEOPLE, _SEE),
    Read(f"{_STUDY}/metadata", retrieve.metadata, _METADATA, _PEOPLE, _SEE),
    Read(f"{_SERIES}/metadata", retrieve.metadata, _METADATA, _PEOPLE, _SEE),
    Read(f"{_INSTANCE}/metadata", retrieve.metadata, _METADATA, _PEOPLE, _SEE),
    Read(f"{_INSTANCE}/frames/{{frames}}", frames.frames, _FRAME, _PEOPLE, _SEE),
)


def create_app(services: Services) -> FastAPI:
    """Put the application together. It owns nothing: `bootstrap` opens and closes the services."""
    web = services.settings.web
    metrics = Metrics()
    app = FastAPI(
        title="Wardlight",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(app)
    operations.install(app, services, DICOMWEB)
    operations.install(
        app,
        services,
        (
            Public("/healthz", health.healthz, "says only that the process runs"),
            Public("/readyz", health.readyz(services), "says only which parts of the platform answer"),
            Public("/metrics", health.metrics(metrics), "counts by route template, for this machine only"),
        ),
    )
    https = web.tls_certificate is not None or web.behind_tls_proxy
    app.add_middleware(Edge, metrics=metrics, limit=web.request_bytes, https=https)
    return app
