"""Every action, phase and outcome in every mapping, held against the standards' own schemas and profiles."""

from __future__ import annotations

import csv
import io
import json
import lzma
import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from functools import cache
from pathlib import Path

import psycopg
import pytest
import rnc2rng
from fhir.resources.R4B.auditevent import AuditEvent
from lxml import etree

import audit_vectors
import balp
import postgres
from canary import Canaries
from wardlight.audit.actions import LETTER, Action
from wardlight.audit.model import Outcome
from wardlight.audit.references import References
from wardlight.identity.model import PrincipalKind
from wardlight.trail import csv_rows, dicom_message, fhir, mapping, syslog
from wardlight.trail.entry import Sealed

STANDARD = Path(__file__).parents[3] / "tools" / "data" / "part15_2026c.xml.xz"
EXAMPLES = Path(__file__).parent / "data" / "mapping_examples"
ENTRIES = [
    Sealed.parse(index, content, b64decode(leaf))
    for index, (content, leaf) in enumerate(zip(audit_vectors.ENTRIES, audit_vectors.LEAVES, strict=True))
]
READ = ENTRIES[2]
PATIENTS = ("p1.RAhcAkm4Im2hUgQwW0-XcA", "p1.AAAAAAAAAAAAAAAAAAAAAA")
STUDIES = ("s1.m3yFZR_RhIVA69nuhWTP9w", "s1.BBBBBBBBBBBBBBBBBBBBBA")
EVERY = [
    (action, phase, outcome)
    for action in Action
    for phase in ("", "authorised", "finished")
    for outcome in Outcome
]
#: One action for each that is mapped in its own way.
KINDS = list({mapping.usual(action): action for action in Action}.values())
#: Members that an entry need not have.
OPTIONAL = (
    "network request object subjects purpose basis agreement grant classes reason token counts detail".split()  # noqa: SIM905
)


@cache
def dicom_schema():
    """The schema of PS3.15 A.5.1.1, read from the text of the standard."""
    docbook = "{http://docbook.org/ns/docbook}"
    identifier = "{http://www.w3.org/XML/1998/namespace}id"
    root = ET.fromstring(lzma.decompress(STANDARD.read_bytes()))
    section = next(e for e in root.iter(docbook + "section") if e.get(identifier) == "sect_A.5.1.1")
    text = "".join(next(section.iter(docbook + "programlisting")).itertext())
    # Documentation of values stands where the compact syntax has no place for it; as comments it means the same.
    schema = rnc2rng.dumps(rnc2rng.loads(re.sub("##+", "#", text)))
    return etree.RelaxNG(etree.fromstring(schema.encode()))


def made(action, *, phase="", outcome="success", index=7, **members):
    """An entry as the platform writes it, with all that it may hold unless told otherwise."""
    entry = {
        "v": 1,
        "id": "0198c0de-0000-7000-8000-00000000abcd",
        "salt": "A" * 22,
        "log": "wardlight.example/audit/stmary/1",
        "node": "web-1",
        "recorded": "2026-11-24T08:00:02.500Z",
        "source": "platform",
        "action": str(action),
        "actor": {"kind": "person", "id": "u-7f3a", "role": "clinician"},
        "outcome": str(outcome),
        "network": {"address": "192.0.2.17"},
        "request": "00f067aa0ba902b7a3ce929d0e0e4736",
        "object": {"kind": "study", "ref": STUDIES[0]},
        "subjects": [{"patient": PATIENTS[0], "study": STUDIES[0]}],
        "purpose": "TREAT",
        "basis": "gdpr:6.1.c+9.2.h",
        "agreement": {"id": "agr-12", "version": 3},
        "grant": "gr-881",
        "classes": ["image:pseudonymised", "health"],
        "reason": "grant-expired",
        "token": "t" * 22,
        "counts": {"instances": 3, "bytes": 1000},
        "detail": {"query": "PatientName=prefix&StudyDate=range", "level": "series"},
    }
    if phase:
        entry |= {"phase": phase}
    if phase == "finished":
        entry |= {"of": "0198c0de-0000-7000-8000-000000000002", "time": "2026-11-24T08:00:01.000Z"}
    entry |= members
    return Sealed(
        index, bytes(range(32)), {name: value for name, value in entry.items() if value is not None}
    )


def bare(action, **members):
    """An entry with the least that it may hold."""
    return made(action, **{**dict.fromkeys(OPTIONAL), **members})


def example(name):
    return (EXAMPLES / name).read_text("utf-8").rstrip("\n")


# ---- the examples of the specification, byte for byte ----


def test_the_example_in_fhir():
    (event,) = fhir.events(READ)
    assert fhir.encoded(event) == example("read.fhir.json").encode()


