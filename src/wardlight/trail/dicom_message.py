"""Entries as DICOM Audit Messages: XML of PS3.15 A.5 (audit.md section 5).

Patients and studies are named by their keyed references, which stand in the place of names too.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final
from xml.sax.saxutils import escape, quoteattr

from wardlight.trail import mapping
from wardlight.trail.entry import Sealed
from wardlight.trail.mapping import Code, Meaning, dcm

MEDIA_TYPE: Final = "application/xml-seq"

#: Messages that are of one patient by the standard (PS3.15 A.5.3.6 to A.5.3.8).
_ONE_PATIENT: Final = frozenset({"110103", "110104", "110105"})

_STUDY_UID: Final = dcm("110180")
_PATIENT_NUMBER: Final = Code("RFC-3881", "2", "Patient Number")
_URI: Final = Code("RFC-3881", "12", "URI")
_LOG_NAME: Final = "Security Audit Log"

#: Subjects of a message: (patients, studies).
Subjects = tuple[list[str], list[str]]


def write(entries: Iterable[Sealed], out: BinaryIO) -> None:
    """Every entry's messages, one a line."""
    for entry in entries:
        for message in messages(entry):
            out.write(message + b"\n")


def messages(entry: Sealed, limit: int = 0) -> list[bytes]:
    """The messages of one entry, in UTF-8 and without a line end; several where one may be of one patient only.

    limit: most bytes of a message, 0 for any number. A longer one is split by its subjects as far as that helps.
    """
    means = mapping.meaning(entry)
    return [
        message for subjects in _parts(entry, means) for message in _fitting(entry, means, subjects, limit)
    ]


def _parts(entry: Sealed, means: Meaning) -> Iterator[Subjects]:
    if means.event.code not in _ONE_PATIENT or len(entry.patients) < 2:
        yield entry.patients, entry.studies
        return
    for patient in entry.patients:
        yield [patient], _studies_of(entry, patient)
    if nobodys := [study for study in entry.studies if not _patients_of(entry, study)]:
        yield [], nobodys


def _studies_of(entry: Sealed, patient: str) -> list[str]:
    mine = [one["study"] for one in entry.subjects if one.get("patient") == patient and "study" in one]
    return list(dict.fromkeys(mine))


def _patients_of(entry: Sealed, study: str) -> list[str]:
    return [one["patient"] for one in entry.subjects if one.get("study") == study and "patient" in one]


def _fitting(entry: Sealed, means: Meaning, subjects: Subjects, limit: int) -> Iterator[bytes]:
    message = _message(entry, means, subjects)
    patients, studies = subjects
    if not limit or len(message) <= limit or len(patients) + len(studies) < 2:
        yield message
    elif len(studies) > 1:
        for half in _halves(studies):
            owners = {owner for study in half for owner in _patients_of(entry, study)}
            known = [patient for patient in patients if patient in owners] or patients[:1]
            yield from _fitting(entry, means, (known, half), limit)
    else:
        for half in _halves(patients):
            yield from _fitting(entry, means, (half, studies), limit)


def _halves(values: list[str]) -> tuple[list[str], list[str]]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


def _message(entry: Sealed, means: Meaning, subjects: Subjects) -> bytes:
    slug, node = quoteattr(entry.slug), quoteattr(_audit_source(entry))
    source = (
        f"<AuditSourceIdentification AuditEnterpriseSiteID={slug} AuditSourceID={node}>"
        '<AuditSourceTypeCode csd-code="4"/></AuditSourceIdentification>'
    )
    participants = "".join(_participants(entry, means))
    objects = "".join(_objects(entry, means, *subjects))
    return f"<AuditMessage>{_identification(entry, means)}{participants}{source}{objects}</AuditMessage>".encode()


def _identification(entry: Sealed, means: Meaning) -> str:
    own = Code("99WARDLIGHT", entry.action, entry.action)
    reason = entry.text("reason")
    return (
        f'<EventIdentification EventActionCode="{means.event_action}"'
        f' EventDateTime="{entry.text("time") or entry.recorded}"'
        f' EventOutcomeIndicator="{mapping.outcome(entry)}">'
        + _code("EventID", means.event)
        + "".join(_code("EventTypeCode", code) for code in (*means.event_types, own))
        + (f"<EventOutcomeDescription>{escape(reason)}</EventOutcomeDescription>" if reason else "")
        + "</EventIdentification>"
    )


# ---- participants ----


@dataclass(frozen=True, slots=True)
class _Participant:
    id: str
    requestor: bool
    role: Code | None = None
    access: tuple[str, str] | None = None
    media: bool = False

    def xml(self) -> str:
        access = ""
        if self.access:
            address, kind = self.access
            access = f' NetworkAccessPointID={quoteattr(address)} NetworkAccessPointTypeCode="{kind}"'
        uri = _code("MediaType", dcm("110037"))
        return (
            f'<ActiveParticipant UserID={quoteattr(self.id)} UserIsRequestor="{str(self.requestor).lower()}"'
            + access
            + ">"
            + (_code("RoleIDCode", self.role) if self.role else "")
            + (f"<MediaIdentifier>{uri}</MediaIdentifier>" if self.media else "")
            + "</ActiveParticipant>"
        )


def _participants(entry: Sealed, means: Meaning) -> Iterator[str]:
    """Who took part, in the roles that the message has for them; who acted comes first."""
    event = means.event.code
    role, node_role = _ROLES.get(event, (None, None))
    access = (entry.address, "2") if entry.address else None
    if event == "110114" and access is None:
        access = (entry.text("node"), "1")  # The standard asks for one.
    yield _Participant(_user_id(entry, entry.actor), True, role, access).xml()
    if entry.behalf:
        yield _Participant(_user_id(entry, entry.behalf), False, mapping.APPLICATION).xml()
    if node_role is not None or event == "110113":
        yield _Participant(_node(entry), False, node_role).xml()
    if event in _MEDIA:
        uri = f"https://{entry.host}/dicom-web"
        yield _Participant(uri, False, _MEDIA[event], (uri, "5"), media=True).xml()


