"""What the codes of the trail mean in plain English; `report_texts` has the sentences around them.

Written for a reader who knows nothing of imaging or of data protection: short, plain, active.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from wardlight.audit.actions import LETTER, Action
from wardlight.trail.report_model import KNOWN

NO_BREAK: Final = "\u00a0"

#: What was done, as the patient is told.
ACTIONS: Final[dict[str, str]] = {
    "dicomweb:study:query": "Searched the list of studies",
    "dicomweb:study:read": "Opened images",
    "dicomweb:metadata:read": "Looked at the description of images, not at the pictures",
    "dicomweb:frame:read": "Opened images",
    "dicomweb:rendered:read": "Looked at images",
    "dicomweb:thumbnail:read": "Saw small preview pictures",
    "dicomweb:bulkdata:read": "Opened images",
    "dicomweb:study:export": "Took a copy of the study",
    "dicomweb:study:store": "Sent images into the archive",
    "dicomweb:result:store": "Added a result to the study",
    "machine:data:store": "Stored data of a device",
    "machine:data:read": "Read data of a device",
    "machine:data:query": "Searched the data of a device",
    "machine:data:delete": "Deleted data of a device",
    "archive:study:store": "Sent images into the archive",
    "archive:study:complete": "All images of the study had arrived",
    "archive:study:change": "Changed what is kept with the study",
    "archive:study:delete": "Deleted the study",
    "archive:study:expire": "The study was deleted, as its time had run out",
    "archive:study:erase": "Erased the study for good",
    "archive:study:hold": "Kept the study from being deleted",
    "archive:study:unhold": "Let the study be deleted again",
    "archive:key:create": "Made the key that protects the study",
    "archive:key:rewrap": "Renewed the lock on the study's key",
    "archive:key:destroy": "Destroyed the key: nobody can read the data any more",
    "archive:receipt:issue": "Issued a receipt for the deletion",
    "archive:receipt:acknowledge": "Confirmed a deletion",
    "archive:object:repair": "Repaired stored data",
    "ingest:upload:start": "Began to send images",
    "ingest:upload:finish": "Finished sending images",
    "ingest:upload:abandon": "Stopped sending images",
    "ingest:study:protect": "Removed identifying details from images",
    "ingest:study:verify": "Checked that identifying details were removed",
    "ingest:study:quarantine": "Held images back, as identifying details may remain",
    "ingest:object:refuse": "An image was turned away",
    "ingest:class:anonymised": "Decided that the data names nobody any more",
    "receiver:association:accept": "A device connected to the hospital's gateway",
    "receiver:association:reject": "A device was turned away by the hospital's gateway",
    "receiver:study:receive": "Images arrived at the hospital's gateway",
    "receiver:object:refuse": "An image was turned away by the hospital's gateway",
    "receiver:study:protect": "Removed identifying details from images",
    "receiver:study:verify": "Checked that identifying details were removed",
    "receiver:study:quarantine": "Held images back, as identifying details may remain",
    "receiver:quarantine:view": "Looked at images that were held back",
    "ingest:quarantine:view": "Looked at uploads that were held back",
    "ingest:quarantine:release": "Had uploads that were held back protected again",
    "ingest:quarantine:discard": "Deleted uploads that were held back",
    "receiver:quarantine:release": "Released images that were held back",
    "receiver:quarantine:discard": "Threw away images that were held back",
    "receiver:study:upload": "Sent images from the hospital into the archive",
    "receiver:pacs:query": "Searched the hospital's image archive",
    "receiver:pacs:retrieve": "Fetched images from the hospital's image archive",
    "receiver:result:reidentify": "Put the patient's name back on a result",
    "receiver:result:send": "Sent a result to the hospital's image archive",
    "receiver:commitment:confirm": "Confirmed that images are safely stored",
    "receiver:vault:read": "Looked up who is behind a pseudonym",
    "receiver:vault:export": "Exported the list of names behind pseudonyms",
    "receiver:vault:erase": "Erased the link between name and pseudonym",
    "access:grant:create": "Gave access to the study",
    "access:grant:share": "Shared the study",
    "access:grant:change": "Changed an access to the study",
    "access:grant:expire": "An access to the study ran out",
    "access:grant:revoke": "Ended an access to the study",
    "access:decision:deny": "Tried to get at the data and was refused",
    "access:stream:cut": "A transfer was cut off, as the access had ended",
    "access:result:handover": "Decided whether an application sees what another one made of the images",
    "access:url:create": "Made a link to the data",
    "identity:consent:give": "Consent was given",
    "identity:consent:withdraw": "Consent was withdrawn",
    "agreement:source:record": "Recorded where the data came from",
    "subject:request:open": "A request of the patient was opened",
    "subject:request:close": "A request of the patient was closed",
    "subject:request:extend": "The time to answer a request was extended",
    "subject:data:find": "Looked up what is held about the patient",
    "subject:data:export": "Exported what is held about the patient",
    "subject:data:erase": "Erased what was held about the patient",
    "subject:data:restrict": "Restricted what may be done with the data",
    "subject:data:rectify": "Corrected data",
    "subject:report:access": "Made a report like this one",
    "classify:item:classify": "Decided what kind of data this is",
    "classify:record:export": "Exported the record of processing",
    "audit:entry:read": "Read the history of access",
    "audit:entry:search": "Searched the history of access",
    "audit:entry:export": "Exported the history of access",
    "audit:patient:search": "Looked up the patient in the history of access",
    "audit:report:create": "Made a report on an incident",
    "app:study:view": "Viewed the study",
    "app:study:process": "Processed the study",
    "app:study:export": "Took a copy of the study",
    "app:study:delete": "Deleted its copy of the study",
    "app:result:create": "Made a result from the study",
    "app:user:deny": "Refused one of its users",
    "app:data:send": "Sent data on",
    "app:record:note": "Noted something about the study",
}

#: Where an action has no words of its own, by its mapping letter.
_BY_LETTER: Final = {
    "A": "The system noted its state",
    "L": "Logged in or out",
    "T": "A token was issued or refused",
    "S": "A security setting was changed",
    "C": "A setting was changed",
    "G": "A right was given or taken",
    "D": "An attempt was refused",
    "R": "Read data",
    "Q": "Searched data",
    "I": "Added data",
    "P": "Protected or checked data",
    "U": "Changed data",
    "E": "Handed out data",
    "X": "Deleted data",
    "K": "Worked on a key",
    "V": "Read the history of access",
    "N": "A message was sent",
}

#: Codes of v3 PurposeOfUse.
PURPOSES: Final = {
    "TREAT": "Treatment",
    "ETREAT": "Emergency treatment",
    "CAREMGT": "Planning of care",
    "HRESCH": "Research",
    "CLINTRCH": "A clinical trial",
    "HQUALIMP": "Improving quality of care",
    "HOPERAT": "Running the hospital",
    "HPAYMT": "Billing",
    "PUBHLTH": "Public health",
    "PATRQT": "At the patient's request",
    "HLEGAL": "A legal matter",
    "HSYSADMIN": "Running the computer system",
    "TRAIN": "Teaching",
}

_GDPR: Final = {
    "6.1.a": "consent",
    "6.1.b": "a contract with the patient",
    "6.1.c": "a legal duty",
    "6.1.d": "to save somebody's life",
    "6.1.e": "a task in the public interest",
    "6.1.f": "a legitimate interest",
    "9.2.a": "explicit consent",
    "9.2.b": "employment and social law",
    "9.2.c": "to save somebody's life",
    "9.2.f": "legal claims",
    "9.2.g": "substantial public interest",
    "9.2.h": "health care",
    "9.2.i": "public health",
    "9.2.j": "research",
}
_HIPAA: Final = {
    "tpo": "treatment, payment and health care operations (HIPAA)",
    "authorization": "the patient's authorization (HIPAA)",
}

ROLES: Final = {
    "administrator": "Administrator",
    "clinician": "Clinician",
    "researcher": "Researcher",
    "privacy-officer": "Privacy officer",
}
KINDS: Final = {
    "person": "Member of staff",
    "application": "Application",
    "receiver": "Hospital gateway",
    "operator": "Operator of the platform",
    "system": "The platform itself, automatically",
    "anonymous": "Somebody who did not log in",
}

CLASSES: Final = {
    "health": "health details",
    "image:identified": "images with name",
    "image:pseudonymised": "images without name",
    "image:anonymised": "images that name nobody",
    "machine:log": "log files of devices",
    "machine:status": "status of devices",
    "personal": "personal details",
    "account": "account details",
    "audit": "history of access",
    "configuration": "settings",
}

REASONS: Final = {
    "role": "the role does not allow it",
    "token-scope": "the login was not meant for this",
    "route": "this way in is not open to them",
    "no-token": "no login was shown",
    "invalid-token": "the login was not valid",
    "no-institution": "no hospital stands behind the login",
    "principal-kind": "not open to this kind of user",
    "receiver-stores-only": "the gateway may only send data in",
    "grant-expired": "the access had run out",
    "purpose-not-agreed": "not agreed for this purpose",
    "network": "not from this network",
    "rate": "too many requests",
}


def action(code: str) -> str:
    """What was done, in plain words."""
    if code in ACTIONS:
        return ACTIONS[code]
    return _BY_LETTER[LETTER[Action(code)]] if code in KNOWN else f"Did “{code}”"


def purpose(code: str) -> str:
    """Why, in plain words; empty where the entry names no purpose."""
    return PURPOSES.get(code, code)


def basis(code: str) -> str:
    """A legal basis such as `gdpr:6.1.c+9.2.h` in plain words: `a legal duty, health care (GDPR Art. 6(1)(c), …)`."""
    law, _, articles = code.partition(":")
    if law == "gdpr" and articles:
        each = articles.split("+")
        named = ", ".join(_GDPR[article] for article in each if article in _GDPR)
        cited = "GDPR Art. " + ", ".join(_cited(article) for article in each)
        return f"{named} ({cited})" if named else cited
    if law == "hipaa" and articles in _HIPAA:
        return _HIPAA[articles]
    return code


def _cited(article: str) -> str:
    # No line may end between the parts of an article's number.
    return re.sub(r"\.(\w+)", "\u2060(\\1)", article)


def role(code: str) -> str:
    """A role in plain words."""
    return ROLES.get(code, code.replace("-", " ").capitalize())


def reason(code: str) -> str:
    """Why it was refused, in plain words; the code where there are none."""
    return REASONS.get(code, code.replace("-", " "))


def classes(codes: tuple[str, ...]) -> str:
    """Kinds of data, in plain words."""
    return ", ".join(dict.fromkeys(CLASSES.get(code, code) for code in codes))


def number(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def counted(value: int, one: str, many: str) -> str:
    """`1 image`, `12 images`, on one line."""
    return f"{value:,}{NO_BREAK}{one if value == 1 else many}"


def size(value: float) -> str:
    """Bytes as people say them: `250 MB`."""
    units = ["TB", "GB", "MB", "kB", "bytes"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop()
    whole = value >= 9.95 or units[-1] == "bytes"
    return f"{value:.0f}{NO_BREAK}{units[-1]}" if whole else f"{value:.1f}{NO_BREAK}{units[-1]}"


def amount(counts: Mapping[str, int]) -> tuple[str, ...]:
    """How much was handed out, in plain words, what matters most first."""
    told = []
    images, frames = counts.get("instances", 0), counts.get("frames", 0)
    if images:
        told.append(counted(images, "image", "images"))
    if frames and frames != images:
        told.append(counted(frames, "single picture", "single pictures"))
    if counts.get("bytes"):
        told.append(size(counts["bytes"]))
    if not told and counts.get("requests"):
        told.append(counted(counts["requests"], "request", "requests"))
    return tuple(told)
