"""The one table that says what each action is in FHIR and in DICOM's audit messages (audit.md section 5).

It goes from the action's letter, with what differs for single actions beside it; and three things depend on the entry
itself: to whom was read, from whom data came, and whether a whole study was deleted.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from wardlight.audit.actions import LETTER, Action
from wardlight.trail.entry import Sealed

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
BALP: Final = "https://profiles.ihe.net/ITI/BALP/"


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a code system, as FHIR names that."""

    system: str
    code: str
    display: str = ""


def dcm(code: str) -> Code:
    """A code of DICOM's own (PS3.16 Annex D)."""
    return Code(DCM, code, _MEANINGS[code])


_MEANINGS: Final = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110105": "DICOM Study Deleted",
    "110106": "Export",
    "110107": "Import",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110126": "Node Authentication",
    "110128": "Network Configuration",
    "110129": "Security Configuration",
    "110131": "Software Configuration",
    "110132": "Use of Restricted Function",
    "110135": "Object Security Attributes Changed",
    "110136": "Security Roles Changed",
    "110137": "User security Attributes Changed",
    "110150": "Application",
    "110151": "Application Launcher",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
    "110154": "Destination Media",
    "110155": "Source Media",
    "110180": "Study Instance UID",
    "110037": "URI",
}

APPLICATION: Final = dcm("110150")
LAUNCHER: Final = dcm("110151")
DESTINATION: Final = dcm("110152")
SOURCE: Final = dcm("110153")
CUSTODIAN: Final = Code(TERMINOLOGY + "provenance-participant-type", "custodian", "Custodian")
AUTHSERVER: Final = Code(TERMINOLOGY + "extra-security-role-type", "authserver", "authorization server")
RECIPIENT: Final = Code(TERMINOLOGY + "v3-ParticipationType", "IRCP", "information recipient")
AUTHOR: Final = Code(TERMINOLOGY + "v3-ParticipationType", "AUT", "author (originator)")
BENEFICIARY: Final = Code(TERMINOLOGY + "v3-ParticipationType", "BEN", "beneficiary")

_REST: Final = Code(TERMINOLOGY + "audit-event-type", "rest", "RESTful Operation")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an entry is in both standards.

    type, subtypes, action: of the FHIR AuditEvent; client, server, user: roles of its agents. profile: the BALP profile
    that the resource is made for, "" if none; "Patient" goes before it where the entry has a patient.
    event, event_types, event_action: of the DICOM message. lifecycle: of the data, in both; "" if not told.
    """

    type: Code
    subtypes: tuple[Code, ...]
    action: str
    event: Code
    event_types: tuple[Code, ...] = ()
    event_action: str = "E"
    profile: str = ""
    lifecycle: str = ""
    client: Code = SOURCE
    server: Code = DESTINATION
    user: Code = AUTHOR


def _rest(interaction: str, action: str, profile: str, **more: Any) -> Meaning:
    code = Code("http://hl7.org/fhir/restful-interaction", interaction)
    return Meaning(_REST, (code,), action, profile=profile, **more)


def _iso(code: str, action: str, event: str, **more: Any) -> Meaning:
    return Meaning(iso(code), (), action, dcm(event), **more)


def iso(code: str) -> Code:
    """A stage of a record's life (ISO 21089)."""
    return Code(TERMINOLOGY + "iso-21089-lifecycle", code)


def _alert(code: str) -> Meaning:
    """An event that DICOM knows as a security alert."""
    return Meaning(dcm("110113"), (dcm(code),), "E", dcm("110113"), (dcm(code),))


def _authentication(code: str) -> Meaning:
    event, kind = dcm("110114"), dcm(code)
    return Meaning(event, (kind,), "E", event, (kind,), client=APPLICATION, server=AUTHSERVER)


def _activity(code: str) -> Meaning:
    event, kind = dcm("110100"), dcm(code)
    return Meaning(event, (kind,), "E", event, (kind,), client=LAUNCHER, server=APPLICATION)


_CONFIGURED: Final = (dcm("110131"),)

