"""What `wardlight demo` puts in place: an institution, people, an agreement, a receiver with routes, studies."""

from __future__ import annotations

import json
import os
import secrets as secrets_of_python
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, _config

from wardlight.agreements.model import IMAGES, Level
from wardlight.bootstrap import Platform
from wardlight.cli import demo_studies
from wardlight.cli.admin_receivers import enrol_here
from wardlight.cli.audit_bundle import TRUST
from wardlight.cli.demo_applications import PARTNERS, seed_applications
from wardlight.errors import WardlightError
from wardlight.identity import totp
from wardlight.identity.model import OPERATORS, Institution, Role, TokenScope
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.files import private_folder
from wardlight.receiver import routes, secrets
from wardlight.receiver.model import Route, Target
from wardlight.receiver.status import status
from wardlight.receiver.store import ReceiverStore
from wardlight.settings import Settings
from wardlight.trail.bundle import trust_of

SLUG: Final = "demo"
AE_TITLES: Final = {
    Level.HIGH: "TEAMPLAYISHARE",
    Level.MEDIUM: "WARD_MEDIUM",
    Level.LOW: "WARD_LOW",
    Level.IDENTIFIED: "WARD_IDENTIFIED",
}
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_PEOPLE: Final = {
    Role.ADMINISTRATOR: ("admin@demo.example", "Alex Morgan"),
    Role.CLINICIAN: ("clinician@demo.example", "Dr. Robin Hale"),
    Role.RESEARCHER: ("researcher@demo.example", "Sam Okafor"),
    Role.PRIVACY_OFFICER: ("privacy@demo.example", "Kim Berg"),
}
#: What the tokens are for: all that the roles of their holders allow.
_PEOPLE_MAY: Final = (
    TokenScope.IMAGES_READ,
    TokenScope.IMAGES_STORE,
    TokenScope.IMAGES_UPLOAD,
    TokenScope.AUDIT_READ,
    TokenScope.MANAGE,
    TokenScope.STEP_UP,
)
_OPERATORS_MAY: Final = (TokenScope.PLATFORM, TokenScope.STEP_UP)
_OPERATOR: Final = ("operator@demo.example", "Jo Petrov")
_DRAWN: Final = (
    (Level.HIGH, demo_studies.CHEST),
    (Level.MEDIUM, demo_studies.BRAIN),
    (Level.LOW, demo_studies.ABDOMEN),
    (Level.IDENTIFIED, demo_studies.KNEE),
)