def test_the_example_in_dicom_and_in_its_syslog_frame():
    (frame,) = syslog.frames(READ, syslog.Form())
    assert frame == example("read.syslog").encode()
    assert frame.startswith(b"2029 <85>1 ") and len(frame.partition(b" ")[2]) == 2029


def test_the_example_in_csv():
    assert csv_rows.line(READ) == example("read.csv").encode() + b"\r\n"


# ---- all of them against the standards ----


@pytest.mark.parametrize("phase", ["", "authorised", "finished"])
def test_every_action_phase_and_outcome_is_a_valid_audit_event(phase):
    for action, _, outcome in (one for one in EVERY if one[1] == phase):
        for event in fhir.events(made(action, phase=phase, outcome=outcome)):
            valid_event(event)


def test_every_action_phase_and_outcome_is_a_valid_dicom_message():
    for action, phase, outcome in EVERY:
        for message in dicom_message.messages(made(action, phase=phase, outcome=outcome)):
            valid_message(message)


def test_an_entry_with_the_least_is_valid_too():
    for action in Action:
        for event in fhir.events(bare(action)):
            valid_event(event)
        for message in dicom_message.messages(bare(action)):
            valid_message(message)


def valid_event(event):
    assert AuditEvent.model_validate_json(fhir.encoded(event)).outcome in ("0", "4", "8", "12")
    balp.check(event)


def valid_message(message):
    tree = etree.fromstring(message)
    assert dicom_schema().validate(tree), dicom_schema().error_log
    check_message(tree)


def check_message(tree):
    """What PS3.15 A.5.2 and A.5.3 say beside the schema."""
    event = tree.find("EventIdentification/EventID").get("csd-code")
    action = tree.find("EventIdentification").get("EventActionCode")
    assert action in {
        "110103": "CRUD",
        "110104": "CR",
        "110105": "D",
        "110106": "R",
        "110107": "C",
        "110101": "R",
    }.get(event, "E")
    participants = tree.findall("ActiveParticipant")
    assert [one.get("UserIsRequestor") for one in participants].count("true") == 1
    roles = [one.get("csd-code") for one in tree.findall("ActiveParticipant/RoleIDCode")]
    needed = {
        "110100": {"110150", "110151"}, "110104": {"110152", "110153"}, "110106": {"110152", "110153", "110154"},
        "110107": {"110152", "110153", "110155"}, "110112": {"110152", "110153"},
    }  # fmt: skip
    assert needed.get(event, set()) <= set(roles), event
    types = [one.get("csd-code") for one in tree.findall("EventIdentification/EventTypeCode")]
    assert re.fullmatch("[a-z]+:[a-z]+:[a-z_]+", types[-1])
    if event == "110100":
        assert types[0] in ("110120", "110121")
    if event == "110114":
        assert types[0] in ("110122", "110123")
        assert all(
            participants[0].get(name) for name in ("NetworkAccessPointID", "NetworkAccessPointTypeCode")
        )
    objects = tree.findall("ParticipantObjectIdentification")
    patients = [one for one in objects if one.get("ParticipantObjectTypeCode") == "1"]
    if event in ("110103", "110104", "110105"):
        assert len(patients) <= 1
    if event in ("110101", "110112"):
        kind = objects[0].find("ParticipantObjectIDTypeCode").get("csd-code")
        role = objects[0].get("ParticipantObjectTypeCodeRole")
        assert (kind, role) == ("12", "13" if event == "110101" else "3")
        assert event == "110112" or objects[0].findtext("ParticipantObjectName") == "Security Audit Log"
        assert event == "110101" or objects[0].find("ParticipantObjectQuery") is not None
    if event == "110113":
        for one in set(objects) - set(patients):
            assert "Alert Description" in [
                each.get("type") for each in one.findall("ParticipantObjectDetail")
            ]
    details = [one.get("type") for one in tree.iter("ParticipantObjectDetail")]
    assert details.count("log-index") == details.count("leaf-hash") == 1
    assert all(value != "" for element in tree.iter() for value in element.attrib.values())


@pytest.mark.parametrize("kind", list(PrincipalKind))
def test_every_kind_of_actor_is_told_of(kind):
    behalf = {"kind": "application", "id": "acme_ai_prod"}
    for action in KINDS:
        for other in (behalf, {"kind": "person", "id": "u-1"}, None):
            entry = made(action, actor={"kind": kind.value, "id": "some-1"}, behalf=other)
            for event in fhir.events(entry):
                valid_event(event)
                assert [agent["requestor"] for agent in event["agent"]].count(True) == 1
                assert "some-1" in json.dumps(event)
            for message in dicom_message.messages(entry):
                valid_message(message)
                assert b"some-1" in message


