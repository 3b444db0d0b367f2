"""Entries as FHIR R4 AuditEvents, in the profiles of IHE BALP where they conform (audit.md section 5).

Patients and studies are named by their keyed references: nothing here can be more than what the entry holds.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from wardlight.trail import mapping
from wardlight.trail.entry import Sealed
from wardlight.trail.mapping import BALP, TERMINOLOGY, Code, Meaning

#: Media type of a file with one resource a line.
MEDIA_TYPE: Final = "application/fhir+ndjson"

_REASON: Final = TERMINOLOGY + "v3-ActReason"
_PERSON: Final = Code(TERMINOLOGY + "audit-entity-type", "1", "Person")
_SYSTEM: Final = Code(TERMINOLOGY + "audit-entity-type", "2", "System Object")
_OTHER: Final = Code(TERMINOLOGY + "audit-entity-type", "4", "Other")
_PATIENT: Final = Code(TERMINOLOGY + "object-role", "1", "Patient")
_REPORT: Final = Code(TERMINOLOGY + "object-role", "3", "Report")
_DOMAIN: Final = Code(TERMINOLOGY + "object-role", "4", "Domain Resource")
_SECURITY: Final = Code(TERMINOLOGY + "object-role", "13", "Security Resource")
_QUERY: Final = Code(TERMINOLOGY + "object-role", "24", "Query")
_SERVER: Final = Code(TERMINOLOGY + "security-source-type", "4", "Application Server")

#: Objects that are in the entry as references, and so among the subjects.
_REFERRED: Final = ("patient", "study")


def write(entries: Iterable[Sealed], out: BinaryIO) -> None:
    """Every entry's resources, one a line."""
    for entry in entries:
        for event in events(entry):
            out.write(encoded(event) + b"\n")


def encoded(resource: Mapping[str, Any]) -> bytes:
    """A resource as compact JSON."""
    return json.dumps(resource, separators=(",", ":"), ensure_ascii=False).encode()


def events(entry: Sealed) -> list[dict[str, Any]]:
    """The AuditEvents of one entry; several where the profile has one patient or one study in each.

    The first has the entry's id, the others that id with `.2`, `.3`, ... behind it.
    """
    means = mapping.meaning(entry)
    return [
        _event(entry, means, patients, studies, "" if number == 1 else f".{number}")
        for number, (patients, studies) in enumerate(_parts(entry, means), 1)
    ]


def _parts(entry: Sealed, means: Meaning) -> Iterator[tuple[list[str], list[str]]]:
    """(patients, studies) of each resource."""
    if means.profile == "Query":
        # The query itself is the one system object that the profile lets in.
        for patient in entry.patients:
            yield [patient], []
        if not entry.patients:
            yield [], []
    elif means.profile == "PrivacyDisclosure.Source" and len(entry.patients) > 1:
        for patient in entry.patients:
            yield [patient], list(dict.fromkeys(_studies_of(entry, patient)))
    elif means.profile and len(entry.subjects) > 1:
        for subject in entry.subjects:
            yield (
                [subject[name] for name in ("patient",) if name in subject],
                [subject[name] for name in ("study",) if name in subject],
            )
    else:
        yield entry.patients, entry.studies


def _studies_of(entry: Sealed, patient: str) -> Iterator[str]:
    return (
        subject["study"]
        for subject in entry.subjects
        if subject.get("patient") == patient and "study" in subject
    )


def _event(
    entry: Sealed, means: Meaning, patients: list[str], studies: list[str], part: str
) -> dict[str, Any]:
    agents = _agents(entry, means)
    entities = _entities(entry, means, patients, studies)
    profile = _profile(entry, means, agents, patients, studies)
    event: dict[str, Any] = {"resourceType": "AuditEvent"}
    if profile:
        event["meta"] = {"profile": [f"{BALP}StructureDefinition/IHE.BasicAudit.{profile}"]}
    event["id"] = entry.id + part
    event["type"] = _coding(means.type)
    event["subtype"] = [
        *(_coding(code) for code in means.subtypes),
        {"system": f"https://{entry.host}/fhir/CodeSystem/audit-action", "code": entry.action},
    ]
    event["action"] = means.action
    if time := entry.text("time"):
        event["period"] = {"start": time, "end": time}
    event["recorded"] = entry.recorded
    event["outcome"] = mapping.outcome(entry)
    if reason := entry.text("reason"):
        event["outcomeDesc"] = reason
    if entry.text("purpose"):
        event["purposeOfEvent"] = _purpose(entry)
    event["agent"] = agents
    event["source"] = {"site": entry.slug, "observer": _observer(entry), "type": [_coding(_SERVER)]}
    event["entity"] = entities
    return event


