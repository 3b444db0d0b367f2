"""The demo's partner applications: registered, entitled, subscribed to, agreed with, each with a route of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

from wardlight.agreements.model import IMAGES, Level, Terms
from wardlight.bootstrap import Platform
from wardlight.cli.demo_studies import HEAD, HIP, SPINE, THORAX, Sample
from wardlight.errors import WardlightError
from wardlight.identity.application_model import Application
from wardlight.identity.issuing import AccessTokens
from wardlight.identity.model import Institution
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.files import create_private, private_folder
from wardlight.receiver.model import Target


@dataclass(frozen=True, slots=True)
class Partner:
    """One application. title: the AE title whose studies go to it and to Images. samples: what is sent there."""

    id: str
    name: str
    vendor: str
    title: str
    level: Level
    purpose: str
    legal_basis: str
    samples: tuple[Sample, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """The releases that its route makes."""
        return Target(IMAGES, self.level), Target(self.id, self.level)


#: One reads for treatment, one for research, each its own studies only.
PARTNERS: Final = (
    Partner(
        "lumen_reader_demo", "Lumen Reader", "Lumen Imaging", "WARD_READER", Level.MEDIUM,
        "TREAT", "gdpr:6.1.e+9.2.h", (HEAD, SPINE),
    ),
    Partner(
        "cohort_research_demo", "Cohort Research", "Cohort Institute", "WARD_RESEARCH", Level.HIGH,
        "HRESCH", "gdpr:6.1.e+9.2.j", (THORAX, HIP),
    ),
)  # fmt: skip


def seed_applications(platform: Platform, institution: Institution) -> list[dict[str, Any]]:
    """Make what is missing and give every application a new token; returns the demo.json rows."""
    folder = platform.settings.data_dir / "applications"
    private_folder(folder)
    known = {row.id: row for row in platform.applications.list()}
    return [_seed(platform, institution, partner, known.get(partner.id), folder) for partner in PARTNERS]


def _seed(
    platform: Platform, institution: Institution, partner: Partner, known: Application | None, folder: Path
) -> dict[str, Any]:
    path = folder / f"{partner.id}.pem"
    application = known or _register(platform, partner)
    _give_key(platform, application, path)
    subscriptions = platform.entitlements.subscriptions(institution.id)
    if not any(one.application == partner.id and one.ended_ms is None for one in subscriptions):
        platform.entitlements.subscribe(institution.id, partner.id, by=LOCAL_ADMINISTRATOR)
    if not platform.agreements.list(institution.id, partner.id):
        terms = Terms(
            levels=frozenset({partner.level}),
            legal_basis=partner.legal_basis,
            purposes=frozenset({partner.purpose}),
            attested_by="Kim Berg, data protection officer",
            document=f"Contract with {partner.vendor}",
        )
        platform.agreements.record(institution.id, partner.id, terms, by=LOCAL_ADMINISTRATOR)
    tokens = AccessTokens(platform.database, platform.recorder)
    token = tokens.give(application, institution.id, purpose=partner.purpose, by=LOCAL_ADMINISTRATOR)
    return {
        "id": partner.id,
        "client_id": partner.id,
        "private_key_file": str(path),
        "purpose": partner.purpose,
        "token": token,
    }


def _register(platform: Platform, partner: Partner) -> Application:
    platform.applications.register(
        partner.id, partner.name, partner.vendor, owner=f"demo@{partner.vendor.split()[0].lower()}.example",
        by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    platform.entitlements.request(
        partner.id, purposes=(partner.purpose,), level=partner.level, regions=("eu",),
        declared_by=f"{partner.vendor}, head of compliance", document="Declaration of compliance",
        by=LOCAL_ADMINISTRATOR,
    )  # fmt: skip
    return platform.applications.approve(partner.id, by=LOCAL_ADMINISTRATOR)


def _give_key(platform: Platform, application: Application, path: Path) -> None:
    """A private key in `path`, and its public part with the platform."""
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        create_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    public = ECKey.import_key(key.public_key()).as_dict(private=False)
    try:
        platform.applications.add_key(application.id, public, by=LOCAL_ADMINISTRATOR)
    except WardlightError as error:
        if error.code != "already-exists":
            raise
