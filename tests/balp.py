"""The profiles of IHE BALP (Basic Audit Log Patterns, 1.1), written down anew from their definitions, to check events.

Each slice is a type of agent or entity with how many there must be, and what must be and must not be in it.
Source: https://profiles.ihe.net/ITI/BALP/, StructureDefinitions IHE.BasicAudit.*.
"""

from __future__ import annotations

from base64 import b64decode

BASE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
HL7 = "http://terminology.hl7.org/CodeSystem/"
REST = (HL7 + "audit-event-type", "rest")
INTERACTION = "http://hl7.org/fhir/restful-interaction"
SOURCE, DESTINATION, APPLICATION = (DCM, "110153"), (DCM, "110152"), (DCM, "110150")
CUSTODIAN = (HL7 + "provenance-participant-type", "custodian")
PARTICIPATION = HL7 + "v3-ParticipationType"
RECIPIENT = {(PARTICIPATION, "IRCP")}
#: ValueSet DataSources.
AUTHORS = {(PARTICIPATION, code) for code in ("AUT", "INF", "CST")}

#: Profile → type, interactions of which one is a subtype, action, client, server, types of a user.
RESTFUL = {
    "Read": ({"read", "vread"}, "R", DESTINATION, SOURCE, RECIPIENT),
    "Query": ({"search", "search-type", "search-system"}, "E", SOURCE, DESTINATION, RECIPIENT),
    "Create": ({"create"}, "C", SOURCE, DESTINATION, AUTHORS),
    "Update": ({"update", "patch"}, "U", SOURCE, DESTINATION, AUTHORS),
    "Delete": ({"delete"}, "D", APPLICATION, CUSTODIAN, AUTHORS),
}


def check(event: dict) -> None:
    """Raise AssertionError where an event is not what the profile that it names demands."""
    for profile in event.get("meta", {}).get("profile", []):
        assert profile.startswith(BASE), profile
        name = profile.removeprefix(BASE)
        if name == "PrivacyDisclosure.Source":
            _disclosure(event)
        else:
            _restful(event, name.removeprefix("Patient"), patient=name.startswith("Patient"))


def _restful(event: dict, name: str, *, patient: bool) -> None:
    interactions, action, client, server, users = RESTFUL[name]
    assert _code(event["type"]) == REST
    assert [_code(one)[0] == INTERACTION and one["code"] in interactions for one in event["subtype"]].count(
        True
    ) == 1
    assert event["action"] == action and event["recorded"] and event["outcome"] == "0"
    for kind in (client, server):
        (agent,) = _agents(event, {kind})
        assert agent["who"] and agent["network"] and "media" not in agent
    found = _agents(event, users)
    assert len(found) <= 1
    for user in found:
        assert user["who"] and user["requestor"] is True and "media" not in user and "network" not in user
    _transaction(event)
    _patients(event, patient)
    (data,) = _entities(event, "2")
    if name == "Query":
        assert _code(data["role"]) == (HL7 + "object-role", "24")
        assert b64decode(data["query"], validate=True)
        assert not {"what", "lifecycle", "detail"} & data.keys()
    else:
        assert data["what"] and _code(data["role"]) in {
            (HL7 + "object-role", role) for role in ("3", "4", "20")
        }


def _disclosure(event: dict) -> None:
    assert "modifierExtension" not in event and _code(event["type"]) == (DCM, "110106")
    disclosed = (HL7 + "iso-21089-lifecycle", "disclose")
    assert [_code(one) for one in event["subtype"]].count(disclosed) == 1
    assert event["action"] == "R" and event["outcome"]
    (source,), (recipient,) = _agents(event, {SOURCE}), _agents(event, {DESTINATION})
    assert source["network"] and recipient["network"] and recipient["who"]
    # Invariant val-audit-source.
    assert source["who"] == event["source"]["observer"]
    assert len(event["entity"]) >= 2
    _patients(event, True)


def _patients(event: dict, wanted: bool) -> None:
    found = _entities(event, "1")
    assert len(found) == wanted
    for one in found:
        assert _code(one["role"]) == (HL7 + "object-role", "1")
        assert one["what"]["type"] == "Patient" and one["what"]["identifier"]["value"]


def _transaction(event: dict) -> None:
    kind = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
    found = [one for one in event["entity"] if _code(one["type"]) == kind]
    assert len(found) <= 1
    assert all(one["what"]["identifier"]["value"] for one in found)


def _agents(event: dict, kinds: set) -> list[dict]:
    return [one for one in event["agent"] if any(_code(coding) in kinds for coding in one["type"]["coding"])]


def _entities(event: dict, kind: str) -> list[dict]:
    return [one for one in event["entity"] if _code(one["type"]) == (HL7 + "audit-entity-type", kind)]


def _code(coding: dict) -> tuple[str, str]:
    return coding["system"], coding["code"]