BY_LETTER: Final[dict[str, Meaning]] = {
    "A": _activity("110120"),
    "L": _authentication("110122"),
    "T": replace(
        _authentication("110122"), subtypes=(Code("urn:ihe:event-type-code", "ITI-71", "Get Access Token"),)
    ),
    "S": _alert("110129"),
    "C": _alert("110131"),
    "G": _alert("110135"),
    "D": replace(_alert("110132"), client=APPLICATION, server=AUTHSERVER, user=RECIPIENT),
    "R": _rest(
        "read", "R", "Read", event=dcm("110103"), event_action="R", lifecycle="6",
        client=DESTINATION, server=SOURCE, user=RECIPIENT,
    ),
    "Q": _rest("search", "E", "Query", event=dcm("110112"), user=RECIPIENT),
    "I": _rest("create", "C", "Create", event=dcm("110104"), event_action="C", lifecycle="2"),
    "P": _iso("verify", "E", "110103", event_action="U", lifecycle="4"),
    "U": _rest("update", "U", "Update", event=dcm("110103"), event_action="U", lifecycle="3"),
    "E": Meaning(
        dcm("110106"), (iso("disclose"),), "R", dcm("110106"), event_action="R", lifecycle="10",
        profile="PrivacyDisclosure.Source", client=DESTINATION, server=SOURCE, user=RECIPIENT,
    ),
    "X": _rest(
        "delete", "D", "Delete", event=dcm("110105"), event_action="D", lifecycle="14",
        client=APPLICATION, server=CUSTODIAN,
    ),
    "K": _iso("encrypt", "E", "110113", event_types=(dcm("110129"),)),
    "V": Meaning(
        dcm("110101"), (), "R", dcm("110101"), event_action="R",
        client=DESTINATION, server=SOURCE, user=RECIPIENT,
    ),
    "N": _iso("transmit", "E", "110113", event_types=_CONFIGURED),
}  # fmt: skip

_STOPPED: Final = _activity("110121")
_LOGOUT: Final = _authentication("110123")
_ROLES: Final = _alert("110136")
_ATTRIBUTES: Final = _alert("110137")
_NETWORK: Final = _alert("110128")
_DEIDENTIFIED: Final = _iso("deidentify", "U", "110103", event_action="U", lifecycle="7")
_ERASED: Final = replace(BY_LETTER["X"], lifecycle="15")
_DISCLOSED: Final = replace(BY_LETTER["E"], lifecycle="11")

#: Actions that differ from the others of their letter.
BY_ACTION: Final[dict[Action, Meaning]] = {
    Action.PLATFORM_NODE_STOP: _STOPPED,
    Action.AUDIT_LOG_END: _STOPPED,
    Action.IDENTITY_SESSION_LOGOUT: _LOGOUT,
    Action.IDENTITY_SESSION_EXPIRE: _LOGOUT,
    Action.IDENTITY_SESSION_REVOKE: _LOGOUT,
    Action.APP_USER_LOGOUT: _LOGOUT,
    Action.IDENTITY_PERSON_ROLE: _ROLES,
    **{
        action: _ATTRIBUTES
        for action in LETTER
        if action is not Action.IDENTITY_PERSON_ROLE
        and action.startswith(("identity:factor:", "identity:password:", "identity:person:"))
    },
    Action.RECEIVER_ASSOCIATION_ACCEPT: _alert("110126"),
    **{
        action: _NETWORK
        for action, letter in LETTER.items()
        if letter == "C" and action.startswith(("receiver:route:", "receiver:pacs:"))
    },
    Action.RECEIVER_STUDY_PROTECT: _DEIDENTIFIED,
    Action.INGEST_STUDY_PROTECT: _DEIDENTIFIED,
    Action.RECEIVER_RESULT_REIDENTIFY: _iso("reidentify", "U", "110103", event_action="U", lifecycle="5"),
    Action.APP_STUDY_PROCESS: _iso("transform", "U", "110103", event_action="U", lifecycle="5"),
    Action.ARCHIVE_STUDY_HOLD: _iso("hold", "U", "110103", event_action="U", lifecycle="3"),
    Action.ARCHIVE_STUDY_UNHOLD: _iso("unhold", "U", "110103", event_action="U", lifecycle="3"),
    Action.RECEIVER_RESULT_SEND: _DISCLOSED,
    Action.SUBJECT_DATA_EXPORT: _DISCLOSED,
    Action.SUBJECT_REPORT_ACCESS: _DISCLOSED,
    Action.APP_STUDY_EXPORT: _DISCLOSED,
    Action.RECEIVER_VAULT_ERASE: _ERASED,
    Action.ARCHIVE_STUDY_ERASE: _ERASED,
    Action.SUBJECT_DATA_ERASE: _ERASED,
    # Not of a study: DICOM knows it as a change of security.
    Action.AUDIT_ENTRIES_PRUNE: replace(
        _ERASED, event=dcm("110113"), event_types=(dcm("110129"),), event_action="E"
    ),
    Action.ARCHIVE_KEY_DESTROY: _iso("destroy", "D", "110113", event_types=(dcm("110129"),), lifecycle="15"),
    Action.ARCHIVE_RECEIPT_ISSUE: _iso("attest", "E", "110113", event_types=(dcm("110129"),)),
    Action.ARCHIVE_RECEIPT_ACKNOWLEDGE: _iso("attest", "E", "110113", event_types=(dcm("110129"),)),
}

