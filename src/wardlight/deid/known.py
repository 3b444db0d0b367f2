"""What is known of a patient besides the object at hand: kept by whoever has seen more of the patient's objects.

The receiver knows from its vault, the command line from its first pass over all files. A name that stands in one object
only is then found in the text of the others (deid.md "Harvest").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from wardlight.deid.harvest import Seen

#: Elements of the patient (group 0010) that name the person, whatever the study; names (PN) need not be listed. What
#: many people share (ethnic group, country, occupation) says too little to be searched in other objects.
_LASTING: Final = frozenset(
    (
        0x00100020,  # PatientID
        0x00100021,  # IssuerOfPatientID
        0x00100030,  # PatientBirthDate
        0x00101000,  # OtherPatientIDs
        0x00101040,  # PatientAddress
        0x00101050,  # InsurancePlanIdentification
        0x00101090,  # MedicalRecordLocator
        0x00102154,  # PatientTelephoneNumbers
        0x00102155,  # PatientTelecomInformation
    )
)
_PATIENT_GROUP: Final = 0x0010
#: More values, or longer ones, are not a person's.
_MOST: Final = 32
_LONGEST: Final = 256


class Knowledge(Protocol):
    """Knows patients by the bytes of `uids.patient_of`. Called for each object, so answers must be remembered."""

    def alias(self, patient: bytes) -> bytes:
        """The patient that this one was merged with: the same bytes for all that are one; where none was, these."""
        ...

    def learn(self, patient: bytes, seen: Sequence[Seen]) -> tuple[Seen, ...]:
        """What is known of the patient, to be searched beside the object's own values.

        patient: as `alias` gave it. seen: what the object at hand says; where nobody saw the patient before, what of
        it is lasting is known from now on.
        """
        ...


def lasting(seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """Of what an object says, that which names its patient in every study; in a fixed order, each value once."""
    found = {
        one
        for one in seen
        if one[0] >> 16 == _PATIENT_GROUP
        and (one[1] == b"PN" or (one[0] in _LASTING and one[1] not in (b"SQ", b"UN")))
        and len(one[2]) <= _LONGEST
    }
    return tuple(sorted(found)[:_MOST])
