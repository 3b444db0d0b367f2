"""The web application over a whole platform, asked as an administrator: real archive, real tokens, no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.testclient import TestClient

from archive_kit import Kit
from platform_kit import a_platform
from wardlight.access.model import Role, TokenScope
from wardlight.agreements.model import IMAGES, Level
from wardlight.decoding.pool import DecoderPool
from wardlight.dicom.related import PartBegin, PartData, RelatedParser, parse_content_type
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.ingest.service import Ingest
from wardlight.web.app import create_app
from wardlight.web.services import Services

BASE = "http://ward.example/dicom-web"


class Web:
    """kit: the archive's helpers. client: the application's, with an administrator's token on each request."""

    def __init__(self, kit: Kit, client: TestClient, services: Services) -> None:
        self.kit = kit
        self.client = client
        self.services = services

    def get(self, path: str, accept: str = "*/*", **headers: str):
        """GET below the DICOMweb root, or of a whole URL of it; `if_none_match="…"` is a header."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get("/dicom-web" + path.removeprefix(BASE), headers={"Accept": accept, **names})


@contextmanager
def a_web(decoders: int = 1, **settings: object) -> Iterator[Web]:
    """A platform with one institution, and its web application."""
    with a_platform(**settings) as platform:
        kit = Kit(platform, platform.settings.data_dir)
        identity = platform.identity
        platform.agreements.create(
            kit.institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
            attested_by="Kim Berg", by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        person = identity.create_person(
            kit.institution.id, "a@x.example", "A", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
        )
        token = identity.issue_person_token(
            person, by=LOCAL_ADMINISTRATOR, scopes=(TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE)
        )
        pool = DecoderPool(decoders, allow_unsandboxed=True)
        ingest = Ingest(platform.archive, platform.access, platform.agreements)
        services = Services(
            platform.settings,
            identity,
            platform.access,
            platform.archive,
            ingest,
            pool,
            platform.parts,
            platform.api,
            None,
        )
        client = TestClient(
            create_app(services), base_url="http://ward.example", raise_server_exceptions=False,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        try:
            yield Web(kit, client, services)
        finally:
            pool.close()


def parts(answer) -> list[tuple[dict[str, str], bytes]]:
    """(headers, body) of each part of a multipart answer."""
    _, parameters = parse_content_type(answer.headers["content-type"])
    parser = RelatedParser(parameters["boundary"])
    found: list[tuple[dict[str, str], bytearray]] = []
    for event in parser.feed(answer.content):
        if isinstance(event, PartBegin):
            found.append((event.headers, bytearray()))
        elif isinstance(event, PartData):
            found[-1][1].extend(event.data)
    parser.finish()
    return [(headers, bytes(body)) for headers, body in found]
