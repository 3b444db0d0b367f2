"""No value of a patient is in the audit trail, nor in anything made from it.

Real files with planted values are stored, searched for by those values, read, refused and asked for wrongly, with the
values in paths, queries, headers and bodies. Then all that the trail is made of and turned into is searched: the whole
database files, every entry, the bundle, CSV, FHIR, DICOM messages, syslog frames, the logs of the process.
"""

from __future__ import annotations

import io
import json
import urllib.parse
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import inspect, text

import postgres
import real_files
from canary import Canaries
from platform_kit import STORES
from wardlight import jobs, log
from wardlight.access.model import Role, TokenScope
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR as BY
from wardlight.trail import bundle, csv_rows, dicom_message, fhir, syslog
from wardlight.trail.entry import kept
from web_kit import a_web

#: Attribute → what is planted there, for each file with its number.
PLANTED = {
    "PatientName": "Zeppelinfield{}^Ottoline",
    "PatientID": "MRN-55188-{}-Q",
    "PatientBirthDate": "193711{:02}",
    "PatientAddress": "Nachtigallenweg {} Quakenbrueck",
    "AccessionNumber": "ACC-991-{}-QQ",
    "StudyDescription": "Thorax wegen Zwerchfellparese {}",
    "SeriesDescription": "Reihe Quastenflosser {}",
    "ReferringPhysicianName": "Quastenflosser{}^Hedwig",
    "InstitutionName": "Klinikum Quakenbrueck {}",
    "StudyID": "SID-Quak-{}",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.7701.{}",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.7702.{}",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.7703.{}",
}
#: Never stored, only asked for and sent in bodies that are no DICOM.
ASKED = {"unknown": "Unbekannt^Quirinus", "id": "MRN-99999-Q", "uid": "1.2.826.0.1.3680043.8.498.7799.1"}
FILES = 4


def planted() -> list[tuple[bytes, dict[str, str]]]:
    """Real files with the values put in: (file, values by attribute)."""
    found = []
    for path in real_files.paths():
        if len(found) == FILES:
            break
        try:
            ds = pydicom.dcmread(path, force=True)
            if "StudyInstanceUID" not in ds or path.stat().st_size > 400_000 or "PixelData" not in ds:
                continue
            values = {name: form.format(len(found) + 1) for name, form in PLANTED.items()}
            found.append((_written(ds, values), values))
        except Exception:
            continue
    assert len(found) == FILES
    return found


def _written(ds: Dataset, values: dict[str, str]) -> bytes:
    for name, value in values.items():
        setattr(ds, name, value)
    ds.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