#: Roles of who acts and of the node; messages that are not here have neither, or the node in none.
_ROLES: Final = {
    "110100": (mapping.LAUNCHER, mapping.APPLICATION),
    "110103": (mapping.DESTINATION, None),
    "110104": (mapping.SOURCE, mapping.DESTINATION),
    "110106": (mapping.DESTINATION, mapping.SOURCE),
    "110107": (mapping.SOURCE, mapping.DESTINATION),
    "110112": (mapping.SOURCE, mapping.DESTINATION),
}
_MEDIA: Final = {"110106": dcm("110154"), "110107": dcm("110155")}


def _user_id(entry: Sealed, who: object) -> str:
    """`id@slug` of people; others have a name of their own."""
    assert isinstance(who, dict)
    return f"{who['id']}@{entry.slug}" if who["kind"] in ("person", "operator") else str(who["id"])


def _node(entry: Sealed) -> str:
    return f"{entry.text('node')}@{entry.host}"


def _audit_source(entry: Sealed) -> str:
    """The node that wrote it, or the application whose word it is."""
    return f"{entry.actor['id']}@{entry.host}" if entry.source == "application" else _node(entry)


# ---- objects ----


def _objects(entry: Sealed, means: Meaning, patients: list[str], studies: list[str]) -> Iterator[str]:
    """What it was done to. The first object carries the details of the entry; where there is none, the log does."""
    event = means.event.code
    details = list(_details(entry))
    alert = _described(entry) if event == "110113" else []
    details += alert
    if event == "110112":
        path, query = mapping.query(entry)
        yield _object(path, _URI, "3", query=query, details=details)
        details = []
    elif event in _OF_THE_LOG or not (studies or _target(entry)):
        yield _object(f"https://{entry.log}", _URI, "13", _LOG_NAME, details=details)
        details = alert
    for study in studies:
        uid = mapping.uid(study)
        if event == "110113":
            yield _object(f"urn:oid:{uid}", _URI, "13", study, means.lifecycle, details=details)
        else:
            yield _object(uid, _STUDY_UID, "3", study, means.lifecycle, details=details)
        details = alert
    if (target := _target(entry)) and not (studies and event in _ONE_PATIENT):
        uri, name = target
        yield _object(uri, _URI, "13", name, means.lifecycle, details=details)
    for patient in patients:
        yield _object(patient, _PATIENT_NUMBER, "1", patient, person=True)


#: Messages that need no object by the standard, or the log: it says which entry this is.
_OF_THE_LOG: Final = frozenset({"110100", "110101", "110114"})


def _target(entry: Sealed) -> tuple[str, str] | None:
    target = entry.target
    name = target.get("id") or target.get("ref")
    if not name or target["kind"] in ("patient", "study"):
        return None
    return f"urn:wardlight:{target['kind']}:{name}", f"{target['kind']} {name}"


def _details(entry: Sealed) -> Iterator[tuple[str, str]]:
    """Pairs of type and base64. A grant stands for the agreement and the basis that it was made on."""
    grant = entry.text("grant")
    agreement = "" if grant or not entry.agreement else "{id} {version}".format(**entry.agreement)
    yield "log-index", _base64(str(entry.index))
    yield "leaf-hash", b64encode(entry.leaf).decode()
    told = [
        ("purpose", entry.text("purpose")),
        ("grant", grant),
        ("basis", "" if grant else entry.text("basis")),
        ("agreement", agreement),
        ("of", entry.text("of")),
        ("claim", mapping.claim(entry)),
        *((name, str(number)) for name, number in sorted(entry.counts.items())),
    ]
    yield from ((name, _base64(value)) for name, value in told if value)


def _described(entry: Sealed) -> list[tuple[str, str]]:
    """What a security alert must say of each object (PS3.15 A.5.3.11)."""
    words = " ".join(word for word in (entry.action, entry.outcome, entry.text("reason")) if word)
    return [("Alert Description", _base64(words))]


def _object(
    id_: str,
    kind: Code,
    role: str,
    name: str = "",
    lifecycle: str = "",
    *,
    query: str | None = None,
    details: Sequence[tuple[str, str]] = (),
    person: bool = False,
) -> str:
    cycle = f' ParticipantObjectDataLifeCycle="{lifecycle}"' if lifecycle else ""
    if query is None:
        described = f"<ParticipantObjectName>{escape(name)}</ParticipantObjectName>"
    else:
        described = f"<ParticipantObjectQuery>{_base64(query)}</ParticipantObjectQuery>"
    return (
        f"<ParticipantObjectIdentification ParticipantObjectID={quoteattr(id_)}"
        f' ParticipantObjectTypeCode="{1 if person else 2}" ParticipantObjectTypeCodeRole="{role}"{cycle}>'
        + _code("ParticipantObjectIDTypeCode", kind)
        + described
        + "".join(
            f'<ParticipantObjectDetail type="{type_}" value="{value}"/>' for type_, value in details if value
        )
        + "</ParticipantObjectIdentification>"
    )


def _code(element: str, code: Code) -> str:
    system = "DCM" if code.system == mapping.DCM else code.system
    return (
        f"<{element} csd-code={quoteattr(code.code)} codeSystemName={quoteattr(system)}"
        f" originalText={quoteattr(code.display)}/>"
    )


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