def _profile(
    entry: Sealed, means: Meaning, agents: list[dict[str, Any]], patients: list[str], studies: list[str]
) -> str:
    """The profile to which the resource conforms, or "": they are of successes, with both ends of the network."""
    if not means.profile or mapping.outcome(entry) != "0" or not all("network" in one for one in agents[:2]):
        return ""
    if means.profile == "PrivacyDisclosure.Source":
        return means.profile if len(patients) == 1 and (studies or _names_object(entry)) else ""
    if means.profile == "Query":
        return "PatientQuery" if patients else "Query"
    data = len(studies) or _names_object(entry)
    if patients:
        return "Patient" + means.profile if len(patients) == 1 and data == 1 else ""
    # What belongs to a patient who is not named is not what the profiles without one are for.
    return means.profile if not studies and data == 1 else ""


# ---- agents ----


def _agents(entry: Sealed, means: Meaning) -> list[dict[str, Any]]:
    """Client, server, the person who acts, and for whom the client acted."""
    actor, behalf = entry.actor, entry.behalf
    client, other = actor, behalf
    user: Mapping[str, str] | None = None
    if actor["kind"] == "person":
        user, other = actor, {}
        client = behalf if behalf.get("kind") == "application" else actor
    elif behalf.get("kind") == "person":
        user, other = behalf, {}
    observed = means.profile == "PrivacyDisclosure.Source"
    server = _observer(entry) if observed else _identifier(entry, "node", entry.text("node"))
    agents = [
        {
            "type": {"coding": [_coding(means.client)]},
            "who": _named(entry, client),
            "requestor": user is None,
            **({"policy": _policy(entry)} if user is None and _policy(entry) else {}),
            **({"network": {"address": entry.address, "type": "2"}} if entry.address else {}),
            **({"purposeOfUse": _purpose(entry)} if user is None and entry.text("purpose") else {}),
        },
        {
            "type": {"coding": [_coding(means.server)]},
            "who": server,
            "requestor": False,
            "network": _service(entry),
        },
    ]
    if user is not None:
        agents.append(_user(entry, means, user))
    if other:
        agents.append(
            {
                "type": {"coding": [_coding(mapping.BENEFICIARY)]},
                "who": _named(entry, other),
                "requestor": False,
            }
        )
    return agents


def _user(entry: Sealed, means: Meaning, user: Mapping[str, str]) -> dict[str, Any]:
    agent: dict[str, Any] = {"type": {"coding": [_coding(means.user)]}}
    if role := user.get("role"):
        agent["role"] = [{"coding": [{"system": f"https://{entry.host}/fhir/CodeSystem/role", "code": role}]}]
    agent["who"] = _named(entry, user)
    agent["requestor"] = True
    if policy := _policy(entry):
        agent["policy"] = policy
    if entry.text("purpose"):
        agent["purposeOfUse"] = _purpose(entry)
    return agent


def _service(entry: Sealed) -> dict[str, str]:
    """Where the platform was addressed; what a receiver did happened on its own machine."""
    if entry.source == "receiver":
        return {"address": entry.text("node"), "type": "1"}
    path = "dicom-web" if entry.action.startswith("dicomweb:") else "api/v1"
    return {"address": f"https://{entry.host}/{path}", "type": "5"}


def _policy(entry: Sealed) -> list[str]:
    """What the decision rested on, and the token: by its hash, never itself."""
    found = []
    if entry.agreement:
        found.append(f"urn:wardlight:agreement:{entry.agreement['id']}:{entry.agreement['version']}")
    if grant := entry.text("grant"):
        found.append(f"urn:wardlight:grant:{grant}")
    if token := entry.text("token"):
        found.append(f"urn:ietf:params:oauth:jti:{token}")
    return found