class World:
    """The platform after everything has been done to it; nothing is sealed yet."""

    def __init__(self, web: Any) -> None:
        self.web, self.platform, self.own = web, web.kit.platform, web.kit.institution
        self.files = planted()
        self.values = [value for _, values in self.files for value in values.values()] + [*ASKED.values()]
        self.canaries = Canaries(self.values)
        self.log = io.StringIO()
        log.configure("web", level="debug", stream=self.log)
        self.answers: list[int] = []
        tokens = {
            role: self._token(role) for role in (Role.ADMINISTRATOR, Role.PRIVACY_OFFICER, Role.RESEARCHER)
        }
        self.administrator = tokens[Role.ADMINISTRATOR]
        self._store()
        jobs.run(self.platform, jobs.ROUND)
        for token in [*tokens.values(), "wl_pt_" + "x" * 40, ASKED["id"]]:
            for _, values in self.files[:2]:
                self._ask_for(token, values)
            self._ask_wrongly(token)
        self._read_the_trail()
        self.platform.sessions.close()
        self.platform.denials.close()
        while self.platform.sealer.seal():
            pass

    def _token(self, role: Role) -> str:
        identity = self.platform.identity
        person = identity.create_person(self.own.id, f"{role.value}@x.example", role.value, role, by=BY)
        scopes = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE, TokenScope.AUDIT_READ)
        return identity.issue_person_token(person, by=BY, scopes=scopes)

    def ask(self, token: str, path: str, method: str = "GET", content: Any = None, **headers: str) -> int:
        answer = self.web.client.request(
            method, path, content=content,
            headers={"Authorization": f"Bearer {token}", **{name.replace("_", "-"): v for name, v in headers.items()}},
        )  # fmt: skip
        self.answers.append(answer.status_code)
        return answer.status_code

    def _store(self) -> None:
        for data, _ in self.files:
            assert (
                self.ask(
                    self.administrator, "/dicom-web/studies", "POST", data, content_type="application/dicom"
                )
                == 200
            )
        # The same again, the same with another content, and what is broken with the values in it.
        data, values = self.files[0]
        self.ask(self.administrator, "/dicom-web/studies", "POST", data, content_type="application/dicom")
        other = pydicom.dcmread(io.BytesIO(data))
        other.PatientComments = values["PatientName"]
        self.ask(
            self.administrator,
            "/dicom-web/studies",
            "POST",
            _written(other, values),
            content_type="application/dicom",
        )
        broken = data[:132] + "".join(values.values()).encode() + data[300:]
        self.ask(self.administrator, "/dicom-web/studies", "POST", broken, content_type="application/dicom")
        self.ask(
            self.administrator,
            f"/dicom-web/studies/{ASKED['uid']}",
            "POST",
            data,
            content_type="application/dicom",
        )

    def _ask_for(self, token: str, values: dict[str, str]) -> None:
        quoted = {name: urllib.parse.quote(value) for name, value in values.items()}
        study = f"/dicom-web/studies/{values['StudyInstanceUID']}"
        instance = f"{study}/series/{values['SeriesInstanceUID']}/instances/{values['SOPInstanceUID']}"
        for name in ("PatientName", "PatientID", "AccessionNumber", "StudyDescription", "StudyInstanceUID"):
            self.ask(token, f"/dicom-web/studies?{name}={quoted[name]}&includefield=all")
        self.ask(token, f"/dicom-web/studies?PatientName={quoted['PatientName'][:9]}*&fuzzymatching=true")
        for path in (study, f"{study}/metadata", f"{study}/series", instance, f"{instance}/frames/1"):
            self.ask(token, path)
        self.ask(
            token,
            f"/dicom-web/wado?requestType=WADO&studyUID={values['StudyInstanceUID']}"
            f"&seriesUID={values['SeriesInstanceUID']}&objectUID={values['SOPInstanceUID']}",
        )

    def _ask_wrongly(self, token: str) -> None:
        name, id_, uid = (urllib.parse.quote(value) for value in ASKED.values())
        for path in (
            f"studies?PatientName={name}", f"studies?PatientID={id_}", f"studies/{uid}", f"studies/{name}",
            f"studies/{uid}/metadata", f"studies?{name}={id_}", f"studies?StudyDate={name}", f"studies?limit={id_}",
            f"studies/{uid}/series/{name}/instances/{id_}/frames/{name}", f"{name}",
        ):  # fmt: skip
            self.ask(token, f"/dicom-web/{path}", user_agent=ASKED["id"], traceparent=ASKED["uid"])
        self.ask(
            token, "/dicom-web/studies", "POST", ASKED["id"].encode() * 40, content_type="application/dicom"
        )
        self.ask(
            token,
            "/dicom-web/studies",
            "POST",
            b"{}",
            content_type=f'multipart/related; boundary="{ASKED["id"]}"',
        )

    def _read_the_trail(self) -> None:
        """The trail is asked by the values, too."""
        _, values = self.files[0]
        patients = [{"id": values["PatientID"]}, {"id": ASKED["id"], "issuer": ASKED["unknown"]}]
        for body in (
            {"patients": patients}, {"studies": [values["StudyInstanceUID"], ASKED["uid"]]},
            {"patients": values["PatientName"]}, {values["PatientID"]: 1},
        ):  # fmt: skip
            content = json.dumps(body).encode()
            self.ask(
                self.administrator, "/api/v1/audit/search", "POST", content, content_type="application/json"
            )
        for query in (
            f"actor={ASKED['id']}",
            f"subject={ASKED['uid']}",
            f"{ASKED['id']}=1",
            f"object={values['PatientID']}",
        ):
            self.ask(self.administrator, f"/api/v1/audit/entries?{urllib.parse.quote(query, '=')}")
        for patient in ({"id": values["PatientID"]}, {"id": ASKED["id"]}):
            body = json.dumps({"patients": [patient], "patient": patient}).encode()
            self.ask(
                self.administrator,
                "/api/v1/audit/reports/access",
                "POST",
                body,
                content_type="application/json",
            )


