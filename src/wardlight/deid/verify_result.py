"""Look at a result that an application made of a de-identified release: it must not say who the patient is.

There is no original to compare it with. So nothing that identifies may stand in it but what the release shows itself:
its pseudonym, and the keyed identifiers beside that. Text in words, documents and pixels are the application's own, who
saw no more than the release (security.md section 1).
"""

from __future__ import annotations

from typing import Final

from wardlight.deid.verify_leaks import Finding, finding
from wardlight.deid.verify_reader import Unreadable, read
from wardlight.deid.verify_rules import ABSENT, BIRTH_DATE, CHANGED, IDENTIFIES, IDENTIFYING, expectations

#: Patient's ID, and other IDs of the patient.
PATIENT_ID: Final = 0x00100020
#: What says nothing wherever it stands.
_SILENT: Final = frozenset((b"", b"REMOVED", b"ANONYMOUS", b"ANONYMIZED"))


def verify_result(
    header: bytes, syntax_uid: str, *, level: str, shown: frozenset[bytes], patient_id: bytes
) -> list[Finding]:
    """What of a result identifies; empty: it may join the release.

    header: encoded elements up to the pixel data (inflated where the syntax is deflated). shown: values, without
    padding, by which the release itself names patient and study; patient_id: the one that the result must have.
    """
    try:
        items = read(header, syntax_uid)
        checks = expectations(level).checks
    except (Unreadable, RecursionError):
        return [Finding("unreadable")]
    except KeyError:
        return [Finding("unknown-level")]
    findings = []
    named = not patient_id
    for path, tag, vr, start, end in items:
        check = checks.get(tag, 0)
        looked_at = vr == b"PN" or check & IDENTIFIES or tag in IDENTIFYING or tag == BIRTH_DATE
        # Other elements of the patient that the level replaces or removes.
        looked_at = looked_at or (tag >> 16 == 0x0010 and check & (ABSENT | CHANGED))
        if tag == PATIENT_ID and not path:
            named = header[start:end].strip(b" \0") == patient_id
        if not looked_at or start == end:
            continue
        if any(one.strip(b" \0^=") not in shown | _SILENT for one in header[start:end].split(b"\\")):
            findings.append(finding("identifier", path, tag))
    if not named:
        findings.append(Finding("other-patient", (PATIENT_ID,)))
    return findings