def seed_platform(platform: Platform, before: dict[str, Any]) -> dict[str, Any]:
    """Make what is missing and give everybody a new token; returns the demo.json rows.

    before: the demo.json of the last start, whose logins go on; {} where there is none.
    """
    institution = _institution(platform)
    platform.identity.ensure_operator()
    logins = {row["login"]: row for row in before.get("people", ())}
    people = [
        _person(platform, institution.id, role, login, name, logins.get(login, {}))
        for role, (login, name) in _PEOPLE.items()
    ]
    people.append(_person(platform, OPERATORS, Role.OPERATOR, *_OPERATOR, logins.get(_OPERATOR[0], {})))
    try:
        platform.agreements.show(institution.id, IMAGES)
    except WardlightError:
        platform.agreements.create(
            institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
            attested_by="Kim Berg, data protection officer", by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
    _credential(platform, institution)
    applications = seed_applications(platform, institution)
    return {"institution": str(institution.id), "people": people, "applications": applications}


def _person(
    platform: Platform, institution: UUID, role: Role, login: str, name: str, before: dict[str, Any]
) -> dict[str, Any]:
    """One row of demo.json. Password and authenticator are made once, and anew where nobody knows them any more."""
    by = LOCAL_ADMINISTRATOR
    found = [one for one in platform.identity.people(institution, by=by) if one.login == login]
    person = found[0] if found else platform.identity.create_person(institution, login, name, role, by=by)
    password, secret = before.get("password"), before.get("totp_secret")
    if not found or not password or not secret:
        password = secrets_of_python.token_urlsafe(15)
        platform.sign_in.give_password(person, password, by=by)
        if found:
            platform.factors.reset(person, by=by)
        secret = totp.shown(platform.factors.give_totp(person, by=by))
    scopes = _OPERATORS_MAY if role is Role.OPERATOR else _PEOPLE_MAY
    token = platform.identity.issue_person_token(person, by=by, scopes=scopes)
    return {"role": role.value, "login": login, "password": password, "totp_secret": secret, "token": token}


def _institution(platform: Platform) -> Institution:
    try:
        return platform.identity.institution(SLUG)
    except WardlightError:
        return platform.identity.create_institution(SLUG, "St. Mary Hospital", "eu", by=LOCAL_ADMINISTRATOR)


def _credential(platform: Platform, institution: Institution) -> None:
    folder = platform.settings.receiver_secrets
    if secrets.credential(folder) is None:
        enrol_here(platform, institution, "gateway-1", folder)


def seed_routes(settings: Settings) -> None:
    """One AE title for each privacy level, Images only, and one for each partner application and Images.

    From loopback, by any calling AE title.
    """
    private_folder(settings.receiver_dir)
    store = ReceiverStore(settings.receiver_dir / "receiver.db")
    try:
        known = {route.called_ae for route in routes.read_routes(store.database)}
        targets: dict[str, tuple[Target, ...]] = {
            title: (Target(IMAGES, level),) for level, title in AE_TITLES.items()
        }
        targets |= {partner.title: partner.targets for partner in PARTNERS}
        for title, releases in targets.items():
            route = Route(title, releases, networks=_LOOPBACK, unknown_syntaxes=True)
            if title in known:
                routes.change_route(store.database, route, ())
            else:
                routes.create_route(store.database, route, ())
    finally:
        store.close()


def wait_until_ready(settings: Settings, running: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when the web process answers and the DICOM node takes a C-ECHO. Raises `unavailable`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running():
        try:
            with urllib.request.urlopen(_local(settings) + "/readyz", timeout=2):  # noqa: S310 - our own address
                if _echo(settings):
                    return
        except OSError:
            pass  # Not up yet; the deadline bounds this.
        time.sleep(0.05)
    raise WardlightError("unavailable", "the demo did not come up in time")


def _local(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.web.port}"


def _entity() -> AE:
    # pynetdicom logs identifiers at INFO; its loggers are silenced by log.configure, its own switches here.
    _config.LOG_HANDLER_LEVEL = "none"
    entity = AE(ae_title="DEMO_PACS")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    return entity


def _echo(settings: Settings) -> bool:
    entity = _entity()
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", settings.receiver.dicom_port, ae_title=AE_TITLES[Level.HIGH])
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status) and status.Status == 0x0000


def send_samples(settings: Settings) -> int:
    """Send the sample studies through the DICOM port; returns how many instances were taken."""
    # Those for applications first: they are complete, and granted, by the time that the others are there.
    sends = [(partner.title, list(demo_studies.draw(one))) for partner in PARTNERS for one in partner.samples]
    sends += [(AE_TITLES[level], list(demo_studies.draw(sample))) for level, sample in _DRAWN]
    sends.append((AE_TITLES[Level.HIGH], list(demo_studies.real())))
    return sum(_send_again(settings, title, instances) for title, instances in sends)


def _send_again(settings: Settings, title: str, instances: list[Dataset]) -> int:
    """As a PACS does: an association that broke is tried again, since sending twice stores once."""
    for _ in range(3):
        try:
            return _send(settings, title, instances)
        except RuntimeError:  # What pynetdicom raises when the association has ended.
            time.sleep(1)
    raise WardlightError("unavailable", "the DICOM node ended the demo's association three times")


def _send(settings: Settings, title: str, rows: list[Dataset]) -> int:
    entity = _entity()
    for sop_class, syntax in {(row.SOPClassUID, row.file_meta.TransferSyntaxUID) for row in rows}:
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", settings.receiver.dicom_port, ae_title=title)
    if not association.is_established:
        raise WardlightError("unavailable", "the DICOM node did not accept the demo's association")
    try:
        statuses = [association.send_c_store(row) for row in rows]
    finally:
        association.release()
    return sum(1 for status in statuses if status and status.Status == 0x0000)


def write_sample_files(settings: Settings) -> Path:
    """A few files to send by hand, in DIR/samples."""
    folder = settings.data_dir / "samples"
    private_folder(folder)
    for number, instance in enumerate(demo_studies.draw(demo_studies.KNEE)):
        # A study of its own, so that sending it shows something new.
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(instance, keyword, generate_uid(entropy_srcs=["by hand", str(instance[keyword].value)]))
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.save_as(folder / f"knee-{number + 1:02d}.dcm", enforce_file_format=True)
        if number == 4:
            break
    return folder


def write_settings(settings: Settings) -> Path:
    """The demo's settings as DIR/wardlight.toml, for `wardlight` commands beside it."""
    path = settings.data_dir / "wardlight.toml"
    values = settings.model_dump(mode="json", exclude_defaults=True, exclude={"demo"})
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if name not in sections]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def find_studies(settings: Settings, token: str) -> list[dict[str, Any]]:
    """All studies that the token's holder sees, as QIDO-RS gives them."""
    rows = _ask(settings, "/dicom-web/studies?limit=200&includefield=00081030,00201208", token)
    return rows if isinstance(rows, list) else []