@pytest.fixture(scope="module")
def world(stores):
    with a_web() as web:
        yield World(web)


pytestmark = pytest.mark.parametrize("stores", STORES, indirect=True, scope="module")


def sealed(world: World) -> list[Any]:
    built = world.platform
    return [
        entry
        for institution in (world.own.id, None)
        for head in built.audit_log.logs(institution)
        for entry in kept(built.audit_log.entries(head, 0, head.size))
    ]


def test_it_was_really_done(world):
    """Something of every kind was answered, refused and failed, and the canaries are found where they may be."""
    assert {200, 400, 401, 403, 404, 409} <= set(world.answers)
    actions = {(entry.action, entry.outcome) for entry in sealed(world)}
    for action in ("dicomweb:study:store", "dicomweb:study:query", "dicomweb:study:read", "dicomweb:metadata:read",
                   "dicomweb:frame:read", "audit:patient:search"):  # fmt: skip
        assert (action, "success") in actions, action
    assert ("access:decision:deny", "denied") in actions and ("dicomweb:study:read", "failed") in actions
    assert ("ingest:object:refuse", "denied") in actions
    found = world.web.client.get("/dicom-web/studies?includefield=all").content
    assert len(world.canaries.find(found)) > FILES


def test_no_value_is_in_an_entry_nor_in_the_tables(world):
    with world.platform.database.read(EVERYWHERE) as tx:
        for table in inspect(tx).get_table_names():
            for row in tx.execute(text(f'SELECT * FROM "{table}"')):
                data = b"\n".join(part if isinstance(part, bytes) else repr(part).encode() for part in row)
                assert not world.canaries.find(data), table


def test_no_value_is_in_the_files_of_the_database(world):
    if world.platform.settings.database_url:
        folders = postgres.shared().files()
    else:
        folders = [world.platform.settings.index_path.parent, world.platform.settings.keystore_path.parent]
    for folder in folders:
        assert any(folder.iterdir())
        assert not world.canaries.search(folder)


@pytest.mark.parametrize("form", [csv_rows, fhir, dicom_message], ids=["csv", "fhir", "dicom"])
def test_no_value_is_in_a_mapping(world, form):
    out = io.BytesIO()
    form.write(sealed(world), out)
    assert len(out.getvalue()) > 10_000
    assert not world.canaries.find(out.getvalue())


def test_no_value_is_in_a_syslog_frame(world):
    sent = b"".join(frame for entry in sealed(world) for frame in syslog.frames(entry, syslog.Form()))
    assert len(sent) > 10_000
    assert not world.canaries.find(sent)


def test_no_value_is_in_a_bundle(world):
    built = world.platform
    for institution in (world.own.id, None):
        (head,) = built.audit_log.logs(institution)
        lines = b"".join(
            bundle.Bundle(built.database, built.audit_log, head).lines(bundle.Range(0, head.size, head.size))
        )
        assert lines.count(b"\n") > head.size
        assert not world.canaries.find(lines)


def test_no_value_is_in_the_logs_of_the_process(world):
    said = world.log.getvalue()
    assert said.count("web.request") > 100
    assert not world.canaries.find(said.encode())