def _observer(entry: Sealed) -> dict[str, Any]:
    """Who says it: the log, or the application whose word it is."""
    if entry.source == "application":
        return _named(entry, entry.actor)
    return _identifier(entry, "audit-log", entry.log)


# ---- entities ----


def _entities(entry: Sealed, means: Meaning, patients: list[str], studies: list[str]) -> list[dict[str, Any]]:
    entities: list[dict[str, Any]] = [
        {
            "what": {"type": "Patient", **_identifier(entry, "patient-ref", patient)},
            "type": _coding(_PERSON),
            "role": _coding(_PATIENT),
        }
        for patient in patients
    ]
    data = [_study(means, study) for study in studies]
    if means.profile == "Query":
        data = []
        entities.append(_search(entry))
    elif _names_object(entry) and (not data or not means.profile):
        data.append(_object(entry, means))
    if data:
        data[0]["detail"] = _details(entry)
        entities += data
    else:
        # The log stands for the entry, to carry what else there is to say.
        log: dict[str, Any] = {"what": _identifier(entry, "audit-log", entry.log), "type": _coding(_OTHER)}
        entities.append({**log, "detail": _details(entry)})
    if request := entry.text("request"):
        kind = Code(BALP + "CodeSystem/BasicAuditEntityType", "XrequestId")
        entities.append({"what": {"identifier": {"value": request}}, "type": _coding(kind)})
    return entities


def _study(means: Meaning, study: str) -> dict[str, Any]:
    uid = f"urn:oid:{mapping.uid(study)}"
    return {
        "what": {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": uid}},
        "type": _coding(_SYSTEM),
        "role": _coding(_REPORT),
        **_lifecycle(means),
    }


def _names_object(entry: Sealed) -> bool:
    target = entry.target
    return bool(target) and target["kind"] not in _REFERRED and bool(target.get("id") or target.get("ref"))


def _object(entry: Sealed, means: Meaning) -> dict[str, Any]:
    target = entry.target
    rest = bool(means.profile)
    return {
        "what": _identifier(entry, target["kind"], target.get("id") or target["ref"]),
        "type": _coding(_SYSTEM),
        "role": _coding(_DOMAIN if rest else _SECURITY),
        **_lifecycle(means),
    }


def _search(entry: Sealed) -> dict[str, Any]:
    """What was asked, by the names of the attributes; the values are not in the entry."""
    path, query = mapping.query(entry)
    asked = f"{path}?{query}" if query else path
    return {
        "type": _coding(_SYSTEM),
        "role": _coding(_QUERY),
        "description": asked,
        "query": b64encode(asked.encode()).decode(),
    }


def _lifecycle(means: Meaning) -> dict[str, Any]:
    if not means.lifecycle:
        return {}
    return {"lifecycle": _coding(Code(TERMINOLOGY + "dicom-audit-lifecycle", means.lifecycle))}


def _details(entry: Sealed) -> list[dict[str, str]]:
    target = entry.target
    told = [
        ("phase", entry.phase),
        ("of", entry.text("of")),
        ("version", str(target.get("version", ""))),
        ("basis", entry.text("basis")),
        *(("class", name) for name in entry.classes),
        *((name, str(number)) for name, number in sorted(entry.counts.items())),
        ("claim", mapping.claim(entry)),
        ("log-index", str(entry.index)),
        ("leaf-hash", b64encode(entry.leaf).decode()),
    ]
    return [{"type": name, "valueString": value} for name, value in told if value]


# ---- data types ----


def _coding(code: Code) -> dict[str, str]:
    coding = {"system": code.system, "code": code.code}
    if code.display:
        coding["display"] = code.display
    return coding


def _identifier(entry: Sealed, system: str, value: str) -> dict[str, Any]:
    """A reference by a name that the platform, or a receiver, gave."""
    return {
        "identifier": {"system": f"https://{entry.host}/fhir/NamingSystem/{system}", "value": value},
    }


def _named(entry: Sealed, actor: Mapping[str, str]) -> dict[str, Any]:
    return _identifier(entry, actor["kind"], actor["id"])


def _purpose(entry: Sealed) -> list[dict[str, Any]]:
    return [{"coding": [{"system": _REASON, "code": entry.text("purpose")}]}]