def _ask(settings: Settings, path: str, token: str) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own address
        _local(settings) + path, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own address
        body = answer.read()
    return json.loads(body) if body else None


def wait_for_studies(
    settings: Settings, token: str, expected: int, settled: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The studies, once `expected` instances are found or the receiver has nothing left to upload."""
    deadline = time.monotonic() + 60
    while True:
        rows = find_studies(settings, token)
        if (
            sum(_number(row, "00201208") for row in rows) >= expected
            or settled()
            or time.monotonic() > deadline
        ):
            return find_studies(settings, token)
        time.sleep(0.1)


def wait_for_grants(settings: Settings, token: str, running: Callable[[], bool]) -> None:
    """Return when each application got a grant on each study that was sent for it, be it over by now.

    token: of an administrator. Raises `unavailable`.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running():
        if all(_granted(settings, token, partner.id) >= len(partner.samples) for partner in PARTNERS):
            return
        time.sleep(0.2)
    raise WardlightError("unavailable", "the demo's applications did not get their studies in time")


def _granted(settings: Settings, token: str, application: str) -> int:
    return len(_ask(settings, f"/api/v1/grants?application={application}&ended=true", token)["grants"])


def _number(row: dict[str, Any], tag: str) -> int:
    values = row.get(tag, {}).get("Value") or [0]
    return int(values[0])


def nothing_waits(settings: Settings) -> bool:
    """Whether the receiver has taken in and uploaded, or put in quarantine, all it acknowledged."""
    return bool(status(settings, ask_platform=False)["queue"]["objects"] == 0)


def descriptions(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Study descriptions as they are stored after protection, without empty ones."""
    found = (row.get("00081030", {}).get("Value") or [""] for row in rows)
    return sorted({str(values[0]) for values in found if values[0]})


def write_trust(platform: Platform, institution: str) -> Path:
    """What an outsider needs to verify the demo's trail, as DIR/audit-trust.json; returns where it is."""
    owner = UUID(institution)
    log = platform.audit_log.logs(owner)[-1]
    path = platform.settings.data_dir / TRUST
    write_facts(path, trust_of(platform.audit_log, log, platform.witnesses.vkeys(owner)))
    return path


def write_facts(path: Path, facts: dict[str, Any]) -> None:
    """Put a file of JSON in place in one step, readable by its owner only: demo.json holds tokens."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
    temporary.rename(path)