#: Outcome → its number in both standards: success, minor, serious and major failure.
_OUTCOMES: Final = {"success": "0", "partial": "4", "unknown": "4", "denied": "8", "failed": "8"}
_SERIOUS, _MAJOR = "8", "12"


@cache
def usual(action: Action) -> Meaning:
    """What the action is, whoever did it."""
    return BY_ACTION.get(action, BY_LETTER[LETTER[action]])


def letter(entry: Sealed) -> str:
    """The letter of its action."""
    return LETTER[Action(entry.action)]


def meaning(entry: Sealed) -> Meaning:
    """What the entry is. Raises ValueError for an action that this version does not know."""
    found, group, actor = usual(Action(entry.action)), letter(entry), entry.actor.get("kind")
    if group == "R" and actor == "application":
        return replace(found, event=dcm("110106"))
    if group == "I" and actor in ("person", "application"):
        return replace(found, event=dcm("110107"))
    if group == "X" and found.event.code == "110105" and entry.target.get("kind") != "study":
        return replace(found, event=dcm("110103"))
    if group == "D":
        decided = "AuthZ-Consent" if entry.text("grant") or entry.agreement else "AuthZ-Role"
        return replace(found, subtypes=(*found.subtypes, Code(BALP + "CodeSystem/AuthZsubType", decided)))
    return found


def outcome(entry: Sealed) -> str:
    """0, 4, 8 or 12. What was turned away is a serious failure, whatever became of the turning away."""
    if entry.action == Action.IDENTITY_ACCOUNT_LOCK:
        return _MAJOR
    return _SERIOUS if letter(entry) == "D" else _OUTCOMES[entry.outcome]


def uid(reference: str) -> str:
    """A keyed reference of a study or series as a valid UID: `2.25.` and the number that its 16 bytes are."""
    return f"2.25.{int.from_bytes(urlsafe_b64decode(reference.split('.', 1)[1] + '=='))}"


def claim(entry: Sealed) -> str:
    """The code of what an application claims, of those that it registered; the rest stays in the entry."""
    return str(entry.detail.get("claim", {}).get("code", ""))


def query(entry: Sealed) -> tuple[str, str]:
    """Resource that was searched, as a URI, and the search without its values."""
    path = "urn:wardlight:" + entry.action
    if entry.action == Action.DICOMWEB_STUDY_QUERY:
        path = "/dicom-web/" + _RESOURCES.get(str(entry.detail.get("level", "")).lower(), "studies")
    return path, str(entry.detail.get("query", ""))


_RESOURCES: Final = {"study": "studies", "series": "series", "instance": "instances", "image": "instances"}
