"""Cross-origin requests: by exact origin, never with credentials, off by default."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from unit.web.fakes import make
from wardlight.settings import WebSettings
from wardlight.web.app import create_app

VIEWER, OTHER = "https://viewer.example", "https://viewer.example.evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,range"}


def client(*origins: str) -> TestClient:
    return TestClient(create_app(make(cors_origins=origins).services), raise_server_exceptions=False)


def cors(answer) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-")}


def test_off_by_default() -> None:
    for origin in (VIEWER, "null"):
        answer = client().get("/healthz", headers={"Origin": origin})
        assert not cors(answer) and "vary" not in answer.headers


def test_a_preflight() -> None:
    for path, methods in (
        ("/dicom-web/studies", "GET, HEAD, OPTIONS, POST"),
        ("/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/1", "GET, HEAD, OPTIONS"),
    ):
        answer = client(VIEWER).options(path, headers={"Origin": VIEWER, **PREFLIGHT})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == VIEWER
        assert answer.headers["access-control-allow-methods"] == methods
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "range", "if-none-match", "accept", "content-type"} <= set(allowed)
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [OTHER, "https://viewer.example:8443", "http://viewer.example", "https://VIEWER.example", "null", "*"],
)
def test_origins_that_are_not_listed(origin: str) -> None:
    for headers in ({}, PREFLIGHT):
        request = client(VIEWER).options if headers else client(VIEWER).get
        answer = request("/dicom-web/studies", headers={"Origin": origin, **headers})
        assert not cors(answer)
        assert answer.headers["vary"] == "Origin"


def test_answers_and_failures_can_be_read() -> None:
    for token, status in (("admin", 200), ("unknown", 401)):
        answer = client(VIEWER, OTHER).get(
            "/dicom-web/studies", headers={"Origin": VIEWER, "Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == VIEWER
        exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {"etag", "content-range", "accept-ranges", "warning", "www-authenticate"} <= set(exposed)
        assert "Origin" in answer.headers["vary"]
        # Tokens travel in a header of their own; a browser's cookies are never asked for.
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example", "https://viewer.example/", "https://viewer.example/path", "viewer.example", "null", "",
     "https://a@viewer.example", "https://Viewer.example", "ftp://viewer.example", "https://viewer.example\n"],
)  # fmt: skip
def test_settings_take_exact_origins_only(origin: str) -> None:
    with pytest.raises(ValidationError):
        WebSettings(cors_origins=(origin,))
    for good in (VIEWER, "http://localhost:3000", "https://10.0.0.1", "http://[::1]:8080"):
        assert WebSettings(cors_origins=(good,)).cors_origins == (good,)