def test_every_letter_has_its_mapping_and_profiles_are_reached():
    assert set(mapping.BY_LETTER) == set(LETTER.values())
    found = {
        event["meta"]["profile"][0].rsplit(".", 1)[-1]
        for action in Action
        for make in (made, bare)
        for event in fhir.events(
            make(
                action, reason=None, network={"address": "192.0.2.17"},
                **({"object": {"kind": "route", "id": "rt-1"}} if make is bare else {}),
            )
        )
        if "meta" in event
    }  # fmt: skip
    plain = {"Read", "Query", "Create", "Update", "Delete"}
    assert found == plain | {"Patient" + name for name in plain} | {"Source"}


def test_only_successes_conform_to_profiles():
    for action, phase, outcome in EVERY:
        for event in fhir.events(made(action, phase=phase, outcome=outcome)):
            assert "meta" not in event or event["outcome"] == "0"


@pytest.mark.parametrize(
    ("action", "outcome", "number"),
    [
        (Action.DICOMWEB_STUDY_READ, "success", "0"),
        (Action.DICOMWEB_STUDY_READ, "partial", "4"),
        (Action.DICOMWEB_STUDY_READ, "unknown", "4"),
        (Action.DICOMWEB_STUDY_READ, "denied", "8"),
        (Action.DICOMWEB_STUDY_READ, "failed", "8"),
        (Action.ACCESS_STREAM_CUT, "success", "8"),
        (Action.IDENTITY_ACCOUNT_LOCK, "success", "12"),
    ],
)
def test_outcomes_in_numbers(action, outcome, number):
    assert fhir.events(made(action, outcome=outcome))[0]["outcome"] == number
    assert (
        f'EventOutcomeIndicator="{number}"'.encode()
        in dicom_message.messages(made(action, outcome=outcome))[0]
    )


@pytest.mark.parametrize(
    ("entry", "event"),
    [
        (made(Action.DICOMWEB_STUDY_READ), "110103"),
        (made(Action.DICOMWEB_STUDY_READ, actor={"kind": "application", "id": "acme"}), "110106"),
        (made(Action.DICOMWEB_STUDY_STORE), "110107"),
        (made(Action.DICOMWEB_STUDY_STORE, actor={"kind": "receiver", "id": "rc-1"}), "110104"),
        (made(Action.ARCHIVE_STUDY_DELETE), "110105"),
        (made(Action.ARCHIVE_STUDY_DELETE, object={"kind": "series", "ref": STUDIES[0]}), "110103"),
    ],
)
def test_what_depends_on_the_entry_itself(entry, event):
    assert f'<EventID csd-code="{event}"'.encode() in dicom_message.messages(entry)[0]


def test_a_denial_says_whether_roles_or_consent_decided():
    def decided(entry):
        return [code["code"] for code in fhir.events(entry)[0]["subtype"]][1]

    assert decided(made(Action.ACCESS_DECISION_DENY)) == "AuthZ-Consent"
    assert decided(bare(Action.ACCESS_DECISION_DENY)) == "AuthZ-Role"


# ---- several subjects ----

TWO = [{"patient": patient, "study": study} for patient, study in zip(PATIENTS, STUDIES, strict=True)]


def test_a_search_is_one_event_for_each_patient():
    events = fhir.events(made(Action.DICOMWEB_STUDY_QUERY, subjects=TWO, object=None, reason=None))
    assert [event["id"][36:] for event in events] == ["", ".2"]
    named = [event["entity"][0]["what"]["identifier"]["value"] for event in events]
    assert tuple(named) == PATIENTS
    query = next(one for one in events[0]["entity"] if "query" in one)
    assert b64decode(query["query"]) == b"/dicom-web/series?PatientName=prefix&StudyDate=range"


def test_a_dicom_message_holds_one_patient_where_the_standard_says_so():
    messages = dicom_message.messages(made(Action.DICOMWEB_STUDY_READ, subjects=TWO))
    assert [[patient.encode() in message for patient in PATIENTS] for message in messages] == [
        [True, False],
        [False, True],
    ]
    exported = dicom_message.messages(made(Action.DICOMWEB_STUDY_EXPORT, subjects=TWO))
    assert len(exported) == 1 and all(patient.encode() in exported[0] for patient in PATIENTS)


def test_a_study_without_a_patient_is_in_a_message_of_its_own():
    subjects = [*TWO, {"study": "s1.CCCCCCCCCCCCCCCCCCCCCA"}]
    messages = dicom_message.messages(made(Action.DICOMWEB_STUDY_READ, subjects=subjects))
    assert [message.count(b'csd-code="110180"') for message in messages] == [1, 1, 1]
    assert b"Patient Number" not in messages[2]


def test_long_messages_are_split_and_lose_no_subject():
    references = References(bytes(32), 1)
    subjects = [
        {"patient": references.patient(str(number)), "study": references.study(str(number))}
        for number in range(100)
    ]
    for action in (Action.DICOMWEB_STUDY_QUERY, Action.DICOMWEB_STUDY_EXPORT, Action.ACCESS_DECISION_DENY):
        entry = made(action, subjects=subjects, object=None)
        frames = syslog.frames(entry, syslog.Form())
        assert len(frames) > 1
        for frame in frames:
            length, _, message = frame.partition(b" ")
            assert int(length) == len(message) <= 32_768
            assert dicom_schema().validate(etree.fromstring(message.partition(b"\xef\xbb\xbf")[2]))
        whole = b"".join(frames)
        assert all(name.encode() in whole for name in (*entry.patients, *entry.studies))


# ---- syslog ----


def test_denials_and_alarms_are_warnings():
    assert b"<84>1 " in syslog.frames(made(Action.DICOMWEB_STUDY_READ, outcome="denied"), syslog.Form())[0]
    assert b"<84>1 " in syslog.frames(made(Action.AUDIT_LOG_ALARM, outcome="failed"), syslog.Form())[0]
    assert b"<85>1 " in syslog.frames(made(Action.DICOMWEB_STUDY_READ, outcome="failed"), syslog.Form())[0]


def test_the_form_of_a_collector():
    (frame,) = syslog.frames(READ, syslog.Form("IHE+RFC-3881", bom=False))
    assert b" IHE+RFC-3881 - <AuditMessage>" in frame and b"\xef\xbb\xbf" not in frame


# ---- CSV ----

STRANGE = ["=1+1", "+49", "-5", "@x", "\tx", 'a"b', "a,b", "a\r\nb", "é", ";"]


def strange():
    return [made(Action.DICOMWEB_STUDY_READ, reason=text, index=place) for place, text in enumerate(STRANGE)]


def table(entries):
    out = io.BytesIO()
    csv_rows.write(entries, out)
    return out.getvalue()


def test_csv_is_read_alike_by_two_readers():
    """Python's reader, and PostgreSQL's, which is another program in another language."""
    data = table([*ENTRIES, *strange()])
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert tuple(rows[0]) == csv_rows.COLUMNS and {len(row) for row in rows} == {len(csv_rows.COLUMNS)}
    server = postgres.shared()
    with psycopg.connect(server.address("postgres", "postgres")) as connection:
        columns = ", ".join(f'"{name}" text' for name in csv_rows.COLUMNS)
        connection.execute(f"CREATE TEMPORARY TABLE entries ({columns})")
        with connection.cursor().copy(
            "COPY entries FROM STDIN (FORMAT csv, HEADER match, NULL 'none')"
        ) as copy:
            copy.write(data)
        assert [list(row) for row in connection.execute("SELECT * FROM entries")] == rows[1:]


def test_no_cell_is_a_formula():
    rows = list(csv.reader(io.StringIO(table(strange()).decode(), newline="")))
    reasons = [row[csv_rows.COLUMNS.index("reason")] for row in rows[1:]]
    assert reasons == ["'" + text if text[0] in "=+-@\t\r" else text for text in STRANGE]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)


def test_a_line_ends_in_crlf_and_has_every_column():
    data = table([READ])
    assert data.count(b"\r\n") == 2 and data.endswith(b"\r\n") and b"\n" not in data.replace(b"\r\n", b"")


# ---- no patient value ----


def test_nothing_of_changes_and_free_details_goes_into_a_mapping():
    """An entry must not hold a patient's value; were one to stand where none belongs, no mapping would carry it."""
    values = ["Przybyszewski^Zofia", "PAT-0042-4711", "19600229"]
    canaries = Canaries(values)
    for action in Action:
        entry = made(
            action,
            change=[{"path": "name", "before": values[0], "after": values[1]}],
            detail={
                "findings": values,
                "claim": {"text": values[2]},
                "series": [{"ref": values[0]}],
                "name": values[1],
            },
        )
        out = io.BytesIO()
        for write in (fhir.write, dicom_message.write, csv_rows.write):
            write([entry], out)
        out.write(b"".join(syslog.frames(entry, syslog.Form())))
        assert not canaries.find(out.getvalue())


def test_writers_give_one_resource_or_message_a_line():
    for write in (fhir.write, dicom_message.write):
        out = io.BytesIO()
        write([*ENTRIES, made(Action.DICOMWEB_STUDY_READ, subjects=TWO)], out)
        assert out.getvalue().count(b"\n") == len(ENTRIES) + 2
